//! Files that are refused: each with one clear error, none with anything executed.

use api::{KindName, ResidualFrame};
use engine::{
    dictionary::Normaliser,
    exchange::{Choice, Facts, Format, read, write},
};
use std::{fs, path::Path};

use crate::{
    folder,
    round_trip::{dictionaries, facts},
};

fn error_of(path: &Path) -> String {
    read(path, &Choice::default()).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn pickles_that_call_something_are_refused_with_its_name() {
    for (name, says) in [
        ("os_system.pt", "asks for 'posix.system'"),
        ("eval_inside.pt", "asks for '__builtin__.eval'"),
        ("nested.pt", "asks for '__builtin__.getattr'"),
        ("odd_call.pt", "calls Parameter with 3 arguments, as torch does not"),
    ] {
        let error = error_of(&folder().join("bad").join(name));
        assert!(error.contains(says), "{name}: {error}");
        assert!(error.contains(name), "{error}");
    }
    for place in [Path::new("executed").to_owned(), folder().join("bad/executed")] {
        assert!(!place.exists(), "something was executed");
    }
}

#[test]
fn torch_files_that_cannot_be_used() {
    for (name, says) in [
        ("expanded.pt", "tensor 'bias' is larger than its storage"),
        ("nan.pt", "tensor 'bias' holds NaN at 1; expected finite numbers"),
        ("shape.pt", "tensor 'bias' is F32 [3]; expected F32, F64, F16 or BF16 [2]"),
        ("dtype.pt", "tensor 'bias' is I64 [2]; expected F32"),
        (
            "missing.pt",
            "tensor 'encoder.bias' is missing; found bias, decoder.weight, encoder.weight",
        ),
        ("extra.pt", "tensor 'skip' is not known here; expected encoder.bias, bias"),
        ("list.pt", "holds no state dict"),
        ("model.pt", "holds the tensors embed.W_E, unembed.W_U; expected those of"),
        ("legacy.pt", "as torch wrote before 1.6"),
        (
            "openai_identity.pt",
            "postact_fn is 'Identity'; expected ReLU, without which codes may be negative",
        ),
        ("openai_k.pt", "k is no number of features; expected 1 to 10"),
        (
            "norm_factor.pt",
            "its norm_factor, by which its run divides activations, is -2.5; expected a number above 0",
        ),
        ("done.pt", "a norm_factor beside 'ae' and no optimizer"),
        ("openai_other.pt", "its activation is 'Identity'; expected ReLU or TopK"),
        ("named/layer1.sae.pt", "no folder above it says how many features fire"),
        ("objects.npz", "holds '|O'"),
        ("bomb.npz", "claims to hold 4026531840 bytes"),
    ] {
        let error = error_of(&folder().join("bad").join(name));
        assert!(error.contains(says), "{name}: {error}");
    }
    // a later protocol says the same in other words
    assert!(read(&folder().join("bad/protocol_5.pt"), &Choice::default()).is_ok());
}

/// Cut anywhere, a file is refused. With a byte spoilt it is refused, or it is the same dictionary: padding and dates may be anything.
#[test]
fn files_that_are_cut_off_or_spoilt() {
    let copy = tempfile::tempdir().unwrap();
    for file in [
        "dictionary_learning_bare/ae.pt",
        "gemma_scope_packed/scope-2b-pt-res/layer_1/width_16k/average_l0_5/params.npz",
    ] {
        let whole = fs::read(folder().join(file)).unwrap();
        let path = copy.path().join(Path::new(file).file_name().unwrap());
        let parameters = |path: &Path| read(path, &Choice::default()).map(|imported| imported.dictionary.parameters().clone());
        let ours = parameters(&folder().join(file)).unwrap();
        for cut in (0..whole.len()).step_by(97) {
            fs::write(&path, &whole[..cut]).unwrap();
            error_of(&path);
        }
        let mut n_refused = 0;
        for at in (0..whole.len()).step_by(23) {
            let mut spoilt = whole.clone();
            spoilt[at] ^= 0x5a;
            fs::write(&path, &spoilt).unwrap();
            match parameters(&path) {
                Ok(found) => assert_eq!(found, ours, "{file}, byte {at}"),
                Err(_) => n_refused += 1,
            }
        }
        assert!(n_refused > whole.len() / 23 / 4, "{file}: {n_refused} refused");
    }
}

/// A copy of a case's folder with its config changed.
fn changed(case: &str, change: impl Fn(&mut serde_json::Value)) -> String {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder().join(case)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    let path = [copy.path().join("cfg.json"), copy.path().join("config.json")]
        .into_iter()
        .find(|path| path.is_file())
        .unwrap();
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut config);
    fs::write(&path, config.to_string()).unwrap();
    error_of(copy.path())
}

