//! A registered language model, asked about storyworld.

use anyhow::{Context as _, Result};
use api::{ModelInfo, ResidualFrame};
use engine::{
    corpus::{
        load_tokenizer, special_tokens,
        storyworld::{Behaviour, Story, Storyworld, prompts},
    },
    experiment::behaviour::{Answers, Fit, Reader},
};
use serde::{Deserialize, Serialize};
use std::{path::Path, sync::Arc};

use crate::workspace::Workspace;

/// The seed of the stories and prompts: one that no training text has.
pub const SEED: u64 = 1_000_000_007;

/// What is asked, and how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Questions {
    /// Prompts of each behaviour, each from another story.
    pub n_prompts: usize,
    /// Stories for the loss.
    pub n_stories: u64,
    /// Their seed.
    pub seed: u64,
}

/// What a model has learnt.
#[derive(Clone, Debug)]
pub struct Learnt {
    /// Its loss on stories.
    pub fit: Fit,
    /// Its answers, behaviour by behaviour.
    pub answers: Vec<(Behaviour, Answers)>,
}

impl Learnt {
    /// As text, a line each.
    pub fn lines(&self) -> Vec<String> {
        let Fit {
            loss,
            generator,
            n_tokens,
            n_stories,
        } = self.fit;
        let mut lines = vec![format!(
            "loss {loss:.4}, the generator's own {generator:.4} nats per token ({n_stories} stories, {n_tokens} tokens)"
        )];
        lines.extend(self.answers.iter().map(|(behaviour, answers)| {
            format!(
                "{:<20} {:>5.1} % right, chance {:>4.1} % ({} prompts)",
                behaviour.name(),
                100.0 * answers.accuracy(),
                100.0 * answers.chance,
                answers.n
            )
        }));
        lines
    }
}

/// Asks the model, on a job's threads.
///
/// # Errors
/// A model whose contexts are shorter than stories; what the engine cannot read.
pub async fn learnt(workspace: &Arc<Workspace>, info: &ModelInfo, questions: Questions) -> Result<Learnt> {
    let Questions {
        n_prompts,
        n_stories,
        seed,
    } = questions;
    let (shared, info, pool) = (workspace.clone(), info.clone(), workspace.job_pool()?);
    let ask = move || {
        let folder = Path::new(&info.folder);
        let model = shared.models.get(folder, &info.hash, ResidualFrame::Raw)?;
        let tokenizer = load_tokenizer(folder, info.d_vocab)?;
        let reader = Reader {
            model: &model,
            tokenizer: &tokenizer,
            bos: special_tokens(folder)?.within(info.d_vocab).bos,
        };
        let world = Storyworld::new(seed);
        let stories: Vec<Story> = (0..n_stories).map(|index| world.story(index)).collect();
        let answers = |behaviour: Behaviour| {
            let answers = reader.answers(&prompts(behaviour, n_prompts, seed));
            Ok((behaviour, answers.with_context(|| behaviour.to_string())?))
        };
        Ok(Learnt {
            fit: reader.fit(&stories)?,
            answers: Behaviour::ALL.into_iter().map(answers).collect::<Result<_>>()?,
        })
    };
    tokio::task::spawn_blocking(move || pool.install(ask)).await?
}
