//! A blob as a picture, in SVG: a line per layer with its map, its costs, and its part of the arena.

use std::fmt::{Display, Write as _};

use runtime_nostd::{Content, Model, Region};

use crate::inspect::describe;
use crate::map_svg::{BLUE, SOLID_SIZE, solid};

/// Accumulators.
const ORANGE: &str = "#E69F00";
/// Weights in 16 bits that are stored in 8.
const GREEN: &str = "#009E73";
/// Progress.
const GRAY: &str = "#6A737D";
const INK: &str = "#1F2328";
const GRID: &str = "#E3E6EA";
const PAPER: &str = "#FFFFFF";

/// Height of a layer's line, in pixels as everything here.
const LINE: usize = 68;
/// Where the first line begins.
const TOP: usize = 112;
const MARGIN: usize = 24;

/// A column of numbers with bars.
struct Column {
    title: &'static str,
    left: usize,
    width: usize,
}

const SHAPE: usize = 262;
const COLUMNS: [Column; 3] = [
    Column {
        title: "parameters",
        left: 430,
        width: 96,
    },
    Column {
        title: "MACs",
        left: 546,
        width: 96,
    },
    Column {
        title: "flash, bytes",
        left: 662,
        width: 96,
    },
];
const ARENA: Column = Column {
    title: "arena: where each layer's rows and sums lie, in bytes",
    left: 788,
    width: 500,
};

/// The picture of `model`, which is in a blob of `blob_bytes`.
pub fn picture(model: &Model<'_>, blob_bytes: usize) -> String {
    let lines = model.layers().len() + 1;
    let mut picture = Picture {
        svg: String::new(),
        width: ARENA.left + ARENA.width + MARGIN,
        height: TOP + lines * LINE + 64,
    };
    picture.frame(model, blob_bytes);
    picture.image(model);
    picture.layers(model);
    picture.arena(model);
    picture.svg += "</svg>\n";
    picture.svg
}

/// A picture that is being drawn.
struct Picture {
    svg: String,
    width: usize,
    height: usize,
}

/// A rectangle, in pixels.
struct Rectangle {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// Which end of a text its position is.
#[derive(Clone, Copy)]
enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

impl Picture {
    /// The page, the title, the heads of the columns, and the sums.
    fn frame(&mut self, model: &Model<'_>, blob_bytes: usize) {
        let (width, height) = (self.width, self.height);
        self.raw(format_args!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">"#
        ));
        self.raw(format_args!(
            r#"<rect width="{width}" height="{height}" fill="{PAPER}"/>"#
        ));
        let title = format!(
            "{} parameters, {} MACs, {} bytes of flash, {} bytes of arena",
            thousands(model.parameter_count() as u64),
            thousands(model.macs()),
            thousands(blob_bytes as u64),
            thousands(model.arena_bytes() as u64),
        );
        self.raw(format_args!(
            r#"<text x="{MARGIN}" y="38" font-size="19" font-weight="bold" fill="{INK}">{title}</text>"#
        ));
        if let Some(metadata) = model.metadata() {
            let from = escape(metadata.provenance());
            self.text(MARGIN, 62, Anchor::Start, GRAY, &from);
        }
        self.text(MARGIN, TOP - 14, Anchor::Start, GRAY, "layer");
        self.text(SHAPE, TOP - 14, Anchor::Start, GRAY, "writes");
        for column in &COLUMNS {
            let right = column.left + column.width;
            self.text(right, TOP - 14, Anchor::End, GRAY, column.title);
        }
        self.text(ARENA.left, TOP - 14, Anchor::Start, GRAY, ARENA.title);
        for line in 0..=model.layers().len() + 1 {
            let (y, right) = (TOP + line * LINE, self.width - MARGIN);
            self.raw(format_args!(
                r#"<line x1="{MARGIN}" y1="{y}" x2="{right}" y2="{y}" stroke="{GRID}"/>"#
            ));
        }
    }

    fn image(&mut self, model: &Model<'_>) {
        self.map(0, "image", model.input());
    }

    fn layers(&mut self, model: &Model<'_>) {
        let costs: Vec<[u64; 3]> = model
            .layers()
            .iter()
            .map(|layer| {
                let parameters = layer.op().parameters(layer.input()) as u64;
                let bytes = layer
                    .parameters()
                    .map_or(0, runtime_nostd::Parameters::bytes);
                [parameters, layer.macs(), bytes as u64]
            })
            .collect();
        for (index, (layer, cost)) in model.layers().iter().zip(&costs).enumerate() {
            let name = format!("{index}  {}", describe(layer));
            self.map(index + 1, &name, layer.output());
            for (column, heading) in COLUMNS.iter().enumerate() {
                let most = costs.iter().map(|cost| cost[column]).max().unwrap_or(0);
                if cost[column] > 0 {
                    self.bar(index + 1, heading, cost[column], most);
                }
            }
        }
    }

