//! A real model against torch, where there is one.

use api::{HookPoint, ResidualFrame};
use engine::model::Model;
use std::{fs, path::Path};

use crate::{Keep, cut_at, distance, logits, suffix};

#[test]
fn stories260k_is_torchs() {
    let Some(data) = std::env::var_os("SAESCOPE_TEST_DATA") else {
        eprintln!("skipped stories260k_is_torchs: SAESCOPE_TEST_DATA is not set");
        return;
    };
    let folder = Path::new(&data).join("models/stories260k");
    let text = fs::read(folder.join("reference_forward.json")).unwrap();
    let reference: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let list = |value: &serde_json::Value| -> Vec<f32> { serde_json::from_value(value.clone()).unwrap() };
    let tokens: Vec<u32> = serde_json::from_value(reference["ids"].clone()).unwrap();
    let model = Model::load(&folder, ResidualFrame::Raw).unwrap();
    let (d_model, n_layers) = (model.facts().d_model, model.facts().n_layers);
    let mut keep = Keep::default();
    let cut = cut_at(&model, &tokens, HookPoint::Embed);
    let out = suffix(&model, &cut, &cut.value, &mut keep);
    let last = |rows: &[f32]| rows[rows.len() - d_model..].to_vec();
    for layer in 0..n_layers {
        let off = distance(
            &last(&keep.0[&HookPoint::resid_pre(layer)]),
            &list(&reference["hidden_last_token"][layer]),
        );
        assert!(off < 1e-4, "block {layer}: {off}");
    }
    assert!(distance(&last(&out), &list(&reference["hidden_last_token"][n_layers])) < 1e-4);
    assert!(distance(&logits(&model, &last(&out)), &list(&reference["logits_last"])) < 1e-4);
}
