"""What torch makes of transcoders, as `kinds.py` does of the other kinds: codes, losses, gradients, ten optimiser steps, in f64.

Written from Dunefsky et al. 2024, from SAELens (`skip_transcoder`, `jumprelu_skip_transcoder`) and from EleutherAI's sparsify
(`transcode`, `skip_connection`): y_hat = D c + W_skip x + b_dec, W_skip [d_out, d_in]. Nothing is taken from x before it is encoded. The
dead features' term is about the error of y, over its own variation (Gao et al. 2024).

A file per place, as `kinds/golden.safetensors` is, with x [n, d_in] what is read. W_enc is [d_sae, d_in], W_dec [d_sae, d_out].
"""

import json
import shutil
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from _jump import Count, Jump
from kinds import D_SAE, OBJECTIVES, Kind, TopK, sure, train, unit_rows
from training import ACCUMULATION, BATCH, N_CTX, STEPS, Spliced, in_f64

# model: where it is read and written; other widths on either side, and the norm before an MLP
PLACES = {
    "llama": ("blocks.0.mlp.hook_post", "blocks.0.hook_mlp_out"),
    "gpt2": ("blocks.1.ln2.hook_normalized", "blocks.1.hook_mlp_out"),
}
ALL = OBJECTIVES | {"kl_mse": dict(name="kl+mse", sparsity=0.6)}


class Transcoder(Kind):
    """As `relu`, whose rows are normalised in the forward pass."""

    unit_decoder = False
    name, settings, skips = "transcoder", {}, False

    def __init__(self, w, x, y):
        super().__init__()
        self.draw(w, x, y)
        if self.skips:
            self.own("W_skip", 0.2 * torch.randn(y.shape[1], x.shape[1]))

    def draw(self, w, x, y):
        self.own("W_enc", w)
        self.own("b_enc", -0.8 * (x @ w.T).std() + 0.3 * torch.randn(D_SAE))
        self.own("W_dec", torch.randn(D_SAE, y.shape[1]))
        self.own("b_dec", 0.1 * torch.randn(y.shape[1]))

    def pre(self, x):
        return x @ self.W_enc.T + self.b_enc

    def encode(self, x):
        return F.relu(self.pre(x))

    def rows(self):
        return F.normalize(self.W_dec, dim=1)

    def write(self, c, x):
        y_hat = c @ self.rows() + self.b_dec
        return y_hat + x @ self.W_skip.T if self.skips else y_hat

    def between(self, x, y):
        c = self.encode(x)
        return c, self.write(c, x), c.sum(), torch.tensor(0.0)

    def doubt(self, x):
        return [self.pre(x)]


class SkipTranscoder(Transcoder):
    name, skips = "skip-transcoder", True


class JumpReluTranscoder(Transcoder):
    """As `jumprelu`, whose rows are kept at unit length."""

    unit_decoder = True
    name, settings = "jumprelu-transcoder", dict(bandwidth=0.15, initial_threshold=0.3)

    def draw(self, w, x, y):
        size = x.pow(2).sum(1).mean().sqrt()
        self.own("W_enc", w)
        self.own("b_enc", 0.1 * torch.randn(D_SAE))
        self.own("threshold", self.pre(x).flatten().quantile(0.7) / size * (0.5 + torch.rand(D_SAE)))
        self.own("W_dec", unit_rows(torch.randn(D_SAE, y.shape[1])))
        self.own("b_dec", 0.1 * torch.randn(y.shape[1]))
        self.state = {"input_size": size.float().double().view(1)}

    def parts(self, x):
        size = self.state["input_size"]
        return self.pre(x), self.threshold * size, self.settings["bandwidth"] * size

    def encode(self, x):
        return Jump.apply(*self.parts(x))

    def rows(self):
        return self.W_dec

    def between(self, x, y):
        c = self.encode(x)
        return c, self.write(c, x), Count.apply(*self.parts(x)).sum(), torch.tensor(0.0)

    def after_step(self, n_tokens):
        super().after_step(n_tokens)
        self.threshold.data.clamp_(min=0)

    def doubt(self, x):
        z, theta, width = self.parts(x)
        return [z - theta, z - theta - width / 2, z - theta + width / 2]


class JumpReluSkipTranscoder(JumpReluTranscoder):
    name, skips = "jumprelu-skip-transcoder", True


