"""Gradient pursuit as torch computes it, in f64: codes of a decoder, found without an encoder.

After the pseudo-code that DeepMind's interpretability team published with "Improving Dictionary Learning with Gated Sparse
Autoencoders" and its progress update on inference-time optimisation (2024): all products with the residual are taken in every round,
the step is exact along the gradient on the chosen features, and what becomes negative is set to 0.

`golden.safetensors`: W_dec [d_sae, d_in], b_dec [d_in], x [n, d_in], and codes.K [n, d_sae] for each number of rounds K.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file

N, D_IN, D_SAE = 40, 12, 37
ROUNDS = (1, 3, 8)


def pursue(x, rows, bias, k):
    target = x - bias
    codes = torch.zeros(len(x), len(rows), dtype=x.dtype)
    chosen = torch.zeros_like(codes, dtype=torch.bool)
    for _ in range(k):
        residual = target - codes @ rows
        products = residual @ rows.T
        best = products.argmax(1, keepdim=True)
        chosen |= torch.zeros_like(chosen).scatter(1, best, products.gather(1, best) > 0)
        gradient = products * chosen
        along = gradient @ rows
        length = (along * along).sum(1, keepdim=True)
        step = torch.where(length > 0, (along * residual).sum(1, keepdim=True) / length.clamp(min=1e-300), 0.0)
        codes = (codes + step * gradient).clamp(min=0)
    return codes


def generate(folder: Path) -> None:
    torch.manual_seed(0)
    rows = torch.randn(D_SAE, D_IN, dtype=torch.float64)
    rows /= rows.norm(dim=1, keepdim=True)
    bias = 0.3 * torch.randn(D_IN, dtype=torch.float64)
    # some rows that are sums of few features, some that are anything, one that is the bias itself
    sparse = torch.rand(N // 2, D_SAE, dtype=torch.float64) * (torch.rand(N // 2, D_SAE) < 0.08)
    x = torch.cat([sparse @ rows + bias, torch.randn(N - N // 2 - 1, D_IN, dtype=torch.float64), bias[None]])
    found = {f"codes.{k}": pursue(x, rows, bias, k) for k in ROUNDS}
    for k in ROUNDS:
        codes = found[f"codes.{k}"]
        print(k, "features:", (codes > 0).sum(1).double().mean().item(), "left over:", (x - bias - codes @ rows).norm().item())
    folder.mkdir(exist_ok=True)
    save_file({"W_dec": rows, "b_dec": bias, "x": x, **found}, folder / "golden.safetensors")
