"""Small dictionaries in the files of other tools, and what each tool's own formulas make of them.

The files are written with torch.save, numpy and safetensors, in the names and shapes of SAELens 6.54, dictionary_learning, sparsify,
openai/sparse_autoencoder, Gemma Scope, Llama Scope, Goodfire, qresearch, Qwen Scope, e2e_sae and sparse_coding; the forward passes
are theirs, written out here in f64 on the weights as the file holds them.

`NAME/` holds a case's files, `golden.safetensors` for each case:
  NAME.acts     [n, d_sae]   the activations, as the tool has them
  NAME.lengths  [d_sae]      what ours are taken times: the lengths of the decoder's rows, 1 where the method divides by them
  NAME.x_hat    [n, d_in]    the reconstruction
and `x` [n, d_in] for all of them. `bad/` holds files that are to be refused, `e2e_gpt2/` and `tiny/` dictionaries
of the tiny seeded model.
"""

import io
import json
import os
import shutil
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from _format import AT, D_IN, D_SAE, Golden, abstopk, constant_norm, draw, layer_norm, pursue, topk, weights
from _interrupted import interrupted
from _layers import linears, tiny


def saelens(golden: Golden) -> None:
    x = golden.x.double()
    metadata = {"model_name": "tiny", "hook_name": AT, "hook_head_index": None, "context_size": 32, "sae_lens_version": "6.54.12"}

    def case(
        name, architecture, w, acts, cfg=None, flat=False, dtype=torch.float32, decoder=None, own=None, sparsity=False,
        back=lambda y: y, b_dec=None,
    ):
        stored = {key: value.to(dtype) if value.dtype == torch.float32 else value for key, value in {**w, **(own or {})}.items()}
        decoder, b_dec = (w["W_dec"] if decoder is None else decoder).double(), (w["b_dec"] if b_dec is None else b_dec).double()
        folder = golden.add(name, acts, decoder, b_dec, back=back)
        save_file(stored, folder / "sae_weights.safetensors")
        config = {"d_in": D_IN, "d_sae": D_SAE, "dtype": "float32", "device": "cpu", "normalize_activations": "none", **(cfg or {})}
        if architecture:
            config["architecture"] = architecture
        if flat:
            config.update({"hook_point": AT, "model_name": "tiny", "context_size": 32, "lr": 4e-4, "seed": 7, "training_tokens": 1000})
        else:
            config["metadata"] = metadata
        (folder / "cfg.json").write_text(json.dumps(config, indent=1))
        if sparsity:
            save_file({"sparsity": torch.linspace(-6, -1, D_SAE)}, folder / "sparsity.safetensors")

    def parts(w):
        return (w[key].double() for key in ("W_enc", "b_enc", "W_dec", "b_dec"))

    def pre(w, subtracts):
        w_enc, b_enc, _, b_dec = parts(w)
        return (x - b_dec if subtracts else x) @ w_enc + b_enc

    w = weights(10)
    case("saelens_standard", "standard", w, pre(w, True).relu(), {"apply_b_dec_to_input": True}, sparsity=True)
    case("saelens_standard_plain", "standard", w, pre(w, False).relu(), {"apply_b_dec_to_input": False})
    case("saelens_flat", None, w, pre(w, True).relu(), flat=True)
    for name, dtype in [("f16", torch.float16), ("bf16", torch.bfloat16), ("f64", torch.float64)]:
        rounded = {key: value.to(dtype).float() for key, value in weights(14).items()}
        case(f"saelens_{name}", "standard", rounded, pre(rounded, True).relu(), dtype=dtype)

    scaling = draw(20, D_SAE).exp()
    case(
        "saelens_finetuned", "standard", w, pre(w, True).relu(), {"finetuning_scaling_factor": True}, flat=True,
        decoder=w["W_dec"] * scaling[:, None], own={"scaling_factor": scaling},
    )

    w = weights(30)
    gate = {"b_gate": 0.3 * draw(31, D_SAE), "r_mag": 0.4 * draw(32, D_SAE), "b_mag": 0.3 * draw(33, D_SAE)}
    for name, subtracts in [("saelens_gated", True), ("saelens_gated_plain", False)]:
        _, _, _, b_dec = parts(w)
        product = (x - b_dec if subtracts else x) @ w["W_enc"].double()
        magnitude = product * gate["r_mag"].double().exp() + gate["b_mag"].double()
        acts = (product + gate["b_gate"].double() > 0) * magnitude.relu()
        own = {key: value for key, value in w.items() if key != "b_enc"}
        case(name, "gated", own, acts, {"apply_b_dec_to_input": subtracts}, own=gate)

    w = weights(40)
    threshold = 0.5 * draw(41, D_SAE)
    for name, subtracts in [("saelens_jumprelu", False), ("saelens_jumprelu_centred", True)]:
        z = pre(w, subtracts)
        own = {"threshold": threshold}
        case(name, "jumprelu", w, z.relu() * (z > threshold.double()), {"apply_b_dec_to_input": subtracts}, own=own)

    w = weights(50, unit=True)
    case("saelens_topk", "topk", w, topk(pre(w, True), 3), {"k": 3, "apply_b_dec_to_input": True})
    case("saelens_topk_plain", "topk", w, topk(pre(w, False), 3), {"k": 3, "apply_b_dec_to_input": False})
    case("saelens_flat_topk", "standard", w, topk(pre(w, True), 3), {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 3}}, flat=True)
    w = weights(60)
    norms = w["W_dec"].double().norm(dim=1)
    rescaled = {"k": 3, "rescale_acts_by_decoder_norm": True, "apply_b_dec_to_input": True}
    # the activations that are decoded are divided by the norms again
    case("saelens_topk_rescaled", "topk", w, topk(pre(w, True) * norms, 3) / norms, rescaled)
    z = pre(w, True) * norms
    threshold = torch.tensor(0.9, dtype=torch.float64)
    case(
        "saelens_batchtopk", "batchtopk", w, z.relu() * (z > threshold) / norms, {**rescaled, "k": 2.5, "topk_threshold_lr": 0.01},
        own={"topk_threshold": threshold},
    )


    # each token by itself
    w = weights(70, unit=True)
    for name, option, normalise in [
        ("layer_norm", "layer_norm", layer_norm),
        ("constant_norm", "constant_norm_rescale", constant_norm),
    ]:
        seen, back = normalise(x)
        z = (seen - w["b_dec"].double()) @ w["W_enc"].double() + w["b_enc"].double()
        cfg = {"normalize_activations": option, "apply_b_dec_to_input": True}
        case(f"saelens_{name}", "standard", w, z.relu(), cfg, back=back)
        case(f"saelens_{name}_topk", "topk", w, topk(z, 3), {**cfg, "k": 3}, back=back)
    # by one number, which is in a file beside it
    w, scale = weights(80), 0.37
    cfg = {"normalize_activations": "expected_average_only_in"}
    z = (x * scale - w["b_dec"].double()) @ w["W_enc"].double() + w["b_enc"].double()
    by_scale = dict(decoder=w["W_dec"] / scale, b_dec=w["b_dec"] / scale)
    case("saelens_scaled", "standard", w, z.relu(), {**cfg, "apply_b_dec_to_input": True}, **by_scale)
    norms, threshold = w["W_dec"].double().norm(dim=1), torch.tensor(0.9, dtype=torch.float64)
    case(
        "saelens_scaled_batchtopk", "batchtopk", w, z.relu() * (z * norms > threshold),
        {**cfg, "k": 2.5, "rescale_acts_by_decoder_norm": True, "apply_b_dec_to_input": True},
        own={"topk_threshold": threshold}, **by_scale,
    )
    for name in ("saelens_scaled", "saelens_scaled_batchtopk"):
        (golden.folder / name / "activation_scaler.json").write_text(json.dumps({"scaling_factor": scale}))

    w = weights(90, unit=True)
    case("saelens_abstopk", "abstopk", w, abstopk(pre(w, True), 3), {"k": 3, "apply_b_dec_to_input": True})
    case("saelens_abstopk_plain", "abstopk", w, abstopk(pre(w, False), 3), {"k": 3, "apply_b_dec_to_input": False})
    # rows of many lengths, as training leaves them
    w = weights(94, unit=True)
    tied = {"W_dec": w["W_dec"] * (0.8 + 0.4 * torch.sigmoid(draw(95, D_SAE, 1))), "b_dec": w["b_dec"]}
    rows, b_dec = tied["W_dec"].double(), tied["b_dec"].double()
    for name, rounds, threshold, stop in [("", 4, 0.6, True), ("_on", 5, 0.0, False)]:
        cfg = {"max_iterations": rounds, "residual_threshold": threshold, "stop_on_duplicate_support": stop, "apply_b_dec_to_input": True}
        case(f"saelens_matching_pursuit{name}", "matching_pursuit", tied, pursue(x - b_dec, rows, rounds, threshold, stop), cfg)
    # without the bias on the one side there is none on the other
    cfg = {"max_iterations": None, "apply_b_dec_to_input": False}
    case("saelens_matching_pursuit_plain", "matching_pursuit", tied, pursue(x, rows, D_IN, 0.01, True), cfg, b_dec=torch.zeros(D_IN))
    w, scale = weights(96, unit=True), 0.37
    own = {"W_dec": w["W_dec"], "b_dec": w["b_dec"]}
    found = pursue(x * scale - w["b_dec"].double(), w["W_dec"].double(), 4, 0.2, True)
    cfg = {"max_iterations": 4, "residual_threshold": 0.2, "normalize_activations": "expected_average_only_in", "apply_b_dec_to_input": True}
    # what a unit row gives is in the input's unit
    case("saelens_scaled_matching_pursuit", "matching_pursuit", own, found / scale, cfg, b_dec=w["b_dec"] / scale)
    (golden.folder / "saelens_scaled_matching_pursuit" / "activation_scaler.json").write_text(json.dumps({"scaling_factor": scale}))


