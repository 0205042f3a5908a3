//! Lines over time.

use super::{Axis, at};
use maud::{Markup, html};

pub(super) const WIDTH: f64 = 600.0;
pub(super) const HEIGHT: f64 = 200.0;

/// One line. A gap is where there is no value; it is never bridged.
pub(crate) struct Series {
    pub(crate) name: &'static str,
    /// The class that gives it its colour and dash.
    pub(crate) class: &'static str,
    pub(crate) values: Vec<Option<f64>>,
    pub(crate) fill: Fill,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fill {
    Line,
    /// Down to the axis.
    Area,
}

pub(crate) struct Lines {
    /// What the chart shows, in words, for those who do not see it.
    pub(crate) summary: String,
    pub(crate) axis: Axis,
    pub(crate) series: Vec<Series>,
    /// Places on the time axis. Values are set to its right end: what has not happened yet is on no
    /// chart, what was before the start is blank.
    pub(crate) slots: usize,
    /// One a value, the values in words.
    pub(crate) tips: Vec<String>,
    /// Evenly spaced, oldest first.
    pub(crate) times: Vec<String>,
}

/// A chart with axes.
pub(crate) fn lines(chart: &Lines) -> Markup {
    let gridlines = chart.axis.intervals();
    html! {
        div.plot {
            div.y-axis aria-hidden="true" {
                @for label in chart.axis.labels() { span { (label) } }
            }
            svg.marks viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img"
                aria-label=(chart.summary)
            {
                @for index in 0..=gridlines {
                    @let y = at(HEIGHT * index as f64 / gridlines as f64);
                    line.grid x1="0" x2=(WIDTH) y1=(y) y2=(y) {}
                }
                @for series in &chart.series { (drawn(series, chart)) }
                (hover_targets(chart))
            }
            div.x-axis aria-hidden="true" {
                @for label in &chart.times { span { (label) } }
            }
        }
    }
}

/// A small area without axes, for beside a figure that says it.
pub(crate) fn spark(values: &[Option<f64>], slots: usize, class: &'static str) -> Markup {
    let max = values.iter().flatten().copied().fold(0.0, f64::max);
    let axis = Axis::from_zero(max, |_| String::new());
    let series = Series { name: "", class, values: values.to_vec(), fill: Fill::Area };
    let chart = Lines {
        summary: String::new(),
        axis,
        series: Vec::new(),
        slots,
        tips: Vec::new(),
        times: Vec::new(),
    };
    html! {
        svg.spark viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none"
            aria-hidden="true" { (drawn(&series, &chart)) }
    }
}

fn drawn(series: &Series, chart: &Lines) -> Markup {
    let runs = runs(series, chart);
    html! {
        g class={ "series " (series.class) } {
            @if series.fill == Fill::Area {
                path.area d=(runs.iter().map(|run| area(run)).collect::<String>()) {}
            }
            path.stroke d=(runs.iter().map(|run| stroke(run)).collect::<String>()) {}
        }
    }
}

pub(super) type Point = (f64, f64);

fn runs(series: &Series, chart: &Lines) -> Vec<Vec<Point>> {
    let count = series.values.len();
    unbroken(series.values.iter().enumerate().map(|(index, value)| {
        let y = HEIGHT * (1.0 - chart.axis.place((*value)?));
        Some((x(index, count, chart.slots), y))
    }))
}

/// The points of each stretch without a gap.
pub(super) fn unbroken(points: impl Iterator<Item = Option<Point>>) -> Vec<Vec<Point>> {
    let mut runs = vec![Vec::new()];
    for point in points {
        match (point, runs.last_mut()) {
            (Some(point), Some(run)) => run.push(point),
            (None, Some(run)) if !run.is_empty() => runs.push(Vec::new()),
            _ => {}
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

pub(super) fn x(index: usize, values: usize, slots: usize) -> f64 {
    let last = slots.max(values).max(2) - 1;
    WIDTH * (last + 1 + index - values) as f64 / last as f64
}

pub(super) fn stroke(run: &[Point]) -> String {
    let mut path = String::new();
    for (index, (x, y)) in run.iter().enumerate() {
        path.push(if index == 0 { 'M' } else { 'L' });
        path.push_str(&at(*x));
        path.push(' ');
        path.push_str(&at(*y));
    }
    // A lone point is drawn as a dot: a line without length, with round ends.
    if run.len() == 1 {
        path.push_str("h0.01");
    }
    path
}

fn area(run: &[Point]) -> String {
    let (Some((first, _)), Some((last, _))) = (run.first(), run.last()) else {
        return String::new();
    };
    format!("{}L{} {HEIGHT}L{} {HEIGHT}Z", stroke(run), at(*last), at(*first))
}

fn hover_targets(chart: &Lines) -> Markup {
    targets(&chart.tips, chart.slots)
}

/// A column for each value, which says it when pointed at.
pub(super) fn targets(tips: &[String], slots: usize) -> Markup {
    let count = tips.len();
    let half = WIDTH / (slots.max(count).max(2) - 1) as f64 / 2.0;
    html! {
        @for (index, tip) in tips.iter().enumerate() {
            @let center = x(index, count, slots);
            rect.target x=(at(center - half)) y="0" width=(at(half * 2.0)) height=(HEIGHT) {
                title { (tip) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(values: Vec<Option<f64>>, slots: usize) -> String {
        let series = vec![Series { name: "a", class: "a", values, fill: Fill::Line }];
        lines(&Lines {
            summary: "A chart".into(),
            axis: Axis::from_zero(10.0, |value| format!("{value}")),
            series,
            slots,
            tips: vec![],
            times: vec![],
        })
        .into_string()
    }

    #[test]
    fn a_gap_is_not_bridged_and_the_newest_value_is_at_the_right_edge() {
        let svg = chart(vec![Some(0.0), Some(10.0), None, Some(5.0)], 7);
        assert!(svg.contains("M300 200L400 0M600 100h0.01"), "{svg}");
    }
}
