//! Whether a few of a dictionary's features tell the labels of texts.

use anyhow::{Context as _, Result};
use api::{Answer, ConfigError, DictionaryInfo, ProbeAnswer, ProbePair, ProbeQuestion, Probed};
use app::charts::push_record;
use engine::{
    corpus::{load_tokenizer, special_tokens, text_ids},
    dictionary,
    metrics::{
        Subject,
        probing::{pool, probe},
    },
};
use std::path::Path;

use super::{Answered, Asked, Texts, read};
use crate::{jobs::check_unchanged, on_text::told};

/// Features of a probe.
const KS: [usize; 3] = [1, 2, 5];
/// Tokens of a text that are read: SAEBench's.
const N_CTX: usize = 128;

/// Answers the question; None where it was ended.
pub fn answer(asked: &Asked<'_>, question: &ProbeQuestion) -> Result<Option<Answered>> {
    let texts = read(Path::new(&question.data), question.sha256.as_deref())?;
    let mut dictionaries = Vec::with_capacity(asked.infos.len());
    for info in &asked.infos {
        let Some(probes) = one(asked, info, &texts, question)? else {
            return Ok(None);
        };
        dictionaries.push(Probed {
            dictionary: info.id,
            probes,
        });
    }
    let answer = ProbeAnswer {
        n_texts: texts.texts.len() as u64,
        labels: texts.counts(),
        dictionaries,
    };
    Ok(Some(Answered {
        csv: csv(&answer),
        answer: Answer::Probe(answer),
    }))
}

fn one(asked: &Asked<'_>, info: &DictionaryInfo, texts: &Texts, question: &ProbeQuestion) -> Result<Option<Vec<ProbePair>>> {
    let (workspace, store) = (asked.workspace, &asked.workspace.store);
    let file = asked.runtime.block_on(store.verify_dictionary(info.id))?;
    let model = asked.runtime.block_on(store.model(&info.model))?;
    let model = model.with_context(|| format!("there is no model '{}'", info.model))?;
    check_unchanged(&model)?;
    let folder: &Path = model.folder.as_ref();
    let tokenizer = load_tokenizer(folder, model.d_vocab)?;
    let special = special_tokens(folder)?.within(model.d_vocab);
    let stage = format!("reading the texts with dictionary {}", info.id);
    let mut tell = told(asked.observe, &stage, "texts");
    let found = workspace.job_pool()?.install(|| -> Result<_> {
        let weights = workspace.models.get(folder, &model.hash, info.residual)?;
        let (dictionary, facts) = dictionary::load(&file)?;
        let n_ctx = weights.facts().n_ctx.min(N_CTX);
        let tokens = |text: &String| -> Result<Vec<u32>> {
            let ids = text_ids(&tokenizer, text, model.d_vocab);
            let ids = ids.map_err(|message| ConfigError::new("data", format!("a text cannot be read: {message}")))?;
            Ok(special.bos.into_iter().chain(ids).take(n_ctx).collect())
        };
        let tokens = texts.texts.iter().map(tokens).collect::<Result<Vec<_>>>()?;
        let subject = Subject {
            dictionary: &dictionary,
            normaliser: facts.normaliser,
        };
        let Some(pooled) = pool(&weights, info.at, subject, &tokens, &special.all, &mut tell)? else {
            return Ok(None);
        };
        let of = |k: usize, values: &[f32]| probe(values, &texts.labels, texts.names.len(), k, question.seed);
        let pair = |k| {
            of(k, &pooled.features)
                .zip(of(k, &pooled.activations))
                .map(|found| (k, found))
        };
        Ok(Some(KS.map(pair)))
    })?;
    let Some(found) = found else { return Ok(None) };
    let pairs = found.into_iter().map(|pair| {
        let nothing = || {
            let message = format!("'{}' has no label with two texts of it and two of others", question.data);
            ConfigError::new("data", message)
        };
        let (k, (features, activations)) = pair.ok_or_else(nothing)?;
        Ok(ProbePair {
            k: k as u64,
            features: features.accuracy,
            features_interval: Some(features.interval),
            activations: activations.accuracy,
            activations_interval: Some(activations.interval),
            n_train: features.n_texts[0] as u64,
            n_test: features.n_texts[1] as u64,
        })
    });
    pairs.collect::<Result<Vec<_>>>().map(Some)
}

/// A row per dictionary and number of features.
fn csv(answer: &ProbeAnswer) -> String {
    let mut out = String::new();
    let head = [
        "dictionary",
        "k",
        "sae_test_accuracy",
        "sae_low",
        "sae_high",
        "llm_test_accuracy",
        "llm_low",
        "llm_high",
        "n_train",
        "n_test",
    ];
    push_record(&mut out, head.map(String::from).into_iter());
    let end = |interval: Option<(f64, f64)>, which: fn((f64, f64)) -> f64| {
        interval.map(which).map(|v| v.to_string()).unwrap_or_default()
    };
    for probed in &answer.dictionaries {
        for pair in &probed.probes {
            let fields = [
                probed.dictionary.to_string(),
                pair.k.to_string(),
                pair.features.to_string(),
                end(pair.features_interval, |(low, _)| low),
                end(pair.features_interval, |(_, high)| high),
                pair.activations.to_string(),
                end(pair.activations_interval, |(low, _)| low),
                end(pair.activations_interval, |(_, high)| high),
                pair.n_train.to_string(),
                pair.n_test.to_string(),
            ];
            push_record(&mut out, fields.into_iter());
        }
    }
    out
}
