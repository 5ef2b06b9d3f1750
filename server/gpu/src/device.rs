//! A device as the engine's runs want it: `engine::train::Device` and `engine::train::Backend`.

use api::{ConfigError, HookPoint, KindName, TrainConfig};
use candle_core as candle;
use engine::{
    dictionary::{Dictionary, Normaliser},
    metrics::{Passes, Subject},
    model::Model as HostModel,
    train::{Backend, Device, Steps, TrainError, Trainee},
};

use crate::{evaluate, host, model::Model, steps::GpuSteps};

/// A GPU, or candle's processor kernels in its place.
#[derive(Clone, Debug)]
pub struct Gpu {
    device: candle::Device,
    name: String,
}

impl Gpu {
    /// The first NVIDIA GPU.
    ///
    /// # Errors
    /// When there is none, its driver is missing, or this build lacks the feature `cuda`.
    pub fn cuda() -> Result<Self, TrainError> {
        Self::open("cuda", candle::Device::new_cuda(0))
    }

    /// The first Apple GPU.
    ///
    /// # Errors
    /// When there is none, or this build lacks the feature `metal`.
    pub fn metal() -> Result<Self, TrainError> {
        Self::open("metal", candle::Device::new_metal(0))
    }

    /// candle's processor kernels: the same code path without a GPU, for tests. Slower than the engine's own.
    pub fn processor() -> Self {
        Self {
            device: candle::Device::Cpu,
            name: "candle on the cpu".into(),
        }
    }

    fn open(name: &str, device: candle::Result<candle::Device>) -> Result<Self, TrainError> {
        match device {
            Ok(device) => Ok(Self {
                device,
                name: name.into(),
            }),
            Err(error) => Err(failed(name)(error)),
        }
    }
}

impl Device for Gpu {
    fn name(&self) -> &str {
        &self.name
    }

    fn backend<'m>(&self, model: &'m HostModel<f32>) -> Result<Box<dyn Backend + 'm>, TrainError> {
        Ok(Box::new(OnGpu::new(self, model)?))
    }
}

/// A model on a GPU.
pub struct OnGpu<'m> {
    /// Where the work is done.
    pub model: Model<'m>,
    name: String,
}

impl<'m> OnGpu<'m> {
    /// Copies a model to the GPU.
    ///
    /// # Errors
    /// The device's.
    pub fn new(gpu: &Gpu, model: &'m HostModel<f32>) -> Result<Self, TrainError> {
        let name = gpu.name.clone();
        let model = Model::new(model, &gpu.device).map_err(failed(&name))?;
        Ok(Self { model, name })
    }

    /// Turns the device's errors into those of a run.
    pub(crate) fn run<T>(&self, result: candle::Result<T>) -> Result<T, TrainError> {
        result.map_err(failed(&self.name))
    }

    /// Refuses the kinds of dictionary that only the engine computes.
    ///
    /// # Errors
    /// With the kind, and what to do.
    pub(crate) fn supports(&self, dictionary: &Dictionary<f32>) -> Result<(), TrainError> {
        self.computes(dictionary.kind().name())
    }

    /// Refuses steps that draw from a buffer, which only the engine makes.
    ///
    /// # Errors
    /// With what to do.
    pub(crate) fn no_buffer(&self) -> Result<(), TrainError> {
        let message = format!(
            "found a buffer on {}, which trains on contexts in order; leave --device out to train from a buffer on the cpu",
            self.name
        );
        Err(ConfigError::new("buffer_tokens", message).into())
    }

    /// Refuses the resampling of dead features, which only the engine does.
    ///
    /// # Errors
    /// With what to do.
    pub(crate) fn no_resampling(&self, config: &TrainConfig) -> Result<(), TrainError> {
        match config.dictionaries.iter().find(|d| d.course.resample_steps > 0) {
            None => Ok(()),
            Some(d) => {
                let message = format!(
                    "found {} on {}, which resamples no features; leave --device out to train on the cpu",
                    d.course.resample_steps, self.name
                );
                Err(ConfigError::new("resample_steps", message).into())
            }
        }
    }

    /// What only the engine checks: that the model can read the contexts.
    pub(crate) fn check(&self, contexts: &[&[u32]]) -> Result<(), TrainError> {
        Ok(contexts.iter().try_for_each(|context| self.model.host.check(context))?)
    }

    /// The same as [`Backend::steps`], under its own type.
    ///
    /// # Errors
    /// When the model has no such hook point, and the device's.
    pub fn training(
        &self,
        config: &TrainConfig,
        normaliser: Normaliser,
        trainees: Vec<Trainee<f32>>,
    ) -> Result<GpuSteps<'_, 'm>, TrainError> {
        GpuSteps::new(self, config, normaliser, trainees)
    }
}

fn failed(device: &str) -> impl Fn(candle::Error) -> TrainError {
    move |error| TrainError::Device {
        device: device.to_owned(),
        message: error.to_string(),
    }
}

impl Backend for OnGpu<'_> {
    fn model(&self) -> &HostModel<f32> {
        self.model.host
    }

    fn computes(&self, kind: KindName) -> Result<(), TrainError> {
        match kind {
            KindName::Relu => Ok(()),
            other => {
                let message = format!(
                    "found {other} on {}, which computes relu alone; leave --device out to compute {other} on the cpu",
                    self.name
                );
                Err(ConfigError::new("kind", message).into())
            }
        }
    }

    fn squares(&self, at: HookPoint, contexts: &[&[u32]]) -> Result<f64, TrainError> {
        self.model.host.width(at)?;
        self.check(contexts)?;
        let squares = || {
            let form = self.model.form(contexts.len(), contexts.first().map_or(0, |c| c.len()))?;
            let cut = self.model.prefix(contexts, &form, at)?;
            host::sum(&cut.value().sqr()?.sum(1)?)
        };
        self.run(squares())
    }

    fn activations(&self, at: HookPoint, contexts: &[&[u32]], x: &mut Vec<f32>) -> Result<(), TrainError> {
        self.model.host.width(at)?;
        self.check(contexts)?;
        let read = || {
            let form = self.model.form(contexts.len(), contexts.first().map_or(0, |c| c.len()))?;
            self.model.prefix(contexts, &form, at)?.value().flatten_all()?.to_vec1()
        };
        *x = self.run(read())?;
        Ok(())
    }

    fn steps<'a>(
        &'a self,
        config: &TrainConfig,
        normaliser: Normaliser,
        trainees: Vec<Trainee<f32>>,
    ) -> Result<Box<dyn Steps + 'a>, TrainError> {
        Ok(Box::new(self.training(config, normaliser, trainees)?))
    }

    fn passes<'a>(&'a self, at: HookPoint, subjects: &'a [Subject<'a>]) -> Result<Box<dyn Passes<TrainError> + 'a>, TrainError> {
        Ok(Box::new(evaluate::passes(self, at, subjects)?))
    }
}