def dictionary_learning(golden: Golden) -> None:
    x = golden.x.double()

    def case(name, dict_class, state, acts, w_dec, b_dec, trainer=None):
        folder = golden.add(f"dictionary_learning_{name}", acts, w_dec.double(), b_dec.double())
        torch.save(state, folder / "ae.pt")
        if dict_class:
            about = {"dict_class": dict_class, "activation_dim": D_IN, "dict_size": D_SAE, "layer": 1, "lm_name": "tiny", "lr": 3e-4}
            about |= {"submodule_name": "resid_post_layer_1", "seed": 0, **(trainer or {})}
            (folder / "config.json").write_text(json.dumps({"trainer": about, "buffer": {"ctx_len": 128}}, indent=1))

    def linear(w, **others):
        """torch's own Linear keeps [d_out, d_in]; the decoder is a transposed view, as theirs often is."""
        return {"encoder.weight": w["W_enc"].T.contiguous(), "encoder.bias": w["b_enc"], "decoder.weight": w["W_dec"].T, **others}

    w = weights(100)
    centred = (x - w["b_dec"].double()) @ w["W_enc"].double() + w["b_enc"].double()
    plain = x @ w["W_enc"].double() + w["b_enc"].double()
    for name, dict_class in [("standard", "AutoEncoder"), ("bare", None)]:
        case(name, dict_class, linear(w, bias=w["b_dec"]), centred.relu(), w["W_dec"], w["b_dec"])
    case("new", "AutoEncoderNew", linear(w, **{"decoder.bias": w["b_dec"]}), plain.relu(), w["W_dec"], w["b_dec"])

    gate, r_mag, mag = 0.3 * draw(104, D_SAE), 0.4 * draw(105, D_SAE), 0.3 * draw(106, D_SAE)
    product = (x - w["b_dec"].double()) @ w["W_enc"].double()
    acts = (product + gate.double() > 0) * (r_mag.double().exp() * product + mag.double()).relu()
    state = linear(w, decoder_bias=w["b_dec"], r_mag=r_mag, gate_bias=gate, mag_bias=mag)
    del state["encoder.bias"]
    case("gated", "GatedAutoEncoder", state, acts, w["W_dec"], w["b_dec"])

    threshold = 0.5 * draw(107, D_SAE)
    case("jumprelu", "JumpReluAutoEncoder", {**w, "threshold": threshold}, plain.relu() * (plain > threshold), w["W_dec"], w["b_dec"])

    w = weights(110, unit=True)
    z = ((x - w["b_dec"].double()) @ w["W_enc"].double() + w["b_enc"].double()).relu()
    buffers = {"k": torch.tensor(3, dtype=torch.int), "threshold": torch.tensor(0.8)}
    state = linear(w, b_dec=w["b_dec"], **buffers)
    case("topk", "AutoEncoderTopK", state, topk(z, 3), w["W_dec"], w["b_dec"], {"k": 3})
    limited = z * (z > 0.8)
    case("batchtopk", "BatchTopKSAE", state, limited, w["W_dec"], w["b_dec"], {"k": 3, "threshold_beta": 0.99})
    groups = {"group_sizes": torch.tensor([2, 3, 5]), **buffers}
    case("matryoshka", "MatryoshkaBatchTopKSAE", {**w, **groups}, limited, w["W_dec"], w["b_dec"], {"k": 3})
    # one threshold, but rows of different lengths: a threshold per feature in our units
    w = weights(114)
    z = ((x - w["b_dec"].double()) @ w["W_enc"].double() + w["b_enc"].double()).relu()
    case("batchtopk_free", "BatchTopKSAE", linear(w, b_dec=w["b_dec"], **buffers), z * (z > 0.8), w["W_dec"], w["b_dec"], {"k": 3})


