//! Measuring dictionaries on the device: passes, codes, errors and cross-entropies are computed there. The moments of the
//! activations are not: a variance beside a large mean needs f64, which not every device has, so the activations come to the
//! processor, which sums them up as it does for itself.

use api::HookPoint;
use candle_core::{self as candle, Tensor};
use engine::{
    dictionary::Normaliser,
    metrics::{Answer, Batch, Compared, Firings, Passes, Subject, points},
    train::TrainError,
};

use crate::{
    device::OnGpu,
    form::Form,
    host::{numbers, squared_errors},
    logits,
    model::{Cut, Model},
    normaliser,
    relu::{Relu, fired},
};

/// What computes what `subjects` do to the model, on the device.
pub fn passes<'a>(
    on: &'a OnGpu<'a>,
    at: HookPoint,
    subjects: &[Subject<'_>],
) -> Result<impl Passes<TrainError> + use<'a>, TrainError> {
    let model = &on.model;
    model.host.width(at)?;
    subjects.iter().try_for_each(|subject| on.supports(subject.dictionary))?;
    let dictionary = |subject: &Subject<'_>| Ok((Relu::new(subject.dictionary.parameters(), &model.device)?, subject.normaliser));
    let dictionaries: Vec<_> = on.run(subjects.iter().map(dictionary).collect())?;
    Ok(OnDevice {
        on,
        points: points(model.host, at),
        dictionaries,
    })
}

/// What computes the batches.
struct OnDevice<'a> {
    on: &'a OnGpu<'a>,
    points: Vec<HookPoint>,
    dictionaries: Vec<(Relu, Normaliser)>,
}

impl Passes<TrainError> for OnDevice<'_> {
    fn activations(&mut self, contexts: &[&[u32]]) -> Result<Vec<f32>, TrainError> {
        let model = &self.on.model;
        self.on.check(contexts)?;
        let prefix = || {
            let form = model.form(contexts.len(), contexts.first().map_or(0, |c| c.len()))?;
            numbers(model.prefix(contexts, &form, self.points[0])?.value())
        };
        self.on.run(prefix())
    }

    fn batch(&mut self, contexts: &[&[u32]], units: &[Option<u32>], ablations: &[Vec<f32>]) -> Result<Batch, TrainError> {
        self.on.check(contexts)?;
        let found = batch(&self.on.model, &self.points, &self.dictionaries, contexts, units, ablations);
        self.on.run(found)
    }
}

/// The clean pass of a batch.
struct Clean<'a> {
    form: &'a Form,
    cut: Cut,
    /// The later ones of the points that are measured.
    points: &'a [HookPoint],
    /// The activations there.
    later: Vec<Tensor>,
    /// The input of the unembedding.
    out: Tensor,
    /// Each token's next one [n_tokens].
    next: Tensor,
    /// The units whose firings are counted.
    units: Vec<u32>,
    /// 1 for the tokens of each, else 0: [n_units, n_tokens].
    of_units: Tensor,
}

fn batch(
    model: &Model<'_>,
    points: &[HookPoint],
    dictionaries: &[(Relu, Normaliser)],
    contexts: &[&[u32]],
    units: &[Option<u32>],
    ablations: &[Vec<f32>],
) -> candle::Result<Batch> {
    let form = model.form(contexts.len(), contexts.first().map_or(0, |c| c.len()))?;
    let cut = model.prefix(contexts, &form, points[0])?;
    let mut later = Vec::new();
    let mut keep = |point: HookPoint, value: &mut Tensor| {
        if points[1..].contains(&point) {
            later.push(value.clone());
        }
        Ok(())
    };
    let out = model.suffix(&cut, cut.value(), &form, &mut keep, None)?;
    // the token after the last is unknown; its own id stands in, and the value is left out of the sums
    let next = |context: &&[u32]| -> Vec<u32> { context.iter().skip(1).chain(context.last()).copied().collect() };
    let next: Vec<u32> = contexts.iter().flat_map(next).collect();
    let mut counted: Vec<u32> = units.iter().flatten().copied().collect();
    counted.sort_unstable();
    counted.dedup();
    let of_unit = |own: &u32| {
        units
            .iter()
            .map(|unit| f32::from(u8::from(*unit == Some(*own))))
            .collect::<Vec<f32>>()
    };
    let of_units: Vec<f32> = counted.iter().flat_map(of_unit).collect();
    let clean = Clean {
        cut,
        points: &points[1..],
        later,
        out,
        next: Tensor::new(&next[..], &model.device)?,
        of_units: Tensor::from_vec(of_units, (counted.len(), units.len()), &model.device)?,
        units: counted,
        form: &form,
    };
    let mut activations = vec![numbers(clean.cut.value())?];
    for tensor in &clean.later {
        activations.push(numbers(tensor)?);
    }
    let answers = dictionaries
        .iter()
        .map(|(relu, normaliser)| answer(model, &clean, relu, *normaliser));
    Ok(Batch {
        clean: activations,
        answers: answers.collect::<candle::Result<_>>()?,
        ablations: ablations
            .iter()
            .map(|vector| ablated(model, &clean, vector))
            .collect::<candle::Result<_>>()?,
    })
}

