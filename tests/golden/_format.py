"""What the parts of `formats.py` have in common: weights, the tools' formulas, and what is kept of each case."""

from pathlib import Path

import torch

D_IN, D_SAE, N = 6, 10, 24
AT = "blocks.1.hook_resid_pre"


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def weights(seed: int, unit: bool = False) -> dict[str, torch.Tensor]:
    """W_enc [d_in, d_sae], b_enc, W_dec [d_sae, d_in], b_dec."""
    w_dec = draw(seed, D_SAE, D_IN)
    if unit:
        w_dec = w_dec / w_dec.norm(dim=1, keepdim=True)
    w_enc = w_dec.T * 0.7 + 0.3 * draw(seed + 1, D_IN, D_SAE)
    return {
        "W_enc": w_enc.contiguous(),
        "b_enc": 0.3 * draw(seed + 2, D_SAE),
        "W_dec": w_dec,
        "b_dec": 0.5 * draw(seed + 3, D_IN),
    }


def topk(z: torch.Tensor, k: int) -> torch.Tensor:
    found = torch.topk(z, k, dim=-1)
    return torch.zeros_like(z).scatter_(-1, found.indices, found.values.relu())


def abstopk(z: torch.Tensor, k: int) -> torch.Tensor:
    ids = torch.topk(z.abs(), k, dim=-1).indices
    return torch.zeros_like(z).scatter_(-1, ids, z.gather(-1, ids))


def layer_norm(x: torch.Tensor):
    """What is seen of x, and what takes an output back."""
    mean, std = x.mean(dim=-1, keepdim=True), x.std(dim=-1, keepdim=True)
    return (x - mean) / (std + 1e-5), lambda y: y * std + mean


def constant_norm(x: torch.Tensor):
    factor = x.shape[-1] ** 0.5 / x.norm(dim=-1, keepdim=True)
    return x * factor, lambda y: y / factor


def pursue(x: torch.Tensor, rows: torch.Tensor, rounds: int, threshold: float, stop: bool) -> torch.Tensor:
    """Matching pursuit, token by token."""
    acts = torch.zeros(len(x), len(rows), dtype=x.dtype)
    for codes, residual in zip(acts, x.clone()):
        for _ in range(rounds):
            products = rows @ residual
            best = int(products.relu().argmax())
            before = codes != 0
            value = products[best].relu()
            codes[best] += value
            residual = residual - value * rows[best]
            if (stop and bool(((codes != 0) == before).all())) or (threshold > 0 and residual.norm() < threshold):
                break
    return acts


class Golden:
    def __init__(self, folder: Path):
        self.folder = folder
        self.x = draw(0, N, D_IN)
        self.tensors = {"x": self.x}

    def add(self, name: str, acts: torch.Tensor, w_dec: torch.Tensor, b_dec, lengths=None, back=lambda y: y) -> Path:
        """acts [n, d_sae] and rows w_dec [d_sae, d_in] in f64, and what becomes of their output; answers the folder for the files."""
        self.tensors[f"{name}.acts"] = acts.float()
        self.tensors[f"{name}.lengths"] = (w_dec.norm(dim=1) if lengths is None else lengths).float()
        self.tensors[f"{name}.x_hat"] = back(acts @ w_dec + b_dec).float()
        assert (acts != 0).any(dim=0).sum() > D_SAE // 2, name
        folder = self.folder / name
        folder.mkdir()
        return folder
