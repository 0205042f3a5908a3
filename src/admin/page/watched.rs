//! On the overview: the features that matter now, each with its distance over windows.

use super::{badge, feature_link};
use crate::admin::figure;
use crate::admin::moment::{Moment, feature_verdict};
use crate::admin::page::health;
use crate::admin::visit::Visit;
use maud::{Markup, html};

const SHOWN: usize = 8;

pub(super) fn section(visit: &Visit, moment: &Moment<'_>) -> Markup {
    let length = moment.lengths().into_iter().next();
    let rows = length.as_deref().map(|length| health::rows(moment, length)).unwrap_or_default();
    let drifting = rows.iter().filter(|row| row.last.is_some_and(|last| last.detected)).count();
    let max = health::largest(&rows);
    html! {
        section.panel #watched aria-labelledby="watched-title" {
            div.head {
                h2 #watched-title { "Model health" }
                @if let Some(length) = &length {
                    span.unit {
                        (drifting) " of " (rows.len()) " features drift, windows of " (length)
                    }
                }
                a.more href={ (visit.root) "drift" } { "All features" }
            }
            @if rows.is_empty() { (health::nothing_yet(moment)) }
            ul.watched {
                @for row in rows.iter().take(SHOWN) {
                    li {
                        a href=(feature_link(&visit.root, row.view.role, &row.view.feature)) {
                            (health::name(row.view))
                        }
                        (health::spark(row, max))
                        span.n title="Population stability index" {
                            (row.last.and_then(|last| last.distances.psi)
                                .map_or_else(|| "–".into(), figure::decimal))
                        }
                        (badge::of_verdict(row.last.map(feature_verdict)))
                    }
                }
            }
        }
    }
}
