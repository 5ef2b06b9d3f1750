"""Tiny seeded models of every family, saved by transformers itself, and what torch computes with them.

Each folder holds a model and `golden.safetensors`:
  tokens            [n]            the context
  logits            [n, d_vocab]
  resid_pre.L       [n, d_model]   the input of block L
  resid_post        [n, d_model]   the output of the last block
  normed            [n, d_model]   the final norm's output
and a gradient by autograd: with `replaced` in the place of resid_pre.`layer`, that of
  sum(logits * weight.logits) + sum over L > layer of sum(resid_pre.L * weight.L)
  layer, replaced, weight.logits, weight.L, grad [n, d_model]; logits_replaced [n, d_vocab]

and `norms.safetensors`, what the two norms of each block make of the residual stream before their gain and bias:
  ln1.L, ln2.L                  [n, d_model]   before attention and before the MLP
  ln1.replaced, ln2.replaced    [n, d_model]   in the place of those of block `layer`
  ln1.grad, ln2.grad            [n, d_model]   the gradient of the same sum by them
"""

import random
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GPT2Config,
    GPTNeoConfig,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

LLAMA = dict(
    vocab_size=64, hidden_size=16, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=128, bos_token_id=1, eos_token_id=2,
)  # fmt: skip
NEOX = dict(
    vocab_size=64, hidden_size=16, intermediate_size=48, num_hidden_layers=3, num_attention_heads=2,
    max_position_embeddings=32, bos_token_id=0, eos_token_id=0,
)  # fmt: skip
LLAMA3 = dict(
    rope_type="llama3", rope_theta=500.0, factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
    original_max_position_embeddings=64,
)  # fmt: skip

# heads that are not d_model / n_heads wide; a context of 72 tokens is longer than the window and than a tile of query rows
GROUPED = dict(
    vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=3, num_attention_heads=4,
    num_key_value_heads=2, head_dim=6, sliding_window=20, max_position_embeddings=128, bos_token_id=1, eos_token_id=2,
)  # fmt: skip

# name: config, tokens of the context, block whose input is replaced
CASES = {
    "gpt2": (GPT2Config(vocab_size=67, n_positions=32, n_embd=24, n_layer=3, n_head=3), 24, 1),
    # everything that GPT-2's config may change
    "gpt2_variant": (
        GPT2Config(
            vocab_size=64, n_positions=32, n_embd=16, n_layer=3, n_head=2, n_inner=40, activation_function="relu",
            scale_attn_by_inverse_layer_idx=True, tie_word_embeddings=False, layer_norm_epsilon=1e-3,
        ),
        32,
        0,
    ),
    # a window that spans two tiles of query rows and leaves keys unseen
    "gpt_neo": (
        GPTNeoConfig(
            vocab_size=64, max_position_embeddings=160, hidden_size=16, num_layers=4, num_heads=2,
            attention_types=[[["global", "local"], 2]], window_size=40,
        ),
        150,
        1,
    ),
    "gpt_neox": (GPTNeoXConfig(**NEOX, rope_parameters=dict(rope_theta=10000.0, partial_rotary_factor=0.25)), 24, 1),
    "gpt_neox_sequential": (
        GPTNeoXConfig(
            **NEOX, use_parallel_residual=False, attention_bias=False, hidden_act="gelu_new", tie_word_embeddings=True,
            rope_parameters=dict(rope_theta=10000.0, partial_rotary_factor=0.5),
        ),
        24,
        1,
    ),
    "llama": (LlamaConfig(**LLAMA), 100, 1),
    "llama3": (
        LlamaConfig(
            **LLAMA, tie_word_embeddings=True, attention_bias=True, mlp_bias=True, head_dim=6, rope_parameters=LLAMA3
        ),
        128,
        0,
    ),
    "llama_linear": (LlamaConfig(**LLAMA, rope_parameters=dict(rope_type="linear", factor=2.0, rope_theta=100.0)), 24, 2),
    "llama_f16": (LlamaConfig(**LLAMA, dtype="float16"), 24, 1),
    "llama_bf16": (LlamaConfig(**LLAMA, dtype="bfloat16"), 24, 1),
    # caps that bend most scores and logits
    "gemma2": (
        Gemma2Config(
            **GROUPED, query_pre_attn_scalar=3, attn_logit_softcapping=2.0, final_logit_softcapping=1.5, rms_norm_eps=1e-3,
            pad_token_id=None,
        ),
        72,
        1,
    ),
    "gemma2_variant": (
        Gemma2Config(
            **GROUPED, attn_logit_softcapping=None, final_logit_softcapping=None, attention_bias=True, pad_token_id=None,
            tie_word_embeddings=False, hidden_activation="silu", rope_parameters=dict(rope_type="default", rope_theta=100.0),
            layer_types=["full_attention", "sliding_attention", "sliding_attention"],
        ),
        72,
        0,
    ),
    "mistral": (MistralConfig(**GROUPED), 72, 1),
    "qwen2": (Qwen2Config(**GROUPED, use_sliding_window=True, max_window_layers=1), 72, 0),
    "qwen3": (Qwen3Config(**GROUPED, use_sliding_window=True, max_window_layers=2, rms_norm_eps=1e-3), 72, 0),
    "qwen3_variant": (Qwen3Config(**GROUPED, attention_bias=True, tie_word_embeddings=True), 24, 1),
}  # fmt: skip
SHARDED = {"llama": "12KB"}


