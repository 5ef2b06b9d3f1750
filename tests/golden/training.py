"""What torch makes of training and measuring a dictionary: losses, gradients, ten optimiser steps, metrics.

Written from the definitions of end-to-end dictionary learning (Braun et al. 2024) as the e2e_sae code has them, with the
models that transformers loads from `models/`, all in f64: the activation at the hook point is replaced by a forward hook,
gradients are autograd's, the optimiser torch.optim.Adam with clip_grad_norm_ and a LambdaLR.

`golden.safetensors` holds, for each setup (model, hook point, residual frame, input scale) and each case (setup, objective):
  MODEL.tokens          [contexts, n_ctx]        in the order of training: STEPS x ACCUMULATION x BATCH contexts
  MODEL.eval            [contexts, n_ctx]        what the metrics are measured on
  SETUP.init.W          f32                      the dictionary before the first step: W_enc, b_enc, W_dec, b_dec
  CASE.grad.W           f32                      the gradient of the first step's loss, before clipping
  CASE.final.W          f64                      the dictionary after the last step
and, as JSON in its metadata under `golden`, everything that is one number.
W_enc and W_dec are [d_sae, d_in], a row per feature.
"""

import json
import math
import shutil
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

N_CTX, BATCH, ACCUMULATION, STEPS = 12, 2, 2, 10
D_SAE = 37
WARMUP, MIN_LR_FACTOR = 3, 0.1
EVAL = dict(n_contexts=7, batch=4, special=[5, 11, 40, 41, 42, 43])

OBJECTIVES = {
    "local": dict(name="local", sparsity=0.7),
    "e2e": dict(name="e2e", sparsity=0.3, kl=0.9),
    "e2e_ds": dict(name="e2e+ds", sparsity=0.4, kl=0.5, downstream=2.5),
    "kl_mse": dict(name="kl+mse", sparsity=0.6),
}
# name: model folder, hook point, residual frame, whether E|x|^2 is scaled to 1 (or how each token is), share of the features that fire
# at first
SETUPS = {
    "gpt2_resid": ("gpt2", "blocks.1.hook_resid_pre", "raw", False, 0.5),
    # two blocks come later; few features fire, so that the sparse path is taken
    "gpt2_mlp": ("gpt2", "blocks.0.hook_mlp_out", "raw", False, 0.06),
    "gpt2_centred": ("gpt2", "blocks.1.hook_resid_pre", "centred", False, 0.3),
    "gpt2_scaled": ("gpt2", "blocks.1.hook_mlp_out", "raw", True, 0.4),
    "llama_resid": ("llama", "blocks.1.hook_resid_pre", "raw", False, 0.06),
    "llama_mlp": ("llama", "blocks.1.hook_mlp_out", "raw", False, 0.5),
    # a dictionary that is wider than the residual stream
    "llama_post": ("llama", "blocks.0.mlp.hook_post", "raw", False, 0.2),
    # the heads' outputs, before the output projection
    "gpt2_z": ("gpt2", "blocks.0.attn.hook_z", "raw", False, 0.2),
    # attention and MLP in parallel: what replaces one branch is not seen by the other
    "neox_z": ("gpt_neox", "blocks.0.attn.hook_z", "raw", True, 0.4),
    "neox_post": ("gpt_neox", "blocks.1.mlp.hook_post", "raw", False, 0.3),
    # transcoders: what is read before the MLP stands for what the MLP adds
    "gpt2_transcoder": ("gpt2", "blocks.1.hook_mlp_out", "raw", False, 0.3),
    # another width on either side
    "llama_transcoder": ("llama", "blocks.0.hook_mlp_out", "raw", True, 0.5),
    # each token by itself
    "gpt2_layer_norm": ("gpt2", "blocks.1.hook_resid_pre", "raw", "layer_norm", 0.3),
    "llama_constant_norm": ("llama", "blocks.0.hook_mlp_out", "raw", "constant_norm", 0.3),
}
# where the transcoders among them read
READS = {"gpt2_transcoder": "blocks.1.hook_resid_mid", "llama_transcoder": "blocks.0.mlp.hook_post"}


