//! Charts, as SVG.

use std::path::Path;

use plotters::prelude::*;

const SIZE: (u32, u32) = (760, 360);
const LABEL: (&str, u32) = ("sans-serif", 15);
const COLOURS: [RGBColor; 5] = [
    RGBColor(0x1f, 0x5f, 0xa8),
    RGBColor(0xc8, 0x50, 0x2a),
    RGBColor(0x2e, 0x8b, 0x57),
    RGBColor(0x80, 0x50, 0xa0),
    RGBColor(0x60, 0x60, 0x60),
];

/// Lines over a common axis; both axes begin at 0.
pub(crate) struct Lines<'a> {
    pub(crate) title: &'a str,
    pub(crate) x: &'a str,
    pub(crate) y: &'a str,
    pub(crate) series: Vec<(String, Vec<(f64, f64)>)>,
}

impl Lines<'_> {
    pub(crate) fn draw(&self, file: &Path) {
        let points = || self.series.iter().flat_map(|(_, points)| points);
        let right = points().map(|point| point.0).fold(0.0, f64::max);
        let top = points().map(|point| point.1).fold(0.0, f64::max) * 1.15;
        let area = SVGBackend::new(file, SIZE).into_drawing_area();
        area.fill(&WHITE).unwrap();
        let mut chart = ChartBuilder::on(&area)
            .caption(self.title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(72)
            .build_cartesian_2d(0.0..right, 0.0..top)
            .unwrap();
        chart
            .configure_mesh()
            .max_light_lines(1)
            .label_style(LABEL)
            .axis_desc_style(LABEL)
            .x_desc(self.x)
            .y_desc(self.y)
            .x_label_formatter(&tick)
            .y_label_formatter(&tick)
            .draw()
            .unwrap();
        for ((name, points), colour) in self.series.iter().zip(COLOURS) {
            let line = LineSeries::new(points.iter().copied(), colour.stroke_width(2));
            let legend = move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2));
            chart.draw_series(line).unwrap().label(name).legend(legend);
        }
        chart
            .configure_series_labels()
            .label_font(LABEL)
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .draw()
            .unwrap();
        area.present().unwrap();
    }
}

/// A number at an axis, without decimals that say nothing.
fn tick(value: &f64) -> String {
    format!("{}", (value * 1e3).round() / 1e3)
}
