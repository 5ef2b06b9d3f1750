"""What numpy, scipy and scikit-learn make of the parts of the baselines.

`golden.safetensors` holds:
  x                    [800, 6] f32: independent sources (uniform, Laplacian, cubes and mixtures), mixed, around a mean
  second.values        the eigenvalues of mean(x xT), descending (numpy's eigh); `second.vectors` the vectors, a row each, the entry of
                       largest size positive
  around.values        the same of the covariance; `around.vectors` (scikit-learn's PCA, which the script checks against numpy's)
  static               x reconstructed from the first 3 of second.vectors; `dynamic` from each row's 2 scores of largest size;
                       `topk` from each row's 2 largest of both signs
  ica.unmixing         FastICA(fun="logcosh", algorithm="parallel") at a tight tolerance: components_; `ica.mixing` mixing_.T
  nmf.x                [500, 8] f32, 4 non-negative directions and some noise; `nmf.start` random rows
  nmf.error            sum of squares that NMF(solver="cd", init="custom") leaves from there, and `nmf.rows` its directions
  nnls.rows            non-negative directions [10, 8] of unit length; `nnls.codes` scipy.optimize.nnls of the first 40 of nmf.x
"""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from scipy.optimize import nnls
from sklearn.decomposition import NMF, PCA, FastICA


def sources(rng: np.random.Generator, n: int) -> np.ndarray:
    columns = [
        rng.uniform(-1, 1, n),
        rng.laplace(size=n),
        rng.normal(size=n) ** 3,
        rng.exponential(size=n),
        rng.normal(size=n) * (rng.random(n) < 0.2),
        np.sign(rng.normal(size=n)) + 0.1 * rng.normal(size=n),
    ]
    return np.stack(columns, axis=1)


def eigen(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values, vectors = np.linalg.eigh(matrix)
    return values[::-1].copy(), signed(vectors.T[::-1])


def signed(rows: np.ndarray) -> np.ndarray:
    """With the entry of largest size positive."""
    largest = rows[np.arange(len(rows)), np.abs(rows).argmax(axis=1)]
    return rows * np.sign(largest)[:, None]


def kept(scores: np.ndarray, order: np.ndarray, k: int) -> np.ndarray:
    out = np.zeros_like(scores)
    chosen = np.argsort(-order, axis=1, kind="stable")[:, :k]
    np.put_along_axis(out, chosen, np.take_along_axis(scores, chosen, axis=1), axis=1)
    return out


def generate(folder: Path) -> None:
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(6, 6)) * np.array([3, 1, 1, 0.5, 2, 1])
    x = (sources(rng, 800) @ mixing + rng.normal(size=6) * 4).astype(np.float32)
    wide = x.astype(np.float64)
    out = {"x": x}
    out["second.values"], out["second.vectors"] = eigen(wide.T @ wide / len(wide))
    v = out["second.vectors"]
    scores = wide @ v.T
    out["static"] = scores[:, :3] @ v[:3]
    out["dynamic"] = kept(scores, np.abs(scores), 2) @ v
    both = np.concatenate([v, -v])
    out["topk"] = np.maximum(kept(wide @ both.T, wide @ both.T, 2), 0) @ both
    centred = wide - wide.mean(axis=0)
    out["around.values"], vectors = eigen(centred.T @ centred / len(wide))
    pca = PCA().fit(wide)
    out["around.vectors"] = signed(pca.components_)
    assert np.allclose(out["around.vectors"], vectors, atol=1e-9)
    ica = FastICA(algorithm="parallel", fun="logcosh", whiten="unit-variance", tol=1e-12, max_iter=1000, random_state=0)
    ica.fit(wide)
    assert ica.n_iter_ < 1000, "not converged"
    out["ica.unmixing"], out["ica.mixing"] = ica.components_, ica.mixing_.T.copy()

    rows = rng.gamma(1.0, 1.0, (4, 8)) * (rng.random((4, 8)) < 0.6)
    codes = rng.gamma(1.0, 1.0, (500, 4)) * (rng.random((500, 4)) < 0.5)
    data = np.maximum(codes @ rows + 0.1 * rng.normal(size=(500, 8)), 0).astype(np.float32)
    start = np.abs(rng.normal(size=(4, 8))).astype(np.float32)
    nmf = NMF(4, init="custom", solver="cd", tol=1e-10, max_iter=5000)
    w = nmf.fit_transform(data.astype(np.float64), W=np.ones((500, 4)), H=start.astype(np.float64))
    out["nmf.x"], out["nmf.start"], out["nmf.rows"] = data, start, nmf.components_
    out["nmf.error"] = np.array([((data - w @ nmf.components_) ** 2).sum()])
    directions = rng.gamma(1.0, 1.0, (10, 8))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    out["nnls.rows"] = directions
    out["nnls.codes"] = np.stack([nnls(directions.T, row)[0] for row in data[:40].astype(np.float64)])
    folder.mkdir(exist_ok=True)
    save_file({name: np.ascontiguousarray(value) for name, value in out.items()}, folder / "golden.safetensors")
