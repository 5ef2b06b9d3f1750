//! The command line that asks for the same as a request.

use crate::{ResidualFrame, SweepRequest};

impl SweepRequest {
    /// The command line that asks for the same.
    pub fn command(&self) -> String {
        let join = |items: Vec<String>| items.join(",");
        let mut words = vec![
            "saescope sweep".to_string(),
            format!("--model {}", self.model),
            format!("--corpus {}", self.corpus),
            format!("--at {}", self.at),
        ];
        if self.from.is_empty() {
            words.insert(4, format!("--kind {}", self.kind));
        }
        let mut option = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                let quoted = if value.contains([';', '=']) {
                    format!("\"{value}\"")
                } else {
                    value
                };
                words.push(format!("--{name} {quoted}"));
            }
        };
        option(
            "objective",
            (!self.objectives.is_empty()).then(|| join(self.objectives.iter().map(ToString::to_string).collect())),
        );
        option(
            "from",
            (!self.from.is_empty()).then(|| join(self.from.iter().map(ToString::to_string).collect())),
        );
        option(
            "target-l0",
            (!self.target_l0.is_empty()).then(|| join(self.target_l0.iter().map(ToString::to_string).collect())),
        );
        option("coefficient", self.coefficient.as_ref().map(ToString::to_string));
        option("sparsity-warmup-steps", self.sparsity_warmup_steps.map(|v| v.to_string()));
        option("resample-steps", self.resample_steps.map(|v| v.to_string()));
        option("resample-warmup-steps", self.resample_warmup_steps.map(|v| v.to_string()));
        option(
            "k",
            (!self.k.is_empty()).then(|| join(self.k.iter().map(ToString::to_string).collect())),
        );
        option("aux-coefficient", self.aux_coefficient.map(|v| v.to_string()));
        option("dead-tokens", self.dead_tokens.map(|v| v.to_string()));
        option("threshold-decay", self.threshold_decay.map(|v| v.to_string()));
        option("bandwidth", self.bandwidth.map(|v| v.to_string()));
        option("initial-threshold", self.initial_threshold.map(|v| v.to_string()));
        option("groups", self.groups.map(|v| v.to_string()));
        option("final-p", self.final_p.map(|v| v.to_string()));
        option("anneal-start", self.anneal_start.map(|v| v.to_string()));
        option("anneal-end", self.anneal_end.map(|v| v.to_string()));
        option("read-at", self.read_at.map(|v| v.to_string()));
        option("kl-coefficient", self.kl_coefficient.as_ref().map(ToString::to_string));
        option("ds-coefficient", self.ds_coefficient.map(|v| v.to_string()));
        option("lr", self.lr.as_ref().map(ToString::to_string));
        option("d-sae", self.d_sae.map(|v| v.to_string()));
        option("n-ctx", self.n_ctx.map(|v| v.to_string()));
        option("batch", self.batch.map(|v| v.to_string()));
        option("accumulation", self.accumulation.map(|v| v.to_string()));
        option("tokens", self.tokens.map(|v| v.to_string()));
        option("buffer-tokens", self.buffer_tokens.map(|v| v.to_string()));
        option("buffer-mixing", self.buffer_mixing.map(|v| v.to_string()));
        option("buffer-on", self.buffer_on.map(|v| v.to_string()));
        option(
            "seed",
            (!self.seeds.is_empty()).then(|| join(self.seeds.iter().map(ToString::to_string).collect())),
        );
        option("warmup-steps", self.warmup_steps.map(|v| v.to_string()));
        option("min-lr-factor", self.min_lr_factor.map(|v| v.to_string()));
        option("hold-steps", self.hold_steps.map(|v| v.to_string()));
        option("adam-beta1", self.adam_beta1.map(|v| v.to_string()));
        option("adam-beta2", self.adam_beta2.map(|v| v.to_string()));
        option("adam-eps", self.adam_eps.map(|v| v.to_string()));
        option("max-grad-norm", self.max_grad_norm.map(|v| v.to_string()));
        option(
            "residual",
            (self.residual != ResidualFrame::Raw).then(|| self.residual.to_string()),
        );
        option("input-scale", self.input_scale.map(|v| v.to_string()));
        option("initial-weights", self.initial_weights.map(|v| v.to_string()));
        option(
            "leave-out",
            (!self.leave_out.is_nothing()).then(|| self.leave_out.to_string()),
        );
        option("bos", self.bos.map(|v| v.to_string()));
        option("eos", self.eos.map(|v| v.to_string()));
        option("evaluate-on", self.evaluate_on.map(|v| v.to_string()));
        option("eval-tokens", self.eval_tokens.map(|v| v.to_string()));
        option("validation-tokens", self.validation_tokens.map(|v| v.to_string()));
        option("eval-every-steps", self.eval_every_steps.map(|v| v.to_string()));
        option("log-every-steps", self.log_every_steps.map(|v| v.to_string()));
        option("checkpoint-every-steps", self.checkpoint_every_steps.map(|v| v.to_string()));
        words.join(" ")
    }
}
