//! How sparse the dictionaries of a request are to be, whichever of its fields says so: features per token first, coefficients
//! where somebody wants those.

use crate::{ConfigError, KindName, PerObjective, ResolvedAgainst, SweepRequest};

/// The features per token that are asked for where a request says nothing of sparsity: three points of a Pareto curve.
pub const FEATURES_PER_TOKEN: [usize; 3] = [16, 32, 64];
/// That of a single dictionary.
const FOR_ONE: usize = 32;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Sparsity {
    /// Features per token, a dictionary for each number: k where the kind has one, elsewhere what its coefficient is found for.
    FeaturesPerToken(Vec<f64>),
    /// Coefficients of the penalty.
    Coefficient(PerObjective),
    /// Nothing: a dictionary that is trained further keeps its coefficient or its k, and some baselines have neither.
    Own,
}

impl Sparsity {
    /// Features per token as k; none where they are not asked for.
    pub fn k(&self) -> Vec<usize> {
        self.features_per_token().iter().map(|n| *n as usize).collect()
    }

    /// Features per token; none where they are not asked for.
    pub fn features_per_token(&self) -> &[f64] {
        match self {
            Sparsity::FeaturesPerToken(numbers) => numbers,
            Sparsity::Coefficient(_) | Sparsity::Own => &[],
        }
    }

    /// The coefficients; none where they are found or kept.
    pub fn coefficient(&self) -> Option<&PerObjective> {
        match self {
            Sparsity::Coefficient(values) => Some(values),
            Sparsity::FeaturesPerToken(_) | Sparsity::Own => None,
        }
    }
}

impl KindName {
    /// The request's field that gives its features per token; none where nothing has to be given.
    pub fn features_per_token(self) -> Option<&'static str> {
        match self {
            // all that is positive fires where no k is given
            KindName::Ica | KindName::Random | KindName::Identity => None,
            kind if kind.has_penalty() => Some("target_l0"),
            kind => kind.settings().contains(&"k").then_some("k"),
        }
    }
}

impl SweepRequest {
    /// Asks for one number of features per token where nothing is said of sparsity, for whoever wants a single dictionary. Answers
    /// the default that it took, as `field = value`.
    pub fn ask_for_one(&mut self) -> Option<String> {
        if self.says_sparsity() || !self.from.is_empty() {
            return None;
        }
        let field = self.kind.features_per_token()?;
        let n = self.d_sae.map_or(FOR_ONE, |d_sae| FOR_ONE.min(d_sae / 2)).max(1);
        match self.kind.has_penalty() {
            true => self.target_l0 = vec![n as f64],
            false => self.k = vec![n],
        }
        Some(format!("{field} = {n}"))
    }

    /// Whether [`FEATURES_PER_TOKEN`] are taken, because nothing is said of sparsity.
    pub(crate) fn asks_for_defaults(&self) -> bool {
        !self.says_sparsity() && self.from.is_empty() && self.kind.features_per_token().is_some()
    }

    fn says_sparsity(&self) -> bool {
        self.coefficient.is_some() || !self.target_l0.is_empty() || !self.k.is_empty()
    }

