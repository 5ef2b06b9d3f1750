"""What torch makes of training a language model itself: the loss, the gradient of every weight, ten steps of AdamW; and what
transformers makes of a folder that `saescope pretrain` wrote.

`golden.safetensors` holds, for each model M of `models/`, in f64 throughout:
  M.tokens              [STEPS x BATCH, N]       contexts; the first BATCH are the first step's
  M.grad.NAME           f32                      the gradient of the first batch's mean cross-entropy of the next token
  M.final.NAME          f64                      for STEPPED: the weights after the last step
and, as JSON in its metadata under `golden`, everything that is one number.
`written/` is a folder made by the command in its README (of four hundred made-up stories); `written.safetensors` has `tokens` [n] and `logits` [n, d_vocab].
"""

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from training import in_f64
from transformers import AutoModelForCausalLM, AutoTokenizer

N, BATCH, STEPS = 20, 5, 10
WARMUP, MIN_LR_FACTOR = 3, 0.1
LR, BETAS, EPS, WEIGHT_DECAY = 3e-3, (0.9, 0.95), 1e-8, 0.1
MODELS = ["gpt2", "gpt2_variant", "gpt_neox", "gpt_neox_sequential", "llama", "llama3", "mistral", "qwen2", "qwen3", "gemma2"]
STEPPED = "gpt2"
TEXT = "One day, Lily went to the park. She saw a little dog."


def generate(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)
    tensors, facts = {}, {}
    for name in MODELS:
        model = in_f64(folder.parent / "models" / name).requires_grad_(True)
        tokens = torch.randint(model.config.vocab_size, (STEPS * BATCH, N))
        tensors[f"{name}.tokens"] = tokens.int()
        loss = loss_of(model, tokens[:BATCH])
        loss.backward()
        for parameter, value in model.named_parameters():
            tensors[f"{name}.grad.{stored(name, parameter)}"] = value.grad.float().contiguous()
        facts[name] = dict(loss=loss.item())
        if name == STEPPED:
            facts["steps"] = ten_steps(model, tokens.view(STEPS, BATCH, N))
            for parameter, value in model.named_parameters():
                tensors[f"{name}.final.{parameter}"] = value.detach().clone()
    save_file(tensors, folder / "golden.safetensors", metadata={"golden": json.dumps(facts)})
    if (folder / "written").is_dir():
        written(folder)


def stored(model: str, parameter: str) -> str:
    """The name of a parameter in the checkpoint."""
    return parameter.replace("lm_head", "embed_out") if model.startswith("gpt_neox") else parameter


def loss_of(model: torch.nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    logits = model(tokens[:, :-1]).logits
    return F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


def factor(step: int) -> float:
    if step < WARMUP:
        return step / WARMUP
    progress = (step - WARMUP) / (STEPS - WARMUP)
    return MIN_LR_FACTOR + (1 - MIN_LR_FACTOR) * 0.5 * (1 + math.cos(math.pi * progress))


def ten_steps(model: torch.nn.Module, batches: torch.Tensor) -> dict:
    model.zero_grad()
    parameters = list(model.parameters())
    groups = [
        dict(params=[p for p in parameters if p.ndim > 1], weight_decay=WEIGHT_DECAY),
        dict(params=[p for p in parameters if p.ndim == 1], weight_decay=0.0),
    ]
    optimizer = torch.optim.AdamW(groups, lr=LR, betas=BETAS, eps=EPS)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    facts = dict(losses=[], grad_norms=[], lrs=[])
    for index, batch in enumerate(batches):
        optimizer.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        if index == 0:
            norm = torch.cat([p.grad.flatten() for p in parameters]).norm().item()
            # some steps are clipped and some are not
            facts["max_grad_norm"] = float(f"{0.97 * norm:.3g}")
        norm = torch.nn.utils.clip_grad_norm_(parameters, facts["max_grad_norm"])
        facts["losses"].append(loss.item())
        facts["grad_norms"].append(norm.item())
        facts["lrs"].append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    clipped = sum(norm > facts["max_grad_norm"] for norm in facts["grad_norms"])
    print(f"loss {facts['losses'][0]:.4f} to {facts['losses'][-1]:.4f}, {clipped} of {STEPS} steps clipped")
    assert 0 < clipped < STEPS
    return facts | dict(
        model=STEPPED, n_steps=STEPS, batch=BATCH, warmup=WARMUP, min_lr_factor=MIN_LR_FACTOR, lr=LR, beta1=BETAS[0],
        beta2=BETAS[1], eps=EPS, weight_decay=WEIGHT_DECAY,
    )  # fmt: skip


@torch.no_grad()
def written(folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(folder / "written", dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder / "written")
    assert tokenizer.bos_token_id is not None and tokenizer.decode(tokenizer.encode(TEXT)) == TEXT
    tokens = torch.tensor([tokenizer.bos_token_id] + tokenizer.encode(TEXT))[: model.config.n_positions]
    logits = model(tokens[None]).logits[0].contiguous()
    save_file({"tokens": tokens.int(), "logits": logits}, folder / "written.safetensors", metadata={"text": TEXT})