fn answer(model: &Model<'_>, clean: &Clean<'_>, relu: &Relu, normaliser: Normaliser) -> candle::Result<Answer> {
    let x = clean.cut.value();
    let (seen, back) = normaliser::apply(normaliser, x)?;
    let codes = relu.encode(&seen)?;
    let x_hat = back.output(&relu.decode(&codes)?)?;
    let mut errors = vec![squared_errors(x, &x_hat)?];
    let mut compare = |point: HookPoint, value: &mut Tensor| {
        if let Some(index) = clean.points.iter().position(|p| *p == point) {
            errors.push(squared_errors(&clean.later[index], value)?);
        }
        Ok(())
    };
    let out = model.suffix(&clean.cut, &x_hat, clean.form, &mut compare, None)?;
    let compared = compared(model, clean, &out)?;
    let fired = fired(&codes)?;
    let wide = |tensor: &Tensor| -> candle::Result<Vec<f64>> { Ok(numbers(tensor)?.into_iter().map(f64::from).collect()) };
    let count = |tensor: &Tensor| -> candle::Result<Vec<u32>> { Ok(numbers(tensor)?.into_iter().map(|n| n as u32).collect()) };
    Ok(Answer {
        x_hat: numbers(&x_hat)?,
        l0: count(&fired.sum(1)?)?,
        l1: wide(&codes.sum(1)?)?,
        firings: firings(clean, &fired)?,
        squared_errors: errors.iter().map(wide).collect::<candle::Result<_>>()?,
        compared,
    })
}

/// On how many tokens of each unit each feature fired; `fired` is 1 where it did [n_tokens, d_sae].
fn firings(clean: &Clean<'_>, fired: &Tensor) -> candle::Result<Firings> {
    let mut firings = Firings::default();
    if clean.units.is_empty() {
        return Ok(firings);
    }
    // whole numbers below 2²⁴ are exact in f32
    let counts = numbers(&clean.of_units.matmul(fired)?)?;
    for (unit, counts) in clean.units.iter().zip(counts.chunks_exact(fired.dim(1)?)) {
        firings.push(*unit, counts.iter().map(|n| *n as u32));
    }
    Ok(firings)
}

/// What becomes of the next-token distributions with `vector` in place of every activation.
fn ablated(model: &Model<'_>, clean: &Clean<'_>, vector: &[f32]) -> candle::Result<Compared> {
    let value = Tensor::new(vector, &model.device)?
        .broadcast_as(clean.cut.value().shape())?
        .contiguous()?;
    let out = model.suffix(&clean.cut, &value, clean.form, &mut |_, _| Ok(()), None)?;
    compared(model, clean, &out)
}

/// Cross-entropies and KL per token; `out` is the input of the unembedding of the spliced model.
fn compared(model: &Model<'_>, clean: &Clean<'_>, out: &Tensor) -> candle::Result<Compared> {
    let [ce_loss_without_sae, ce_loss_with_sae, kl] = logits::compare(model, &clean.next, &clean.out, out)?;
    Ok(Compared {
        ce_loss_without_sae: numbers(&ce_loss_without_sae)?,
        ce_loss_with_sae: numbers(&ce_loss_with_sae)?,
        kl: numbers(&kl)?.into_iter().map(f64::from).collect(),
    })
}