#[test]
fn saelens_configs_that_cannot_be_used() {
    for (field, value, says) in [
        (
            "architecture",
            "temporal".into(),
            "field 'architecture' is \"temporal\"; expected standard, gated",
        ),
        (
            "architecture",
            "temporal".into(),
            "codes follow from those of the tokens before",
        ),
        (
            "architecture",
            "transcoder".into(),
            "'apply_b_dec_to_input' is true; expected false: a transcoder's b_dec",
        ),
        (
            "normalize_activations",
            "covariance_whitening".into(),
            "\"covariance_whitening\"; expected none, expected_average_only_in, layer_norm",
        ),
        (
            "normalize_activations",
            "expected_average_only_in".into(),
            "fold it into the weights first",
        ),
        ("d_sae", 11.into(), "tensor 'b_enc' is F32 [10]"),
        ("d_in", "six".into(), "field 'd_in' is \"six\"; expected a whole number"),
        ("d_in", serde_json::Value::Null, "field 'd_in' is absent"),
        (
            "d_in",
            768.into(),
            "tensor 'W_dec' is F32 [10, 6]; expected F32, F64, F16 or BF16 [10, 768]",
        ),
        ("apply_b_dec_to_input", "yes".into(), "expected true or false"),
        ("activation_fn", "tanh".into(), "expected relu or topk"),
    ] {
        let error = changed("saelens_standard", |config| config[field] = value.clone());
        let error_holds = error.contains(says) || (field == "d_sae" && error.contains("[11, 6]"));
        assert!(error_holds, "{field}: {error}");
    }
    let error = changed("saelens_matching_pursuit", |config| config["max_iterations"] = 0.into());
    assert!(error.contains("field 'max_iterations' is 0; expected"), "{error}");
    let error = changed("saelens_standard", |config| config["metadata"]["hook_head_index"] = 3.into());
    assert!(error.contains("'metadata.hook_head_index' is 3"), "{error}");
    for version in ["7.0.0", "9.0", "10.2.0-rc.1"] {
        let error = changed("saelens_standard", |config| {
            config["metadata"]["sae_lens_version"] = version.into()
        });
        let says = format!("field 'metadata.sae_lens_version' is \"{version}\"; expected a version from 3 to 6");
        assert!(error.contains(&says), "{error}");
        // what is flat counts where there is metadata, too
        let error = changed("saelens_standard", |config| config["sae_lens_version"] = version.into());
        assert!(
            error.contains(&format!("field 'sae_lens_version' is \"{version}\"")),
            "{error}"
        );
        let error = changed("saelens_flat", |config| config["sae_lens_version"] = version.into());
        assert!(
            error.contains(&format!("field 'sae_lens_version' is \"{version}\"")),
            "{error}"
        );
    }
    let error = changed("saelens_topk", |config| config["k"] = 11.into());
    assert!(
        error.contains("field 'k' is 11; expected features per token, 1 to 10"),
        "{error}"
    );
    // the rows are not of one length, and without rescaling nothing says what that means
    let error = changed("saelens_topk_rescaled", |config| {
        config["rescale_acts_by_decoder_norm"] = false.into()
    });
    assert!(
        error.contains("decoder's rows are") && error.contains("expected rows of one length"),
        "{error}"
    );
    let error = changed("saelens_finetuned", |config| {
        config["finetuning_scaling_factor"] = false.into()
    });
    assert!(error.contains("not all ones"), "{error}");
}

