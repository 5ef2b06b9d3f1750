//! What the commands that ask something of dictionaries have in common: asked here and now, by what the jobs are answered by.

use anyhow::{Context as _, Result};
use api::{AskRequest, Progress};
use std::sync::Arc;
use tokio::runtime::Handle;

use super::report::Report;
use crate::{
    ask::{Answered, answer, resolve},
    workspace::Workspace,
};

/// The answer, with how far it is on stderr.
pub async fn asked(workspace: &Arc<Workspace>, request: AskRequest) -> Result<Answered> {
    let config = resolve(&workspace.store, request).await?;
    let (workspace, runtime) = (workspace.clone(), Handle::current());
    let work = move || {
        let report = Report::new(config.what());
        let observe = |progress: Progress| {
            report.show(&progress);
            true
        };
        let found = answer(&workspace, &runtime, &config, &observe);
        report.end(if found.is_ok() { "done" } else { "failed" });
        found?.context("it was stopped")
    };
    tokio::task::spawn_blocking(work).await?
}