def load(folder: Path) -> nn.Module:
    # sdpa has no soft caps
    attention = "eager" if AutoConfig.from_pretrained(folder).model_type == "gemma2" else "sdpa"
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation=attention).eval()


def in_f64(folder: Path) -> nn.Module:
    """The model in f64. transformers takes RMS norms and eager attention's softmax in f32 whatever the model's type; here they
    are f64 too."""
    model = load(folder).double()
    nn.functional.softmax = lambda x, dim, dtype=None: x.softmax(dim)

    def llamas(self, x):
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)

    def gemmas(self, x):
        return (1 + self.weight) * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)

    for module in model.modules():
        if type(module).__name__.endswith("RMSNorm"):
            forward = gemmas if type(module).__name__.startswith("Gemma") else llamas
            module.forward = forward.__get__(module)
    tokens = torch.arange(20)[None]
    with torch.no_grad():
        assert (model(tokens).logits - load(folder)(tokens).logits).abs().max() < 1e-4
    return model.requires_grad_(False)


def centre(model: nn.Module) -> nn.Module:
    """GPT-2 with the mean over d_model taken out of all that writes to the residual stream (`center_writing_weights`)."""
    tokens = torch.arange(20)[None]
    before = model(tokens).logits
    model.lm_head.weight = nn.Parameter(model.lm_head.weight.clone(), requires_grad=False)
    writers = [model.transformer.wte.weight, model.transformer.wpe.weight]
    for block in model.transformer.h:
        for module in (block.attn.c_proj, block.mlp.c_proj):
            writers += [module.weight, module.bias]
    for weight in writers:
        weight.data = weight - weight.mean(-1, keepdim=True)
    assert (model(tokens).logits - before).abs().max() < 1e-10
    return model


# the families' names of the same modules
BLOCKS = ("transformer.h", "gpt_neox.layers", "model.layers")
OUTPUTS = {
    "attn.hook_z": ("attn.c_proj", "attention.dense", "self_attn.o_proj"),
    "mlp.hook_post": ("mlp.c_proj", "mlp.dense_4h_to_h", "mlp.down_proj"),
}


# norms, whose input, or what they make of it before gain and bias, is read
NORMS = {"ln2.hook_normalized": ("ln_2", "post_attention_layernorm")}
READERS = OUTPUTS | NORMS | {"hook_resid_mid": NORMS["ln2.hook_normalized"]}


def normalized(norm: nn.Module, x: torch.Tensor) -> torch.Tensor:
    if isinstance(norm, nn.LayerNorm):
        return F.layer_norm(x, x.shape[-1:], eps=norm.eps)
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + norm.variance_epsilon)


def submodule(module: nn.Module, paths: tuple[str, ...]) -> nn.Module:
    """The one of `paths` that is there."""
    for path in paths:
        try:
            return module.get_submodule(path)
        except AttributeError:
            continue
    raise ValueError(f"none of {paths} in {type(module)}")


class Spliced:
    """A model with a place where an activation is read and may be replaced."""

    def __init__(self, model: nn.Module, at: str, read_at: str | None = None) -> None:
        self.model = model
        self.blocks = submodule(model, BLOCKS)
        _, layer, site = at.split(".", 2)
        block, self.layer = self.blocks[int(layer)], int(layer)
        self.replace, self.seen, self.inputs, self.last = None, None, {}, None
        # what a transcoder reads
        self.is_reading, self.read = read_at is not None, None
        if self.is_reading:
            _, read_layer, read_site = read_at.split(".", 2)
            module = submodule(self.blocks[int(read_layer)], READERS[read_site])
            of = normalized if read_site in NORMS else lambda _, x: x
            module.register_forward_pre_hook(lambda module, args: setattr(self, "read", of(module, args[0])))
        for index, each in enumerate(self.blocks):
            each.register_forward_pre_hook(lambda _, args, index=index: self.inputs.__setitem__(index, args[0]))
        self.blocks[-1].register_forward_hook(self.keep_last)
        if site == "hook_resid_pre":
            block.register_forward_pre_hook(self.on_input)
        elif site == "hook_mlp_out":
            block.mlp.register_forward_hook(lambda _, __, out: self.visit(out))
        elif site in OUTPUTS:
            submodule(block, OUTPUTS[site]).register_forward_pre_hook(self.on_input)
        else:
            raise ValueError(site)

    def keep_last(self, _, __, out):
        self.last = out[0] if isinstance(out, tuple) else out

    def on_input(self, _, args):
        return (self.visit(args[0]), *args[1:])

    def input(self):
        """What a dictionary reads, in the last pass."""
        return self.read if self.is_reading else self.seen

    def visit(self, x):
        self.seen = x
        return x if self.replace is None else self.replace(x)

    def run(self, tokens, replace=None):
        """Logits, the activation at the hook point, resid_pre of every later block by its name, the last resid_post."""
        self.replace = replace
        logits = self.model(tokens).logits
        later = {f"blocks.{k}.hook_resid_pre": self.inputs[k] for k in range(self.layer + 1, len(self.blocks))}
        return logits, self.seen, later, {f"blocks.{len(self.blocks) - 1}.hook_resid_post": self.last}


