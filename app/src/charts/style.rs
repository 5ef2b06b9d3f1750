//! The look: an objective has one colour and one marker on every page and in every chart.
//! The colours are those of the page's style sheet, from Okabe and Ito's palette that colour-blind readers can tell apart.

use api::{KindName, Making, ObjectiveKind, Series};

/// The family of the embedded font in public/fonts, which every chart asks for before the system's own.
pub const FONT_FAMILY: &str = "Inter";

/// The shape of a mark, which carries the meaning as well as the colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Marker {
    /// ●
    Circle,
    /// ■
    Square,
    /// ▲
    Triangle,
    /// ◆
    Diamond,
    /// ▼
    TriangleDown,
    /// ▶
    TriangleRight,
    /// H
    Gate,
    /// ★
    Star,
    /// ⬟
    Pentagon,
    /// ⧓
    Bow,
    /// ✖
    Saltire,
    /// ◀
    TriangleLeft,
    /// ⧗
    Hourglass,
    /// ➡
    Arrow,
    /// ⬇
    ArrowDown,
    /// ⬆
    ArrowUp,
    /// ⯈, notched behind
    Chevron,
    /// ⯅, notched below
    ChevronUp,
    /// ⯆, notched above
    ChevronDown,
    /// ✕
    Cross,
    /// ✚
    Plus,
    /// ⯃
    Octagon,
    /// ▰
    Slanted,
    /// ▱, leaning to the left
    SlantedLeft,
}

/// What a mark is filled with, and how its series' line is dashed: how the dictionaries were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fill {
    /// Filled.
    Solid,
    /// Filled with a pale colour.
    Pale,
    /// An outline.
    Open,
    /// An outline around a dot.
    Dot,
    /// An outline around a ring.
    Ring,
    /// An outline with a bar across.
    Bar,
    /// An outline with a bar upright.
    Pole,
    /// An outline with a bar aslant.
    Slash,
}

impl Fill {
    /// That of a making.
    pub fn of(making: Making) -> Self {
        match making {
            Making::Fresh => Fill::Solid,
            Making::Finetuned => Fill::Pale,
            Making::Folded => Fill::Open,
            Making::Rescaled => Fill::Dot,
            Making::Imported => Fill::Ring,
            Making::Pruned => Fill::Bar,
            Making::Thresholded => Fill::Pole,
            Making::Pursuit => Fill::Slash,
        }
    }

    /// The lengths of strokes and gaps of a line, in SVG user units; none where it is drawn through.
    pub(super) fn dash(self) -> &'static [f64] {
        match self {
            Fill::Solid => &[],
            Fill::Pale => &[9.0, 4.0],
            Fill::Open => &[5.0, 4.0],
            Fill::Dot => &[1.0, 4.0],
            Fill::Ring => &[2.0, 3.0],
            Fill::Bar => &[9.0, 4.0, 1.0, 4.0],
            Fill::Pole => &[5.0, 4.0, 1.0, 4.0],
            Fill::Slash => &[5.0, 3.0, 1.0, 3.0, 1.0, 3.0],
        }
    }
}

/// How a series looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Style {
    /// On a light ground, as `#rrggbb`.
    pub color: &'static str,
    /// On a dark ground, as `#rrggbb`.
    pub dark: &'static str,
    /// The shape of its marks.
    pub marker: Marker,
    /// What they are filled with.
    pub fill: Fill,
}

/// The look of an objective.
pub fn objective_style(objective: ObjectiveKind) -> Style {
    match objective {
        ObjectiveKind::Local => Style {
            color: "#0072b2",
            dark: "#56b4e9",
            marker: Marker::Circle,
            fill: Fill::Solid,
        },
        ObjectiveKind::E2e => Style {
            color: "#d55e00",
            dark: "#f08a4b",
            marker: Marker::Square,
            fill: Fill::Solid,
        },
        ObjectiveKind::E2eDs => Style {
            color: "#009e73",
            dark: "#2fc89b",
            marker: Marker::Triangle,
            fill: Fill::Solid,
        },
        ObjectiveKind::KlMse => Style {
            color: "#b0568a",
            dark: "#dd8fbd",
            marker: Marker::Bow,
            fill: Fill::Solid,
        },
    }
}

/// The colour of the baselines, which are not trained to do anything: the same for all, on a light and on a dark ground.
const BASELINE: (&str, &str) = ("#6b7280", "#a3acb8");

