//! A sheet of SVG. Lines and marks are drawn by plotters' SVG backend, each group of one colour into a string of its own,
//! so that a group can have a name, a title and a colour that is not a fixed one. Text is placed here: without a font
//! plotters can only guess how wide it is.

use std::fmt::Write;

use plotters::coord::Shift;
use plotters::prelude::{
    Circle, DrawingArea, DrawingAreaErrorKind, IntoDrawingArea, PathElement, Polygon, RGBColor, SVGBackend, ShapeStyle,
};

use super::style::{FONT_FAMILY, Ink, Marker, Style, Theme};

/// plotters draws on whole pixels; the chart's user unit has this many of them.
const FINE: f64 = 10.0;
/// Stands for the group's colour while plotters draws.
const STAND_IN: RGBColor = RGBColor(1, 2, 3);
const STAND_IN_TEXT: &str = "#010203";

/// Size of text, in user units.
pub(super) const TEXT_SIZE: f64 = 12.0;

type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// Where a text stands relative to its position.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

pub(super) struct Canvas {
    theme: Theme,
    size: (u32, u32),
    body: String,
}

impl Canvas {
    pub(super) fn new(theme: Theme, size: (u32, u32)) -> Self {
        Self {
            theme,
            size,
            body: String::new(),
        }
    }

