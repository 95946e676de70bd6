//! Charts of series over two axes, as SVG.

use maud::{Markup, PreEscaped, html};
use plotters::prelude::*;

use super::axis::Axis;
use super::palette::Role;

/// Width and height of a chart in pixels. On a phone, or as one of three beside each other, it
/// shrinks by a quarter and its text stays legible.
const SIZE: (u32, u32) = (480, 330);
/// The plotting library takes a font's size to include what its backends divide by.
pub(super) const FONT_SCALE: f64 = 1.24;
/// Height of a line of a picture's legend.
const LEGEND_LINE: u32 = 22;
const FONT: (&str, f64) = ("sans-serif", 14.0 * FONT_SCALE);

/// A chart.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    /// The horizontal axis.
    pub(super) x: Axis,
    /// The vertical axis.
    pub(super) y: Axis,
    /// What is drawn, the hindmost first.
    pub(super) series: Vec<Series>,
}

/// Points that belong together.
#[derive(Clone, Debug)]
pub(super) struct Series {
    /// Its name in the legend; empty if it is not to be in it.
    pub(super) name: String,
    /// Its color.
    pub(super) role: Role,
    /// How it is drawn.
    pub(super) mark: Mark,
    /// (x, y) of every point.
    pub(super) points: Vec<(f64, f64)>,
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Small translucent dots, for many points.
    Cloud,
    /// A line through the points.
    Line,
    /// Dots, joined by steps: horizontally to the next point's x, then vertically to its y.
    Front,
    /// A circle around each point.
    Ring,
    /// The area that the points enclose.
    Band,
}

impl Chart {
    /// The chart with its legend and a `caption`.
    pub(super) fn figure(&self, caption: &str) -> Markup {
        let drawn = self.svg();
        html! {
            figure {
                figcaption { (caption) }
                @if self.series.len() > 1 {
                    ul.legend {
                        @for series in self.series.iter().filter(|series| !series.name.is_empty()) {
                            li { (series.swatch()) (series.name) }
                        }
                    }
                }
                div role="img" aria-label=(caption) { (PreEscaped(drawn)) }
            }
        }
    }

    /// The chart alone, [`SIZE`] pixels.
    fn svg(&self) -> String {
        self.draw().expect("drawing into memory does not fail")
    }

    fn draw(&self) -> Result<String, DrawingAreaErrorKind<std::io::Error>> {
        let mut picture = String::new();
        let root = SVGBackend::with_string(&mut picture, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin(8)
            .margin_right(16)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(self.x.clone(), self.y.clone())?;
        chart
            .configure_mesh()
            .x_labels(9)
            .y_labels(8)
            .bold_line_style(Role::Grid.color())
            .light_line_style(TRANSPARENT)
            .axis_style(Role::Muted.color())
            .label_style(FONT.into_font().color(&Role::Ink.color()))
            .x_desc(self.x.title())
            .y_desc(self.y.title())
            .draw()?;
        for series in &self.series {
            let points = series.points.iter().copied();
            let color = series.role.color();
            match series.mark {
                Mark::Cloud => {
                    let style = color.mix(0.55).filled();
                    chart.draw_series(points.map(|point| Circle::new(point, 3, style)))?;
                }
                Mark::Line => {
                    chart.draw_series(LineSeries::new(points, color.stroke_width(2)))?;
                }
                Mark::Front => {
                    let steps = steps(&series.points);
                    chart.draw_series(LineSeries::new(steps, color.stroke_width(2)))?;
                    chart.draw_series(points.map(|point| Circle::new(point, 4, color.filled())))?;
                }
                Mark::Ring => {
                    let style = color.stroke_width(2);
                    chart.draw_series(points.map(|point| Circle::new(point, 8, style)))?;
                }
                Mark::Band => {
                    let area = Polygon::new(series.points.clone(), color.mix(0.18));
                    chart.draw_series([area])?;
                }
            }
        }
        root.present()?;
        drop(chart);
        drop(root);
        Ok(picture)
    }
}

/// Charts side by side as one picture, below the names of the lines of the first if there are several.
pub(super) fn picture(charts: &[Chart]) -> String {
    let (width, height) = SIZE;
    let lines = charts.first().map_or(&[][..], |chart| &chart.series);
    let lines: Vec<&Series> = lines
        .iter()
        .filter(|line| line.mark == Mark::Line)
        .collect();
    let legend = if lines.len() > 1 {
        LEGEND_LINE * lines.len() as u32
    } else {
        0
    };
    let (whole_width, whole_height) = (width * charts.len() as u32, height + legend);
    let row = |index: usize| LEGEND_LINE * index as u32 + LEGEND_LINE / 2;
    html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(whole_width) height=(whole_height)
            viewBox=(format!("0 0 {whole_width} {whole_height}")) {
            rect width="100%" height="100%" fill=(Role::Paper.hex()) {}
            @for (index, line) in lines.iter().enumerate().filter(|_| legend > 0) {
                path d=(format!("M72 {0}H92", row(index))) stroke=(line.role.hex()) stroke-width="2" {}
                text x="100" y=(row(index)) dominant-baseline="central" font-family="sans-serif"
                    font-size="14" fill=(Role::Ink.hex()) { (line.name) }
            }
            @for (index, chart) in charts.iter().enumerate() {
                g transform=(format!("translate({} {legend})", width * index as u32)) {
                    (PreEscaped(chart.svg()))
                }
            }
        }
    }
    .into_string()
}

impl Series {
    /// A sample of the series for a legend.
    pub(super) fn swatch(&self) -> Markup {
        let color = self.role.hex();
        html! {
            svg.swatch viewBox="0 0 20 12" aria-hidden="true" {
                @match self.mark {
                    Mark::Cloud => { circle cx="10" cy="6" r="3" fill=(color) {} }
                    Mark::Line => { path d="M1 6H19" stroke=(color) stroke-width="2" {} }
                    Mark::Front => {
                        path d="M1 6H19" stroke=(color) stroke-width="2" {}
                        circle cx="10" cy="6" r="4" fill=(color) {}
                    }
                    Mark::Ring => {
                        circle cx="10" cy="6" r="4.5" fill="none" stroke=(color) stroke-width="2" {}
                    }
                    // A band belongs to a line, which stands for both.
                    Mark::Band => {}
                }
            }
        }
    }
}

/// The corners of a staircase through `points`.
fn steps(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let first = points.first().copied();
    let corners = points.windows(2).flat_map(|pair| {
        let (from, to) = (pair[0], pair[1]);
        [(to.0, from.1), to]
    });
    first.into_iter().chain(corners).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_go_across_then_up() {
        let corners = steps(&[(1.0, 1.0), (3.0, 2.0)]);
        assert_eq!(corners, [(1.0, 1.0), (3.0, 1.0), (3.0, 2.0)]);
        assert!(steps(&[]).is_empty());
    }

    #[test]
    fn a_chart_without_points_is_drawn() {
        let chart = Chart {
            x: Axis::generations(0),
            y: Axis::linear("fitness", []),
            series: Vec::new(),
        };
        let figure = chart.figure("nothing <yet>").into_string();
        assert!(figure.contains("nothing &lt;yet&gt;"));
        assert!(figure.contains("</svg>"));
    }
}
