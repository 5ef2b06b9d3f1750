//! Rotary position embeddings: the first `2 · n_pairs` coordinates of each query and key are rotated, coordinate j with
//! j + n_pairs, by the angle position · frequency_j (Su et al. 2021, arXiv 2104.09864; the layout of transformers).

//!
//! The longest context is a number in a config, and may be absurd: rotations are computed for the positions that contexts in use
//! have, in pieces of which each but the first is as long as all before it.

use super::{ModelError, config::Config, parts::RopeParts};
use crate::kernel::Real;
use std::{
    f32::consts::TAU,
    ops::Range,
    sync::{Arc, OnceLock},
};

/// Positions of the first piece.
const FIRST: usize = 1024;
/// Enough for every position below 2^40, which is what a config may say.
const PIECES: usize = 31;

/// The rotations of every position.
#[derive(Clone)]
pub(super) struct Rope<R> {
    /// Radians per position, of each pair.
    frequencies: Arc<[f32]>,
    /// Positions from 0 on, 1024 and then always as many as before; each is made when one of its positions is first asked for.
    pieces: Arc<[OnceLock<Piece<R>>; PIECES]>,
    n_ctx: usize,
}

/// The rotations of some positions, [positions, n_pairs].
struct Piece<R> {
    cos: Vec<R>,
    sin: Vec<R>,
}

/// cos and sin of each position's pairs, in f32, as the models were trained.
pub(super) fn rotations(frequencies: &[f32], positions: Range<usize>) -> impl Iterator<Item = (f32, f32)> {
    let angles = positions.flat_map(|position| frequencies.iter().map(move |f| position as f32 * f));
    angles.map(|angle| {
        let (sin, cos) = f64::from(angle).sin_cos();
        (cos as f32, sin as f32)
    })
}

/// The positions of a piece.
fn positions(piece: usize) -> Range<usize> {
    match piece {
        0 => 0..FIRST,
        _ => FIRST << (piece - 1)..FIRST << piece,
    }
}

/// Which way to rotate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Forward, in the forward pass.
    Ahead,
    /// Backward: the transpose, for gradients.
    Back,
}

impl Rope<f32> {
    /// Reads `rope_parameters`, or what stood in its place before transformers 5: `rope_scaling`, `rope_theta` and a field
    /// for the fraction that is rotated.
    pub(super) fn from_config(config: &Config, n_ctx: usize, d_head: usize, names: Names) -> Result<Self, ModelError> {
        let (parameters, theta_default) = match config.object("rope_parameters")? {
            Some(parameters) => (Some(parameters), config.number_or(names.theta, 10_000.0)?),
            None => (config.object("rope_scaling")?, config.number_or(names.theta, 10_000.0)?),
        };
        let default_fraction = match names.fraction {
            Some((name, default)) => config.number_or(name, default)?,
            None => config.number_or("partial_rotary_factor", 1.0)?,
        };
        let (theta, fraction) = match &parameters {
            Some(given) => (
                given.number_or("rope_theta", theta_default)?,
                given.number_or("partial_rotary_factor", default_fraction)?,
            ),
            None => (theta_default, default_fraction),
        };
        let width = (d_head as f64 * fraction) as usize;
        if width == 0 || !width.is_multiple_of(2) || width > d_head {
            let name = names.fraction.map_or("partial_rotary_factor", |(name, _)| name);
            return Err(config.refuse(
                name,
                format!("a fraction of the head width {d_head} that makes an even number"),
            ));
        }
        // in f32 throughout, as the models were trained
        let mut frequencies: Vec<f32> = (0..width / 2)
            .map(|j| 1.0 / (theta as f32).powf((2 * j) as f32 / width as f32))
            .collect();
        if let Some(given) = &parameters {
            scale(&mut frequencies, given, n_ctx)?;
        }
        Ok(Self::new(frequencies.into(), n_ctx))
    }

