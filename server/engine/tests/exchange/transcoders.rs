//! Transcoders: files of every format give what the tools' own formulas give, ours come back from what is written, and what cannot be
//! used is refused.

use api::{DictionaryKind, HookPoint, KindName, ResidualFrame, Site};
use engine::{
    dictionary::{Dictionary, Normaliser},
    exchange::{Beside, Choice, Facts, Format, Imported, read, write},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;
use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    outputs, read_any, relative,
    round_trip::{D_IN, tokens},
};

/// Width of what they write.
pub const D_OUT: usize = 5;
const D_SAE: usize = 12;

/// The golden files' folder.
pub fn folder() -> PathBuf {
    crate::folder().join("../transcoder_formats")
}

/// Where they read.
pub fn read_at() -> HookPoint {
    HookPoint::block(1, Site::Ln2)
}

/// One of each kind that has a format, moved away from its initial weights.
pub fn transcoders(read_at: HookPoint) -> Vec<Dictionary<f32>> {
    let (bandwidth, initial_threshold) = (0.01, 0.01);
    let kinds = [
        DictionaryKind::Transcoder { read_at },
        DictionaryKind::SkipTranscoder { read_at },
        DictionaryKind::JumpReluTranscoder {
            read_at,
            bandwidth,
            initial_threshold,
        },
        DictionaryKind::JumpReluSkipTranscoder {
            read_at,
            bandwidth,
            initial_threshold,
        },
    ];
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut made = |kind| {
        let mut dictionary = Dictionary::between(kind, (D_IN, D_OUT), D_SAE, 3);
        dictionary.update(|parameters| {
            let is_jump = parameters.0.iter().any(|tensor| tensor.name == "threshold");
            let free = parameters.0.iter_mut().filter(|tensor| tensor.name != "W_dec" || !is_jump);
            free.for_each(|tensor| tensor.data.iter_mut().for_each(|w| *w += rng.random_range(-0.3..0.3)));
        });
        dictionary.update_state(|state| state.iter_mut().for_each(|tensor| tensor.data = vec![1.7]));
        dictionary
    };
    kinds.map(&mut made).into()
}

