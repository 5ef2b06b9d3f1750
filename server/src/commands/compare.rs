//! `saescope compare`: how alike two dictionaries are.

use anyhow::{Result, bail};
use api::ConfigError;
use clap::Args;
use engine::experiment::similarity::{Directions, Similarity, similarity};
use std::process::ExitCode;

use super::{Global, say::say, which::Which, workspace};
use crate::on_text::{common_config, on_text};

/// Compare the decoders of two dictionaries at one hook point: mean max cosine similarity, and its Hungarian form
#[derive(Debug, Args)]
#[command(after_help = "Example:
  saescope compare --dictionary 7,8

Only features that fire on the text of the stored metrics count. Beside each figure stands that of as many random directions in the place
of the second dictionary's features.")]
pub struct Compare {
    /// The two dictionaries' numbers
    #[arg(long, value_name = "N,N")]
    dictionary: Which,
}

impl Compare {
    /// Runs the command.
    pub fn run(self, global: &Global) -> Result<ExitCode> {
        workspace::on(global, async |workspace| {
            let infos = self.dictionary.of(&workspace.store).await?;
            let [a, b] = &infos[..] else {
                let message = format!("found {}; expected two dictionaries, such as 7,8", infos.len());
                return Err(ConfigError::new("dictionary", message).into());
            };
            let config = common_config(&workspace, &infos).await?;
            let n_features = infos.iter().map(|info| info.config.d_sae);
            let n_features: Vec<usize> = n_features.collect();
            let (n_alive, found, null) = on_text(&workspace, &infos, config, |on| {
                let fired = engine::train::firings(on.files, on.backend, on.tokens, on.config, &mut |_, _| true)?;
                let alive: Vec<Directions> = fired
                    .iter()
                    .map(|(dictionary, firings)| {
                        let alive: Vec<bool> = firings.iter().map(|n| *n > 0).collect();
                        Directions::alive(dictionary.directions(), dictionary.d_out(), &alive)
                    })
                    .collect();
                let [a, b] = &alive[..] else { bail!("measuring was stopped") };
                let random = Directions::random(b.len(), fired[1].0.d_out());
                Ok(([a.len(), b.len()], similarity(a, b), similarity(a, &random)))
            })
            .await?;
            let (Some(found), Some(null)) = (found, null) else {
                bail!("a dictionary without a feature that fires has nothing to compare");
            };
            for (info, (alive, of)) in infos.iter().zip(n_alive.iter().zip(n_features)) {
                say!("dictionary {}: {alive} of {of} features fire", info.id)?;
            }
            let line =
                |name: &str, of: fn(&Similarity) -> f64| say!("{name}: {:.4} (random directions {:.4})", of(&found), of(&null));
            line(&format!("MMCS, {} to {}", a.id, b.id), |s| s.mmcs)?;
            line(&format!("MMCS, {} to {}", b.id, a.id), |s| s.mmcs_back)?;
            line("Hungarian, mean cosine of pairs", |s| s.hungarian)?;
            line("Hungarian, share of pairs above 0.9", |s| s.above[0])?;
            line("Hungarian, share of pairs above 0.7", |s| s.above[1])?;
            Ok(ExitCode::SUCCESS)
        })
    }
}
