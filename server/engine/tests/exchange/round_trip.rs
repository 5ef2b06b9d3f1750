//! Ours, written as theirs and read again, are the same dictionaries.

use api::{BosPolicy, DictionaryKind, KindName, ResidualFrame};
use engine::{
    dictionary::{Dictionary, Normaliser, TokenNorm},
    exchange::{Choice, Facts, Format, read, write},
};
use rand::{Rng, SeedableRng};

use crate::{outputs, outputs_through, read_any, relative};

/// Width.
pub const D_IN: usize = 7;
/// Features.
pub const D_SAE: usize = 12;
/// Tokens.
pub const N: usize = 40;

/// One of each kind, moved away from its initial weights, whose biases are 0.
pub fn dictionaries() -> Vec<Dictionary<f32>> {
    let dead_tokens = 100;
    let kinds = [
        DictionaryKind::Relu,
        DictionaryKind::ReluUnit,
        DictionaryKind::ReluApril,
        DictionaryKind::ReluSaelens,
        DictionaryKind::PAnneal {
            final_p: 0.2,
            anneal_start: 10,
            anneal_end: 20,
        },
        DictionaryKind::Tied,
        DictionaryKind::Gated,
        DictionaryKind::TopK {
            k: 3,
            aux_coefficient: 0.1,
            dead_tokens,
        },
        DictionaryKind::BatchTopK {
            k: 3,
            aux_coefficient: 0.1,
            dead_tokens,
            threshold_decay: 0.9,
        },
        DictionaryKind::Matryoshka {
            k: 3,
            aux_coefficient: 0.1,
            dead_tokens,
            threshold_decay: 0.9,
            groups: 3,
        },
        DictionaryKind::JumpRelu {
            bandwidth: 0.01,
            initial_threshold: 0.01,
        },
        DictionaryKind::AbsTopK {
            k: 3,
            aux_coefficient: 0.1,
            dead_tokens,
        },
        DictionaryKind::MatchingPursuit {
            k: 4,
            residual_threshold: 0.2,
            stop_on_duplicate: true,
        },
    ];
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
    let mut made = |kind| {
        let mut dictionary = Dictionary::random(kind, D_IN, D_SAE, 3);
        dictionary.update(|parameters| {
            for tensor in parameters.0.iter_mut().filter(|tensor| tensor.name != "W_dec") {
                tensor.data.iter_mut().for_each(|w| *w += rng.random_range(-0.3..0.3));
            }
        });
        dictionary.update_state(|state| {
            for tensor in state.iter_mut() {
                match tensor.name {
                    "threshold" => tensor.data = vec![0.4],
                    "input_size" => tensor.data = vec![1.7],
                    _ => {}
                }
            }
        });
        dictionary
    };
    kinds.map(&mut made).into()
}

/// The formats that have a form for `dictionary`, where all tokens are seen at one scale.
pub fn written(dictionary: &Dictionary<f32>) -> Vec<Format> {
    let others: &[Format] = match dictionary.kind().name() {
        KindName::AbsTopK | KindName::MatchingPursuit => return vec![Format::SaeLens],
        KindName::TopK => &[Format::Sparsify],
        KindName::BatchTopK | KindName::Matryoshka | KindName::JumpRelu => &[Format::GemmaScope],
        KindName::Gated => &[],
        KindName::Tied => &[Format::OpenAi, Format::GemmaScope, Format::E2eSae, Format::SparseCoding],
        _ => &[Format::OpenAi, Format::GemmaScope, Format::E2eSae],
    };
    [&[Format::SaeLens, Format::DictionaryLearning], others].concat()
}

/// Where a dictionary at [`AT`] lies as `format` has it, in a folder of its own.
pub fn place(format: Format) -> &'static str {
    match format {
        Format::Sparsify => "layers.3",
        Format::OpenAi => "resid_post_mlp_v5_4k/autoencoders",
        Format::GemmaScope => "scope-2b-pt-res/layer_3/width_16k/average_l0_5",
        _ => "",
    }
}

/// The place of all of them.
pub const AT: &str = "blocks.3.hook_resid_post";

