//! The shapes of marks, in units of a mark's radius around its value: drawn by the charts, and as icons beside names.

use std::fmt::Write as _;

use super::style::{Fill, Marker, Style};

/// An arrow to the right, in radii of a mark.
const ARROW: [(f64, f64); 7] = [
    (-1.2, -0.4),
    (0.0, -0.4),
    (0.0, -1.1),
    (1.25, 0.0),
    (0.0, 1.1),
    (0.0, 0.4),
    (-1.2, 0.4),
];
/// A chevron to the right.
const CHEVRON: [(f64, f64); 6] = [(-1.1, -1.1), (0.0, -1.1), (1.1, 0.0), (0.0, 1.1), (-1.1, 1.1), (0.0, 0.0)];

/// A mark's outline.
pub(super) enum Body {
    /// A circle of radius 1.
    Circle,
    /// What is inside these corners.
    Polygon(Vec<(f64, f64)>),
    /// Lines, which enclose nothing.
    Strokes(Vec<[(f64, f64); 2]>),
}

/// The shape of `marker`, its centroid at 0.
pub(super) fn body(marker: Marker) -> Body {
    let corners = |corners: &[(f64, f64)]| Body::Polygon(corners.to_vec());
    match marker {
        Marker::Circle => Body::Circle,
        Marker::Square => corners(&[(-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)]),
        Marker::Triangle => corners(&[(0.0, -1.25), (1.1, 0.7), (-1.1, 0.7)]),
        Marker::TriangleDown => corners(&[(0.0, 1.25), (1.1, -0.7), (-1.1, -0.7)]),
        Marker::TriangleRight => corners(&[(1.25, 0.0), (-0.7, 1.1), (-0.7, -1.1)]),
        Marker::TriangleLeft => corners(&[(-1.25, 0.0), (0.7, 1.1), (0.7, -1.1)]),
        Marker::Diamond => corners(&[(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)]),
        Marker::Octagon => corners(&[
            (-0.43, -1.05),
            (0.43, -1.05),
            (1.05, -0.43),
            (1.05, 0.43),
            (0.43, 1.05),
            (-0.43, 1.05),
            (-1.05, 0.43),
            (-1.05, -0.43),
        ]),
        Marker::SlantedLeft => corners(&[(-1.25, -0.8), (0.35, -0.8), (1.25, 0.8), (-0.35, 0.8)]),
        Marker::Slanted => corners(&[(-0.35, -0.8), (1.25, -0.8), (0.35, 0.8), (-1.25, 0.8)]),
        Marker::Arrow => corners(&ARROW),
        Marker::ArrowDown => corners(&ARROW.map(|(x, y)| (y, x))),
        Marker::ArrowUp => corners(&ARROW.map(|(x, y)| (y, -x))),
        Marker::Chevron => corners(&CHEVRON),
        Marker::ChevronDown => corners(&CHEVRON.map(|(x, y)| (y, x))),
        Marker::ChevronUp => corners(&CHEVRON.map(|(x, y)| (y, -x))),
        // two posts and a bar
        Marker::Gate => corners(&[
            (-1.05, -1.05),
            (-0.4, -1.05),
            (-0.4, -0.35),
            (0.4, -0.35),
            (0.4, -1.05),
            (1.05, -1.05),
            (1.05, 1.05),
            (0.4, 1.05),
            (0.4, 0.35),
            (-0.4, 0.35),
            (-0.4, 1.05),
            (-1.05, 1.05),
        ]),
        Marker::Pentagon => Body::Polygon(around(5, |_| 1.25)),
        // five points of a circle, and between them five of a smaller one
        Marker::Star => Body::Polygon(around(10, |i| if i % 2 == 0 { 1.35 } else { 0.6 })),
        Marker::Hourglass => corners(&[(-1.0, -1.0), (1.0, -1.0), (0.0, 0.0), (1.0, 1.0), (-1.0, 1.0), (0.0, 0.0)]),
        Marker::Bow => corners(&[(-1.0, -1.0), (0.0, 0.0), (1.0, -1.0), (1.0, 1.0), (0.0, 0.0), (-1.0, 1.0)]),
        Marker::Plus => corners(&plus(0.0)),
        Marker::Saltire => corners(&plus(0.125)),
        Marker::Cross => Body::Strokes(vec![[(-0.85, -0.85), (0.85, 0.85)], [(-0.85, 0.85), (0.85, -0.85)]]),
    }
}

/// What is drawn inside an open mark, as lines.
pub(super) fn inside(fill: Fill) -> Vec<Vec<(f64, f64)>> {
    match fill {
        Fill::Solid | Fill::Pale | Fill::Open => Vec::new(),
        Fill::Dot => vec![closed(around(8, |_| 0.16))],
        Fill::Ring => vec![closed(around(16, |_| 0.48))],
        Fill::Bar => vec![vec![(-0.62, 0.0), (0.62, 0.0)]],
        Fill::Pole => vec![vec![(0.0, -0.62), (0.0, 0.62)]],
        Fill::Slash => vec![vec![(-0.45, 0.45), (0.45, -0.45)]],
    }
}

/// How opaque the inside of a mark is.
pub(super) fn opacity(fill: Fill) -> f64 {
    match fill {
        Fill::Solid => 1.0,
        Fill::Pale => 0.3,
        _ => 0.0,
    }
}

/// A mark as SVG paths in a box of 12 by 12.
#[derive(Clone, Debug, PartialEq)]
pub struct Icon {
    /// The outline.
    pub outline: String,
    /// How opaque its inside is; none where it is made of lines.
    pub opacity: Option<f64>,
    /// What is drawn inside.
    pub inside: String,
}

/// The icon of a style, without its colour.
pub fn icon(style: Style) -> Icon {
    let path = |points: &[(f64, f64)], end: &str| {
        let mut path = String::new();
        for (i, (x, y)) in points.iter().enumerate() {
            let command = if i == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{command}{:.1} {:.1}", 6.0 + 4.2 * x, 6.0 + 4.2 * y);
        }
        path + end
    };
    let lines = |lines: &[Vec<(f64, f64)>]| lines.iter().map(|line| path(line, "")).collect::<String>();
    let (outline, is_closed) = match body(style.marker) {
        Body::Circle => ("M6 1.7a4.3 4.3 0 1 0 0 8.6a4.3 4.3 0 1 0 0 -8.6Z".into(), true),
        Body::Polygon(corners) => (path(&corners, "Z"), true),
        Body::Strokes(strokes) => (lines(&strokes.into_iter().map(Vec::from).collect::<Vec<_>>()), false),
    };
    Icon {
        outline,
        opacity: is_closed.then(|| opacity(style.fill)),
        inside: lines(&inside(style.fill)),
    }
}

/// Corners around 0, the first at the top.
fn around(n: usize, radius: impl Fn(usize) -> f64) -> Vec<(f64, f64)> {
    let corner = |i: usize| {
        let (sin, cos) = (std::f64::consts::TAU * (i as f64 / n as f64 - 0.25)).sin_cos();
        (radius(i) * cos, radius(i) * sin)
    };
    (0..n).map(corner).collect()
}

fn closed(mut corners: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    corners.extend(corners.first().copied());
    corners
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
