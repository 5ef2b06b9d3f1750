//! What is asked to be done to trained dictionaries, and the runs that it comes to.

use serde::{Deserialize, Serialize};

use crate::{
    ConfigError, Course, DictionaryConfig, DictionaryId, DictionaryInfo, InputScale, Objective, Origin, PostHoc, Schedule,
    TrainConfig, count::check_runs,
};

/// Each of some dictionaries changed in each of some ways. They are measured as the dictionaries were that they come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DeriveRequest {
    /// The dictionaries.
    pub from: Vec<DictionaryId>,
    /// What is done to them.
    pub by: Vec<PostHoc>,
    /// Tokens to train scales and shifts on; default 500,000.
    #[serde(default)]
    pub tokens: Option<u64>,
    /// Peak learning rate of scales and shifts; default 1e-3.
    #[serde(default)]
    pub lr: Option<f64>,
}

impl DeriveRequest {
    /// The runs, given each dictionary with the config of its own run.
    ///
    /// # Errors
    /// The first field that cannot be used, and what means nothing for one of the kinds.
    pub fn resolve(&self, parents: &[(DictionaryInfo, TrainConfig)]) -> Result<Vec<TrainConfig>, ConfigError> {
        self.check_count()?;
        let trains = self.by.contains(&PostHoc::RescaleShift);
        let given = [("tokens", self.tokens.is_some()), ("lr", self.lr.is_some())];
        if let Some((field, _)) = given.into_iter().find(|(_, given)| *given && !trains) {
            return Err(ConfigError::new(
                field,
                "found without rescale_shift, which alone trains something",
            ));
        }
        for (field, n) in [("from", self.from.len()), ("by", self.by.len())] {
            if n == 0 {
                return Err(ConfigError::new(field, "nothing is given; expected at least one"));
            }
        }
        let mut runs: Vec<TrainConfig> = Vec::new();
        for by in &self.by {
            for (info, config) in parents {
                if *by == PostHoc::Fold && config.input_scale.is_per_token() {
                    let message = format!(
                        "found fold of dictionary {}, whose input scale is {}: each token has a size of its own, which no weights can take in",
                        info.id, config.input_scale
                    );
                    return Err(ConfigError::new("by", message));
                }
                let mut run = self.run(*by, config);
                let dictionary = self.dictionary(*by, info)?;
                // what reads the same text in the same way is measured in one pass
                let same = |other: &&mut TrainConfig| {
                    let bare = TrainConfig {
                        dictionaries: Vec::new(),
                        ..(**other).clone()
                    };
                    bare == run
                };
                match runs.iter_mut().find(same) {
                    Some(other) => other.dictionaries.push(dictionary),
                    None => {
                        run.dictionaries.push(dictionary);
                        runs.push(run);
                    }
                }
            }
        }
        check_runs("from", runs.len())?;
        runs.iter().try_for_each(TrainConfig::validate)?;
        Ok(runs)
    }

    /// The run of a dictionary whose own was `config`, still without dictionaries.
    fn run(&self, by: PostHoc, config: &TrainConfig) -> TrainConfig {
        let mut run = TrainConfig {
            tokens: 0,
            dictionaries: Vec::new(),
            ..config.clone()
        };
        match by {
            PostHoc::Fold => run.input_scale = InputScale::None,
            PostHoc::RescaleShift => {
                run.tokens = self.tokens.unwrap_or(500_000);
                let n_steps = run.n_steps();
                run.schedule = Schedule {
                    warmup_steps: n_steps / 20,
                    min_lr_factor: 0.1,
                    hold_steps: 0,
                };
                run.log_every_steps = (n_steps / 200).max(1);
                run.checkpoint_every_steps = (n_steps / 10).max(1);
                run.evaluation.every_steps = (n_steps / 20).max(1);
            }
            PostHoc::Prune { .. } | PostHoc::Threshold | PostHoc::Pursuit { .. } => {}
        }
        run
    }

