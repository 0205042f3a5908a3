//! Latency over time: a heat map of all requests, and lines of quantiles over it.

use super::axis::Axis;
use super::line::{HEIGHT, Point, WIDTH, stroke, unbroken};
use super::{Series, at};
use maud::{Markup, html};

/// Steps of colour. Each is as much lighter, or darker, than the one before.
pub(crate) const LEVELS: u32 = 8;

pub(crate) struct HeatMap {
    pub(crate) summary: String,
    /// Of latency, around all of `bands`.
    pub(crate) axis: Axis,
    /// Lower and upper end of each row.
    pub(crate) bands: Vec<(f64, f64)>,
    /// By column, oldest first, and in it by row.
    pub(crate) counts: Vec<Vec<u64>>,
    /// The fullest cell.
    pub(crate) max: u64,
    /// Quantiles, one value a column.
    pub(crate) series: Vec<Series>,
    /// Places on the axis of time.
    pub(crate) slots: usize,
    /// One a column: its time, and its quantiles in words.
    pub(crate) tips: Vec<(String, String)>,
    pub(crate) times: Vec<String>,
    /// A row in words.
    pub(crate) band_words: fn((f64, f64)) -> String,
}

pub(crate) fn heat_map(chart: &HeatMap) -> Markup {
    let gridlines = chart.axis.intervals();
    html! {
        div.plot.tall {
            div.y-axis aria-hidden="true" { @for label in chart.axis.labels() { span { (label) } } }
            svg.marks.heat viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none"
                role="img" aria-label=(chart.summary)
            {
                @for index in 0..=gridlines {
                    @let y = at(HEIGHT * index as f64 / gridlines as f64);
                    line.grid x1="0" x2=(WIDTH) y1=(y) y2=(y) {}
                }
                @for (column, counts) in chart.counts.iter().enumerate() {
                    (cells(chart, column, counts))
                }
                @for series in &chart.series {
                    @let path = path(chart, series);
                    g class={ "series over " (series.class) } {
                        path.halo d=(path) {}
                        path.stroke d=(path) {}
                    }
                }
            }
            div.x-axis aria-hidden="true" { @for label in &chart.times { span { (label) } } }
        }
    }
}

/// The left edge of a column; the newest ends at the right edge of the chart.
fn left(chart: &HeatMap, column: usize) -> f64 {
    let slots = chart.slots.max(chart.counts.len()).max(1);
    WIDTH * (slots - chart.counts.len() + column) as f64 / slots as f64
}

fn height(chart: &HeatMap, seconds: f64) -> f64 {
    HEIGHT * (1.0 - chart.axis.place(seconds))
}

/// The whole column answers a pointer, with its quantiles; each cell that was hit, with its count.
fn cells(chart: &HeatMap, column: usize, counts: &[u64]) -> Markup {
    let (x, end) = (left(chart, column), left(chart, column + 1));
    let (time, quantiles) = &chart.tips[column];
    // A hair wider than the slot, so that no gap shows between two.
    let width = at(end - x + 0.15);
    html! {
        rect.target x=(at(x)) y="0" width=(at(end - x)) height=(HEIGHT) {
            title { (time) "\n" (quantiles) }
        }
        @for (band, count) in chart.bands.iter().zip(counts).filter(|(_, count)| **count > 0) {
            @let (top, bottom) = (height(chart, band.1), height(chart, band.0));
            rect class={ "cell h" (level(*count, chart.max)) } x=(at(x)) y=(at(top))
                width=(width) height=(at(bottom - top + 0.15))
            {
                title {
                    (time) "\n" (crate::admin::figure::count(*count)) " requests of "
                    ((chart.band_words)(*band)) "\n" (quantiles)
                }
            }
        }
    }
}

/// By the logarithm of the count: the few slow requests are seen beside the many quick ones.
pub(crate) fn level(count: u64, max: u64) -> u32 {
    let share = (count as f64).ln_1p() / (max.max(1) as f64).ln_1p();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the number of levels"
    )]
    let level = (share * f64::from(LEVELS)).ceil().clamp(1.0, f64::from(LEVELS)) as u32;
    level
}

fn path(chart: &HeatMap, series: &Series) -> String {
    let point = |(column, value): (usize, &Option<f64>)| -> Option<Point> {
        let middle = f64::midpoint(left(chart, column), left(chart, column + 1));
        Some((middle, height(chart, (*value)?)))
    };
    unbroken(series.values.iter().enumerate().map(point)).iter().map(|run| stroke(run)).collect()
}

/// From few to many.
pub(crate) fn scale(max: u64) -> Markup {
    html! {
        span.scale {
            "1"
            svg.ramp viewBox={ "0 0 " (LEVELS) " 1" } preserveAspectRatio="none" aria-hidden="true" {
                @for level in 1..=LEVELS {
                    rect class={ "cell h" (level) } x=(level - 1) y="0" width="1" height="1" {}
                }
            }
            (crate::admin::figure::count(max)) " requests"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_is_seen_and_the_fullest_cell_is_the_deepest() {
        assert_eq!((level(1, 1), level(1, 100_000), level(100_000, 100_000)), (8, 1, 8));
        let levels: Vec<_> = (0..6).map(|power| level(10u64.pow(power), 100_000)).collect();
        assert!(levels.is_sorted() && levels[2] > levels[1], "{levels:?}");
    }
}
