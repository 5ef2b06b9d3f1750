//! Spoilt model folders and impossible requests: each gets one clear error that names what is wrong.
#![allow(clippy::unwrap_used, reason = "a test may stop at a surprise")]

use api::{HookPoint, ResidualFrame};
use engine::model::{Cut, Model, ModelError, NoHooks, Work, content_hash};
use safetensors::tensor::TensorView;
use serde_json::{Map, Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};

const WEIGHTS: &str = "model.safetensors";

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/models")
        .join(name)
}

/// The error of loading a copy of a golden folder that `change` has spoilt must say all of `words`.
fn refused(name: &str, words: &[&str], change: impl FnOnce(&Path)) {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder(name)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    change(copy.path());
    let error = Model::load(copy.path(), ResidualFrame::Raw).err();
    let error = error
        .unwrap_or_else(|| panic!("a folder without {words:?} loaded"))
        .to_string();
    for word in words {
        assert!(error.contains(word), "'{error}' does not say '{word}'");
    }
}

/// Sets a field of a folder's config.
fn set(folder: &Path, field: &str, value: impl Into<Value>) {
    let path = folder.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config[field] = value.into();
    fs::write(path, config.to_string()).unwrap();
}

/// The logits of a golden folder's context after `change` to a copy of its config.
fn logits_with(name: &str, change: impl FnOnce(&mut Map<String, Value>)) -> Vec<f32> {
    let copy = tempfile::tempdir().unwrap();
    fs::copy(folder(name).join(WEIGHTS), copy.path().join(WEIGHTS)).unwrap();
    let config = fs::read(folder(name).join("config.json")).unwrap();
    let mut config: Map<String, Value> = serde_json::from_slice(&config).unwrap();
    change(&mut config);
    fs::write(copy.path().join("config.json"), Value::Object(config).to_string()).unwrap();
    let model = Model::load(copy.path(), ResidualFrame::Raw).unwrap();
    let tokens: Vec<u32> = (0..40).map(|i| (i * 7 + 3) % 64).collect();
    let (mut cut, mut out, mut work) = (Cut::default(), Vec::new(), Work::default());
    model
        .prefix(&tokens, HookPoint::Embed, &mut cut, &mut NoHooks, &mut work)
        .unwrap();
    model
        .suffix(&cut, &cut.value, &mut out, &mut NoHooks, None, &mut work)
        .unwrap();
    let mut logits = vec![0.0; tokens.len() * model.facts().d_vocab];
    model.logits(&out, &mut logits);
    logits
}

/// The error after setting a field of the config must name the field and say all of `words`.
fn refused_with(name: &str, field: &str, value: impl Into<Value>, words: &[&str]) {
    refused(name, &[&[field], words].concat(), |copy| set(copy, field, value));
}

#[test]
fn missing_and_damaged_files() {
    refused("gpt2", &["config.json"], |at| {
        fs::remove_file(at.join("config.json")).unwrap()
    });
    refused("gpt2", &["config.json", "damaged"], |at| {
        fs::write(at.join("config.json"), "{").unwrap()
    });
    refused("gpt2", &[WEIGHTS], |at| fs::remove_file(at.join(WEIGHTS)).unwrap());
    refused("gpt2", &["pytorch_model.bin", "save_pretrained"], |at| {
        fs::rename(at.join(WEIGHTS), at.join("pytorch_model.bin")).unwrap();
    });
    refused("gpt2", &[WEIGHTS, "damaged"], |at| {
        let bytes = fs::read(at.join(WEIGHTS)).unwrap();
        fs::write(at.join(WEIGHTS), &bytes[..bytes.len() - 100]).unwrap();
    });
    refused("gpt2", &[WEIGHTS, "damaged"], |at| {
        fs::write(at.join(WEIGHTS), [0xff; 64]).unwrap()
    });
    refused("gpt2", &[WEIGHTS, "damaged"], |at| fs::write(at.join(WEIGHTS), []).unwrap());
    refused("llama", &["model-00002-of-"], |at| {
        let shards = fs::read_dir(at).unwrap().map(|entry| entry.unwrap().path());
        let second = shards.filter(|path| path.to_string_lossy().contains("model-00002"));
        second.for_each(|path| fs::remove_file(path).unwrap());
    });
    refused("llama", &["'../model.safetensors'"], |at| {
        let index = json!({"weight_map": {"lm_head.weight": "../model.safetensors"}});
        fs::write(at.join("model.safetensors.index.json"), index.to_string()).unwrap();
    });
}

