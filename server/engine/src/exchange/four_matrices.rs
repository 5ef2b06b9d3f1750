//! Files that hold `W_enc`, `b_enc`, `W_dec`, `b_dec` and nothing of what is done with them, which their names or a config beside them say:
//! Qwen Scope's `layer0.sae.pt`, and the dictionaries of GPT-2's attention by Kissane and others, with `NAME_cfg.json` beside `NAME.pt`.
//!
//! | | matrices | encode | place |
//! |---|---|---|---|
//! | Qwen Scope | [d_sae, d_in], [d_in, d_sae] | the k largest of ReLU(W x + b); k in the repository's name, `…-L0_50` | `hook_resid_post` of the layer in the name |
//! | attention | [d_in, d_sae], [d_sae, d_in] | ReLU(W (x − b_dec) + b) | the config's `act_name` |

use api::{HookPoint, ResidualFrame, Site};
use std::path::{Path, PathBuf};

use super::{
    Facts, Format, Imported,
    coder::{Coder, Rows, Rule},
    errors::refuse,
    fields::Fields,
    tensors::Tensors,
    torch::Saved,
};
use crate::dictionary::DictionaryError;

const NAMES: [&str; 4] = ["W_enc", "b_enc", "W_dec", "b_dec"];

/// Whether a file is one of theirs.
pub fn is_known(path: &Path, tensors: &Tensors) -> bool {
    NAMES.iter().all(|name| tensors.has(name)) && (config_of(path).is_some() || qwen_layer(path).is_some())
}

/// The config beside a file.
fn config_of(path: &Path) -> Option<PathBuf> {
    let name = format!("{}_cfg.json", path.file_stem()?.to_str()?);
    Some(path.with_file_name(name)).filter(|path| path.is_file())
}

/// The layer in a name of Qwen Scope's.
fn qwen_layer(path: &Path) -> Option<usize> {
    let name = path.file_name()?.to_str()?;
    name.strip_prefix("layer")?.strip_suffix(".sae.pt")?.parse().ok()
}

/// Reads a file.
///
/// # Errors
/// Where k is not in the path, and tensors that do not fit.
pub fn read(path: &Path) -> Result<Imported, DictionaryError> {
    let saved = Saved::open(path)?;
    let tensors = saved.tensors(saved.state_dict()?)?;
    tensors.only(&NAMES)?;
    match config_of(path) {
        Some(config) => attention(&tensors, &Fields::open(&config)?),
        None => qwen(&tensors, path),
    }
}

fn attention(tensors: &Tensors, config: &Fields) -> Result<Imported, DictionaryError> {
    let [d_in, d_sae] = tensors.dims("W_enc")?;
    for (field, found) in [("act_size", d_in), ("dict_size", d_sae)] {
        if config.count(field)?.is_some_and(|n| n != found) {
            return Err(config.refuse(field, &format!("{found}, as W_enc has")));
        }
    }
    let coder = Coder {
        w_enc: tensors.take_transposed("W_enc", [d_in, d_sae])?,
        b_enc: tensors.take("b_enc", &[d_sae])?,
        w_dec: tensors.take("W_dec", &[d_sae, d_in])?,
        b_dec: tensors.take("b_dec", &[d_in])?,
        subtracts: true,
        rows: Rows::Free,
        rule: Rule::Relu,
    };
    let facts = Facts {
        hook: config.text("act_name")?.map(str::to_owned),
        n_ctx: config.count("seq_len")?,
        // TransformerLens' models, as it loads them
        residual: Some(ResidualFrame::Centred),
        ..Facts::new(Format::AttentionSaes)
    };
    imported(tensors, coder, facts)
}

fn qwen(tensors: &Tensors, path: &Path) -> Result<Imported, DictionaryError> {
    let [d_sae, d_in] = tensors.dims("W_enc")?;
    let k = path.components().rev().find_map(|part| {
        let part = part.as_os_str().to_str()?;
        part.rsplit_once("-L0_")?.1.parse().ok()
    });
    let Some(k) = k.filter(|k| (1..=d_sae).contains(k)) else {
        let message = "no folder above it says how many features fire; expected one called as the repository is, such as \
                       SAE-Res-Qwen3-8B-Base-W64K-L0_50";
        return Err(refuse(path, message));
    };
    let coder = Coder {
        w_enc: tensors.take("W_enc", &[d_sae, d_in])?,
        b_enc: tensors.take("b_enc", &[d_sae])?,
        w_dec: tensors.take_transposed("W_dec", [d_in, d_sae])?,
        b_dec: tensors.take("b_dec", &[d_in])?,
        subtracts: false,
        rows: Rows::Free,
        rule: Rule::TopK { k },
    };
    let facts = Facts {
        hook: qwen_layer(path).map(|layer| HookPoint::block(layer, Site::ResidPost).to_string()),
        residual: Some(ResidualFrame::Raw),
        ..Facts::new(Format::QwenScope)
    };
    imported(tensors, coder, facts)
}

fn imported(tensors: &Tensors, coder: Coder, facts: Facts) -> Result<Imported, DictionaryError> {
    let dictionary = coder.into_dictionary().map_err(|message| refuse(tensors.path(), message))?;
    Ok(Imported { dictionary, facts })
}