    /// A group around what `draw` draws in `ink`; `attributes` are written as they are.
    fn group(
        &mut self,
        attributes: &str,
        title: Option<&str>,
        ink: Ink,
        draw: impl FnOnce(&DrawingArea<SVGBackend<'_>, Shift>) -> Drawn,
    ) {
        let mut drawn = String::new();
        {
            let fine = |units: u32| units.saturating_mul(FINE as u32);
            let area = SVGBackend::with_string(&mut drawn, (fine(self.size.0), fine(self.size.1))).into_drawing_area();
            draw(&area)
                .and_then(|()| area.present())
                .expect("a string takes all that is drawn");
        }
        // what lies between plotters' <svg …> and </svg>
        let inner = drawn.split_once(">\n").map_or("", |(_, rest)| rest);
        let inner = inner.trim_end().strip_suffix("</svg>").unwrap_or(inner).trim_end();
        let inner = inner.replace(" opacity=\"1\"", "").replace(" stroke=\"none\"", "");
        let inner = inner.replace(STAND_IN_TEXT, &ink.css(self.theme));
        let title = title.map(|t| format!("<title>{}</title>", escape(t))).unwrap_or_default();
        let _ = writeln!(
            self.body,
            "<g {attributes} transform=\"scale({})\">{title}{inner}</g>",
            1.0 / FINE
        );
    }

    /// Open lines of one colour; `width` in user units.
    pub(super) fn lines(&mut self, class: &str, ink: Ink, width: f64, dash: bool, opacity: f64, paths: &[Vec<(f64, f64)>]) {
        let style = ShapeStyle {
            color: STAND_IN.into(),
            filled: false,
            stroke_width: (width * FINE).round() as u32,
        };
        let dash = if dash { " stroke-dasharray=\"50 40\"" } else { "" };
        let fade = if opacity < 1.0 {
            format!(" opacity=\"{opacity}\"")
        } else {
            String::new()
        };
        let attributes = format!("class=\"{class}\" stroke-linejoin=\"round\" stroke-linecap=\"round\"{dash}{fade}");
        self.group(&attributes, None, ink, |area| {
            paths
                .iter()
                .try_for_each(|path| area.draw(&PathElement::new(path.iter().map(|p| fine(*p)).collect::<Vec<_>>(), style)))
        });
    }

    /// A mark with a thin edge in the ground's colour, so that marks that overlap stay apart.
    pub(super) fn mark(&mut self, attributes: &str, title: Option<&str>, style: Style, (x, y): (f64, f64), radius: f64) {
        let edge = if style.hollow { Ink::Series(style) } else { Ink::Paper }.css(self.theme);
        let width = if style.marker == Marker::Cross { 2.0 } else { 1.0 };
        let stroke = (width * FINE) as u32;
        let shape = ShapeStyle {
            color: STAND_IN.into(),
            filled: style.marker != Marker::Cross,
            stroke_width: stroke,
        };
        let pale = if style.hollow { " fill-opacity=\"0.25\"" } else { "" };
        let attributes = format!("{attributes} stroke=\"{edge}\" stroke-width=\"{stroke}\"{pale}");
        let corners = |offsets: &[(f64, f64)]| {
            offsets
                .iter()
                .map(|(dx, dy)| fine((x + dx * radius, y + dy * radius)))
                .collect::<Vec<_>>()
        };
        self.group(&attributes, title, Ink::Series(style), |area| match style.marker {
            Marker::Circle => area.draw(&Circle::new(fine((x, y)), (radius * FINE) as u32, shape)),
            Marker::Square => {
                let r = 0.88;
                area.draw(&Polygon::new(corners(&[(-r, -r), (r, -r), (r, r), (-r, r)]), shape))
            }
            // the centroid at the value
            Marker::Triangle => area.draw(&Polygon::new(corners(&[(0.0, -1.25), (1.1, 0.7), (-1.1, 0.7)]), shape)),
            Marker::Diamond => area.draw(&Polygon::new(
                corners(&[(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)]),
                shape,
            )),
            Marker::TriangleDown => area.draw(&Polygon::new(corners(&[(0.0, 1.25), (1.1, -0.7), (-1.1, -0.7)]), shape)),
            Marker::Arrow => area.draw(&Polygon::new(
                corners(&[
                    (-1.2, -0.4),
                    (0.0, -0.4),
                    (0.0, -1.1),
                    (1.25, 0.0),
                    (0.0, 1.1),
                    (0.0, 0.4),
                    (-1.2, 0.4),
                ]),
                shape,
            )),
            Marker::Chevron => area.draw(&Polygon::new(
                corners(&[(-1.1, -1.1), (0.0, -1.1), (1.1, 0.0), (0.0, 1.1), (-1.1, 1.1), (0.0, 0.0)]),
                shape,
            )),
            Marker::Octagon => {
                let (r, half) = (1.05, 0.43);
                let points = [
                    (-half, -r),
                    (half, -r),
                    (r, -half),
                    (r, half),
                    (half, r),
                    (-half, r),
                    (-r, half),
                    (-r, -half),
                ];
                area.draw(&Polygon::new(corners(&points), shape))
            }
            Marker::Slant => area.draw(&Polygon::new(
                corners(&[(-0.5, -0.9), (1.4, -0.9), (0.5, 0.9), (-1.4, 0.9)]),
                shape,
            )),
            Marker::TriangleRight => area.draw(&Polygon::new(corners(&[(1.25, 0.0), (-0.7, 1.1), (-0.7, -1.1)]), shape)),
            Marker::Hexagon => {
                let (r, half) = (1.1, 0.55);
                let side = 0.95;
                let points = [
                    (0.0, -r),
                    (side, -half),
                    (side, half),
                    (0.0, r),
                    (-side, half),
                    (-side, -half),
                ];
                area.draw(&Polygon::new(corners(&points), shape))
            }
            Marker::Star => {
                // five points of a circle, and between them five of a smaller one
                let point = |i: usize| {
                    let r = if i.is_multiple_of(2) { 1.35 } else { 0.6 };
                    let turn = std::f64::consts::PI * (i as f64 / 5.0 - 0.5);
                    (r * turn.cos(), r * turn.sin())
                };
                area.draw(&Polygon::new(corners(&std::array::from_fn::<_, 10, _>(point)), shape))
            }
            Marker::TriangleLeft => area.draw(&Polygon::new(corners(&[(-1.25, 0.0), (0.7, 1.1), (0.7, -1.1)]), shape)),
            Marker::Hourglass => {
                let points = [(-1.0, -1.0), (1.0, -1.0), (0.0, 0.0), (1.0, 1.0), (-1.0, 1.0), (0.0, 0.0)];
                area.draw(&Polygon::new(corners(&points), shape))
            }
            Marker::Bow => {
                let points = [(-1.0, -1.0), (0.0, 0.0), (1.0, -1.0), (1.0, 1.0), (0.0, 0.0), (-1.0, 1.0)];
                area.draw(&Polygon::new(corners(&points), shape))
            }
            Marker::Pentagon => {
                let point = |i: usize| {
                    let turn = std::f64::consts::PI * (i as f64 / 2.5 - 0.5);
                    (1.15 * turn.cos(), 1.15 * turn.sin())
                };
                area.draw(&Polygon::new(corners(&std::array::from_fn::<_, 5, _>(point)), shape))
            }
            Marker::Plus => area.draw(&Polygon::new(corners(&plus(0.0)), shape)),
            Marker::Saltire => area.draw(&Polygon::new(corners(&plus(0.125)), shape)),
            Marker::Cross => {
                let r = 0.85;
                area.draw(&PathElement::new(corners(&[(-r, -r), (r, r)]), shape))?;
                area.draw(&PathElement::new(corners(&[(-r, r), (r, -r)]), shape))
            }
        });
    }

    /// A line of text; `turned` stands it up, reading from below.
    pub(super) fn text(&mut self, text: &str, (x, y): (f64, f64), anchor: Anchor, ink: Ink, strong: bool, turned: bool) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let at = if turned {
            format!("transform=\"translate({x:.1} {y:.1}) rotate(-90)\"")
        } else {
            format!("x=\"{x:.1}\" y=\"{y:.1}\"")
        };
        let weight = if strong { " font-weight=\"600\"" } else { "" };
        // as attributes: the page's content security policy forbids inline styles
        let _ = writeln!(
            self.body,
            "<text {at} text-anchor=\"{anchor}\" fill=\"{}\"{weight}>{}</text>",
            ink.css(self.theme),
            escape(text)
        );
    }

