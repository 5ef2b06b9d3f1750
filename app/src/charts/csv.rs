//! Dictionaries as a table for other programs: comma-separated values, fields quoted after RFC 4180, lines that end in LF as the shell's
//! tools have them. The page's file and what the commands write are this one.

use api::{DictionaryInfo, METRICS, MetricDefinition, metric};

/// What stands first, and stays there for scripts that count columns; three metrics under the names that they had then.
const FIRST: [&str; 18] = [
    "objective",
    "coefficient",
    "seed",
    "l0",
    "alive",
    "ce_model",
    "ce_spliced",
    "ce_increase",
    "kl",
    "explained_variance",
    "n_tokens",
    "lr",
    "kl_coefficient",
    "ds_coefficient",
    "dictionary",
    "evaluated_on",
    "kind",
    "k",
];

/// What else a dictionary is.
const MORE: [&str; 8] = ["making", "d_sae", "model", "corpus", "at", "run", "sweep", "trained_tokens"];

/// What a metric's column is followed by: the ends of its 95 % interval, the tokens behind it, the version of its definition.
const OF_METRIC: [&str; 4] = ["low", "high", "n_tokens", "version"];

/// A row per dictionary under a header. First the columns of `FIRST`, of which `n_tokens` is the number of tokens behind `l0`, of the text
/// that `evaluated_on` names; then those of `MORE`; then, in the order of [`METRICS`], every metric of the whole dictionary over the ordinary
/// tokens that one of them has: NAME (where it has not come yet), NAME_low, NAME_high, NAME_n_tokens, NAME_version. Last the commands:
/// `trained_by` made it, `measured_by` computes its metrics again. What there is not is empty. Numbers are written in full, so that a reader
/// gets the same double back.
pub fn csv(dictionaries: &[DictionaryInfo]) -> String {
    let is_there = |metric: &&MetricDefinition| dictionaries.iter().any(|d| d.measurement(metric.name).is_some());
    let metrics: Vec<&MetricDefinition> = METRICS.iter().filter(is_there).collect();
    let is_new = |metric: &MetricDefinition| !FIRST.contains(&metric.name);
    let mut out = String::new();
    let mut head: Vec<String> = FIRST.into_iter().chain(MORE).map(String::from).collect();
    for metric in &metrics {
        head.extend(is_new(metric).then(|| metric.name.to_string()));
        head.extend(OF_METRIC.map(|of| format!("{}_{of}", metric.name)));
    }
    head.extend(["trained_by", "measured_by"].map(String::from));
    push_record(&mut out, head.into_iter());
    for d in dictionaries {
        let mut row: Vec<String> = FIRST.map(|column| first(d, column)).into();
        row.extend(more(d));
        for metric in &metrics {
            let found = d.measurement(metric.name);
            let text = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
            row.extend(is_new(metric).then(|| text(found.map(|m| m.value))));
            let interval = found.and_then(|m| m.interval);
            row.extend([text(interval.map(|i| i.low)), text(interval.map(|i| i.high))]);
            row.push(found.map(|m| m.n_tokens.to_string()).unwrap_or_default());
            row.push(found.map(|m| m.version.to_string()).unwrap_or_default());
        }
        row.extend([d.command.clone(), d.measuring()]);
        push_record(&mut out, row.into_iter());
    }
    out
}

fn first(d: &DictionaryInfo, column: &str) -> String {
    let (c, objective) = (&d.config, d.config.objective);
    match column {
        "objective" => objective.kind().to_string(),
        "coefficient" => objective.sparsity().to_string(),
        "seed" => c.seed.to_string(),
        "n_tokens" => d.measurement("l0").map(|m| m.n_tokens.to_string()).unwrap_or_default(),
        "lr" => c.lr.to_string(),
        "kl_coefficient" => objective.kl().to_string(),
        "ds_coefficient" => objective.downstream().to_string(),
        "dictionary" => d.id.to_string(),
        "evaluated_on" => d.evaluated_on.to_string(),
        "kind" => c.kind.name().to_string(),
        "k" => c.kind.k().map(|k| k.to_string()).unwrap_or_default(),
        name => metric(name)
            .and_then(|metric| d.metric(metric.name))
            .map(|value| value.to_string())
            .unwrap_or_default(),
    }
}

