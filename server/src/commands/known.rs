//! `saescope known`: for which known labels of storyworld dictionaries have features.

use anyhow::{Result, bail};
use api::{ConfigError, DictionaryInfo, Estimate, KnownFeatures, KnownLabel, Progress, Reading};
use clap::Args;
use engine::metrics::known::Options;
use std::{path::PathBuf, process::ExitCode, sync::Arc};

use super::{
    Global,
    report::Report,
    say::{note, say},
    table,
    which::Which,
    workspace,
};
use crate::known;

/// Measure for which known labels of storyworld dictionaries have features, and which of these labels the model uses
#[derive(Debug, Args)]
#[command(after_help = "Example:
  saescope known --dictionary 7,8,9 --csv known.csv

The stories are written for it (see saescope storyworld); the dictionaries' model should have been trained on such stories.
What is found takes its place among the dictionaries' metrics and is an axis of the Pareto page; a second run replaces it.")]
pub struct Known {
    /// The dictionaries' numbers, or all
    #[arg(long, value_name = "N,N,...|all", default_value = "all")]
    dictionary: Which,
    /// How many stories; features are chosen on the first half and scored on the second
    #[arg(long, value_name = "N", default_value_t = Options::default().n_stories)]
    stories: u64,
    /// The stories' seed, which should be that of no training text
    #[arg(long, value_name = "N", default_value_t = Options::default().seed)]
    seed: u64,
    /// Write a row per dictionary and label to this file
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

impl Known {
    /// Runs the command.
    pub fn run(self, global: &Global) -> Result<ExitCode> {
        if self.stories < 2 {
            let message = format!("found {}; expected at least 2", self.stories);
            return Err(ConfigError::new("stories", message).into());
        }
        let options = Options {
            seed: self.seed,
            n_stories: self.stories,
        };
        workspace::on(global, async |workspace| {
            let dictionaries = self.dictionary.of(&workspace.store).await?;
            let report = Arc::new(Report::new(format!("known features of {} dictionaries", dictionaries.len())));
            let shown = report.clone();
            let observe = move |stage: &'static str, done: u64, total: u64| {
                shown.show(&Progress {
                    stage: stage.into(),
                    done,
                    total,
                    unit: unit(stage).into(),
                    rate: 0.0,
                });
                true
            };
            let found = known::measure_and_keep(&workspace, dictionaries, options, Arc::new(observe)).await?;
            let Some(found) = found else { bail!("measuring was stopped") };
            if let Some(report) = Arc::into_inner(report) {
                report.end("done");
            }
            for (info, known) in &found {
                print(info, known)?;
            }
            if let Some(path) = &self.csv {
                table::write(path, csv(&found).as_bytes())?;
                note!(
                    "{} rows in '{}'",
                    found.iter().map(|(_, known)| known.labels.len()).sum::<usize>(),
                    path.display()
                );
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// What a stage counts.
fn unit(stage: &str) -> &'static str {
    match stage {
        "fitting probes" => "labels",
        "measuring dictionaries" => "dictionaries",
        _ => "stories",
    }
}

fn print(info: &DictionaryInfo, known: &KnownFeatures) -> Result<()> {
    let objective = info.config.objective;
    let scored = known.labels.iter().filter_map(|label| label.scores.as_ref());
    say!(
        "dictionary {} ({}, λ {}, seed {}) at {}: {} labels, {} scored, {} readable",
        info.id,
        objective.kind(),
        objective.sparsity(),
        info.config.seed,
        info.at,
        known.labels.len(),
        scored.clone().count(),
        scored.filter(|scores| scores.is_readable()).count(),
    )?;
    for row in &known.summary {
        let Estimate { value, low, high } = row.value;
        say!("  {}: {value:.4} ({low:.4} to {high:.4}; {} labels)", row.name, row.n_labels)?;
    }
    Ok(())
}

/// The columns of a label's row; what was not measured is empty.
const HEADER: &str = "dictionary,objective,coefficient,seed,at,label,kind,parent,n_yes,n_no,readable,used,\
                      ce_increase,ce_increase_low,ce_increase_high,floor,ceiling,ceiling_low,ceiling_high,ceiling_auc,\
                      feature,threshold,says_yes,accuracy_1,accuracy_1_low,accuracy_1_high,auc_1,auc_1_low,auc_1_high,\
                      accuracy_2,accuracy_2_low,accuracy_2_high,auc_2,accuracy_5,accuracy_5_low,accuracy_5_high,auc_5,\
                      covered,covered_by_five,n_main,main,absorption,absorption_low,absorption_high";

/// A row per dictionary and label, under a header.
fn csv(found: &[(DictionaryInfo, KnownFeatures)]) -> String {
    let mut text = format!("{HEADER}\n");
    for (info, known) in found {
        for label in &known.labels {
            text += &row(info, label).join(",");
            text.push('\n');
        }
    }
    text
}

fn row(info: &DictionaryInfo, label: &KnownLabel) -> Vec<String> {
    let objective = info.config.objective;
    let mut row = vec![
        info.id.to_string(),
        objective.kind().to_string(),
        objective.sparsity().to_string(),
        info.config.seed.to_string(),
        info.at.to_string(),
        label.name.clone(),
        label.kind.name().into(),
        label.parent.clone().unwrap_or_default(),
        label.n_yes.to_string(),
        label.n_no.to_string(),
    ];
    let Some(scores) = &label.scores else {
        row.resize(HEADER.split(',').count(), String::new());
        return row;
    };
    let whole = |estimate: Estimate| [estimate.value, estimate.low, estimate.high].map(|value| value.to_string());
    let maybe = |estimate: Option<Estimate>| estimate.map(whole).unwrap_or_default();
    let short = |reading: Reading| [&whole(reading.accuracy)[..], &[reading.auc.value.to_string()]].concat();
    row.push(scores.is_readable().to_string());
    row.push(scores.causal.map(|causal| causal.is_used.to_string()).unwrap_or_default());
    row.extend(maybe(scores.causal.map(|causal| causal.ce_increase)));
    row.push(scores.floor.to_string());
    row.extend(short(scores.ceiling));
    row.extend([
        scores.best.feature.to_string(),
        scores.best.threshold.to_string(),
        scores.best.says_yes.to_string(),
    ]);
    row.extend(whole(scores.one.accuracy));
    row.extend(whole(scores.one.auc));
    row.extend(short(scores.two));
    row.extend(short(scores.five));
    row.extend([scores.is_covered.to_string(), scores.is_covered_by_five.to_string()]);
    row.push(scores.main.len().to_string());
    let main: Vec<String> = scores.main.iter().map(u32::to_string).collect();
    row.push(main.join(" "));
    row.extend(maybe(scores.absorption));
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_row_has_every_column() {
        let info: DictionaryInfo = serde_json::from_value(json!({
            "id": 7, "job": 1, "sweep": 1, "model": "m", "corpus": "c", "at": "blocks.2.hook_resid_pre", "residual": "raw",
            "input_scale": "none", "tokens": 1228800, "n_passes": 2.6, "checksum": "", "created": 0, "metrics": [],
            "config": {"kind": "relu", "d_sae": 1024, "lr": 0.001, "seed": 3, "objective": {"name": "local", "sparsity": 0.3}},
        }))
        .unwrap();
        let estimate = json!({"value": 0.75, "low": 0.5, "high": 1.0});
        let reading = json!({"accuracy": estimate, "auc": estimate});
        let known: KnownFeatures = serde_json::from_value(json!({
            "storyworld": 1, "seed": 5, "n_stories": 600, "n_tokens": 40000, "causal_floor": 0.01, "summary": [],
            "labels": [
                {"name": "quoted", "kind": "context", "n_yes": 100, "n_no": 900, "scores": {
                    "floor": 0.5, "ceiling": reading, "causal": {"ce_increase": estimate, "is_used": true},
                    "best": {"feature": 3, "threshold": 0.0, "says_yes": true}, "one": reading, "two": reading, "five": reading,
                    "is_covered": true, "is_covered_by_five": true, "main": [3, 9], "absorption": estimate}},
                {"name": "quoted=nested", "kind": "context", "parent": "quoted", "n_yes": 3, "n_no": 997},
            ],
        }))
        .unwrap();
        let text = csv(&[(info, known)]);
        let columns: Vec<usize> = text.lines().map(|line| line.split(',').count()).collect();
        assert_eq!(columns, [HEADER.split(',').count(); 3]);
        assert!(!HEADER.contains(' '));
        let row = text.lines().nth(1).unwrap();
        assert!(
            row.starts_with("7,local,0.3,3,blocks.2.hook_resid_pre,quoted,context,,100,900,true,true,0.75,0.5,1,0.5,"),
            "{row}"
        );
        assert!(row.ends_with(",true,true,2,3 9,0.75,0.5,1"), "{row}");
    }
}