/// Llama Scope's folder with its config changed.
fn llama_scope(change: impl Fn(&mut serde_json::Value)) -> String {
    let from = folder().join("llama_scope/Llama3_1-8B-Base-L1R-8x");
    let copy = tempfile::tempdir().unwrap();
    fs::create_dir(copy.path().join("checkpoints")).unwrap();
    let weights = "checkpoints/final.safetensors";
    fs::copy(from.join(weights), copy.path().join(weights)).unwrap();
    let mut config = serde_json::from_slice(&fs::read(from.join("hyperparams.json")).unwrap()).unwrap();
    change(&mut config);
    fs::write(copy.path().join("hyperparams.json"), config.to_string()).unwrap();
    error_of(copy.path())
}

#[test]
fn llama_scopes_that_cannot_be_used() {
    for (field, value, says) in [
        ("act_fn", serde_json::json!("topk"), "'act_fn' is \"topk\"; expected jumprelu"),
        (
            "norm_activation",
            "token-wise".into(),
            "\"token-wise\"; expected dataset-wise",
        ),
        (
            "apply_decoder_bias_to_pre_encoder",
            true.into(),
            "'apply_decoder_bias_to_pre_encoder' is true; expected false",
        ),
        (
            "hook_point_out",
            "blocks.1.hook_mlp_out".into(),
            "\"blocks.1.hook_mlp_out\"; expected blocks.1.hook_resid_post, as hook_point_in",
        ),
        (
            "dataset_average_activation_norm",
            serde_json::json!({"in": 0.0, "out": 1.0}),
            "'dataset_average_activation_norm.in' is 0.0; expected a number above 0",
        ),
        (
            "dataset_average_activation_norm",
            serde_json::json!({"in": 2.0, "out": 1.0}),
            "'dataset_average_activation_norm.out' is 1.0; expected 2, as in",
        ),
        (
            "jump_relu_threshold",
            serde_json::Value::Null,
            "'jump_relu_threshold' is absent",
        ),
    ] {
        let error = llama_scope(|config| config[field] = value.clone());
        assert!(error.contains(says), "{field}: {error}");
    }
}

#[test]
fn other_configs_that_cannot_be_used() {
    let error = changed("dictionary_learning_standard", |config| {
        config["trainer"]["dict_class"] = "CrossCoder".into()
    });
    assert!(
        error.contains("'CrossCoder'; expected MatryoshkaBatchTopKSAE, GatedAutoEncoder"),
        "{error}"
    );
    let error = changed("dictionary_learning_standard", |config| {
        config["trainer"]["dict_class"] = "GatedAutoEncoder".into()
    });
    assert!(error.contains("tensor 'bias' is not known here"), "{error}");
    for (field, value, says) in [
        ("skip_connection", serde_json::Value::Bool(true), "skip connection"),
        ("embed_skip", true.into(), "from the embedding"),
        ("activation", "groupmax".into(), "\"groupmax\"; expected topk"),
        ("num_latents", 12.into(), "expected 10, as encoder.weight has"),
        ("k", 0.into(), "features per token, 1 to 10"),
    ] {
        let error = changed("sparsify/layers.1.mlp", |config| config[field] = value.clone());
        assert!(error.contains(says), "{field}: {error}");
    }
    let error = changed("sparsify/layers.1.mlp", |config| {
        (config["signed"], config["transcode"]) = (true.into(), true.into());
    });
    assert!(
        error.contains("field 'signed' is true; expected false: a transcoder"),
        "{error}"
    );
}