fn more(d: &DictionaryInfo) -> [String; MORE.len()] {
    [
        d.config.origin.making().to_string(),
        d.config.d_sae.to_string(),
        d.model.to_string(),
        d.corpus.to_string(),
        d.at.to_string(),
        d.job.to_string(),
        d.sweep.to_string(),
        d.tokens.to_string(),
    ]
}

/// Appends a record, its fields quoted where they must be.
pub fn push_record(out: &mut String, fields: impl Iterator<Item = String>) {
    for (i, field) in fields.enumerate() {
        if i > 0 {
            out.push(',');
        }
        if field.contains([',', '"', '\r', '\n']) {
            out.push('"');
            out.push_str(&field.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(&field);
        }
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        let mut out = String::new();
        push_record(&mut out, ["a", "b,c", "say \"x\"", ""].into_iter().map(String::from));
        assert_eq!(out, "a,\"b,c\",\"say \"\"x\"\"\",\n");
    }

    #[test]
    fn the_columns_that_scripts_rely_on_come_first_and_the_commands_last() {
        let metric = |name: &str, value: f64| json!({"name": name, "version": 1, "n_tokens": 65000, "value": value});
        let mut sure = metric("mse", 0.5);
        sure["version"] = 2.into();
        sure["interval"] = json!({"low": 0.25, "high": 0.75, "over": "documents", "n": 10});
        let dictionary: DictionaryInfo = serde_json::from_value(json!({
            "id": 7, "evaluated_on": "validation", "job": 1, "sweep": 1, "model": "m", "corpus": "c", "at": "blocks.2.hook_resid_pre", "residual": "raw",
            "input_scale": "none", "tokens": 1228800, "n_passes": 2.6, "checksum": "", "created": 0,
            "config": {"kind": "relu", "d_sae": 1024, "lr": 0.001, "seed": 3,
                       "objective": {"name": "e2e+ds", "sparsity": 0.3, "kl": 0.5, "downstream": 2.5}},
            "metrics": [metric("l0", 12.5), metric("alive", 900.0), metric("ce_loss_without_sae", 1.5), metric("ce_loss_with_sae", 1.75),
                        metric("ce_increase", 0.25), metric("kl_div_with_sae", 0.2), sure],
            "command": "saescope sweep --seed 0,1"
        }))
        .unwrap();
        let text = csv(&[dictionary]);
        let (header, row) = text.trim_end().split_once('\n').unwrap();
        assert!(
            header.starts_with(
                "objective,coefficient,seed,l0,alive,ce_model,ce_spliced,ce_increase,kl,explained_variance,n_tokens,lr,kl_coefficient,\
                 ds_coefficient,dictionary,evaluated_on,kind,k,making,d_sae,"
            ),
            "{header}"
        );
        assert!(
            row.starts_with("e2e+ds,0.3,3,12.5,900,1.5,1.75,0.25,0.2,,65000,0.001,0.5,2.5,7,validation,relu,,fresh,1024,m,c,"),
            "{row}"
        );
        assert!(
            row.ends_with(",\"saescope sweep --seed 0,1\",saescope evaluate --dictionary 7"),
            "{row}"
        );
        // before the commands a comma is a column's end
        let cells: Vec<_> = header.split(',').zip(row.split(',')).collect();
        for cell in [
            ("mse", "0.5"),
            ("mse_low", "0.25"),
            ("mse_high", "0.75"),
            ("mse_n_tokens", "65000"),
            ("mse_version", "2"),
            ("l0_low", ""),
            ("ce_loss_with_sae", "1.75"),
            ("kl_div_with_sae", "0.2"),
            ("l0_version", "1"),
        ] {
            assert!(cells.contains(&cell), "{cell:?} in {cells:?}");
        }
        let names: std::collections::BTreeSet<_> = header.split(',').collect();
        assert_eq!(names.len(), header.split(',').count(), "a column comes twice");
        assert_eq!(header.split(',').count() + 1, row.split(',').count());
        assert!(header.ends_with(",trained_by,measured_by"));
    }
}
