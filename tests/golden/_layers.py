"""Two linear layers, or their four tensors, in the files of several tools; and dictionaries of the tiny model. A part of `formats.py`."""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from _format import D_IN, D_SAE, Golden, draw, topk, weights


def linears(golden: Golden) -> None:
    """Two linear layers, or their four tensors, in the files of Llama Scope, Goodfire, qresearch, Qwen Scope and others."""
    x = golden.x.double()

    def layers(w, encoder="encoder", decoder="decoder"):
        return {
            f"{encoder}.weight": w["W_enc"].T.contiguous(), f"{encoder}.bias": w["b_enc"],
            f"{decoder}.weight": w["W_dec"].T.contiguous(), f"{decoder}.bias": w["b_dec"],
        }

    def pre(w, scale=1.0):
        return (x * scale) @ w["W_enc"].double() + w["b_enc"].double()

    # one threshold, in the file over the scale; bf16 as published
    w = {key: value.bfloat16().float() for key, value in weights(600).items()}
    norm = 5.5
    scale, theta = D_IN**0.5 / norm, 0.6
    z = pre(w, scale)
    by_scale = (w["W_dec"].double() / scale, w["b_dec"].double() / scale)
    folder = golden.add("llama_scope", z.relu() * (z > theta * scale), *by_scale)
    place = folder / "Llama3_1-8B-Base-L1R-8x"
    (place / "checkpoints").mkdir(parents=True)
    save_file({key: value.bfloat16() for key, value in layers(w).items()}, place / "checkpoints" / "final.safetensors")
    at = "blocks.1.hook_resid_post"
    hyperparameters = {
        "d_model": D_IN, "d_sae": D_SAE, "act_fn": "jumprelu", "jump_relu_threshold": theta, "norm_activation": "dataset-wise",
        "dataset_average_activation_norm": {"in": norm, "out": norm}, "use_decoder_bias": True, "hook_point_in": at, "hook_point_out": at,
        "apply_decoder_bias_to_pre_encoder": False, "top_k": 50, "sparsity_include_decoder_norm": True,
    }
    (place / "hyperparams.json").write_text(json.dumps(hyperparameters, indent=1))
    # its later form, which does not say the scale: 0.4 here
    w, logarithms = weights(604), 0.3 * draw(608, D_SAE) - 1.0
    z = pre(w, 0.4)
    folder = golden.add("llama_scope_r1", z.relu() * (z > logarithms.double().exp()), w["W_dec"].double() / 0.4, w["b_dec"].double() / 0.4)
    place = folder / "L1R"
    place.mkdir()
    save_file({**layers(w), "log_jumprelu_threshold": logarithms}, place / "sae_weights.safetensors")
    (place / "config.json").write_text(json.dumps({"d_model": D_IN, "expansion_factor": 2, "hook_point_in": at, "hook_point_out": at}))

    w = weights(610)
    acts, decoder = pre(w).relu(), (w["W_dec"].double(), w["b_dec"].double())
    folder = golden.add("goodfire", acts, *decoder)
    torch.save(layers(w, "encoder_linear", "decoder_linear"), folder / "Llama-3.3-70B-Instruct-SAE-l1.pt")
    folder = golden.add("deepseek_r1", acts, *decoder)
    torch.save(layers(w), folder / "DeepSeek-R1-Distill-Llama-8B-SAE-l1.pt")

    w = weights(620, unit=True)
    folder = golden.add("qwen_scope", topk(pre(w), 3), w["W_dec"].double(), w["b_dec"].double())
    place = folder / "SAE-Res-Qwen3-1.7B-Base-W32K-L0_3"
    place.mkdir()
    state = {**w, "W_enc": w["W_enc"].T.contiguous(), "W_dec": w["W_dec"].T.contiguous()}
    torch.save(state, place / "layer1.sae.pt")

    w = weights(630)
    acts = ((x - w["b_dec"].double()) @ w["W_enc"].double() + w["b_enc"].double()).relu()
    folder = golden.add("attention_saes", acts, w["W_dec"].double(), w["b_dec"].double())
    torch.save(w, folder / "gpt2-small_L1_Hcat_z_v9.pt")
    config = {"act_name": "blocks.1.attn.hook_z", "act_size": D_IN, "dict_size": D_SAE, "l1_coeff": 2, "seed": 49}
    (folder / "gpt2-small_L1_Hcat_z_v9_cfg.json").write_text(json.dumps(config))


def tiny(folder: Path) -> None:
    """Dictionaries of the tiny seeded model in the files of several tools, as their repositories have them."""
    w = {"W_enc": 0.3 * draw(700, 32, 40), "b_enc": 0.1 * draw(701, 40), "W_dec": draw(702, 40, 32), "b_dec": 0.1 * draw(703, 32)}
    at = "blocks.1.hook_resid_pre"
    place = folder / "saelens"
    place.mkdir(parents=True)
    save_file(w, place / "sae_weights.safetensors")
    config = {
        "architecture": "standard", "d_in": 32, "d_sae": 40, "dtype": "float32", "device": "cpu", "hook_name": at,
        "model_name": "tiny", "normalize_activations": "expected_average_only_in", "apply_b_dec_to_input": True,
        "model_from_pretrained_kwargs": {"center_writing_weights": False},
    }
    (place / "cfg.json").write_text(json.dumps(config, indent=1))
    place = folder / "dictionary_learning"
    place.mkdir()
    layers = {"encoder.weight": w["W_enc"].T, "encoder.bias": w["b_enc"], "decoder.weight": w["W_dec"].T, "bias": w["b_dec"]}
    torch.save(layers, place / "ae.pt")
    about = {"dict_class": "AutoEncoder", "activation_dim": 32, "dict_size": 40, "layer": 1, "lm_name": "tiny"}
    about["submodule_name"] = "resid_post_layer_1"
    (place / "config.json").write_text(json.dumps({"trainer": about, "buffer": {"ctx_len": 128}}, indent=1))
    place = folder / "gemma_scope"
    place.mkdir()
    np.savez(place / "params.npz", **{key: value.numpy() for key, value in w.items()}, threshold=np.full(40, 0.3, dtype=np.float32))
    place = folder / "llama_scope"
    (place / "checkpoints").mkdir(parents=True)
    linear = {
        "encoder.weight": w["W_enc"].T.contiguous(), "encoder.bias": w["b_enc"],
        "decoder.weight": w["W_dec"].T.contiguous(), "decoder.bias": w["b_dec"],
    }
    save_file({key: value.bfloat16() for key, value in linear.items()}, place / "checkpoints" / "final.safetensors")
    norms = {"in": 9.0, "out": 9.0}
    hyperparameters = {"d_model": 32, "d_sae": 40, "act_fn": "jumprelu", "jump_relu_threshold": 0.2, "dataset_average_activation_norm": norms}
    at = "blocks.1.hook_resid_post"
    (place / "hyperparams.json").write_text(json.dumps({**hyperparameters, "hook_point_in": at, "hook_point_out": at}, indent=1))
