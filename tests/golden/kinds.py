"""What torch makes of the kinds of dictionary beside ReLU: codes, losses, gradients, ten optimiser steps, in f64.

Written from the papers and from dictionary_learning (saprmarks/dictionary_learning) and sparse_coding (HoagyC/sparse_coding):
gradients are autograd's, with detach() where the method has a stop-gradient and autograd.Function where it has a pseudo-derivative.
Sums over dimensions are means here, as everywhere in this project: each kind's own terms are theirs over d_in.
The language model, the objectives' other terms and the schedule are those of `training.py`.

`golden.safetensors` holds, for each kind and each case (kind, objective):
  tokens                [contexts, n_ctx]        STEPS x ACCUMULATION x BATCH contexts
  KIND.init.W           f32                      the parameters before the first step
  KIND.state.S          f32                      the state before the first step
  KIND.x, KIND.codes    f32                      the first step's activations [n, d_in], and the codes in use [n, d_sae]
  KIND.median           f64                      the geometric median of x
  CASE.grad.W           f32                      the gradient of the first step's loss, before clipping
  CASE.final.W          f64                      parameters and state after the last step
and, as JSON in its metadata under `golden`, everything that is one number. All matrices are [d_sae, d_in], a row per feature.
"""

import json
import shutil
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from _jump import Count, Jump
from _kind import D_SAE, Kind, unit_rows
from _pursuit import MatchingPursuit, Pursuit
from training import ACCUMULATION, BATCH, N_CTX, STEPS, Spliced, factor, in_f64

AT = "blocks.1.hook_resid_pre"
OBJECTIVES = {
    "local": dict(name="local", sparsity=0.7),
    "e2e": dict(name="e2e", sparsity=0.3, kl=0.9),
    "e2e_ds": dict(name="e2e+ds", sparsity=0.4, kl=0.5, downstream=2.5),
    "kl_mse": dict(name="kl+mse", sparsity=0.5),
}
LR = 0.01


class ReluUnit(Kind):
    """dictionary_learning's AutoEncoder and StandardTrainer, with the squared error of its later versions."""

    kind = "relu-unit"
    is_centred = True

    def __init__(self, w, x):
        super().__init__()
        self.own("W_enc", w)
        self.own("b_dec", 0.1 * torch.randn(x.shape[1]))
        self.own("b_enc", -0.8 * (x @ w.T).std() + 0.3 * torch.randn(D_SAE))
        rows = unit_rows(torch.randn(D_SAE, x.shape[1]))
        self.own("W_dec", rows if self.unit_decoder else rows * (0.3 + torch.rand(D_SAE, 1)))

    def pre(self, x):
        return (x - self.b_dec if self.is_centred else x) @ self.W_enc.T + self.b_enc

    def encode(self, x):
        return F.relu(self.pre(x))

    def penalty(self, c):
        return c.sum()

    def forward(self, x):
        c = self.encode(x)
        return c, c @ self.W_dec + self.b_dec, self.penalty(c), torch.tensor(0.0)

    def doubt(self, x):
        return [self.pre(x)]


class ReluApril(ReluUnit):
    """dictionary_learning's AutoEncoderNew and StandardTrainerAprilUpdate."""

    kind = "relu-april"
    unit_decoder = is_centred = False

    def penalty(self, c):
        return (c * self.W_dec.norm(dim=1)).sum()


class ReluSaelens(ReluApril):
    """SAELens' StandardTrainingSAE with apply_b_dec_to_input, its default."""

    kind = "relu-saelens"
    is_centred = True


