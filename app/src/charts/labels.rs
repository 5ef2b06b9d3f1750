//! Labels at the ends of lines: as near to their lines as they can be without overlapping.

/// Positions in the order of `wanted`, at least `gap` apart and within `low ..= high` where they fit there, with the least
/// sum of squared distances from the wanted ones (isotonic regression, by pooling adjacent violators).
pub(super) fn push_apart(wanted: &[f64], gap: f64, low: f64, high: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|a, b| wanted[*a].total_cmp(&wanted[*b]));
    // with the gaps taken out, not overlapping is not decreasing; a pool is (sum, number)
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for (rank, &i) in order.iter().enumerate() {
        pools.push((wanted[i] - rank as f64 * gap, 1));
        while let [.., (a, n), (b, m)] = pools[..] {
            if a / (n as f64) < b / (m as f64) {
                break;
            }
            pools.truncate(pools.len() - 2);
            pools.push((a + b, n + m));
        }
    }
    let last = wanted.len().saturating_sub(1) as f64 * gap;
    let highest = (high - last).max(low);
    let levels = pools
        .iter()
        .flat_map(|(sum, n)| std::iter::repeat_n((sum / *n as f64).clamp(low, highest), *n));
    let mut out = vec![0.0; wanted.len()];
    for (rank, (&i, level)) in order.iter().zip(levels).enumerate() {
        out[i] = level + rank as f64 * gap;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::push_apart;
    use proptest::prelude::*;

    #[test]
    fn only_what_overlaps_moves() {
        assert_eq!(push_apart(&[10.0, 50.0], 14.0, 0.0, 100.0), [10.0, 50.0]);
        assert_eq!(push_apart(&[50.0, 50.0], 14.0, 0.0, 100.0), [43.0, 57.0]);
        assert_eq!(push_apart(&[99.0, 98.0], 10.0, 0.0, 100.0), [100.0, 90.0]);
        assert!(push_apart(&[], 10.0, 0.0, 100.0).is_empty());
    }

    proptest! {
        #[test]
        fn labels_never_overlap(wanted in prop::collection::vec(0.0..400.0f64, 0..20)) {
            let mut out = push_apart(&wanted, 14.0, 0.0, 400.0);
            prop_assert!(out.iter().all(|y| (-1e-9..=400.0 + 1e-9).contains(y)));
            out.sort_by(f64::total_cmp);
            prop_assert!(out.windows(2).all(|w| w[1] - w[0] >= 14.0 - 1e-9));
        }
    }
}
