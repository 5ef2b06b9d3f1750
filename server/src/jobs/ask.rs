//! The job of a question: answered, and the answer kept.

use anyhow::Result;
use api::AskConfig;

use super::execute::Stage;
use crate::ask::answer;

/// Answers the job's question. None when it was told to stop: nothing of it is kept, and it begins again.
///
/// # Errors
/// As [`answer`].
pub fn ask(stage: &Stage<'_>, config: &AskConfig) -> Result<Option<()>> {
    let observe = |progress| {
        stage.progress(progress);
        !stage.should_stop()
    };
    let found = answer(stage.workspace, stage.runtime, config, &observe)?;
    let Some(found) = found.filter(|_| !stage.should_stop()) else {
        return Ok(None);
    };
    let (store, id) = (&stage.workspace.store, stage.job.id);
    stage
        .runtime
        .block_on(store.finish_with_answer(id, stage.owner, &found.answer, found.csv))?;
    Ok(Some(()))
}
