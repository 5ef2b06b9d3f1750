//! The language model that is shipped: transformers reads it as we do, and it behaves.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::{fs, path::PathBuf};

use api::{HookPoint, ResidualFrame};
use engine::{
    corpus::{
        load_tokenizer, special_tokens,
        storyworld::{Behaviour, Story, Storyworld, prompts},
    },
    experiment::behaviour::Reader,
    model::{Cut, Model, NoHooks, Work},
};
use safetensors::SafeTensors;

/// A seed that neither the training text nor the README's figures have.
const SEED: u64 = 2_000_000_011;

/// More than this above the generator's own loss, in nats per token, and the model has not learnt the stories.
const GAP: f64 = 0.1;

/// Less than this, and it has not learnt a behaviour.
const ACCURACY: f64 = 0.95;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn folder() -> PathBuf {
    root().join("demo/model")
}

fn model() -> Model<f32> {
    Model::load(&folder(), ResidualFrame::Raw).unwrap()
}

#[test]
fn its_logits_are_those_of_transformers() {
    let model = model();
    let bytes = fs::read(root().join("tests/golden/demo/logits.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let tokens: Vec<i32> = bytemuck::pod_collect_to_vec(tensors.tensor("tokens").unwrap().data());
    let expected: Vec<f32> = bytemuck::pod_collect_to_vec(tensors.tensor("logits").unwrap().data());
    let tokens: Vec<u32> = tokens.into_iter().map(|id| id as u32).collect();
    let (mut cut, mut work, mut out) = (Cut::default(), Work::default(), Vec::new());
    model
        .prefix(&tokens, HookPoint::Embed, &mut cut, &mut NoHooks, &mut work)
        .unwrap();
    model
        .suffix(&cut, &cut.value, &mut out, &mut NoHooks, None, &mut work)
        .unwrap();
    let mut logits = vec![0.0; expected.len()];
    model.logits(&out, &mut logits);
    let off = logits.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let largest = expected.iter().map(|x| x.abs()).fold(1.0, f32::max);
    assert!(off < 1e-4 * largest, "{off} off, of {largest}");
    // and the text is cut as its own library cuts it
    let tokenizer = load_tokenizer(&folder(), model.facts().d_vocab).unwrap();
    let text = tokenizer.decode(&tokens[1..], false).unwrap();
    let again = tokenizer.encode(text, false).unwrap();
    assert_eq!(again.get_ids(), &tokens[1..]);
    assert_eq!(special_tokens(&folder()).unwrap().bos, Some(tokens[0]));
}

#[test]
fn its_loss_is_near_the_generators_and_it_has_learnt_what_stories_teach() {
    let model = model();
    let tokenizer = load_tokenizer(&folder(), model.facts().d_vocab).unwrap();
    let reader = Reader {
        model: &model,
        tokenizer: &tokenizer,
        bos: special_tokens(&folder()).unwrap().bos,
    };
    let stories: Vec<Story> = (0..200).map(|index| Storyworld::new(SEED).story(index)).collect();
    let fit = reader.fit(&stories).unwrap();
    assert!(fit.loss < fit.generator + GAP, "{fit:?}");
    for behaviour in Behaviour::ALL {
        let answers = reader.answers(&prompts(behaviour, 200, SEED)).unwrap();
        assert!(answers.accuracy() >= ACCURACY, "{behaviour}: {answers:?}");
        assert!((0.45..0.6).contains(&answers.chance), "{behaviour}: {answers:?}");
    }
}
