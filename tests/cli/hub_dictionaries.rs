//! Dictionaries from a hub, by the paths that their repositories have them under and by SAELens' names; and the published checkpoints of
//! end-to-end dictionary learning, measured from there.

use crate::{
    line::{Line, Place},
    loopback::{Hub, Repository},
};
use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
use tests::{binary::root, given};

fn golden(name: &str) -> PathBuf {
    root().join("tests/golden/formats").join(name)
}

/// A repository with `files` of a golden folder, each at a path of its own.
fn repository(name: &str, folder: &str, files: &[(&str, &str)]) -> Repository {
    let files = files
        .iter()
        .map(|(path, file)| ((*path).to_string(), golden(folder).join(file)));
    Repository {
        kind: "models",
        name: name.into(),
        files: files.collect(),
    }
}

fn hub() -> Result<Hub> {
    let scaled = "gemma_2b_blocks.12.hook_resid_post_16384";
    let probed = "resid_post_layer_1/trainer_0";
    let scope = "layer_1/width_16k/average_l0_5";
    let llama = "Llama3_1-8B-Base-L1R-8x";
    let in_folder = |folder: &str, file: &str| format!("{folder}/{file}");
    let owned = |folder: &str, files: &[&str]| -> Vec<(String, String)> {
        files
            .iter()
            .map(|file| (in_folder(folder, file), (*file).to_string()))
            .collect()
    };
    let of = |name: &str, from: &str, files: Vec<(String, String)>| {
        let files: Vec<(&str, &str)> = files.iter().map(|(path, file)| (path.as_str(), file.as_str())).collect();
        repository(name, from, &files)
    };
    let mut published = Vec::new();
    for (kind, layer) in ["local", "e2e", "downstream"]
        .iter()
        .flat_map(|kind| [2, 6, 10].map(|layer| (*kind, layer)))
    {
        for similar in ["ce", "l0"] {
            for ending in ["pt", "yaml"] {
                let path = format!("{kind}_similar_{similar}_layer_{layer}.{ending}");
                published.push((path, format!("{kind}_similar_ce_layer_2.{ending}")));
            }
        }
    }
    Hub::open(vec![
        of(
            "jbloom/Gemma-2b-Residual-Stream-SAEs",
            "tiny/saelens",
            owned(scaled, &["cfg.json", "sae_weights.safetensors"]),
        ),
        of(
            "owner/probed",
            "tiny/dictionary_learning",
            owned(probed, &["ae.pt", "config.json"]),
        ),
        of(
            "google/gemma-scope-2b-pt-res",
            "tiny/gemma_scope",
            owned(scope, &["params.npz"]),
        ),
        of(
            "fnlp/Llama3_1-8B-Base-LXR-8x",
            "tiny/llama_scope",
            owned(llama, &["hyperparams.json", "checkpoints/final.safetensors"]),
        ),
        of("apollo-research/e2e-saes-gpt2", "e2e_gpt2", published),
    ])
}

fn import(place: &Place, source: &str) -> Line {
    import_with(place, &["import", source])
}

fn import_with(place: &Place, words: &[&str]) -> Line {
    Line::on(place, words)
        .with("--model", given::tiny_model().display())
        .with("--corpus", place.stories.display())
        .with("--n-ctx", 32)
        .with("--eval-tokens", 1024)
}

