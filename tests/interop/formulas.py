"""Tools that are no packages of PyPI: their files are read with what they read them with, and their forward passes are written out here.

Each function reads the folder of one dictionary and gives acts [n, d_sae], x_hat [n, d_out] and the decoder's rows [d_sae, d_out].
"""

import json
import sys
import types
from pathlib import Path

import numpy as np
import torch
import yaml
from safetensors.torch import load_file
from torch.nn import functional as F


def top(z, k: int):
    """z's k largest, at their places."""
    values, ids = torch.topk(z, k, dim=-1)
    return torch.zeros_like(z).scatter_(-1, ids, values)


def sparsify(folder: Path, x):
    cfg = json.loads((folder / "cfg.json").read_text())
    tensors = load_file(folder / "sae.safetensors")
    d_in, n, skips = cfg["d_in"], cfg["num_latents"], cfg["skip_connection"]
    shapes = {"encoder.weight": (n, d_in), "encoder.bias": (n,), "W_dec": (n, d_in), "b_dec": (d_in,)}
    shapes |= {"W_skip": (d_in, d_in)} if skips else {}
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == shapes, cfg
    assert cfg["activation"] == "topk" and not cfg["multi_topk"] and n <= d_in * cfg["expansion_factor"], cfg
    seen = x if cfg["transcode"] else x - tensors["b_dec"]
    acts = top(F.relu(F.linear(seen, tensors["encoder.weight"], tensors["encoder.bias"])), cfg["k"])
    x_hat = acts @ tensors["W_dec"] + tensors["b_dec"]
    if skips:
        x_hat = x_hat + x @ tensors["W_skip"].mT
    return acts, x_hat, tensors["W_dec"]


class OpenAi(torch.nn.Module):
    """As openai/sparse_autoencoder's `Autoencoder`, for what a strict load asks for."""

    def __init__(self, n_latents: int, n_inputs: int):
        super().__init__()
        self.pre_bias = torch.nn.Parameter(torch.zeros(n_inputs))
        self.encoder = torch.nn.Linear(n_inputs, n_latents, bias=False)
        self.latent_bias = torch.nn.Parameter(torch.zeros(n_latents))
        self.decoder = torch.nn.Linear(n_latents, n_inputs, bias=False)
        self.register_buffer("stats_last_nonzero", torch.zeros(n_latents, dtype=torch.long))
        self.register_buffer("latents_activation_frequency", torch.ones(n_latents))
        self.register_buffer("latents_mean_square", torch.zeros(n_latents))


def openai(folder: Path, x):
    (path,) = folder.glob("*.pt")
    state = torch.load(path, weights_only=True)
    activation, own = state.pop("activation"), state.pop("activation_state_dict")
    assert set(own) == {"ReLU": set(), "TopK": {"k", "postact_fn"}}[activation], own
    assert state["stats_last_nonzero"].dtype == torch.long
    sae = OpenAi(*state["encoder.weight"].shape)
    sae.load_state_dict(state, strict=True)
    normalises = activation == "TopK"
    mean, spread = 0.0, 1.0
    if normalises:
        mean = x.mean(dim=-1, keepdim=True)
        spread = (x - mean).std(dim=-1, keepdim=True)
    seen = (x - mean) / (spread + 1e-5) if normalises else x
    z = F.linear(seen - sae.pre_bias, sae.encoder.weight, sae.latent_bias)
    if normalises:
        assert own["postact_fn"] == "ReLU"
        acts = F.relu(top(z, own["k"]))
    else:
        acts = F.relu(z)
    return acts, (sae.decoder(acts) + sae.pre_bias) * spread + mean, sae.decoder.weight.T


def gemma_scope(folder: Path, x):
    with np.load(folder / "params.npz", allow_pickle=False) as found:
        params = {name: torch.from_numpy(found[name]) for name in found}
    assert set(params) == {"W_enc", "W_dec", "b_enc", "b_dec", "threshold"}, set(params)
    assert all(value.dtype == torch.float32 for value in params.values())
    z = x @ params["W_enc"] + params["b_enc"]
    acts = (z > params["threshold"]) * F.relu(z)
    return acts, acts @ params["W_dec"] + params["b_dec"], params["W_dec"]


class E2eSae(torch.nn.Module):
    """As e2e_sae's `SAE`."""

    def __init__(self, input_size: int, n_dict_components: int):
        super().__init__()
        self.encoder = torch.nn.Sequential(torch.nn.Linear(input_size, n_dict_components), torch.nn.ReLU())
        self.decoder = torch.nn.Linear(n_dict_components, input_size)


def e2e_sae(folder: Path, x):
    config = yaml.safe_load((folder / "final_config.yaml").read_text())
    assert config["tlens_model_name"] == "tiny" and config["tlens_model_path"] is None, config
    checkpoint = max(folder.glob("*.pt"), key=lambda path: int(path.stem.split("_")[-1]))
    (position,) = config["saes"]["sae_positions"]
    assert position == "blocks.3.hook_resid_post"
    width = x.shape[-1]
    sae = E2eSae(width, int(config["saes"]["dict_size_to_input_ratio"] * width))
    saes = torch.nn.ModuleDict({position.replace(".", "-"): sae})
    saes.load_state_dict(torch.load(checkpoint, weights_only=True))
    acts = sae.encoder(x)
    rows = F.normalize(sae.decoder.weight, dim=0)
    return acts, F.linear(acts, rows, bias=sae.decoder.bias), rows.T


def sparse_coding(folder: Path, x):
    """Their module by its name, with classes that keep what they are given."""
    module = types.ModuleType("autoencoders.learned_dict")
    for name in ("TiedSAE", "UntiedSAE"):
        setattr(module, name, type(name, (), {"__module__": module.__name__}))
    sys.modules["autoencoders"], sys.modules[module.__name__] = types.ModuleType("autoencoders"), module
    ((learned, hyperparameters),) = torch.load(folder / "learned_dicts.pt", weights_only=False)
    assert hyperparameters["dict_size"] == learned.n_feats and learned.activation_size == x.shape[-1]

    def unit(rows):
        return rows / torch.clamp(rows.norm(dim=-1), 1e-8)[:, None]

    if type(learned).__name__ == "UntiedSAE":
        acts, rows = F.relu(x @ learned.encoder.T + learned.encoder_bias), unit(learned.decoder)
        return acts, acts @ rows, rows
    centred = (x - learned.center_trans) @ learned.center_rot.T * learned.center_scale
    encoder = unit(learned.encoder) if learned.norm_encoder else learned.encoder
    acts, rows = F.relu(centred @ encoder.T + learned.encoder_bias), unit(learned.encoder)
    return acts, (acts @ rows / learned.center_scale) @ learned.center_rot + learned.center_trans, rows


FORMULAS = {
    "sparsify": sparsify,
    "openai": openai,
    "gemma_scope": gemma_scope,
    "e2e_sae": e2e_sae,
    "sparse_coding": sparse_coding,
}
