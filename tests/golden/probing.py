"""k-sparse probes by numpy and scikit-learn, as SAEBench makes them: the columns whose class means differ most, and a logistic regression.

`golden.json` holds `values` [n, width] row by row, `yes`, the indices of `train` and `test`, and for k of 1, 2 and 5 the columns, the weights
and the accuracy on the test.
"""

import json
import shutil
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

N, WIDTH = 240, 12


def generate(folder: Path) -> None:
    random = np.random.default_rng(0)
    yes = random.integers(0, 2, size=N).astype(bool)
    values = np.maximum(random.normal(size=(N, WIDTH)) + yes[:, None] * np.linspace(-1, 0.8, WIDTH), 0)
    values = values.astype(np.float32)
    order = random.permutation(N)
    train, test = order[:180], order[180:]
    x, y = values.astype(np.float64), yes
    difference = np.abs(x[train][y[train]].mean(0) - x[train][~y[train]].mean(0))
    probes = []
    for k in (1, 2, 5):
        columns = np.argsort(-difference, kind="stable")[:k]
        model = LogisticRegression(C=1.0, tol=1e-12, max_iter=100_000).fit(x[train][:, columns], y[train])
        probes.append(dict(
            columns=columns.tolist(), weights=model.coef_[0].tolist(), bias=float(model.intercept_[0]),
            accuracy=float(model.score(x[test][:, columns], y[test])),
        ))  # fmt: skip
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    golden = dict(
        width=WIDTH, values=values.flatten().tolist(), yes=yes.tolist(), train=train.tolist(), test=test.tolist(), probes=probes
    )
    (folder / "golden.json").write_text(json.dumps(golden) + "\n")