#[test]
fn files_of_every_format_give_what_their_tools_give() {
    let bytes = fs::read(folder().join("golden.safetensors")).unwrap();
    let golden = SafeTensors::deserialize(&bytes).unwrap();
    let numbers = |name: &str| -> Vec<f32> { bytemuck::pod_collect_to_vec(golden.tensor(name).unwrap().data()) };
    let (ln2, mid) = ("blocks.1.ln2.hook_normalized", "blocks.1.hook_resid_mid");
    let scope = "scope-2b-pt-transcoders/layer_1/width_16k/average_l0_5";
    let second = "transcoder/layer_1_width_16k_l0_small";
    let plain = Beside::Nothing;
    for (name, file, kind, from, beside, to) in [
        ("saelens_transcoder", "", KindName::Transcoder, ln2, plain, "hook_mlp_out"),
        (
            "saelens_transcoder_flat",
            "",
            KindName::Transcoder,
            mid,
            plain,
            "hook_mlp_out",
        ),
        (
            "saelens_transcoder_unfolded",
            "",
            KindName::Transcoder,
            ln2,
            Beside::GainOfLayerNorm,
            "hook_mlp_out",
        ),
        (
            "saelens_skip_transcoder",
            "",
            KindName::SkipTranscoder,
            ln2,
            plain,
            "hook_mlp_out",
        ),
        (
            "saelens_jumprelu_transcoder",
            "",
            KindName::JumpReluTranscoder,
            ln2,
            plain,
            "hook_mlp_out",
        ),
        (
            "saelens_jumprelu_skip_transcoder",
            "",
            KindName::JumpReluSkipTranscoder,
            ln2,
            Beside::Gain,
            "hook_mlp_out",
        ),
        (
            "sparsify_transcoder",
            "layers.1.mlp",
            KindName::TopKTranscoder,
            ln2,
            Beside::Gain,
            "hook_mlp_out",
        ),
        (
            "sparsify_skip_transcoder",
            "h.1.mlp",
            KindName::TopKSkipTranscoder,
            ln2,
            Beside::Gain,
            "hook_mlp_out",
        ),
        (
            "sparsify_block",
            "layers.1",
            KindName::TopKSkipTranscoder,
            "blocks.1.hook_resid_pre",
            plain,
            "hook_resid_post",
        ),
        ("gemma_scope", scope, KindName::JumpReluTranscoder, ln2, plain, "hook_mlp_out"),
        (
            "gemma_scope_2",
            second,
            KindName::JumpReluTranscoder,
            ln2,
            Beside::Gain,
            "hook_mlp_out",
        ),
        (
            "gemma_scope_2_affine",
            &format!("{second}_affine"),
            KindName::JumpReluSkipTranscoder,
            ln2,
            Beside::Gain,
            "hook_mlp_out",
        ),
        (
            "circuit_tracer",
            "layer_1.safetensors",
            KindName::Transcoder,
            ln2,
            Beside::Gain,
            "hook_mlp_out",
        ),
        (
            "circuit_tracer_skip",
            "layer_1.safetensors",
            KindName::SkipTranscoder,
            mid,
            plain,
            "hook_mlp_out",
        ),
        (
            "circuit_tracer_jumprelu",
            "layer_1.safetensors",
            KindName::JumpReluTranscoder,
            ln2,
            plain,
            "hook_mlp_out",
        ),
    ] {
        let Imported { dictionary, facts } = read_any(&folder().join(name).join(file));
        assert_eq!(dictionary.kind().name(), kind, "{name}");
        let reads = facts.reads.unwrap();
        assert_eq!((reads.at.to_string().as_str(), reads.beside), (from, beside), "{name}");
        assert_eq!(dictionary.kind().read_at(), Some(reads.at), "{name}");
        assert_eq!(facts.at().unwrap().to_string(), format!("blocks.1.{to}"), "{name}");
        let is_mlps_own = name.starts_with("sparsify") && to == "hook_mlp_out" || name == "circuit_tracer";
        assert_eq!(facts.beside == Beside::PostNorm, is_mlps_own, "{name}");

        let (codes, y_hat) = outputs(&dictionary, &numbers("x"));
        let (acts, lengths) = (numbers(&format!("{name}.acts")), numbers(&format!("{name}.lengths")));
        let theirs: Vec<f32> = acts.iter().zip(lengths.iter().cycle()).map(|(a, n)| a * n).collect();
        let fire = |all: &[f32]| all.iter().map(|c| *c > 0.0).collect::<Vec<_>>();
        assert_eq!(fire(&codes), fire(&theirs), "{name}: other features fire");
        let off = [
            relative(&codes, &theirs),
            relative(&y_hat, &numbers(&format!("{name}.y_hat"))),
        ];
        assert!(off.iter().all(|off| *off <= 1e-5), "{name}: {off:?}");
    }
}

#[test]
fn what_is_written_comes_back() {
    let x = tokens();
    for scale in [1.0f64, 0.25] {
        for dictionary in transcoders(read_at()) {
            let scaled: Vec<f32> = x.iter().map(|x| x * scale as f32).collect();
            let (codes, y_hat) = outputs(&dictionary, &scaled);
            let [codes, y_hat] = [codes, y_hat].map(|all| all.iter().map(|v| v / scale as f32).collect::<Vec<_>>());
            let folder = tempfile::tempdir().unwrap();
            let facts = Facts {
                hook: Some("blocks.1.hook_mlp_out".into()),
                residual: Some(ResidualFrame::Raw),
                model: Some("tiny".into()),
                normaliser: Normaliser::Scale(scale),
                ..Facts::new(Format::SaeLens)
            };
            write(&dictionary, &facts, None, folder.path()).unwrap();
            let again = read_any(folder.path());
            let name = dictionary.kind().name();
            assert_eq!(again.dictionary.kind().name(), name);
            assert_eq!(again.dictionary.kind().read_at(), Some(read_at()));
            assert_eq!(
                (again.facts.at(), again.facts.reads.unwrap().beside),
                (facts.at(), Beside::Nothing)
            );
            let (codes_again, y_hat_again) = outputs(&again.dictionary, &x);
            let off = [relative(&codes_again, &codes), relative(&y_hat_again, &y_hat)];
            assert!(off.iter().all(|off| *off < 1e-5), "{name}, scale {scale}: {off:?}");
        }
    }
}

fn refused(path: &Path, choice: &Choice) -> String {
    read(path, choice).map(|_| ()).unwrap_err().to_string()
}

/// A copy of a case's folder with its config changed.
pub fn changed(case: &str, change: impl Fn(&mut serde_json::Value)) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder().join(case)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    let path = copy.path().join("cfg.json");
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut config);
    fs::write(&path, config.to_string()).unwrap();
    copy
}

