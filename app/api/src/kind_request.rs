//! How a request comes to a kind of dictionary with its settings: which are the kind's own, and their defaults.

use crate::{ConfigError, DictionaryKind, HookPoint, KindName, SweepRequest, sweep::or_default};

impl SweepRequest {
    /// The kind with its settings: one, or one for each of `k`.
    ///
    /// # Errors
    /// A setting that the kind does not have.
    pub(crate) fn kinds(
        &self,
        k: &[usize],
        tokens: u64,
        n_steps: usize,
        defaults: &mut Vec<String>,
    ) -> Result<Vec<DictionaryKind>, ConfigError> {
        let given = [
            ("k", !self.k.is_empty()),
            ("aux_coefficient", self.aux_coefficient.is_some()),
            ("dead_tokens", self.dead_tokens.is_some()),
            ("threshold_decay", self.threshold_decay.is_some()),
            ("bandwidth", self.bandwidth.is_some()),
            ("initial_threshold", self.initial_threshold.is_some()),
            ("groups", self.groups.is_some()),
            ("final_p", self.final_p.is_some()),
            ("anneal_start", self.anneal_start.is_some()),
            ("anneal_end", self.anneal_end.is_some()),
            ("read_at", self.read_at.is_some()),
        ];
        for (field, is_given) in given {
            if is_given && !self.kind.settings().contains(&field) {
                let owners: Vec<_> = KindName::ALL.iter().filter(|kind| kind.settings().contains(&field)).collect();
                let owners = owners.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
                let message = format!(
                    "found with kind {}, which has no such setting; it belongs to {owners}",
                    self.kind
                );
                return Err(ConfigError::new(field, message));
            }
        }
        if self.kind.is_fitted() {
            return Ok(self.fitted_kinds(k));
        }
        match self.kind {
            KindName::Relu => return Ok(vec![DictionaryKind::Relu]),
            KindName::ReluUnit => return Ok(vec![DictionaryKind::ReluUnit]),
            KindName::ReluApril => return Ok(vec![DictionaryKind::ReluApril]),
            KindName::ReluSaelens => return Ok(vec![DictionaryKind::ReluSaelens]),
            KindName::Tied => return Ok(vec![DictionaryKind::Tied]),
            KindName::Gated => return Ok(vec![DictionaryKind::Gated]),
            KindName::PAnneal => {
                return Ok(vec![DictionaryKind::PAnneal {
                    final_p: or_default(self.final_p, "final_p", 0.2, defaults),
                    anneal_start: or_default(self.anneal_start, "anneal_start", n_steps / 10, defaults),
                    // the last tenth is trained with the last p
                    anneal_end: or_default(self.anneal_end, "anneal_end", n_steps - n_steps / 10, defaults),
                }]);
            }
            KindName::JumpRelu => {
                return Ok(vec![DictionaryKind::JumpRelu {
                    bandwidth: or_default(self.bandwidth, "bandwidth", 0.001, defaults),
                    initial_threshold: or_default(self.initial_threshold, "initial_threshold", 0.001, defaults),
                }]);
            }
            KindName::Transcoder => {
                let read_at = self.read_at()?;
                return Ok(vec![DictionaryKind::Transcoder { read_at }]);
            }
            KindName::JumpReluTranscoder => {
                return Ok(vec![DictionaryKind::JumpReluTranscoder {
                    read_at: self.read_at()?,
                    bandwidth: or_default(self.bandwidth, "bandwidth", 0.001, defaults),
                    initial_threshold: or_default(self.initial_threshold, "initial_threshold", 0.001, defaults),
                }]);
            }
            KindName::SkipTranscoder => {
                let read_at = self.read_at()?;
                return Ok(vec![DictionaryKind::SkipTranscoder { read_at }]);
            }
            KindName::JumpReluSkipTranscoder => {
                return Ok(vec![DictionaryKind::JumpReluSkipTranscoder {
                    read_at: self.read_at()?,
                    bandwidth: or_default(self.bandwidth, "bandwidth", 0.001, defaults),
                    initial_threshold: or_default(self.initial_threshold, "initial_threshold", 0.001, defaults),
                }]);
            }
            // those that are given k; the fitted ones have been dealt with
            _ => {}
        }
        if self.kind == KindName::Pursuit {
            return Ok(k.iter().map(|k| DictionaryKind::Pursuit { k: *k }).collect());
        }
        if self.kind == KindName::MatchingPursuit {
            let kind = |k: &usize| DictionaryKind::MatchingPursuit {
                k: *k,
                residual_threshold: 0.0,
                stop_on_duplicate: true,
            };
            return Ok(k.iter().map(kind).collect());
        }
        let aux_coefficient = or_default(self.aux_coefficient, "aux_coefficient", 1.0 / 32.0, defaults);
        let dead_tokens = (tokens / 10).clamp(1, 10_000_000);
        let dead_tokens = or_default(self.dead_tokens, "dead_tokens", dead_tokens, defaults);
        if self.kind == KindName::TopK {
            let kind = |k: &usize| DictionaryKind::TopK {
                k: *k,
                aux_coefficient,
                dead_tokens,
            };
            return Ok(k.iter().map(kind).collect());
        }
        if self.kind == KindName::AbsTopK {
            let kind = |k: &usize| DictionaryKind::AbsTopK {
                k: *k,
                aux_coefficient,
                dead_tokens,
            };
            return Ok(k.iter().map(kind).collect());
        }
        if matches!(self.kind, KindName::TopKTranscoder | KindName::TopKSkipTranscoder) {
            let read_at = self.read_at()?;
            let kind = |k: &usize| match self.kind {
                KindName::TopKTranscoder => DictionaryKind::TopKTranscoder {
                    read_at,
                    k: *k,
                    aux_coefficient,
                    dead_tokens,
                },
                _ => DictionaryKind::TopKSkipTranscoder {
                    read_at,
                    k: *k,
                    aux_coefficient,
                    dead_tokens,
                },
            };
            return Ok(k.iter().map(kind).collect());
        }
        // a mean that reaches back a tenth of the run, so that a short run's threshold is that of its end
        let decay = (1.0 - 10.0 / n_steps.max(10) as f64).min(0.999);
        let threshold_decay = or_default(self.threshold_decay, "threshold_decay", decay, defaults);
        if self.kind == KindName::BatchTopK {
            let kind = |k: &usize| DictionaryKind::BatchTopK {
                k: *k,
                aux_coefficient,
                dead_tokens,
                threshold_decay,
            };
            return Ok(k.iter().map(kind).collect());
        }
        let groups = or_default(self.groups, "groups", 5, defaults);
        let kind = |k: &usize| DictionaryKind::Matryoshka {
            k: *k,
            aux_coefficient,
            dead_tokens,
            threshold_decay,
            groups,
        };
        Ok(k.iter().map(kind).collect())
    }

