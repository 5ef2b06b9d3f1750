//! `saescope evaluate`: the metrics of a dictionary, computed again.

use anyhow::{Context as _, Result};
use api::{ConfigError, Density, DictionaryId, DictionaryInfo, EvaluationSplit, Interval, Measurement, TrainConfig, metric};
use clap::Args;
use engine::metrics::Evaluated;
use std::{process::ExitCode, sync::Arc};

use super::{
    Global,
    report::Report,
    say::{note, say},
    workspace,
};
use crate::{
    on_text::{common_config, on_text},
    workspace::Workspace,
};

/// Measure a dictionary again on the text of its run's final metrics, or on another, and compare with what is stored
#[derive(Debug, Args)]
#[command(after_help = "Example:
  saescope evaluate --dictionary 7 --tokens 200000")]
pub struct Evaluate {
    /// The dictionary's number
    #[arg(long, value_name = "N")]
    dictionary: i64,
    /// The text: held_out or validation [default: that of its run's final metrics]
    #[arg(long, value_name = "TEXT")]
    evaluate_on: Option<EvaluationSplit>,
    /// Tokens of it [default: as many as its run measured on]
    #[arg(long, value_name = "N")]
    tokens: Option<usize>,
    /// Put what was measured in the place of what is stored
    #[arg(long)]
    store: bool,
}

impl Evaluate {
    /// Runs the command.
    pub fn run(self, global: &Global) -> Result<ExitCode> {
        workspace::on(global, async |workspace| {
            let id = DictionaryId(self.dictionary);
            let info = workspace
                .store
                .dictionary(id)
                .await?
                .with_context(|| format!("there is no dictionary {id}"))?;
            let mut config = common_config(&workspace.store, std::slice::from_ref(&info)).await?;
            config.evaluation.split = self.evaluate_on.unwrap_or(info.evaluated_on);
            if self.store && config.evaluation.split != info.evaluated_on {
                let message = format!(
                    "dictionary {id} was measured on {}, and figures on {} cannot take their place: leave --store out",
                    info.evaluated_on.text(),
                    config.evaluation.split.text()
                );
                return Err(ConfigError::new("store", message).into());
            }
            if let Some(tokens) = self.tokens {
                config.evaluation.n_tokens = tokens;
            }
            config.validate()?;
            let split = config.evaluation.split;
            let measured = measure(&workspace, &info, config).await?;
            note!("dictionary {id}, measured on {}", split.text());
            for measurement in &measured.metrics {
                let stored = stored(&info, measurement).filter(|_| split == info.evaluated_on);
                say!("{}", line(measurement, stored))?;
            }
            if self.store {
                let density = Density::new(&measured.firings, measured.n_tokens);
                let metrics = with_the_runs_own(&info, measured.metrics);
                workspace.store.set_metrics(id, &metrics, Some(&density)).await?;
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

async fn measure(workspace: &Arc<Workspace>, info: &DictionaryInfo, config: TrainConfig) -> Result<Evaluated> {
    let report = Report::new("evaluating".into());
    report.show(&api::Progress {
        stage: format!("measuring on {}", config.evaluation.split.text()),
        ..Default::default()
    });
    let measured = on_text(workspace, std::slice::from_ref(info), config, |on| {
        let measured = engine::train::evaluate(on.files, on.backend, on.tokens, on.config, &mut |_, _| true)?;
        measured.into_iter().next().context("nothing was measured")
    })
    .await?;
    report.end("done");
    Ok(measured)
}

/// The value that is stored for the same metric, place and tokens.
fn stored(info: &DictionaryInfo, measured: &Measurement) -> Option<f64> {
    let same = |m: &&Measurement| m.name == measured.name && m.at == measured.at && m.tokens == measured.tokens;
    info.metrics.iter().find(same).map(|m| m.value)
}

/// What only the run itself can measure (its gradients, its cost) stays as it is.
fn with_the_runs_own(info: &DictionaryInfo, mut measured: Vec<Measurement>) -> Vec<Measurement> {
    let is_new = |m: &&Measurement| measured.iter().any(|n| n.name == m.name);
    let own: Vec<_> = info.metrics.iter().filter(|m| !is_new(m)).cloned().collect();
    measured.extend(own);
    measured
}

/// "ce_increase  0.1234 nats per token (stored 0.1234, differs by 0)  CE with the dictionary − CE of the model".
fn line(measured: &Measurement, stored: Option<f64>) -> String {
    let (unit, definition) = metric(&measured.name).map_or(("", ""), |m| (m.unit, m.definition));
    let mut name = measured.name.clone();
    if let Some(at) = measured.at {
        name += &format!(" at {at}");
    }
    match measured.tokens {
        api::TokenSet::Ordinary => {}
        api::TokenSet::PositionZero => name += " at position 0",
        api::TokenSet::Special => name += " on special tokens",
    }
    let compared = stored.map_or_else(
        || "not stored".into(),
        |stored| format!("stored {stored:.6}, differs by {:.1e}", measured.value - stored),
    );
    let interval = measured.interval.map_or_else(String::new, |interval| {
        let Interval { low, high, over, n } = interval;
        format!(" [{low:.6}, {high:.6}] over {n} {over}")
    });
    let value = format!("{:.6} {unit}", measured.value);
    format!(
        "{name}: {}{interval} ({compared}; {} tokens): {definition}",
        value.trim_end(),
        measured.n_tokens
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_value_unit_difference_and_definition() {
        let measured = Measurement {
            name: "ce_increase".into(),
            version: 1,
            at: None,
            tokens: api::TokenSet::Ordinary,
            n_tokens: 500,
            value: 0.25,
            interval: None,
        };
        let text = line(&measured, Some(0.125));
        for part in [
            "ce_increase: 0.250000 nats per token",
            "differs by 1.2e-1",
            "500 tokens",
            "CE of the model",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(line(&measured, None).contains("not stored"));
    }
}
