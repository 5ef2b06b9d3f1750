//! Training and measuring on a GPU: what the engine computes, a second time, in tensors of candle.
//!
//! The engine's processor kernels are the reference: same formulas, same hook points, same order of terms. Families, configs and
//! checks are the engine's; a loaded model's parts are copied to the device. Gradients are explicit here too, and only of
//! activations and dictionaries: candle's tape is not used. Everything is f32.
//!
//! A batch is one matrix [n_tokens, width], its contexts one after the other. The files follow the engine's:
//!
//! | here | there |
//! |---|---|
//! | `linear`, `norm`, `rope`, `attention`, `mlp`, `block` | `engine::model`'s parts |
//! | `model` | `engine::model`'s passes |
//! | `logits` | `engine::objective::kl`, `engine::metrics`' cross-entropies |
//! | `relu`, `adam` | `engine::dictionary::Relu`, `engine::train::adam` |
//! | `steps`, `evaluate`, `device` | `engine::train`'s `Stepper`, `engine::metrics::evaluate`, the traits of `engine::train` |

mod adam;
mod attention;
mod block;
mod cap;
mod device;
mod evaluate;
mod form;
mod host;
mod linear;
mod logits;
mod mlp;
mod model;
mod norm;
mod normaliser;
mod relu;
mod rope;
mod steps;

pub use device::{Gpu, OnGpu};
pub use form::Form;
pub use model::{Chunks, Cut, Model, Tape};
pub use steps::GpuSteps;
