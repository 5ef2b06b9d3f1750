//! Bars of one width over an axis: a histogram.

use super::canvas::Canvas;
use super::frame::{Area, Axis, Frame};
use super::style::{Ink, Theme};

/// A bar never has less than this, so that one feature among thousands is seen.
const LEAST: f64 = 1.5;
/// Between two bars.
const GAP: f64 = 1.5;

/// A histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct BarChart {
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// Where the first bar begins.
    pub low: f64,
    /// The width of a bar, on the horizontal axis.
    pub width: f64,
    /// What is counted in each.
    pub counts: Vec<u64>,
    /// Width and height, in SVG user units.
    pub size: (u32, u32),
}

/// The bar at a horizontal position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BarHit {
    /// Its index.
    pub bar: usize,
    /// Its middle, in SVG user units.
    pub px: f64,
}

impl BarChart {
    /// The chart as an SVG document (for [`Theme::Page`] as an element of the page).
    pub fn svg(&self, theme: Theme) -> String {
        let frame = self.frame();
        let mut canvas = Canvas::new(theme, self.size);
        frame.draw(&mut canvas, &self.x, &self.y);
        let bars = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        let placed: Vec<Area> = bars
            .filter_map(|(bar, count)| {
                let (left, top) = frame.place((self.edge(bar), *count as f64))?;
                let (right, bottom) = frame.place((self.edge(bar + 1), 0.0))?;
                Some(Area {
                    left,
                    top: top.min(bottom - LEAST),
                    right: (right - GAP).max(left + LEAST),
                    bottom,
                })
            })
            .collect();
        if placed.is_empty() {
            frame.draw_empty(&mut canvas, "Nothing to show here yet.");
        }
        canvas.bars("bar", Ink::Quiet, &placed);
        canvas.finish(&format!("{} by {}", self.y.title, self.x.title))
    }

    /// The bar at the horizontal position `px` (SVG user units); none beside them all.
    pub fn hit(&self, px: f64) -> Option<BarHit> {
        let frame = self.frame();
        let x = |bar| frame.place((self.edge(bar), 0.0)).map(|(x, _)| x);
        (0..self.counts.len()).find_map(|bar| {
            let (left, right) = (x(bar)?, x(bar + 1)?);
            (left..right).contains(&px).then_some(BarHit {
                bar,
                px: (left + right) / 2.0,
            })
        })
    }

    /// The rectangle between the axes.
    pub fn plot_area(&self) -> Area {
        self.frame().plot
    }

    /// Where bar number `bar` begins on the horizontal axis.
    pub fn edge(&self, bar: usize) -> f64 {
        self.low + bar as f64 * self.width
    }

    fn frame(&self) -> Frame {
        let xs = vec![self.low, self.edge(self.counts.len())];
        let most = self.counts.iter().copied().max().unwrap_or(0).max(1);
        Frame::new(
            self.size,
            (&self.x, &self.y),
            (xs, vec![0.0, most as f64]),
            std::iter::empty(),
            "",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> BarChart {
        let axis = |title: &str| Axis {
            title: title.into(),
            log: false,
        };
        BarChart {
            x: axis("log₁₀ of the frequency"),
            y: axis("features"),
            low: -3.0,
            width: 0.5,
            counts: vec![4, 0, 1, 1000],
            size: (520, 380),
        }
    }

    #[test]
    fn each_bar_stands_on_the_axis_and_is_found() {
        let chart = chart();
        let svg = chart.svg(Theme::Light);
        assert_eq!(
            svg.matches("<polygon").count() + svg.matches("<rect").count(),
            1 + 3,
            "a ground and three bars: {svg}"
        );
        let middles: Vec<f64> = (0..4)
            .map(|bar| {
                let (x, _) = chart.frame().place((chart.edge(bar) + 0.25, 0.0)).unwrap();
                let hit = chart.hit(x).unwrap();
                assert_eq!(hit.bar, bar);
                hit.px
            })
            .collect();
        assert!(middles.is_sorted() && chart.hit(0.0).is_none(), "{middles:?}");
        assert_eq!(chart.edge(4), -1.0);
    }

    #[test]
    fn no_bars_say_so() {
        let empty = BarChart {
            counts: vec![0],
            ..chart()
        };
        assert!(empty.svg(Theme::Page).contains("Nothing to show"));
    }
}