def others(golden: Golden) -> None:
    x = golden.x.double()

    w = weights(200, unit=True)
    z = (x - w["b_dec"].double()) @ w["W_enc"].double() + w["b_enc"].double()
    folder = golden.add("sparsify", topk(z, 3), w["W_dec"].double(), w["b_dec"].double())
    module = folder / "layers.1.mlp"
    module.mkdir()
    names = {"encoder.weight": w["W_enc"].T.contiguous(), "encoder.bias": w["b_enc"], "W_dec": w["W_dec"], "b_dec": w["b_dec"]}
    save_file(names, module / "sae.safetensors")
    cfg = {"activation": "topk", "expansion_factor": 32, "normalize_decoder": True, "num_latents": 0, "k": 3, "multi_topk": False}
    (module / "cfg.json").write_text(json.dumps({**cfg, "skip_connection": False, "transcode": False, "d_in": D_IN}))
    # as older versions have it
    w = weights(204, unit=True)
    z = (x - w["b_dec"].double()) @ w["W_enc"].double() + w["b_enc"].double()
    module = golden.add("sparsify_signed", abstopk(z, 3), w["W_dec"].double(), w["b_dec"].double()) / "layers.1"
    module.mkdir()
    names = {"encoder.weight": w["W_enc"].T.contiguous(), "encoder.bias": w["b_enc"], "W_dec": w["W_dec"], "b_dec": w["b_dec"]}
    save_file(names, module / "sae.safetensors")
    cfg = {"expansion_factor": 32, "normalize_decoder": True, "num_latents": 0, "k": 3, "multi_topk": False, "signed": True, "d_in": D_IN}
    (module / "cfg.json").write_text(json.dumps(cfg))

    w = weights(210)
    z = (x - w["b_dec"].double()) @ w["W_enc"].double() + w["b_enc"].double()
    folder = golden.add("openai_relu", z.relu(), w["W_dec"].double(), w["b_dec"].double())
    state = {
        "pre_bias": w["b_dec"], "latent_bias": w["b_enc"], "encoder.weight": w["W_enc"].T, "decoder.weight": w["W_dec"].T,
        "stats_last_nonzero": torch.zeros(D_SAE, dtype=torch.long), "latents_activation_frequency": torch.ones(D_SAE),
        "latents_mean_square": torch.zeros(D_SAE), "activation": "ReLU",
    }
    torch.save(state, folder / "4.pt")
    # the published form of their TopK files, whose code normalises each token
    w = weights(214, unit=True)
    seen, back = layer_norm(x)
    z = (seen - w["b_dec"].double()) @ w["W_enc"].double() + w["b_enc"].double()
    folder = golden.add("openai_topk", topk(z, 3), w["W_dec"].double(), w["b_dec"].double(), back=back)
    place = folder / "gpt2-small" / "resid_post_mlp_v5_32k" / "autoencoders"
    place.mkdir(parents=True)
    state |= {
        "pre_bias": w["b_dec"], "latent_bias": w["b_enc"], "encoder.weight": w["W_enc"].T, "decoder.weight": w["W_dec"].T,
        "activation": "TopK", "activation_state_dict": OrderedDict(k=3, postact_fn="ReLU"),
    }
    torch.save(state, place / "4.pt")
    bad = golden.folder / "bad"
    torch.save({**state, "activation_state_dict": OrderedDict(k=3, postact_fn="Identity")}, bad / "openai_identity.pt")
    torch.save({**state, "activation_state_dict": OrderedDict(k=11, postact_fn="ReLU")}, bad / "openai_k.pt")
    torch.save({**state, "activation": "Identity"}, bad / "openai_other.pt")

    w = weights(220)
    threshold = 0.5 * draw(221, D_SAE)
    z = x @ w["W_enc"].double() + w["b_enc"].double()
    acts = z.relu() * (z > threshold.double())
    arrays = {**{key: value.numpy() for key, value in w.items()}, "threshold": threshold.numpy()}
    for name, save in [("gemma_scope", np.savez), ("gemma_scope_packed", np.savez_compressed)]:
        folder = golden.add(name, acts, w["W_dec"].double(), w["b_dec"].double())
        place = folder / "scope-2b-pt-res" / "layer_1" / "width_16k" / "average_l0_5"
        place.mkdir(parents=True)
        if save is np.savez_compressed:
            arrays["W_enc"] = np.asfortranarray(arrays["W_enc"])
        save(place / "params.npz", **arrays)
    # of the embedding as the matrix has it, which is x over the model's factor
    size = D_IN**0.5
    z = x / size @ w["W_enc"].double() + w["b_enc"].double()
    acts_embedding = z.relu() * (z > threshold.double())
    folder = golden.add("gemma_scope_embedding", acts_embedding, w["W_dec"].double() * size, w["b_dec"].double() * size)
    place = folder / "scope-2b-pt-res" / "embedding" / "width_16k" / "average_l0_5"
    place.mkdir(parents=True)
    np.savez(place / "params.npz", **{**{key: value.numpy() for key, value in w.items()}, "threshold": threshold.numpy()})
    folder = golden.add("gemma_scope_2", acts, w["W_dec"].double(), w["b_dec"].double())
    place = folder / "resid_post" / "layer_1_width_16k_l0_small"
    place.mkdir(parents=True)
    save_file({key.lower(): value for key, value in {**w, "threshold": threshold}.items()}, place / "params.safetensors")


