//! How much a request asks for, counted before anything is made of it: lists that are multiplied with each other may be short and
//! come to millions.

use crate::{ConfigError, DeriveRequest, FEATURES_PER_TOKEN, ObjectiveKind, PerObjective, SweepRequest};

/// Runs that one request may come to; each is a job.
pub const RUNS_PER_REQUEST: usize = 256;
/// Dictionaries that one request may come to, over all its runs.
pub const DICTIONARIES_PER_REQUEST: usize = 4096;
/// Dictionaries that one question may be about.
pub(crate) const DICTIONARIES_PER_QUESTION: usize = 1024;

/// A list of a request by the name of its field.
struct Factor {
    field: &'static str,
    n: usize,
}

impl SweepRequest {
    /// Refuses more runs or dictionaries than one request may come to. Nothing is expanded for it.
    ///
    /// # Errors
    /// The longest list, with what it comes to.
    pub fn check_count(&self) -> Result<(), ConfigError> {
        let n_seeds = self.seeds.len().max(1);
        if n_seeds > RUNS_PER_REQUEST {
            let message = format!(
                "found {n_seeds}, each of which is a run; expected {RUNS_PER_REQUEST} or fewer in one request: ask for the others in further ones"
            );
            return Err(ConfigError::new("seeds", message));
        }
        let per_run = self.n_dictionaries();
        let n = per_run.saturating_mul(n_seeds as u64);
        if n <= DICTIONARIES_PER_REQUEST as u64 {
            return Ok(());
        }
        let longest = |values: &Option<PerObjective>| {
            let of = |objective: &ObjectiveKind| {
                values
                    .as_ref()
                    .and_then(|values| values.of(*objective))
                    .map_or(0, <[f64]>::len)
            };
            ObjectiveKind::ALL.iter().map(of).max().unwrap_or(0)
        };
        let factors = [
            ("seeds", self.seeds.len()),
            ("objectives", self.objectives.len()),
            ("coefficient", longest(&self.coefficient)),
            ("lr", longest(&self.lr)),
            ("kl_coefficient", longest(&self.kl_coefficient)),
            ("target_l0", self.target_l0.len()),
            ("k", self.k.len()),
            ("from", self.from.len()),
        ]
        .map(|(field, n)| Factor { field, n });
        Err(too_many(&factors, n))
    }

    /// Dictionaries of each run, or more where the request is refused anyway.
    fn n_dictionaries(&self) -> u64 {
        let bases = match self.from.is_empty() {
            true => self.k.len(),
            false => self.from.len(),
        };
        let defaults = match self.asks_for_defaults() {
            true => FEATURES_PER_TOKEN.len(),
            false => 1,
        };
        let shared = [bases, self.target_l0.len(), defaults];
        let n_values =
            |values: &Option<PerObjective>, objective| values.as_ref().and_then(|v| v.of(objective)).map_or(1, <[f64]>::len);
        let of_objective = |objective: &ObjectiveKind| {
            let own = [
                n_values(&self.coefficient, *objective),
                n_values(&self.lr, *objective),
                match objective {
                    ObjectiveKind::E2e | ObjectiveKind::E2eDs => n_values(&self.kl_coefficient, *objective),
                    ObjectiveKind::Local | ObjectiveKind::KlMse => 1,
                },
            ];
            own.into_iter()
                .chain(shared)
                .fold(1_u64, |product, n| product.saturating_mul(n.max(1) as u64))
        };
        match self.objectives.is_empty() {
            // what is fitted needs to name none
            true => of_objective(&ObjectiveKind::Local),
            false => self
                .objectives
                .iter()
                .fold(0, |sum, objective| sum.saturating_add(of_objective(objective))),
        }
    }
}

impl DeriveRequest {
    /// Refuses more dictionaries than one request may come to.
    ///
    /// # Errors
    /// The longer list, with what it comes to.
    pub fn check_count(&self) -> Result<(), ConfigError> {
        let n = (self.from.len() as u64).saturating_mul(self.by.len() as u64);
        if n <= DICTIONARIES_PER_REQUEST as u64 {
            return Ok(());
        }
        let factors = [("from", self.from.len()), ("by", self.by.len())].map(|(field, n)| Factor { field, n });
        Err(too_many(&factors, n))
    }
}

/// Refuses `found` runs where that is more than one request may come to.
///
/// # Errors
/// More than [`RUNS_PER_REQUEST`].
pub(crate) fn check_runs(field: &str, found: usize) -> Result<(), ConfigError> {
    if found <= RUNS_PER_REQUEST {
        return Ok(());
    }
    let message =
        format!("found what comes to {found} runs; expected {RUNS_PER_REQUEST} or fewer in one request: ask for fewer at once");
    Err(ConfigError::new(field, message))
}

