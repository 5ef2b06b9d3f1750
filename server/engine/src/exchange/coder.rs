//! One form for all conventions, and the way from it to our dictionaries and back.
//!
//! Tools differ in what they subtract from the input, in whether decoder rows have a length, and in where a threshold is. A [`Coder`]
//! says these things; [`Coder::into_dictionary`] folds them, exactly, into the one convention that each of our kinds has:
//!
//! - a bias that is subtracted, where ours is not: b' = b − W b_dec; one that is not, where ours is: b' = b + W b_dec;
//! - rows of length n_j, where ours are of length 1: the activations are taken n_j times, so that what they write stays the same: W_j,
//!   b_j and θ_j times n_j, the row divided by n_j. (For a gate, only the magnitude: r_j + ln n_j, b_mag times n_j.)
//!
//! What fires stays the same, and so does x̂; an activation is n_j times that of the tool that wrote the file. ReLU's conventions with
//! free rows need none of it.

use api::DictionaryKind;

use crate::{
    dictionary::{
        Among, Dictionary, Ends, Gated, JumpRelu, MatchingPursuit, Matryoshka, Penalty, Relu, Settings, Standard, TopK,
    },
    kernel::sum_squares,
};

/// How unequal the lengths of rows may be that count as equal: what half precision leaves of unit rows.
const SPREAD: f64 = 1e-3;
/// And those that are equal but for f32's rounding.
const ROUNDING: f64 = 1e-6;
/// The training settings of a file that says none: those that a new run has.
const BANDWIDTH: f64 = 0.001;
const AUX_COEFFICIENT: f64 = 1.0 / 32.0;
const DEAD_TOKENS: u64 = 10_000_000;
const THRESHOLD_DECAY: f64 = 0.999;
/// Groups that halve the features: so many times no number of features can be halved.
const MOST_GROUPS: usize = 32;

/// What makes activations of pre-activations z = W_enc x' + b_enc.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// ReLU(z).
    Relu,
    /// 1[z > 0] · ReLU(e^r (z − b_enc) + b_mag): b_enc is the gate's bias.
    Gated {
        /// r [d_sae].
        r_mag: Vec<f32>,
        /// b_mag [d_sae].
        b_mag: Vec<f32>,
    },
    /// ReLU(z) · 1[z > θ].
    Jump {
        /// θ [d_sae].
        threshold: Vec<f32>,
    },
    /// The k largest of ReLU(z).
    TopK {
        /// k.
        k: usize,
    },
    /// The k of z of largest size, with their signs.
    AbsTopK {
        /// k.
        k: usize,
    },
    /// Matching pursuit with the decoder's rows, which has no encoder: `w_enc` is empty and `b_enc` 0.
    MatchingPursuit(Ends),
    /// ReLU(z) · 1[z > θ] with one θ, found in training as that of the k · B largest of a batch.
    BatchTopK {
        /// k.
        k: usize,
        /// θ; below 0 where none was found.
        threshold: f64,
        /// The threshold's decay, where the file says it.
        decay: Option<f64>,
        /// Sizes of the groups of a Matryoshka dictionary, first the smallest; none for others.
        groups: Vec<usize>,
    },
}

/// How long the decoder's rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// As they are.
    Free,
    /// The method divides them by their lengths.
    Normalised,
    /// As they are, and the rule is applied to z times the rows' lengths, by which activations are divided again
    /// (SAELens' `rescale_acts_by_decoder_norm`).
    Rescaled,
}

/// A dictionary in anybody's convention: x' = x − b_dec or x, z = W_enc x' + b_enc, c = rule(z), x̂ = Σ c_j d_j + b_dec.
#[derive(Clone, Debug, PartialEq)]
pub struct Coder {
    /// [d_sae, d_in].
    pub w_enc: Vec<f32>,
    /// [d_sae].
    pub b_enc: Vec<f32>,
    /// [d_sae, d_in].
    pub w_dec: Vec<f32>,
    /// [d_in].
    pub b_dec: Vec<f32>,
    /// Whether b_dec is subtracted from the input.
    pub subtracts: bool,
    /// How long the rows of `w_dec` are.
    pub rows: Rows,
    /// What fires, and how strongly.
    pub rule: Rule,
}

