//! What every chart has around its data: the place of the plot, axes with titles and ticks, labels at the line ends,
//! a caption below.

use super::canvas::{Anchor, Canvas, TEXT_SIZE, text_width, wrap};
use super::labels::{along, around, beside, free_beside, push_apart};
use super::number::tick_labels;
use super::scale::{Scale, Tick};
use super::style::{Ink, Style};
use std::collections::BTreeSet;

/// Least distance of two ticks, in user units.
const TICK_GAP: (f64, f64) = (64.0, 44.0);
const LINE_HEIGHT: f64 = 16.0;
/// Between the plot and the labels at its right.
const LABEL_GAP: f64 = 14.0;
/// A line that ends within this share of the plot's width of its right edge, the air that a scale leaves and a little more,
/// has its label at the right.
const NEAR: f64 = 0.06;

/// Up to this many labels stand at the ends of their lines, whatever it takes; of more, the same number at most, where there is room. What has
/// none is named in the key.
pub const FEW: usize = 6;
/// A label that has to move farther than this from its line's end is left out.
const FAR: f64 = 3.0 * LINE_HEIGHT;

/// An axis, as asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What it measures, with the unit.
    pub title: String,
    /// Logarithmic; where a value is 0 or below, symmetrically so.
    pub log: bool,
}

/// A rectangle in SVG user units, y downwards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    /// Its left edge.
    pub left: f64,
    /// Its upper edge.
    pub top: f64,
    /// Its right edge.
    pub right: f64,
    /// Its lower edge.
    pub bottom: f64,
}

/// Where everything goes.
pub(super) struct Frame {
    pub(super) plot: Area,
    pub(super) x: Scale,
    pub(super) y: Scale,
    /// Whether every value on the horizontal axis is a whole number, as a block's index is: then every tick is.
    is_whole: bool,
    caption: Vec<String>,
    size: (f64, f64),
}

/// A label at the right of the plot.
pub(super) struct EndLabel<'a> {
    pub(super) text: &'a str,
    pub(super) style: Style,
    /// The line's end.
    pub(super) at: (f64, f64),
    /// Where it begins.
    pub(super) from: (f64, f64),
    /// Of how many points it is.
    pub(super) n: usize,
}

/// Whether lines of these labels, of which some may share one, are too many for each to have its label.
pub(super) fn are_many<'a>(labels: impl Iterator<Item = &'a str>) -> bool {
    labels.collect::<BTreeSet<_>>().len() > FEW
}

