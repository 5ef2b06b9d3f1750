//! Projections on fixed directions: the form of the baselines that PCA, ICA, random directions and the residual basis give
//! (Cunningham et al. 2023, section 4; `sparse_coding`'s `autoencoders/pca.py`, `ica.py`, `learned_dict.py`).
//!
//! z = W_e (x − b_d), c = what is kept of z, x̂ = Σ_j c_j d_j + b_d, with rows d_j of unit length.
//!
//! They differ in the directions, which [`crate::baseline`] finds, and in what is kept ([`Keep`]). Nothing here is trained.

use api::DictionaryKind;

use super::{
    centred::centre,
    codes::{Entries, Segment, SparseCodes},
    forward::Forward,
    initial::tensor,
    kind::{Encoder, Kind},
    parameters::Parameters,
    select::{largest_of_row, largest_sizes_of_row},
    tile::{self, Floors, Path, Scratch},
};
use crate::kernel::Real;

/// Positions of the tensors in [`Parameters`].
const W_ENC: usize = 0;
const W_DEC: usize = 1;
const B_DEC: usize = 2;

/// What is kept of the scores z, and so becomes the codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    /// Every score, whatever its sign.
    All,
    /// The k scores of largest size, whatever their signs.
    LargestSizes(usize),
    /// The positive ones.
    Positive,
    /// The k largest, where they are positive.
    Largest(usize),
}

impl Keep {
    /// What a kind of projection keeps.
    fn of(kind: DictionaryKind) -> Self {
        match kind {
            DictionaryKind::PcaStatic { .. } => Keep::All,
            DictionaryKind::PcaDynamic { k } => Keep::LargestSizes(k),
            // those with a k, and those that may have one
            _ => kind.k().map_or(Keep::Positive, Keep::Largest),
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Projection<R> {
    kind: DictionaryKind,
    keep: Keep,
    parameters: Parameters<R>,
    /// What [`tile`]'s encoder adds to a score: nothing [d_sae].
    zeros: Vec<R>,
    /// Above which a score is found, where its sign does not matter [d_sae]; empty where it does.
    floors: Vec<R>,
}

impl<R: Real> Projection<R> {
    /// From its parameters: `W_enc` [d_sae, d_in], `W_dec` [d_sae, d_in] of unit rows, `b_dec` [d_in].
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn new(kind: DictionaryKind, w_enc: Vec<R>, w_dec: Vec<R>, b_dec: Vec<R>) -> Self {
        let d_in = b_dec.len();
        let d_sae = w_enc.len() / d_in;
        let keep = Keep::of(kind);
        let floors = match keep {
            Keep::All | Keep::LargestSizes(_) => vec![R::of(f64::NEG_INFINITY); d_sae],
            Keep::Positive | Keep::Largest(_) => Vec::new(),
        };
        Self {
            kind,
            keep,
            parameters: Parameters(vec![
                tensor("W_enc", &[d_sae, d_in], w_enc),
                tensor("W_dec", &[d_sae, d_in], w_dec),
                tensor("b_dec", &[d_in], b_dec),
            ]),
            zeros: vec![R::ZERO; d_sae],
            floors,
        }
    }
}

impl<R: Real> Kind<R> for Projection<R> {
    fn kind(&self) -> DictionaryKind {
        self.kind
    }

    fn parameters(&self) -> &Parameters<R> {
        &self.parameters
    }

    fn parameters_mut(&mut self) -> &mut Parameters<R> {
        &mut self.parameters
    }

    fn directions(&self) -> &[R] {
        &self.parameters.0[W_DEC].data
    }

    /// Where the sign of a score does not matter there is no threshold for what fires.
    fn encoder(&self) -> Option<Encoder<R>> {
        let p = &self.parameters.0;
        let zeros = || self.zeros.clone();
        self.floors
            .is_empty()
            .then(|| Encoder::centred(p[W_ENC].data.clone(), zeros(), zeros(), &p[B_DEC].data))
    }

    fn encode(&self, x: &[R], codes: &mut SparseCodes<R>, scratch: &Scratch<R>) {
        let p = &self.parameters.0;
        let (keep, weights) = (self.keep, &p[W_ENC].data[..]);
        let mut centred = Vec::new();
        centre(x, &p[B_DEC].data, &mut centred);
        if keep == Keep::Positive {
            return tile::encode(&centred, weights, &self.zeros, codes, scratch);
        }
        let divide = |found: &Segment<R>, codes: &mut Segment<R>, rest: &mut Segment<R>, order: &mut Vec<u32>| {
            for r in 0..found.n_rows() {
                match keep {
                    Keep::Largest(k) => largest_of_row(found, r, k, |_| true, codes, order),
                    Keep::LargestSizes(k) => largest_sizes_of_row(found, r, k, |_| true, codes, order),
                    Keep::All | Keep::Positive => largest_of_row(found, r, usize::MAX, |_| true, codes, order),
                }
                rest.end_row();
            }
        };
        let mut rest = SparseCodes::default();
        let floors = match self.floors.is_empty() {
            true => Floors::Zero,
            false => Floors::Own(&self.floors),
        };
        let weights = (weights, &self.zeros[..], floors);
        tile::encode_into(&centred, weights, [codes, &mut rest], scratch, divide);
    }

    /// No parameter is trained; the derivative by x is that of what is kept.
    fn backward(
        &self,
        _: &[R],
        Forward { codes, .. }: &mut Forward<R>,
        grad_out: &[R],
        _: R,
        _: &mut Parameters<R>,
        grad_x: Option<&mut [R]>,
        path: Path,
        scratch: &Scratch<R>,
    ) {
        let Some(grad_x) = grad_x else { return };
        let p = &self.parameters.0;
        tile::project(codes, grad_out, &p[W_DEC].data, R::ZERO, path, scratch);
        tile::combine(codes, Entries::Grads, &p[W_ENC].data, None, grad_x, path, scratch);
    }

    fn finish(&self, _: &mut Parameters<R>) {}
}
