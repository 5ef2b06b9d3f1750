"""Times scikit-learn's FastICA on the vectors that `cargo bench -p engine --bench ica -- FOLDER` has left there: python ica.py FOLDER"""

import sys
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.decomposition import FastICA


def fit(x, tol, max_iter):
    start = time.time()
    ica = FastICA(whiten="unit-variance", algorithm="parallel", fun="logcosh", tol=tol, max_iter=max_iter, random_state=0)
    ica.fit(x)
    return time.time() - start, ica.n_iter_


warnings.simplefilter("ignore")  # that it has not converged, where it was not to
for path in sorted(Path(sys.argv[1]).glob("ica-*.f32")):
    n, d = (int(word) for word in path.stem.split("-")[1:])
    x = np.fromfile(path, dtype=np.float32).reshape(n, d)
    whole, iterations = fit(x, 1e-4, 200)
    one = (fit(x, 0.0, 6)[0] - fit(x, 0.0, 2)[0]) / 4
    print(f"[{n}, {d}]: {whole:.2f} s in all, {iterations} iterations; {one:.3f} s an iteration, {n / one / 1e6:.1f} million vectors a second")
