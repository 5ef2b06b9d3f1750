"""Small transcoders in the files of other tools, and what each tool's own formulas make of them; as `formats.py` for dictionaries.

The files are written in the names and shapes of SAELens 6.54 (and flat, as version 5 has them), EleutherAI's sparsify, Gemma Scope (1
and 2) and circuit-tracer; the forward passes are theirs, in f64 on the weights as the file holds them.

`NAME/` holds a case's files, `golden.safetensors` for each case:
  NAME.acts     [n, d_sae]   the activations, as the tool has them
  NAME.lengths  [d_sae]      what ours are taken times: the lengths of the decoder's rows, 1 where ours keep them
  NAME.y_hat    [n, d_out]   the output
and `x` [n, d_in] for all of them.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from formats import D_IN, D_SAE, N, draw, topk

D_OUT = 5
READ, WRITE = "blocks.1.ln2.hook_normalized", "blocks.1.hook_mlp_out"


def weights(seed: int, d_out: int = D_OUT) -> dict[str, torch.Tensor]:
    """W_enc [d_in, d_sae], b_enc, W_dec [d_sae, d_out], b_dec; and W_skip [d_out, d_in]."""
    return {
        "W_enc": draw(seed, D_IN, D_SAE),
        "b_enc": 0.3 * draw(seed + 1, D_SAE),
        "W_dec": draw(seed + 2, D_SAE, d_out),
        "b_dec": 0.5 * draw(seed + 3, d_out),
        "W_skip": 0.4 * draw(seed + 4, d_out, D_IN),
    }


class Golden:
    def __init__(self, folder: Path):
        self.folder = folder
        self.x = draw(0, N, D_IN)
        self.tensors = {"x": self.x}

    def add(self, name: str, w, acts, skips: bool, keeps: bool = False) -> Path:
        """Answers the folder for the case's files; `keeps` says whether ours have the rows' lengths."""
        rows = w["W_dec"].double()
        y_hat = acts @ rows + w["b_dec"].double()
        if skips:
            y_hat = y_hat + self.x.double() @ w["W_skip"].double().T
        lengths = torch.ones(D_SAE) if keeps else rows.norm(dim=1)
        self.tensors |= {f"{name}.acts": acts.float(), f"{name}.lengths": lengths.float(), f"{name}.y_hat": y_hat.float()}
        assert (acts > 0).any(dim=0).sum() > D_SAE // 2, name
        folder = self.folder / name
        folder.mkdir()
        return folder

    def pre(self, w):
        return self.x.double() @ w["W_enc"].double() + w["b_enc"].double()


def saelens(golden: Golden) -> None:
    def case(name, architecture, seed, flat=False, read=READ, loading=None):
        w, skips, jumps = weights(seed), "skip" in architecture, "jumprelu" in architecture
        threshold = 0.5 * draw(seed + 5, D_SAE)
        z = golden.pre(w)
        acts = z.relu() * (z > threshold.double()) if jumps else z.relu()
        stored = {key: value for key, value in w.items() if skips or key != "W_skip"}
        stored |= {"threshold": threshold} if jumps else {}
        folder = golden.add(name, w, acts, skips)
        save_file(stored, folder / "sae_weights.safetensors")
        config = {
            "architecture": architecture, "d_in": D_IN, "d_out": D_OUT, "d_sae": D_SAE, "dtype": "float32", "device": "cpu",
            "apply_b_dec_to_input": False, "normalize_activations": "none",
        }  # fmt: skip
        language = {"model_name": "tiny", "hook_name": read, "hook_name_out": WRITE, "context_size": 32}
        language |= {"model_from_pretrained_kwargs": loading} if loading else {}
        config |= language if flat else {"metadata": {**language, "sae_lens_version": "6.54.12"}}
        (folder / "cfg.json").write_text(json.dumps(config, indent=1))

    case("saelens_transcoder", "transcoder", 10)
    case("saelens_transcoder_flat", "transcoder", 20, flat=True, read="blocks.1.hook_mlp_in")
    case("saelens_transcoder_unfolded", "transcoder", 30, loading={"fold_ln": False, "center_writing_weights": False})
    case("saelens_skip_transcoder", "skip_transcoder", 40)
    case("saelens_jumprelu_transcoder", "jumprelu_transcoder", 50)
    case("saelens_jumprelu_skip_transcoder", "jumprelu_skip_transcoder", 60, read="blocks.1.mlp.hook_in")


def sparsify(golden: Golden) -> None:
    for name, module, skips, seed in [
        ("sparsify_transcoder", "layers.1.mlp", False, 100),
        ("sparsify_skip_transcoder", "h.1.mlp", True, 110),
        ("sparsify_block", "layers.1", True, 120),
    ]:
        w = weights(seed, D_IN)
        folder = golden.add(name, w, topk(golden.pre(w), 3), skips, keeps=True) / module
        folder.mkdir()
        stored = {"encoder.weight": w["W_enc"].T.contiguous(), "encoder.bias": w["b_enc"], "W_dec": w["W_dec"], "b_dec": w["b_dec"]}
        save_file(stored | ({"W_skip": w["W_skip"]} if skips else {}), folder / "sae.safetensors")
        cfg = {"activation": "topk", "expansion_factor": 32, "normalize_decoder": True, "num_latents": D_SAE, "k": 3, "multi_topk": False}
        (folder / "cfg.json").write_text(json.dumps({**cfg, "skip_connection": skips, "transcode": True, "d_in": D_IN}))


def gemma_scope(golden: Golden) -> None:
    w, threshold = weights(200), 0.5 * draw(205, D_SAE)
    z = golden.pre(w)
    acts = z.relu() * (z > threshold.double())
    place = golden.add("gemma_scope", w, acts, False) / "scope-2b-pt-transcoders" / "layer_1" / "width_16k" / "average_l0_5"
    place.mkdir(parents=True)
    arrays = {key: value.numpy() for key, value in w.items() if key != "W_skip"} | {"threshold": threshold.numpy()}
    np.savez(place / "params.npz", **arrays)
    for name, skips in [("gemma_scope_2", False), ("gemma_scope_2_affine", True)]:
        folder = golden.add(name, w, acts, skips)
        place = folder / "transcoder" / f"layer_1_width_16k_l0_small{'_affine' if skips else ''}"
        place.mkdir(parents=True)
        stored = {key.lower(): value for key, value in w.items() if key != "W_skip"} | {"threshold": threshold}
        if skips:
            stored["affine_skip_connection"] = w["W_skip"].T.contiguous()
        save_file(stored, place / "params.safetensors")
        config = {
            "architecture": "jump_relu", "model_name": "google/gemma-v3-1b-pt", "affine_connection": skips,
            "hf_hook_point_in": "model.layers.1.pre_feedforward_layernorm.output",
            "hf_hook_point_out": "model.layers.1.post_feedforward_layernorm.output",
        }  # fmt: skip
        (place / "config.json").write_text(json.dumps(config))


def circuit_tracer(golden: Golden) -> None:
    config = 'model_name: "tiny"\nmodel_kind: "transcoder_set"\nfeature_input_hook: "{read}"\nfeature_output_hook: "{write}"\n'
    for name, read, write, skips, jumps, seed in [
        ("circuit_tracer", "mlp.hook_in", "mlp.hook_out", False, False, 300),
        ("circuit_tracer_skip", "hook_resid_mid", "hook_mlp_out", True, False, 310),
        ("circuit_tracer_jumprelu", "ln2.hook_normalized", "hook_mlp_out", False, True, 320),
    ]:
        w, threshold = weights(seed), draw(seed + 5, D_SAE).abs() * 0.5
        z = golden.pre(w)
        acts = z * (z > threshold.double()) if jumps else z.relu()
        folder = golden.add(name, w, acts, skips)
        stored = {key: value for key, value in w.items() if skips or key != "W_skip"} | {"W_enc": w["W_enc"].T.contiguous()}
        stored |= {"activation_function.threshold": threshold} if jumps else {}
        save_file(stored, folder / "layer_1.safetensors")
        (folder / "config.yaml").write_text(config.format(read=read, write=write))


def generate(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    golden = Golden(folder)
    saelens(golden)
    sparsify(golden)
    gemma_scope(golden)
    circuit_tracer(golden)
    save_file({name: tensor.contiguous().clone() for name, tensor in golden.tensors.items()}, folder / "golden.safetensors")