impl Coder {
    /// Ours.
    ///
    /// # Errors
    /// What cannot be said by any of our kinds, with the reason.
    pub fn into_dictionary(mut self) -> Result<Dictionary<f32>, String> {
        if let Rule::TopK { k } | Rule::AbsTopK { k } | Rule::BatchTopK { k, .. } = self.rule
            && !(1..=self.b_enc.len()).contains(&k)
        {
            return Err(format!(
                "its k, the features per token, is {k}; expected 1 to {}",
                self.b_enc.len()
            ));
        }
        let lengths = self.lengths();
        Ok(match self.rule.clone() {
            Rule::Relu => self.relu(),
            Rule::Gated { mut r_mag, mut b_mag } => {
                let shift = self.centre(true);
                for (j, length) in lengths.iter().enumerate() {
                    let magnitude = f64::from(b_mag[j]) + f64::from(r_mag[j]).exp() * shift[j];
                    b_mag[j] = (magnitude * length) as f32;
                    r_mag[j] = (f64::from(r_mag[j]) + length.ln()) as f32;
                }
                self.divide_decoder(&lengths);
                Dictionary::Gated(Gated::new(self.w_enc, [self.b_enc, r_mag, b_mag], self.w_dec, self.b_dec))
            }
            Rule::Jump { threshold } => Dictionary::JumpRelu(self.jump(threshold, &lengths)),
            Rule::TopK { k } => {
                let lengths = self.common(lengths)?;
                Dictionary::TopK(self.top_k(k, Among::Token, &lengths))
            }
            Rule::AbsTopK { k } => {
                let lengths = self.common(lengths)?;
                Dictionary::TopK(self.top_k(k, Among::Sizes, &lengths))
            }
            Rule::MatchingPursuit(ends) => Dictionary::MatchingPursuit(MatchingPursuit::new(ends, self.w_dec, self.b_dec)),
            Rule::BatchTopK {
                k,
                threshold,
                decay,
                groups,
            } => {
                let Ok(common) = self.common(lengths.clone()) else {
                    // one threshold on z is one per feature on z times the rows' lengths
                    let thresholds = vec![threshold as f32; lengths.len()];
                    return Ok(Dictionary::JumpRelu(self.jump(thresholds, &lengths)));
                };
                let factor = if self.rows == Rows::Free { common[0] } else { 1.0 };
                let among = Among::Batch {
                    threshold_decay: decay.unwrap_or(THRESHOLD_DECAY),
                };
                let whole = self.top_k(k, among, &common);
                let has_halvings = (1..MOST_GROUPS).contains(&groups.len());
                let is_ours = has_halvings && groups == halvings(lengths.len(), groups.len());
                let mut dictionary = match is_ours {
                    true => Dictionary::Matryoshka(Matryoshka::new(whole, groups.len())),
                    // other groups than ours give the same codes, and would be trained otherwise
                    false => Dictionary::TopK(whole),
                };
                dictionary.update_state(|state| {
                    for tensor in state.iter_mut().filter(|tensor| tensor.name == "threshold") {
                        tensor.data = vec![(threshold * factor) as f32];
                    }
                });
                dictionary
            }
        })
    }

    fn d_in(&self) -> usize {
        self.b_dec.len()
    }

    /// n [d_sae]: what activations are taken times. Rows of zeros stay rows of zeros.
    pub(super) fn lengths(&self) -> Vec<f64> {
        let length = |row: &[f32]| match sum_squares(row).sqrt() {
            n if n > 0.0 && self.rows != Rows::Normalised => f64::from(n),
            _ => 1.0,
        };
        self.w_dec.chunks_exact(self.d_in()).map(length).collect()
    }

    /// Brings b_enc to where the decoder's bias is subtracted from the input, or to where it is not; answers by how much z has lost
    /// that [d_sae].
    pub fn centre(&mut self, subtract: bool) -> Vec<f64> {
        let sign = match (self.subtracts, subtract) {
            (true, false) => -1.0,
            (false, true) => 1.0,
            _ => return vec![0.0; self.b_enc.len()],
        };
        self.subtracts = subtract;
        let shift = |row: &[f32]| -> f64 {
            let products = row.iter().zip(&self.b_dec).map(|(w, b)| f64::from(*w) * f64::from(*b));
            sign * products.sum::<f64>()
        };
        let shifts: Vec<f64> = self.w_enc.chunks_exact(self.b_dec.len()).map(shift).collect();
        for (bias, shift) in self.b_enc.iter_mut().zip(&shifts) {
            *bias = (f64::from(*bias) + shift) as f32;
        }
        shifts
    }

