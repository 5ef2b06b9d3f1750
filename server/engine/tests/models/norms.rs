//! The norms' hook points against torch: what they make of the residual stream before gain and bias, and the gradient there.

use api::{HookPoint, Site};

use crate::{FOLDERS, Golden, Keep, cut_at, distance, golden_gradient, load, relative, suffix};

const NORMS: [(Site, &str); 2] = [(Site::Ln1, "ln1"), (Site::Ln2, "ln2")];

#[test]
fn what_norms_make_of_the_stream_is_torchs() {
    for name in FOLDERS {
        let (model, norms) = (load(name), Golden::open(name, "norms.safetensors"));
        let mut keep = Keep::default();
        let cut = cut_at(&model, &Golden::of(name).tokens(), HookPoint::Embed);
        suffix(&model, &cut, &cut.value, &mut keep);
        for layer in 0..model.facts().n_layers {
            for (site, theirs) in NORMS {
                let at = HookPoint::block(layer, site);
                let off = distance(&keep.0[&at], &norms.numbers(&format!("{theirs}.{layer}")));
                assert!(off < 1e-4, "{name} {at} is off by {off}");
            }
        }
    }
}

#[test]
fn gradients_at_norms_are_autograds() {
    for name in FOLDERS {
        let (model, golden, norms) = (load(name), Golden::of(name), Golden::open(name, "norms.safetensors"));
        for (site, theirs) in NORMS {
            let at = HookPoint::block(golden.layer(), site);
            let (grad, _) = golden_gradient(&model, &golden, at, &norms.numbers(&format!("{theirs}.replaced")));
            let off = relative(&grad, &norms.numbers(&format!("{theirs}.grad")));
            assert!(off < 1e-5, "{name}: the gradient at {at} is off by {off}");
        }
    }
}
