//! A chart in the page: drawn as SVG by `charts`, at the width it has; hovering and clicking go through the charts' own hit-testing.

use std::sync::Arc;

use leptos::{ev::MouseEvent, html::Div, leptos_dom::helpers::window_event_listener, prelude::*, web_sys::HtmlElement};
use leptos_router::hooks::use_navigate;

/// What is said of a point that is hovered.
#[derive(Clone, Debug, PartialEq)]
pub struct Tip {
    /// Where it stands, in SVG user units.
    pub at: (f64, f64),
    /// What it is.
    pub title: String,
    /// Its values, by name.
    pub rows: Vec<(String, String)>,
    /// What a click opens.
    pub href: Option<String>,
}

/// A chart at one size, and what is where in it.
#[derive(Clone)]
pub struct Picture {
    /// The drawing.
    pub svg: String,
    /// What stands at a position in SVG user units.
    pub hit: Arc<dyn Fn(f64, f64) -> Option<Tip> + Send + Sync>,
}

/// The sizes charts are drawn at, by the width of their place: about 1 unit per pixel on a phone, where text is to stay
/// readable. The style sheet keeps the place free.
const WIDE: (u32, u32) = (760, 440);
const MIDDLE: (u32, u32) = (520, 380);
const NARROW: (u32, u32) = (330, 340);

fn fitting(width: u32) -> (u32, u32) {
    match width {
        0..430 => NARROW,
        430..660 => MIDDLE,
        _ => WIDE,
    }
}

/// A chart with its tip.
#[component]
pub fn Chart(
    /// Draws it at a size; tracked.
    draw: impl Fn((u32, u32)) -> Picture + Send + Sync + 'static,
    /// The box's test id.
    testid: &'static str,
    /// The tip's test id.
    #[prop(default = "chart-tip")]
    tip_testid: &'static str,
) -> impl IntoView {
    let place = NodeRef::<Div>::new();
    let size = RwSignal::new(WIDE);
    let picture = Memo::new_with_compare(move |_| draw(size.get()), |_, _| true);
    let tip = RwSignal::new(None::<Tip>);
    let fit = move || {
        let width = place.get_untracked().map_or(WIDE.0, |place| place.offset_width() as u32);
        if size.get_untracked() != fitting(width) {
            size.set(fitting(width));
        }
    };
    Effect::new(move |_| {
        fit();
        let listener = window_event_listener(leptos::ev::resize, move |_| fit());
        on_cleanup(move || listener.remove());
    });

    let hover = move |event: MouseEvent| {
        let hit = place
            .get_untracked()
            .and_then(|place| position(&event, &place, size.get_untracked()));
        let found = hit.and_then(|(x, y)| picture.with_untracked(|picture| (picture.hit)(x, y)));
        if tip.with_untracked(|tip| *tip != found) {
            tip.set(found);
        }
    };
    let navigate = use_navigate();
    let open = move |event: MouseEvent| {
        hover(event);
        if let Some(href) = tip.get_untracked().and_then(|tip| tip.href) {
            navigate(&href, Default::default());
        }
    };
    let opens = move || tip.with(|tip| tip.as_ref().is_some_and(|tip| tip.href.is_some()));
    view! {
        <div class="chart" class:opens=opens data-testid=testid>
            <div class="chart-drawing" node_ref=place on:mousemove=hover on:mouseleave=move |_| tip.set(None) on:click=open
                inner_html=move || picture.with(|picture| picture.svg.clone())></div>
            {move || tip.get().map(|tip| view! { <TipView tip size=size.get() testid=tip_testid /> })}
        </div>
    }
    .into_any()
}

#[component]
fn TipView(tip: Tip, size: (u32, u32), testid: &'static str) -> impl IntoView {
    let (x, y) = (tip.at.0 / f64::from(size.0), tip.at.1 / f64::from(size.1));
    let row = |(name, value): (String, String)| view! { <span>{name}</span><b>{value}</b> };
    view! {
        <div class="tip" class:tip-left={x > 0.6} class:tip-up={y > 0.6} data-testid=testid
            style:left=format!("{:.2}%", 100.0 * x) style:top=format!("{:.2}%", 100.0 * y)>
            <p>{tip.title}</p>
            <div class="tip-rows">{tip.rows.into_iter().map(row).collect_view()}</div>
        </div>
    }
    .into_any()
}

/// The pointer's place in SVG user units.
#[cfg(all(feature = "hydrate", not(feature = "ssr")))]
fn position(event: &MouseEvent, place: &HtmlElement, (width, height): (u32, u32)) -> Option<(f64, f64)> {
    let seen = place.get_bounding_client_rect();
    let x = (f64::from(event.client_x()) - seen.left()) / seen.width() * f64::from(width);
    let y = (f64::from(event.client_y()) - seen.top()) / seen.height() * f64::from(height);
    (x.is_finite() && y.is_finite()).then_some((x, y))
}

#[cfg(not(all(feature = "hydrate", not(feature = "ssr"))))]
fn position(_: &MouseEvent, _: &HtmlElement, _: (u32, u32)) -> Option<(f64, f64)> {
    None
}
