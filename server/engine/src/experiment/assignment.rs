//! The assignment problem: rows to columns, one to one, with the largest sum. Shortest augmenting paths with potentials (Jonker and
//! Volgenant 1987, without their reductions), exact, O(n² m) for n ≤ m.

/// For each row of `gains` [n, m], n ≤ m, row-major and finite, the column that it is given.
///
/// # Panics
/// When there are fewer columns than rows.
pub fn assign(gains: &[f32], n: usize, m: usize) -> Vec<usize> {
    assert!(
        n <= m && gains.len() == n * m,
        "a [{n}, {m}] matrix of {} numbers",
        gains.len()
    );
    const NONE: usize = usize::MAX;
    let cost = |row: usize, column: usize| -f64::from(gains[row * m + column]);
    // reduced costs c − u − v are never below 0, and 0 where a row has its column
    let (mut u, mut v) = (vec![0.0; n], vec![0.0; m]);
    let mut row_of = vec![NONE; m];
    let (mut least, mut before, mut done) = (vec![0.0; m], vec![NONE; m], vec![false; m]);
    for start in 0..n {
        least.fill(f64::INFINITY);
        done.fill(false);
        before.fill(NONE);
        // Dijkstra's algorithm over columns, from the row that is new
        let (mut row, mut from, mut length) = (start, NONE, 0.0);
        let end = loop {
            let mut nearest = NONE;
            for column in 0..m {
                if done[column] {
                    continue;
                }
                let path = length + cost(row, column) - u[row] - v[column];
                if path < least[column] {
                    least[column] = path;
                    before[column] = from;
                }
                if nearest == NONE || least[column] < least[nearest] {
                    nearest = column;
                }
            }
            length = least[nearest];
            done[nearest] = true;
            if row_of[nearest] == NONE {
                break nearest;
            }
            row = row_of[nearest];
            from = nearest;
        };
        u[start] += length;
        for column in (0..m).filter(|column| done[*column] && *column != end) {
            u[row_of[column]] += length - least[column];
            v[column] -= length - least[column];
        }
        // along the path each row takes the next column
        let mut column = end;
        while before[column] != NONE {
            row_of[column] = row_of[before[column]];
            column = before[column];
        }
        row_of[column] = start;
    }
    let mut columns = vec![NONE; n];
    for (column, row) in row_of.into_iter().enumerate().filter(|(_, row)| *row != NONE) {
        columns[row] = column;
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::path::Path;

    #[derive(Deserialize)]
    struct Case {
        n: usize,
        m: usize,
        gains: Vec<f32>,
        columns: Vec<usize>,
        total: f64,
    }

    #[test]
    fn assignments_are_scipys() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/assignment/golden.json");
        let cases: Vec<Case> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert!(cases.len() > 5);
        for Case {
            n,
            m,
            gains,
            columns,
            total,
        } in cases
        {
            let found = assign(&gains, n, m);
            let sum: f64 = found
                .iter()
                .enumerate()
                .map(|(row, column)| f64::from(gains[row * m + column]))
                .sum();
            assert!((sum - total).abs() < 1e-9, "[{n}, {m}]: {sum}, scipy {total}");
            // no two assignments are equally good in these
            assert_eq!(found, columns, "[{n}, {m}]");
        }
    }

    #[test]
    fn what_is_tied_or_empty_is_assigned_too() {
        assert!(assign(&[], 0, 3).is_empty());
        let mut all = assign(&[1.0; 12], 3, 4);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 3);
        // the best of the first row is worth less than what it takes from the second
        assert_eq!(assign(&[0.9, 0.8, 0.9, 0.1], 2, 2), [1, 0]);
    }
}
