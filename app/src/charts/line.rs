//! Lines over a common axis: curves of a run while it runs, and metrics by layer.

use super::canvas::Canvas;
use super::frame::{Area, Axis, EndLabel, Frame};
use super::labels::along;
use super::style::{Ink, Style, Theme};

/// Up to this many points each of them has its mark; beyond, only the line's end has.
const FEW: usize = 24;

/// Lines over a common axis.
#[derive(Clone, Debug, PartialEq)]
pub struct LineChart {
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// What is drawn, the first lowest.
    pub lines: Vec<Line>,
    /// Width and height, in SVG user units.
    pub size: (u32, u32),
}

/// A line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its name, which stands at its end; lines of one name and style share it.
    pub label: String,
    /// How it looks.
    pub style: Style,
    /// Whether it is dashed.
    pub dash: bool,
    /// (x, y) in the order of x; a value that is not finite makes a gap.
    pub points: Vec<(f64, f64)>,
}

/// What stands at a horizontal position.
#[derive(Clone, Debug, PartialEq)]
pub struct LineHit {
    /// The value on the horizontal axis.
    pub x: f64,
    /// Its position, in SVG user units.
    pub px: f64,
    /// Per line, its point at `x` or, where it has none there, its nearest within a few units; none where it has a gap.
    pub values: Vec<Option<(f64, f64)>>,
}

impl LineChart {
    /// The chart as an SVG document (for [`Theme::Page`] as an element of the page).
    pub fn svg(&self, theme: Theme) -> String {
        let frame = self.frame();
        let mut canvas = Canvas::new(theme, self.size);
        frame.draw(&mut canvas, &self.x, &self.y);
        let (mut ends, mut taken) = (Vec::new(), Vec::new());
        for line in &self.lines {
            let pieces: Vec<Vec<_>> = pieces(&line.points, &frame);
            let Some(&end) = pieces.last().and_then(|piece| piece.last()) else {
                continue;
            };
            let drawn: Vec<_> = pieces
                .iter()
                .filter(|piece| piece.len() > 1)
                .map(|piece| decimate(piece))
                .collect();
            taken.extend(drawn.iter().flat_map(|piece| along(piece)));
            let dash: &[f64] = if line.dash { &[5.0, 4.0] } else { line.style.fill.dash() };
            canvas.lines("line", Ink::Series(line.style), 1.5, dash, 0.9, &drawn);
            let few = line.points.len() <= FEW;
            for piece in &pieces {
                // a point between two gaps is no line, and is still to be seen
                let marks = if few || piece.len() == 1 { &piece[..] } else { &[] };
                marks
                    .iter()
                    .for_each(|at| canvas.mark("class=\"mark\"", None, line.style, *at, 3.5));
            }
            if !few {
                canvas.mark("class=\"mark\"", None, line.style, end, 3.5);
            }
            ends.push(EndLabel {
                text: &line.label,
                style: line.style,
                at: end,
                from: pieces[0][0],
                n: line.points.len(),
            });
        }
        if ends.is_empty() {
            frame.draw_empty(&mut canvas, "Nothing to show here yet.");
        }
        frame.draw_labels(&mut canvas, &ends, taken);
        canvas.finish(&format!("{} by {}", self.y.title, self.x.title))
    }

    /// The point of any line whose x is nearest to the horizontal position `px` (SVG user units), with what each line has
    /// there; none where there is no point at all.
    pub fn hit(&self, px: f64) -> Option<LineHit> {
        let frame = self.frame();
        let nearest = |points: &[(f64, f64)], to: f64| {
            let placed = points.iter().filter_map(|p| Some((*p, frame.place(*p)?.0)));
            placed.min_by(|a, b| (a.1 - to).abs().total_cmp(&(b.1 - to).abs()))
        };
        let all = self.lines.iter().filter_map(|line| nearest(&line.points, px));
        let ((x, _), at) = all.min_by(|a, b| (a.1 - px).abs().total_cmp(&(b.1 - px).abs()))?;
        let values = self.lines.iter().map(|line| nearest(&line.points, at));
        let values = values
            .map(|near| near.filter(|(_, p)| (p - at).abs() <= 8.0).map(|(point, _)| point))
            .collect();
        Some(LineHit { x, px: at, values })
    }

    /// Where (x, y) is, in SVG user units; none where the axes have no place for it.
    pub fn position(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        self.frame().place((x, y))
    }

    /// The rectangle between the axes.
    pub fn plot_area(&self) -> Area {
        self.frame().plot
    }

    fn frame(&self) -> Frame {
        let points = || {
            self.lines
                .iter()
                .flat_map(|l| &l.points)
                .filter(|(x, y)| x.is_finite() && y.is_finite())
        };
        let labels = self.lines.iter().map(|l| l.label.as_str());
        let values = (points().map(|p| p.0).collect(), points().map(|p| p.1).collect());
        Frame::new(self.size, (&self.x, &self.y), values, labels, "")
    }
}

