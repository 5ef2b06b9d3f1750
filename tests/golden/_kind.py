"""What the dictionaries of `kinds.py` have in common. A part of it."""

import torch
from torch import nn

D_SAE = 37


def unit_rows(rows):
    return rows / rows.norm(dim=1, keepdim=True)


class Kind(nn.Module):
    """A dictionary whose parameters have this project's names and shapes."""

    unit_decoder = True
    has_penalty = True
    share = 1.0
    first_seed = 0
    state: dict[str, torch.Tensor] = {}

    def own(self, name: str, value: torch.Tensor) -> None:
        setattr(self, name, nn.Parameter(value.detach().float().double()))

    def after_backward(self) -> None:
        """The decoder's gradient without what would change its rows' lengths."""
        if self.unit_decoder:
            rows = unit_rows(self.W_dec.data)
            self.W_dec.grad -= (self.W_dec.grad * rows).sum(1, keepdim=True) * rows

    def after_step(self, n_tokens: int) -> None:
        if self.unit_decoder:
            self.W_dec.data = unit_rows(self.W_dec.data)

    def begin(self) -> None:
        """Before the first batch of a step."""

    def between(self, x, y):
        """Codes, reconstruction, penalty and auxiliary term where x is read and y is to be reconstructed: x itself, but for transcoders."""
        return self(x)