    /// The same of x itself, where this one sees s · x and x̂ is its output over s. Activations stay, but for matching pursuit, whose rows
    /// keep their lengths: there they are those over s.
    #[must_use]
    pub fn of_scaled(mut self, s: f64) -> Self {
        let all = |values: &mut [f32], by: f64| values.iter_mut().for_each(|v| *v = (f64::from(*v) * by) as f32);
        all(&mut self.b_dec, 1.0 / s);
        if let Rule::MatchingPursuit(ends) = &mut self.rule {
            ends.residual_threshold /= s;
            return self;
        }
        all(&mut self.w_enc, s);
        all(&mut self.w_dec, 1.0 / s);
        // what it holds against z times the rows' lengths is held against shorter rows now
        if let (Rows::Rescaled, Rule::BatchTopK { threshold, .. }) = (self.rows, &mut self.rule) {
            *threshold /= s;
        }
        self
    }

    /// The same of x itself, where this one sees x / s and x̂ is its output times s: what has a size is taken s times, activations too.
    #[must_use]
    pub fn of_divided(mut self, s: f64) -> Self {
        let all = |values: &mut [f32]| values.iter_mut().for_each(|v| *v = (f64::from(*v) * s) as f32);
        all(&mut self.b_enc);
        all(&mut self.b_dec);
        match &mut self.rule {
            Rule::Gated { b_mag, .. } => all(b_mag),
            Rule::Jump { threshold } => all(threshold),
            Rule::BatchTopK { threshold, .. } => *threshold *= s,
            Rule::MatchingPursuit(ends) => ends.residual_threshold *= s,
            Rule::Relu | Rule::TopK { .. } | Rule::AbsTopK { .. } => {}
        }
        self
    }

    /// ReLU has a kind for each convention.
    fn relu(mut self) -> Dictionary<f32> {
        let d_in = self.d_in();
        let off = |row: &[f32]| (f64::from(sum_squares(row).sqrt()) - 1.0).abs();
        let most_off = self.w_dec.chunks_exact(d_in).map(off).fold(0.0, f64::max);
        let convention = match (self.rows, self.subtracts) {
            // up to the last bits, dividing unit rows by their lengths changes nothing
            (Rows::Normalised, _) => None,
            (_, false) if most_off < ROUNDING => None,
            (_, false) => Some((Penalty::Weighted, false)),
            (_, true) if most_off < SPREAD => Some((Penalty::Unit, true)),
            (_, true) => Some((Penalty::Weighted, true)),
        };
        match convention {
            Some(convention) => Dictionary::Standard(Standard::new(convention, self.w_enc, self.b_enc, self.w_dec, self.b_dec)),
            None => {
                self.centre(false);
                Dictionary::Relu(Relu::new(self.w_enc, self.b_enc, self.w_dec, self.b_dec))
            }
        }
    }

    pub(super) fn divide_decoder(&mut self, lengths: &[f64]) {
        let inverse: Vec<f64> = match self.rows {
            // what the method does itself, unit rows have done already
            Rows::Normalised => {
                let rows = self.w_dec.chunks_exact(self.d_in());
                rows.map(|row| 1.0 / f64::from(sum_squares(row).sqrt().max(1e-12))).collect()
            }
            _ => lengths.iter().map(|n| 1.0 / n).collect(),
        };
        scale_rows(&mut self.w_dec, &inverse);
    }

    /// The same with rows of length 1, for a method that divides by their lengths: activations are taken times those. Rows that are so up
    /// to rounding stay as they are.
    #[must_use]
    pub fn with_unit_rows(mut self) -> Self {
        let about_one = |n: f64| if (n - 1.0).abs() <= ROUNDING { 1.0 } else { n };
        let lengths: Vec<f64> = self.lengths().into_iter().map(about_one).collect();
        scale_rows(&mut self.w_enc, &lengths);
        scale(&mut self.b_enc, &lengths);
        self.divide_decoder(&lengths);
        self
    }

