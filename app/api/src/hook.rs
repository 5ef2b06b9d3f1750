//! Hook points: the places in a language model where activations are read, replaced and differentiated.
//! They print and parse as TransformerLens names them.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

use crate::ConfigError;

/// A place inside one block, in the order in which a forward pass meets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Site {
    /// `hook_resid_pre` [d_model]: the residual stream entering the block.
    ResidPre,
    /// `ln1.hook_normalized` [d_model]: what attention's norm makes of the residual stream, before its gain and bias.
    Ln1,
    /// `attn.hook_z` [n_heads · d_head]: the heads' outputs, concatenated, before the output projection.
    Z,
    /// `hook_attn_out` [d_model]: what attention adds to the residual stream.
    AttnOut,
    /// `hook_resid_mid` [d_model]: the residual stream between attention and MLP; absent in parallel blocks.
    ResidMid,
    /// `ln2.hook_normalized` [d_model]: what the norm before the MLP makes of the residual stream, before its gain and bias.
    Ln2,
    /// `mlp.hook_post` [d_mlp]: the MLP's hidden layer after its nonlinearity (for gated MLPs, after the gate).
    MlpPost,
    /// `hook_mlp_out` [d_model]: what the MLP adds to the residual stream.
    MlpOut,
    /// `hook_resid_post` [d_model]: the residual stream leaving the block.
    ResidPost,
}

impl Site {
    /// Every site, in the order of the forward pass.
    pub const ALL: [Site; 9] = [
        Site::ResidPre,
        Site::Ln1,
        Site::Z,
        Site::AttnOut,
        Site::ResidMid,
        Site::Ln2,
        Site::MlpPost,
        Site::MlpOut,
        Site::ResidPost,
    ];

    /// The part of the hook point's name behind `blocks.L.`.
    pub fn name(self) -> &'static str {
        match self {
            Site::ResidPre => "hook_resid_pre",
            Site::Ln1 => "ln1.hook_normalized",
            Site::Z => "attn.hook_z",
            Site::AttnOut => "hook_attn_out",
            Site::ResidMid => "hook_resid_mid",
            Site::Ln2 => "ln2.hook_normalized",
            Site::MlpPost => "mlp.hook_post",
            Site::MlpOut => "hook_mlp_out",
            Site::ResidPost => "hook_resid_post",
        }
    }
}

/// A place in a language model. The order is that of the forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HookPoint {
    /// `hook_embed` [d_model]: the token embedding (without positions).
    Embed,
    /// `blocks.L.…`: a site of block L.
    Block {
        /// The block's index, from 0.
        layer: usize,
        /// The place in the block.
        site: Site,
    },
    /// `ln_final.hook_normalized` [d_model]: the last residual, normalised, before the final norm's gain and bias.
    FinalNorm,
}

impl HookPoint {
    /// `blocks.{layer}.{site}`.
    pub fn block(layer: usize, site: Site) -> Self {
        HookPoint::Block { layer, site }
    }

    /// The residual stream entering block `layer`.
    pub fn resid_pre(layer: usize) -> Self {
        Self::block(layer, Site::ResidPre)
    }

    /// The block's index; none for the embedding and the final norm.
    pub fn layer(self) -> Option<usize> {
        match self {
            HookPoint::Block { layer, .. } => Some(layer),
            _ => None,
        }
    }

    /// Whether it is what a norm makes of the residual stream, before gain and bias.
    pub fn is_norm(self) -> bool {
        let is_of_block = matches!(
            self,
            HookPoint::Block {
                site: Site::Ln1 | Site::Ln2,
                ..
            }
        );
        is_of_block || self == HookPoint::FinalNorm
    }

    /// The first block that has not begun when the forward pass stands at this point.
    /// The tensors at `hook_resid_pre` of this block and above lie downstream of the point and differ from it.
    pub fn next_block(self) -> usize {
        match self {
            HookPoint::Embed => 0,
            // resid_post of block L is the same tensor as resid_pre of block L + 1
            HookPoint::Block {
                layer,
                site: Site::ResidPost,
            } => layer + 2,
            HookPoint::Block { layer, .. } => layer + 1,
            HookPoint::FinalNorm => usize::MAX,
        }
    }
}

impl fmt::Display for HookPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HookPoint::Embed => f.write_str("hook_embed"),
            HookPoint::Block { layer, site } => write!(f, "blocks.{layer}.{}", site.name()),
            HookPoint::FinalNorm => f.write_str("ln_final.hook_normalized"),
        }
    }
}

impl FromStr for HookPoint {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let unknown = || {
            ConfigError::new(
                "at",
                format!(
                    "unknown hook point '{text}'; expected hook_embed, blocks.L.SITE with SITE one of {}, or ln_final.hook_normalized",
                    Site::ALL.map(Site::name).join(", ")
                ),
            )
        };
        match text {
            "hook_embed" => return Ok(HookPoint::Embed),
            "ln_final.hook_normalized" => return Ok(HookPoint::FinalNorm),
            _ => {}
        }
        let (layer, site) = text
            .strip_prefix("blocks.")
            .and_then(|rest| rest.split_once('.'))
            .ok_or_else(unknown)?;
        let layer = layer.parse().map_err(|_| unknown())?;
        let site = Site::ALL.into_iter().find(|s| s.name() == site).ok_or_else(unknown)?;
        Ok(HookPoint::Block { layer, site })
    }
}

impl Serialize for HookPoint {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HookPoint {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for HookPoint {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}
#[cfg(feature = "openapi")]
impl utoipa::ToSchema for HookPoint {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        let mut points = vec![HookPoint::Embed, HookPoint::FinalNorm];
        points.extend(Site::ALL.map(|site| HookPoint::block(3, site)));
        for point in points {
            assert_eq!(point.to_string().parse::<HookPoint>().unwrap(), point);
        }
    }

    #[test]
    fn a_wrong_name_is_quoted() {
        let error = "blocks.2.hook_resid".parse::<HookPoint>().unwrap_err().to_string();
        assert!(
            error.contains("'blocks.2.hook_resid'") && error.contains("hook_resid_pre"),
            "{error}"
        );
    }

    #[test]
    fn order_is_that_of_the_forward_pass() {
        assert!(HookPoint::Embed < HookPoint::resid_pre(0));
        assert!(HookPoint::block(0, Site::ResidPost) < HookPoint::resid_pre(1));
        assert!(HookPoint::resid_pre(9) < HookPoint::FinalNorm);
    }
}