    /// What is asked for; where nothing is, [`FEATURES_PER_TOKEN`], as far as there are twice as many features.
    ///
    /// # Errors
    /// A field that the kind does not have, and two that say different things.
    pub(crate) fn sparsity(&self, facts: ResolvedAgainst<'_>, defaults: &mut Vec<String>) -> Result<Sparsity, ConfigError> {
        if let (Some(values), false) = (&self.coefficient, self.target_l0.is_empty()) {
            let message = format!("found '{values}' with target_l0, which finds it: give one of them");
            return Err(ConfigError::new("coefficient", message));
        }
        let is_fresh = self.from.is_empty();
        if let (Some(values), true, false) = (&self.coefficient, is_fresh, self.kind.has_penalty()) {
            let instead = match self.kind.settings().contains(&"k") {
                true => "give k in its place",
                false => "leave it out",
            };
            let message = format!("found '{values}'; {} has no sparsity term: {instead}", self.kind);
            return Err(ConfigError::new("coefficient", message));
        }
        if let (Some(target), true, false) = (self.target_l0.first(), is_fresh, self.kind.has_penalty()) {
            let instead = match self.kind.settings().contains(&"k") {
                true => "give k in its place",
                false => "leave it out",
            };
            let message = format!(
                "found {target} with kind {}, which has no sparsity term: {instead}",
                self.kind
            );
            return Err(ConfigError::new("target_l0", message));
        }
        if let Some(values) = &self.coefficient {
            return Ok(Sparsity::Coefficient(values.clone()));
        }
        if !self.target_l0.is_empty() {
            return Ok(Sparsity::FeaturesPerToken(self.target_l0.clone()));
        }
        if !self.k.is_empty() {
            return Ok(Sparsity::FeaturesPerToken(self.k.iter().map(|k| *k as f64).collect()));
        }
        let Some(field) = self.kind.features_per_token().filter(|_| is_fresh) else {
            return Ok(Sparsity::Own);
        };
        let numbers = default_features_per_token(self.most_features(facts));
        let list: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        defaults.push(format!("{field} = {}", list.join(",")));
        Ok(Sparsity::FeaturesPerToken(numbers.into_iter().map(|n| n as f64).collect()))
    }

    /// How many features a fresh dictionary of its kind has to choose from.
    fn most_features(&self, facts: ResolvedAgainst<'_>) -> usize {
        match self.kind {
            KindName::PcaStatic | KindName::PcaDynamic => facts.width,
            KindName::PcaTopK => facts.width.saturating_mul(2),
            _ => self.d_sae.unwrap_or_else(|| facts.width.saturating_mul(16)),
        }
    }
}

