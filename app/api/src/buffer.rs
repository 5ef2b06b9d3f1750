//! The buffer of activations: its settings, and how a request comes to them. What it does: docs/METHODS.md.

use serde::{Deserialize, Serialize};

use crate::{
    ConfigError, Objective, SweepRequest, TrainConfig,
    config::{at_least, below_one},
    sweep::or_default,
    word::words,
};

/// Where activations are kept from one run to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum BufferPlace {
    /// Nowhere: each run makes its own, and holds a buffer of them in memory.
    #[default]
    Memory,
    /// On disk, where all runs at this point of the model and text find them; the buffer is filled from there.
    Disk,
}

words!(BufferPlace, "buffer_on", "memory" => BufferPlace::Memory, "disk" => BufferPlace::Disk);

/// A buffer in which the activation vectors of many contexts are mixed, and from which steps draw single vectors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Buffer {
    /// Vectors that it holds at most.
    pub tokens: usize,
    /// Share of the vectors that is kept back, to be mixed with the next ones, when the others have been served.
    pub mixing: f64,
    /// Where activations are kept.
    pub on: BufferPlace,
}

impl TrainConfig {
    /// Bytes of the buffer at a hook point of `width`, in f32.
    pub fn buffer_bytes(&self, width: usize) -> u128 {
        self.buffer.map_or(0, |buffer| buffer.tokens as u128 * width as u128 * 4)
    }

    /// Checks the buffer against the rest of the config.
    ///
    /// # Errors
    /// The first field that cannot be used.
    pub(crate) fn check_buffer(&self) -> Result<(), ConfigError> {
        let Some(Buffer { tokens, mixing, .. }) = self.buffer else {
            return Ok(());
        };
        if let Some(other) = self
            .dictionaries
            .iter()
            .find(|d| !matches!(d.objective, Objective::Local { .. }))
        {
            let message = format!(
                "found with {}, which splices whole contexts into the model; a buffer serves single vectors, so only local can be \
                 trained from one",
                other.objective.kind()
            );
            return Err(ConfigError::new("buffer_tokens", message));
        }
        if let Some(transcoder) = self.dictionaries.iter().find(|d| d.kind.read_at().is_some()) {
            let message = format!(
                "found with {}, which reads at one hook point and writes at another; a buffer holds the activations of one",
                transcoder.kind.name()
            );
            return Err(ConfigError::new("buffer_tokens", message));
        }
        at_least("buffer_tokens", tokens, self.batch_tokens())?;
        below_one("buffer_mixing", mixing)?;
        let n_ctx = self.packing.n_ctx;
        let taken_in = tokens - (mixing * tokens as f64) as usize;
        if taken_in < n_ctx {
            let message = format!(
                "found {mixing}, which leaves room for {taken_in} of the buffer's {tokens} vectors to be replaced; expected less, so that \
                 a context of {n_ctx} fits, or a larger buffer"
            );
            return Err(ConfigError::new("buffer_mixing", message));
        }
        Ok(())
    }
}

impl SweepRequest {
    /// The buffer, where one is asked for.
    ///
    /// # Errors
    /// A setting of a buffer without its size.
    pub(crate) fn buffer(&self, defaults: &mut Vec<String>) -> Result<Option<Buffer>, ConfigError> {
        let Some(tokens) = self.buffer_tokens else {
            let found = [
                ("buffer_mixing", self.buffer_mixing.map(|v| v.to_string())),
                ("buffer_on", self.buffer_on.map(|v| v.to_string())),
            ];
            return match found.into_iter().find_map(|(field, value)| Some((field, value?))) {
                Some((field, value)) => {
                    let message = format!("found {value} without a buffer; give its size as buffer_tokens, 65536 say");
                    Err(ConfigError::new(field, message))
                }
                None => Ok(None),
            };
        };
        Ok(Some(Buffer {
            tokens,
            mixing: or_default(self.buffer_mixing, "buffer_mixing", 0.5, defaults),
            on: or_default(self.buffer_on, "buffer_on", BufferPlace::Memory, defaults),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ResolvedAgainst;

    fn resolve(settings: serde_json::Value) -> Result<(Option<Buffer>, Vec<String>), ConfigError> {
        let mut request = serde_json::json!({
            "model": "m", "corpus": "c", "at": "blocks.2.hook_resid_pre", "objectives": ["local"], "coefficient": "1",
        });
        request.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let facts = ResolvedAgainst {
            width: 64,
            d_vocab: 512,
            max_n_ctx: 128,
            has_bos: true,
            parents: &[],
        };
        let resolved = serde_json::from_value::<SweepRequest>(request).unwrap().resolve(facts)?;
        Ok((resolved.runs[0].buffer, resolved.defaults))
    }

    #[test]
    fn without_a_size_there_is_none_and_with_one_half_is_mixed_in_memory() {
        let (buffer, defaults) = resolve(serde_json::json!({})).unwrap();
        assert!(buffer.is_none() && !defaults.iter().any(|line| line.starts_with("buffer")));
        let (buffer, defaults) = resolve(serde_json::json!({"buffer_tokens": 8192})).unwrap();
        let expected = Buffer {
            tokens: 8192,
            mixing: 0.5,
            on: BufferPlace::Memory,
        };
        assert_eq!(buffer, Some(expected));
        assert!(defaults.contains(&"buffer_mixing = 0.5".into()) && defaults.contains(&"buffer_on = memory".into()));
    }

    #[test]
    fn what_cannot_be_buffered_is_refused_by_name() {
        for (settings, field, says) in [
            (
                serde_json::json!({"objectives": ["local", "e2e"], "buffer_tokens": 8192}),
                "buffer_tokens",
                "found with e2e",
            ),
            (serde_json::json!({"buffer_tokens": 4095}), "buffer_tokens", "4096 or more"),
            (serde_json::json!({"buffer_mixing": 0.5}), "buffer_mixing", "buffer_tokens"),
            (serde_json::json!({"buffer_on": "disk"}), "buffer_on", "found disk"),
            (
                serde_json::json!({"buffer_tokens": 8192, "buffer_mixing": 1.0}),
                "buffer_mixing",
                "below 1",
            ),
            (
                serde_json::json!({"buffer_tokens": 8192, "buffer_mixing": 0.99}),
                "buffer_mixing",
                "context of 128",
            ),
        ] {
            let error = resolve(settings.clone()).unwrap_err();
            assert_eq!(error.field, field, "{settings}");
            assert!(error.message.contains(says), "{settings}: {error}");
        }
    }
}