/// What is said of a dictionary that is written.
pub fn facts(format: Format, normaliser: Normaliser) -> Facts {
    let residual = match format {
        Format::E2eSae => ResidualFrame::Centred,
        _ => ResidualFrame::Raw,
    };
    Facts {
        hook: Some(AT.into()),
        model: Some("tiny".into()),
        residual: Some(residual),
        normaliser,
        ..Facts::new(format)
    }
}

/// What each feature contributes to x̂, as a length: activations times what one of 1 writes, which no convention changes.
pub fn contributions(acts: &[f32], lengths: &[f32]) -> Vec<f32> {
    acts.iter().zip(lengths.iter().cycle()).map(|(a, n)| a * n).collect()
}

/// The lengths of ours: those of the rows, which some of ReLU's conventions keep.
pub fn lengths(dictionary: &Dictionary<f32>) -> Vec<f32> {
    let rows = dictionary.parameters().0.iter().find(|t| t.name == "W_dec");
    match (dictionary.kind().name(), rows) {
        (
            KindName::ReluUnit | KindName::ReluApril | KindName::ReluSaelens | KindName::PAnneal | KindName::MatchingPursuit,
            Some(rows),
        ) => {
            let rows = rows.data.chunks_exact(dictionary.d_in());
            rows.map(|row| row.iter().map(|w| w * w).sum::<f32>().sqrt()).collect()
        }
        _ => vec![1.0; dictionary.d_sae()],
    }
}

/// Inputs [N, D_IN].
pub fn tokens() -> Vec<f32> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(6);
    (0..N * D_IN).map(|_| rng.random_range(-2.0..2.0)).collect()
}

#[test]
fn every_kind_in_every_format_that_is_written() {
    let x = tokens();
    for scale in [1.0f64, 0.25] {
        for dictionary in dictionaries() {
            // the dictionary sees scale · x; what is written is in the model's units
            let scaled: Vec<f32> = x.iter().map(|x| x * scale as f32).collect();
            let (codes, x_hat) = outputs(&dictionary, &scaled);
            let n_fired = codes.iter().filter(|c| **c != 0.0).count();
            assert!(n_fired > N, "{}, scale {scale}: {n_fired}", dictionary.kind().name());
            let [codes, x_hat] = [codes, x_hat].map(|all| all.iter().map(|v| v / scale as f32).collect::<Vec<_>>());
            for format in written(&dictionary) {
                let folder = tempfile::tempdir().unwrap();
                let facts = facts(format, Normaliser::Scale(scale));
                let path = folder.path().join(place(format));
                write(&dictionary, &facts, Some(&[0.5; D_SAE]), &path).unwrap();
                let again = read_any(&path);
                let name = dictionary.kind().name();
                let (codes_again, x_hat_again) = outputs(&again.dictionary, &x);
                let each = contributions(&codes, &lengths(&dictionary));
                let each_again = contributions(&codes_again, &lengths(&again.dictionary));
                let off = [relative(&each_again, &each), relative(&x_hat_again, &x_hat)];
                assert!(
                    off.iter().all(|off| *off < 1e-6),
                    "{name} as {format}, scale {scale}: {off:?}"
                );
                // these have rows of length 1, which free ones become
                let has_unit_rows = matches!(format, Format::GemmaScope | Format::E2eSae);
                if !has_unit_rows || lengths(&dictionary).iter().all(|n| (n - 1.0).abs() < 1e-6) {
                    let off = relative(&codes_again, &codes);
                    assert!(off < 1e-6, "{name} as {format}, scale {scale}: {off:.1e}");
                }
                let is_as_it_was = matches!(
                    (format, name),
                    (Format::Sparsify, _) | (Format::OpenAi, KindName::ReluSaelens) | (Format::E2eSae, KindName::Relu)
                );
                if is_as_it_was && scale == 1.0 {
                    assert_eq!(codes_again, codes, "{name} as {format}");
                    // its method divides rows by their lengths, which ours did before they were written
                    let is_same = x_hat_again == x_hat || format == Format::E2eSae;
                    assert!(is_same, "{name} as {format}: other reconstructions");
                }
                let subtracts = matches!(format, Format::DictionaryLearning | Format::OpenAi);
                let expected = match (name, format) {
                    (_, Format::GemmaScope) => KindName::JumpRelu,
                    (_, Format::E2eSae) => KindName::Relu,
                    (_, Format::SparseCoding) => KindName::Tied,
                    (KindName::Relu | KindName::Tied, _) if subtracts => KindName::ReluUnit,
                    (KindName::PAnneal, _) => KindName::ReluUnit,
                    (KindName::Tied, _) => KindName::Relu,
                    // their classes subtract the bias, which the encoder's takes in
                    (KindName::ReluApril, _) if subtracts => KindName::ReluSaelens,
                    // SAELens exports it so
                    (KindName::BatchTopK | KindName::Matryoshka, Format::SaeLens) => KindName::JumpRelu,
                    (name, _) => name,
                };
                assert_eq!(again.dictionary.kind().name(), expected, "{format}");
                assert_eq!(again.facts.format, format);
                let names_model = matches!(format, Format::SaeLens | Format::DictionaryLearning | Format::E2eSae);
                assert_eq!(again.facts.model.as_deref(), names_model.then_some("tiny"));
                let is_known = format != Format::SparseCoding;
                assert_eq!(again.facts.residual, facts.residual.filter(|_| is_known), "{format}");
                assert_eq!(again.facts.hook.as_deref(), is_known.then_some(AT), "{format}");
                if format == Format::SaeLens {
                    let sparsity = again.facts.log_sparsity.unwrap();
                    assert!(sparsity.iter().all(|s| (s - 0.5f32.log10()).abs() < 1e-6));
                }
            }
        }
    }
}