    pub(super) fn to_f64(&self) -> Rope<f64> {
        Rope::new(self.frequencies.clone(), self.n_ctx)
    }
}

/// What a family calls its rope fields outside `rope_parameters`.
pub(super) struct Names {
    /// The base.
    pub(super) theta: &'static str,
    /// The fraction of a head's width that is rotated, and its default.
    pub(super) fraction: Option<(&'static str, f64)>,
}

/// Applies the scaling that `rope_type` names.
fn scale(frequencies: &mut [f32], given: &Config, n_ctx: usize) -> Result<(), ModelError> {
    for kind in ["full_attention", "sliding_attention"] {
        if given.get(kind).is_some() {
            return Err(given.refuse(kind, "none: the same rotation in all blocks"));
        }
    }
    let field = if given.get("rope_type").is_some() {
        "rope_type"
    } else {
        "type"
    };
    match given.text(field, "default")? {
        "default" => {}
        "linear" => {
            let factor = given.number("factor")? as f32;
            frequencies.iter_mut().for_each(|f| *f /= factor);
        }
        "llama3" => {
            let factor = given.number("factor")? as f32;
            let (low, high) = (
                given.number("low_freq_factor")? as f32,
                given.number("high_freq_factor")? as f32,
            );
            if high <= low {
                return Err(given.refuse("high_freq_factor", "more than low_freq_factor"));
            }
            let old = given
                .count_or("original_max_position_embeddings", Some(n_ctx))?
                .unwrap_or(n_ctx) as f32;
            for f in frequencies {
                let wavelength = TAU / *f;
                if wavelength > old / low {
                    *f /= factor;
                } else if wavelength >= old / high {
                    let smooth = (old / wavelength - low) / (high - low);
                    *f = (1.0 - smooth) * *f / factor + smooth * *f;
                }
            }
        }
        _ => return Err(given.refuse(field, "default, linear or llama3")),
    }
    Ok(())
}

impl<R: Real> Rope<R> {
    fn new(frequencies: Arc<[f32]>, n_ctx: usize) -> Self {
        Self {
            frequencies,
            pieces: Arc::new([const { OnceLock::new() }; PIECES]),
            n_ctx,
        }
    }

    /// The rotations of a piece's positions.
    fn piece(&self, piece: usize) -> &Piece<R> {
        self.pieces[piece].get_or_init(|| {
            let positions = positions(piece);
            let positions = positions.start..positions.end.min(self.n_ctx);
            let (cos, sin) = rotations(&self.frequencies, positions)
                .map(|(cos, sin)| (R::of(cos.into()), R::of(sin.into())))
                .unzip();
            Piece { cos, sin }
        })
    }

    pub(super) fn parts(&self) -> RopeParts<'_> {
        RopeParts {
            frequencies: &self.frequencies,
        }
    }

    /// Rotates the head that starts at column `first` of each row; row i is position i. Call inside `simd`.
    #[inline(always)]
    pub(super) fn turn(&self, rows: &mut [R], row_width: usize, first: usize, turn: Turn) {
        let half = self.frequencies.len();
        let (mut rest, mut index) = (rows, 0);
        while rest.len() >= row_width {
            let n_rows = positions(index).len().min(rest.len() / row_width);
            let (now, later) = rest.split_at_mut(n_rows * row_width);
            let piece = self.piece(index);
            for (row, at) in now.chunks_exact_mut(row_width).zip((0..).step_by(half)) {
                let (cos, sin) = (&piece.cos[at..at + half], &piece.sin[at..at + half]);
                let (a, b) = row[first..first + 2 * half].split_at_mut(half);
                for (((a, b), cos), sin) in a.iter_mut().zip(b).zip(cos).zip(sin) {
                    let sin = if turn == Turn::Ahead { *sin } else { -*sin };
                    (*a, *b) = (*a * *cos - *b * sin, *b * *cos + *a * sin);
                }
            }
            (rest, index) = (later, index + 1);
        }
    }
}
