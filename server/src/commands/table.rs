//! What the commands write for other programs: CSV, a row per dictionary.

use anyhow::{Context as _, Result};
use api::DictionaryInfo;
use std::path::Path;

/// The columns that scripts rely on come first.
const HEADER: &str = "objective,coefficient,seed,l0,alive,ce_model,ce_spliced,ce_increase,kl,explained_variance,n_tokens,\
                      lr,kl_coefficient,ds_coefficient,dictionary,evaluated_on,kind,k";

/// The metrics among the columns, in their order.
const METRICS: [&str; 7] = [
    "l0",
    "alive",
    "ce_model",
    "ce_spliced",
    "ce_increase",
    "kl",
    "explained_variance",
];

/// A row per dictionary, under a header. `n_tokens` is the number of tokens behind the metrics, of the
/// text that `evaluated_on` names; what was not measured
/// is empty.
pub fn csv(dictionaries: &[DictionaryInfo]) -> String {
    let mut text = format!("{HEADER}\n");
    for dictionary in dictionaries {
        let config = &dictionary.config;
        let objective = config.objective;
        let n_tokens = dictionary
            .metrics
            .iter()
            .find(|m| m.name == "l0" && m.at.is_none() && m.tokens == api::TokenSet::Ordinary);
        let mut row = vec![
            objective.kind().to_string(),
            objective.sparsity().to_string(),
            config.seed.to_string(),
        ];
        row.extend(METRICS.map(|name| dictionary.metric(name).map(|value| value.to_string()).unwrap_or_default()));
        row.push(n_tokens.map(|m| m.n_tokens.to_string()).unwrap_or_default());
        row.extend([config.lr, objective.kl(), objective.downstream()].map(|value| value.to_string()));
        row.extend([dictionary.id.to_string(), dictionary.evaluated_on.to_string()]);
        row.extend([
            config.kind.name().to_string(),
            config.kind.k().map(|k| k.to_string()).unwrap_or_default(),
        ]);
        text += &row.join(",");
        text.push('\n');
    }
    text
}

/// Writes `bytes` to `path`, whole or not at all.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write as _;
    store::write_atomic(path, |file| file.write_all(bytes)).with_context(|| format!("cannot write '{}'", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_columns_are_those_that_scripts_rely_on() {
        let metric = |name: &str, value: f64| json!({"name": name, "version": 1, "n_tokens": 65000, "value": value});
        let dictionary: DictionaryInfo = serde_json::from_value(json!({
            "id": 7, "evaluated_on": "validation", "job": 1, "sweep": 1, "model": "m", "corpus": "c", "at": "blocks.2.hook_resid_pre", "residual": "raw",
            "input_scale": "none", "tokens": 1228800, "n_passes": 2.6, "checksum": "", "created": 0,
            "config": {"kind": "relu", "d_sae": 1024, "lr": 0.001, "seed": 3,
                       "objective": {"name": "e2e+ds", "sparsity": 0.3, "kl": 0.5, "downstream": 2.5}},
            "metrics": [metric("l0", 12.5), metric("alive", 900.0), metric("ce_model", 1.5), metric("ce_spliced", 1.75),
                        metric("ce_increase", 0.25), metric("kl", 0.2)]
        }))
        .unwrap();
        let text = csv(&[dictionary]);
        let (header, row) = text.trim_end().split_once('\n').unwrap();
        assert!(
            header.starts_with(
                "objective,coefficient,seed,l0,alive,ce_model,ce_spliced,ce_increase,kl,explained_variance,n_tokens,"
            )
        );
        assert_eq!(
            row,
            "e2e+ds,0.3,3,12.5,900,1.5,1.75,0.25,0.2,,65000,0.001,0.5,2.5,7,validation,relu,"
        );
        assert_eq!(header.split(',').count(), row.split(',').count());
    }
}