#[test]
fn each_tokens_own_scale_is_written_by_name() {
    let x = tokens();
    for norm in [TokenNorm::Layer, TokenNorm::Constant] {
        let normaliser = Normaliser::Token(norm);
        let facts = |format| Facts {
            normaliser,
            ..Facts::new(format)
        };
        for dictionary in dictionaries() {
            let folder = tempfile::tempdir().unwrap();
            write(&dictionary, &facts(Format::SaeLens), None, folder.path()).unwrap();
            let again = read_any(folder.path());
            assert_eq!(again.facts.normaliser, normaliser);
            let [a, b] = [&dictionary, &again.dictionary].map(|one| outputs_through(normaliser, one, &x));
            let off = [relative(&b.0, &a.0), relative(&b.1, &a.1)];
            assert!(off.iter().all(|off| *off < 1e-5), "{}: {off:?}", dictionary.kind().name());
        }
        for dictionary in dictionaries() {
            for format in written(&dictionary).into_iter().filter(|format| *format != Format::SaeLens) {
                let folder = tempfile::tempdir().unwrap();
                let error = write(&dictionary, &self::facts(format, normaliser), None, folder.path()).unwrap_err();
                let expected = match format {
                    Format::OpenAi => "OpenAI's dictionaries with ReLU have none",
                    _ => "dictionaries see the activations themselves",
                };
                let error = error.to_string();
                assert!(
                    error.contains(expected) && error.contains(&normaliser.input_scale().to_string()),
                    "{error}"
                );
            }
        }
    }
}

#[test]
fn scores_with_signs_are_written_as_abstopk() {
    let x = tokens();
    for kind in [DictionaryKind::PcaDynamic { k: 3 }, DictionaryKind::PcaStatic { k: D_IN }] {
        // any directions will do
        let mut dictionary = Dictionary::<f32>::random(kind, D_IN, D_IN, 0);
        let relu = Dictionary::<f32>::random(DictionaryKind::ReluUnit, D_IN, D_IN, 3);
        let rows = relu.directions().to_vec();
        dictionary.update(|parameters| {
            for tensor in &mut parameters.0 {
                match tensor.name {
                    "b_dec" => tensor.data.fill(0.2),
                    _ => tensor.data.clone_from(&rows),
                }
            }
        });
        let folder = tempfile::tempdir().unwrap();
        write(&dictionary, &Facts::new(Format::SaeLens), None, folder.path()).unwrap();
        let again = read_any(folder.path()).dictionary;
        assert_eq!(again.kind().name(), KindName::AbsTopK);
        let [a, b] = [&dictionary, &again].map(|one| outputs(one, &x));
        assert!(relative(&b.0, &a.0) < 1e-6 && relative(&b.1, &a.1) < 1e-6);
    }
}