#[test]
fn dictionaries_are_imported_by_their_names() -> Result<()> {
    let place = Place::new()?;
    let hub = hub()?;
    for (source, says) in [
        // by SAELens' name, whose registry has the number that the files lack
        (
            "gemma-2b-res-jb/blocks.12.hook_resid_post",
            "a relu-saelens dictionary of 40 features, from a file of SAELens; tiny at blocks.1.hook_resid_pre, residual raw",
        ),
        (
            "owner/probed/resid_post_layer_1/trainer_0",
            "from a file of dictionary_learning; tiny at blocks.1.hook_resid_post",
        ),
        (
            "google/gemma-scope-2b-pt-res/layer_1/width_16k/average_l0_5",
            "a jumprelu dictionary of 40 features, from a file of Gemma Scope; tiny at blocks.1.hook_resid_post",
        ),
        (
            "llama_scope_lxr_8x/l1r_8x",
            "a jumprelu dictionary of 40 features, from a file of Llama Scope; tiny at blocks.1.hook_resid_post",
        ),
        (
            "fnlp/Llama3_1-8B-Base-LXR-8x/Llama3_1-8B-Base-L1R-8x",
            "from a file of Llama Scope",
        ),
        (
            "apollo-research/e2e-saes-gpt2/downstream_similar_ce_layer_2.pt",
            "a relu dictionary of 40 features, from a file of e2e_sae; tiny at blocks.1.hook_resid_pre, residual centred",
        ),
    ] {
        // files of e2e_sae name their model, and it is another one
        let names_another = source.contains("e2e-saes-gpt2");
        if names_another {
            let said = hub.run(&place, &import(&place, source), None)?;
            ensure!(said.code == Some(2), "{said}");
            said.complains(&["found 'tiny'", "'gpt2-small'", "--any-model"])?;
        }
        let words: &[&str] = if names_another {
            &["import", source, "--any-model"]
        } else {
            &["import", source]
        };
        let said = hub.run(&place, &import_with(&place, words), None)?;
        ensure!(said.code == Some(0), "{source}: {said}");
        said.tells(&[says]).with_context(|| source.to_string())?;
        ensure!(said.out.contains("imported"), "{source}: {said}");
    }
    // what is not needed is not fetched
    let heard = hub.heard();
    let fetched = |name: &str| {
        heard
            .iter()
            .any(|(path, _)| path.contains("/resolve/") && path.contains(name))
    };
    ensure!(
        fetched("downstream_similar_ce_layer_2.yaml") && fetched("hyperparams.json"),
        "{heard:?}"
    );
    ensure!(!fetched("local_similar"), "{heard:?}");
    // without the registry's name nobody knows the number
    let plain = "jbloom/Gemma-2b-Residual-Stream-SAEs/gemma_2b_blocks.12.hook_resid_post_16384";
    let said = hub.run(&place, &import(&place, plain), None)?;
    ensure!(said.code == Some(2), "{said}");
    said.complains(&["'normalize_activations'", "activation_scaler.json"])?;
    for (source, code, says) in [
        (
            "gemma-2b-res-jb/blocks.99.hook_resid_post",
            2,
            "has no dictionary 'blocks.99.hook_resid_post'",
        ),
        (
            "google/gemma-scope-2b-pt-res/layer_9",
            1,
            "has no dictionary in 'layer_9'; it has some in layer_1/width_16k/average_l0_5",
        ),
        ("fnlp/Llama3_1-8B-Base-LXR-8x", 1, "it has some in Llama3_1-8B-Base-L1R-8x"),
    ] {
        let said = hub.run(&place, &import(&place, source), None)?;
        ensure!(said.code == Some(code), "{source}: {said}");
        said.complains(&[says])?;
    }
    Ok(())
}

#[test]
fn the_published_checkpoints_are_measured_from_the_hub() -> Result<()> {
    let place = Place::new()?;
    let line = Line::on(&place, &["reproduce", "e2e-gpt2"])
        .with("--model", given::tiny_model().display())
        .with("--corpus", place.stories.display())
        .with("--eval-tokens", 512);
    let said = hub()?.run(&place, &line, None)?;
    ensure!(said.code == Some(0), "{said}");
    for name in [
        "local_similar_ce_layer_2",
        "e2e_similar_ce_layer_6",
        "downstream_similar_l0_layer_10",
    ] {
        let row = said.out.lines().find(|line| line.starts_with(name));
        let row = row.with_context(|| format!("{name} is missing: {said}"))?;
        ensure!(row.split(", ").nth(1).is_some_and(|l0| l0.parse::<f64>().is_ok()), "{row}");
    }
    Ok(())
}
