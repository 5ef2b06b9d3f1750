"""Assignments with the largest sum, by scipy.optimize.linear_sum_assignment.

`golden.json` is a list of cases: `gains` [n, m] row by row, the column of each row, and the total.
"""

import json
import shutil
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment


def generate(folder: Path) -> None:
    random = np.random.default_rng(0)
    cases = []
    for n, m in ((1, 1), (2, 2), (5, 5), (7, 12), (3, 40), (30, 30), (40, 41)):
        # cosines of random directions in few dimensions: many near ties, as between dictionaries
        rows, columns = (random.normal(size=(k, 8)) for k in (n, m))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        columns /= np.linalg.norm(columns, axis=1, keepdims=True)
        gains = (rows @ columns.T).astype(np.float32)
        row, column = linear_sum_assignment(gains.astype(np.float64), maximize=True)
        assert (row == np.arange(n)).all()
        total = float(gains.astype(np.float64)[row, column].sum())
        cases.append(dict(n=n, m=m, gains=gains.flatten().tolist(), columns=column.tolist(), total=total))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "golden.json").write_text(json.dumps(cases) + "\n")
