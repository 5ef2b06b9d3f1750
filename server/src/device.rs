//! What computes the jobs: the processor, or a GPU where this build has support for it. The features `cuda` and `metal` change
//! this file and nothing else.

use api::ConfigError;
use clap::ValueEnum;
use engine::train::{Cpu, Device};
use std::sync::Arc;

/// The devices that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// The processor
    Cpu,
    /// An NVIDIA GPU
    Cuda,
    /// An Apple GPU
    Metal,
}

impl Kind {
    /// Gets the device ready.
    ///
    /// # Errors
    /// When this build lacks it or the machine has none.
    pub fn open(self) -> Result<Arc<dyn Device>, ConfigError> {
        match self {
            Kind::Cpu => Ok(Arc::new(Cpu)),
            #[cfg(feature = "cuda")]
            Kind::Cuda => opened("cuda", gpu::Gpu::cuda()),
            #[cfg(not(feature = "cuda"))]
            Kind::Cuda => Err(lacking("cuda")),
            #[cfg(feature = "metal")]
            Kind::Metal => opened("metal", gpu::Gpu::metal()),
            #[cfg(not(feature = "metal"))]
            Kind::Metal => Err(lacking("metal")),
        }
    }
}

#[cfg(any(feature = "cuda", feature = "metal"))]
fn opened(name: &str, gpu: Result<gpu::Gpu, engine::train::TrainError>) -> Result<Arc<dyn Device>, ConfigError> {
    match gpu {
        Ok(gpu) => Ok(Arc::new(gpu)),
        Err(error) => Err(ConfigError::new(
            "device",
            format!("found {name}, but no such device could be opened ({error}); give cpu, or leave --device out"),
        )),
    }
}

#[cfg(not(all(feature = "cuda", feature = "metal")))]
fn lacking(name: &str) -> ConfigError {
    ConfigError::new(
        "device",
        format!(
            "found {name}; this build lacks the feature '{name}': build with --features {name}, or leave --device out to \
             compute on the cpu"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_always_there() {
        assert_eq!(Kind::Cpu.open().map(|device| device.name().to_owned()), Ok("cpu".to_owned()));
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_device_that_is_not_compiled_in_is_named() {
        let message = Kind::Cuda.open().err().map(|error| error.to_string()).unwrap_or_default();
        assert!(message.contains("found cuda") && message.contains("'cuda'"), "{message}");
    }
}
