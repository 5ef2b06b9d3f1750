//! Where other tools' dictionaries are: their names of hook points, and how what is there differs from what is at ours.

use api::{HookPoint, Site};
use std::path::Path;

use super::{Choice, errors::refuse};
use crate::dictionary::DictionaryError;

/// A hook point as another tool means it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Ours.
    pub at: HookPoint,
    /// How theirs differs.
    pub beside: Beside,
}

/// What lies between our hook point and another tool's of that name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Beside {
    /// Nothing: it is the same tensor.
    #[default]
    Nothing,
    /// The norm's gain and bias: the tool's point is behind them, ours before.
    Gain,
    /// The same where the norm is a LayerNorm: TransformerLens without folding.
    GainOfLayerNorm,
    /// The norm that follows attention and the MLP in some families: the tool's point is before it, ours behind.
    PostNorm,
}

/// The hook point that a tool calls `name`; none where we have no such point.
///
/// TransformerLens' `hook_mlp_in` is the stream before the norm. Its TransformerBridge, and circuit-tracer with it, call the MLP's own
/// input and output `mlp.hook_in` and `mlp.hook_out`: behind the norm's gain, and before a norm that follows.
pub fn place(name: &str) -> Option<Place> {
    let own = name.parse().map(|at| Place {
        at,
        beside: Beside::Nothing,
    });
    if let Ok(own) = own {
        return Some(own);
    }
    let (layer, site) = name.strip_prefix("blocks.")?.split_once('.')?;
    let (site, beside) = match site {
        "hook_mlp_in" => (Site::ResidMid, Beside::Nothing),
        "mlp.hook_in" => (Site::Ln2, Beside::Gain),
        "mlp.hook_out" => (Site::MlpOut, Beside::PostNorm),
        _ => return None,
    };
    let at = HookPoint::block(layer.parse().ok()?, site);
    Some(Place { at, beside })
}

/// Where a transcoder of the file `path` reads: as the file says, by a name of [`place`] or otherwise, or as is chosen. `at_norms` is what
/// lies between a norm's point and the tool's: the choice names ours, and the weights are the tool's.
///
/// # Errors
/// Where neither says it, and where they say different things.
pub fn reading(
    path: &Path,
    said: Option<Place>,
    named: Option<&str>,
    choice: &Choice,
    at_norms: Beside,
) -> Result<Place, DictionaryError> {
    let said = said.or_else(|| place(named?));
    match (said, choice.read_at, named) {
        (Some(said), Some(chosen), _) if said.at != chosen => Err(refuse(
            path,
            format!(
                "its transcoder reads at {}; expected {chosen}, which is given as the hook point that it reads at",
                said.at
            ),
        )),
        (Some(said), ..) => Ok(said),
        (None, Some(at), _) => Ok(Place {
            at,
            beside: if at.is_norm() { at_norms } else { Beside::Nothing },
        }),
        (None, None, Some(name)) => Err(refuse(
            path,
            format!("its transcoder reads at '{name}', which is no hook point here; expected one to be given (--read-at)"),
        )),
        (None, None, None) => Err(refuse(
            path,
            "it does not say where its transcoder reads; expected a hook point to be given (--read-at)",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_tools() {
        let found = |name: &str| place(name).map(|place| (place.at.to_string(), place.beside));
        for (name, ours, beside) in [
            (
                "blocks.3.ln2.hook_normalized",
                "blocks.3.ln2.hook_normalized",
                Beside::Nothing,
            ),
            ("blocks.3.hook_mlp_in", "blocks.3.hook_resid_mid", Beside::Nothing),
            ("blocks.12.mlp.hook_in", "blocks.12.ln2.hook_normalized", Beside::Gain),
            ("blocks.12.mlp.hook_out", "blocks.12.hook_mlp_out", Beside::PostNorm),
        ] {
            assert_eq!(found(name), Some((ours.to_owned(), beside)));
        }
        assert_eq!(found("blocks.x.hook_mlp_in"), None);
        assert_eq!(found("blocks.3.attn.hook_q"), None);
    }
}