#[test]
fn where_it_reads_is_the_files_or_is_given() {
    let chosen = |at: Option<HookPoint>| Choice {
        read_at: at,
        ..Choice::default()
    };
    let error = refused(&folder().join("saelens_transcoder"), &chosen(Some(HookPoint::resid_pre(0))));
    assert!(
        error.contains("reads at blocks.1.ln2.hook_normalized; expected blocks.0.hook_resid_pre"),
        "{error}"
    );
    let nowhere = changed("saelens_transcoder", |config| {
        config["metadata"]["hook_name"] = serde_json::Value::Null
    });
    let error = refused(nowhere.path(), &chosen(None));
    assert!(
        error.contains("does not say where its transcoder reads") && error.contains("--read-at"),
        "{error}"
    );
    let given = read(nowhere.path(), &chosen(Some(read_at()))).unwrap();
    assert_eq!(given.dictionary.kind().read_at(), Some(read_at()));
    let odd = changed("saelens_transcoder", |config| {
        config["metadata"]["hook_name"] = "blocks.1.attn.hook_q".into()
    });
    let error = refused(odd.path(), &chosen(None));
    assert!(
        error.contains("reads at 'blocks.1.attn.hook_q', which is no hook point here"),
        "{error}"
    );
    assert!(read(odd.path(), &chosen(Some(read_at()))).is_ok());
}

#[test]
fn what_cannot_be_used_is_refused() {
    for (case, field, value, says) in [
        (
            "saelens_transcoder",
            "apply_b_dec_to_input",
            true.into(),
            "expected false: a transcoder's b_dec",
        ),
        (
            "saelens_transcoder",
            "activation_fn",
            "topk".into(),
            "\"topk\"; expected relu",
        ),
        (
            "saelens_transcoder",
            "architecture",
            "skip_transcoder".into(),
            "tensor 'W_skip' is missing",
        ),
        (
            "saelens_skip_transcoder",
            "architecture",
            "transcoder".into(),
            "tensor 'W_skip' is not known here",
        ),
        (
            "saelens_skip_transcoder",
            "d_out",
            6.into(),
            "expected F32, F64, F16 or BF16 [10, 6]",
        ),
        (
            "saelens_transcoder",
            "architecture",
            "jumprelu_transcoder".into(),
            "tensor 'threshold' is missing",
        ),
        (
            "saelens_transcoder",
            "architecture",
            "crosscoder".into(),
            "skip_transcoder, jumprelu_transcoder",
        ),
    ] {
        let copy = changed(case, |config: &mut serde_json::Value| {
            config[field] = serde_json::Value::clone(&value)
        });
        let error = refused(copy.path(), &Choice::default());
        assert!(error.contains(says), "{field}: {error}");
    }
    // across layers
    let place = tempfile::tempdir().unwrap();
    let clt = place.path().join("clt/width_16k");
    fs::create_dir_all(&clt).unwrap();
    let from = folder().join("gemma_scope_2/transcoder/layer_1_width_16k_l0_small/params.safetensors");
    fs::copy(from, clt.join("params.safetensors")).unwrap();
    let error = refused(&clt, &Choice::default());
    assert!(error.contains("a transcoder across layers"), "{error}");
    // circuit-tracer's TopK keeps what is below 0
    let copy = place.path().join("set");
    fs::create_dir_all(&copy).unwrap();
    fs::copy(
        folder().join("circuit_tracer/layer_1.safetensors"),
        copy.join("layer_1.safetensors"),
    )
    .unwrap();
    fs::write(copy.join("config.yaml"), "activation: \"topk\"\nk: 3\n").unwrap();
    let error = refused(&copy.join("layer_1.safetensors"), &Choice::default());
    assert!(error.contains("\"topk\"; expected relu or jump_relu"), "{error}");

    let folder = tempfile::tempdir().unwrap();
    let written = |dictionary: &Dictionary<f32>, format| {
        write(dictionary, &Facts::new(format), None, folder.path())
            .unwrap_err()
            .to_string()
    };
    let error = written(&transcoders(read_at())[1], Format::DictionaryLearning);
    assert!(
        error.contains("found a skip-transcoder; transcoders are written as saelens and sparsify have them"),
        "{error}"
    );
    let kind = DictionaryKind::TopKTranscoder {
        read_at: read_at(),
        k: 3,
        aux_coefficient: 0.1,
        dead_tokens: 9,
    };
    let error = written(&Dictionary::between(kind, (D_IN, D_OUT), D_SAE, 1), Format::SaeLens);
    assert!(error.contains("found a topk transcoder; SAELens has none"), "{error}");
}
