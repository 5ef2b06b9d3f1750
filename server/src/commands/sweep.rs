//! `saescope sweep`: a grid of dictionaries, trained here and now. The jobs stand in the registry like those of the page: a server
//! on the same data folder shows them, and whoever has the lease runs them.

use anyhow::Result;
use api::{ConfigError, DictionaryId, TrainConfig};
use clap::Args;
use std::{path::PathBuf, process::ExitCode, sync::Arc};

use super::{Global, runs, say::note, sweep_options::SweepOptions, workspace};
use crate::{jobs::request, workspace::Workspace};

/// Train a grid of dictionaries: every objective at each number of features per token, for each seed
///
/// Every default that is not given is printed. Ctrl-C keeps a checkpoint; the same command goes on from it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  saescope sweep --model models/stories260k --corpus stories.json --at blocks.2.hook_resid_pre --kind gated
  saescope sweep --model models/stories260k --corpus stories.json --at blocks.2.hook_resid_pre \\
      --objective local,e2e,e2e+ds --target-l0 8,16,32 --seed 0,1,2 --csv out.csv
  saescope sweep --model models/stories260k --corpus stories.json --at blocks.2.hook_resid_pre \\
      --objective local,e2e,e2e+ds --coefficient \"local=0.03,0.1,0.3,1;e2e=0.1,0.3,1,3,8;e2e+ds=0.1,0.3,1,3,8\" \\
      --kl-coefficient \"e2e=1;e2e+ds=0.5\" --ds-coefficient 2.5 --d-sae 1024 --n-ctx 256 --batch 16 \\
      --tokens 1228800 --seed 0,1,2 --csv out.csv")]
pub struct Sweep {
    #[command(flatten)]
    pub options: SweepOptions,
    /// Write a row per dictionary to this file
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Start anew, also where the same run is in the data folder, finished or not
    #[arg(long)]
    pub fresh: bool,
}

impl Sweep {
    /// Runs the command.
    pub fn run(self, global: &Global) -> Result<ExitCode> {
        self.run_as("sweep", global)
    }

    /// Runs the command under the name of `command`, which is `train` or `sweep`.
    pub fn run_as(self, command: &'static str, global: &Global) -> Result<ExitCode> {
        runs::check_csv(self.csv.as_deref())?;
        workspace::on(global, async |workspace| self.train(command, workspace).await)
    }

    async fn train(mut self, command: &'static str, workspace: Arc<Workspace>) -> Result<ExitCode> {
        if let Some(id) = self.options.like {
            let missing = || ConfigError::new("like", format!("there is no dictionary {id} in the registry"));
            let other = workspace
                .store
                .dictionary(DictionaryId(id as i64))
                .await?
                .ok_or_else(missing)?;
            let taken = self.options.imitate(&other)?;
            taken.iter().for_each(|value| note!("default: {value}"));
        }
        let model = workspace::model(&workspace, &self.options.model).await?;
        let corpus = workspace::corpus(&workspace, &self.options.corpus, &self.options.reading.reading()).await?;
        let mut request = self.options.request(model.id, corpus.id);
        if command == "train" {
            let taken = request.ask_for_one();
            taken.iter().for_each(|value| note!("default: {value}"));
        }
        let resolved = request::resolve_here(&workspace, &request).await?;
        if command == "train" {
            one_dictionary(&resolved.runs)?;
        }
        let defaults = self.options.defaults();
        defaults
            .iter()
            .chain(&resolved.defaults)
            .for_each(|default| note!("default: {default}"));
        let ids = runs::jobs(&workspace, request::with_commands(&request, resolved.runs), self.fresh).await?;

        runs::to_the_end(&workspace, &ids, &format!("saescope {command}"), self.csv.as_deref()).await
    }
}

/// `train` is for one.
fn one_dictionary(runs: &[TrainConfig]) -> Result<(), ConfigError> {
    let n: usize = runs.iter().map(|run| run.dictionaries.len()).sum();
    match n {
        1 => Ok(()),
        n => Err(ConfigError::new(
            "train",
            format!("found {n} dictionaries; expected one value of each option, or use saescope sweep"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::Cli;
    use clap::Parser as _;

    #[test]
    fn the_form_that_scripts_rely_on_is_taken() {
        let line = "saescope sweep --data D --model FOLDER --corpus FILE --at blocks.2.hook_resid_pre --kind relu \
                    --objective local,e2e,e2e+ds --coefficient local=0.03,0.1,0.3,1;e2e=0.1,0.3,1,3,8;e2e+ds=0.1,0.3,1,3,8 \
                    --kl-coefficient e2e=1;e2e+ds=0.5 --ds-coefficient 2.5 --lr 1e-3 --d-sae 1024 --n-ctx 256 --batch 16 \
                    --tokens 1228800 --seed 0 --csv out.csv";
        Cli::try_parse_from(line.split_whitespace()).unwrap();
    }

    #[test]
    fn an_unknown_option_is_refused() {
        let error = Cli::try_parse_from(["saescope", "sweep", "--d-sea", "512"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("--d-sea"), "{error}");
    }
}
