"""A bootstrap over documents in numpy: sums per document, the documents that each resample drew, and the percentiles of what follows.

`golden.json` holds, for documents of very different lengths: `documents` (per document: tokens, cross-entropies of the model, of the
spliced model and under zero ablation, x and x_hat [tokens, d]), `draws` [resamples, documents] (how often each was drawn) and
`intervals`: the 2.5th and the 97.5th percentile of each metric over the resamples. Of features, `firings` has per document and token those that
fired, of `n_features`; `features` has their intervals, those of the numbers alive from the jackknife over documents (Efron and Stein 1981).
"""

import json
import shutil
from pathlib import Path

import numpy as np

N_DOCUMENTS, N_RESAMPLES, D, N_FEATURES = 23, 400, 5, 60


def metrics(tokens: dict[str, np.ndarray]) -> dict[str, float]:
    x, y = tokens["x"], tokens["x_hat"]
    ce, spliced, zero = (tokens[name].mean() for name in ("ce_loss_without_sae", "ce_loss_with_sae", "ce_zero"))
    norms, norms_hat = np.linalg.norm(x, axis=1), np.linalg.norm(y, axis=1)
    slope, intercept = np.polyfit(norms, norms_hat, 1)
    explained = 1 - ((x - y) ** 2).sum() / ((x - x.mean(0)) ** 2).sum()
    return {
        "ce_loss_without_sae": ce,
        "ce_increase": spliced - ce,
        "ce_loss_score": (zero - spliced) / (zero - ce),
        "perplexity_with_sae": np.exp(spliced),
        "mse": ((x - y) ** 2).mean(),
        "explained_variance": explained,
        "fvu": 1 - explained,
        "frac_variance_explained": 1 - (x - y).var(0).sum() / x.var(0).sum(),
        "relative_reconstruction_bias": (y**2).sum() / (x * y).sum(),
        "norm_slope": slope,
        "norm_intercept": intercept,
    }


def shares(fired: np.ndarray) -> dict[str, float]:
    """Of `fired` [tokens, features], 1 where a feature fired."""
    counts = fired.sum(0)
    found = {}
    for name, share in (("1_percent", 0.01), ("10_percent", 0.1)):
        over = counts / len(fired) > share
        found[f"freq_over_{name}"] = over.mean()
        found[f"normalized_freq_over_{name}"] = counts[over].sum() / counts.sum()
    return found


def alive(fired: np.ndarray) -> dict[str, float]:
    counts = fired.sum(0)
    return {"alive": (counts >= 1).sum(), "alive_10": (counts >= 10).sum(), "frac_alive": (counts >= 1).mean()}


def jackknife(documents: list[np.ndarray]) -> dict[str, list[float]]:
    """value ± 1.96 √v, v = (n - 1) / n Σ (without document i - their mean)², within what there can be."""
    n, whole = len(documents), alive(np.concatenate(documents))
    without = [alive(np.concatenate(documents[:i] + documents[i + 1 :])) for i in range(n)]
    found = {}
    for name, value in whole.items():
        values = np.array([w[name] for w in without])
        half = 1.959963984540054 * np.sqrt((n - 1) / n * ((values - values.mean()) ** 2).sum())
        most = 1.0 if name == "frac_alive" else N_FEATURES
        found[name] = [float(max(value - half, 0)), float(min(value + half, most))]
    return found


def generate(folder: Path) -> None:
    random = np.random.default_rng(0)
    documents = []
    for _ in range(N_DOCUMENTS):
        n, level = int(random.integers(1, 30)), random.normal()
        x = random.normal(size=(n, D)) + level + 1.5
        ce = random.exponential(size=n) + abs(level)
        documents.append({
            "x": x,
            "x_hat": 0.8 * x + 0.3 * random.normal(size=(n, D)) + 0.1,
            "ce_loss_without_sae": ce,
            "ce_loss_with_sae": ce + 0.3 * random.exponential(size=n) * (1 + abs(level)),
            "ce_zero": ce + 3 + random.normal(size=n),
        })  # fmt: skip
    documents = [{name: value.round(6) for name, value in document.items()} for document in documents]
    drawn = random.integers(0, N_DOCUMENTS, size=(N_RESAMPLES, N_DOCUMENTS))
    samples = [
        metrics({name: np.concatenate([documents[i][name] for i in draw]) for name in documents[0]}) for draw in drawn
    ]
    intervals = {name: np.percentile([s[name] for s in samples], [2.5, 97.5]).tolist() for name in samples[0]}
    draws = [np.bincount(draw, minlength=N_DOCUMENTS).tolist() for draw in drawn]
    # features of very different rates, each with documents of its own
    random = np.random.default_rng(1)
    rates = np.exp(random.uniform(np.log(0.0003), np.log(0.4), N_FEATURES))
    fired = []
    for document in documents:
        level = random.exponential(size=N_FEATURES) * (random.random(N_FEATURES) < 0.6)
        fired.append((random.random((len(document["x"]), N_FEATURES)) < rates * level).astype(int))
    samples = [shares(np.concatenate([fired[i] for i in draw])) for draw in drawn]
    features = {name: np.percentile([s[name] for s in samples], [2.5, 97.5]).tolist() for name in samples[0]}
    features |= jackknife(fired)
    firings = [[np.flatnonzero(token).tolist() for token in document] for document in fired]
    documents = [{name: value.tolist() for name, value in document.items()} for document in documents]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    golden = dict(documents=documents, draws=draws, intervals=intervals)
    golden |= dict(firings=firings, n_features=N_FEATURES, features=features)
    (folder / "golden.json").write_text(json.dumps(golden) + "\n")
