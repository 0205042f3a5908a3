//! Quantiles over windows: the middle half and the middle nine tenths as bands, the median as a line,
//! beside what the baseline has.

use super::at;
use super::axis::Axis;
use super::line::{HEIGHT, Point, WIDTH, stroke, targets, unbroken, x};
use maud::{Markup, html};

pub(crate) struct Fan {
    pub(crate) summary: String,
    pub(crate) axis: Axis,
    /// At 0.05, 0.25, 0.5, 0.75 and 0.95, one a window.
    pub(crate) values: Vec<Option<[f64; 5]>>,
    pub(crate) baseline: Option<[f64; 5]>,
    pub(crate) slots: usize,
    pub(crate) tips: Vec<String>,
    pub(crate) times: Vec<String>,
}

pub(crate) fn fan(chart: &Fan) -> Markup {
    let gridlines = chart.axis.intervals();
    let y = |value: f64| HEIGHT * (1.0 - chart.axis.place(value));
    html! {
        div.plot.tall {
            div.y-axis aria-hidden="true" { @for label in chart.axis.labels() { span { (label) } } }
            svg.marks viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img"
                aria-label=(chart.summary)
            {
                @for index in 0..=gridlines {
                    @let y = at(HEIGHT * index as f64 / gridlines as f64);
                    line.grid x1="0" x2=(WIDTH) y1=(y) y2=(y) {}
                }
                @if let Some([_, low, middle, high, _]) = chart.baseline {
                    rect.expected x="0" width=(WIDTH) y=(at(y(high))) height=(at(y(low) - y(high))) {}
                    line.expected x1="0" x2=(WIDTH) y1=(at(y(middle))) y2=(at(y(middle))) {}
                }
                g.series.accent {
                    path.area d=(band(chart, 0, 4)) {}
                    path.area.inner d=(band(chart, 1, 3)) {}
                    path.stroke d=(line(chart, 2)) {}
                }
                (targets(&chart.tips, chart.slots))
            }
            div.x-axis aria-hidden="true" { @for label in &chart.times { span { (label) } } }
        }
    }
}

fn points(chart: &Fan, rank: usize) -> Vec<Vec<Point>> {
    let count = chart.values.len();
    unbroken(chart.values.iter().enumerate().map(|(index, values)| {
        let y = HEIGHT * (1.0 - chart.axis.place((*values)?[rank]));
        Some((x(index, count, chart.slots), y))
    }))
}

fn line(chart: &Fan, rank: usize) -> String {
    points(chart, rank).iter().map(|run| stroke(run)).collect()
}

fn band(chart: &Fan, low: usize, high: usize) -> String {
    let runs = points(chart, low).into_iter().zip(points(chart, high));
    let band = |(low, mut back): (Vec<Point>, Vec<Point>)| {
        back.reverse();
        format!("{}Z", stroke(&low.into_iter().chain(back).collect::<Vec<_>>()))
    };
    runs.map(band).collect()
}