#[test]
fn places_that_hold_no_dictionary() {
    let empty = tempfile::tempdir().unwrap();
    let error = error_of(empty.path());
    assert!(
        error.contains("holds nothing; expected a folder with cfg.json and sae_weights.safetensors (SAELens)"),
        "{error}"
    );
    assert!(error_of(&empty.path().join("none")).contains("there is no such file or folder"));
    fs::write(empty.path().join("notes.txt"), "text").unwrap();
    assert!(error_of(&empty.path().join("notes.txt")).contains("a file of no known format"));
    fs::write(empty.path().join("final_config.yaml"), "seed: 0\n").unwrap();
    assert!(error_of(empty.path()).contains("no samples_N.pt"));
}

#[test]
fn what_a_format_cannot_say_is_refused_by_name() {
    let all = dictionaries();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("unwritten");
    let refused = |kind: KindName, facts: &Facts| {
        let dictionary = all.iter().find(|one| one.kind().name() == kind).unwrap();
        let error = write(dictionary, facts, None, &path).unwrap_err().to_string();
        assert!(!path.exists(), "{kind}: something is written");
        error
    };
    let plain = |format| facts(format, Normaliser::default());
    let relu = [
        KindName::Relu,
        KindName::ReluApril,
        KindName::ReluSaelens,
        KindName::Tied,
        KindName::PAnneal,
    ];
    let others = [
        (KindName::Gated, "a gated"),
        (KindName::TopK, "a topk"),
        (KindName::BatchTopK, "a batchtopk"),
        (KindName::Matryoshka, "a matryoshka"),
        (KindName::JumpRelu, "a jumprelu"),
        (KindName::AbsTopK, "an abstopk"),
        (KindName::MatchingPursuit, "a matching-pursuit"),
    ];
    let kinds: Vec<_> = relu.map(|kind| (kind, "a relu")).into_iter().chain(others).collect();
    let (thresholds, topk) = (
        [KindName::BatchTopK, KindName::Matryoshka, KindName::JumpRelu],
        [KindName::TopK],
    );
    for (format, said, has) in [
        (Format::Sparsify, &topk[..], "sparsify has topk"),
        (Format::OpenAi, &[&relu[..], &topk].concat(), "OpenAI has relu and topk"),
        (
            Format::GemmaScope,
            &[&relu[..], &thresholds].concat(),
            "Gemma Scope has jumprelu, of which",
        ),
        (Format::E2eSae, &relu, "e2e_sae has relu"),
        (Format::SparseCoding, &relu, "sparse_coding has relu"),
    ] {
        for (kind, name) in kinds.iter().filter(|(kind, _)| !said.contains(kind)) {
            let error = refused(*kind, &plain(format));
            assert!(error.contains(&format!("found {name} dictionary; {has}")), "{error}");
        }
        // the stream is read one way or the other; at the heads' outputs there is no other
        let kind = said[0];
        let (other, found) = match format {
            Format::E2eSae => (ResidualFrame::Raw, "raw"),
            _ => (ResidualFrame::Centred, "centred"),
        };
        let framed = |hook: &str| Facts {
            residual: Some(other),
            hook: Some(hook.into()),
            ..plain(format)
        };
        if format == Format::SparseCoding || kind == KindName::TopK && format == Format::OpenAi {
            continue;
        }
        for at in ["hook_embed", "blocks.3.hook_resid_mid", "blocks.3.hook_mlp_out"] {
            let error = refused(kind, &framed(at));
            let says = format!("found the residual stream {found}; {format}'s dictionaries see it");
            assert!(error.contains(&says), "{error}");
        }
        let dictionary = all.iter().find(|one| one.kind().name() == kind).unwrap();
        let elsewhere = folder.path().join(format.to_string());
        write(dictionary, &framed("blocks.3.attn.hook_z"), None, &elsewhere).unwrap();
    }
    let before_gain = Facts {
        hook: Some("blocks.3.ln2.hook_normalized".into()),
        ..plain(Format::Sparsify)
    };
    let error = refused(KindName::TopK, &before_gain);
    assert!(
        error.contains("found a dictionary at blocks.3.ln2.hook_normalized, before the norm's gain"),
        "{error}"
    );
}
