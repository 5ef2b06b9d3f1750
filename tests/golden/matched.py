"""Initial weights that are matched to a batch, as numpy computes them in f64 (formulas: docs/METHODS.md, "Initial weights").

`golden.json` holds `x` [n, d], unit rows `rows` [d_sae, d], the number of features per token `l0`, and what is made of them: the
geometric median `centre`, the `levels` that each row's products pass on the same share of tokens, the `scale` of the codes, and from these
relu's `W_enc`, `b_enc` and `b_dec`.
"""

import json
from pathlib import Path

import numpy as np

N, D, D_SAE, L0 = 240, 6, 20, 5.0


def geometric_median(x: np.ndarray) -> np.ndarray:
    guess = x.mean(0)
    for _ in range(10_000):
        weights = 1 / np.maximum(np.linalg.norm(x - guess, axis=1), 1e-12)
        step = (weights[:, None] * x).sum(0) / weights.sum()
        moved, guess = np.linalg.norm(step - guess), step
        if moved <= 1e-5 * np.linalg.norm(guess):
            break
    return guess


def generate(folder: Path) -> None:
    random = np.random.default_rng(7)
    rows = random.normal(size=(D_SAE, D))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    # a cloud away from 0, with some tokens far longer than the others
    x = random.normal(size=(N, D)) * np.linspace(0.5, 2, D) + random.normal(size=D)
    x[::40] *= 50
    centre = geometric_median(x)
    products = (x - centre) @ rows.T
    passing = round(L0 / D_SAE * N)
    ordered = np.sort(products, axis=0)[::-1]
    levels = (ordered[passing - 1] + ordered[passing]) / 2
    codes = np.maximum(products - levels, 0)
    made, wanted = codes @ rows, x - centre
    weights = 1 / (wanted**2).sum(1)
    scale = (weights * (made * wanted).sum(1)).sum() / (weights * (made**2).sum(1)).sum()
    golden = {
        "x": x.ravel().tolist(),
        "rows": rows.ravel().tolist(),
        "d": D,
        "l0": L0,
        "centre": centre.tolist(),
        "levels": levels.tolist(),
        "scale": scale,
        "W_enc": (scale * rows).ravel().tolist(),
        "b_enc": (-scale * (rows @ centre + levels)).tolist(),
        "b_dec": centre.tolist(),
    }
    folder.mkdir(exist_ok=True)
    (folder / "golden.json").write_text(json.dumps(golden) + "\n")
