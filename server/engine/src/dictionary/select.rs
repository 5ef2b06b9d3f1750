//! The largest of some activations: of a token's, and of a batch's. Of equal ones the first is taken, so that the choice
//! depends on nothing but the numbers. NaN is larger than all, so that it reaches the loss and is noticed.

use std::cmp::Ordering;

use super::codes::{Segment, SparseCodes};
use crate::kernel::Real;

/// Larger numbers first.
fn descending<R: Real>(a: R, b: R) -> Ordering {
    b.partial_cmp(&a).unwrap_or_else(|| {
        let is_nan = |v: R| v.partial_cmp(&v).is_none();
        is_nan(b).cmp(&is_nan(a))
    })
}

/// Appends to `to` a row with the `k` largest of row `r` of `from` among those that `is_allowed`. `order` is scratch memory.
pub fn largest_of_row<R: Real>(
    from: &Segment<R>,
    r: usize,
    k: usize,
    is_allowed: impl Fn(usize) -> bool,
    to: &mut Segment<R>,
    order: &mut Vec<u32>,
) {
    order.clear();
    order.extend(from.range(r).filter(|e| is_allowed(from.ids[*e] as usize)).map(|e| e as u32));
    keep_largest(|e| from.values[e as usize], k, order);
    for e in order.iter().map(|e| *e as usize) {
        to.push(from.ids[e], from.values[e], true);
    }
    to.end_row();
}

/// Appends to `to` a row with the `k` entries of row `r` of `from` whose sizes |value| are largest among those that `is_allowed`.
/// `order` is scratch memory.
pub fn largest_sizes_of_row<R: Real>(
    from: &Segment<R>,
    r: usize,
    k: usize,
    is_allowed: impl Fn(usize) -> bool,
    to: &mut Segment<R>,
    order: &mut Vec<u32>,
) {
    order.clear();
    order.extend(from.range(r).filter(|e| is_allowed(from.ids[*e] as usize)).map(|e| e as u32));
    keep_largest(|e| from.values[e as usize].abs(), k, order);
    for e in order.iter().map(|e| *e as usize) {
        to.push(from.ids[e], from.values[e], true);
    }
    to.end_row();
}

/// Appends to `to` the rows of `from`, with no more entries than the `n` largest of all of them. `order` is scratch memory.
pub fn largest_of_segment<R: Real>(from: &Segment<R>, n: usize, to: &mut Segment<R>, order: &mut Vec<u32>) {
    order.clear();
    order.extend(0..from.ids.len() as u32);
    keep_largest(|e| from.values[e as usize], n, order);
    let mut kept = order.iter().map(|e| *e as usize).peekable();
    for r in 0..from.n_rows() {
        let end = from.range(r).end;
        while let Some(e) = kept.next_if(|e| *e < end) {
            to.push(from.ids[e], from.values[e], true);
        }
        to.end_row();
    }
}

/// Leaves the `n` largest of the entries `order`, in their order.
fn keep_largest<R: Real>(value: impl Fn(u32) -> R, n: usize, order: &mut Vec<u32>) {
    if order.len() <= n {
        return;
    }
    if n > 0 {
        let by_value = |a: &u32, b: &u32| descending(value(*a), value(*b)).then(a.cmp(b));
        order.select_nth_unstable_by(n - 1, by_value);
    }
    order.truncate(n);
    order.sort_unstable();
}

/// Drops all but the `n` largest entries of `codes`. `ranked` is scratch memory.
pub fn keep_largest_of_batch<R: Real>(codes: &mut SparseCodes<R>, n: usize, ranked: &mut Vec<(R, u32)>) {
    if codes.nnz() <= n || n == 0 {
        return;
    }
    ranked.clear();
    let values = codes.segments.iter().flat_map(|segment| &segment.values);
    ranked.extend(values.zip(0..).map(|(value, place)| (*value, place)));
    let by_value = |a: &(R, u32), b: &(R, u32)| descending(a.0, b.0).then(a.1.cmp(&b.1));
    let last = *ranked.select_nth_unstable_by(n - 1, by_value).1;
    let mut place = 0;
    for segment in &mut codes.segments {
        segment.retain(|value| {
            let is_kept = by_value(&(value, place), &last).is_le();
            place += 1;
            is_kept
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(rows: &[&[f64]]) -> SparseCodes<f64> {
        SparseCodes::from_dense(&rows.concat(), rows[0].len())
    }

    #[test]
    fn the_largest_are_kept_and_of_equal_ones_the_first() {
        let all = codes(&[&[3.0, 1.0, 2.0, 3.0], &[5.0, 0.0, 0.5, 3.0]]);
        let largest = |k, allowed: fn(usize) -> bool| {
            let mut to = SparseCodes::default();
            to.reset(2, 4);
            (0..2).for_each(|r| largest_of_row(&all.segments[0], r, k, allowed, &mut to.segments[0], &mut Vec::new()));
            to.to_dense()
        };
        assert_eq!(largest(2, |_| true), [3.0, 0.0, 0.0, 3.0, 5.0, 0.0, 0.0, 3.0]);
        assert_eq!(largest(1, |_| true), [3.0, 0.0, 0.0, 0.0, 5.0, 0.0, 0.0, 0.0]);
        assert_eq!(largest(1, |id| id != 0), [0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 3.0]);
        assert_eq!(largest(0, |_| true), [0.0; 8]);
        let of_batch = |n| {
            let mut codes = all.clone();
            keep_largest_of_batch(&mut codes, n, &mut Vec::new());
            let mut to = SparseCodes::default();
            to.reset(2, 4);
            largest_of_segment(&all.segments[0], n, &mut to.segments[0], &mut Vec::new());
            assert_eq!(to.to_dense(), codes.to_dense());
            codes.to_dense()
        };
        assert_eq!(of_batch(1), [0.0, 0.0, 0.0, 0.0, 5.0, 0.0, 0.0, 0.0]);
        assert_eq!(of_batch(3), [3.0, 0.0, 0.0, 3.0, 5.0, 0.0, 0.0, 0.0]);
        assert_eq!(of_batch(7), all.to_dense());
    }

    #[test]
    fn nan_is_chosen_before_all() {
        let mut codes = codes(&[&[1.0, f64::NAN, 2.0]]);
        keep_largest_of_batch(&mut codes, 1, &mut Vec::new());
        assert!(codes.row(0).0 == [1] && codes.row(0).1[0].is_nan());
    }
}
