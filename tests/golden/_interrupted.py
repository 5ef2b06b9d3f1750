"""What dictionary_learning's runs leave while they go on. A part of `formats.py`."""

import json
from collections import OrderedDict

import torch

from _format import D_SAE, Golden, draw, topk, weights


def interrupted(golden: Golden) -> None:
    """With `backup_steps`, until they are done. What such a file makes of x is what its weights make of x / norm_factor, times that."""
    x = golden.x.double()

    def case(name, dict_class, state, acts, w_dec, b_dec, size, beside, file="ae.pt"):
        folder = golden.add(f"dictionary_learning_{name}", acts, w_dec.double(), b_dec.double() * (size or 1.0))
        parameters = [torch.nn.Parameter(torch.ones(3, 2)), torch.nn.Parameter(torch.ones(2))]
        optimizer = torch.optim.Adam(parameters, lr=3e-4)
        sum(p.sum() for p in parameters).backward()
        optimizer.step()
        trainer = {"dict_class": dict_class, "layer": 1, "lm_name": "tiny", "lr": 3e-4, "submodule_name": "resid_post_layer_1", "device": "cpu"}
        trainer |= {"seed": 0, "k": 3 if "threshold" in state else None, "norm_factor": size, "wandb_name": None, "tied": False}
        kept = {"step": 5, "ae": OrderedDict(state), "optimizer": optimizer.state_dict(), "config": trainer, "norm_factor": size}
        torch.save(kept, folder / file)
        if beside:
            (folder / "config.json").write_text(json.dumps({"trainer": trainer, "buffer": {"ctx_len": 128}}, indent=1))
        return kept

    def linear(w, **others):
        return {"encoder.weight": w["W_enc"].T.contiguous(), "encoder.bias": w["b_enc"], "decoder.weight": w["W_dec"].T, **others}

    w, size = weights(130), 2.5
    b_enc, b_dec, w_enc = w["b_enc"].double(), w["b_dec"].double(), w["W_enc"].double()
    z = (x / size - b_dec) @ w_enc + b_enc
    kept = case("interrupted", "AutoEncoder", linear(w, bias=w["b_dec"]), z.relu() * size, w["W_dec"], w["b_dec"], size, True)
    bad = golden.folder / "bad"
    torch.save({**kept, "norm_factor": -2.5}, bad / "norm_factor.pt")
    torch.save({key: value for key, value in kept.items() if key != "optimizer"}, bad / "done.pt")

    gate, r_mag, mag = 0.3 * draw(134, D_SAE), 0.4 * draw(135, D_SAE), 0.3 * draw(136, D_SAE)
    product = (x / size - b_dec) @ w_enc
    acts = (product + gate.double() > 0) * (r_mag.double().exp() * product + mag.double()).relu()
    state = linear(w, decoder_bias=w["b_dec"], r_mag=r_mag, gate_bias=gate, mag_bias=mag)
    del state["encoder.bias"]
    case("interrupted_gated", "GatedAutoEncoder", state, acts * size, w["W_dec"], w["b_dec"], size, False)

    threshold = 0.3 * draw(137, D_SAE)
    z = x / size @ w_enc + b_enc
    acts = z.relu() * (z > threshold)
    case("interrupted_jumprelu", "JumpReluAutoEncoder", {**w, "threshold": threshold}, acts * size, w["W_dec"], w["b_dec"], size, True)

    # not normalised
    w = weights(140, unit=True)
    z = ((x - w["b_dec"].double()) @ w["W_enc"].double() + w["b_enc"].double()).relu()
    state = linear(w, b_dec=w["b_dec"], k=torch.tensor(3, dtype=torch.int), threshold=torch.tensor(0.8))
    case("interrupted_topk", "AutoEncoderTopK", state, topk(z, 3), w["W_dec"], w["b_dec"], None, False, "checkpoint_5.pt")
    z = ((x / size - w["b_dec"].double()) @ w["W_enc"].double() + w["b_enc"].double()).relu()
    state["threshold"] = torch.tensor(0.4)
    case("interrupted_batchtopk", "BatchTopKSAE", state, z * (z > 0.4) * size, w["W_dec"], w["b_dec"], size, False, "checkpoint_5.pt")
