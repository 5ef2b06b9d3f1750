"""JumpReLU's two steps, with the derivatives that the method takes in their place: the expectation's, estimated with a rectangle of
`width` around the threshold. A part of `kinds.py`.
"""

import torch


class Jump(torch.autograd.Function):
    """c = z 1[z > theta]."""

    @staticmethod
    def forward(ctx, z, theta, width):
        ctx.save_for_backward(z, theta)
        ctx.width = width
        return z * (z > theta)

    @staticmethod
    def backward(ctx, grad):
        (z, theta), width = ctx.saved_tensors, ctx.width
        window = ((z - theta).abs() < width / 2).double()
        return grad * (z > theta), (grad * -(theta / width) * window).sum(0), None


class Count(torch.autograd.Function):
    """1[z > theta]."""

    @staticmethod
    def forward(ctx, z, theta, width):
        ctx.save_for_backward(z, theta)
        ctx.width = width
        return (z > theta).double()

    @staticmethod
    def backward(ctx, grad):
        (z, theta), width = ctx.saved_tensors, ctx.width
        window = ((z - theta).abs() < width / 2).double()
        return torch.zeros_like(z), (grad * -(1 / width) * window).sum(0), None