#[test]
fn tensors_that_do_not_fit() {
    refused("gpt2", &["transformer.wte.weight", "[67, 24]", "[67, 48]"], |at| {
        set(at, "n_embd", 48)
    });
    refused("gpt2", &["transformer.h.3.ln_1.weight"], |at| set(at, "n_layer", 4));
    refused("gpt2", &["lm_head.weight"], |at| set(at, "tie_word_embeddings", false));
    refused("gpt2", &["transformer.wte.weight", "F64"], |at| {
        let zeros = vec![0u8; 67 * 24 * 8];
        let view = TensorView::new(safetensors::Dtype::F64, vec![67, 24], &zeros).unwrap();
        let bytes = safetensors::serialize([("transformer.wte.weight", view)], None).unwrap();
        fs::write(at.join(WEIGHTS), bytes).unwrap();
    });
}

#[test]
fn configs_that_would_change_the_forward() {
    refused_with("gpt2", "model_type", "bert", &["\"bert\"", "gpt_neox"]);
    refused_with("gpt2", "n_embd", "wide", &["\"wide\""]);
    refused_with("gpt2", "n_head", 5, &["5", "divisor"]);
    refused_with("gpt2", "n_layer", 0, &["0"]);
    refused_with("gpt2", "activation_function", "quick_gelu", &["quick_gelu", "gelu_new"]);
    refused_with("gpt2", "add_cross_attention", true, &[]);
    refused_with("gpt2", "quantization_config", json!({"bits": 4}), &[]);
    refused_with(
        "gpt_neo",
        "attention_layers",
        json!(["global", "local", "sparse", "local"]),
        &["sparse"],
    );
    let yarn = json!({"rope_type": "yarn", "factor": 4.0});
    refused_with("llama", "rope_parameters", yarn, &["rope_parameters.rope_type", "yarn"]);
    refused_with("llama", "num_key_value_heads", 3, &["3", "divisor"]);
    refused_with("llama", "sliding_window", 16, &["16"]);
    refused_with("mistral", "layer_types", vec!["full_attention"; 3], &["alike"]);
    refused_with("mistral", "attention_bias", true, &["true"]);
    refused_with("mistral", "sliding_window", 0, &["0"]);
    let yarn = json!({"rope_type": "yarn", "factor": 4.0});
    refused_with("qwen2", "rope_parameters", yarn, &["rope_parameters.rope_type", "yarn"]);
    refused("qwen2", &["layer_types", "sliding_window"], |at| {
        set(at, "use_sliding_window", false)
    });
    refused("qwen2", &["layer_types", "sliding_window"], |at| {
        set(at, "sliding_window", Value::Null)
    });
    refused_with("qwen3", "layer_types", vec!["full_attention"; 2], &["each of 3 blocks"]);
    let chunked = json!(["full_attention", "chunked_attention", "full_attention"]);
    refused_with("qwen3", "layer_types", chunked, &["chunked_attention"]);
    refused_with("qwen3", "hidden_act", "xielu", &["xielu"]);
    refused_with("gemma2", "use_bidirectional_attention", true, &["true"]);
    refused_with("gemma2", "attn_logit_softcapping", -1.0, &["-1.0"]);
    refused_with("gemma2", "query_pre_attn_scalar", 0, &["0"]);
    let by_kind = json!({"full_attention": {"rope_theta": 1e6}, "sliding_attention": {"rope_theta": 1e4}});
    refused_with("gemma2", "rope_parameters", by_kind, &["rope_parameters.full_attention"]);
}

#[test]
fn older_configs_mean_the_same() {
    let as_it_is = |name| logits_with(name, |_| {});
    // before `layer_types`, and before `rope_parameters`
    for (name, theta) in [("gemma2", 1e4), ("qwen2", 1e4), ("qwen3", 1e4)] {
        let older = logits_with(name, |config| {
            config.remove("layer_types").unwrap();
            config.remove("rope_parameters").unwrap();
            config.insert("rope_theta".into(), theta.into());
        });
        assert!(older == as_it_is(name), "{name}");
    }
    // windows from the first block on, and none
    let all = |config: &mut Map<String, Value>| {
        config.remove("layer_types").unwrap();
        config.insert("max_window_layers".into(), 0.into());
    };
    assert!(logits_with("qwen2", all) != as_it_is("qwen2"));
    let none = |config: &mut Map<String, Value>| {
        config.remove("layer_types").unwrap();
        config.insert("use_sliding_window".into(), false.into());
    };
    assert!(logits_with("qwen2", none) != as_it_is("qwen2"));
}

