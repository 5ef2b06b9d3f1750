//! sae-lens and dictionary-learning as PyPI has them: what we write they load to the same numbers, and what they write we do.
//! Run by `cargo xtask interop`, which makes their Python; without that there is nothing to run.

use api::{HookPoint, KindName, ResidualFrame, Site};
use engine::{
    dictionary::Dictionary,
    exchange::{Facts, Format, write},
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    outputs, read_any, relative,
    round_trip::{D_IN, N, dictionaries, tokens},
    transcoders::transcoders,
};

/// The Python that has the tools.
const PYTHON: &str = "SAESCOPE_INTEROP_PYTHON";

fn python() -> Option<PathBuf> {
    let python = std::env::var_os(PYTHON).map(PathBuf::from);
    if python.is_none() {
        println!("skipped: {PYTHON} is not set; `cargo xtask interop` sets it");
    }
    python
}

/// Runs the other side on `folder`, which gets the tokens.
fn other_side(python: &Path, what: &str, folder: &Path) {
    let x = tokens();
    let view = TensorView::new(Dtype::F32, vec![N, D_IN], bytemuck::cast_slice(&x)).unwrap();
    fs::write(
        folder.join("x.safetensors"),
        safetensors::serialize([("x", view)], None).unwrap(),
    )
    .unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/interop.py");
    let done = Command::new(python).arg(script).arg(what).arg(folder).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// What each feature contributes to x̂, as a length: activations times what one of 1 writes, which no convention changes.
fn contributions(acts: &[f32], lengths: &[f32]) -> Vec<f32> {
    acts.iter().zip(lengths.iter().cycle()).map(|(a, n)| a * n).collect()
}

/// The lengths of ours: those of the rows, which some of ReLU's conventions keep.
fn lengths(dictionary: &Dictionary<f32>) -> Vec<f32> {
    let rows = dictionary.parameters().0.iter().find(|t| t.name == "W_dec");
    match (dictionary.kind().name(), rows) {
        (KindName::ReluUnit | KindName::ReluApril | KindName::ReluSaelens | KindName::PAnneal, Some(rows)) => {
            let rows = rows.data.chunks_exact(dictionary.d_in());
            rows.map(|row| row.iter().map(|w| w * w).sum::<f32>().sqrt()).collect()
        }
        _ => vec![1.0; dictionary.d_sae()],
    }
}

fn theirs(folder: &Path, name: &str) -> Vec<f32> {
    let bytes = fs::read(folder.join("theirs.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    bytemuck::pod_collect_to_vec(tensors.tensor(name).unwrap().data())
}

#[test]
fn they_load_what_we_write() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut made = dictionaries();
    made.extend(transcoders(HookPoint::block(3, Site::Ln2)));
    let made = made;
    let is_written = |format, dictionary: &Dictionary<f32>| format == Format::SaeLens || dictionary.kind().read_at().is_none();
    let path = |format: Format, i: usize| {
        let tool = if format == Format::SaeLens {
            "saelens"
        } else {
            "dictionary_learning"
        };
        folder.path().join(tool).join(format!("{i}_{}", made[i].kind().name()))
    };
    for format in [Format::SaeLens, Format::DictionaryLearning] {
        for (i, dictionary) in made.iter().enumerate().filter(|(_, d)| is_written(format, d)) {
            let site = dictionary.kind().read_at().map_or(Site::ResidPost, |_| Site::MlpOut);
            let facts = Facts {
                hook: Some(HookPoint::block(3, site).to_string()),
                model: Some("tiny".into()),
                residual: Some(ResidualFrame::Raw),
                ..Facts::new(format)
            };
            write(dictionary, 1.0, &facts, None, &path(format, i)).unwrap();
        }
    }
    other_side(&python, "load", folder.path());
    for format in [Format::SaeLens, Format::DictionaryLearning] {
        for (i, dictionary) in made.iter().enumerate().filter(|(_, d)| is_written(format, d)) {
            let (codes, x_hat) = outputs(dictionary, &tokens());
            let path = path(format, i);
            let acts = theirs(&path, "acts");
            let theirs_per_feature = contributions(&acts, &theirs(&path, "lengths"));
            let off = [
                relative(&theirs_per_feature, &contributions(&codes, &lengths(dictionary))),
                relative(&theirs(&path, "x_hat"), &x_hat),
            ];
            let name = dictionary.kind().name();
            // dictionary_learning divides rows by their lengths as it loads them; SAELens leaves activations as they are
            if format == Format::SaeLens {
                assert!(relative(&acts, &codes) <= 1e-5, "{format} {name}");
            }
            println!(
                "{format} loads our {name}: activations {:.1e} off, reconstructions {:.1e}",
                off[0], off[1]
            );
            assert!(off.iter().all(|off| *off <= 1e-5), "{format} {name}: {off:?}");
        }
    }
}

#[test]
fn we_load_what_they_write() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    other_side(&python, "save", folder.path());
    let mut n = 0;
    for tool in ["saelens", "dictionary_learning"] {
        let mut paths: Vec<_> = fs::read_dir(folder.path().join(tool))
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        paths.sort();
        for path in paths {
            let imported = read_any(&path);
            let (codes, x_hat) = outputs(&imported.dictionary, &tokens());
            let theirs_per_feature = contributions(&theirs(&path, "acts"), &theirs(&path, "lengths"));
            let ours = contributions(&codes, &lengths(&imported.dictionary));
            let kind = imported.dictionary.kind().name();
            let off = [
                relative(&ours, &theirs_per_feature),
                relative(&x_hat, &theirs(&path, "x_hat")),
            ];
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            println!(
                "{tool}'s {name} is {kind}: activations {:.1e} off, reconstructions {:.1e}",
                off[0], off[1]
            );
            assert!(off.iter().all(|off| *off <= 1e-5), "{tool} {name}: {off:?}");
            n += 1;
        }
    }
    assert!(n >= 24, "only {n} dictionaries were written");
}
