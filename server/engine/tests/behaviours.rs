//! Scoring of behaviours, on the tiny model that pretraining's golden test wrote, whose tokenizer knows no answer as one token.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::path::PathBuf;

use api::{HookPoint, ModelShape, ResidualFrame};
use engine::{
    corpus::{
        load_tokenizer, special_tokens,
        storyworld::{Behaviour, Prompt, Story, Storyworld, prompts},
    },
    experiment::behaviour::Reader,
    kernel::log_normaliser,
    model::{Cut, Model, NoHooks, Work},
    pretrain::new_model,
};
use tokenizers::Tokenizer;

const SEED: u64 = 99;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/pretraining/written")
}

/// ln of the probability of `tokens` behind the first of them, by a pass for each of its prefixes.
fn by_prefixes(model: &Model<f32>, tokens: &[u32]) -> f64 {
    let (mut cut, mut work, mut out) = (Cut::default(), Work::default(), Vec::new());
    let (d_model, d_vocab) = (model.facts().d_model, model.facts().d_vocab);
    let mut total = 0.0;
    for n in 1..tokens.len() {
        model
            .prefix(&tokens[..n], HookPoint::Embed, &mut cut, &mut NoHooks, &mut work)
            .unwrap();
        model
            .suffix(&cut, &cut.value, &mut out, &mut NoHooks, None, &mut work)
            .unwrap();
        let mut logits = vec![0.0; d_vocab];
        model.logits(&out[(n - 1) * d_model..], &mut logits);
        total += f64::from(logits[tokens[n] as usize] - log_normaliser(&logits));
    }
    total
}

/// A prompt that fits the tiny model's contexts, with answers of several tokens and of different lengths.
fn short_prompts() -> Vec<Prompt> {
    let texts = ["Mary gave it to", "It was a", "The lamps", "He said that", "From 1732 to 17"];
    let answers = [
        [" John", " Mary"],
        [" were", " was"],
        ["33", "20"],
        [" kite", " lamp"],
        [")", "]"],
    ];
    let prompt = |text: &str, [correct, wrong]: [&str; 2]| Prompt {
        text: text.into(),
        correct: vec![correct.into(), format!("{correct}s")],
        wrong: vec![wrong.into(), format!("{wrong}ed")],
    };
    texts
        .into_iter()
        .flat_map(|text| answers.map(|answer| prompt(text, answer)))
        .collect()
}

#[test]
fn shared_passes_decide_as_one_pass_per_token_does() {
    let model = Model::<f32>::load(&folder(), ResidualFrame::Raw).unwrap();
    let tokenizer = load_tokenizer(&folder(), model.facts().d_vocab).unwrap();
    let bos = special_tokens(&folder()).unwrap().bos;
    let reader = Reader {
        model: &model,
        tokenizer: &tokenizer,
        bos,
    };
    let mut n_right = [0, 0];
    for prompt in short_prompts() {
        let log_p = |continuation: &String| {
            let ids = tokenizer.encode(format!("{}{continuation}", prompt.text), false).unwrap();
            let tokens: Vec<u32> = bos.into_iter().chain(ids.get_ids().iter().copied()).collect();
            by_prefixes(&model, &tokens)
        };
        let correct: Vec<f64> = prompt.correct.iter().map(log_p).collect();
        let wrong: Vec<f64> = prompt.wrong.iter().map(log_p).collect();
        let expected = log_normaliser(&correct) > log_normaliser(&wrong);
        let answers = reader.answers(std::slice::from_ref(&prompt)).unwrap();
        assert_eq!(answers.n_right == 1, expected, "{prompt:?}");
        assert_eq!((answers.n, answers.chance), (1, 0.5));
        n_right[usize::from(expected)] += 1;
    }
    assert!(n_right.iter().all(|n| *n >= 5), "too one-sided to show anything: {n_right:?}");
}

/// Answers and loss of a model that has learnt nothing.
#[test]
fn a_fresh_model_guesses() {
    let tokenizer: Tokenizer = load_tokenizer(&folder(), usize::MAX).unwrap();
    let shape = ModelShape {
        n_layers: 1,
        d_model: 8,
        n_heads: 2,
        n_ctx: 1024,
    };
    let model = new_model(&shape, tokenizer.get_vocab_size(true), 3).unwrap();
    let reader = Reader {
        model: &model,
        tokenizer: &tokenizer,
        bos: Some(0),
    };
    for behaviour in [Behaviour::IoiAbba, Behaviour::IoiBaba] {
        let answers = reader.answers(&prompts(behaviour, 100, SEED)).unwrap();
        assert_eq!((answers.n, answers.chance), (100, 0.5));
        assert!((0.3..0.7).contains(&answers.accuracy()), "{behaviour}: {answers:?}");
    }
    let stories: Vec<Story> = (0..4).map(|index| Storyworld::new(SEED).story(index)).collect();
    let fit = reader.fit(&stories).unwrap();
    let uniform = (tokenizer.get_vocab_size(true) as f64).ln();
    assert!((fit.loss - uniform).abs() < 0.1, "{fit:?}, {uniform} for guessing");
    let nats: f64 = stories.iter().map(|story| story.nats).sum();
    assert!((fit.generator * fit.n_tokens as f64 - nats).abs() < 1e-9 * nats, "{fit:?}");
}
