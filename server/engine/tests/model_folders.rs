//! Spoilt model folders and impossible requests: each gets one clear error that names what is wrong.
#![allow(clippy::unwrap_used, reason = "a test may stop at a surprise")]

use api::{HookPoint, ResidualFrame};
use engine::model::{Cut, Model, ModelError, NoHooks, Work, content_hash};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
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
    logits_of(&Model::load(copy.path(), ResidualFrame::Raw).unwrap())
}

/// The logits of a context of 40 tokens, or as many as the model reads.
fn logits_of(model: &Model<f32>) -> Vec<f32> {
    logits_on(model, model.facts().n_ctx.min(40) as u32)
}

fn logits_on(model: &Model<f32>, n: u32) -> Vec<f32> {
    let tokens: Vec<u32> = (0..n).map(|i| (i * 7 + 3) % 64).collect();
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
    refused("gpt2", &["transformer.wte.weight", "I64"], |at| {
        rewrite(at, |entries| {
            let entry = entries
                .iter_mut()
                .find(|(name, ..)| name == "transformer.wte.weight")
                .unwrap();
            (entry.1, entry.3) = (Dtype::I64, vec![0; 67 * 24 * 8]);
        });
    });
}

/// A tensor of a checkpoint: name, type, shape, bytes.
type Entry = (String, Dtype, Vec<usize>, Vec<u8>);

/// Writes a folder's weights anew as `change` makes them.
fn rewrite(folder: &Path, change: impl FnOnce(&mut Vec<Entry>)) {
    let bytes = fs::read(folder.join(WEIGHTS)).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let entry =
        |(name, view): (&str, TensorView<'_>)| (name.to_owned(), view.dtype(), view.shape().to_vec(), view.data().to_vec());
    let mut entries: Vec<Entry> = tensors.iter().map(entry).collect();
    change(&mut entries);
    let views = entries
        .iter()
        .map(|(name, dtype, shape, data)| (name, TensorView::new(*dtype, shape.clone(), data).unwrap()));
    fs::write(folder.join(WEIGHTS), safetensors::serialize(views, None).unwrap()).unwrap();
}

/// The numbers of f32 tensors as another type.
fn stored_as(entries: &mut [Entry], dtype: Dtype) {
    for (_, from, _, data) in entries {
        let numbers: Vec<f32> = bytemuck::pod_collect_to_vec(data);
        *data = match dtype {
            Dtype::F64 => numbers.iter().flat_map(|x| f64::from(*x).to_le_bytes()).collect(),
            Dtype::F16 => numbers.iter().flat_map(|x| half::f16::from_f32(*x).to_le_bytes()).collect(),
            Dtype::BF16 => numbers.iter().flat_map(|x| half::bf16::from_f32(*x).to_le_bytes()).collect(),
            _ => continue,
        };
        *from = dtype;
    }
}

#[test]
fn weights_that_are_not_finite_are_named_with_their_place() {
    const NAME: &str = "transformer.h.1.mlp.c_fc.weight";
    for (dtype, size) in [(Dtype::F32, 4), (Dtype::F64, 8), (Dtype::F16, 2), (Dtype::BF16, 2)] {
        for other in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            refused("gpt2", &[NAME, &format!("holds {other} at [3, 5]"), "damaged"], |at| {
                rewrite(at, |entries| {
                    stored_as(entries, dtype);
                    let (_, _, shape, data) = entries.iter_mut().find(|(name, ..)| name == NAME).unwrap();
                    let mut number = vec![(NAME.to_owned(), Dtype::F32, vec![1], other.to_le_bytes().to_vec())];
                    stored_as(&mut number, dtype);
                    let place = (3 * shape[1] + 5) * size;
                    data[place..place + size].copy_from_slice(&number[0].3);
                });
            });
        }
    }
    // a double may be finite and have no place in f32
    refused("gpt2", &["transformer.ln_f.bias", &format!("holds {} at [0]", 1e300)], |at| {
        rewrite(at, |entries| {
            stored_as(entries, Dtype::F64);
            let (.., data) = entries.iter_mut().find(|(name, ..)| name == "transformer.ln_f.bias").unwrap();
            data[..8].copy_from_slice(&1e300f64.to_le_bytes());
        });
    });
}

/// A copy of a golden folder that `change` has changed.
fn changed(name: &str, change: impl FnOnce(&Path)) -> (tempfile::TempDir, Result<Model<f32>, ModelError>) {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder(name)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    change(copy.path());
    let model = Model::load(copy.path(), ResidualFrame::Raw);
    (copy, model)
}

#[test]
fn doubles_and_the_names_of_compiled_models_are_the_same_model() {
    let as_it_is = logits_of(&Model::load(&folder("gpt2"), ResidualFrame::Raw).unwrap());
    let rename = |change: fn(&str) -> String| {
        move |at: &Path| rewrite(at, |entries| entries.iter_mut().for_each(|(name, ..)| *name = change(name)))
    };
    for change in [
        |name: &str| format!("_orig_mod.{name}"),
        |name: &str| format!("module._orig_mod.{name}"),
        |name: &str| format!("_orig_mod.module.{name}"),
        |name: &str| name.replace(".h.1.", ".h.1._orig_mod."),
    ] {
        let (_copy, model) = changed("gpt2", rename(change));
        assert!(logits_of(&model.unwrap()) == as_it_is);
    }
    let (_copy, model) = changed("gpt2", |at| rewrite(at, |entries| stored_as(entries, Dtype::F64)));
    assert!(logits_of(&model.unwrap()) == as_it_is);
    refused("gpt2", &["transformer.ln_f.bias", "twice"], |at| {
        rewrite(at, |entries| {
            let again = entries
                .iter()
                .find(|(name, ..)| name == "transformer.ln_f.bias")
                .unwrap()
                .clone();
            entries.push((format!("_orig_mod.{}", again.0), again.1, again.2, again.3));
        });
    });
}

