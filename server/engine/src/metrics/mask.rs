//! Which tokens are left out of training and measurement: special ones, and those whose activations are far longer than the others'.

use api::LeaveOut;

use crate::kernel::{Real, simd, sum_squares};

/// What a run leaves out, with its numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Mask {
    /// Special tokens' ids, where they are left out.
    special: Vec<u32>,
    /// ‖x‖² beyond which a token is; infinite where none is.
    longest: f64,
}

impl Mask {
    /// What `leave_out` says, of a text with these `special` tokens and activations of which `x` [n_tokens, width] are some; none where
    /// nothing is left out.
    pub fn new(leave_out: LeaveOut, special: &[u32], x: &[f32], width: usize) -> Option<Self> {
        if leave_out.is_nothing() {
            return None;
        }
        let mut squares: Vec<f32> = x.chunks_exact(width).map(|row| simd(|| sum_squares(row))).collect();
        let middle = squares.len() / 2;
        let median = match squares.is_empty() {
            true => f64::INFINITY,
            false => f64::from(*squares.select_nth_unstable_by(middle, f32::total_cmp).1),
        };
        Some(Self {
            special: if leave_out.special { special.to_vec() } else { Vec::new() },
            longest: leave_out.longer.map_or(f64::INFINITY, |times| times * times * median),
        })
    }

    /// Whether a token counts whose activation is `x`.
    pub fn keeps<R: Real>(&self, token: u32, x: &[R]) -> bool {
        !self.special.contains(&token) && simd(|| sum_squares(x)).f64() <= self.longest
    }

    /// Which of `tokens` count, with the activations `x` [n_tokens, width].
    pub fn kept<R: Real>(&self, tokens: &[u32], x: &[R]) -> Vec<bool> {
        let width = x.len() / tokens.len().max(1);
        let rows = x.chunks_exact(width.max(1));
        tokens.iter().zip(rows).map(|(token, x)| self.keeps(*token, x)).collect()
    }
}

/// The rows of `x` [n, width] that are kept, closed up.
pub fn close_up<R: Real>(x: &mut Vec<R>, kept: &[bool]) {
    let width = x.len() / kept.len().max(1);
    let mut to = 0;
    for (from, _) in kept.iter().enumerate().filter(|(_, kept)| **kept) {
        x.copy_within(from * width..(from + 1) * width, to * width);
        to += 1;
    }
    x.truncate(to * width);
}

/// Puts `rows`, those that are kept, at their places in `all` [n, width].
pub fn spread<R: Real>(rows: &[R], kept: &[bool], all: &mut [R]) {
    let width = all.len() / kept.len().max(1);
    let places = kept.iter().enumerate().filter(|(_, kept)| **kept);
    for ((place, _), row) in places.zip(rows.chunks_exact(width.max(1))) {
        all[place * width..(place + 1) * width].copy_from_slice(row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_tokens_and_long_activations_are_left_out() {
        let x = [3.0f32, 4.0, 0.0, 5.0, 5.0, 0.0, 0.0, 60.0];
        let tokens = [1, 7, 2, 3];
        let kept = |special, longer| {
            let leave_out = LeaveOut { special, longer };
            Mask::new(leave_out, &[7], &x, 2).map(|mask| mask.kept(&tokens, &x))
        };
        assert_eq!(kept(false, None), None);
        assert_eq!(kept(true, None), Some(vec![true, false, true, true]));
        assert_eq!(kept(false, Some(10.0)), Some(vec![true, true, true, false]));
        assert_eq!(kept(true, Some(10.0)), Some(vec![true, false, true, false]));
        assert_eq!(kept(false, Some(13.0)), Some(vec![true; 4]));
    }

    #[test]
    fn rows_are_closed_up_and_spread_again() {
        let kept = [true, false, false, true, true];
        let all: Vec<f32> = (0..10).map(|i| i as f32).collect();
        let mut closed = all.clone();
        close_up(&mut closed, &kept);
        assert_eq!(closed, [0.0, 1.0, 6.0, 7.0, 8.0, 9.0]);
        let mut back = vec![-1.0; 10];
        spread(&closed, &kept, &mut back);
        assert_eq!(back, [0.0, 1.0, -1.0, -1.0, -1.0, -1.0, 6.0, 7.0, 8.0, 9.0]);
    }
}
