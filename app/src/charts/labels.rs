//! Labels at the ends of lines: as near to their lines as they can be without overlapping. Those of lines that end near the
//! plot's right edge stand in a column there, the others beside their ends. Of many lines only those have a label for which there is room.

use super::frame::Area;

/// Between a line's end, which may have a mark, and its label.
const GAP: f64 = 9.0;

/// Where a label of `(width, height)` stands beside its line's end: at its right, else above, below or left of it, wherever
/// it covers least of what is `taken`, within `room`.
pub(super) fn beside((x, y): (f64, f64), (width, height): (f64, f64), room: Area, taken: &[Area]) -> Area {
    let boxes = places((x, y), (width, height));
    // what sticks out is worse than what covers
    let cost = |at: &Area| {
        let outside = width * height - overlap(at, &room);
        taken.iter().map(|other| overlap(at, other)).sum::<f64>() + 100.0 * outside
    };
    let best = boxes
        .iter()
        .map(|at| (cost(at), *at))
        .reduce(|best, next| if next.0 < best.0 - 1e-6 { next } else { best });
    best.map_or(boxes[0], |(_, at)| at)
}

/// The first place of a label of `(width, height)` beside one of a line's ends that is within `room` and covers nothing of what is `taken`.
pub(super) fn free_beside(ends: &[(f64, f64)], (width, height): (f64, f64), room: Area, taken: &[Area]) -> Option<Area> {
    let is_free = |at: &Area| width * height - overlap(at, &room) < 1e-6 && taken.iter().all(|other| overlap(at, other) < 1e-6);
    ends.iter().flat_map(|end| places(*end, (width, height))).find(is_free)
}

/// Where a label may stand beside an end, best first.
fn places((x, y): (f64, f64), (width, height): (f64, f64)) -> [Area; 8] {
    let (right, left) = (x + GAP, x - GAP - width);
    let (middle, above, below) = (y - height / 2.0, y - GAP - height / 2.0, y + GAP - height / 2.0);
    let places = [
        (right, middle),
        (right, above),
        (right, below),
        (x - width / 2.0, y - GAP - height),
        (x - width / 2.0, y + GAP),
        (left, above),
        (left, below),
        (left, middle),
    ];
    places.map(|(left, top)| Area {
        left,
        top,
        right: left + width,
        bottom: top + height,
    })
}

fn overlap(a: &Area, b: &Area) -> f64 {
    let width = a.right.min(b.right) - a.left.max(b.left);
    let height = a.bottom.min(b.bottom) - a.top.max(b.top);
    width.max(0.0) * height.max(0.0)
}

/// Small boxes along a line, as [`beside`] has them taken.
pub(super) fn along(line: &[(f64, f64)]) -> Vec<Area> {
    const STEP: f64 = 6.0;
    let piece = |ends: &[(f64, f64)]| {
        let ((x0, y0), (x1, y1)) = (ends[0], ends[1]);
        let n = ((x1 - x0).hypot(y1 - y0) / STEP).ceil().clamp(1.0, 1000.0);
        (0..=n as usize).map(move |i| around((x0 + (x1 - x0) * i as f64 / n, y0 + (y1 - y0) * i as f64 / n), 2.0))
    };
    line.windows(2).flat_map(piece).collect()
}

/// The square around a point.
pub(super) fn around((x, y): (f64, f64), radius: f64) -> Area {
    Area {
        left: x - radius,
        top: y - radius,
        right: x + radius,
        bottom: y + radius,
    }
}

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
    use super::*;
    use proptest::prelude::*;

    const ROOM: Area = Area {
        left: 0.0,
        top: 0.0,
        right: 400.0,
        bottom: 300.0,
    };

    #[test]
    fn a_label_stands_right_of_its_end_where_it_can() {
        let at = beside((100.0, 100.0), (40.0, 16.0), ROOM, &[]);
        assert_eq!((at.left, at.top), (109.0, 92.0));
        // a mark there sends it elsewhere, to where it covers nothing
        let marks = [around((120.0, 100.0), 7.0), around((100.0, 100.0), 7.0)];
        let at = beside((100.0, 100.0), (40.0, 16.0), ROOM, &marks);
        assert!(marks.iter().all(|mark| overlap(&at, mark) == 0.0), "{at:?}");
        // at the edge it turns to the left
        let at = beside((395.0, 100.0), (40.0, 16.0), ROOM, &[]);
        assert!(at.right <= 400.0, "{at:?}");
    }

    #[test]
    fn a_line_is_taken_all_along() {
        let line = along(&[(0.0, 0.0), (60.0, 0.0), (60.0, 80.0)]);
        let crossing = Area {
            left: 50.0,
            top: 36.0,
            right: 70.0,
            bottom: 44.0,
        };
        assert!(line.iter().any(|at| overlap(at, &crossing) > 0.0));
        assert!(along(&[(1.0, 1.0)]).is_empty());
    }

    #[test]
    fn only_what_overlaps_moves() {
        assert_eq!(push_apart(&[10.0, 50.0], 14.0, 0.0, 100.0), [10.0, 50.0]);
        assert_eq!(push_apart(&[50.0, 50.0], 14.0, 0.0, 100.0), [43.0, 57.0]);
        assert_eq!(push_apart(&[99.0, 98.0], 10.0, 0.0, 100.0), [100.0, 90.0]);
        assert!(push_apart(&[], 10.0, 0.0, 100.0).is_empty());
    }

    proptest! {
        #[test]
        fn a_label_touches_its_end_and_stays_inside(x in 0.0..400.0f64, y in 0.0..300.0f64,
            marks in prop::collection::vec((0.0..400.0f64, 0.0..300.0f64), 0..30)) {
            let taken: Vec<Area> = marks.into_iter().map(|at| around(at, 7.0)).collect();
            let at = beside((x, y), (40.0, 16.0), ROOM, &taken);
            prop_assert!(overlap(&at, &ROOM) > 640.0 - 1e-6, "{:?}", at);
            let nearest = (x.clamp(at.left, at.right) - x).hypot(y.clamp(at.top, at.bottom) - y);
            prop_assert!(nearest <= GAP * 1.5);
        }

        #[test]
        fn a_free_place_covers_nothing(ends in prop::collection::vec((0.0..400.0f64, 0.0..300.0f64), 1..3),
            marks in prop::collection::vec((0.0..400.0f64, 0.0..300.0f64), 0..40)) {
            let taken: Vec<Area> = marks.into_iter().map(|at| around(at, 7.0)).collect();
            if let Some(at) = free_beside(&ends, (60.0, 16.0), ROOM, &taken) {
                prop_assert!(overlap(&at, &ROOM) > 960.0 - 1e-5);
                prop_assert!(taken.iter().all(|other| overlap(&at, other) < 1e-5));
            }
        }

        #[test]
        fn labels_never_overlap(wanted in prop::collection::vec(0.0..400.0f64, 0..20)) {
            let mut out = push_apart(&wanted, 14.0, 0.0, 400.0);
            prop_assert!(out.iter().all(|y| (-1e-9..=400.0 + 1e-9).contains(y)));
            out.sort_by(f64::total_cmp);
            prop_assert!(out.windows(2).all(|w| w[1] - w[0] >= 14.0 - 1e-9));
        }
    }
}
