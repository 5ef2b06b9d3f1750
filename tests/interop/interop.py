"""The other side of `cargo xtask interop`: sae-lens and dictionary-learning as PyPI has them, and other tools' formulas (`formulas.py`).

`interop.py load FOLDER` loads each dictionary in FOLDER/TOOL/NAME with its tool, and writes what the tool makes of FOLDER/x.safetensors to
`theirs.safetensors` beside it. `interop.py save FOLDER` has each tool make, fill and save its own dictionaries there, with the same file.

`theirs.safetensors`: acts [n, d_sae], x_hat [n, d_in] (of transcoders [n, d_out]), lengths [d_sae] of the decoder's rows.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from formulas import FORMULAS

D_IN, D_OUT, D_SAE = 7, 5, 12
TRANSCODERS = ("transcoder", "skip_transcoder", "jumprelu_transcoder", "jumprelu_skip_transcoder")


def write(folder: Path, coder, x) -> None:
    """What a feature writes at activation 1 is told by its own decode: tools differ in whether activations have the rows' lengths in them."""
    acts = coder.encode(x)
    acts = acts.to_dense() if acts.is_sparse else acts
    # what takes a token's own scale back is known behind an encode alone
    is_per_token = getattr(getattr(coder, "cfg", None), "normalize_activations", "none") != "none"
    rows = coder.W_dec if is_per_token else coder.decode(torch.eye(D_SAE)) - coder.decode(torch.zeros(1, D_SAE))
    keep(folder, acts, coder(x), rows)


def keep(folder: Path, acts, x_hat, rows) -> None:
    tensors = {"acts": acts, "x_hat": x_hat, "lengths": rows.norm(dim=1)}
    save_file({name: value.detach().float().contiguous().clone() for name, value in tensors.items()}, folder / "theirs.safetensors")


# --- SAELens


def load_saelens(folder: Path, x) -> None:
    from sae_lens import SAE

    sae = SAE.load_from_disk(folder)
    metadata, reads = sae.cfg.metadata, "blocks.3.hook_resid_post"
    if sae.cfg.architecture() in TRANSCODERS:
        reads = "blocks.3.ln2.hook_normalized"
        assert (metadata.hook_name_out, sae.cfg.d_out) == ("blocks.3.hook_mlp_out", D_OUT), metadata
    assert metadata.hook_name == reads, metadata
    write(folder, sae, x)


def filled(sae, unit: bool = False):
    """Random weights, thresholds included; the generator's seed is the caller's."""
    for name, parameter in sae.named_parameters():
        parameter.data = torch.randn(parameter.shape) * (1.0 if name.startswith("W") else 0.4)
    if unit:
        sae.W_dec.data /= sae.W_dec.data.norm(dim=1, keepdim=True)
    return sae


