//! Llama Scope's folders: `hyperparams.json` and `checkpoints/final.safetensors`, the weights of two linear layers; and its later form, for
//! DeepSeek-R1's distilled Llama: `config.json` and `sae_weights.safetensors`, with a threshold for each feature.
//!
//! encode: z = W s x + b, c = z · 1[z > θ], s = √d / (the mean length of the training text's activations); x̂ = (D c + b_dec) / s. The
//! first form's one threshold is in the file over s: it is taken s times, as SAELens has it since its authors mended that
//! (decoderesearch/SAELens, pull request 483). The second form does not say s, which SAELens' registry does.

use api::ResidualFrame;
use std::path::{Path, PathBuf};

use super::{
    Choice, Facts, Format, Imported,
    coder::{Coder, Rows, Rule},
    errors::refuse,
    fields::Fields,
    folder::in_folder,
    tensors::Tensors,
};
use crate::dictionary::{DictionaryError, Normaliser};

/// The first form's weights, in its folder.
pub const WEIGHTS: &str = "checkpoints/final.safetensors";
const HYPERPARAMETERS: &str = "hyperparams.json";
const CONFIG: &str = "config.json";
const LAYERS: [&str; 4] = ["encoder.weight", "encoder.bias", "decoder.weight", "decoder.bias"];
const LOG_THRESHOLD: &str = "log_jumprelu_threshold";

/// The folder of the first form whose weights are at `weights`.
pub fn folder_of(weights: &Path) -> Option<PathBuf> {
    let folder = weights.ends_with(WEIGHTS).then(|| weights.parent()?.parent()).flatten()?;
    Some(if folder.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        folder.to_owned()
    })
}

/// Whether a folder with `sae_weights.safetensors` is of the second form.
pub fn is_distilled(folder: &Path) -> bool {
    !folder.join("cfg.json").is_file() && folder.join(CONFIG).is_file()
}

/// Reads a folder of the first form.
///
/// # Errors
/// Options that change the output in a way that is not done here, those of a transcoder, and tensors that do not fit.
pub fn read(folder: &Path) -> Result<Imported, DictionaryError> {
    let config = Fields::open(&in_folder(folder, HYPERPARAMETERS)?)?;
    match config.text("act_fn")? {
        None | Some("jumprelu") => {}
        Some(_) => return Err(config.refuse("act_fn", "jumprelu")),
    }
    match config.text("norm_activation")? {
        None | Some("dataset-wise") => {}
        Some(_) => return Err(config.refuse("norm_activation", "dataset-wise")),
    }
    config.off("apply_decoder_bias_to_pre_encoder", "its dictionaries see x, not x − b_dec")?;
    let tensors = Tensors::open(&in_folder(folder, WEIGHTS)?)?;
    tensors.only(&LAYERS)?;
    let [d_sae, d_in] = tensors.dims(LAYERS[0])?;
    let norms = config.object("dataset_average_activation_norm")?;
    let [read, written] = ["in", "out"].map(|name| {
        let norm = norms.number(name)?.filter(|norm| norm.is_finite() && *norm > 0.0);
        norm.ok_or_else(|| norms.refuse(name, "a number above 0"))
    });
    let (read, written) = (read?, written?);
    let hook = one_place(&config)?;
    if read != written {
        return Err(norms.refuse("out", &format!("{read}, as in: a dictionary is of one place")));
    }
    let scale = (d_in as f64).sqrt() / read;
    let threshold = config.number("jump_relu_threshold")?;
    let threshold = threshold.ok_or_else(|| config.refuse("jump_relu_threshold", "a number"))? * scale;
    let facts = Facts { hook, ..facts(None) };
    imported(&tensors, vec![threshold as f32; d_sae], scale, facts)
}

/// Reads a folder of the second form, whose s is `choice`'s.
///
/// # Errors
/// As [`read`], and where s is not said.
pub fn read_distilled(folder: &Path, choice: &Choice) -> Result<Imported, DictionaryError> {
    let config = Fields::open(&in_folder(folder, CONFIG)?)?;
    let tensors = Tensors::open(&in_folder(folder, super::saelens::WEIGHTS)?)?;
    tensors.only(&[&LAYERS[..], &[LOG_THRESHOLD]].concat())?;
    let [d_sae, _] = tensors.dims(LAYERS[0])?;
    let hook = one_place(&config)?;
    let Some(Normaliser::Scale(scale)) = choice.normaliser else {
        let message = "does not say by what its activations are divided; import it by its name in SAELens' registry, which does: \
                       llama_scope_r1_distill/l15r_800m_slimpajama";
        return Err(refuse(tensors.path(), message));
    };
    let logarithms = tensors.take(LOG_THRESHOLD, &[d_sae])?;
    let facts = Facts {
        hook,
        ..facts(config.text("model_name")?)
    };
    imported(&tensors, logarithms.into_iter().map(f32::exp).collect(), scale, facts)
}

/// The one hook point of a dictionary.
fn one_place(config: &Fields) -> Result<Option<String>, DictionaryError> {
    let (read, written) = (config.text("hook_point_in")?, config.text("hook_point_out")?);
    match (read, written) {
        (Some(read), Some(written)) if read != written => {
            let expected = format!("{read}, as hook_point_in: a transcoder reads at one place and writes at another");
            Err(config.refuse("hook_point_out", &expected))
        }
        _ => Ok(read.map(str::to_owned)),
    }
}

fn facts(model: Option<&str>) -> Facts {
    Facts {
        model: model.map(str::to_owned),
        residual: Some(ResidualFrame::Raw),
        ..Facts::new(Format::LlamaScope)
    }
}

fn imported(tensors: &Tensors, threshold: Vec<f32>, scale: f64, facts: Facts) -> Result<Imported, DictionaryError> {
    let [d_sae, d_in] = tensors.dims(LAYERS[0])?;
    let coder = Coder {
        w_enc: tensors.take(LAYERS[0], &[d_sae, d_in])?,
        b_enc: tensors.take(LAYERS[1], &[d_sae])?,
        w_dec: tensors.take_transposed(LAYERS[2], [d_in, d_sae])?,
        b_dec: tensors.take(LAYERS[3], &[d_in])?,
        subtracts: false,
        rows: Rows::Free,
        rule: Rule::Jump { threshold },
    };
    let dictionary = coder.of_scaled(scale).into_dictionary();
    let dictionary = dictionary.map_err(|message| refuse(tensors.path(), message))?;
    Ok(Imported { dictionary, facts })
}