    pub(super) fn jump(mut self, mut threshold: Vec<f32>, lengths: &[f64]) -> JumpRelu<f32> {
        self.centre(false);
        // z at or below 0 never fires: ReLU(z) · 1[z > θ] is z · 1[z > max(θ, 0)]
        threshold.iter_mut().for_each(|t| *t = t.max(0.0));
        if self.rows != Rows::Rescaled {
            scale(&mut threshold, lengths);
        }
        scale_rows(&mut self.w_enc, lengths);
        scale(&mut self.b_enc, lengths);
        self.divide_decoder(lengths);
        let kernel = (BANDWIDTH, BANDWIDTH);
        JumpRelu::new(self.w_enc, [self.b_enc, threshold], self.w_dec, self.b_dec, kernel, 1.0)
    }

    fn top_k(mut self, k: usize, among: Among, lengths: &[f64]) -> TopK<f32> {
        self.centre(true);
        scale_rows(&mut self.w_enc, lengths);
        scale(&mut self.b_enc, lengths);
        self.divide_decoder(lengths);
        TopK::new(settings(k, among), self.w_enc, self.b_enc, self.w_dec, self.b_dec)
    }

    /// What all activations of a topk dictionary are taken times: the largest of them are the largest of n_j times them only where
    /// all n_j are the same. Rows that are of length 1 up to rounding stay as they are.
    fn common(&self, lengths: Vec<f64>) -> Result<Vec<f64>, String> {
        if self.rows != Rows::Free {
            return Ok(lengths);
        }
        let (least, most) = lengths
            .iter()
            .fold((f64::INFINITY, 0.0f64), |(a, b), n| (a.min(*n), b.max(*n)));
        if most - least > SPREAD * most {
            return Err(format!(
                "its decoder's rows are {least:.4} to {most:.4} long, and a topk dictionary whose rows are not equally long chooses its \
                 features by activations that no dictionary with unit rows has; expected rows of one length, or rescaled activations"
            ));
        }
        let mean = lengths.iter().sum::<f64>() / lengths.len() as f64;
        let length = if (mean - 1.0).abs() <= SPREAD { 1.0 } else { mean };
        Ok(vec![length; lengths.len()])
    }

