"""Matching pursuit and gradient pursuit. A part of `kinds.py`."""

import torch

from _kind import D_SAE, Kind, unit_rows
from posthoc import pursue


class MatchingPursuit(Kind):
    """SAELens' MatchingPursuitTrainingSAE: its gradient is that of every round, by autograd, the choices held."""

    settings = dict(k=5, residual_threshold=7.0, stop_on_duplicate=True)
    kind = {"matching-pursuit": settings}
    unit_decoder = has_penalty = False

    def __init__(self, w, x):
        super().__init__()
        self.own("W_dec", unit_rows(w) * (0.8 + 0.4 * torch.rand(D_SAE, 1)))
        self.own("b_dec", 0.1 * torch.randn(x.shape[1]))
        self.state = {}

    def rounds(self, x):
        """Codes, what they give, and how far each choice and each end was from another."""
        k, threshold = self.settings["k"], self.settings["residual_threshold"]
        r, c = x - self.b_dec, torch.zeros(len(x), D_SAE, dtype=x.dtype)
        done, gaps = torch.zeros(len(x), dtype=torch.bool), []
        for _ in range(k):
            with torch.no_grad():
                products = r @ self.W_dec.T
                two, ids = products.topk(2, dim=1)
                gaps += [(two[:, 0] - two[:, 1])[~done], two[:, 0][~done]]
                chosen = ids[:, 0]
            rows = self.W_dec[chosen]
            v = (r * rows).sum(1).relu() * ~done
            before = c.detach() != 0
            c = c.scatter_add(1, chosen[:, None], v[:, None])
            r = r - v[:, None] * rows
            with torch.no_grad():
                gaps.append((r.norm(dim=1) - threshold)[~done])
                done = done | ((c != 0) == before).all(1) | (r.norm(dim=1) < threshold)
        return c, x - r, gaps

    def encode(self, x):
        return self.rounds(x)[0]

    def forward(self, x):
        c = self.encode(x)
        return c, c @ self.W_dec + self.b_dec, torch.tensor(0.0), torch.tensor(0.0)

    def doubt(self, x):
        c, _, gaps = self.rounds(x)
        n_fired = (c != 0).sum(1)
        # some tokens end early and some do not
        assert n_fired.min() < self.settings["k"] == n_fired.max(), n_fired
        return [gap[gap.isfinite()] for gap in gaps if len(gap)]


class Pursuit(Kind):
    """Dictionary learning by alternation: codes by gradient pursuit (`posthoc.py`), held constant in the gradient."""

    settings = dict(k=4)
    kind = dict(pursuit=settings)
    has_penalty = False

    def __init__(self, w, x):
        super().__init__()
        self.own("W_dec", unit_rows(w))
        self.own("b_dec", 0.1 * torch.randn(x.shape[1]))
        self.state = {}

    def encode(self, x):
        with torch.no_grad():
            return pursue(x, self.W_dec, self.b_dec, self.settings["k"])

    def forward(self, x):
        c = self.encode(x)
        return c, c @ self.W_dec + self.b_dec, torch.tensor(0.0), torch.tensor(0.0)

    def doubt(self, x):
        gaps = []
        for k in range(self.settings["k"]):
            codes = pursue(x, self.W_dec, self.b_dec, k)
            two = ((x - self.b_dec - codes @ self.W_dec) @ self.W_dec.T).topk(2, dim=1).values
            gaps += [two[:, 0] - two[:, 1], two[:, 0]]
        return gaps
