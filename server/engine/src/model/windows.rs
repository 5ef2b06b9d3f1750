//! Sliding windows, block by block, as transformers' configs state them.

use super::{ModelError, config::Config};

/// Each block's window, which has `window` positions where there is one: after `layer_types`, a list of names; in configs that
/// are older than that list, where `is_sliding` says so of a block's index.
///
/// # Errors
/// When the list has another length or other names, or asks for windows where the config has none.
pub(super) fn windows(
    config: &Config,
    n_layers: usize,
    window: Option<usize>,
    is_sliding: impl Fn(usize) -> bool,
) -> Result<Vec<Option<usize>>, ModelError> {
    const LIST: &str = "layer_types";
    let Some(list) = config.get(LIST) else {
        return Ok((0..n_layers).map(|layer| window.filter(|_| is_sliding(layer))).collect());
    };
    let expected = || {
        config.refuse(
            LIST,
            format!("'full_attention' or 'sliding_attention' for each of {n_layers} blocks"),
        )
    };
    let names: Vec<String> = serde_json::from_value(list.clone()).map_err(|_| expected())?;
    if names.len() != n_layers {
        return Err(expected());
    }
    let one = |name: String| match (name.as_str(), window) {
        ("full_attention", _) => Ok(None),
        ("sliding_attention", Some(window)) => Ok(Some(window)),
        ("sliding_attention", None) => Err(config.refuse(
            LIST,
            "'full_attention' in each block where sliding_window is null or not in use",
        )),
        _ => Err(expected()),
    };
    names.into_iter().map(one).collect()
}
