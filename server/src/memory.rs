//! How much memory the machine has.

use api::{ConfigError, TrainConfig};

/// Bytes of memory, and of memory and swap together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Memory.
    pub total: u64,
    /// Memory and swap: what does not fit in it fits nowhere.
    pub with_swap: u64,
}

impl Memory {
    /// This machine's; none where the system does not say.
    pub fn of_this_machine() -> Option<Self> {
        Self::parse(&std::fs::read_to_string("/proc/meminfo").ok()?)
    }

    fn parse(meminfo: &str) -> Option<Self> {
        let bytes = |name: &str| {
            let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            Some(line.split_whitespace().next()?.parse::<u64>().ok()?.saturating_mul(1024))
        };
        let total = bytes("MemTotal")?;
        Some(Self {
            total,
            with_swap: total.saturating_add(bytes("SwapTotal").unwrap_or(0)),
        })
    }

    /// Refuses a run whose dictionaries alone, `width` wide, are larger than memory and swap. What is refused cannot work;
    /// what is not may still be too much, because the language model, the text and other programs need room, too.
    ///
    /// # Errors
    /// With the sizes, and what to do.
    pub fn check(self, run: &TrainConfig, width: usize) -> Result<(), ConfigError> {
        let gib = |bytes: u128| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30));
        let (buffer, here) = (run.buffer_bytes(width), gib(self.with_swap.into()));
        if buffer > u128::from(self.with_swap) {
            let message = format!(
                "{width} numbers each would take {}, and this machine has {here}; expected fewer",
                gib(buffer)
            );
            let found = run.buffer.map_or(0, |buffer| buffer.tokens);
            return Err(ConfigError::new("buffer_tokens", format!("found {found}; {message}")));
        }
        let needed = run.state_bytes(width);
        if needed <= u128::from(self.with_swap) {
            return Ok(());
        }
        let widest = run.dictionaries.iter().map(|d| d.d_sae).max().unwrap_or(0);
        Err(ConfigError::new(
            "d_sae",
            format!(
                "found {widest}; weights, gradients and Adam's moments of the run's {} dictionaries would take {}, and this machine has {}; \
                 expected fewer features, or fewer dictionaries in one run",
                run.dictionaries.len(),
                gib(needed),
                here
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_figures_are_read() {
        let text = "MemTotal:       24000000 kB\nMemFree:  100 kB\nSwapCached: 7 kB\nSwapTotal:       1000000 kB\n";
        let memory = Memory::parse(text).unwrap();
        assert_eq!((memory.total, memory.with_swap), (24_000_000 * 1024, 25_000_000 * 1024));
        assert_eq!(Memory::parse("MemFree: 1 kB"), None);
    }

    #[test]
    fn only_what_cannot_fit_is_refused() {
        let run: TrainConfig = serde_json::from_value(serde_json::json!({
            "model": "m", "corpus": "c", "at": "blocks.0.hook_resid_pre", "residual": "raw", "input_scale": "none",
            "packing": {"n_ctx": 16, "bos": "none", "eos": "none"}, "batch": 1, "accumulation": 1, "tokens": 1600,
            "schedule": {"warmup_steps": 1, "min_lr_factor": 0.1}, "adam": {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
            "max_grad_norm": 1.0, "data_seed": 0, "log_every_steps": 1, "checkpoint_every_steps": 1,
            "evaluation": {"n_tokens": 1, "validation_tokens": 1, "every_steps": 1},
            "dictionaries": [{"kind": "relu", "d_sae": 1000, "lr": 0.001, "seed": 0, "objective": {"name": "local", "sparsity": 1.0}}]
        }))
        .unwrap();
        // W_e and W_d, b_e, b_d; four numbers of four bytes each
        let needed = (2 * 64 * 1000 + 1000 + 64) * 16;
        let of = |with_swap| Memory { total: 0, with_swap };
        assert!(of(needed).check(&run, 64).is_ok());
        let message = of(needed - 1).check(&run, 64).unwrap_err().to_string();
        assert!(
            message.starts_with("d_sae: found 1000") && message.contains("GiB"),
            "{message}"
        );
    }
}