def normalised(scale: float | str, x):
    """What a dictionary sees of x, and what makes an activation of its output: by one number, or by each token's own."""
    if scale == "layer_norm":
        mean, std = x.mean(-1, keepdim=True), x.std(-1, keepdim=True)
        return (x - mean) / (std + 1e-5), lambda y: y * std + mean
    if scale == "constant_norm":
        size = x.norm(dim=-1, keepdim=True) / x.shape[-1] ** 0.5
        return x / size, lambda y: y * size
    return x * scale, lambda y: y / scale


class SAE(nn.Module):
    def __init__(self, d_in: int, d_out: int, scale: float | str) -> None:
        super().__init__()
        self.scale, self.back = scale, None
        self.encoder = nn.Linear(d_in, D_SAE)
        self.decoder = nn.Linear(D_SAE, d_out)
        self.decoder.weight.data = nn.init.orthogonal_(self.decoder.weight.data.T.clone()).T.contiguous()

    def forward(self, x, target):
        """The scaled target, the codes, the reconstruction of the scaled target. The target is x, but for transcoders."""
        c = F.relu(self.encoder(normalised(self.scale, x)[0]))
        target, self.back = normalised(self.scale, target)
        return target, c, F.linear(c, F.normalize(self.decoder.weight, dim=0), self.decoder.bias)

    def named(self, of=lambda parameter: parameter.detach()) -> dict[str, torch.Tensor]:
        encoder, decoder = self.encoder, self.decoder
        return {
            "W_enc": of(encoder.weight), "b_enc": of(encoder.bias),
            "W_dec": of(decoder.weight).T, "b_dec": of(decoder.bias),
        }  # fmt: skip


def terms_of(spliced: Spliced, sae: SAE, tokens, objective) -> dict[str, torch.Tensor]:
    """The terms that are defined for the objective, without coefficients."""
    with torch.no_grad():
        logits, _, later, _ = spliced.run(tokens)
        later = {name: value.clone() for name, value in later.items()}
    kept = []

    def replace(x):
        kept.append(sae(spliced.input(), x))
        return sae.back(kept[0][2])

    new_logits, _, new_later, _ = spliced.run(tokens, replace)
    x, c, x_hat = kept[0]
    terms = {
        "reconstruction": F.mse_loss(x_hat, x),
        "sparsity": c.norm(p=1, dim=-1).mean() / x.shape[-1],
    }
    if "kl" in objective or objective["name"] == "kl+mse":
        log_p, log_q = (F.log_softmax(l, dim=-1).flatten(0, 1) for l in (logits, new_logits))
        terms["kl"] = F.kl_div(log_q, log_p, log_target=True, reduction="batchmean")
    if "downstream" in objective:
        terms["downstream"] = sum(F.mse_loss(new_later[k], later[k]) for k in later) / len(later)
    return terms


def loss_of(terms, objective):
    if objective["name"] == "kl+mse":
        alpha = (terms["reconstruction"] / (terms["kl"] + 1e-8)).detach()
        balanced = 0.5 * (alpha * terms["kl"] + terms["reconstruction"])
        return balanced + objective["sparsity"] * terms["sparsity"]
    coefficients = {"reconstruction": 1.0 if objective["name"] == "local" else 0.0}
    coefficients |= {name: objective[name] for name in ("sparsity", "kl", "downstream") if name in objective}
    for name, coefficient in coefficients.items():
        # a term that hardly moves the parameters would not be tested
        assert coefficient == 0.0 or coefficient * terms[name].item() > 1e-3, (name, terms[name])
    return sum(coefficient * terms[name] for name, coefficient in coefficients.items())


