//! Charts as SVG, the same on the server, in the page and in `saescope plot`: scales, ticks, labels and hit-testing are
//! plain functions here, plotters draws the lines and marks. Nothing here knows leptos.

mod bars;
mod canvas;
mod csv;
mod frame;
mod labels;
mod line;
mod marker;
mod number;
mod pareto;
mod scale;
mod scatter;
mod style;

pub use bars::{BarChart, BarHit};
pub use csv::{csv, push_record};
pub use frame::{Area, Axis, FEW};
pub use line::{Line, LineChart, LineHit};
pub use marker::{Icon, icon};
pub use number::{fixed, significant};
pub use pareto::{layer_chart, pareto_chart};
pub use scale::{Scale, Tick};
pub use scatter::{Hit, Point, ScatterChart, Series};
pub use style::{FONT_FAMILY, Fill, Marker, Style, Theme, objective_style, series_style};
