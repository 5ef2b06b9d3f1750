//! `saescope plot`: the Pareto chart as a file.

use anyhow::Result;
use api::{ConfigError, EvaluationSplit, HookPoint, ModelId, ParetoQuery, SeriesKey, SeriesSet};
use clap::Args;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use super::{Global, say::say, table, workspace};
use crate::{pareto, render};

/// Draw the Pareto chart of the dictionaries at a hook point as SVG or PNG, or write its points as CSV
#[derive(Debug, Args)]
#[command(after_help = "Example:
  saescope plot --at blocks.2.hook_resid_pre --out pareto.svg")]
pub struct Plot {
    /// The file to write; its ending says what: .svg, .png or .csv
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The hook point [default: that of the newest dictionary]
    #[arg(long, value_name = "HOOK POINT")]
    at: Option<HookPoint>,
    /// The model's name in the registry [default: that of the newest dictionary]
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Only the dictionaries of this sweep
    #[arg(long, value_name = "JOB")]
    sweep: Option<i64>,
    /// Only the dictionaries measured on this text: held_out or validation [default: held_out]
    #[arg(long, value_name = "TEXT")]
    evaluated_on: Option<EvaluationSplit>,
    /// The metric on the horizontal axis [default: l0]
    #[arg(long, value_name = "METRIC")]
    x: Option<String>,
    /// The metric on the vertical axis [default: ce_increase]
    #[arg(long, value_name = "METRIC")]
    y: Option<String>,
    /// Whether the horizontal axis is logarithmic [default: what suits the metric]
    #[arg(long, value_name = "BOOL")]
    log_x: Option<bool>,
    /// Whether the vertical axis is logarithmic [default: what suits the metric]
    #[arg(long, value_name = "BOOL")]
    log_y: Option<bool>,
    /// Series to leave out, such as gated.local,jumprelu.local.pruned,ica
    #[arg(long, value_name = "SERIES,...")]
    hide: Option<SeriesSet>,
    /// Only these series
    #[arg(long, value_name = "SERIES,...")]
    only: Option<SeriesSet>,
}

enum Format {
    Svg,
    Png,
    Csv,
}

impl Plot {
    /// Runs the command.
    pub fn run(self, global: &Global) -> Result<ExitCode> {
        let format = format(&self.out)?;
        let query = ParetoQuery {
            model: self.model.map(ModelId),
            at: self.at,
            sweep: self.sweep,
            evaluated_on: self.evaluated_on,
            x: self.x,
            y: self.y,
            log_x: self.log_x,
            log_y: self.log_y,
            hide: self.hide,
            only: self.only,
            against: None,
        };
        workspace::on(global, async |workspace| {
            let all = workspace.store.dictionaries().await?;
            let n_all = all.len();
            let view = pareto::view(all, query)?;
            if view.dictionaries.is_empty() {
                if !view.series.is_empty() {
                    let there: Vec<_> = view.series.iter().map(|one| SeriesKey(one.series).to_string()).collect();
                    anyhow::bail!("every series is left out; there are {}", there.join(", "));
                }
                let left_out = match view.query.evaluated_on {
                    Some(evaluated_on) if n_all > 0 => pareto::left_out(evaluated_on, n_all),
                    _ => String::new(),
                };
                anyhow::bail!(
                    "there is no dictionary in '{}' to plot; train some with saescope sweep{left_out}",
                    global.data.display()
                );
            }
            let bytes = match format {
                Format::Svg => pareto::svg(&view).into_bytes(),
                Format::Png => render::png(&pareto::svg(&view))?,
                Format::Csv => pareto::table(&view).into_bytes(),
            };
            table::write(&self.out, &bytes)?;
            say!("{} dictionaries in {}", view.dictionaries.len(), self.out.display())?;
            Ok(ExitCode::SUCCESS)
        })
    }
}

fn format(out: &Path) -> Result<Format, ConfigError> {
    match out
        .extension()
        .and_then(|ending| ending.to_str())
        .map(str::to_ascii_lowercase)
        .as_deref()
    {
        Some("svg") => Ok(Format::Svg),
        Some("png") => Ok(Format::Png),
        Some("csv") => Ok(Format::Csv),
        _ => Err(ConfigError::new(
            "out",
            format!("found '{}'; expected a name that ends in .svg, .png or .csv", out.display()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_says_the_format() {
        assert!(matches!(format(Path::new("a.SVG")), Ok(Format::Svg)));
        assert!(matches!(format(Path::new("a.b.png")), Ok(Format::Png)));
        let message = format(Path::new("pareto.pdf")).err().unwrap().to_string();
        assert!(message.contains("'pareto.pdf'") && message.contains(".svg"), "{message}");
    }
}