    /// The document. `title` says in words what the chart shows.
    pub(super) fn finish(self, title: &str) -> String {
        let (width, height) = self.size;
        let ground = match self.theme {
            Theme::Page => String::new(),
            _ => format!(
                "<rect width=\"{width}\" height=\"{height}\" fill=\"{}\"/>\n",
                Ink::Paper.css(self.theme)
            ),
        };
        // by itself a file has a size in pixels, in the page it is as wide as its place
        let extent = match self.theme {
            Theme::Page => "width=\"100%\"".to_string(),
            _ => format!("width=\"{width}\" height=\"{height}\""),
        };
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" role=\"img\" viewBox=\"0 0 {width} {height}\" {extent} \
             font-family=\"{FONT_FAMILY},system-ui,'Segoe UI',Roboto,'DejaVu Sans',sans-serif\" font-size=\"{TEXT_SIZE}\">\n<title>{}</title>\n{ground}{}</svg>\n",
            escape(title),
            self.body
        )
    }
}

fn fine((x, y): (f64, f64)) -> (i32, i32) {
    ((x * FINE).round() as i32, (y * FINE).round() as i32)
}

/// Text as XML has it; what XML cannot say is left out.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

/// About how wide `text` is at [`TEXT_SIZE`], in user units; a little more rather than less.
pub(super) fn text_width(text: &str) -> f64 {
    let em: f64 = text
        .chars()
        .map(|c| match c {
            'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | ' ' => 0.3,
            'f' | 't' | 'r' | '(' | ')' | '/' | '·' | '‖' => 0.4,
            'm' | 'w' | 'M' | 'W' | '@' | '—' => 0.92,
            '¹' | '²' | '³' | '⁰' | '⁴'..='⁻' => 0.46,
            c if c.is_ascii_uppercase() => 0.7,
            _ => 0.62,
        })
        .sum();
    em * TEXT_SIZE
}

/// `text` in lines at most `width` user units wide, broken between words.
pub(super) fn wrap(text: &str, width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if text_width(line) + text_width(" ") + text_width(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.into()),
        }
    }
    lines
}

/// The corners of a plus with thick arms, turned by a share of a circle.
fn plus(turn: f64) -> [(f64, f64); 12] {
    let (sin, cos) = (std::f64::consts::TAU * turn).sin_cos();
    let (long, half) = (1.2, 0.42);
    std::array::from_fn(|i| {
        // each quarter has an arm's two corners and the inner one
        let (x, y) = [(half, -long), (half, -half), (long, -half)][i % 3];
        let (x, y) = match i / 3 {
            0 => (x, y),
            1 => (-y, x),
            2 => (-x, -y),
            _ => (y, -x),
        };
        (x * cos - y * sin, x * sin + y * cos)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap("52,224 tokens per point", 1e4), ["52,224 tokens per point"]);
        assert_eq!(wrap("52,224 tokens per point", 1.0), ["52,224", "tokens", "per", "point"]);
        assert!(wrap("  ", 100.0).is_empty());
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(escape("a<b> & \"c\"\u{1}"), "a&lt;b&gt; &amp; &quot;c&quot;");
    }
}