YAML = """seed: 3
tlens_model_name: gpt2-small
n_samples: 400000
batch_size: 8
lr: 0.0005
loss:
  in_to_orig:
    hook_positions:
    - blocks.1.hook_resid_pre
    total_coeff: 2.5
  logits_kl:
    coeff: 0.5
  out_to_in:
    coeff: 0.0
  out_to_orig: null
  sparsity:
    coeff: 1.5
    p_norm: 1.0
train_data:
  dataset_name: somebody/text
  n_ctx: 1024
saes:
  retrain_saes: false
  sae_positions:
  - blocks.1.hook_resid_pre
"""


def e2e_sae(golden: Golden) -> None:
    x = golden.x.double()
    ones = torch.ones(D_SAE)
    saes = {}
    for layer, seed in [(0, 300), (1, 310)]:
        w = weights(seed)
        acts = (x @ w["W_enc"].double() + w["b_enc"].double()).relu()
        unit = w["W_dec"].double() / w["W_dec"].double().norm(dim=1, keepdim=True)
        saes[layer] = (w, acts, unit)
    w, acts, unit = saes[1]
    folder = golden.add("e2e_sae", acts, unit, w["b_dec"].double(), ones)
    flat = {
        "encoder.weight": w["W_enc"].T.contiguous(), "encoder.bias": w["b_enc"],
        "decoder.weight": unit.T.float(), "decoder.bias": w["b_dec"],
    }
    torch.save(flat, folder / "downstream_similar_ce_layer_1.pt")
    (folder / "downstream_similar_ce_layer_1.yaml").write_text(YAML)
    for layer, (w, acts, unit) in saes.items():
        folder = golden.add(f"e2e_sae_run_{layer}", acts, unit, w["b_dec"].double(), ones)
        state = torch.nn.Module().state_dict()
        for other, (w, _, _) in saes.items():
            hook = f"blocks-{other}-hook_resid_pre"
            state[f"{hook}.encoder.0.weight"] = torch.nn.Parameter(w["W_enc"].T.contiguous())
            state[f"{hook}.encoder.0.bias"] = w["b_enc"]
            state[f"{hook}.decoder.weight"] = w["W_dec"].T
            state[f"{hook}.decoder.bias"] = w["b_dec"]
        torch.save({}, folder / "samples_100.pt")
        torch.save(state, folder / "samples_20000.pt")
        (folder / "final_config.yaml").write_text(YAML.replace("sae_positions:\n", "sae_positions:\n  - blocks.0.hook_resid_pre\n"))