/// The runs of points between gaps, placed.
fn pieces(points: &[(f64, f64)], frame: &Frame) -> Vec<Vec<(f64, f64)>> {
    let placed: Vec<_> = points.iter().map(|p| frame.place(*p)).collect();
    placed
        .split(Option::is_none)
        .filter(|run| !run.is_empty())
        .map(|run| run.iter().flatten().copied().collect())
        .collect()
}

/// At most four points per unit of width (first, lowest, highest, last), which draw the same line.
fn decimate(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let column = |p: &(f64, f64)| p.0.floor();
    let mut out = Vec::new();
    for run in points.chunk_by(|a, b| column(a) == column(b)) {
        if run.len() <= 4 {
            out.extend_from_slice(run);
            continue;
        }
        let by_y = |a: &usize, b: &usize| run[*a].1.total_cmp(&run[*b].1);
        let (low, high) = (
            (0..run.len()).min_by(by_y).unwrap_or(0),
            (0..run.len()).max_by(by_y).unwrap_or(0),
        );
        let mut keep = [0, low, high, run.len() - 1];
        keep.sort_unstable();
        keep.chunk_by(|a, b| a == b).for_each(|same| out.push(run[same[0]]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charts::objective_style;

    #[test]
    fn lines_that_end_at_the_right_have_their_names_there_in_a_column() {
        let line = |objective: api::ObjectiveKind, last: f64| Line {
            label: objective.to_string(),
            style: objective_style(objective),
            dash: false,
            points: vec![(0.0, 9.0), (50.0, 3.0), (100.0, last)],
        };
        for size in [(760, 440), (520, 380), (330, 340)] {
            let chart = LineChart {
                x: Axis {
                    title: "x".into(),
                    log: false,
                },
                y: Axis {
                    title: "y".into(),
                    log: false,
                },
                lines: api::ObjectiveKind::ALL
                    .into_iter()
                    .zip([0.1, 0.2, 0.2])
                    .map(|(o, last)| line(o, last))
                    .collect(),
                size,
            };
            let svg = chart.svg(Theme::Page);
            let place = |name: &str| {
                let before = svg.split(&format!(">{name}</text>")).next().unwrap_or_default();
                let tag = before.rsplit("<text ").next().unwrap_or_default();
                let value = |of: &str| tag.split(&format!(" {of}=\"")).nth(1)?.split('"').next()?.parse::<f64>().ok();
                (
                    tag.strip_prefix("x=\"")
                        .and_then(|x| x.split('"').next()?.parse::<f64>().ok()),
                    value("y"),
                )
            };
            let places = ["local", "e2e", "e2e+ds"].map(|name| match place(name) {
                (Some(x), Some(y)) => (x, y),
                _ => panic!("{name} has no place in {svg}"),
            });
            assert!(places.iter().all(|(x, _)| *x > chart.plot_area().right), "{places:?}");
            let mut ys = places.map(|(_, y)| y);
            ys.sort_by(f64::total_cmp);
            assert!(ys.windows(2).all(|w| w[1] - w[0] >= 15.9), "{places:?}");
        }
    }

    #[test]
    fn blocks_are_counted_in_whole_numbers() {
        let chart = LineChart {
            x: Axis {
                title: "block".into(),
                log: false,
            },
            y: Axis {
                title: "y".into(),
                log: false,
            },
            lines: vec![Line {
                label: "a".into(),
                style: objective_style(api::ObjectiveKind::Local),
                dash: false,
                points: vec![(2.0, 0.1), (3.0, 0.2), (4.0, 0.3)],
            }],
            size: (760, 440),
        };
        let svg = chart.svg(Theme::Page);
        assert!(
            ["2", "3", "4"].iter().all(|block| svg.contains(&format!(">{block}</text>"))),
            "{svg}"
        );
        assert!(!svg.contains(">2.5</text>") && !svg.contains(">2.0</text>"), "{svg}");
    }

    #[test]
    fn decimation_keeps_the_extremes() {
        let points: Vec<(f64, f64)> = (0..10_000).map(|i| (i as f64 / 100.0, ((i * 7919) % 1000) as f64)).collect();
        let out = decimate(&points);
        assert!(out.len() <= 400);
        for column in 0..100 {
            let ys = |all: &[(f64, f64)]| {
                let mut ys: Vec<f64> = all.iter().filter(|p| p.0.floor() == column as f64).map(|p| p.1).collect();
                ys.sort_by(f64::total_cmp);
                (ys[0], ys[ys.len() - 1])
            };
            assert_eq!(ys(&points), ys(&out));
        }
        assert_eq!((out[0], out[out.len() - 1]), (points[0], points[9_999]));
    }
}