fn too_many(factors: &[Factor], n: u64) -> ConfigError {
    let lists: Vec<String> = factors
        .iter()
        .filter(|factor| factor.n > 1)
        .map(|factor| format!("{} {}", factor.n, factor.field))
        .collect();
    let longest = factors
        .iter()
        .max_by_key(|factor| factor.n)
        .map_or("seeds", |factor| factor.field);
    let message = format!(
        "found {}, which come to {n} dictionaries; expected {DICTIONARIES_PER_REQUEST} or fewer in one request: ask for the others in further ones",
        lists.join(" × ")
    );
    ConfigError::new(longest, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DictionaryId, PostHoc, ResolvedAgainst};
    use std::time::{Duration, Instant};

    const FACTS: ResolvedAgainst<'static> = ResolvedAgainst {
        width: 64,
        d_vocab: 512,
        max_n_ctx: 512,
        has_bos: true,
        parents: &[],
    };

    fn request(change: serde_json::Value) -> SweepRequest {
        let mut value = serde_json::json!({
            "model": "m", "corpus": "c", "at": "blocks.2.hook_resid_pre", "objectives": ["local", "e2e", "e2e+ds"],
            "coefficient": "0.1,0.3", "tokens": 100_000
        });
        value.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        serde_json::from_value(value).unwrap()
    }

    fn list(n: usize) -> String {
        let numbers: Vec<String> = (1..=n).map(|i| i.to_string()).collect();
        numbers.join(",")
    }

    #[test]
    fn what_is_counted_is_what_it_comes_to() {
        for (change, n) in [
            (serde_json::json!({}), 6),
            (serde_json::json!({"seeds": [1, 2, 3]}), 6),
            (
                serde_json::json!({"coefficient": "local=1;e2e=1,2,3;e2e+ds=1,2", "lr": "0.1,0.2"}),
                12,
            ),
            (serde_json::json!({"kl_coefficient": "1,2,3"}), 14),
            (
                serde_json::json!({"kind": "topk", "coefficient": null, "k": [1, 2, 3, 4]}),
                12,
            ),
            (serde_json::json!({"coefficient": null, "target_l0": [8, 16, 32]}), 9),
            (serde_json::json!({"coefficient": null}), 9),
            (serde_json::json!({"coefficient": null, "kind": "topk"}), 9),
            (
                serde_json::json!({"kind": "pca-topk", "coefficient": null, "objectives": [], "k": [1, 2, 3]}),
                3,
            ),
        ] {
            let request = request(change);
            assert_eq!(request.n_dictionaries(), n, "{request:?}");
            let resolved = request.resolve(FACTS).unwrap();
            assert_eq!(resolved.runs[0].dictionaries.len() as u64, n);
        }
    }

    #[test]
    fn too_much_is_refused_at_once_with_what_it_comes_to() {
        let seeds = |n: u64| (0..n).collect::<Vec<_>>();
        for (change, field, says) in [
            (serde_json::json!({"seeds": seeds(3000)}), "seeds", "found 3000"),
            (serde_json::json!({"seeds": seeds(20_000)}), "seeds", "256 or fewer"),
            (
                serde_json::json!({"seeds": seeds(200), "coefficient": list(20_000), "lr": list(10_000)}),
                "coefficient",
                "200 seeds × 3 objectives × 20000 coefficient × 10000 lr, which come to 120000000000 dictionaries",
            ),
            (
                serde_json::json!({"coefficient": null, "target_l0": seeds(2000), "k": seeds(9)}),
                "target_l0",
                "4096 or fewer",
            ),
            (serde_json::json!({"from": seeds(100_000)}), "from", "100000 from"),
            (
                serde_json::json!({"objectives": vec!["local"; 100_000]}),
                "objectives",
                "100000 objectives",
            ),
        ] {
            let request = request(change);
            let began = Instant::now();
            let error = request.resolve(FACTS).unwrap_err();
            assert!(began.elapsed() < Duration::from_millis(200), "{:?}", began.elapsed());
            assert!(error.field == field && error.message.contains(says), "{error}");
        }
        let derive = DeriveRequest {
            from: vec![DictionaryId(1); 3000],
            by: vec![PostHoc::Fold; 3000],
            tokens: None,
            lr: None,
        };
        let error = derive.check_count().unwrap_err();
        assert!(error.message.contains("3000 from × 3000 by"), "{error}");
        assert!(check_runs("from", 257).is_err() && check_runs("from", 256).is_ok());
    }
}
