//! Marks in the plane, each something that can be named and opened, with a line per series.

use super::canvas::{Anchor, Canvas, TEXT_SIZE, text_width};
use super::frame::{Area, Axis, EndLabel, Frame, are_many};
use super::labels::{along, around};
use super::style::{Ink, Style, Theme};

const RADIUS: f64 = 5.0;
/// A value smaller than this share of the largest is 0 up to rounding: a logarithmic axis does not reach down to it.
const ROUNDING: f64 = 1e-5;
/// Height of a line of the key.
const KEY_LINE: f64 = 18.0;

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
    /// Whether the drawing has a key below, and is higher by it, where the series are too many to be named in the plot.
    pub key: bool,
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
        let key = self.key_places();
        let below = key.iter().map(|(_, y)| y + KEY_LINE).fold(0.0, f64::max);
        let mut canvas = Canvas::new(theme, (self.size.0, self.size.1 + below.ceil() as u32));
        frame.draw(&mut canvas, &self.x, &self.y);
        let mut taken = Vec::new();
        for series in &self.series {
            let line: Vec<_> = series.line.iter().filter_map(|p| frame.place(*p)).collect();
            if line.len() > 1 {
                taken.extend(along(&line));
                canvas.lines(
                    "front",
                    Ink::Series(series.style),
                    1.5,
                    series.style.fill.dash(),
                    0.6,
                    &[line],
                );
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
            let line: Vec<_> = series.line.iter().filter_map(|p| frame.place(*p)).collect();
            let all = if line.is_empty() {
                placed.iter().map(|(_, at)| *at).collect()
            } else {
                line
            };
            let ends_of = |all: &[(f64, f64)]| {
                let by_x = |a: &&(f64, f64), b: &&(f64, f64)| a.0.total_cmp(&b.0);
                Some((*all.iter().min_by(by_x)?, *all.iter().max_by(by_x)?))
            };
            ends.extend(ends_of(&all).map(|(from, at)| EndLabel {
                text: &series.label,
                style: series.style,
                at,
                from,
                n: all.len(),
            }));
        }
        if ends.is_empty() {
            frame.draw_empty(&mut canvas, "Nothing to show here yet.");
        }
        frame.draw_labels(&mut canvas, &ends, taken);
        for (series, (x, y)) in self.series.iter().zip(key) {
            let middle = f64::from(self.size.1) + y + KEY_LINE / 2.0;
            canvas.mark("class=\"key\"", None, series.style, (x + RADIUS, middle), RADIUS);
            let at = (x + 2.0 * RADIUS + 6.0, middle + TEXT_SIZE * 0.36);
            canvas.text(&series.label, at, Anchor::Start, Ink::Text, false, false);
        }
        canvas.finish(&format!("{} against {}", self.y.title, self.x.title))
    }

    /// Where each series stands in the key below the drawing; nowhere where there is none.
    fn key_places(&self) -> Vec<(f64, f64)> {
        if !self.key || !are_many(self.series.iter().map(|s| s.label.as_str())) {
            return Vec::new();
        }
        let (mut x, mut y) = (20.0, 0.0);
        let place = |series: &Series| {
            let width = 2.0 * RADIUS + 6.0 + text_width(&series.label) + 18.0;
            if x + width > f64::from(self.size.0) && x > 20.0 {
                (x, y) = (20.0, y + KEY_LINE);
            }
            let at = (x, y);
            x += width;
            at
        };
        self.series.iter().map(place).collect()
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
        let mut xs: Vec<f64> = points().filter(shown).map(|p| p.x).chain(line().map(|l| l.0)).collect();
        let mut ys: Vec<f64> = points().filter(shown).map(|p| p.y).chain(line().map(|l| l.1)).collect();
        for (axis, values, name) in [(&self.x, &mut xs, "horizontal"), (&self.y, &mut ys, "vertical")] {
            if axis.log && without_rounding(values) {
                caption.push_str(&format!(" · {name} axis linear around 0"));
            }
        }
        let labels = self.series.iter().map(|s| s.label.as_str());
        Frame::new(self.size, (&self.x, &self.y), (xs, ys), labels, &caption)
    }
}

/// Takes for 0 what is only rounding beside the largest of `values`, so that a logarithmic axis does not reach down to it. Whether the axis has
/// then to cope with values that are not above 0.
fn without_rounding(values: &mut [f64]) -> bool {
    let largest = values.iter().map(|v| v.abs()).fold(0.0, f64::max);
    for v in values.iter_mut().filter(|v| v.abs() < ROUNDING * largest) {
        *v = 0.0;
    }
    values.iter().any(|v| *v <= 0.0)
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
            key: false,
        }
    }

    #[test]
    fn what_has_no_value_is_left_out_and_counted() {
        let svg = chart(vec![(1.0, 2.0), (f64::NAN, 1.0), (1.0, f64::INFINITY)], true).svg(Theme::Page);
        assert_eq!(svg.matches("class=\"mark\"").count(), 1);
        assert!(svg.contains("2 points without a finite value left out") && !svg.contains("NaN"));
        assert!(chart(vec![], true).svg(Theme::Light).contains("Nothing to show"));
    }

    #[test]
    fn a_complete_dictionary_does_not_stretch_a_logarithmic_axis() {
        let points = |y: f64| vec![(10.0, 0.9), (20.0, 0.2), (40.0, 0.05), (128.0, y)];
        let gap = |y: f64| {
            let chart = chart(points(y), true);
            let (_, first) = chart.position(0, 0);
            (
                chart.position(0, 2).1 - first,
                chart.svg(Theme::Light).contains("vertical axis linear around 0"),
            )
        };
        let (height, said) = gap(0.01);
        assert!(!said);
        for y in [1e-7, 0.0, -3e-7] {
            let (with, said) = gap(y);
            assert!(said && with > 0.6 * height, "{y}: {with} of {height}");
        }
    }

    /// Twenty series of three points each, all in one place.
    fn many(key: bool) -> ScatterChart {
        let style = objective_style(api::ObjectiveKind::Local);
        let series = (0..20_i64).map(|i| {
            let at = |j: i64| (10.0 * (j + 1) as f64, 1.0 / (1 + i + j) as f64);
            Series {
                label: format!("a series of the number {i}"),
                style,
                points: (0..3)
                    .map(|j| Point {
                        x: at(j).0,
                        y: at(j).1,
                        id: 3 * i + j,
                        title: String::new(),
                    })
                    .collect(),
                line: (0..3).map(at).collect(),
            }
        });
        ScatterChart {
            series: series.collect(),
            key,
            ..chart(Vec::new(), true)
        }
    }

    #[test]
    fn of_many_series_a_handful_has_a_label_and_the_key_has_all() {
        let named = |svg: &str| svg.matches(">a series of the number ").count();
        let page = many(false).svg(Theme::Page);
        assert!(named(&page) <= 6, "{}", named(&page));
        assert!(page.contains("viewBox=\"0 0 720 430\"") && !page.contains("class=\"leader\""));
        let file = many(true).svg(Theme::Light);
        assert_eq!((named(&file) - named(&page), file.matches("class=\"key\"").count()), (20, 20));
        assert!(!file.contains("viewBox=\"0 0 720 430\""), "the key has no room");
        // few are all named in the plot
        let few = ScatterChart {
            series: many(true).series[..5].to_vec(),
            ..many(true)
        };
        let svg = few.svg(Theme::Light);
        assert!(named(&svg) <= 5 && svg.matches("class=\"key\"").count() == 0);
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
