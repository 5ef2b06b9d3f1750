//! `saescope verify`: whether stored metrics are their dictionaries' own.

use anyhow::{Result, bail};
use api::VerifyConfig;
use clap::Args;
use std::{
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool},
};

use super::{
    Global, runs,
    say::{note, say},
    which::Which,
    workspace,
};
use crate::jobs::Ended;

/// Compute the metrics of dictionaries again and note whether they are those that are stored
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  saescope verify --dictionary all
  saescope verify --dictionary 7,8,9")]
pub struct Verify {
    /// The dictionaries' numbers, or all
    #[arg(long, value_name = "N,N,...|all")]
    dictionary: Which,
}

impl Verify {
    /// Runs the command. Exit status 1 where something differs.
    pub fn run(self, global: &Global) -> Result<ExitCode> {
        workspace::on(global, async |workspace| {
            let wanted = self.dictionary.of(&workspace.store).await?;
            let mut configs: Vec<VerifyConfig> = Vec::new();
            for info in &wanted {
                let same = |config: &&mut VerifyConfig| (&config.model, &config.corpus) == (&info.model, &info.corpus);
                match configs.iter_mut().find(same) {
                    Some(config) => config.dictionaries.push(info.id),
                    None => configs.push(VerifyConfig {
                        model: info.model.clone(),
                        corpus: info.corpus.clone(),
                        dictionaries: vec![info.id],
                    }),
                }
            }
            let runs = configs.into_iter().map(|config| (config.clone(), config.command())).collect();
            let ids = runs::jobs(&workspace, runs, true).await?;
            let stop = Arc::new(AtomicBool::new(false));
            tokio::spawn(runs::stop_on_signal(stop.clone()));
            let owner = workspace.owner("saescope verify");
            for &id in &ids {
                match runs::run_or_follow(&workspace, id, &owner, &stop).await? {
                    Ended::Done(_) => {}
                    Ended::Failed(message) => bail!("job {id}: {message}"),
                    Ended::Cancelled => bail!("job {id} was cancelled"),
                    Ended::Lost => bail!("job {id} was taken over by another process"),
                    Ended::Released => {
                        runs::cancel_queued(&workspace, &ids).await?;
                        note!("stopped; what was found until then is noted");
                        return Ok(ExitCode::from(130));
                    }
                }
            }
            let mut all_hold = true;
            for info in wanted {
                let found = workspace.store.dictionary(info.id).await?.and_then(|info| info.verified);
                all_hold &= found.as_ref().is_some_and(api::Verified::holds);
                say!("dictionary {}: {}", info.id, line(found.as_ref()))?;
            }
            Ok(ExitCode::from(u8::from(!all_hold)))
        })
    }
}

fn line(found: Option<&api::Verified>) -> String {
    let Some(found) = found else {
        return "not measured".to_owned();
    };
    let differences = found.differences.iter().map(|difference| {
        let value = difference
            .found
            .map_or_else(|| "nothing".to_owned(), |value| value.to_string());
        format!("{} is {value}, stored {}", difference.stored.name, difference.stored.value)
    });
    match found.differences.len() {
        0 => format!("verified, {} of {} values to the same bits", found.n_same, found.n_values),
        n => format!(
            "{n} of {} values differ: {}",
            found.n_values,
            differences.collect::<Vec<_>>().join("; ")
        ),
    }
}