    /// A line's name and map.
    fn map(&mut self, line: usize, name: &str, shape: runtime_nostd::geometry::Shape) {
        let y = TOP + line * LINE;
        self.text(MARGIN, y + LINE / 2 + 4, Anchor::Start, INK, name);
        let (solid, top) = (solid(shape), y + (LINE - SOLID_SIZE.1 as usize) / 2);
        self.raw(format_args!(
            r#"<g transform="translate({SHAPE} {top})">{solid}</g>"#
        ));
        let text = shape.to_string().replace('x', "×");
        let x = SHAPE + SOLID_SIZE.0 as usize;
        self.text(x, y + LINE / 2 + 4, Anchor::Start, INK, &text);
    }

    /// A number, and under it its size beside the largest of its column.
    fn bar(&mut self, line: usize, column: &Column, value: u64, most: u64) {
        let y = TOP + line * LINE + LINE / 2;
        let right = column.left + column.width;
        self.text(right, y, Anchor::End, INK, &thousands(value));
        let width = column.width as f64 * value as f64 / most.max(1) as f64;
        let bar = Rectangle {
            x: right as f64 - width,
            y: y as f64 + 6.0,
            width,
            height: 5.0,
        };
        self.rectangle(&bar, BLUE, 0.55);
    }

    /// The parts of the arena, each in its layer's line; the progress stands in the image's.
    fn arena(&mut self, model: &Model<'_>) {
        let scale = ARENA.width as f64 / model.arena_bytes().max(1) as f64;
        for Region {
            content,
            start,
            bytes,
        } in model.regions()
        {
            let (line, color, what) = match content {
                Content::Progress => (0, GRAY, ""),
                Content::Image => (0, BLUE, "rows"),
                Content::Rows { layer } => (layer + 1, BLUE, "rows"),
                Content::Sums { layer } => (layer + 1, ORANGE, "sums"),
                Content::Weights { layer } => (layer + 1, GREEN, "weights"),
            };
            let y = TOP + line * LINE + LINE / 2;
            let part = Rectangle {
                x: ARENA.left as f64 + start as f64 * scale,
                y: y as f64 - 4.0,
                width: (bytes as f64 * scale).max(1.0),
                height: 22.0,
            };
            self.rectangle(&part, color, 0.7);
            // Accumulators are labelled below, where the rows of the same layer leave them room; a word
            // per layer needs no label.
            let y = match content {
                Content::Progress => continue,
                Content::Image | Content::Rows { .. } => y - 9,
                Content::Sums { .. } | Content::Weights { .. } => y + 31,
            };
            let label = format!("{what} {}", thousands(bytes as u64));
            let (left, right) = (part.x as usize, (part.x + part.width) as usize);
            // A label as wide as 8 pixels per character would leave the map at its left edge.
            if right > ARENA.left + 8 * label.len() {
                self.text(right, y, Anchor::End, INK, &label);
            } else {
                self.text(left, y, Anchor::Start, INK, &label);
            }
        }
        self.axis(
            model.arena_bytes(),
            TOP + (model.layers().len() + 1) * LINE + 18,
        );
    }

    /// Addresses under the map.
    fn axis(&mut self, arena_bytes: usize, y: usize) {
        for quarter in 0..=4 {
            let x = ARENA.left + quarter * ARENA.width / 4;
            let address = thousands((quarter * arena_bytes / 4) as u64);
            let anchor = match quarter {
                0 => Anchor::Start,
                4 => Anchor::End,
                _ => Anchor::Middle,
            };
            self.text(x, y, anchor, GRAY, &address);
        }
        let legend = "blue: rows of maps; orange: accumulators; green: 8-bit weights in 16 bits; gray: a \
                      word per layer. Parts above one another are used at different times.";
        self.text(ARENA.left + ARENA.width, y + 24, Anchor::End, GRAY, legend);
    }

    fn rectangle(&mut self, rectangle: &Rectangle, color: &str, opacity: f64) {
        let Rectangle {
            x,
            y,
            width,
            height,
        } = rectangle;
        self.raw(format_args!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{color}" fill-opacity="{opacity}"/>"#
        ));
    }

    fn text(&mut self, x: usize, y: usize, anchor: Anchor, color: &str, text: &str) {
        let anchor = anchor.name();
        self.raw(format_args!(
            r#"<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{color}">{text}</text>"#
        ));
    }

    fn raw(&mut self, element: impl Display) {
        // Writing into memory cannot fail.
        let _ = writeln!(self.svg, "{element}");
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// `12,304`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