def published(folder: Path) -> None:
    """Three of the published checkpoints' names, for the tiny seeded model (32 wide, three blocks)."""
    folder.mkdir()
    e2e = YAML.replace("total_coeff: 2.5", "total_coeff: 0.0").replace("logits_kl:\n    coeff: 0.5", "logits_kl:\n    coeff: 1.0")
    local = e2e.replace("logits_kl:\n    coeff: 1.0", "logits_kl:\n    coeff: 0.0").replace("out_to_in:\n    coeff: 0.0", "out_to_in:\n    coeff: 1.0")
    configs = {"local": local, "e2e": e2e, "downstream": YAML}
    for seed, kind in enumerate(configs):
        w_enc, w_dec = draw(500 + seed, 40, 32), draw(510 + seed, 32, 40)
        flat = {
            "encoder.weight": 0.3 * w_enc, "encoder.bias": 0.1 * draw(520 + seed, 40),
            "decoder.weight": w_dec / w_dec.norm(dim=0, keepdim=True), "decoder.bias": 0.1 * draw(530 + seed, 32),
        }
        torch.save(flat, folder / f"{kind}_similar_ce_layer_2.pt")
        (folder / f"{kind}_similar_ce_layer_2.yaml").write_text(configs[kind])


def sparse_coding(golden: Golden) -> None:
    """Their classes, as far as pickle sees them."""
    x = golden.x.double()
    module = types.ModuleType("autoencoders.learned_dict")
    for name in ("TiedSAE", "UntiedSAE"):
        setattr(module, name, type(name, (), {"__module__": module.__name__}))
    sys.modules["autoencoders"], sys.modules[module.__name__] = types.ModuleType("autoencoders"), module

    def learned(name, **attributes):
        made = getattr(module, name)()
        made.__dict__.update(attributes)
        return made

    rows, bias = draw(400, D_SAE, D_IN), 0.3 * draw(401, D_SAE)
    unit = rows.double() / rows.double().norm(dim=1, keepdim=True)
    shift, spread = 0.5 * draw(402, D_IN), draw(403, D_IN).exp()
    turn = torch.linalg.qr(draw(404, D_IN, D_IN)).Q.contiguous()
    plain = dict(center_trans=torch.zeros(D_IN), center_rot=torch.eye(D_IN), center_scale=torch.ones(D_IN))
    shape = dict(n_feats=D_SAE, activation_size=D_IN)
    decoder = draw(405, D_SAE, D_IN)
    dictionaries = [
        learned("TiedSAE", encoder=rows, encoder_bias=bias, norm_encoder=True, **plain, **shape),
        learned("UntiedSAE", encoder=rows, decoder=decoder, encoder_bias=bias, **shape),
        learned(
            "TiedSAE", encoder=rows, encoder_bias=bias, norm_encoder=True, center_trans=shift, center_rot=turn, center_scale=spread, **shape
        ),
        learned("TiedSAE", encoder=rows, encoder_bias=bias, norm_encoder=False, **plain, **shape),
    ]
    ones, none = torch.ones(D_SAE), torch.zeros(D_IN, dtype=torch.float64)
    folder = golden.add("sparse_coding_0", (x @ unit.T + bias).relu(), unit, none, ones)
    pairs = [(made, {"l1_alpha": 0.001 * (i + 1), "dict_size": D_SAE}) for i, made in enumerate(dictionaries)]
    torch.save(pairs, folder / "learned_dicts.pt")
    untied = decoder.double() / decoder.double().norm(dim=1, keepdim=True)
    golden.add("sparse_coding_1", (x @ rows.double().T + bias).relu(), untied, none, ones)
    inner = ((x - shift) @ turn.double().T) * spread
    back = (unit / spread) @ turn.double()
    golden.add("sparse_coding_2", (inner @ unit.T + bias).relu(), back, shift.double())
    golden.add("sparse_coding_3", (x @ rows.double().T + bias).relu(), unit, none, ones)
    for i in (1, 2, 3):
        shutil.copy(folder / "learned_dicts.pt", golden.folder / f"sparse_coding_{i}")


