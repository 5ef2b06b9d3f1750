//! sae-lens and dictionary-learning as PyPI has them: what we write they load to the same numbers, and what they write we do. Other tools'
//! files are read in Python, with what the tools read them with, and their formulas give the same on what we write.
//! Run by `cargo xtask interop`, which makes their Python; without that there is nothing to run.

use api::{HookPoint, KindName, ResidualFrame, Site};
use engine::{
    dictionary::{Dictionary, Normaliser, TokenNorm},
    exchange::{Facts, Format, write},
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    module_transcoders::{of_module, topk_transcoders},
    outputs_through, read_any, relative,
    round_trip::{D_IN, N, contributions, dictionaries, facts, lengths, tokens, written},
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
    let cases = |format: Format| -> Vec<(usize, Normaliser)> {
        let norms = [TokenNorm::Layer, TokenNorm::Constant].map(Normaliser::Token);
        let plain = [Normaliser::default()];
        let scales = |one: &Dictionary<f32>| match (format, one.kind().read_at()) {
            (Format::SaeLens, None) => [&plain[..], &norms].concat(),
            _ => plain.to_vec(),
        };
        let kinds = made.iter().enumerate().filter(|(_, one)| match one.kind().read_at() {
            Some(_) => format == Format::SaeLens,
            None => written(one).contains(&format),
        });
        kinds
            .flat_map(|(i, one)| scales(one).into_iter().map(move |scale| (i, scale)))
            .collect()
    };
    let path = |format: Format, i: usize, normaliser: Normaliser| {
        let tool = if format == Format::SaeLens {
            "saelens"
        } else {
            "dictionary_learning"
        };
        let name = format!("{i}_{}_{}", made[i].kind().name(), normaliser.input_scale());
        folder.path().join(tool).join(name)
    };
    for format in [Format::SaeLens, Format::DictionaryLearning] {
        for (i, normaliser) in cases(format) {
            let site = made[i].kind().read_at().map_or(Site::ResidPost, |_| Site::MlpOut);
            let facts = Facts {
                hook: Some(HookPoint::block(3, site).to_string()),
                model: Some("tiny".into()),
                residual: Some(ResidualFrame::Raw),
                normaliser,
                ..Facts::new(format)
            };
            write(&made[i], &facts, None, &path(format, i, normaliser)).unwrap();
        }
    }
    other_side(&python, "load", folder.path());
    for format in [Format::SaeLens, Format::DictionaryLearning] {
        for (i, normaliser) in cases(format) {
            let dictionary = &made[i];
            let (codes, x_hat) = outputs_through(normaliser, dictionary, &tokens());
            let path = path(format, i, normaliser);
            let acts = theirs(&path, "acts");
            let theirs_per_feature = contributions(&acts, &theirs(&path, "lengths"));
            let off = [
                relative(&theirs_per_feature, &contributions(&codes, &lengths(dictionary))),
                relative(&theirs(&path, "x_hat"), &x_hat),
            ];
            let name = format!("{} ({})", dictionary.kind().name(), normaliser.input_scale());
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
            let (codes, x_hat) = outputs_through(imported.facts.normaliser, &imported.dictionary, &tokens());
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
    assert!(n >= 44, "only {n} dictionaries were written");
}

/// The tools of which there is no package, by the names of their folders.
const FORMULAS: [(&str, Format); 5] = [
    ("sparsify", Format::Sparsify),
    ("openai", Format::OpenAi),
    ("gemma_scope", Format::GemmaScope),
    ("e2e_sae", Format::E2eSae),
    ("sparse_coding", Format::SparseCoding),
];

#[test]
fn their_formulas_give_the_same_on_what_we_write() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut cases: Vec<(String, Dictionary<f32>, Facts)> = Vec::new();
    for (tool, format) in FORMULAS {
        let mut add = |dictionary: &Dictionary<f32>, facts: Facts| {
            let (name, number) = (dictionary.kind().name(), cases.len());
            cases.push((format!("{tool}/{number}_{name}"), dictionary.clone(), facts));
        };
        for mut dictionary in dictionaries() {
            let (says, kind) = (written(&dictionary).contains(&format), dictionary.kind().name());
            for scale in [1.0, 0.25].into_iter().filter(|_| says) {
                add(&dictionary, facts(format, Normaliser::Scale(scale)));
            }
            if format == Format::OpenAi && kind == KindName::TopK {
                add(&dictionary, facts(format, Normaliser::Token(TokenNorm::Layer)));
            }
            // what has no bias is one of its untied dictionaries
            if format == Format::SparseCoding && !says && written(&dictionary).contains(&Format::E2eSae) {
                dictionary.update(|parameters| {
                    let biases = parameters.0.iter_mut().filter(|tensor| tensor.name == "b_dec");
                    biases.for_each(|tensor| tensor.data.fill(0.0));
                });
                add(&dictionary, facts(format, Normaliser::default()));
            }
        }
        if format == Format::Sparsify {
            let [from, to] = [Site::Ln2, Site::MlpOut].map(|site| HookPoint::block(3, site));
            topk_transcoders(from).iter().for_each(|one| add(one, of_module(from, to)));
        }
    }
    for (path, dictionary, facts) in &cases {
        write(dictionary, facts, None, &folder.path().join(path)).unwrap();
    }
    other_side(&python, "load", folder.path());
    let mut most = 0.0f64;
    for (path, dictionary, facts) in &cases {
        let (codes, x_hat) = outputs_through(facts.normaliser, dictionary, &tokens());
        let scale = match facts.normaliser {
            Normaliser::Scale(scale) => scale as f32,
            Normaliser::Token(_) => 1.0,
        };
        let codes: Vec<f32> = codes.iter().map(|c| c / scale).collect();
        let ours = match dictionary.kind().read_at() {
            Some(_) => codes,
            None => contributions(&codes, &lengths(dictionary)),
        };
        let path = folder.path().join(path);
        let acts = theirs(&path, "acts");
        let each = match dictionary.kind().read_at() {
            // the rows of these keep their lengths
            Some(_) => acts,
            None => contributions(&acts, &theirs(&path, "lengths")),
        };
        let off = [relative(&each, &ours), relative(&theirs(&path, "x_hat"), &x_hat)];
        let name = path.strip_prefix(folder.path()).unwrap().display().to_string();
        println!(
            "formulas on our {name} ({}): activations {:.1e} off, reconstructions {:.1e}",
            facts.normaliser.name(),
            off[0],
            off[1]
        );
        assert!(off.iter().all(|off| *off <= 1e-6), "{name}: {off:?}");
        most = most.max(off[0]).max(off[1]);
    }
    println!("{} dictionaries; {most:.1e} off at most", cases.len());
    assert!(cases.len() >= 40, "only {} dictionaries were written", cases.len());
}