/// Numbers that no weights have: refused before anything is made of them, by field.
#[test]
fn a_configs_numbers_decide_no_memory() {
    let absurd = [100_000_000_000u64, 1 << 39, (1 << 40) - 1, 1 << 50, u64::MAX];
    let of = |fields: &[&'static str]| fields.to_vec();
    let decoder = of(&[
        "num_hidden_layers",
        "hidden_size",
        "vocab_size",
        "intermediate_size",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
    ]);
    let neox = of(&[
        "num_hidden_layers",
        "hidden_size",
        "vocab_size",
        "intermediate_size",
        "num_attention_heads",
    ]);
    for (name, fields) in [
        (
            "gpt2",
            of(&["n_layer", "n_embd", "vocab_size", "n_positions", "n_inner", "n_head"]),
        ),
        (
            "gpt_neo",
            of(&[
                "num_layers",
                "hidden_size",
                "vocab_size",
                "max_position_embeddings",
                "intermediate_size",
                "num_heads",
            ]),
        ),
        ("gpt_neox", neox),
        ("llama", decoder.clone()),
        ("mistral", decoder.clone()),
        ("qwen2", decoder.clone()),
        ("qwen3", decoder.clone()),
        ("gemma2", decoder),
    ] {
        for field in fields {
            for value in absurd {
                refused_with(name, field, value, &[]);
            }
        }
    }
    // two numbers whose product is, in 64 bits, the width that the weights have
    refused("qwen3", &["num_attention_heads"], |at| {
        set(at, "num_attention_heads", (1u64 << 33) + 4);
        set(at, "num_key_value_heads", (1u64 << 33) + 4);
        set(at, "head_dim", 1u64 << 31);
    });
}

/// Contexts may be long by the config, and cost what those in use need.
#[test]
fn the_longest_context_is_not_paid_for_in_advance() {
    let as_it_is = |name| logits_on(&Model::load(&folder(name), ResidualFrame::Raw).unwrap(), 30);
    for name in ["llama", "mistral", "qwen2", "qwen3", "gemma2", "gpt_neox"] {
        for n_ctx in [1u64 << 33, 50_000_000, 10_000_000_000] {
            let (_copy, model) = changed(name, |at| set(at, "max_position_embeddings", n_ctx));
            let model = model.unwrap();
            assert_eq!(model.facts().n_ctx as u64, n_ctx);
            assert!(logits_on(&model, 30) == as_it_is(name), "{name}");
        }
        // sums are beyond what a context can be
        let (_copy, model) = changed(name, |at| set(at, "max_position_embeddings", 1u64 << 41));
        assert!(model.is_err());
    }
}

/// Positions behind the first piece of the rotations are rotated as the formula says.
#[test]
fn rotations_are_the_same_however_long_the_context() {
    let (_copy, model) = changed("llama", |at| set(at, "max_position_embeddings", 1u64 << 33));
    let model = model.unwrap();
    let tokens: Vec<u32> = (0..5000).map(|i| (i * 7 + 3) % 64).collect();
    let values = |tokens: &[u32]| {
        let (mut cut, mut work) = (Cut::default(), Work::default());
        model
            .prefix(
                tokens,
                "blocks.0.hook_resid_post".parse().unwrap(),
                &mut cut,
                &mut NoHooks,
                &mut work,
            )
            .unwrap();
        cut.value
    };
    let d = model.facts().d_model;
    let long = values(&tokens);
    for n in [1, 1023, 1024, 1025, 2048, 2049, 4097] {
        let short = values(&tokens[..n]);
        let off = short
            .iter()
            .zip(&long[..n * d])
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(off < 1e-5, "{n}: {off}");
    }
    let parts = model.parts();
    let rope = parts.rope.unwrap();
    let [cos, sin] = rope.rotations(5000);
    let n = rope.frequencies.len();
    for (position, pair) in [(0, 0), (1, 1), (1024, 0), (4999, n - 1)] {
        let angle = f64::from(position as f32 * rope.frequencies[pair]);
        assert_eq!(
            (cos[position * n + pair], sin[position * n + pair]),
            (angle.cos() as f32, angle.sin() as f32)
        );
    }
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
    let unused = r#""unused": NaN, "more": [Infinity, -Infinity], "named": "\ud83d""#;
    append(copy.path(), unused);
    Model::<f32>::load(copy.path(), ResidualFrame::Raw).unwrap();
    let expected = ["layer_norm_epsilon", "NaN", "expected a positive number"];
    refused("tiny", &expected, |folder| append(folder, "\"layer_norm_epsilon\": NaN"));
}