/// The look of a series: the objective's colour, or that of the baselines, but for ReLU the kind's marker, and the making's fill. No two series
/// look the same.
pub fn series_style(series: Series) -> Style {
    let mut style = objective_style(series.objective);
    if series.kind.is_fitted() {
        (style.color, style.dark) = BASELINE;
    }
    let marker = match series.kind {
        KindName::Relu => style.marker,
        KindName::ReluUnit => Marker::Plus,
        KindName::ReluApril => Marker::Saltire,
        KindName::ReluSaelens => Marker::TriangleLeft,
        KindName::PAnneal => Marker::Hourglass,
        KindName::Tied => Marker::Diamond,
        KindName::Gated => Marker::Gate,
        KindName::TopK => Marker::TriangleDown,
        KindName::AbsTopK => Marker::Octagon,
        KindName::BatchTopK => Marker::Star,
        KindName::Matryoshka => Marker::Pentagon,
        KindName::JumpRelu | KindName::TokenMean => Marker::TriangleRight,
        KindName::Pursuit => Marker::Slanted,
        KindName::MatchingPursuit => Marker::SlantedLeft,
        KindName::Random => Marker::Cross,
        KindName::PcaStatic => Marker::Square,
        KindName::PcaDynamic => Marker::Diamond,
        KindName::PcaTopK => Marker::TriangleDown,
        KindName::PcaNonNegative => Marker::Circle,
        KindName::Ica => Marker::Gate,
        KindName::Nmf => Marker::Star,
        KindName::Identity => Marker::Triangle,
        KindName::Transcoder => Marker::Arrow,
        KindName::JumpReluTranscoder => Marker::Chevron,
        KindName::TopKTranscoder => Marker::ArrowDown,
        KindName::SkipTranscoder => Marker::ArrowUp,
        KindName::JumpReluSkipTranscoder => Marker::ChevronUp,
        KindName::TopKSkipTranscoder => Marker::ChevronDown,
    };
    Style {
        marker,
        fill: Fill::of(series.making),
        ..style
    }
}

/// Where the chart will be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Theme {
    /// By itself, on white.
    Light,
    /// By itself, on the dark ground.
    Dark,
    /// In the page: no ground, and colours that are the style sheet's custom properties, so that they follow its theme.
    Page,
}

/// What a colour is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ink {
    /// Axis titles and what is to be read first.
    Text,
    /// Tick labels and captions.
    Quiet,
    /// The axes' lines.
    Axis,
    /// Grid lines.
    Grid,
    /// The ground.
    Paper,
    /// A series.
    Series(Style),
}

impl Ink {
    /// The colour as SVG says it.
    pub(super) fn css(self, theme: Theme) -> String {
        let (light, dark, name) = match self {
            Ink::Text => ("#1d2327", "#e6e9ec", Some("ink")),
            Ink::Quiet => ("#57606a", "#a2abb4", Some("ink-2")),
            Ink::Axis => ("#8b949e", "#717a84", Some("ink-3")),
            Ink::Grid => ("#e3e6e9", "#2a3036", Some("line")),
            Ink::Paper => ("#ffffff", "#15191d", Some("paper")),
            Ink::Series(style) => {
                let name = match style.color {
                    "#0072b2" => Some("local"),
                    "#d55e00" => Some("e2e"),
                    "#009e73" => Some("e2e-ds"),
                    "#b0568a" => Some("kl-mse"),
                    color if color == BASELINE.0 => Some("baseline"),
                    _ => None,
                };
                (style.color, style.dark, name)
            }
        };
        match (theme, name) {
            (Theme::Light, _) => light.into(),
            (Theme::Dark, _) => dark.into(),
            (Theme::Page, Some(name)) => format!("var(--{name})"),
            (Theme::Page, None) => format!("light-dark({light},{dark})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn no_two_series_look_the_same() {
        use Making::{Finetuned, Folded, Fresh, Imported, Pruned, Pursuit, Rescaled, Thresholded};
        let mut seen: HashMap<Style, Series> = HashMap::new();
        for kind in KindName::ALL {
            for objective in ObjectiveKind::ALL {
                for making in [Fresh, Finetuned, Folded, Rescaled, Pruned, Thresholded, Pursuit, Imported] {
                    let series = Series { kind, objective, making };
                    // what is fitted has one objective, and is changed to another kind
                    if kind.is_fitted() && (objective != ObjectiveKind::Local || making != Fresh) {
                        continue;
                    }
                    let other = seen.insert(series_style(series), series);
                    assert_eq!(other, None, "{series} looks the same");
                }
            }
        }
        assert!(seen.len() > 400);
    }
}
