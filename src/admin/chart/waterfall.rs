//! Where the time of one exchange went: spans on a common axis.

use super::at;
use maud::{Markup, html};

pub(crate) struct Span {
    pub(crate) name: &'static str,
    pub(crate) class: &'static str,
    /// Seconds since the request's head had arrived.
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) words: String,
}

pub(crate) fn waterfall(spans: &[Span]) -> Markup {
    let end = spans.iter().map(|span| span.to).fold(f64::MIN_POSITIVE, f64::max);
    let place = |seconds: f64| 1000.0 * (seconds / end).clamp(0.0, 1.0);
    html! {
        dl.waterfall {
            @for span in spans {
                div {
                    dt { (span.name) }
                    dd {
                        svg viewBox="0 0 1000 20" preserveAspectRatio="none" aria-hidden="true" {
                            rect.track x="0" y="0" width="1000" height="20" {}
                            rect class=(span.class) x=(at(place(span.from))) y="3" height="14"
                                width=(at((place(span.to) - place(span.from)).max(2.0)))
                            {
                                title { (span.name) ": " (span.words) }
                            }
                        }
                        span.n { (span.words) }
                    }
                }
            }
        }
    }
}