#[test]
fn an_absent_field_is_its_default_and_a_null_is_none() {
    let set = |name, field: &str, value: Value| logits_with(name, |config| drop(config.insert(field.into(), value)));
    let without = |name, field: &str| logits_with(name, |config| drop(config.remove(field).unwrap()));
    // the contexts are shorter than the default window of 4096
    assert!(without("mistral", "sliding_window") == set("mistral", "sliding_window", Value::Null));
    assert!(without("mistral", "sliding_window") != logits_with("mistral", |_| {}));
    for (field, default) in [("attn_logit_softcapping", 50.0), ("final_logit_softcapping", 30.0)] {
        assert!(without("gemma2", field) == set("gemma2", field, default.into()), "{field}");
        assert!(without("gemma2", field) != set("gemma2", field, Value::Null), "{field}");
    }
    assert!(without("gemma2", "query_pre_attn_scalar") == set("gemma2", "query_pre_attn_scalar", 256.into()));
}

#[test]
fn requests_that_cannot_be_met() {
    let model = Model::load(&folder("gpt2"), ResidualFrame::Raw).unwrap();
    let (mut cut, mut work) = (Cut::default(), Work::default());
    let mut ask = |tokens: &[u32], at| {
        let answer = model.prefix(tokens, at, &mut cut, &mut NoHooks, &mut work);
        answer.unwrap_err().to_string()
    };
    let error = ask(&[1, 67, 2], HookPoint::Embed);
    assert!(error.contains("67") && error.contains("position 1"), "{error}");
    let error = ask(&[u32::MAX], HookPoint::Embed);
    assert!(error.contains("4294967295"), "{error}");
    let error = ask(&[1; 33], HookPoint::Embed);
    assert!(error.contains("33") && error.contains("32"), "{error}");
    assert!(ask(&[], HookPoint::Embed).contains("0 tokens"));
    let error = ask(&[1], HookPoint::resid_pre(3));
    assert!(
        error.contains("blocks.3.hook_resid_pre") && error.contains("0 to 2"),
        "{error}"
    );

    let mut cut = Cut::default();
    model
        .prefix(&[1, 2], HookPoint::resid_pre(1), &mut cut, &mut NoHooks, &mut work)
        .unwrap();
    let mut next = Cut::default();
    let error = model
        .advance(&cut, &cut.value, HookPoint::resid_pre(0), &mut next, &mut NoHooks, &mut work)
        .unwrap_err();
    assert!(matches!(error, ModelError::Order { .. }), "{error}");
    let error = model
        .suffix(&cut, &cut.value[1..], &mut Vec::new(), &mut NoHooks, None, &mut work)
        .unwrap_err();
    assert!(error.to_string().contains("2 tokens × 24"), "{error}");

    let parallel = Model::load(&folder("gpt_neox"), ResidualFrame::Raw).unwrap();
    let error = parallel
        .width("blocks.1.hook_resid_mid".parse().unwrap())
        .unwrap_err()
        .to_string();
    assert!(error.contains("parallel") && error.contains("hook_mlp_out"), "{error}");
}

#[test]
fn the_hash_is_of_the_content() {
    let hash = content_hash(&folder("tiny")).unwrap();
    assert_eq!(hash.len(), 64);
    assert_eq!(hash, content_hash(&folder("tiny")).unwrap());
    assert_ne!(hash, content_hash(&folder("gpt2")).unwrap());
    assert!(content_hash(&folder("none")).is_err());
}

/// Appends fields to a folder's config as they are written.
fn append(folder: &Path, fields: &str) {
    let path = folder.join("config.json");
    let config = fs::read_to_string(&path).unwrap();
    let (before, _) = config.rsplit_once('}').unwrap();
    fs::write(path, format!("{before}, {fields}}}")).unwrap();
}

#[test]
fn a_config_as_python_writes_it_is_read_where_the_number_is_not_used() {
    let copy = tempfile::tempdir().unwrap();
    for name in [WEIGHTS, "config.json"] {
        fs::copy(folder("tiny").join(name), copy.path().join(name)).unwrap();
    }
    append(
        copy.path(),
        "\"unused\": NaN, \"more\": [Infinity, -Infinity], \"named\": \"\\ud83d\"",
    );
    Model::<f32>::load(copy.path(), ResidualFrame::Raw).unwrap();
    refused(
        "tiny",
        &["layer_norm_epsilon", "NaN", "expected a positive number"],
        |folder| append(folder, "\"layer_norm_epsilon\": NaN"),
    );
}
