//! What the dictionaries of a sweep are built on: fresh weights of a kind, or trained dictionaries that are trained further.

use crate::{
    ConfigError, DictionaryInfo, DictionaryKind, HookPoint, InputScale, KindName, Origin, ResidualFrame, ResolvedAgainst,
    SweepRequest, sparsity::Sparsity, sweep::or_default,
};

/// All of a dictionary's config that comes before its objective and its rate.
#[derive(Clone, Debug)]
pub(crate) struct Basis {
    pub kind: DictionaryKind,
    pub d_sae: usize,
    /// None: that of the run.
    pub seed: Option<u64>,
    /// The λ that it was trained with, where it has a sparsity term: what is meant where the request gives none.
    pub sparsity: Option<f64>,
    pub origin: Origin,
}

/// How dictionaries read the model: what those of one run have in common.
pub(crate) type Reading = (HookPoint, ResidualFrame, InputScale);

impl SweepRequest {
    /// What each combination of objective and rate is trained from.
    ///
    /// # Errors
    /// A setting that does not belong to the kind, or that a trained dictionary already has.
    pub(crate) fn bases(
        &self,
        facts: ResolvedAgainst<'_>,
        sparsity: &Sparsity,
        (tokens, n_steps): (u64, usize),
        defaults: &mut Vec<String>,
    ) -> Result<Vec<Basis>, ConfigError> {
        if self.from.is_empty() {
            let kinds = self.kinds(&sparsity.k(), tokens, n_steps, defaults)?;
            let times = if self.kind == KindName::Nmf { 1 } else { 16 };
            let d_sae = or_default(self.d_sae, "d_sae", times * facts.width, defaults);
            let origin = self.fresh_origin()?;
            let fresh = |kind: DictionaryKind| {
                Ok(Basis {
                    kind,
                    d_sae: kind.own_width(facts)?.unwrap_or(d_sae),
                    seed: None,
                    sparsity: None,
                    origin: origin.clone(),
                })
            };
            return kinds.into_iter().map(fresh).collect();
        }
        let given = [("k", !self.k.is_empty()), ("d_sae", self.d_sae.is_some())];
        if let Some((field, _)) = given.into_iter().find(|(_, given)| *given) {
            let message = "found with from: the dictionaries that are trained further have theirs";
            return Err(ConfigError::new(field, message));
        }
        self.reading(facts.parents)?;
        let basis = |parent: &DictionaryInfo| {
            let config = &parent.config;
            let kind = config.kind.name();
            if self.kind != KindName::Relu && self.kind != kind {
                let message = format!(
                    "found {}; dictionary {} is {kind}, and stays what it is",
                    self.kind, parent.id
                );
                return Err(ConfigError::new("kind", message));
            }
            if kind.is_fitted() {
                let message = format!(
                    "found {}, which is {kind}: it is fitted, and has nothing to train further",
                    parent.id
                );
                return Err(ConfigError::new("from", message));
            }
            Ok(Basis {
                kind: config.kind,
                d_sae: config.d_sae,
                seed: Some(config.seed),
                sparsity: kind.has_penalty().then(|| config.objective.sparsity()),
                origin: Origin::Finetuned { from: parent.id },
            })
        };
        facts.parents.iter().map(basis).collect()
    }

    /// How the dictionaries read the model: as the request says, or as those do that they are trained from.
    ///
    /// # Errors
    /// When those differ, or read elsewhere than the request says.
    pub(crate) fn reading(&self, parents: &[DictionaryInfo]) -> Result<Reading, ConfigError> {
        let of = |parent: &DictionaryInfo| (parent.at, parent.residual, parent.input_scale);
        let Some(first) = parents.first() else {
            let scale = self.input_scale.unwrap_or(self.kind.default_input_scale());
            return Ok((self.at, self.residual, scale));
        };
        for parent in parents {
            let (at, residual, scale) = of(parent);
            if at != self.at || parent.model != self.model {
                let message = format!(
                    "found {}, of '{}' at {at}; expected dictionaries of '{}' at {}",
                    parent.id, parent.model, self.model, self.at
                );
                return Err(ConfigError::new("from", message));
            }
            if of(parent) != of(first) {
                let message = format!(
                    "found {} (residual {residual}, input scale {scale}) beside {}, which differs; train them in separate runs",
                    parent.id, first.id
                );
                return Err(ConfigError::new("from", message));
            }
        }
        Ok(of(first))
    }
}
