//! A sweep's request against the registry: checked, and its defaults filled in. The form and the command line share it.

use anyhow::{Context as _, Result};
use api::{
    ConfigError, DeriveRequest, ObjectiveKind, Origin, PostHoc, ResidualFrame, ResolvedAgainst, ResolvedSweep, SweepRequest,
    TrainConfig,
};
use store::Store;

use crate::{room, workspace::Workspace};

/// Checks `request` against its model and its corpus, and fills in what it leaves out.
///
/// # Errors
/// [`ConfigError`] for the first field that cannot be used.
pub async fn resolve(store: &Store, request: &SweepRequest) -> Result<ResolvedSweep> {
    request.check_count()?; // before anything is looked up for each of its parts
    let missing =
        |field, name: &str| ConfigError::new(field, format!("there is no {field} '{name}' in the registry; add it first"));
    let model = store
        .model(&request.model)
        .await?
        .ok_or_else(|| missing("model", &request.model.0))?;
    store
        .corpus(&request.corpus)
        .await?
        .ok_or_else(|| missing("corpus", &request.corpus.0))?;
    let width = model.width(request.at).ok_or_else(|| {
        let points: Vec<_> = model.hook_points.iter().map(|(point, _)| point.to_string()).collect();
        ConfigError::new(
            "at",
            format!(
                "'{}' has no hook point '{}'; it has {}",
                model.id,
                request.at,
                points.join(", ")
            ),
        )
    })?;
    if let Some(read_at) = request.read_at.filter(|read_at| model.width(*read_at).is_none()) {
        let message = format!("'{}' has no hook point '{read_at}'; `at` lists those that it has", model.id);
        return Err(ConfigError::new("read_at", message).into());
    }
    if request.residual == ResidualFrame::Centred && !model.layer_norm {
        let message = format!(
            "found centred; '{}' has RMSNorms, which the mean matters to: only raw is possible",
            model.id
        );
        return Err(ConfigError::new("residual", message).into());
    }
    if request.objectives.contains(&ObjectiveKind::E2eDs) && request.at.next_block() >= model.n_layers {
        let message = format!(
            "found e2e+ds at {}; no block of '{}' comes after it, so there is nothing downstream to compare; use e2e there",
            request.at, model.id
        );
        return Err(ConfigError::new("objectives", message).into());
    }
    let mut parents = Vec::with_capacity(request.from.len());
    for id in &request.from {
        let missing = || ConfigError::new("from", format!("there is no dictionary {id} in the registry"));
        parents.push(store.dictionary(*id).await?.ok_or_else(missing)?);
    }
    let facts = ResolvedAgainst {
        width,
        d_vocab: model.d_vocab,
        max_n_ctx: model.n_ctx,
        has_bos: model.has_bos,
        parents: &parents,
    };
    Ok(request.resolve(facts)?)
}

/// As [`resolve`], for a request that is to be trained here: there must be room in memory for it.
///
/// # Errors
/// As [`resolve`], and what takes too much memory.
pub async fn resolve_here(workspace: &Workspace, request: &SweepRequest) -> Result<ResolvedSweep> {
    let resolved = resolve(&workspace.store, request).await?;
    // the runs of a sweep differ in their seeds alone
    let first: Vec<_> = resolved.runs.iter().take(1).collect();
    room::check_asked(workspace, &first).await?;
    Ok(resolved)
}

/// Checks a request to change dictionaries, and the runs that it comes to, each with the command that does the same.
///
/// # Errors
/// [`ConfigError`] for the first field that cannot be used.
pub async fn derive(store: &Store, request: &DeriveRequest) -> Result<Vec<(TrainConfig, String)>> {
    request.check_count()?;
    let mut parents = Vec::with_capacity(request.from.len());
    for id in &request.from {
        let missing = || ConfigError::new("from", format!("there is no dictionary {id} in the registry"));
        let info = store.dictionary(*id).await?.ok_or_else(missing)?;
        let job = store
            .job(info.job)
            .await?
            .with_context(|| format!("there is no job {}", info.job))?;
        let config = job.config.training().cloned();
        let config = config.with_context(|| format!("job {} made no dictionary", info.job))?;
        parents.push((info, config));
    }
    let runs = request.resolve(&parents)?;
    let command = |run: &TrainConfig| {
        let mut part = DeriveRequest {
            from: Vec::new(),
            by: Vec::new(),
            ..request.clone()
        };
        for dictionary in &run.dictionaries {
            let Origin::Derived { from, by } = dictionary.origin else {
                continue;
            };
            part.from.extend((!part.from.contains(&from)).then_some(from));
            part.by.extend((!part.by.contains(&by)).then_some(by));
        }
        if !part.by.contains(&PostHoc::RescaleShift) {
            (part.tokens, part.lr) = (None, None);
        }
        part.command()
    };
    Ok(runs.into_iter().map(|run| (run.clone(), command(&run))).collect())
}

/// Each run with the command that does the same: the sweep's, for the run's seed alone.
pub fn with_commands(request: &SweepRequest, runs: Vec<TrainConfig>) -> Vec<(TrainConfig, String)> {
    runs.into_iter()
        .map(|run| {
            let command = SweepRequest {
                seeds: vec![run.data_seed],
                ..request.clone()
            }
            .command();
            (run, command)
        })
        .collect()
}