impl Frame {
    /// `labels` are the texts that stand at the right, where they are few.
    pub(super) fn new<'a>(
        size: (u32, u32),
        (x_axis, y_axis): (&Axis, &Axis),
        (xs, ys): (Vec<f64>, Vec<f64>),
        labels: impl Iterator<Item = &'a str> + Clone,
        caption: &str,
    ) -> Self {
        let (width, height) = (f64::from(size.0), f64::from(size.1));
        let caption = wrap(caption, (width - 110.0).max(120.0));
        let below = if caption.is_empty() {
            0.0
        } else {
            caption.len() as f64 * LINE_HEIGHT + 8.0
        };
        let (top, bottom) = (14.0, (height - 46.0 - below).max(34.0));
        // no more ticks than the height has room for, so that their labels' width is known before the left edge is
        let y = Scale::fit(ys, y_axis.log, (bottom, top));
        let ticks = y.ticks(TICK_GAP.1).iter().map(|t| text_width(&t.label)).fold(0.0, f64::max);
        let left = (ticks + 40.0).min(width * 0.4);
        let widest = match are_many(labels.clone()) {
            true => 0.0,
            false => labels.map(text_width).fold(0.0, f64::max),
        };
        let right = if widest > 0.0 {
            (widest * 1.06 + LABEL_GAP + 6.0).min(width * 0.35)
        } else {
            18.0
        };
        let right = (width - right).max(left + 20.0);
        let is_whole = xs.iter().all(|x| x.fract() == 0.0);
        let x = Scale::fit(xs, x_axis.log, (left, right));
        Self {
            plot: Area {
                left,
                top,
                right,
                bottom,
            },
            x,
            y,
            is_whole,
            caption,
            size: (width, height),
        }
    }

    /// Where zero is, if values lie on both sides of it.
    fn zero(&self) -> Option<f64> {
        let (low, high) = self.y.domain();
        (low < 0.0 && high > 0.0).then(|| self.y.position(0.0))
    }

    /// Where a value is; none where the scales have no place for it.
    pub(super) fn place(&self, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        (self.x.holds(x) && self.y.holds(y)).then(|| (self.x.position(x), self.y.position(y)))
    }

    fn x_ticks(&self) -> Vec<Tick> {
        let ticks = self.x.ticks(TICK_GAP.0);
        if !self.is_whole || ticks.iter().all(|tick| tick.value.fract() == 0.0) {
            return ticks;
        }
        let whole: Vec<f64> = ticks
            .iter()
            .map(|tick| tick.value)
            .filter(|value| value.fract() == 0.0)
            .collect();
        tick_labels(&whole)
            .into_iter()
            .zip(whole)
            .map(|(label, value)| Tick { value, label })
            .collect()
    }

    /// Grid, axes, titles and caption.
    pub(super) fn draw(&self, canvas: &mut Canvas, x_axis: &Axis, y_axis: &Axis) {
        let Area {
            left,
            top,
            right,
            bottom,
        } = self.plot;
        let xs = self.x_ticks();
        let ys = self.y.ticks(TICK_GAP.1);
        let crisp = |p: f64| p.floor() + 0.5;
        let (left_edge, base) = (crisp(left), crisp(bottom));
        let rows: Vec<_> = ys.iter().map(|t| crisp(self.y.position(t.value))).collect();
        let grid: Vec<_> = rows.iter().map(|y| vec![(left_edge, *y), (right, *y)]).collect();
        canvas.lines("grid", Ink::Grid, 1.0, &[], 1.0, &grid);
        let mut axes = vec![vec![(left_edge, base), (right, base)]];
        axes.extend(
            xs.iter()
                .map(|t| crisp(self.x.position(t.value)))
                .map(|x| vec![(x, base), (x, base + 5.0)]),
        );
        canvas.lines("axis", Ink::Axis, 1.0, &[], 1.0, &axes);
        // where negative values are possible, zero is a line to be seen
        if let Some(zero) = self.zero().map(crisp) {
            canvas.lines(
                "axis zero",
                Ink::Axis,
                1.0,
                &[],
                1.0,
                &[vec![(left_edge, zero), (right, zero)]],
            );
        }
        for (tick, y) in ys.iter().zip(rows) {
            canvas.text(
                &tick.label,
                (left - 8.0, y + TEXT_SIZE * 0.36),
                Anchor::End,
                Ink::Quiet,
                false,
                false,
            );
        }
        for tick in &xs {
            canvas.text(
                &tick.label,
                (self.x.position(tick.value), bottom + 20.0),
                Anchor::Middle,
                Ink::Quiet,
                false,
                false,
            );
        }
        canvas.text(
            &x_axis.title,
            ((left + right) / 2.0, bottom + 40.0),
            Anchor::Middle,
            Ink::Text,
            false,
            false,
        );
        canvas.text(
            &y_axis.title,
            (14.0, (top + bottom) / 2.0),
            Anchor::Middle,
            Ink::Text,
            false,
            true,
        );
        let first = self.size.1 - 6.0 - (self.caption.len().max(1) - 1) as f64 * LINE_HEIGHT;
        for (i, line) in self.caption.iter().enumerate() {
            canvas.text(
                line,
                (left, first + i as f64 * LINE_HEIGHT),
                Anchor::Start,
                Ink::Quiet,
                false,
                false,
            );
        }
    }

    /// Labels in their lines' colours beside the ends of the lines: at the right of the plot for those that end near it, with a
    /// thin leader where they had to move away, and in the plot for the others, where they cover least of what is `taken`.
    /// Lines of one label share it.
    pub(super) fn draw_labels(&self, canvas: &mut Canvas, labels: &[EndLabel<'_>], mut taken: Vec<Area>) {
        let mut shared: Vec<(&EndLabel<'_>, Vec<(f64, f64)>)> = Vec::new();
        for label in labels.iter().filter(|l| !l.text.is_empty()) {
            match shared
                .iter_mut()
                .find(|(l, _)| l.text == label.text && l.style == label.style)
            {
                Some((_, ends)) => ends.push(label.at),
                None => shared.push((label, vec![label.at])),
            }
        }
        if let Some(zero) = self.zero() {
            taken.extend(along(&[(self.plot.left, zero), (self.plot.right, zero)]));
        }
        if shared.len() > FEW {
            return self.draw_some_labels(canvas, shared, taken);
        }
        let left = self.plot.right + LABEL_GAP;
        let (near, far): (Vec<_>, Vec<_>) = shared
            .into_iter()
            .map(|(label, mut ends)| {
                ends.sort_by(|a, b| a.1.total_cmp(&b.1));
                (label, ends[ends.len() / 2])
            })
            .partition(|(_, end)| self.plot.right - end.0 <= NEAR * (self.plot.right - self.plot.left));
        taken.extend(near.iter().chain(&far).map(|(_, end)| around(*end, 7.0)));
        let wanted: Vec<f64> = near.iter().map(|(_, end)| end.1).collect();
        let placed = push_apart(&wanted, LINE_HEIGHT, self.plot.top, self.plot.bottom);
        let width = |label: &EndLabel<'_>| text_width(label.text) * 1.06;
        let mut texts = Vec::new();
        for ((label, (x, y)), at) in near.into_iter().zip(placed) {
            if (at - y).abs() > FAR {
                continue;
            }
            if (at - y).abs() > 1.5 * LINE_HEIGHT {
                let leader = vec![(x + 9.0, y), (left - 3.0, at)];
                canvas.lines("leader", Ink::Series(label.style), 0.8, &[], 0.5, &[leader]);
            }
            let area = Area {
                left,
                top: at - LINE_HEIGHT / 2.0,
                right: left + width(label),
                bottom: at + LINE_HEIGHT / 2.0,
            };
            taken.push(area);
            texts.push((label, area));
        }
        let room = Area {
            right: self.size.0 - 4.0,
            ..self.plot
        };
        for (label, end) in far {
            let area = beside(end, (width(label), LINE_HEIGHT), room, &taken);
            taken.push(area);
            texts.push((label, area));
        }
        self.write_labels(canvas, &texts);
    }

    /// Labels of those lines that have room for one beside an end, the longest lines first.
    fn draw_some_labels(&self, canvas: &mut Canvas, labels: Vec<(&EndLabel<'_>, Vec<(f64, f64)>)>, mut taken: Vec<Area>) {
        let mut labels: Vec<&EndLabel<'_>> = labels.into_iter().map(|(label, _)| label).collect();
        labels.sort_by_key(|label| std::cmp::Reverse(label.n));
        let room = Area {
            right: self.size.0 - 4.0,
            ..self.plot
        };
        let mut texts = Vec::new();
        for label in labels {
            let size = (text_width(label.text) * 1.06, LINE_HEIGHT);
            if let Some(area) = free_beside(&[label.at, label.from], size, room, &taken).filter(|_| texts.len() < FEW) {
                taken.push(area);
                texts.push((label, area));
            }
        }
        self.write_labels(canvas, &texts);
    }

    fn write_labels(&self, canvas: &mut Canvas, texts: &[(&EndLabel<'_>, Area)]) {
        for (label, Area { left, top, .. }) in texts {
            let baseline = top + LINE_HEIGHT / 2.0 + TEXT_SIZE * 0.36;
            let ink = Ink::Series(label.style);
            canvas.text(label.text, (*left, baseline), Anchor::Start, ink, true, false);
        }
    }

    /// A sentence where data would be.
    pub(super) fn draw_empty(&self, canvas: &mut Canvas, sentence: &str) {
        let Area {
            left,
            top,
            right,
            bottom,
        } = self.plot;
        let middle = ((left + right) / 2.0, (top + bottom) / 2.0);
        canvas.text(sentence, middle, Anchor::Middle, Ink::Quiet, false, false);
    }
}
