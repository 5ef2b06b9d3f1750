//! A registered dictionary in another tool's files.

use anyhow::{Context as _, Result};
use api::{ConfigError, DictionaryId, DictionaryInfo, DictionaryKind, HookPoint, InputScale, ModelInfo, Objective, Site};
use engine::{
    dictionary::{Dictionary, DictionaryError, Normaliser, load, load_fired},
    exchange::{Beside, Facts, Format, Place, pack, write},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use store::Store;

use crate::imported::gain_at;

/// A dictionary to be written.
#[derive(Debug)]
pub struct Export {
    id: DictionaryId,
    model: ModelInfo,
    file: PathBuf,
    facts: Facts,
}

/// The formats that are written, by the names that the command line and the API have for them.
pub const WRITTEN: [(&str, Format); 7] = [
    ("saelens", Format::SaeLens),
    ("dictionary_learning", Format::DictionaryLearning),
    ("sparsify", Format::Sparsify),
    ("openai", Format::OpenAi),
    ("gemma_scope", Format::GemmaScope),
    ("e2e_sae", Format::E2eSae),
    ("sparse_coding", Format::SparseCoding),
];

/// Finds the dictionary `id`, to be written as `format` has it.
///
/// # Errors
/// A dictionary that is not there, or whose file is damaged.
pub async fn export(store: &Store, id: DictionaryId, format: Format) -> Result<Export> {
    let missing = || ConfigError::new("dictionary", format!("there is no dictionary {id} in the registry"));
    let info = store.dictionary(id).await?.ok_or_else(missing)?;
    let job = store.job(info.job).await?;
    let packing = job.and_then(|job| job.config.training().map(|config| config.packing));
    let model = store.model(&info.model).await?;
    let model = model.with_context(|| format!("model '{}' of dictionary {id} is not in the registry", info.model))?;
    // e2e_sae's stream is the centred one, but of a model that has no other than its own
    let has_frames = format != Format::E2eSae || model.layer_norm;
    let facts = Facts {
        model: Some(info.model.0.clone()),
        hook: Some(info.at.to_string()),
        residual: has_frames.then_some(info.residual),
        objective: objective(&info),
        lr: Some(info.config.lr).filter(|lr| *lr > 0.0),
        seed: Some(info.config.seed),
        tokens: Some(info.tokens).filter(|tokens| *tokens > 0),
        n_ctx: packing.map(|packing| packing.n_ctx),
        bos: packing.map(|packing| packing.bos),
        ..Facts::new(format)
    };
    let file = store.verify_dictionary(id).await?;
    Ok(Export { id, model, file, facts })
}

/// What it was trained to do, where λ is of an L1 penalty of activations in the model's units; an imported one may have no λ.
fn objective(info: &DictionaryInfo) -> Option<Objective> {
    let is_plain = info.input_scale == InputScale::None && !matches!(info.config.kind, DictionaryKind::PAnneal { .. });
    Some(info.config.objective).filter(|objective| is_plain && objective.sparsity() > 0.0)
}

/// The dictionary as sparsify's modules have it, and what is said of it: what a norm gives to a module is behind the norm's gain and bias, and
/// what attention and the MLP give is before a norm that follows them.
///
/// # Errors
/// Places where that cannot be turned back, and a model that cannot be loaded.
fn of_module(dictionary: Dictionary<f32>, facts: Facts, model: &ModelInfo) -> Result<(Dictionary<f32>, Facts)> {
    let refused = |message: String| Err(ConfigError::new("format", message).into());
    if let Some(at @ HookPoint::Block { site, .. }) = facts.at()
        && [Site::AttnOut, Site::MlpOut].contains(&site)
        && model.family == "gemma2"
    {
        return refused(format!(
            "found {at}, behind the norm that follows in '{}'; sparsify's read a module's output, which is before it",
            model.id
        ));
    }
    let (Some(at), Normaliser::Scale(scale)) = (dictionary.kind().read_at(), facts.normaliser) else {
        return Ok((dictionary, facts));
    };
    if !at.is_norm() {
        return Ok((dictionary, facts));
    }
    let (gain, bias) = gain_at(model, facts.residual.unwrap_or_default(), at)?;
    if gain.contains(&0.0) {
        return refused(format!(
            "found a gain of 0 in the norm of {at}; sparsify's read behind it, where that dimension is not told"
        ));
    }
    // y = g ∘ x + β is read for x = y / g − β / g, and what the dictionary sees is that times the scale
    let inverse: Vec<f32> = gain.iter().map(|g| 1.0 / g).collect();
    let shift = bias.map(|bias| bias.iter().zip(&gain).map(|(b, g)| -b / g * scale as f32).collect::<Vec<_>>());
    let beside = Beside::Gain;
    let facts = Facts {
        reads: Some(Place { at, beside }),
        ..facts
    };
    Ok((dictionary.before_gain(&inverse, shift.as_deref()), facts))
}

impl Export {
    /// Writes it into `folder`, which is made if it is not there. Takes as long as reading and writing the weights does.
    ///
    /// # Errors
    /// A dictionary that the format cannot say ([`ConfigError`] of `format`); files that cannot be read or written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let (dictionary, file) = load(&self.file)?;
        let fired = load_fired(&self.file)?.filter(|fired| fired.n_tokens > 0);
        let frequencies = fired.map(|fired| -> Vec<f32> {
            let share = |n: &u32| (f64::from(*n) / fired.n_tokens as f64) as f32;
            fired.firings.iter().map(share).collect()
        });
        let facts = Facts {
            normaliser: file.normaliser,
            ..self.facts.clone()
        };
        let (dictionary, facts) = match facts.format {
            Format::Sparsify => of_module(dictionary, facts, &self.model)?,
            _ => (dictionary, facts),
        };
        write(&dictionary, &facts, frequencies.as_deref(), folder).map_err(|error| match error {
            // the folder is of no interest where the dictionary is what does not fit
            DictionaryError::Format { message, .. } => {
                let (id, format) = (self.id, self.facts.format);
                ConfigError::new(
                    "format",
                    format!("dictionary {id} cannot be written as {format}'s: {message}"),
                )
                .into()
            }
            io @ DictionaryError::Io { .. } => anyhow::Error::from(io),
        })
    }

    /// As [`Export::write`], as one zip archive whose files lie in the folder `name`.
    ///
    /// # Errors
    /// As [`Export::write`], and of 4 GiB or more.
    pub fn zip(&self, name: &str) -> Result<Vec<u8>> {
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        self.write(folder.path())?;
        let entries = fs::read_dir(folder.path()).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
        let mut files = Vec::new();
        for entry in entries.context("cannot read what was written")? {
            let path = entry.path();
            let content = fs::read(&path).with_context(|| format!("cannot read '{}'", path.display()))?;
            files.push((format!("{name}/{}", entry.file_name().display()), content));
        }
        files.sort();
        let too_large = || {
            let message = format!("dictionary {} is of 4 GiB or more; write it with saescope export", self.id);
            ConfigError::new("format", message)
        };
        Ok(pack(&files).ok_or_else(too_large)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imported::tests::{model, output};
    use engine::exchange::{Choice, read};

    /// What reads before a norm's gain is written as what reads behind it, and gives the same there.
    #[test]
    fn sparsifys_transcoders_read_behind_the_gain() {
        for family in ["gpt2", "llama"] {
            let info = model(family);
            let d = info.d_model;
            let x: Vec<f32> = (0..20 * d).map(|i| ((i * 37 % 101) as f32 / 50.0) - 1.0).collect();
            for (from, written, module) in [
                (Site::Ln1, Site::AttnOut, "layers.1.attn"),
                (Site::Ln2, Site::MlpOut, "layers.1.mlp"),
            ] {
                let [read_at, to] = [from, written].map(|site| HookPoint::block(1, site));
                let kind = DictionaryKind::TopKSkipTranscoder {
                    read_at,
                    k: 5,
                    aux_coefficient: 0.1,
                    dead_tokens: 9,
                };
                let mut ours = Dictionary::<f32>::between(kind, (d, d), 40, 1);
                ours.update(|parameters| {
                    for tensor in &mut parameters.0 {
                        let each = tensor.data.iter_mut().enumerate();
                        each.for_each(|(i, w)| *w += (i % 7) as f32 / 20.0 - 0.15);
                    }
                });
                let (gain, bias) = gain_at(&info, api::ResidualFrame::Raw, read_at).unwrap();
                let bias = bias.unwrap_or_else(|| vec![0.0; d]);
                let each = gain.iter().zip(&bias).cycle();
                let behind: Vec<f32> = x.iter().zip(each).map(|(x, (g, b))| x * g + b).collect();
                for scale in [1.0f32, 0.5] {
                    let facts = Facts {
                        hook: Some(to.to_string()),
                        residual: Some(api::ResidualFrame::Raw),
                        normaliser: Normaliser::Scale(scale.into()),
                        ..Facts::new(Format::Sparsify)
                    };
                    let (theirs, facts) = of_module(ours.clone(), facts, &info).unwrap();
                    let folder = tempfile::tempdir().unwrap();
                    let path = folder.path().join(module);
                    write(&theirs, &facts, None, &path).unwrap();
                    let again = read(&path, &Choice::default()).unwrap();
                    assert_eq!(again.facts.reads, facts.reads);
                    let seen: Vec<f32> = x.iter().map(|x| x * scale).collect();
                    let expected: Vec<f32> = output(&ours, &seen).iter().map(|y| y / scale).collect();
                    let found = output(&again.dictionary, &behind);
                    let off = expected.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    assert!(off < 1e-4, "{family} {read_at}, scale {scale}: {off}");
                    // as it stands it would read something else
                    let unturned = output(&ours, &behind);
                    let off = expected.iter().zip(&unturned).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    assert!(off > 1e-2, "{family} {read_at}: {off}");
                }
            }
        }
    }

    #[test]
    fn a_modules_output_is_before_the_norm_that_follows() {
        let facts = |site| Facts {
            hook: Some(HookPoint::block(1, site).to_string()),
            ..Facts::new(Format::Sparsify)
        };
        let plain = || Dictionary::<f32>::random(DictionaryKind::Relu, 24, 40, 1);
        let written = |family, site| {
            of_module(plain(), facts(site), &model(family))
                .map(drop)
                .map_err(|e| e.to_string())
        };
        let error = written("gemma2", Site::MlpOut).unwrap_err();
        assert!(
            error.contains("found blocks.1.hook_mlp_out, behind the norm that follows in 'gemma2'"),
            "{error}"
        );
        assert_eq!(written("gemma2", Site::ResidPost), Ok(()));
        assert_eq!(written("gpt2", Site::MlpOut), Ok(()));
    }
}
