//! A chart as PNG: its SVG, drawn by resvg with the fonts that are in the binary, so that it looks the same on any machine.

use anyhow::{Context as _, Result};
use resvg::{tiny_skia, usvg};
use std::sync::{Arc, LazyLock};

/// Pixels per unit of the SVG: two, so that it stays sharp on paper and on dense screens.
const SCALE: f32 = 2.0;

/// The charts' font (SIL Open Font License), with the signs that charts use.
const FONTS: &[&[u8]] = &[
    include_bytes!("../../public/fonts/Inter-Regular.ttf"),
    include_bytes!("../../public/fonts/Inter-SemiBold.ttf"),
];

static FONT_DATABASE: LazyLock<Arc<usvg::fontdb::Database>> = LazyLock::new(|| {
    let mut database = usvg::fontdb::Database::new();
    for font in FONTS {
        database.load_font_data(font.to_vec());
    }
    let family = database
        .faces()
        .next()
        .and_then(|face| face.families.first())
        .map(|(name, _)| name.clone());
    if let Some(family) = family {
        database.set_sans_serif_family(family);
    }
    Arc::new(database)
});

/// Draws `svg` as PNG.
///
/// # Errors
/// An SVG that cannot be read, or one without area.
pub fn png(svg: &str) -> Result<Vec<u8>> {
    let options = usvg::Options {
        fontdb: FONT_DATABASE.clone(),
        ..usvg::Options::default()
    };
    let tree = usvg::Tree::from_str(svg, &options).context("the chart's SVG cannot be read")?;
    let (width, height) = (tree.size().width() * SCALE, tree.size().height() * SCALE);
    let mut pixels = tiny_skia::Pixmap::new(width.ceil() as u32, height.ceil() as u32).context("the chart's SVG has no area")?;
    resvg::render(&tree, tiny_skia::Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
    pixels.encode_png().context("the chart's PNG cannot be written")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dark_pixels(svg: &str) -> usize {
        let pixels = tiny_skia::Pixmap::decode_png(&png(svg).unwrap()).unwrap();
        assert_eq!((pixels.width(), pixels.height()), (200, 80));
        pixels.pixels().iter().filter(|p| p.alpha() > 128).count()
    }

    #[test]
    fn text_is_drawn_with_the_embedded_font() {
        let svg = |body: &str| format!(r#"<svg xmlns="http://www.w3.org/2000/svg" width="100" height="40">{body}</svg>"#);
        assert_eq!(dark_pixels(&svg("")), 0);
        let text = dark_pixels(&svg(
            r#"<text x="5" y="30" font-family="sans-serif" font-size="24">L0</text>"#,
        ));
        assert!(text > 100, "{text} pixels of text");
    }
}
