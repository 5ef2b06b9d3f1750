//! `saescope contrast`: one group of dictionaries against another at equal L0, or at an equal value of any metric.

use anyhow::{Context as _, Result};
use api::{Against, ConfigError, DictionaryInfo, MetricDefinition, metric};
use clap::Args;
use engine::experiment::pareto;
use std::process::ExitCode;

use super::{Global, say::say, which::Which, workspace};
use crate::pareto::run;

/// Compare one group of dictionaries with another at equal L0: how large is the one's CE increase in units of the other's
///
/// Curves are joined seed by seed and compared over the range that all of them share (docs/METHODS.md, Pareto summary).
#[derive(Debug, Args)]
#[command(after_help = "Example:
  saescope contrast --dictionary 10,11,12,13,14,15 --against 1,2,3,4,5,6")]
pub struct Contrast {
    /// Numbers of the dictionaries, of several sparsities
    #[arg(long, value_name = "N,N,...")]
    dictionary: Which,
    /// Numbers of those they are compared with
    #[arg(long, value_name = "N,N,...")]
    against: Which,
    /// The metric that is held equal
    #[arg(long, value_name = "METRIC", default_value = "l0")]
    x: String,
    /// The metric that is compared
    #[arg(long, value_name = "METRIC", default_value = "ce_increase")]
    y: String,
}

impl Contrast {
    /// Runs the command.
    pub fn run(self, global: &Global) -> Result<ExitCode> {
        let (x, y) = (definition("x", &self.x)?, definition("y", &self.y)?);
        workspace::on(global, async |workspace| {
            let own = self.dictionary.of(&workspace.store).await?;
            let reference = self.against.of(&workspace.store).await?;
            let places = own.iter().chain(&reference).map(|d| (&d.model, d.evaluated_on));
            let first = places.clone().next().context("no dictionary is named")?;
            if places.clone().any(|place| place != first) {
                let message = "found dictionaries of several models, or measured on different texts; they have no common scale";
                return Err(ConfigError::new("dictionary", message).into());
            }
            let runs = |of: &[DictionaryInfo]| of.iter().map(|d| run(d, x, y)).collect::<Vec<_>>();
            let found = pareto::at_equal(&runs(&own), &runs(&reference)).with_context(|| {
                format!(
                    "the two groups share no {}: their ranges must overlap, or one group's only value lie within the other's range",
                    x.name
                )
            })?;
            let what = match found.against {
                Against::Ratio => "times",
                Against::Difference => "more than",
            };
            let interval = found
                .interval
                .map_or_else(String::new, |(low, high)| format!(" [{low:.4}, {high:.4}]"));
            say!(
                "{} at equal {} ({:.4} to {:.4}): {:.4}{interval} {what} that of the other group, {} seeds",
                y.name,
                x.name,
                found.range.0,
                found.range.1,
                found.value,
                found.n_seeds
            )?;
            Ok(ExitCode::SUCCESS)
        })
    }
}

fn definition(field: &str, name: &str) -> Result<&'static MetricDefinition, ConfigError> {
    metric(name).ok_or_else(|| ConfigError::new(field, format!("found '{name}'; expected a metric, l0 or ce_increase say")))
}