class PAnneal(ReluUnit):
    """dictionary_learning's PAnnealTrainer with sparsity_function Lp^p, here at the fifth of its ten moves."""

    settings = dict(final_p=0.4, anneal_start=0, anneal_end=9)
    kind = {"p-anneal": settings}
    # the penalty's slope c^(p - 1) magnifies the round-off of a small c: of the first thirteen seeds, this one's smallest activation in the
    # ten steps of all four objectives is the largest, 1.2e-4 (others: 3e-7 to 1.1e-4)
    first_seed = 12

    def __init__(self, w, x):
        super().__init__(w, x)
        self.state = {"annealing": torch.tensor([4.0, 4.0, 1.25]).double(), "recent": torch.zeros(10, 2).double()}
        self.begin()

    def begin(self):
        self.powers = torch.zeros(2).double()

    def p(self, moves):
        return torch.linspace(1, self.settings["final_p"], 10, dtype=torch.float64)[moves - 1].item()

    def penalty(self, c):
        moves = int(self.state["annealing"][1])
        powers = [c.pow(self.p(min(each, 10))).sum() for each in (moves, moves + 1)]
        self.powers = self.powers + torch.stack(powers).detach()
        return self.state["annealing"][2] * powers[0]

    def after_step(self, n_tokens):
        super().after_step(n_tokens)
        step, moves, factor = self.state["annealing"].tolist()
        recent = torch.cat([self.state["recent"][1:], self.powers[None] / n_tokens])
        times = torch.linspace(self.settings["anneal_start"], self.settings["anneal_end"], 10, dtype=int)
        if step in times and moves < 10:
            queue = recent[recent[:, 0] > 0]
            factor *= (queue[:, 0].mean() / queue[:, 1].mean()).item()
            moves += 1
        self.state = {"annealing": torch.tensor([step + 1, moves, factor]).double(), "recent": recent}


class Tied(Kind):
    """sparse_coding's FunctionalTiedSAE."""

    kind = "tied"
    unit_decoder = False

    def __init__(self, w, x):
        super().__init__()
        self.own("W_enc", w * 3)
        self.own("b_enc", -(x @ unit_rows(self.W_enc).T).flatten().quantile(0.8).expand(D_SAE) + 0.05 * torch.randn(D_SAE))

    def rows(self):
        return self.W_enc / self.W_enc.norm(dim=1, keepdim=True).clamp(min=1e-8)

    def encode(self, x):
        return F.relu(x @ self.rows().T + self.b_enc)

    def forward(self, x):
        c = self.encode(x)
        return c, c @ self.rows(), c.sum(), torch.tensor(0.0)

    def doubt(self, x):
        return [x @ self.rows().T + self.b_enc]


class Gated(Kind):
    """Rajamanoharan et al. 2024 (Gated), as dictionary_learning's GatedAutoEncoder and GatedSAETrainer have it."""

    kind = "gated"

    def __init__(self, w, x):
        super().__init__()
        self.own("W_enc", w)
        self.own("b_dec", 0.1 * torch.randn(x.shape[1]))
        pre = (x - self.b_dec) @ self.W_enc.T
        self.own("b_gate", -pre.flatten().quantile(0.75).expand(D_SAE) + 0.1 * torch.randn(D_SAE))
        self.own("r_mag", 0.3 * torch.randn(D_SAE))
        self.own("b_mag", -0.5 * pre.flatten().quantile(0.9) + 0.3 * torch.randn(D_SAE))
        self.own("W_dec", unit_rows(torch.randn(D_SAE, x.shape[1])))

    def pre(self, x):
        pre = (x - self.b_dec) @ self.W_enc.T
        return pre + self.b_gate, self.r_mag.exp() * pre + self.b_mag

    def encode(self, x):
        gate, magnitude = self.pre(x)
        return (gate > 0).double() * F.relu(magnitude)

    def forward(self, x):
        gate = F.relu(self.pre(x)[0])
        c = self.encode(x)
        via_gate = gate @ self.W_dec.detach() + self.b_dec.detach()
        return c, c @ self.W_dec + self.b_dec, gate.sum(), F.mse_loss(via_gate, x)

    def doubt(self, x):
        return list(self.pre(x))


