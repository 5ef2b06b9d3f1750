//! The Pareto page's table for other programs: comma-separated values after RFC 4180.

use api::{DictionaryInfo, METRICS, ParetoView};

/// A row per dictionary: id, objective, coefficient (λ), lr, seed, d_sae, kind, k (where the kind has one), then every metric of the whole dictionary over
/// the ordinary tokens, in the order of [`METRICS`]; empty where it was not measured. Last, for each metric that has a 95 % interval
/// somewhere, its ends as NAME_low and NAME_high. Lines end in CR LF.
pub fn pareto_csv(view: &ParetoView) -> String {
    let named = ["id", "objective", "coefficient", "lr", "seed", "d_sae", "kind", "k"];
    let interval = |d: &DictionaryInfo, name: &str| d.measurement(name).and_then(|m| m.interval);
    let sure: Vec<&str> = METRICS
        .iter()
        .map(|m| m.name)
        .filter(|name| view.dictionaries.iter().any(|d| interval(d, name).is_some()))
        .collect();
    let mut out = String::new();
    let ends = sure
        .iter()
        .flat_map(|name| ["low", "high"].map(|end| format!("{name}_{end}")));
    let head = named.into_iter().chain(METRICS.iter().map(|m| m.name)).map(String::from);
    push_record(&mut out, head.chain(ends));
    for d in &view.dictionaries {
        let c = &d.config;
        let of = [
            d.id.to_string(),
            c.objective.kind().to_string(),
            c.objective.sparsity().to_string(),
            c.lr.to_string(),
            c.seed.to_string(),
            c.d_sae.to_string(),
            c.kind.name().to_string(),
            c.kind.k().map(|k| k.to_string()).unwrap_or_default(),
        ];
        // numbers in full, so that a reader gets the same double back
        let metrics = METRICS
            .iter()
            .map(|m| d.metric(m.name).map(|v| v.to_string()).unwrap_or_default());
        let ends = sure.iter().flat_map(|name| match interval(d, name) {
            Some(interval) => [interval.low, interval.high].map(|end| end.to_string()),
            None => [String::new(), String::new()],
        });
        push_record(&mut out, of.into_iter().chain(metrics).chain(ends));
    }
    out
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
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    #[test]
    fn fields_are_quoted_where_they_must_be() {
        let mut out = String::new();
        super::push_record(&mut out, ["a", "b,c", "say \"x\"", ""].into_iter().map(String::from));
        assert_eq!(out, "a,\"b,c\",\"say \"\"x\"\"\",\r\n");
    }
}
