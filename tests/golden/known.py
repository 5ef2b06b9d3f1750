"""What numpy and scikit-learn make of the parts of known features: thresholds, ROC areas, logistic probes.

`golden.json` holds:
  thresholds  a feature's values and answers (null: not asked), and the largest |TPR - FPR| over all thresholds "value > t" by
              brute force
  areas       scores with many ties, answers, and sklearn's roc_auc_score and balanced_accuracy_score of "score > 0"
  probes      inputs, answers, C, and the coefficients of LogisticRegression(class_weight="balanced", C)
"""

import json
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score


def sparse(rng: np.random.Generator, n: int, signed: bool) -> np.ndarray:
    """Mostly zeros; the others rounded, so that some are equal."""
    values = np.round(rng.gamma(1.0, 2.0, n), 1) * (rng.random(n) < 0.4)
    return np.where(rng.random(n) < 0.3, -values, values) if signed else values


def threshold(rng: np.random.Generator, n: int, signed: bool) -> dict:
    values = sparse(rng, n, signed).astype(np.float32)
    asked = rng.random(n) < 0.8
    yes = rng.random(n) < np.where(values > 1.5, 0.7, 0.3)
    if rng.random() < 0.5:
        yes = ~yes
    below = np.min(values) - 1
    rates = []
    for t in [below, *np.unique(values)]:
        fires = values > t
        rates.append((fires & yes & asked).sum() / (yes & asked).sum() - (fires & ~yes & asked).sum() / (~yes & asked).sum())
    best = int(np.argmax(np.abs(rates)))
    return {
        "values": [float(v) for v in values],
        "answers": [bool(y) if a else None for y, a in zip(yes, asked)],
        "gain": float(abs(rates[best])),
        "says_yes": bool(rates[best] > 0),
    }


def area(rng: np.random.Generator, n: int) -> dict:
    yes = rng.random(n) < 0.3
    scores = np.round(rng.normal(size=n) + yes, 1) * (rng.random(n) < 0.5)
    return {
        "scores": [float(s) for s in scores],
        "answers": [bool(y) for y in yes],
        "auc": float(roc_auc_score(yes, scores)),
        "accuracy": float(balanced_accuracy_score(yes, scores > 0)),
    }


def probe(rng: np.random.Generator, n: int, d: int, c: float) -> dict:
    x = np.round(rng.normal(size=(n, d)) @ rng.normal(size=(d, d)), 3)
    yes = x @ rng.normal(size=d) + rng.normal(size=n) > 1.0
    model = LogisticRegression(class_weight="balanced", C=c, solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(x, yes)
    return {
        "x": [[float(v) for v in row] for row in x],
        "yes": [bool(y) for y in yes],
        "c": c,
        "weights": [float(w) for w in model.coef_[0]],
        "bias": float(model.intercept_[0]),
    }


def generate(folder: Path) -> None:
    rng = np.random.default_rng(0)
    golden = {
        "thresholds": [threshold(rng, 60, signed) for signed in [False, True] for _ in range(4)],
        "areas": [area(rng, n) for n in [20, 50, 200]],
        "probes": [probe(rng, n, d, c) for n, d, c in [(40, 1, 1.0), (60, 3, 0.1), (200, 7, 10.0)]],
    }
    folder.mkdir(exist_ok=True)
    (folder / "golden.json").write_text(json.dumps(golden) + "\n")
