//! Transcoders of a model's modules, as sparsify has them: written and read again, and what reads behind a norm's gain.

use api::{DictionaryKind, HookPoint, ResidualFrame, Site};
use engine::{
    dictionary::{Dictionary, Normaliser, TokenNorm},
    exchange::{Beside, Choice, Facts, Format, Place, read, write},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fs;

use crate::{
    outputs, read_any, relative,
    round_trip::{D_IN, D_SAE, tokens},
    transcoders::{D_OUT, changed, folder, read_at, transcoders},
};

/// TopK transcoders of sparsify's shape, with and without a skip connection.
pub fn topk_transcoders(read_at: HookPoint) -> Vec<Dictionary<f32>> {
    let (k, aux_coefficient, dead_tokens) = (3, 0.1, 9);
    let kinds = [
        DictionaryKind::TopKTranscoder {
            read_at,
            k,
            aux_coefficient,
            dead_tokens,
        },
        DictionaryKind::TopKSkipTranscoder {
            read_at,
            k,
            aux_coefficient,
            dead_tokens,
        },
    ];
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let mut made = |kind| {
        let mut dictionary = Dictionary::between(kind, (D_IN, D_IN), D_SAE, 3);
        dictionary.update(|parameters| {
            for tensor in &mut parameters.0 {
                tensor.data.iter_mut().for_each(|w| *w += rng.random_range(-0.3..0.3));
            }
        });
        dictionary
    };
    kinds.map(&mut made).into()
}

/// What is said of a transcoder that sparsify's files are to hold: it reads behind the norm's gain.
pub fn of_module(read_at: HookPoint, hook: HookPoint) -> Facts {
    Facts {
        hook: Some(hook.to_string()),
        residual: Some(ResidualFrame::Raw),
        reads: Some(Place {
            at: read_at,
            beside: if read_at.is_norm() { Beside::Gain } else { Beside::Nothing },
        }),
        ..Facts::new(Format::Sparsify)
    }
}

#[test]
fn what_is_written_as_sparsifys_comes_back() {
    let x = tokens();
    let block = |site| HookPoint::block(1, site);
    for (module, from, to) in [
        ("layers.1.mlp", Site::Ln2, Site::MlpOut),
        ("h.1.attn", Site::Ln1, Site::AttnOut),
        ("layers.1", Site::ResidPre, Site::ResidPost),
    ] {
        for dictionary in topk_transcoders(block(from)) {
            for scale in [1.0, 0.25] {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join(module);
                let facts = Facts {
                    normaliser: Normaliser::Scale(scale),
                    ..of_module(block(from), block(to))
                };
                write(&dictionary, &facts, None, &path).unwrap();
                let again = read_any(&path);
                assert_eq!(again.dictionary.kind().name(), dictionary.kind().name());
                assert_eq!((again.facts.at(), again.facts.reads), (facts.at(), facts.reads));
                let scaled: Vec<f32> = x.iter().map(|x| x * scale as f32).collect();
                let by_scale = |all: Vec<f32>| all.iter().map(|v| v / scale as f32).collect::<Vec<_>>();
                let (codes, y_hat) = outputs(&dictionary, &scaled);
                let (codes, y_hat) = (by_scale(codes), by_scale(y_hat));
                let (codes_again, y_hat_again) = outputs(&again.dictionary, &x);
                let off = [relative(&codes_again, &codes), relative(&y_hat_again, &y_hat)];
                assert!(off.iter().all(|off| *off < 1e-6), "{module}, scale {scale}: {off:?}");
                if scale == 1.0 {
                    assert_eq!(again.dictionary.parameters(), dictionary.parameters(), "{module}");
                }
            }
        }
    }
}

#[test]
fn what_sparsify_cannot_say_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |dictionary: &Dictionary<f32>, facts: &Facts| {
        let error = write(dictionary, facts, None, &folder.path().join("unwritten"));
        error.unwrap_err().to_string()
    };
    let (read_at, to) = (read_at(), HookPoint::block(1, Site::MlpOut));
    let topk = &topk_transcoders(read_at)[1];
    let facts = of_module(read_at, to);
    let before = Facts {
        reads: None,
        ..facts.clone()
    };
    let error = refused(topk, &before);
    assert!(
        error.contains("reads blocks.1.ln2.hook_normalized, before the norm's gain; sparsify's read behind it"),
        "{error}"
    );
    let elsewhere = of_module(read_at, HookPoint::block(2, Site::MlpOut));
    let error = refused(topk, &elsewhere);
    assert!(
        error.contains("from blocks.1.ln2.hook_normalized to blocks.2.hook_mlp_out; sparsify's are of one module"),
        "{error}"
    );
    let mid = HookPoint::block(1, Site::ResidMid);
    let error = refused(&topk_transcoders(mid)[0], &of_module(mid, to));
    assert!(
        error.contains("from blocks.1.hook_resid_mid to blocks.1.hook_mlp_out"),
        "{error}"
    );
    let error = refused(&transcoders(read_at)[2], &facts);
    assert!(error.contains("found a jumprelu dictionary; sparsify has topk"), "{error}");
    let kind = topk.kind();
    let error = refused(&Dictionary::between(kind, (D_IN, D_OUT), D_SAE, 1), &facts);
    assert!(
        error.contains("from 7 dimensions to 5; sparsify's are as wide on both sides"),
        "{error}"
    );
    let scaled = Facts {
        normaliser: Normaliser::Token(TokenNorm::Layer),
        ..facts.clone()
    };
    assert!(refused(topk, &scaled).contains("found the input scale layer_norm"));
    let centred = Facts {
        residual: Some(ResidualFrame::Centred),
        ..facts
    };
    assert!(refused(topk, &centred).contains("found the residual stream centred"));
}

/// Who says at which norm it reads does not say that it reads before the gain: that is up to the tool.
#[test]
fn a_norm_that_is_given_is_read_as_the_tool_reads_it() {
    let place = tempfile::tempdir().unwrap();
    let copied = |from: &str, files: &[&str], to: &str| {
        let copy = place.path().join(to);
        fs::create_dir_all(&copy).unwrap();
        for file in files {
            fs::copy(folder().join(from).join(file), copy.join(file)).unwrap();
        }
        copy
    };
    let sparsify = copied(
        "sparsify_skip_transcoder/h.1.mlp",
        &["cfg.json", "sae.safetensors"],
        "downloaded",
    );
    let second = copied(
        "gemma_scope_2/transcoder/layer_1_width_16k_l0_small",
        &["params.safetensors"],
        "second",
    );
    let first = copied(
        "gemma_scope/scope-2b-pt-transcoders/layer_1/width_16k/average_l0_5",
        &["params.npz"],
        "first",
    );
    let unfolded = changed("saelens_transcoder_unfolded", |config| {
        config["metadata"]["hook_name"] = serde_json::Value::Null
    });
    let gain = Beside::Gain;
    for (path, at_norm) in [
        (&sparsify, gain),
        (&second, gain),
        // its models have the gain folded
        (&first, Beside::Nothing),
        (&unfolded.path().to_owned(), Beside::GainOfLayerNorm),
    ] {
        for (site, beside) in [(Site::Ln1, at_norm), (Site::Ln2, at_norm), (Site::ResidMid, Beside::Nothing)] {
            let at = HookPoint::block(1, site);
            let choice = Choice {
                read_at: Some(at),
                ..Choice::default()
            };
            let reads = read(path, &choice).unwrap().facts.reads;
            assert_eq!(reads, Some(Place { at, beside }), "{}", path.display());
        }
    }
}