    fn dictionary(&self, by: PostHoc, info: &DictionaryInfo) -> Result<DictionaryConfig, ConfigError> {
        let own = &info.config;
        let kind = by.kind(own.kind)?;
        // nothing is shrunk any more where scales and shifts are trained; and what has no penalty has no λ
        let keeps_penalty = by != PostHoc::RescaleShift && kind.name().has_penalty();
        let objective = match keeps_penalty {
            true => own.objective,
            false => own.objective.with_sparsity(0.0),
        };
        Ok(DictionaryConfig {
            kind,
            d_sae: own.d_sae,
            objective,
            lr: match by {
                PostHoc::RescaleShift => self.lr.unwrap_or(1e-3),
                _ => 0.0,
            },
            seed: own.seed,
            origin: Origin::Derived { from: info.id, by },
            course: Course::default(),
        })
    }

    /// The command lines that ask for the same, one for each way.
    pub fn command(&self) -> String {
        let list = |items: Vec<String>| items.join(",");
        let from = list(self.from.iter().map(ToString::to_string).collect());
        let mut words = vec![format!("saescope derive --dictionary {from}")];
        for by in &self.by {
            words.push(match by {
                PostHoc::Fold => "--fold".into(),
                PostHoc::RescaleShift => "--rescale-shift".into(),
                PostHoc::Prune { keep } => format!("--prune {keep}"),
                PostHoc::Threshold => "--threshold".into(),
                PostHoc::Pursuit { k } => format!("--pursuit {k}"),
            });
        }
        words.extend(self.tokens.map(|n| format!("--tokens {n}")));
        words.extend(self.lr.map(|lr| format!("--lr {lr}")));
        words.join(" ")
    }
}

