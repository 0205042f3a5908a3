//! A distance over windows in the height of a line of text; windows that drift are marked.

use super::at;
use super::line::{Point, stroke, unbroken};
use maud::{Markup, html};

const STEP: f64 = 6.0;
const HEIGHT: f64 = 24.0;

pub(crate) struct Dot {
    pub(crate) value: Option<f64>,
    pub(crate) drifts: bool,
    pub(crate) tip: String,
}

/// `max` is the top; dots stand at the right end of `places`.
pub(crate) fn sparkline(dots: &[Dot], places: usize, max: f64, summary: &str) -> Markup {
    let places = places.max(dots.len()).max(2);
    let first = places - dots.len();
    let x = |index: usize| STEP * ((first + index) as f64 + 0.5);
    let y = |value: f64| 2.0 + (HEIGHT - 4.0) * (1.0 - (value / max.max(1e-9)).clamp(0.0, 1.0));
    let points = || -> Vec<Option<Point>> {
        let point = |(index, dot): (usize, &Dot)| Some((x(index), y(dot.value?)));
        dots.iter().enumerate().map(point).collect()
    };
    let path: String = unbroken(points().into_iter()).iter().map(|run| stroke(run)).collect();
    html! {
        svg.sparkline viewBox={ "0 0 " (STEP * places as f64) " " (HEIGHT) }
            preserveAspectRatio="none" role="img" aria-label=(summary)
        {
            line.floor x1="0" x2=(STEP * places as f64) y1=(HEIGHT - 1.0) y2=(HEIGHT - 1.0) {}
            @for (index, dot) in dots.iter().enumerate().filter(|(_, dot)| dot.drifts) {
                @let top = y(dot.value.unwrap_or(0.0));
                rect.drifts x=(at(x(index) - STEP / 2.0)) width=(STEP) y=(at(top))
                    height=(at(HEIGHT - 1.0 - top)) {}
            }
            path.stroke d=(path) {}
            @for (index, dot) in dots.iter().enumerate() {
                rect.target x=(at(x(index) - STEP / 2.0)) y="0" width=(STEP) height=(HEIGHT) {
                    title { (dot.tip) }
                }
            }
        }
    }
}