    /// Where a transcoder reads.
    fn read_at(&self) -> Result<HookPoint, ConfigError> {
        let expected = format!("expected a hook point before {}, as blocks.2.ln2.hook_normalized", self.at);
        let missing = || ConfigError::new("read_at", format!("nothing is given; {expected}"));
        self.read_at.ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DictionaryConfig, ResolvedAgainst};

    fn resolve(settings: serde_json::Value) -> Result<Vec<DictionaryConfig>, ConfigError> {
        let mut request = serde_json::json!({
            "model": "m", "corpus": "c", "at": "blocks.2.hook_resid_pre", "objectives": ["local", "e2e"], "tokens": 1_000_000,
        });
        request.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let facts = ResolvedAgainst {
            width: 64,
            d_vocab: 512,
            max_n_ctx: 512,
            has_bos: true,
            parents: &[],
        };
        let request: SweepRequest = serde_json::from_value(request).unwrap();
        let mut resolved = request.resolve(facts)?;
        Ok(resolved.runs.swap_remove(0).dictionaries)
    }

    #[test]
    fn each_kind_is_resolved_with_its_settings() {
        let dictionaries = resolve(serde_json::json!({"kind": "topk", "k": [8, 16]})).unwrap();
        assert_eq!(dictionaries.len(), 4);
        let second = DictionaryKind::TopK {
            k: 16,
            aux_coefficient: 1.0 / 32.0,
            dead_tokens: 100_000,
        };
        assert_eq!((dictionaries[1].kind, dictionaries[1].dial()), (second, ("k", 16.0)));
        assert_eq!(dictionaries[3].series().to_string(), "topk, e2e");
        for name in KindName::ALL {
            let mut settings = serde_json::json!({"kind": name});
            match name.has_penalty() {
                true => settings["coefficient"] = "0.5".into(),
                false if name.settings().contains(&"k") => settings["k"] = serde_json::json!([4]),
                false => {}
            }
            if name.is_fitted() {
                settings["objectives"] = serde_json::json!(["local"]);
            }
            let reads_elsewhere = name.settings().contains(&"read_at");
            if reads_elsewhere {
                settings["read_at"] = "blocks.1.hook_resid_mid".into();
            }
            let dictionaries = resolve(settings).unwrap();
            assert_eq!(dictionaries[0].kind.name(), name);
            let text = serde_json::to_string(&dictionaries[0].kind).unwrap();
            assert_eq!(
                serde_json::from_str::<DictionaryKind>(&text).unwrap(),
                dictionaries[0].kind,
                "{text}"
            );
            let mut own: Vec<_> = dictionaries[0].kind.settings().into_iter().map(|(name, _)| name).collect();
            own.extend(name.has_penalty().then_some("coefficient"));
            own.extend(dictionaries[0].kind.read_at().map(|_| "read_at"));
            own.sort_unstable();
            let mut named = name.settings().to_vec();
            named.sort_unstable();
            assert_eq!(own, named);
        }
    }