def generate(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for seed, (name, (config, n_tokens, layer)) in enumerate(CASES.items()):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
        randomise(model)
        if config.dtype is not None:
            model = model.to(config.dtype)
        model.save_pretrained(folder / name, max_shard_size=SHARDED.get(name, "1GB"))
        tokens = torch.randint(config.vocab_size, (n_tokens,))
        write_golden(folder / name, tokens, layer)
        write_norms(folder / name)
        print(name)
    tiny(folder / "tiny")


def randomise(model: torch.nn.Module) -> None:
    """Numbers at which every part of the forward pass matters: torch's own init leaves biases 0 and attention flat."""
    # Gemma stores gains less 1
    gain = 0 if model.config.model_type == "gemma2" else 1
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2:
                parameter.normal_(0, 0.3)
            elif name.endswith("bias"):
                parameter.normal_(0, 0.1)
            else:
                parameter.normal_(gain, 0.2)


def blocks_of(model: torch.nn.Module) -> torch.nn.ModuleList:
    for path in ("transformer.h", "gpt_neox.layers", "model.layers"):
        try:
            return model.get_submodule(path)
        except AttributeError:
            continue
    raise ValueError(f"no blocks in {type(model)}")


def write_golden(folder: Path, tokens: torch.Tensor, layer: int) -> None:
    """Loads the folder as a stranger would, in f32, and writes down what torch makes of it."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    blocks = blocks_of(model)
    replaced: list[torch.Tensor] = []
    inputs: dict[int, torch.Tensor] = {}
    last: list[torch.Tensor] = []

    def before(index: int):
        def hook(_, args):
            if replaced and index == layer:
                return (replaced[0][None], *args[1:])
            inputs[index] = args[0][0]

        return hook

    for index, block in enumerate(blocks):
        block.register_forward_pre_hook(before(index))
    blocks[-1].register_forward_hook(lambda _, __, out: last.append((out[0] if isinstance(out, tuple) else out)[0]))

    with torch.no_grad():
        out = model(tokens[None], output_hidden_states=True)
    golden = {"tokens": tokens.int(), "logits": out.logits[0], "resid_post": last[0], "normed": out.hidden_states[-1][0]}
    golden |= {f"resid_pre.{index}": inputs[index] for index in range(len(blocks))}

    x = inputs[layer] + 0.3 * torch.randn(inputs[layer].shape)
    replaced.append(x.detach().clone().requires_grad_())
    inputs.clear()
    logits = model(tokens[None]).logits[0]
    weights = {"logits": torch.randn(logits.shape)}
    value = (logits * weights["logits"]).sum()
    for index in range(layer + 1, len(blocks)):
        weights[str(index)] = torch.randn(inputs[index].shape)
        value = value + (inputs[index] * weights[str(index)]).sum()
    value.backward()
    golden |= {"layer": torch.tensor([layer]).int(), "replaced": replaced[0], "grad": replaced[0].grad}
    golden |= {"logits_replaced": logits} | {f"weight.{name}": weight for name, weight in weights.items()}
    save_file({name: tensor.detach().contiguous() for name, tensor in golden.items()}, folder / "golden.safetensors")


# the families' names of the norms before attention and before the MLP; Gemma's second one comes after attention
NORMS = {
    "ln1": ("ln_1", "input_layernorm"),
    "ln2": ("ln_2", "pre_feedforward_layernorm", "post_attention_layernorm"),
}


def normalized(norm: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What a norm makes of x, by torch's own function without weights."""
    if isinstance(norm, torch.nn.LayerNorm):
        return torch.nn.functional.layer_norm(x, x.shape[-1:], eps=norm.eps)
    return torch.nn.functional.rms_norm(x, x.shape[-1:], eps=getattr(norm, "variance_epsilon", None) or norm.eps)


def with_gain(norm: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What a norm gives for x, which is normalised already."""
    if isinstance(norm, torch.nn.LayerNorm):
        return x * norm.weight + norm.bias
    return x * (1 + norm.weight if type(norm).__name__.startswith("Gemma") else norm.weight)


def write_norms(folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    model.requires_grad_(False)
    blocks, before = blocks_of(model), load_file(folder / "golden.safetensors")
    tokens, layer = before["tokens"].long()[None], int(before["layer"])
    generator = torch.Generator().manual_seed(0)
    golden, inputs = {}, {}

    def norm_of(block, site):
        return next(getattr(block, name) for name in NORMS[site] if hasattr(block, name))

    for index, block in enumerate(blocks):
        block.register_forward_pre_hook(lambda _, args, index=index: inputs.__setitem__(index, args[0][0]))
        for site in NORMS:
            keep = lambda norm, args, name=f"{site}.{index}": golden.__setitem__(name, normalized(norm, args[0])[0])
            norm_of(block, site).register_forward_pre_hook(keep)
    model(tokens)
    clean = dict(golden)
    for site in NORMS:
        norm = norm_of(blocks[layer], site)
        x = clean[f"{site}.{layer}"]
        replaced = (x + 0.3 * torch.randn(x.shape, generator=generator)).requires_grad_()
        norm.forward = lambda _, norm=norm, replaced=replaced: with_gain(norm, replaced)[None]
        value = (model(tokens).logits[0] * before["weight.logits"]).sum()
        for index in range(layer + 1, len(blocks)):
            value = value + (inputs[index] * before[f"weight.{index}"]).sum()
        value.backward()
        golden |= {f"{site}.replaced": replaced, f"{site}.grad": replaced.grad}
        del norm.forward
    # the passes with a replacement have been seen, too
    tensors = golden | clean
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, folder / "norms.safetensors")


NAMES = ["Lily", "Tom", "Mia", "Ben", "Anna", "Sam"]
ANIMALS = ["cat", "dog", "bird", "fox", "frog", "bear"]
PLACES = ["park", "garden", "forest", "house", "river", "school"]
THINGS = ["ball", "cake", "book", "box", "flower", "stone"]
MOODS = ["happy", "sad", "brave", "tired", "kind", "scared"]


def story(rng: random.Random) -> str:
    name, friend = rng.sample(NAMES, 2)
    animal, place, thing, mood = map(rng.choice, (ANIMALS, PLACES, THINGS, MOODS))
    middle = rng.choice(
        [
            f"{name} saw a little {animal}. The {animal} was {mood}.",
            f"{name} found a big {thing} and gave the {thing} to {friend}.",
            f'{friend} said, "Where is my {thing}?" {name} said, "It is in the {place}."',
            f"{name} and {friend} played with the {thing} all day.",
        ]
    )
    end = rng.choice([f"{name} was very {mood}.", f"Then they went home.", f"{friend} and the {animal} smiled."])
    return f"One day, {name} went to the {place}. {middle} {end}"


def tiny(folder: Path) -> None:
    """The small model with a tokenizer of its own that the tests of the browser and the commands use: a GPT-2 that has
    read a few thousand made-up stories, so that its predictions mean something."""
    rng, n_ctx = random.Random(0), 64
    stories = [story(rng) for _ in range(4000)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=384,
        special_tokens=["<|bos|>", "<|eos|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(stories, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|bos|>", eos_token="<|eos|>", model_max_length=n_ctx
    )
    bos, eos = fast.bos_token_id, fast.eos_token_id

    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(fast), n_positions=n_ctx, n_embd=32, n_layer=3, n_head=4,
        bos_token_id=bos, eos_token_id=eos, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    ids = [id for text in stories for id in (bos, *fast.encode(text))]
    chunks = torch.tensor(ids[: len(ids) // n_ctx * n_ctx]).view(-1, n_ctx)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for step in range(500):
        batch = chunks[torch.randint(len(chunks), (16,))]
        loss = model(batch, labels=batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for group in optimizer.param_groups:
            group["lr"] = 5e-3 * (1 - step / 500)
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    tokens = torch.tensor([bos, *fast.encode("One day, Lily went to the park. Lily saw a little fox.")])
    write_golden(folder, tokens, 1)
    write_norms(folder)
    print(f"tiny: {len(fast)} tokens, loss {loss.item():.3f} nats")