impl Objective {
    /// The same with another λ.
    pub fn with_sparsity(self, sparsity: f64) -> Self {
        match self {
            Objective::Local { .. } => Objective::Local { sparsity },
            Objective::E2e { kl, .. } => Objective::E2e { sparsity, kl },
            Objective::E2eDs { kl, downstream, .. } => Objective::E2eDs {
                sparsity,
                kl,
                downstream,
            },
            Objective::KlMse { .. } => Objective::KlMse { sparsity },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DictionaryKind, ResolvedAgainst, SweepRequest};

    fn parents(kind: serde_json::Value) -> Vec<(DictionaryInfo, TrainConfig)> {
        let mut request = serde_json::json!({"model": "m", "corpus": "c", "at": "blocks.1.hook_resid_pre",
            "objectives": ["local", "e2e"], "input_scale": "unit_norm", "tokens": 100_000});
        request.as_object_mut().unwrap().extend(kind.as_object().unwrap().clone());
        let request: SweepRequest = serde_json::from_value(request).unwrap();
        let facts = ResolvedAgainst {
            width: 8,
            d_vocab: 512,
            max_n_ctx: 64,
            has_bos: false,
            parents: &[],
        };
        let run = request.resolve(facts).unwrap().runs.swap_remove(0);
        let info = |(index, config): (usize, &DictionaryConfig)| {
            let info = serde_json::json!({"id": index + 1, "job": 1, "sweep": 1, "model": "m", "corpus": "c",
                "at": "blocks.1.hook_resid_pre", "residual": "raw", "input_scale": "unit_norm", "config": config,
                "tokens": 1, "n_passes": 1.0, "metrics": [], "checksum": "", "created": 1});
            (serde_json::from_value(info).unwrap(), run.clone())
        };
        run.dictionaries.iter().enumerate().map(info).collect()
    }

    fn request(by: &[PostHoc]) -> DeriveRequest {
        DeriveRequest {
            from: vec![DictionaryId(1), DictionaryId(2)],
            by: by.to_vec(),
            tokens: None,
            lr: None,
        }
    }

    #[test]
    fn what_reads_the_text_alike_is_one_run() {
        let by = [
            PostHoc::Prune { keep: 0.5 },
            PostHoc::Pursuit { k: 4 },
            PostHoc::Fold,
            PostHoc::RescaleShift,
        ];
        let runs = request(&by)
            .resolve(&parents(serde_json::json!({"coefficient": "0.5"})))
            .unwrap();
        let shape: Vec<_> = runs
            .iter()
            .map(|run| (run.tokens, run.input_scale, run.dictionaries.len()))
            .collect();
        let expected = [
            (0, InputScale::UnitNorm, 4),
            (0, InputScale::None, 2),
            (500_000, InputScale::UnitNorm, 2),
        ];
        assert_eq!(shape, expected);
        let pursuit = &runs[0].dictionaries[3];
        assert_eq!(pursuit.kind, DictionaryKind::Pursuit { k: 4 });
        assert_eq!(pursuit.objective, Objective::E2e { sparsity: 0.0, kl: 1.0 });
        assert_eq!(pursuit.series().to_string(), "pursuit, e2e, pursuit");
        assert_eq!(runs[2].dictionaries[0].kind, DictionaryKind::Gated);
        assert_eq!(
            request(&by).command(),
            "saescope derive --dictionary 1,2 --prune 0.5 --pursuit 4 --fold --rescale-shift"
        );
    }

    #[test]
    fn what_each_token_is_scaled_by_is_not_folded() {
        let mut parents = parents(serde_json::json!({"coefficient": "0.5"}));
        for (info, config) in &mut parents {
            (info.input_scale, config.input_scale) = (InputScale::LayerNorm, InputScale::LayerNorm);
        }
        let error = request(&[PostHoc::Fold]).resolve(&parents).unwrap_err();
        assert!(
            error.field == "by" && error.message.contains("input scale is layer_norm"),
            "{error}"
        );
        let pruned = request(&[PostHoc::Prune { keep: 0.5 }]).resolve(&parents).unwrap();
        assert_eq!(pruned[0].input_scale, InputScale::LayerNorm);
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for (kind, by, says) in [
            (serde_json::json!({"coefficient": "0.5"}), PostHoc::Threshold, "expected topk"),
            (
                serde_json::json!({"coefficient": "0.5"}),
                PostHoc::Prune { keep: 1.5 },
                "found 1.5",
            ),
            (
                serde_json::json!({"coefficient": "0.5"}),
                PostHoc::Prune { keep: 0.0 },
                "found 0",
            ),
            (
                serde_json::json!({"coefficient": "0.5"}),
                PostHoc::Pursuit { k: 0 },
                "found 0",
            ),
            (
                serde_json::json!({"kind": "gated", "coefficient": "0.5"}),
                PostHoc::RescaleShift,
                "which relu in its conventions",
            ),
            (
                serde_json::json!({"kind": "transcoder", "coefficient": "0.5", "read_at": "blocks.0.hook_resid_mid"}),
                PostHoc::RescaleShift,
                "no gated transcoder",
            ),
            (
                serde_json::json!({"kind": "topk-transcoder", "k": [4], "read_at": "blocks.0.hook_resid_mid"}),
                PostHoc::Fold,
                "which features are the k largest",
            ),
            (
                serde_json::json!({"kind": "skip-transcoder", "coefficient": "0.5", "read_at": "blocks.0.hook_resid_mid"}),
                PostHoc::Pursuit { k: 4 },
                "is not what its decoder writes",
            ),
            (
                serde_json::json!({"kind": "topk", "k": [4]}),
                PostHoc::Prune { keep: 0.5 },
                "threshold",
            ),
        ] {
            let error = request(&[by]).resolve(&parents(kind)).unwrap_err();
            assert!(error.message.contains(says), "{error}");
        }
        let idle = DeriveRequest {
            tokens: Some(5),
            ..request(&[PostHoc::Fold])
        };
        assert_eq!(
            idle.resolve(&parents(serde_json::json!({"coefficient": "0.5"})))
                .unwrap_err()
                .field,
            "tokens"
        );
    }
}
