//! How a dictionary's input is brought to a size.

use crate::{ConfigError, DictionaryKind, word::words};
use serde::{Deserialize, Serialize};

/// How a dictionary's input is scaled; its output is taken back by the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum InputScale {
    /// As it is.
    #[default]
    None,
    /// Divided by one number, measured on the first batches, so that E‖x‖² = 1; the output is multiplied by it.
    UnitNorm,
    /// Each token by itself to mean 0 and standard deviation 1 over its dimensions; the output is given the token's own again.
    LayerNorm,
    /// Each token by itself to the length √d_in; the output is given the token's own length again.
    ConstantNorm,
}

words!(InputScale, "input_scale", "none" => InputScale::None, "unit_norm" => InputScale::UnitNorm,
    "layer_norm" => InputScale::LayerNorm, "constant_norm" => InputScale::ConstantNorm);

impl InputScale {
    /// Whether each token is scaled by numbers of its own, which no weights can take in.
    pub fn is_per_token(self) -> bool {
        matches!(self, InputScale::LayerNorm | InputScale::ConstantNorm)
    }

    /// # Errors
    /// For a transcoder where each token is scaled by itself: what it writes has a size that does not follow from what it reads.
    pub(crate) fn check(self, kind: &DictionaryKind) -> Result<(), ConfigError> {
        if !self.is_per_token() || kind.read_at().is_none() {
            return Ok(());
        }
        let message = format!(
            "found {self} for a {}: the mean and the length of what it writes do not follow from those of what it reads; expected none \
             or unit_norm",
            kind.name()
        );
        Err(ConfigError::new("input_scale", message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HookPoint;

    #[test]
    fn transcoders_take_one_number_alone() {
        let transcoder = DictionaryKind::Transcoder {
            read_at: HookPoint::resid_pre(1),
        };
        for scale in [InputScale::LayerNorm, InputScale::ConstantNorm] {
            assert!(scale.check(&DictionaryKind::Relu).is_ok());
            let error = scale.check(&transcoder).unwrap_err();
            assert!(error.field == "input_scale" && error.message.contains(&format!("found {scale} for a transcoder")));
        }
        assert!(InputScale::UnitNorm.check(&transcoder).is_ok());
    }
}