class TopKTranscoder(Transcoder):
    """sparsify's, with a free decoder."""

    name, settings = "topk-transcoder", TopK.settings

    def draw(self, w, x, y):
        self.own("W_enc", w)
        self.own("b_enc", 0.3 * torch.randn(D_SAE))
        self.own("W_dec", 0.6 * torch.randn(D_SAE, y.shape[1]))
        self.own("b_dec", 0.1 * torch.randn(y.shape[1]))
        self.state = {"since_fired": torch.where(torch.rand(D_SAE) < 0.3, 100.0, 10.0).double()}
        self.begin()

    begin = TopK.begin
    choose = TopK.choose

    def rows(self):
        return self.W_dec

    def encode(self, x):
        return self.choose(F.relu(self.pre(x)))

    def between(self, x, y):
        z = F.relu(self.pre(x))
        c = self.choose(z)
        y_hat = self.write(c, x)
        self.fired |= (c > 0).any(0)
        dead = self.state["since_fired"] >= self.settings["dead_tokens"]
        self.n_dead = int(dead.sum())
        aux = torch.tensor(0.0)
        if self.n_dead:
            e = (y - y_hat).detach()
            values, ids = torch.where(dead, z, -torch.inf).topk(min(y.shape[1] // 2, self.n_dead), dim=1)
            e_hat = torch.zeros_like(z).scatter(1, ids, values) @ self.rows()
            aux = (e - e_hat).pow(2).sum() / (e - e.mean(0)).pow(2).sum()
            aux = self.settings["aux_coefficient"] * aux.nan_to_num(0.0) / y.shape[1]
        return c, y_hat, torch.tensor(0.0), aux

    def after_step(self, n_tokens):
        super().after_step(n_tokens)
        self.state["since_fired"] = torch.where(self.fired, 0.0, self.state["since_fired"] + n_tokens)

    def doubt(self, x):
        largest = F.relu(self.pre(x)).topk(self.settings["k"] + 1, dim=1).values
        return [self.pre(x), largest[:, -2] - largest[:, -1]]


class TopKSkipTranscoder(TopKTranscoder):
    name, skips = "topk-skip-transcoder", True


KINDS = [SkipTranscoder, JumpReluTranscoder, JumpReluSkipTranscoder, TopKTranscoder, TopKSkipTranscoder]


def generate(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for model_name, (read_at, at) in PLACES.items():
        model = in_f64(folder.parent / "models" / model_name)
        spliced = Spliced(model, at, read_at)
        generator = torch.Generator().manual_seed(100)
        tokens = torch.randint(model.config.vocab_size, (STEPS * ACCUMULATION * BATCH, N_CTX), generator=generator)
        with torch.no_grad():
            y = spliced.run(tokens[: ACCUMULATION * BATCH])[1].flatten(0, 1).clone()
            seen = spliced.input().flatten(0, 1).clone()
        x = seen.float().double()
        tensors, kinds = {"tokens": tokens.int(), "x": x.float()}, []
        for cls in KINDS:
            for attempt in range(200):
                torch.manual_seed(attempt)
                w = torch.randn(D_SAE, x.shape[1]).double()
                coder = cls(w / (x @ w.T).std(), x, y).double()
                if sure(coder, seen) and sure(coder, x):
                    break
            else:
                raise ValueError(f"{cls.name}: choices in doubt")
            name = cls.name
            init, state = {k: v.clone() for k, v in coder.state_dict().items()}, dict(coder.state)
            tensors |= {f"{name}.init.{k}": v.float() for k, v in init.items()}
            tensors |= {f"{name}.state.{k}": v.float() for k, v in state.items()}
            with torch.no_grad():
                tensors[f"{name}.codes"] = coder.encode(x).float()
            print(model_name, name, "seed", attempt, "fires", (tensors[f"{name}.codes"] != 0).double().mean().item())
            cases = []
            for case, objective in ALL.items():
                coder.load_state_dict(init)
                coder.state = dict(state)
                if isinstance(coder, TopKTranscoder):
                    objective = objective | dict(sparsity=0.0)
                facts, found = train(spliced, coder, tokens, objective)
                cases.append(dict(name=f"{name}.{case}", **facts))
                tensors |= {f"{name}.{case}.{key}": value for key, value in found.items()}
            names = [k for k, _ in coder.named_parameters()]
            kind = {name: dict(read_at=read_at, **cls.settings)}
            kinds.append(dict(name=name, kind=kind, parameters=names, state=list(state), cases=cases))
        about = dict(
            n_ctx=N_CTX, batch=BATCH, accumulation=ACCUMULATION, n_steps=STEPS, d_sae=D_SAE, at=at, model=model_name, kinds=kinds
        )  # fmt: skip
        contiguous = {key: value.detach().clone(memory_format=torch.contiguous_format) for key, value in tensors.items()}
        save_file(contiguous, folder / f"{model_name}.safetensors", metadata={"golden": json.dumps(about, allow_nan=False)})