def save_saelens(folder: Path, x) -> None:
    from sae_lens import SAE
    from sae_lens.registry import get_sae_training_class

    common = {"d_in": D_IN, "d_sae": D_SAE, "dtype": "float32", "device": "cpu", "normalize_activations": "none"}
    metadata = {"model_name": "tiny", "hook_name": "blocks.3.hook_resid_post"}
    cases = {
        "standard": ("standard", {}),
        "gated": ("gated", {}),
        "jumprelu": ("jumprelu", {}),
        "topk": ("topk", {"k": 3}),
        "topk_rescaled": ("topk", {"k": 3, "rescale_acts_by_decoder_norm": True}),
        "abstopk": ("abstopk", {"k": 3}),
        "matching_pursuit": ("matching_pursuit", {"max_iterations": 5, "residual_threshold": 0.5}),
        "matching_pursuit_on": ("matching_pursuit", {"max_iterations": 6, "residual_threshold": 0.0, "stop_on_duplicate_support": False}),
    }
    for norm in ("layer_norm", "constant_norm_rescale"):
        for name in ("standard", "jumprelu", "topk", "abstopk", "matching_pursuit"):
            architecture, own = cases[name]
            cases[f"{name}_{norm}"] = (architecture, {**own, "normalize_activations": norm})
    for name, (architecture, own) in cases.items():
        for subtracts in (True, False):
            sae = SAE.from_dict({**common, **own, "architecture": architecture, "apply_b_dec_to_input": subtracts, "metadata": metadata})
            sae = filled(sae, unit=name.startswith(("topk", "abstopk", "matching_pursuit")) and name != "topk_rescaled")
            if architecture == "matching_pursuit":
                # rows of other lengths than 1, as its training leaves them
                sae.W_dec.data *= 0.8 + 0.4 * torch.rand(D_SAE, 1)
            path = folder / f"{name}_{'centred' if subtracts else 'plain'}"
            sae.save_model(path)
            write(path, sae, x)
    for architecture in TRANSCODERS:
        places = {"model_name": "tiny", "hook_name": "blocks.3.ln2.hook_normalized", "hook_name_out": "blocks.3.hook_mlp_out"}
        own = {"architecture": architecture, "d_out": D_OUT, "apply_b_dec_to_input": False, "metadata": places}
        sae = filled(SAE.from_dict({**common, **own}))
        path = folder / architecture
        sae.save_model(path)
        write(path, sae, x)
    # what SAELens exports after training, for each architecture that it trains
    for architecture, own in {
        "standard": {},
        "gated": {},
        "jumprelu": {},
        "topk": {"k": 3},
        "abstopk": {"k": 3},
        "matching_pursuit": {"max_iterations": 4},
        "batchtopk": {"k": 3},
        "matryoshka_batchtopk": {"k": 3, "matryoshka_widths": [4, D_SAE]},
    }.items():
        training_class, config_class = get_sae_training_class(architecture)
        sae = filled(training_class(config_class(d_in=D_IN, d_sae=D_SAE, **own)), unit=architecture == "matching_pursuit")
        if hasattr(sae, "topk_threshold"):
            sae.topk_threshold.fill_(0.7)
        path = folder / f"trained_{architecture}"
        sae.save_inference_model(path)
        write(path, SAE.load_from_disk(path), x)


# --- dictionary_learning


def classes():
    from dictionary_learning import dictionary
    from dictionary_learning.trainers import batch_top_k, matryoshka_batch_top_k, top_k

    found = {}
    for module in (dictionary, top_k, batch_top_k, matryoshka_batch_top_k):
        found.update(vars(module))
    return found


def load_dictionary_learning(folder: Path, x) -> None:
    trainer = json.loads((folder / "config.json").read_text())["trainer"]
    ae = classes()[trainer["dict_class"]].from_pretrained(str(folder / "ae.pt"))
    write(folder, ae, x)


def save_dictionary_learning(folder: Path, x) -> None:
    known = classes()
    cases = {
        "AutoEncoder": (),
        "AutoEncoderNew": (),
        "GatedAutoEncoder": (),
        "JumpReluAutoEncoder": (),
        "AutoEncoderTopK": (3,),
        "BatchTopKSAE": (3,),
        "MatryoshkaBatchTopKSAE": (3, [4, 8]),
    }
    for name, own in cases.items():
        if name not in known:
            print(f"dictionary-learning has no {name}")
            continue
        ae = known[name](D_IN, D_SAE, *own)
        is_unit = "TopK" in name
        for parameter_name, parameter in ae.named_parameters():
            if not (is_unit and "dec" in parameter_name and parameter.dim() == 2):
                parameter.data = torch.randn(parameter.shape) * (1.0 if parameter.dim() == 2 else 0.4)
        for buffer_name, buffer in ae.named_buffers():
            if buffer_name == "threshold":
                buffer.fill_(0.6)
        path = folder / name
        path.mkdir(parents=True)
        torch.save(ae.state_dict(), path / "ae.pt")
        trainer = {"dict_class": name, "activation_dim": D_IN, "dict_size": D_SAE, **({"k": own[0]} if own else {})}
        (path / "config.json").write_text(json.dumps({"trainer": trainer, "buffer": {}}))
        write(path, ae, x)


TOOLS = {
    "saelens": (load_saelens, save_saelens),
    "dictionary_learning": (load_dictionary_learning, save_dictionary_learning),
}


def main() -> None:
    what, folder = sys.argv[1], Path(sys.argv[2])
    x = load_file(folder / "x.safetensors")["x"]
    torch.manual_seed(0)
    with torch.no_grad():
        for tool, (load, save) in TOOLS.items():
            if what == "save":
                (folder / tool).mkdir()
                save(folder / tool, x)
                continue
            for path in sorted((folder / tool).glob("*")):
                load(path, x)
        for tool, formula in FORMULAS.items():
            for path in sorted((folder / tool).glob("*")):
                keep(path, *formula(path, x))


if __name__ == "__main__":
    main()