class TopK(Kind):
    """Gao et al. 2024, as dictionary_learning's AutoEncoderTopK and TopKTrainer have it, but that a feature is dead by what it
    did before the step, and that activations of 0 are never counted as firing."""

    settings = dict(k=3, aux_coefficient=0.5, dead_tokens=60)
    has_penalty = False

    def __init__(self, w, x):
        super().__init__()
        self.own("W_enc", w)
        self.own("b_dec", 0.1 * torch.randn(x.shape[1]))
        self.own("b_enc", 0.3 * torch.randn(D_SAE))
        self.own("W_dec", unit_rows(torch.randn(D_SAE, x.shape[1])))
        self.state = {"since_fired": torch.where(torch.rand(D_SAE) < 0.3, 100.0, 10.0).double()}
        self.begin()

    kind = dict(topk=settings)

    def begin(self):
        self.fired = torch.zeros(D_SAE, dtype=torch.bool)
        self.smallest = []

    def positive(self, x):
        return F.relu((x - self.b_dec) @ self.W_enc.T + self.b_enc)

    def largest(self, z, k, of=None):
        """The k largest of each row, among the features `of`."""
        values, ids = (z if of is None else torch.where(of, z, -torch.inf)).topk(k, dim=1)
        return torch.zeros_like(z).scatter(1, ids, values)

    def choose(self, z):
        return self.largest(z, self.settings["k"])

    def encode(self, x):
        return self.choose(self.positive(x))

    def forward(self, x):
        z = self.positive(x)
        c = self.choose(z)
        x_hat = c @ self.W_dec + self.b_dec
        self.fired |= (c != 0).any(0)
        if (c > 0).any():
            self.smallest.append(c[c > 0].min().item())
        dead = self.state["since_fired"] >= self.settings["dead_tokens"]
        self.n_dead = int(dead.sum())
        aux = torch.tensor(0.0)
        if self.n_dead:
            e = (x - x_hat).detach()
            e_hat = self.largest(z, min(x.shape[1] // 2, self.n_dead), dead) @ self.W_dec
            aux = (e - e_hat).pow(2).sum() / (e - e.mean(0)).pow(2).sum()
            aux = self.settings["aux_coefficient"] * aux.nan_to_num(0.0) / x.shape[1]
        return c, x_hat, torch.tensor(0.0), aux

    def after_step(self, n_tokens):
        super().after_step(n_tokens)
        self.state["since_fired"] = torch.where(self.fired, 0.0, self.state["since_fired"] + n_tokens)

    def doubt(self, x):
        z, k = self.positive(x), self.settings["k"]
        largest = z.topk(k + 1, dim=1).values
        return [(x - self.b_dec) @ self.W_enc.T + self.b_enc, largest[:, k - 1] - largest[:, k]]


class AbsTopK(TopK):
    """arXiv 2510.00404, as SAELens' AbsTopKTrainingSAE has it (with AuxK's ratio as above): the largest by size, and no ReLU."""

    kind = dict(abstopk=TopK.settings)

    def positive(self, x):
        return (x - self.b_dec) @ self.W_enc.T + self.b_enc

    def largest(self, z, k, of=None):
        sizes = z.abs() if of is None else torch.where(of, z.abs(), -torch.inf)
        ids = sizes.topk(k, dim=1).indices
        return torch.zeros_like(z).scatter(1, ids, z.gather(1, ids))

    def doubt(self, x):
        k = self.settings["k"]
        largest = self.positive(x).abs().topk(k + 1, dim=1).values
        return [largest[:, k - 1] - largest[:, k]]


class BatchTopK(TopK):
    """Bussmann et al. 2024, as dictionary_learning's BatchTopKSAE and BatchTopKTrainer have it."""

    settings = dict(k=3, aux_coefficient=0.5, dead_tokens=60, threshold_decay=0.75)
    kind = dict(batchtopk=settings)

    def __init__(self, w, x):
        super().__init__(w, x)
        self.state["threshold"] = torch.tensor([-1.0]).double()

    def choose(self, z):
        flat = z.flatten()
        values, ids = flat.topk(self.settings["k"] * len(z))
        return torch.zeros_like(flat).scatter(0, ids, values).view_as(z)

    def encode(self, x):
        z = self.positive(x)
        return z * (z > self.state["threshold"])

    def after_step(self, n_tokens):
        super().after_step(n_tokens)
        mean = torch.tensor(self.smallest).double().mean()
        before, decay = self.state["threshold"], self.settings["threshold_decay"]
        self.state["threshold"] = mean.view(1) if before < 0 else decay * before + (1 - decay) * mean

    def doubt(self, x):
        z = self.positive(x)
        first = z.view(ACCUMULATION, -1).topk(self.settings["k"] * len(z) // ACCUMULATION + 1).values
        return [(x - self.b_dec) @ self.W_enc.T + self.b_enc, first[:, -2] - first[:, -1]]


class Matryoshka(BatchTopK):
    """Bussmann et al. 2025, as dictionary_learning's MatryoshkaBatchTopKTrainer has it, but for the second 1/G (see METHODS)."""

    settings = BatchTopK.settings | dict(groups=3)
    kind = dict(matryoshka=settings)
    share = 1 / 3

    def forward(self, x):
        c, x_hat, penalty, aux = super().forward(x)
        for end in (D_SAE // 8, D_SAE // 8 + D_SAE // 4):
            aux = aux + F.mse_loss(c[:, :end] @ self.W_dec[:end] + self.b_dec, x) * self.share
        return c, x_hat, penalty, aux


class JumpRelu(Kind):
    """Rajamanoharan et al. 2024 (JumpReLU). Bandwidth and thresholds are in units of the input's size."""

    settings = dict(bandwidth=0.15, initial_threshold=0.3)
    kind = dict(jumprelu=settings)

    def __init__(self, w, x):
        super().__init__()
        size = x.pow(2).sum(1).mean().sqrt()
        self.own("W_enc", w)
        self.own("b_enc", 0.1 * torch.randn(D_SAE))
        z = x @ self.W_enc.T + self.b_enc
        self.own("threshold", (z.flatten().quantile(0.7) / size * (0.5 + torch.rand(D_SAE))))
        self.own("W_dec", unit_rows(torch.randn(D_SAE, x.shape[1])))
        self.own("b_dec", 0.1 * torch.randn(x.shape[1]))
        self.state = {"input_size": size.float().double().view(1)}

    def parts(self, x):
        size = self.state["input_size"]
        return x @ self.W_enc.T + self.b_enc, self.threshold * size, self.settings["bandwidth"] * size

    def encode(self, x):
        return Jump.apply(*self.parts(x))

    def forward(self, x):
        c = self.encode(x)
        return c, c @ self.W_dec + self.b_dec, Count.apply(*self.parts(x)).sum(), torch.tensor(0.0)

    def after_step(self, n_tokens):
        super().after_step(n_tokens)
        self.threshold.data.clamp_(min=0)

    def doubt(self, x):
        z, theta, width = self.parts(x)
        return [z - theta, z - theta - width / 2, z - theta + width / 2]


KINDS = [ReluUnit, ReluApril, ReluSaelens, PAnneal, Tied, Gated, TopK, BatchTopK, Matryoshka, JumpRelu, AbsTopK, MatchingPursuit, Pursuit]


def terms_of(spliced, sae, tokens, objective):
    with torch.no_grad():
        logits, _, later, _ = spliced.run(tokens)
        later = {name: value.clone() for name, value in later.items()}
    kept = []

    def replace(x):
        rows = x.flatten(0, 1)
        kept.append((rows, *sae.between(spliced.input().flatten(0, 1), rows)))
        return kept[0][2].view_as(x)

    new_logits, _, new_later, _ = spliced.run(tokens, replace)
    x, _, x_hat, penalty, auxiliary = kept[0]
    terms = {
        "reconstruction": F.mse_loss(x_hat, x),
        "sparsity": penalty / x.numel(),
        "auxiliary": auxiliary,
    }
    if "kl" in objective or objective["name"] == "kl+mse":
        log_p, log_q = (F.log_softmax(l, dim=-1).flatten(0, 1) for l in (logits, new_logits))
        terms["kl"] = F.kl_div(log_q, log_p, log_target=True, reduction="batchmean")
    if "downstream" in objective:
        terms["downstream"] = sum(F.mse_loss(new_later[k], later[k]) for k in later) / len(later)
    return terms


def loss_of(terms, objective, share):
    if objective["name"] == "kl+mse":
        alpha = (terms["reconstruction"] / (terms["kl"] + 1e-8)).detach()
        balanced = 0.5 * (alpha * terms["kl"] + terms["reconstruction"])
        return balanced + objective["sparsity"] * terms["sparsity"] + terms["auxiliary"]
    coefficients = {"reconstruction": share if objective["name"] == "local" else 0.0, "auxiliary": 1.0}
    coefficients |= {name: objective[name] for name in ("sparsity", "kl", "downstream") if name in objective}
    return sum(coefficient * terms[name] for name, coefficient in coefficients.items())


def train(spliced, sae, tokens, objective):
    steps = tokens.view(STEPS, ACCUMULATION, BATCH, N_CTX)
    optimizer = torch.optim.Adam(sae.parameters(), lr=LR)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    facts, tensors = dict(objective=objective, lr=LR, losses=[], lrs=[], grad_norms=[], n_dead=[]), {}
    for index, batches in enumerate(steps):
        optimizer.zero_grad()
        sae.begin()
        sums, loss = {}, 0.0
        for batch in batches:
            terms = terms_of(spliced, sae, batch, objective)
            part = loss_of(terms, objective, sae.share) / ACCUMULATION
            part.backward()
            loss += part.item()
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + value.item() / ACCUMULATION
        sae.after_backward()
        if index == 0:
            facts["terms"] = sums
            tensors = {f"grad.{name}": p.grad.clone().float() for name, p in sae.named_parameters()}
            norm = torch.cat([p.grad.flatten() for p in sae.parameters()]).norm().item()
            facts["max_grad_norm"] = float(f"{0.9 * norm:.3g}")
        norm = nn.utils.clip_grad_norm_(sae.parameters(), facts["max_grad_norm"])
        facts["losses"].append(loss)
        facts["grad_norms"].append(norm.item())
        facts["lrs"].append(optimizer.param_groups[0]["lr"])
        facts["n_dead"].append(getattr(sae, "n_dead", 0))
        optimizer.step()
        schedule.step()
        sae.after_step(batches.numel())
    print(f"  {objective['name']}: loss {facts['losses'][0]:.4f} to {facts['losses'][-1]:.4f}", sums, facts["n_dead"])
    final = {name: p.detach().clone() for name, p in sae.named_parameters()} | sae.state
    return facts, tensors | {f"final.{name}": value.clone() for name, value in final.items()}


def sure(sae, x):
    """Whether no choice is so close that f32 may see it the other way round."""
    return all(bool(value.abs().min() > 5e-6 * value.abs().max()) for value in sae.doubt(x))


def generate(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    model = in_f64(folder.parent / "models" / "gpt2")
    spliced = Spliced(model, AT)
    generator = torch.Generator().manual_seed(100)
    tokens = torch.randint(model.config.vocab_size, (STEPS * ACCUMULATION * BATCH, N_CTX), generator=generator)
    first = tokens[: ACCUMULATION * BATCH]
    with torch.no_grad():
        x = spliced.run(first)[1].flatten(0, 1).float().double()
        seen = spliced.run(first)[1].flatten(0, 1).clone()
    tensors, kinds = {"tokens": tokens.int(), "x": x}, []
    median = x.mean(0)
    for _ in range(3000):
        weights = 1 / (x - median).norm(dim=1)
        median = (weights / weights.sum()) @ x
    tensors["median"] = median
    for cls in KINDS:
        for attempt in range(cls.first_seed, 200):
            torch.manual_seed(attempt)
            w = torch.randn(D_SAE, x.shape[1]).double()
            sae = cls(w / (x @ w.T).std(), x).double()
            if sure(sae, seen) and sure(sae, x):
                break
        else:
            raise ValueError(f"{cls.__name__}: choices in doubt")
        name = cls.kind if isinstance(cls.kind, str) else next(iter(cls.kind))
        init, state = {k: v.clone() for k, v in sae.state_dict().items()}, dict(sae.state)
        tensors |= {f"{name}.init.{k}": v.float() for k, v in init.items()}
        tensors |= {f"{name}.state.{k}": v.float() for k, v in state.items()}
        with torch.no_grad():
            if "threshold" in sae.state:
                sae.state["threshold"] = torch.tensor([0.5]).double()
            tensors[f"{name}.codes"] = sae.encode(x).float()
        print(name, "seed", attempt, "fires", (tensors[f"{name}.codes"] != 0).double().mean().item())
        cases = []
        for case, objective in OBJECTIVES.items():
            sae.load_state_dict(init)
            sae.state = dict(state)
            if not sae.has_penalty:
                objective = objective | dict(sparsity=0.0)
            facts, found = train(spliced, sae, tokens, objective)
            cases.append(dict(name=f"{name}.{case}", **facts))
            tensors |= {f"{name}.{case}.{key}": value for key, value in found.items()}
        names = [k for k, _ in sae.named_parameters()]
        kinds.append(dict(name=name, kind=cls.kind, parameters=names, state=list(state), cases=cases))
    tensors["x"] = x.float()
    about = dict(n_ctx=N_CTX, batch=BATCH, accumulation=ACCUMULATION, n_steps=STEPS, d_sae=D_SAE, at=AT, kinds=kinds)
    contiguous = {key: value.detach().clone(memory_format=torch.contiguous_format) for key, value in tensors.items()}
    save_file(contiguous, folder / "golden.safetensors", metadata={"golden": json.dumps(about, allow_nan=False)})
