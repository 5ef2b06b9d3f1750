//! The tokens whose predictions dictionaries lose most of, each in its context.

use anyhow::Result;
use api::{Answer, DictionaryId, LostToken, NearToken, TokenOrder, TokensAnswer, TokensQuestion};
use app::charts::push_record;
use engine::{
    corpus::{load_tokenizer, pieces},
    metrics::{By, Hardest, TokenRow},
    train::{hardest_tokens, measured_context},
};
use std::path::Path;

use super::{Answered, Asked};
use crate::on_text::{OnText, common_config, on_text_here, told};

/// Tokens of the context that are shown before a token and behind it.
const AROUND: usize = 12;

/// Answers the question; None where it was ended.
pub fn answer(asked: &Asked<'_>, question: &TokensQuestion) -> Result<Option<Answered>> {
    let mut config = asked.runtime.block_on(common_config(&asked.workspace.store, &asked.infos))?;
    config.evaluation.n_tokens = question.tokens.unwrap_or(config.evaluation.n_tokens);
    let by = match question.by {
        TokenOrder::CeIncrease => By::CeIncrease,
        TokenOrder::Kl => By::Kl,
    };
    let top = question.top.unwrap_or(usize::MAX);
    let mut tell = told(asked.observe, "looking at every token", "tokens");
    let work = |on: OnText<'_>| -> Result<Option<Answered>> {
        let (mut n_tokens, mut goes_on) = (0, true);
        let mut progress = |done, total| {
            (n_tokens, goes_on) = (total, tell(done, total));
            goes_on
        };
        let found = hardest_tokens(on.files, on.backend, on.tokens, on.config, (by, top), &mut progress)?;
        if !goes_on {
            return Ok(None);
        }
        let ids: Vec<DictionaryId> = asked.infos.iter().map(|info| info.id).collect();
        let rows = &found.rows;
        let shown = rows.iter().take(TokensAnswer::MOST_ROWS);
        let folder: &Path = on.model.folder.as_ref();
        let has_tokenizer = folder.join("tokenizer.json").is_file();
        let tokenizer = has_tokenizer.then(|| load_tokenizer(folder, on.model.d_vocab)).transpose()?;
        // without a tokenizer, a token is its id
        let words = |ids: &[u32]| match &tokenizer {
            Some(tokenizer) => pieces(tokenizer, ids),
            None => ids.iter().map(|id| format!("[{id}]")).collect(),
        };
        let answer = TokensAnswer {
            by: question.by,
            n_tokens,
            n_rows: rows.len() as u64,
            rows: shown
                .map(|row| in_context(&found, row, words(measured_context(on.tokens, on.config, row.context))))
                .collect(),
            dictionaries: ids.clone(),
        };
        let word = |id: u32| match &tokenizer {
            Some(tokenizer) => tokenizer.id_to_token(id).unwrap_or_default(),
            None => id.to_string(),
        };
        Ok(Some(Answered {
            answer: Answer::Tokens(answer),
            csv: csv(&ids, rows, word),
        }))
    };
    let found = on_text_here(asked.workspace, asked.runtime, &asked.infos, &config, asked.observe, work)?;
    Ok(found.flatten())
}

fn in_context(found: &Hardest, row: &TokenRow, pieces: Vec<String>) -> LostToken {
    let first = row.position.saturating_sub(AROUND);
    let near = pieces
        .into_iter()
        .enumerate()
        .skip(first)
        .take(row.position - first + 1 + AROUND);
    LostToken {
        context: row.context as u64,
        position: row.position as u64,
        around: near
            .map(|(position, text)| NearToken {
                text,
                increase: found.least_increase(row.context, position),
            })
            .collect(),
        at: (row.position - first) as u64,
        ce_loss_without_sae: row.ce_loss_without_sae,
        ce_increase: row.ce_increase.clone(),
        kl: row.kl.clone(),
    }
}

/// The rows as CSV, under a header.
fn csv(ids: &[DictionaryId], rows: &[TokenRow], word: impl Fn(u32) -> String) -> String {
    let mut out = String::new();
    let named = [
        "context",
        "position",
        "token",
        "next",
        "ce_loss_without_sae",
        "least_ce_increase",
        "least_kl",
    ];
    let of = |name: &'static str| ids.iter().map(move |id| format!("{name}_{id}"));
    let head = named
        .iter()
        .map(|name| (*name).to_string())
        .chain(of("ce_increase"))
        .chain(of("kl"));
    push_record(&mut out, head);
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    for row in rows {
        let first = [
            row.context.to_string(),
            row.position.to_string(),
            word(row.token),
            row.next.map(&word).unwrap_or_default(),
            number(row.ce_loss_without_sae),
            number(row.least(By::CeIncrease)),
            number(row.least(By::Kl)),
        ];
        let increases = (0..ids.len()).map(|k| number(row.ce_increase.get(k).copied()));
        let kls = row.kl.iter().map(|kl| number(Some(*kl)));
        push_record(&mut out, first.into_iter().chain(increases).chain(kls));
    }
    out
}