def factor(step: int) -> float:
    """get_cosine_schedule_with_warmup: linear from 0, then half a cosine down to the smallest factor."""
    if step < WARMUP:
        return step / max(1, WARMUP)
    progress = (step - WARMUP) / max(1, STEPS - WARMUP)
    return MIN_LR_FACTOR + (1 - MIN_LR_FACTOR) * 0.5 * (1 + math.cos(math.pi * progress))


def train(spliced: Spliced, sae: SAE, tokens, objective, lr: float) -> tuple[dict, dict[str, torch.Tensor]]:
    steps = tokens.view(STEPS, ACCUMULATION, BATCH, N_CTX)
    optimizer = torch.optim.Adam(sae.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    facts, tensors = dict(objective=objective, lr=lr, losses=[], lrs=[], grad_norms=[]), {}
    for index, batches in enumerate(steps):
        optimizer.zero_grad()
        sums: dict[str, float] = {}
        loss = 0.0
        for batch in batches:
            terms = terms_of(spliced, sae, batch, objective)
            part = loss_of(terms, objective) / ACCUMULATION
            part.backward()
            loss += part.item()
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + value.item() / ACCUMULATION
        if index == 0:
            facts["terms"] = sums
            tensors = {f"grad.{name}": grad.float() for name, grad in sae.named(lambda p: p.grad.clone()).items()}
            norm = torch.cat([p.grad.flatten() for p in sae.parameters()]).norm().item()
            # some steps are clipped and some are not
            facts["max_grad_norm"] = float(f"{0.9 * norm:.3g}")
        norm = nn.utils.clip_grad_norm_(sae.parameters(), facts["max_grad_norm"])
        facts["losses"].append(loss)
        facts["grad_norms"].append(norm.item())
        facts["lrs"].append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    clipped = [norm > facts["max_grad_norm"] for norm in facts["grad_norms"]]
    first, last = facts["losses"][0], facts["losses"][-1]
    print(f"  {objective['name']}: loss {first:.4f} to {last:.4f}, {sum(clipped)} of {STEPS} steps clipped")
    return facts, tensors | {f"final.{name}": value.clone() for name, value in sae.named().items()}


def fire(sae: SAE, x: torch.Tensor, share: float) -> None:
    """Moves the encoder's bias until about `share` of the features fire, and away from where one is in doubt."""
    pre = sae.encoder(normalised(sae.scale, x)[0])
    sae.encoder.bias.data -= pre.flatten().quantile(1 - share).float().double()
    sae.encoder.bias.data = sae.encoder.bias.data.float().double()


def sure(sae: SAE, x: torch.Tensor) -> bool:
    """Whether no activation is so near 0 that f32 may see it on the other side."""
    pre = sae.encoder(normalised(sae.scale, x)[0])
    return bool(pre.abs().min() > 2e-5 * pre.abs().max())


@torch.no_grad()
def measure(spliced: Spliced, sae: SAE, at: str, contexts: torch.Tensor) -> list[dict]:
    """Every metric over the tokens of three sets: position 0, special tokens elsewhere, all others."""
    special = torch.tensor(EVAL["special"])
    position = torch.arange(contexts.shape[1])[None].expand_as(contexts)
    in_set = {
        "position_zero": position == 0,
        "special": (position > 0) & torch.isin(contexts, special),
        "ordinary": (position > 0) & ~torch.isin(contexts, special),
    }
    logits, x, later, last = spliced.run(contexts)
    read = spliced.input().clone()
    clean = {at: x.clone()} | {name: value.clone() for name, value in (later | last).items()}
    _, codes, x_hat = sae(read, clean[at])
    x_hat = sae.back(x_hat)
    new_logits, _, new_later, new_last = spliced.run(contexts, lambda _: x_hat)
    new = {at: x_hat} | new_later | new_last
    log_p, log_q = logits.log_softmax(-1), new_logits.log_softmax(-1)
    kl = (log_p.exp() * (log_p - log_q)).sum(-1)
    target = contexts[:, 1:, None]
    ce, ce_new = (-log.gather(2, torch.cat([target, target[:, :1]], 1))[..., 0] for log in (log_p, log_q))
    # per batch of contexts: each token's distance from the mean over the batch's tokens of its set
    def distance(value, mask):
        out = torch.zeros(mask.shape, dtype=torch.float64)
        for first in range(0, len(contexts), EVAL["batch"]):
            rows = slice(first, first + EVAL["batch"])
            mean = value[rows][mask[rows]].mean(0)
            out[rows] = (value[rows] - mean).pow(2).sum(-1)
        return out

    mean = clean[at][in_set["ordinary"]].mean(0)
    ablated = {}
    for name, vector in (("zero", torch.zeros_like(mean)), ("mean", mean)):
        log_a = spliced.run(contexts, lambda x, vector=vector: vector.expand_as(x))[0].log_softmax(-1)
        ce_a = -log_a.gather(2, torch.cat([target, target[:, :1]], 1))[..., 0]
        ablated[name] = (ce_a, (log_p.exp() * (log_p - log_a)).sum(-1))

    measured = []
    for tokens, mask in in_set.items():

        def add(name, value, n=int(mask.sum()), place=None):
            measured.append(dict(name=name, at=place, tokens=tokens, n_tokens=n, value=float(value)))

        firings = (codes != 0)[mask]
        add("l0", firings.sum(-1).double().mean())
        add("l1", codes[mask].abs().sum(-1).mean())
        if tokens == "ordinary":
            add("alive", (firings.sum(0) >= 1).sum())
            add("alive_10", (firings.sum(0) >= 10).sum())
            density = firings.double().mean(0)
            add("frac_alive", (density > 0).double().mean())
            for percent in (1, 10):
                over = density > percent / 100
                add(f"freq_over_{percent}_percent", over.double().mean())
                add(f"normalized_freq_over_{percent}_percent", density[over].sum() / density.sum())
            for name, rows in (("decoder", sae.named()["W_dec"]), ("encoder", sae.named()["W_enc"])):
                for suffix, rows in (("", rows), ("_alive", rows[density > 0])):
                    cosines = F.normalize(rows, dim=-1) @ F.normalize(rows, dim=-1).T
                    cosines.fill_diagonal_(-math.inf)
                    add(f"average_max_{name}_cosine_sim{suffix}", cosines.max(-1).values.mean())
        has_next = mask & (position + 1 < contexts.shape[1])
        n_next = int(has_next.sum())
        add("ce_loss_without_sae", ce[has_next].mean(), n_next)
        add("ce_loss_with_sae", ce_new[has_next].mean(), n_next)
        add("ce_increase", (ce_new - ce)[has_next].mean(), n_next)
        add("perplexity_without_sae", ce[has_next].mean().exp(), n_next)
        add("perplexity_with_sae", ce_new[has_next].mean().exp(), n_next)
        for name, of, suffix in (("zero", "ablation", ""), ("mean", "mean_ablation", "_mean")):
            ce_a = ablated[name][0][has_next].mean()
            add(f"ce_loss_with_{of}", ce_a, n_next)
            recovered = (ce_a - ce_new[has_next].mean()) / (ce_a - ce[has_next].mean())
            add(f"ce_loss_score{suffix}", recovered, n_next)
        add("kl_div_with_sae", kl[mask].mean())
        kl_zero = ablated["zero"][1][mask].mean()
        add("kl_div_with_ablation", kl_zero)
        add("kl_div_score", (kl_zero - kl[mask].mean()) / kl_zero)
        x, y = clean[at][mask], x_hat[mask]
        norms, norms_hat = x.norm(dim=-1), y.norm(dim=-1)
        add("cossim", F.cosine_similarity(x, y, dim=-1, eps=1e-12).mean())
        add("l2_norm_in", norms.mean())
        add("l2_norm_out", norms_hat.mean())
        add("relative_reconstruction_bias", y.pow(2).sum(-1).mean() / (x * y).sum(-1).mean())
        solution = torch.linalg.lstsq(torch.stack([norms, torch.ones_like(norms)], 1), norms_hat[:, None]).solution
        add("norm_slope", solution[0])
        add("norm_intercept", solution[1])
        add("frac_variance_explained", 1 - (x - y).var(0, correction=0).sum() / x.var(0, correction=0).sum())
        add("fvu", (x - y).pow(2).sum() / (x - x.mean(0)).pow(2).sum())
        add("l2_ratio", (x_hat.norm(dim=-1) / clean[at].norm(dim=-1))[mask].mean())
        error = (clean[at] - x_hat).pow(2).sum(-1)
        add("explained_variance_e2e_sae", (1 - error / distance(x_hat, mask))[mask].mean())
        for name, value in clean.items():
            error = (value - new[name]).pow(2).sum(-1)
            pooled = 1 - error[mask].sum() / (value[mask] - value[mask].mean(0)).pow(2).sum()
            for place in (None, name) if name == at else (name,):
                add("explained_variance", pooled, place=place)
                add("explained_variance_legacy", (1 - error / distance(value, mask))[mask].mean(), place=place)
                add("mse", (value - new[name])[mask].pow(2).mean(), place=place)
    return measured


def generate(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    tensors: dict[str, torch.Tensor] = {}
    setups = []
    for seed, (name, (model_name, at, frame, scaled, share)) in enumerate(SETUPS.items()):
        model = in_f64(folder.parent / "models" / model_name)
        read_at = READS.get(name)
        spliced = Spliced(centre(model) if frame == "centred" else model, at, read_at)
        generator = torch.Generator().manual_seed(100)
        d_vocab = model.config.vocab_size

        def contexts(n):
            return torch.randint(d_vocab, (n, N_CTX), generator=generator)

        tokens, held_out = contexts(STEPS * ACCUMULATION * BATCH), contexts(EVAL["n_contexts"])
        # a special token at position 0 counts as position 0
        held_out[2, 0] = EVAL["special"][0]
        # at least two special tokens in each batch: one alone has no variance
        held_out[[0, 3, 4, 6], [3, 11, 5, 7]] = torch.tensor(EVAL["special"][:4])
        tensors |= {f"{model_name}.tokens": tokens.int(), f"{model_name}.eval": held_out.int()}

        with torch.no_grad():
            d_out = spliced.run(tokens)[1].shape[-1]
            x = spliced.input().clone()
            spliced.run(held_out)
            x_eval = spliced.input().clone()
        scale = float(x.pow(2).sum(-1).mean().rsqrt()) if scaled else 1.0
        if isinstance(scaled, str):
            scale = scaled
        for attempt in range(100):
            torch.manual_seed(1000 * seed + attempt)
            sae = SAE(x.shape[-1], d_out, scale).double()
            fire(sae, x, share)
            if sure(sae, x) and sure(sae, x_eval):
                break
        else:
            raise ValueError(f"{name}: activations in doubt")
        init = {key: value.clone() for key, value in sae.state_dict().items()}
        tensors |= {f"{name}.init.{key}": value.float() for key, value in sae.named().items()}
        metrics = measure(spliced, sae, at, held_out)
        print(name, "seed", attempt, "scale", scale)
        cases = []
        for case, objective in OBJECTIVES.items():
            sae.load_state_dict(init)
            facts, found = train(spliced, sae, tokens, objective, 0.02)
            cases.append(dict(name=f"{name}.{case}", **facts))
            tensors |= {f"{name}.{case}.{key}": value for key, value in found.items()}
        setups.append(
            dict(name=name, model=model_name, at=at, read_at=read_at, residual=frame, scale=scale, metrics=metrics, cases=cases)
        )
    about = dict(
        n_ctx=N_CTX, batch=BATCH, accumulation=ACCUMULATION, n_steps=STEPS, d_sae=D_SAE,
        schedule=dict(warmup_steps=WARMUP, min_lr_factor=MIN_LR_FACTOR),
        eval_batch=EVAL["batch"], special=EVAL["special"], setups=setups,
    )  # fmt: skip
    contiguous = {key: value.detach().clone(memory_format=torch.contiguous_format) for key, value in tensors.items()}
    save_file(contiguous, folder / "golden.safetensors", metadata={"golden": json.dumps(about, allow_nan=False)})