class Calls:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def bad(folder: Path) -> None:
    good = {"encoder.weight": torch.ones(4, 2), "encoder.bias": torch.ones(4), "decoder.weight": torch.ones(2, 4), "bias": torch.ones(2)}
    torch.save(Calls(os.system, "touch executed"), folder / "os_system.pt")
    torch.save({**good, "extra": Calls(eval, "open('executed', 'w')")}, folder / "eval_inside.pt")
    torch.save({**good, "bias": Calls(getattr, Calls(__import__, "os"), "system")}, folder / "nested.pt")
    # a call of what is known, with arguments that torch does not give
    torch.save({**good, "bias": Calls(torch._utils._rebuild_parameter, "text", True, None)}, folder / "odd_call.pt")
    torch.save(good, folder / "protocol_5.pt", pickle_protocol=5)
    torch.save({**good, "bias": torch.ones(1).expand(1 << 40)}, folder / "expanded.pt")
    torch.save({**good, "bias": torch.tensor([1.0, float("nan")])}, folder / "nan.pt")
    torch.save({**good, "bias": torch.ones(3)}, folder / "shape.pt")
    torch.save({**good, "bias": torch.ones(2, dtype=torch.long)}, folder / "dtype.pt")
    torch.save({key: value for key, value in good.items() if key != "encoder.bias"}, folder / "missing.pt")
    torch.save({**good, "skip": torch.ones(2, 2)}, folder / "extra.pt")
    # four matrices without a name that says k, and without a config
    (folder / "named").mkdir()
    four = {"W_enc": torch.ones(4, 2), "b_enc": torch.ones(4), "W_dec": torch.ones(2, 4), "b_dec": torch.ones(2)}
    torch.save(four, folder / "named" / "layer1.sae.pt")
    torch.save([1, 2, 3], folder / "list.pt")
    torch.save({"embed.W_E": torch.ones(4, 2), "unembed.W_U": torch.ones(2, 4)}, folder / "model.pt")
    torch.save(good, folder / "legacy.pt", _use_new_zipfile_serialization=False)
    np.savez(folder / "objects.npz", W_enc=np.array([{}], dtype=object))
    # an entry of a few bytes that claims to hold 4 GB
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        # without a time of its own, so that the file is the same each time
        entry = zipfile.ZipInfo("W_enc.npy")
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, bytes(4096))
    claimed = bytearray(packed.getvalue())
    entry = claimed.index(b"PK\x01\x02")
    claimed[entry + 24 : entry + 28] = (0xF0000000).to_bytes(4, "little")
    (folder / "bomb.npz").write_bytes(bytes(claimed))


def generate(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "bad").mkdir(parents=True)
    torch.manual_seed(0)
    golden = Golden(folder)
    saelens(golden)
    dictionary_learning(golden)
    interrupted(golden)
    others(golden)
    linears(golden)
    e2e_sae(golden)
    sparse_coding(golden)
    bad(folder / "bad")
    published(folder / "e2e_gpt2")
    tiny(folder / "tiny")
    save_file({name: tensor.contiguous().clone() for name, tensor in golden.tensors.items()}, folder / "golden.safetensors")
