//! The weights of a Hugging Face folder: one safetensors file or an index of shards, memory-mapped; or those of a new model,
//! which are made as they are asked for.

use super::{
    Initial, ModelError,
    config::Held,
    finite,
    norm::{Norm, NormKind},
    tensor::{Linear, Weights},
};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use std::{
    cell::Cell,
    collections::{BTreeSet, HashMap},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Where a tensor lies.
struct Place {
    file: Arc<Mmap>,
    bytes: Range<usize>,
    dtype: Dtype,
    shape: Vec<usize>,
}

/// Where the tensors come from.
enum Source {
    /// A model folder.
    Folder(PathBuf, HashMap<String, Place>),
    /// Nowhere: each is made.
    New(Box<Initial>),
}

/// The tensors of a model by name.
pub(super) struct Checkpoint {
    source: Source,
    /// What stands before the names, found by [`Checkpoint::choose_prefix`].
    prefix: &'static str,
    n_params: Cell<u64>,
}

impl Checkpoint {
    pub(super) fn open(folder: &Path) -> Result<Self, ModelError> {
        let mut places = HashMap::new();
        for path in weight_files(folder)? {
            let file = Arc::new(map(&path)?);
            let damaged = |reason: String| ModelError::Damaged {
                path: path.clone(),
                expected: "a safetensors file",
                reason,
            };
            let (header, metadata) = SafeTensors::read_metadata(&file).map_err(|error| damaged(error.to_string()))?;
            for (name, info) in metadata.tensors() {
                let start = 8 + header;
                let place = Place {
                    file: file.clone(),
                    bytes: start + info.data_offsets.0..start + info.data_offsets.1,
                    dtype: info.dtype,
                    shape: info.shape.clone(),
                };
                let plain = plain_name(&name);
                if places.insert(plain.clone(), place).is_some() {
                    return Err(damaged(format!("it has tensor '{plain}' twice, once as '{name}'")));
                }
            }
        }
        Ok(Self::of(Source::Folder(folder.to_owned(), places)))
    }

    /// How much there is.
    pub(super) fn held(&self) -> Held {
        let Source::Folder(_, places) = &self.source else {
            return Held {
                tensors: usize::MAX,
                numbers: usize::MAX,
            };
        };
        let numbers = places.values().map(|place| place.shape.iter().product::<usize>());
        Held {
            tensors: places.len(),
            numbers: numbers.fold(0, usize::saturating_add),
        }
    }

    /// The tensors of a new model.
    pub(super) fn new(initial: Box<Initial>) -> Self {
        Self::of(Source::New(initial))
    }

    fn of(source: Source) -> Self {
        Self {
            source,
            prefix: "",
            n_params: Cell::new(0),
        }
    }

    /// Whole models prefix the names of the decoder's tensors, bare decoders do not: takes `prefix` if `name` is found behind it.
    pub(super) fn choose_prefix(&mut self, prefix: &'static str, name: &str) {
        let has = |name: &str| match &self.source {
            Source::Folder(_, places) => places.contains_key(name),
            Source::New(_) => false,
        };
        if has(&format!("{prefix}{name}")) || !has(name) {
            self.prefix = prefix;
        }
    }

    /// How many numbers have been taken so far.
    pub(super) fn n_params(&self) -> u64 {
        self.n_params.get()
    }

    /// A tensor of the decoder: its name without the prefix.
    pub(super) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Weights<f32>, ModelError> {
        self.outer(&format!("{}{name}", self.prefix), shape)
    }

    /// A tensor outside the decoder, such as the unembedding: its full name.
    pub(super) fn outer(&self, name: &str, shape: &[usize]) -> Result<Weights<f32>, ModelError> {
        let weights = match &self.source {
            Source::Folder(folder, places) => read(folder, places, name, shape)?,
            Source::New(initial) => {
                let numbers = initial(name, shape);
                assert_eq!(numbers.len(), shape.iter().product::<usize>(), "numbers of '{name}'");
                Weights::owned(name, shape, numbers)
            }
        };
        self.n_params.set(self.n_params.get() + weights.as_slice().len() as u64);
        Ok(weights)
    }

    /// torch's `Linear`: `name.weight` [d_out, d_in] and, with `bias`, `name.bias` [d_out].
    pub(super) fn linear(&self, name: &str, d_in: usize, d_out: usize, bias: bool) -> Result<Linear<f32>, ModelError> {
        self.map(name, d_in, d_out, true, bias)
    }

    /// GPT-2's `Conv1D`: `name.weight` [d_in, d_out] and `name.bias` [d_out].
    pub(super) fn conv1d(&self, name: &str, d_in: usize, d_out: usize) -> Result<Linear<f32>, ModelError> {
        self.map(name, d_in, d_out, false, true)
    }

    fn map(&self, name: &str, d_in: usize, d_out: usize, out_in: bool, bias: bool) -> Result<Linear<f32>, ModelError> {
        let shape = if out_in { [d_out, d_in] } else { [d_in, d_out] };
        Ok(Linear {
            weight: self.tensor(&format!("{name}.weight"), &shape)?,
            out_in,
            bias: match bias {
                true => Some(self.tensor(&format!("{name}.bias"), &[d_out])?),
                false => None,
            },
            d_in,
            d_out,
        })
    }

    /// LayerNorm: `name.weight` and `name.bias`.
    pub(super) fn layer_norm(&self, name: &str, width: usize, eps: f64) -> Result<Norm<f32>, ModelError> {
        Ok(Norm {
            kind: NormKind::Layer,
            eps,
            gain: self.tensor(&format!("{name}.weight"), &[width])?,
            bias: Some(self.tensor(&format!("{name}.bias"), &[width])?),
        })
    }

    /// RMSNorm: `name.weight`.
    pub(super) fn rms_norm(&self, name: &str, width: usize, eps: f64) -> Result<Norm<f32>, ModelError> {
        Ok(Norm {
            kind: NormKind::Rms,
            eps,
            gain: self.tensor(&format!("{name}.weight"), &[width])?,
            bias: None,
        })
    }

    /// RMSNorm whose gain is 1 + `name.weight`.
    pub(super) fn rms_norm_around_one(&self, name: &str, width: usize, eps: f64) -> Result<Norm<f32>, ModelError> {
        let norm = self.rms_norm(name, width, eps)?;
        Ok(Norm {
            gain: norm.gain.plus(1.0),
            ..norm
        })
    }
}

/// One tensor of a folder.
fn read(folder: &Path, places: &HashMap<String, Place>, name: &str, shape: &[usize]) -> Result<Weights<f32>, ModelError> {
    let place = places.get(name).ok_or_else(|| ModelError::NoTensor {
        folder: folder.to_owned(),
        name: name.to_owned(),
    })?;
    if place.shape != shape {
        return Err(ModelError::Shape {
            name: name.to_owned(),
            found: place.shape.clone(),
            expected: shape.to_vec(),
        });
    }
    let bytes = &place.file[place.bytes.clone()];
    let weights = match place.dtype {
        Dtype::F32 if bytemuck::try_cast_slice::<u8, f32>(bytes).is_ok() => {
            Weights::mapped(name, shape, place.file.clone(), place.bytes.clone())
        }
        Dtype::F32 => Weights::owned(name, shape, bytemuck::pod_collect_to_vec(bytes)),
        Dtype::F16 => Weights::owned(name, shape, halves(bytes, |bits| half::f16::from_bits(bits).to_f32())),
        Dtype::BF16 => Weights::owned(name, shape, halves(bytes, |bits| half::bf16::from_bits(bits).to_f32())),
        Dtype::F64 => {
            let wide: Vec<f64> = bytemuck::pod_collect_to_vec(bytes);
            Weights::owned(name, shape, wide.into_iter().map(|x| x as f32).collect())
        }
        other => {
            return Err(ModelError::Dtype {
                name: name.to_owned(),
                found: format!("{other:?}"),
            });
        }
    };
    match finite::first_other(weights.as_slice()) {
        None => Ok(weights),
        Some(at) => Err(ModelError::NotFinite {
            name: name.to_owned(),
            found: match place.dtype {
                // what is too large for f32 is said as it stands there
                Dtype::F64 => bytemuck::pod_read_unaligned(&bytes[8 * at..8 * at + 8]),
                _ => weights.as_slice()[at].into(),
            },
            index: finite::index(at, shape),
        }),
    }
}

/// A tensor's name without what torch's wrappers put into it: `_orig_mod` of `torch.compile`, `module` of parallel training.
fn plain_name(name: &str) -> String {
    let name = name.strip_prefix("module.").unwrap_or(name);
    let parts: Vec<_> = name.split('.').filter(|part| *part != "_orig_mod").collect();
    let plain = parts.join(".");
    plain.strip_prefix("module.").map(str::to_owned).unwrap_or(plain)
}

/// The files that hold the weights, in the order of their names.
pub(super) fn weight_files(folder: &Path) -> Result<Vec<PathBuf>, ModelError> {
    if folder.join(SINGLE).is_file() {
        return Ok(vec![folder.join(SINGLE)]);
    }
    let index = folder.join(INDEX);
    if !index.is_file() {
        let pickled = folder.join("pytorch_model.bin").is_file() || folder.join("pytorch_model.bin.index.json").is_file();
        return Err(ModelError::Missing {
            folder: folder.to_owned(),
            file: format!("{SINGLE} or {INDEX}"),
            advice: if pickled {
                "its pytorch_model.bin is a pickle, which can run code and is never read; convert it once in Python with \
                 AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(NEW_FOLDER)"
            } else {
                "expected weights in safetensors"
            },
        });
    }
    let damaged = |reason: String| ModelError::Damaged {
        path: index.clone(),
        expected: "an index of safetensors shards",
        reason,
    };
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: HashMap<String, String>,
    }
    let bytes = crate::file::read(&index).map_err(|source| ModelError::Read {
        path: index.clone(),
        source,
    })?;
    let shards: Index = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    let names: BTreeSet<String> = shards.weight_map.into_values().collect();
    for name in &names {
        if Path::new(name).file_name() != Some(name.as_ref()) {
            return Err(damaged(format!("shard '{name}' is not the name of a file in the folder")));
        }
        if !folder.join(name).is_file() {
            return Err(ModelError::Missing {
                folder: folder.to_owned(),
                file: name.clone(),
                advice: "its index of shards names it; download it again",
            });
        }
    }
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

/// Maps a file read-only.
#[allow(unsafe_code)]
fn map(path: &Path) -> Result<Mmap, ModelError> {
    let read = |source| ModelError::Read {
        path: path.to_owned(),
        source,
    };
    let file = crate::file::open(path).map_err(read)?;
    // SAFETY: the map is read-only; as every reader of mapped weights, we rely on nobody truncating the file meanwhile,
    // and any bytes at all are valid numbers.
    unsafe { Mmap::map(&file) }.map_err(read)
}

fn halves(bytes: &[u8], to_f32: impl Fn(u16) -> f32) -> Vec<f32> {
    bytes
        .chunks_exact(2)
        .map(|two| to_f32(u16::from_le_bytes([two[0], two[1]])))
        .collect()
}
