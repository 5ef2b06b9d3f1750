//! Models whose weights are finite and that give what is not: a run, a measurement and a question say that it is the model, before
//! anything is made of it.

use api::{HookPoint, ResidualFrame};
use engine::{
    corpus::{Split, TokenFile},
    dictionary::{Dictionary, DictionaryFile, Normaliser, save},
    metrics::{By, Subject, probing::pool},
    model::Model,
    train::{Cpu, Device as _, Inputs, TrainError, evaluate, firings, hardest_tokens, run},
};
use safetensors::{SafeTensors, tensor::TensorView};
use std::{collections::HashSet, fs, path::Path};

use crate::{
    golden::models,
    runs::{Place, Watch},
    workplace::config,
};

/// A number of f32 of which two come to infinity.
const HUGE: f32 = 3e38;

/// The tiny model with a tensor of its changed.
pub fn changed(tensor: &str, change: impl Fn(usize, f32) -> f32) -> Model<f32> {
    let copy = tempfile::tempdir().unwrap();
    fs::copy(models().join("tiny/config.json"), copy.path().join("config.json")).unwrap();
    let bytes = fs::read(models().join("tiny/model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    assert!(
        tensors.names().iter().any(|name| name.ends_with(tensor)),
        "{tensor}: {:?}",
        tensors.names()
    );
    let entry = |(name, view): (&str, TensorView<'_>)| {
        let numbers: Vec<f32> = bytemuck::pod_collect_to_vec(view.data());
        let numbers: Vec<f32> = match name.ends_with(tensor) {
            true => numbers.into_iter().enumerate().map(|(i, x)| change(i, x)).collect(),
            false => numbers,
        };
        (
            name.to_owned(),
            view.shape().to_vec(),
            bytemuck::pod_collect_to_vec::<f32, u8>(&numbers),
        )
    };
    let entries: Vec<_> = tensors.iter().map(entry).collect();
    let views = entries
        .iter()
        .map(|(name, shape, data)| (name, TensorView::new(safetensors::Dtype::F32, shape.clone(), data).unwrap()));
    fs::write(
        copy.path().join("model.safetensors"),
        safetensors::serialize(views, None).unwrap(),
    )
    .unwrap();
    Model::load(copy.path(), ResidualFrame::Raw).unwrap()
}

fn ran(model: &Model<f32>, tokens: &TokenFile, folder: &Path) -> TrainError {
    let backend = Cpu.backend(model).unwrap();
    let mut config = config(HookPoint::resid_pre(1));
    // no curves on validation text, where the model might break as well
    config.evaluation.every_steps = 1000;
    config.dictionaries.truncate(1);
    let from = vec![None; config.dictionaries.len()];
    let inputs = Inputs {
        config: &config,
        from: &from,
        backend: &*backend,
        model_hash: "",
        tokens,
        folder,
        cache: None,
    };
    run(inputs, &mut Watch::default()).expect_err("a run on such a model ends")
}

#[test]
fn it_is_said_before_a_run_begins_and_where_the_model_breaks() {
    let place = Place::new();
    for (tensor, says) in [
        ("ln_f.weight", "at the logits, at position "),
        ("h.1.mlp.c_fc.weight", "at blocks.1."),
        ("wte.weight", "at blocks.0."),
    ] {
        let model = changed(tensor, |_, _| HUGE);
        let folder = tempfile::tempdir().unwrap();
        let error = ran(&model, place.tokens(), folder.path());
        assert!(matches!(error, TrainError::Model(_)), "{error}");
        let error = error.to_string();
        assert!(
            error.contains("it is the model: it gives ") && error.contains(says),
            "{tensor}: {error}"
        );
        assert!(!error.contains("learning rate"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "a run had begun");
    }
}

#[test]
fn a_measurement_and_a_question_say_it() {
    let place = Place::new();
    let at = HookPoint::resid_pre(1);
    let config = config(at);
    let own = &config.dictionaries[0];
    let dictionary = Dictionary::<f32>::random(own.kind, place.model.facts().d_model, own.d_sae, 1);
    let file = place.folder.path().join("one.safetensors");
    let about = DictionaryFile::new(own.clone(), at, ResidualFrame::Raw, Normaliser::default(), String::new());
    save(&dictionary, &about, api::WeightType::F32, &file).unwrap();
    let files = [file];
    for (tensor, says) in [("ln_f.weight", "at its loss"), ("wte.weight", "at blocks.")] {
        let model = changed(tensor, |_, _| HUGE);
        let backend = Cpu.backend(&model).unwrap();
        let mut on = |_, _| true;
        let errors = [
            evaluate(&files, &*backend, place.tokens(), &config, &mut on).err(),
            firings(&files, &*backend, place.tokens(), &config, &mut on).err(),
            hardest_tokens(&files, &*backend, place.tokens(), &config, (By::Kl, 3), &mut on).err(),
        ];
        for (index, error) in errors.into_iter().enumerate() {
            let error = error
                .unwrap_or_else(|| panic!("{tensor}: answer {index} was given"))
                .to_string();
            assert!(error.contains("it is the model: it gives "), "{error}");
            assert!(
                error.contains(says) || error.contains("at its loss"),
                "{tensor}, {index}: {error}"
            );
        }
    }
    let model = changed("wte.weight", |_, _| HUGE);
    let subject = Subject {
        dictionary: &dictionary,
        normaliser: Normaliser::default(),
    };
    let texts = [vec![1, 2, 3], vec![4, 5]];
    let error = pool(&model, at, subject, &texts, &[], &mut |_, _| true).err().unwrap();
    assert!(
        error
            .to_string()
            .contains("it is the model: it gives NaN at blocks.1.hook_resid_pre"),
        "{error}"
    );
}

/// One token of the text breaks the model, in none of the contexts that are looked at before the run.
#[test]
fn a_step_that_fails_by_the_models_fault_says_so() {
    let place = Place::new();
    let (tokens, d_model) = (place.tokens(), place.model.facts().d_model);
    let of = |split, index| tokens.context(split, index).iter().copied();
    let validation = (0..tokens.n_contexts(Split::Validation)).flat_map(|index| of(Split::Validation, index));
    let first = [Split::Train, Split::HeldOut]
        .into_iter()
        .flat_map(|split| (0..4).flat_map(move |index| of(split, index)));
    let looked_at: HashSet<u32> = first.chain(validation).collect();
    let mut later = (4..tokens.n_contexts(Split::Train)).flat_map(|index| of(Split::Train, index));
    let token = later.find(|token| !looked_at.contains(token)).unwrap();
    // as an embedding it makes a sum that is infinite, as a direction of the unembedding none
    let model = changed("wte.weight", |i, x| if i / d_model == token as usize { 1.5e37 } else { x });
    let folder = tempfile::tempdir().unwrap();
    let error = ran(&model, tokens, folder.path()).to_string();
    assert!(error.contains("it is the model: it gives NaN at blocks.0."), "{error}");
    assert!(error.contains(&format!("(token id {token})")), "{error}");
    assert!(error.starts_with("step "), "the run had begun: {error}");
}
