//! `saescope derive`: trained dictionaries with another encoder, pruned, rescaled, folded; each a dictionary like any other.

use anyhow::Result;
use api::{DeriveRequest, PostHoc};
use clap::Args;
use std::{path::PathBuf, process::ExitCode};

use super::{Global, runs, which::Which, workspace};
use crate::{jobs::request, room};

/// Change trained dictionaries after their training, and measure what comes of it
///
/// Each way gives a new dictionary for each of those named, in the registry and on the Pareto page beside the one that it comes
/// from, measured on the same text.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  saescope derive --dictionary 7,8 --prune 0.9,0.75,0.5
  saescope derive --dictionary 7 --rescale-shift --tokens 500000
  saescope derive --dictionary 9 --threshold --pursuit 8,16")]
pub struct Derive {
    /// The dictionaries' numbers, or all
    #[arg(long, value_name = "N,N,...|all")]
    dictionary: Which,
    /// Shares of the firings to keep: activations below one threshold, set on validation text, become 0
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    prune: Vec<f64>,
    /// Gradient pursuit as the encoder, with at most this many features per token
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pursuit: Vec<usize>,
    /// A threshold in place of the k largest, at the same L0 on validation text (topk)
    #[arg(long)]
    threshold: bool,
    /// A scale and a shift for each feature's activation, trained with all else held (relu)
    #[arg(long)]
    rescale_shift: bool,
    /// Decoder norms and the input's scale inside the weights; the output stays
    #[arg(long)]
    fold: bool,
    /// Tokens to train scales and shifts on [default: 500,000]
    #[arg(long, value_name = "N")]
    tokens: Option<u64>,
    /// Peak learning rate of scales and shifts [default: 0.001]
    #[arg(long, value_name = "NUMBER")]
    lr: Option<f64>,
    /// Write a row per new dictionary to this file
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Make them anew, also where they are in the registry
    #[arg(long)]
    fresh: bool,
}

impl Derive {
    /// Runs the command.
    pub fn run(self, global: &Global) -> Result<ExitCode> {
        runs::check_csv(self.csv.as_deref())?;
        workspace::on(global, async |workspace| {
            let from = self.dictionary.of(&workspace.store).await?;
            let request = DeriveRequest {
                from: from.iter().map(|info| info.id).collect(),
                by: self.ways(),
                tokens: self.tokens,
                lr: self.lr,
            };
            let resolved = request::derive(&workspace.store, &request).await?;
            let asked: Vec<_> = resolved.iter().map(|(run, _)| run).collect();
            room::check_asked(&workspace, &asked).await?;
            let ids = runs::jobs(&workspace, resolved, self.fresh).await?;
            runs::to_the_end(&workspace, &ids, "saescope derive", self.csv.as_deref()).await
        })
    }

    fn ways(&self) -> Vec<PostHoc> {
        let mut ways: Vec<PostHoc> = self.prune.iter().map(|keep| PostHoc::Prune { keep: *keep }).collect();
        ways.extend(self.pursuit.iter().map(|k| PostHoc::Pursuit { k: *k }));
        let flags = [
            (self.threshold, PostHoc::Threshold),
            (self.rescale_shift, PostHoc::RescaleShift),
            (self.fold, PostHoc::Fold),
        ];
        ways.extend(flags.into_iter().filter(|(on, _)| *on).map(|(_, way)| way));
        ways
    }
}