/// Those of [`FEATURES_PER_TOKEN`] that leave half of `most` features silent; where none does, a quarter of them.
fn default_features_per_token(most: usize) -> Vec<usize> {
    let fitting: Vec<usize> = FEATURES_PER_TOKEN.into_iter().filter(|n| 2 * n <= most).collect();
    match fitting.is_empty() {
        true => vec![(most / 4).max(1)],
        false => fitting,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DictionaryConfig, ObjectiveKind, ResolvedSweep};

    const FACTS: ResolvedAgainst<'static> = ResolvedAgainst {
        width: 64,
        d_vocab: 512,
        max_n_ctx: 512,
        has_bos: true,
        parents: &[],
    };

    fn request(settings: &serde_json::Value) -> SweepRequest {
        let mut request = serde_json::json!({"model": "m", "corpus": "c", "at": "blocks.2.hook_resid_pre"});
        request.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        serde_json::from_value(request).unwrap()
    }

    fn resolve(settings: &serde_json::Value) -> Result<ResolvedSweep, ConfigError> {
        request(settings).resolve(FACTS)
    }

    fn per_token(dictionary: &DictionaryConfig) -> Option<f64> {
        dictionary.course.target_l0.or(dictionary.kind.k().map(|k| k as f64))
    }

    #[test]
    fn with_model_text_place_and_kind_alone_each_kind_is_asked_for_16_32_and_64_features_per_token() {
        for kind in KindName::ALL {
            let objectives: &[ObjectiveKind] = match kind.is_fitted() {
                true => &[ObjectiveKind::Local],
                false => &ObjectiveKind::ALL,
            };
            for objective in objectives {
                let mut settings = serde_json::json!({"kind": kind, "objectives": [objective]});
                if kind.settings().contains(&"read_at") {
                    settings["read_at"] = "blocks.1.hook_resid_mid".into();
                }
                let resolved = resolve(&settings).unwrap();
                let found: Vec<_> = resolved.runs[0].dictionaries.iter().map(per_token).collect();
                let Some(field) = kind.features_per_token() else {
                    assert_eq!(found, [None], "{kind}");
                    continue;
                };
                let expected: &[Option<f64>] = match kind {
                    // of 64 directions
                    KindName::PcaStatic | KindName::PcaDynamic => &[Some(16.0), Some(32.0)],
                    _ => &[Some(16.0), Some(32.0), Some(64.0)],
                };
                assert_eq!(found, expected, "{kind}, {objective}");
                assert!(resolved.runs[0].dictionaries.iter().all(|d| d.objective.sparsity() == 0.0));
                let said = format!("{field} = 16,32");
                assert!(
                    resolved.defaults.iter().any(|each| each.starts_with(&said)),
                    "{kind}: {:?}",
                    resolved.defaults
                );
            }
        }
    }

    #[test]
    fn without_an_objective_what_is_fresh_is_local_and_nothing_else_has_to_be_given() {
        let resolved = resolve(&serde_json::json!({})).unwrap();
        let made: Vec<_> = resolved.runs[0]
            .dictionaries
            .iter()
            .map(|d| (d.objective.kind(), per_token(d)))
            .collect();
        assert_eq!(made, [16.0, 32.0, 64.0].map(|n| (ObjectiveKind::Local, Some(n))));
        for default in ["objective = local", "target_l0 = 16,32,64"] {
            assert!(
                resolved.defaults.iter().any(|each| each == default),
                "{:?}",
                resolved.defaults
            );
        }
    }

    #[test]
    fn coefficients_that_are_given_are_meant() {
        let resolved = resolve(&serde_json::json!({"coefficient": "0.1,0.3"})).unwrap();
        let made: Vec<_> = resolved.runs[0]
            .dictionaries
            .iter()
            .map(|d| (d.objective.sparsity(), d.course.target_l0))
            .collect();
        assert_eq!(made, [(0.1, None), (0.3, None)]);
        assert!(
            !resolved.defaults.iter().any(|each| each.starts_with("target_l0")),
            "{:?}",
            resolved.defaults
        );
    }

    #[test]
    fn few_features_are_asked_for_fewer_per_token() {
        for (settings, expected) in [
            (serde_json::json!({"d_sae": 64}), vec![16.0, 32.0]),
            (serde_json::json!({"d_sae": 40}), vec![16.0]),
            (serde_json::json!({"d_sae": 8}), vec![2.0]),
            (serde_json::json!({"d_sae": 1, "kind": "topk"}), vec![1.0]),
        ] {
            let resolved = resolve(&settings).unwrap();
            let found: Vec<_> = resolved.runs[0].dictionaries.iter().filter_map(per_token).collect();
            assert_eq!(found, expected, "{settings}");
        }
    }

    #[test]
    fn a_number_that_no_dictionary_can_have_is_refused_by_its_field() {
        for (settings, field, says) in [
            (serde_json::json!({"target_l0": [16, 1025]}), "target_l0", "1024 or less"),
            (serde_json::json!({"target_l0": [0.5]}), "target_l0", "1 or more"),
            (serde_json::json!({"target_l0": [-3]}), "target_l0", "1 or more"),
            (serde_json::json!({"kind": "batchtopk", "k": [1025]}), "k", "1024 or less"),
            (serde_json::json!({"kind": "batchtopk", "k": [0]}), "k", "1 or more"),
            (
                serde_json::json!({"kind": "nmf", "target_l0": [4]}),
                "target_l0",
                "leave it out",
            ),
            (
                serde_json::json!({"target_l0": [16], "coefficient": "0.1"}),
                "coefficient",
                "give one of them",
            ),
        ] {
            let error = resolve(&settings).unwrap_err();
            assert!(error.field == field && error.message.contains(says), "{settings}: {error}");
        }
    }

    #[test]
    fn whoever_wants_one_dictionary_is_given_one() {
        for (settings, expected) in [
            (serde_json::json!({}), Some("target_l0 = 32")),
            (serde_json::json!({"d_sae": 20}), Some("target_l0 = 10")),
            (serde_json::json!({"kind": "topk"}), Some("k = 32")),
            (serde_json::json!({"kind": "nmf"}), None),
            (serde_json::json!({"coefficient": "1"}), None),
            (serde_json::json!({"target_l0": [5]}), None),
        ] {
            let mut asked = request(&settings);
            assert_eq!(asked.ask_for_one().as_deref(), expected, "{settings}");
            assert_eq!(asked.resolve(FACTS).unwrap().runs[0].dictionaries.len(), 1, "{settings}");
        }
    }
}