    /// `dictionary`, which sees `scale` · x, in the model's units and with unit rows: biases and thresholds divided by `scale`.
    ///
    /// # Errors
    /// What none of the forms here can say.
    pub fn of(dictionary: &Dictionary<f32>, scale: f64) -> Result<Self, String> {
        let inverse = 1.0 / scale;
        let named = |name: &str| -> Vec<f32> {
            let all = dictionary.parameters().0.iter().chain(dictionary.state());
            all.filter(|t| t.name == name).flat_map(|t| t.data.iter().copied()).collect()
        };
        let unscaled = |name: &str| -> Vec<f32> { named(name).iter().map(|b| (f64::from(*b) * inverse) as f32).collect() };
        let with = |bias: &str, subtracts, rule| Self {
            w_enc: named("W_enc"),
            b_enc: unscaled(bias),
            w_dec: named("W_dec"),
            b_dec: unscaled("b_dec"),
            subtracts,
            rows: Rows::Free,
            rule,
        };
        let batch = |k, decay, groups| Rule::BatchTopK {
            k,
            threshold: unscaled("threshold").first().copied().unwrap_or(-1.0).into(),
            decay: Some(decay),
            groups,
        };
        Ok(match dictionary.kind() {
            DictionaryKind::Relu | DictionaryKind::Transcoder { .. } | DictionaryKind::SkipTranscoder { .. } => Self {
                w_dec: dictionary.directions().to_vec(),
                ..with("b_enc", false, Rule::Relu)
            },
            DictionaryKind::Tied => Self {
                w_enc: dictionary.directions().to_vec(),
                w_dec: dictionary.directions().to_vec(),
                b_dec: vec![0.0; dictionary.d_in()],
                ..with("b_enc", false, Rule::Relu)
            },
            DictionaryKind::ReluApril => with("b_enc", false, Rule::Relu),
            DictionaryKind::ReluUnit | DictionaryKind::ReluSaelens | DictionaryKind::PAnneal { .. } => {
                with("b_enc", true, Rule::Relu)
            }
            DictionaryKind::Gated => {
                let rule = Rule::Gated {
                    r_mag: named("r_mag"),
                    b_mag: unscaled("b_mag"),
                };
                with("b_gate", true, rule)
            }
            DictionaryKind::TopK { k, .. } => with("b_enc", true, Rule::TopK { k }),
            DictionaryKind::AbsTopK { k, .. } => with("b_enc", true, Rule::AbsTopK { k }),
            DictionaryKind::BatchTopK { k, threshold_decay, .. } => with("b_enc", true, batch(k, threshold_decay, Vec::new())),
            DictionaryKind::Matryoshka {
                k,
                threshold_decay,
                groups,
                ..
            } => {
                let groups = halvings(dictionary.d_sae(), groups);
                with("b_enc", true, batch(k, threshold_decay, groups))
            }
            DictionaryKind::TopKTranscoder { k, .. } | DictionaryKind::TopKSkipTranscoder { k, .. } => {
                with("b_enc", false, Rule::TopK { k })
            }
            DictionaryKind::JumpRelu { .. }
            | DictionaryKind::JumpReluTranscoder { .. }
            | DictionaryKind::JumpReluSkipTranscoder { .. } => {
                let size = f64::from(named("input_size").first().copied().unwrap_or(1.0));
                let threshold = named("threshold")
                    .iter()
                    .map(|t| (f64::from(*t) * size * inverse) as f32)
                    .collect();
                with("b_enc", false, Rule::Jump { threshold })
            }
            // both signs of some directions: a ReLU or a TopK dictionary without an encoder's bias
            kind @ (DictionaryKind::PcaTopK { .. }
            | DictionaryKind::PcaNonNegative
            | DictionaryKind::Ica { .. }
            | DictionaryKind::Random { .. }
            | DictionaryKind::Identity { .. }) => Self {
                b_enc: vec![0.0; dictionary.d_sae()],
                ..with("b_enc", true, kind.k().map_or(Rule::Relu, |k| Rule::TopK { k }))
            },
            // scores with their signs: all of them, or those of largest size
            DictionaryKind::PcaStatic { k } | DictionaryKind::PcaDynamic { k } => Self {
                b_enc: vec![0.0; dictionary.d_sae()],
                ..with("b_enc", true, Rule::AbsTopK { k })
            },
            kind @ (DictionaryKind::Nmf | DictionaryKind::TokenMean) => {
                let name = kind.name();
                return Err(format!("found {name}; no other tool has codes that come about as its do"));
            }
            DictionaryKind::MatchingPursuit {
                k,
                residual_threshold,
                stop_on_duplicate,
            } => {
                let ends = Ends {
                    rounds: k,
                    residual_threshold: residual_threshold * inverse,
                    stop_on_duplicate,
                };
                Self {
                    b_enc: vec![0.0; dictionary.d_sae()],
                    ..with("b_enc", true, Rule::MatchingPursuit(ends))
                }
            }
            DictionaryKind::Pursuit { .. } => {
                return Err("found a pursuit dictionary; it has no encoder, which every other tool's has".into());
            }
        })
    }
}

/// Those of a topk dictionary whose file says none.
pub(super) fn settings(k: usize, among: Among) -> Settings {
    Settings {
        k,
        among,
        aux_coefficient: AUX_COEFFICIENT,
        dead_tokens: DEAD_TOKENS,
    }
}

/// The sizes of our Matryoshka dictionaries' groups: 1/2^G, 1/2^(G−1), …, 1/4 of the features, and the rest.
fn halvings(d_sae: usize, n_groups: usize) -> Vec<usize> {
    let mut sizes: Vec<usize> = (2..=n_groups).rev().map(|halvings| d_sae >> halvings).collect();
    if n_groups > 0 {
        sizes.push(d_sae - sizes.iter().sum::<usize>());
    }
    sizes
}

pub(super) fn scale(numbers: &mut [f32], by: &[f64]) {
    for (number, by) in numbers.iter_mut().zip(by) {
        *number = (f64::from(*number) * by) as f32;
    }
}

pub(super) fn scale_rows(rows: &mut [f32], by: &[f64]) {
    let width = rows.len() / by.len();
    for (row, by) in rows.chunks_exact_mut(width).zip(by) {
        row.iter_mut().for_each(|x| *x = (f64::from(*x) * by) as f32);
    }
}