#[test]
fn the_same_bytes_each_time() {
    let bytes = |format: Format| {
        let folder = tempfile::tempdir().unwrap();
        let all = dictionaries();
        let dictionary = all.iter().find(|one| written(one).contains(&format)).unwrap();
        write(dictionary, &facts(format, Normaliser::default()), None, folder.path()).unwrap();
        let mut files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        files.iter().map(|file| std::fs::read(file).unwrap()).collect::<Vec<_>>()
    };
    for format in [
        Format::SaeLens,
        Format::DictionaryLearning,
        Format::Sparsify,
        Format::OpenAi,
        Format::GemmaScope,
        Format::E2eSae,
        Format::SparseCoding,
    ] {
        assert_eq!(bytes(format), bytes(format), "{format}");
    }
}

#[test]
fn what_is_only_read_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let error = write(&dictionaries()[0], &Facts::new(Format::LlamaScope), None, folder.path()).unwrap_err();
    assert!(error.to_string().contains("read, not written"), "{error}");
    for dictionary in dictionaries().iter().filter(|dictionary| written(dictionary).len() == 1) {
        let facts = Facts::new(Format::DictionaryLearning);
        let error = write(dictionary, &facts, None, folder.path()).unwrap_err().to_string();
        assert!(error.contains("none of dictionary_learning's classes"), "{error}");
    }
}

/// What a file says of the text that its dictionary was made on, in the formats that have a place for it.
#[test]
fn contexts_and_their_opening_are_written_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let all = dictionaries();
    for (format, kind, says_bos) in [
        (Format::SaeLens, KindName::ReluUnit, true),
        (Format::DictionaryLearning, KindName::ReluUnit, false),
        (Format::Sparsify, KindName::TopK, false),
        (Format::E2eSae, KindName::Relu, false),
    ] {
        let dictionary = all.iter().find(|one| one.kind().name() == kind).unwrap();
        let policies = [BosPolicy::None, BosPolicy::Context, BosPolicy::Document];
        for (n_ctx, bos) in policies.map(|bos| (Some(96), Some(bos))).into_iter().chain([(None, None)]) {
            let facts = Facts {
                n_ctx,
                bos,
                ..facts(format, Normaliser::default())
            };
            let path = folder.path().join("layers.3");
            let _ = std::fs::remove_dir_all(&path);
            write(dictionary, &facts, None, &path).unwrap();
            let found = read(&path, &Choice::default()).unwrap().facts;
            assert_eq!(found.n_ctx, n_ctx, "{format}");
            assert_eq!(found.bos, bos.filter(|_| says_bos), "{format}");
        }
    }
    // a run of sparsify's keeps it in the folder above its dictionaries'
    let dictionary = all.iter().find(|one| one.kind().name() == KindName::TopK).unwrap();
    let path = folder.path().join("layers.3");
    let _ = std::fs::remove_dir_all(&path);
    write(dictionary, &Facts::new(Format::Sparsify), None, &path).unwrap();
    std::fs::write(folder.path().join("config.json"), r#"{"ctx_len": 2048, "sae": {}}"#).unwrap();
    assert_eq!(read(&path, &Choice::default()).unwrap().facts.n_ctx, Some(2048));
}

/// SAELens' own files say whether BOS is prepended, from version 6 on in the metadata.
#[test]
fn what_saelens_says_of_bos_is_read() {
    for (flag, policy) in [
        (Some(true), Some(BosPolicy::Context)),
        (Some(false), Some(BosPolicy::None)),
        (None, None),
    ] {
        let copy = tempfile::tempdir().unwrap();
        let all = dictionaries();
        write(&all[1], &facts(Format::SaeLens, Normaliser::default()), None, copy.path()).unwrap();
        let path = copy.path().join("cfg.json");
        let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        config["metadata"]["prepend_bos"] = flag.into();
        std::fs::write(&path, config.to_string()).unwrap();
        assert_eq!(read(copy.path(), &Choice::default()).unwrap().facts.bos, policy);
    }
}