    #[test]
    fn a_course_is_resolved_and_left_out_where_it_is_plain() {
        let settings = serde_json::json!({"kind": "gated", "target_l0": [16, 32.5], "sparsity_warmup_steps": 9,
            "resample_steps": 50, "resample_warmup_steps": 5});
        let dictionaries = resolve(settings).unwrap();
        assert_eq!(dictionaries.len(), 4);
        assert_eq!(dictionaries[1].dial(), ("L0", 32.5));
        let found = DictionaryConfig {
            objective: dictionaries[1].objective.with_sparsity(0.3),
            ..dictionaries[1].clone()
        };
        assert_eq!(found.dial(), ("λ", 0.3));
        let text = serde_json::to_string(&found).unwrap();
        assert_eq!(serde_json::from_str::<DictionaryConfig>(&text).unwrap(), found, "{text}");
        let plain = resolve(serde_json::json!({"coefficient": "1"})).unwrap();
        let text = serde_json::to_string(&plain[0]).unwrap();
        assert!(!text.contains("course") && plain[0].course.is_plain(), "{text}");
        assert_eq!(serde_json::from_str::<DictionaryConfig>(&text).unwrap(), plain[0]);
    }

    #[test]
    fn what_a_kind_does_not_have_is_refused_by_name() {
        for (settings, field, says) in [
            (
                serde_json::json!({"kind": "topk", "coefficient": "0.1", "k": [4]}),
                "coefficient",
                "give k",
            ),
            (
                serde_json::json!({"coefficient": "1", "k": [4]}),
                "k",
                "topk and abstopk and batchtopk and matryoshka and topk-transcoder",
            ),
            (
                serde_json::json!({"kind": "gated", "coefficient": "1", "bandwidth": 0.1}),
                "bandwidth",
                "jumprelu",
            ),
            (
                serde_json::json!({"kind": "transcoder", "coefficient": "1"}),
                "read_at",
                "nothing is given",
            ),
            (
                serde_json::json!({"kind": "transcoder", "coefficient": "1", "read_at": "blocks.2.hook_mlp_out"}),
                "read_at",
                "comes after blocks.2.hook_resid_pre",
            ),
            (
                serde_json::json!({"kind": "transcoder", "coefficient": "1", "read_at": "hook_embed", "buffer_tokens": 9000, "objectives": ["local"]}),
                "buffer_tokens",
                "found with transcoder",
            ),
            (
                serde_json::json!({"kind": "topk", "k": [4], "read_at": "hook_embed"}),
                "read_at",
                "it belongs to transcoder and jumprelu-transcoder and topk-transcoder and skip-transcoder",
            ),
            (
                serde_json::json!({"kind": "topk-skip-transcoder", "k": [4]}),
                "read_at",
                "as blocks.2.ln2.hook_normalized",
            ),
            (serde_json::json!({"kind": "topk", "k": [4, 1025]}), "k", "1024 or less"),
            (serde_json::json!({"kind": "topk", "k": [0]}), "k", "1 or more"),
            (
                serde_json::json!({"kind": "topk", "k": [4], "dead_tokens": 20_000_000}),
                "dead_tokens",
                "16777216",
            ),
            (
                serde_json::json!({"kind": "batchtopk", "k": [4], "threshold_decay": 1.0}),
                "threshold_decay",
                "below 1",
            ),
            (
                serde_json::json!({"kind": "topk", "k": [4], "target_l0": [4]}),
                "target_l0",
                "no sparsity term",
            ),
            (
                serde_json::json!({"coefficient": "1", "target_l0": [4]}),
                "coefficient",
                "give one of them",
            ),
            (
                serde_json::json!({"kind": "jumprelu", "coefficient": "1", "resample_steps": 9}),
                "resample_steps",
                "not resampled",
            ),
            (
                serde_json::json!({"coefficient": "1", "resample_steps": 9, "resample_warmup_steps": 9}),
                "resample_warmup_steps",
                "fewer than the 9",
            ),
            (
                serde_json::json!({"coefficient": "1", "sparsity_warmup_steps": 99_999}),
                "sparsity_warmup_steps",
                "fewer than",
            ),
            (
                serde_json::json!({"kind": "matryoshka", "k": [4], "groups": 11}),
                "groups",
                "10 or less",
            ),
            (
                serde_json::json!({"kind": "p-anneal", "coefficient": "1", "final_p": 1.5}),
                "final_p",
                "from 0 to 1",
            ),
            (
                serde_json::json!({"kind": "p-anneal", "coefficient": "1", "anneal_start": 9, "anneal_end": 8}),
                "anneal_start",
                "8 or less",
            ),
            (
                serde_json::json!({"kind": "jumprelu", "coefficient": "1", "bandwidth": 0.0}),
                "bandwidth",
                "above 0",
            ),
        ] {
            let error = resolve(settings.clone()).unwrap_err();
            assert_eq!(error.field, field, "{settings}");
            assert!(error.message.contains(says), "{settings}: {error}");
        }
    }
}
