//! Ours, written as theirs and read again, are the same dictionaries.

use api::{DictionaryKind, KindName, ResidualFrame};
use engine::{
    dictionary::{Dictionary, Normaliser, TokenNorm},
    exchange::{Facts, Format, write},
};
use rand::{Rng, SeedableRng};

use crate::{outputs, outputs_through, read_any, relative};

/// Width.
pub const D_IN: usize = 7;
const D_SAE: usize = 12;
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

/// The formats that have a form for `dictionary`.
pub fn written(dictionary: &Dictionary<f32>) -> Vec<Format> {
    match dictionary.kind().name() {
        KindName::AbsTopK | KindName::MatchingPursuit => vec![Format::SaeLens],
        _ => vec![Format::SaeLens, Format::DictionaryLearning],
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
                let at = "blocks.3.hook_resid_post";
                let facts = Facts {
                    hook: Some(at.into()),
                    model: Some("tiny".into()),
                    residual: Some(ResidualFrame::Raw),
                    normaliser: Normaliser::Scale(scale),
                    ..Facts::new(format)
                };
                write(&dictionary, &facts, Some(&[0.5; D_SAE]), folder.path()).unwrap();
                let again = read_any(folder.path());
                let name = dictionary.kind().name();
                let (codes_again, x_hat_again) = outputs(&again.dictionary, &x);
                let off = [relative(&codes_again, &codes), relative(&x_hat_again, &x_hat)];
                assert!(
                    off.iter().all(|off| *off < 1e-5),
                    "{name} as {format}, scale {scale}: {off:?}"
                );
                let expected = match (name, format) {
                    (KindName::Relu | KindName::Tied, Format::DictionaryLearning) | (KindName::PAnneal, _) => KindName::ReluUnit,
                    (KindName::Tied, _) => KindName::Relu,
                    // its class subtracts the bias, which the encoder's takes in
                    (KindName::ReluApril, Format::DictionaryLearning) => KindName::ReluSaelens,
                    // SAELens exports it so
                    (KindName::BatchTopK | KindName::Matryoshka, Format::SaeLens) => KindName::JumpRelu,
                    (name, _) => name,
                };
                assert_eq!(again.dictionary.kind().name(), expected, "{format}");
                assert_eq!(again.facts.model.as_deref(), Some("tiny"));
                assert_eq!(again.facts.residual, Some(ResidualFrame::Raw));
                if format == Format::SaeLens {
                    assert_eq!(again.facts.hook.as_deref(), Some(at));
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
        let folder = tempfile::tempdir().unwrap();
        let error = write(&dictionaries()[0], &facts(Format::DictionaryLearning), None, folder.path()).unwrap_err();
        assert!(error.to_string().contains("see the activations themselves"), "{error}");
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
        write(&dictionaries()[3], &Facts::new(format), None, folder.path()).unwrap();
        let mut files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        files.iter().map(|file| std::fs::read(file).unwrap()).collect::<Vec<_>>()
    };
    for format in [Format::SaeLens, Format::DictionaryLearning] {
        assert_eq!(bytes(format), bytes(format), "{format}");
    }
}

#[test]
fn what_is_only_read_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let error = write(&dictionaries()[0], &Facts::new(Format::OpenAi), None, folder.path()).unwrap_err();
    assert!(error.to_string().contains("read, not written"), "{error}");
    for dictionary in dictionaries().iter().filter(|dictionary| written(dictionary).len() == 1) {
        let facts = Facts::new(Format::DictionaryLearning);
        let error = write(dictionary, &facts, None, folder.path()).unwrap_err().to_string();
        assert!(error.contains("none of dictionary_learning's classes"), "{error}");
    }
}
