//! A feature map as a solid, in SVG.

use std::fmt::Write as _;

use runtime_nostd::geometry::Shape;

/// Width and height of a map's picture in pixels.
pub const SOLID_SIZE: (i32, i32) = (92, 64);

/// The color of a map.
pub(crate) const BLUE: &str = "#0072B2";

/// A map as a group of SVG shapes, [`SOLID_SIZE`] large: its face is rows by columns, its depth grows
/// with the channels. Sides are drawn by their square roots, so that 1 and 32 fit one scale.
pub fn solid(shape: Shape) -> String {
    let side = |elements: u16| (8.0 * f64::from(elements).sqrt()).min(46.0) as i32;
    let (width, height) = (side(shape.width), side(shape.height));
    let depth = ((4.0 * f64::from(shape.channels).sqrt()) as i32).min(32);
    // The solid recedes to the upper right, half as far up as right.
    let (dx, dy) = (depth, depth / 2);
    let left = (SOLID_SIZE.0 - width - dx) / 2;
    let top = (SOLID_SIZE.1 - height - dy) / 2 + dy;
    let (right, bottom) = (left + width, top + height);
    let face = [(left, top), (right, top), (right, bottom), (left, bottom)];
    let lid = [
        (left, top),
        (left + dx, top - dy),
        (right + dx, top - dy),
        (right, top),
    ];
    let flank = [
        (right, top),
        (right + dx, top - dy),
        (right + dx, bottom - dy),
        (right, bottom),
    ];
    let mut group = String::from("<g stroke-linejoin=\"round\">");
    for (side, opacity) in [(face, 0.55), (lid, 0.3), (flank, 0.42)] {
        let points = side.map(|(x, y)| format!("{x},{y}")).join(" ");
        // Writing into memory cannot fail.
        let _ = write!(
            group,
            r#"<polygon points="{points}" fill="{BLUE}" fill-opacity="{opacity}" stroke="{BLUE}"/>"#
        );
    }
    group + "</g>"
}
