//! Marks in the plane, each something that can be named and opened, with a line per series.

use super::canvas::Canvas;
use super::frame::{Area, Axis, EndLabel, Frame};
use super::labels::{along, around};
use super::style::{Ink, Style, Theme};

const RADIUS: f64 = 5.0;

/// Marks in the plane.
#[derive(Clone, Debug, PartialEq)]
pub struct ScatterChart {
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// What is drawn, the first lowest.
    pub series: Vec<Series>,
    /// Width and height, in SVG user units.
    pub size: (u32, u32),
    /// The line below: how many tokens and seeds stand behind a point.
    pub caption: String,
}

/// Marks of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its name, which stands at the end of its line.
    pub label: String,
    /// How it looks.
    pub style: Style,
    /// Its marks. Those with a value that has no place are left out and counted in the caption.
    pub points: Vec<Point>,
    /// A line through the plane as (x, y), such as the Pareto front; may be empty.
    pub line: Vec<(f64, f64)>,
}

/// A mark.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Its value on the horizontal axis.
    pub x: f64,
    /// Its value on the vertical axis.
    pub y: f64,
    /// What it stands for; the mark's `data-id`.
    pub id: i64,
    /// What it is and its numbers, in words.
    pub title: String,
}

/// The mark that was hit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Index of its series.
    pub series: usize,
    /// Index of it in its series.
    pub point: usize,
    /// Its centre, in SVG user units.
    pub x: f64,
    /// Its centre, in SVG user units.
    pub y: f64,
}

impl ScatterChart {
    /// The chart as an SVG document (for [`Theme::Page`] as an element of the page).
    pub fn svg(&self, theme: Theme) -> String {
        let frame = self.frame();
        let mut canvas = Canvas::new(theme, self.size);
        frame.draw(&mut canvas, &self.x, &self.y);
        let mut taken = Vec::new();
        for series in &self.series {
            let line: Vec<_> = series.line.iter().filter_map(|p| frame.place(*p)).collect();
            if line.len() > 1 {
                taken.extend(along(&line));
                canvas.lines("front", Ink::Series(series.style), 1.5, false, 0.6, &[line]);
            }
        }
        let mut ends = Vec::new();
        for series in &self.series {
            let placed: Vec<_> = series
                .points
                .iter()
                .filter_map(|p| Some((p, frame.place((p.x, p.y))?)))
                .collect();
            for (point, at) in &placed {
                let attributes = format!("class=\"mark\" data-id=\"{}\" opacity=\"0.85\"", point.id);
                canvas.mark(&attributes, Some(&point.title), series.style, *at, RADIUS);
                taken.push(around(*at, RADIUS + 2.0));
            }
            let line_end = series
                .line
                .iter()
                .filter_map(|p| frame.place(*p))
                .max_by(|a, b| a.0.total_cmp(&b.0));
            let end = line_end.or_else(|| placed.iter().map(|(_, at)| *at).max_by(|a, b| a.0.total_cmp(&b.0)));
            ends.extend(end.map(|at| EndLabel {
                text: &series.label,
                style: series.style,
                at,
            }));
        }
        if ends.is_empty() {
            frame.draw_empty(&mut canvas, "Nothing to show here yet.");
        }
        frame.draw_labels(&mut canvas, &ends, taken);
        canvas.finish(&format!("{} against {}", self.y.title, self.x.title))
    }

    /// The mark nearest to a position in SVG user units, if one is within `radius`.
    pub fn hit(&self, px: f64, py: f64, radius: f64) -> Option<Hit> {
        let frame = self.frame();
        let marks = self.series.iter().enumerate().flat_map(|(series, s)| {
            let frame = &frame;
            let hits = s.points.iter().enumerate();
            hits.filter_map(move |(point, p)| frame.place((p.x, p.y)).map(|(x, y)| Hit { series, point, x, y }))
        });
        let near = marks
            .map(|hit| ((hit.x - px).hypot(hit.y - py), hit))
            .filter(|(distance, _)| *distance <= radius);
        near.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, hit)| hit)
    }

    /// The centre of a mark in SVG user units; NaN where there is no such mark or it has no place.
    pub fn position(&self, series: usize, point: usize) -> (f64, f64) {
        let point = self.series.get(series).and_then(|s| s.points.get(point));
        point
            .and_then(|p| self.frame().place((p.x, p.y)))
            .unwrap_or((f64::NAN, f64::NAN))
    }

    /// The rectangle between the axes.
    pub fn plot_area(&self) -> Area {
        self.frame().plot
    }

    fn frame(&self) -> Frame {
        let shown = |p: &&Point| p.x.is_finite() && p.y.is_finite();
        let points = || self.series.iter().flat_map(|s| &s.points);
        let line = || {
            self.series
                .iter()
                .flat_map(|s| &s.line)
                .filter(|(x, y)| x.is_finite() && y.is_finite())
        };
        let left_out = points().filter(|p| !shown(p)).count();
        let mut caption = self.caption.clone();
        if left_out > 0 {
            let separator = if caption.is_empty() { "" } else { " · " };
            let points = if left_out == 1 { "point" } else { "points" };
            caption.push_str(&format!("{separator}{left_out} {points} without a finite value left out"));
        }
        let xs = points().filter(shown).map(|p| p.x).chain(line().map(|l| l.0)).collect();
        let ys = points().filter(shown).map(|p| p.y).chain(line().map(|l| l.1)).collect();
        let labels = self.series.iter().map(|s| s.label.as_str());
        Frame::new(self.size, (&self.x, &self.y), (xs, ys), labels, &caption)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charts::objective_style;
    use proptest::prelude::*;

    fn chart(points: Vec<(f64, f64)>, log: bool) -> ScatterChart {
        let points = points.into_iter().enumerate().map(|(i, (x, y))| Point {
            x,
            y,
            id: i as i64,
            title: format!("<{i}>"),
        });
        let style = objective_style(api::ObjectiveKind::Local);
        let series = vec![Series {
            label: "local".into(),
            style,
            points: points.collect(),
            line: Vec::new(),
        }];
        let axis = |title: &str| Axis {
            title: title.into(),
            log,
        };
        ScatterChart {
            x: axis("x"),
            y: axis("y"),
            series,
            size: (720, 430),
            caption: String::new(),
        }
    }

    #[test]
    fn what_has_no_value_is_left_out_and_counted() {
        let svg = chart(vec![(1.0, 2.0), (f64::NAN, 1.0), (1.0, f64::INFINITY)], true).svg(Theme::Page);
        assert_eq!(svg.matches("class=\"mark\"").count(), 1);
        assert!(svg.contains("2 points without a finite value left out") && !svg.contains("NaN"));
        assert!(chart(vec![], true).svg(Theme::Light).contains("Nothing to show"));
    }

    proptest! {
        #[test]
        fn a_mark_is_hit_at_its_own_position(points in prop::collection::vec((-1e3..1e3f64, -1e3..1e3f64), 1..9), log: bool) {
            let chart = chart(points.clone(), log);
            let svg = chart.svg(Theme::Dark);
            prop_assert!(!svg.contains("NaN"));
            for i in 0..points.len() {
                let id = format!("data-id=\"{i}\"");
                prop_assert!(svg.contains(&id));
                let (x, y) = chart.position(0, i);
                let hit = chart.hit(x, y, 1.0).expect("a mark is here");
                prop_assert!((hit.x - x).hypot(hit.y - y) < 1e-9);
            }
        }
    }
}
