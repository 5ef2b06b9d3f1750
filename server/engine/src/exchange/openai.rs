//! OpenAI's files (openai/sparse_autoencoder): one `.pt`, a state dict with the activation's name among its entries.
//!
//! encode: z = W (x − pre_bias) + latent_bias; the decoder's matrix is [d_in, d_sae].
//! With the activation TopK their code normalises each token (`normalize = activation == "TopK"`), and takes that back in the output:
//! such a file is refused, since a dictionary here is one of the activations themselves.

use std::path::Path;

use super::{
    Facts, Format, Imported,
    coder::{Coder, Rows, Rule},
    errors::refuse,
    pickle::Node,
    tensors::Tensors,
    torch::Saved,
};
use crate::dictionary::DictionaryError;

/// What training keeps beside the weights.
const STATISTICS: [&str; 3] = ["stats_last_nonzero", "latents_activation_frequency", "latents_mean_square"];

/// Whether a state dict looks like theirs.
pub fn is_known(tensors: &Tensors) -> bool {
    tensors.has("pre_bias") && tensors.has("latent_bias") && tensors.has("encoder.weight")
}

/// Reads a file.
///
/// # Errors
/// An activation that is not ReLU, and tensors that do not fit.
pub fn read(path: &Path) -> Result<Imported, DictionaryError> {
    let saved = Saved::open(path)?;
    let entries = saved.state_dict()?;
    let mut tensors = saved.tensors(entries)?;
    STATISTICS.iter().for_each(|name| tensors.drop(name));
    tensors.only(&["pre_bias", "latent_bias", "encoder.weight", "decoder.weight"])?;
    let activation = saved.pickle().entries(entries).find(|(name, _)| *name == "activation");
    match activation.map(|(_, value)| value) {
        None => {}
        Some(Node::Text(name)) if name == "ReLU" => {}
        Some(Node::Text(name)) => {
            let reason = match name.as_str() {
                "TopK" => ": it normalises each token by itself, and a dictionary here is one of the activations themselves",
                _ => "",
            };
            return Err(refuse(path, format!("its activation is '{name}'; expected ReLU{reason}")));
        }
        Some(_) => return Err(refuse(path, "its activation is no name; expected ReLU")),
    }
    let [d_sae, d_in] = tensors.dims("encoder.weight")?;
    let coder = Coder {
        w_enc: tensors.take("encoder.weight", &[d_sae, d_in])?,
        b_enc: tensors.take("latent_bias", &[d_sae])?,
        w_dec: tensors.take_transposed("decoder.weight", [d_in, d_sae])?,
        b_dec: tensors.take("pre_bias", &[d_in])?,
        subtracts: true,
        rows: Rows::Free,
        rule: Rule::Relu,
    };
    let dictionary = coder.into_dictionary().map_err(|message| refuse(path, message))?;
    Ok(Imported {
        dictionary,
        facts: Facts::new(Format::OpenAi),
    })
}
