//! Decoded exchanges in; which dialect each route speaks, how that was settled, and what of it could not
//! be read, out. Counts only, and never a byte of a payload.

use crate::capture::{RouteId, RouteTable};
use crate::decode::{Because, Decoded, Dialect};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// By route and dialect: as many as there are of both, at most.
#[derive(Debug, Default)]
pub(super) struct Spoken(BTreeMap<(RouteId, Option<Dialect>), Heard>);

#[derive(Debug)]
struct Heard {
    because: Option<Because>,
    exchanges: u64,
    problems: BTreeMap<(&'static str, &'static str), (u64, Timestamp)>,
}

/// What a route was heard to speak, for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FirstHeard {
    pub(super) route: RouteId,
    pub(super) dialect: Dialect,
    pub(super) because: Option<Because>,
}

/// What exchanges of one route and one dialect came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RouteDialect {
    pub route: String,
    /// `None` where none is known that has such payloads, or none was due.
    pub dialect: Option<&'static str>,
    /// How that was settled, of the newest exchange.
    pub because: Option<String>,
    pub exchanges: u64,
    pub problems: Vec<RouteProblem>,
}

/// A kind of payload that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RouteProblem {
    /// `request` or `response`.
    pub side: &'static str,
    pub reason: &'static str,
    pub count: u64,
    pub last_at: Timestamp,
}

impl Spoken {
    pub(super) fn hear(
        &mut self,
        route: RouteId,
        decoded: &Decoded,
        at: Timestamp,
    ) -> Option<FirstHeard> {
        let Decoded { dialect, because, .. } = decoded;
        let mut first = None;
        let heard = self.0.entry((route, *dialect)).or_insert_with(|| {
            first = dialect.map(|dialect| FirstHeard { route, dialect, because: *because });
            Heard { because: None, exchanges: 0, problems: BTreeMap::new() }
        });
        heard.because = *because;
        heard.exchanges += 1;
        for (side, problem) in &decoded.problems {
            let (count, last_at) =
                heard.problems.entry((side.as_str(), problem.as_str())).or_insert((0, at));
            *count += 1;
            *last_at = at.max(*last_at);
        }
        first
    }

    pub(super) fn report(&self, routes: &RouteTable) -> Vec<RouteDialect> {
        let heard = self.0.iter().map(|((route, dialect), heard)| RouteDialect {
            route: routes.template(*route).to_owned(),
            dialect: dialect.map(Dialect::as_str),
            because: heard.because.map(|because| because.to_string()),
            exchanges: heard.exchanges,
            problems: heard
                .problems
                .iter()
                .map(|((side, reason), (count, last_at))| RouteProblem {
                    side,
                    reason,
                    count: *count,
                    last_at: *last_at,
                })
                .collect(),
        });
        heard.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Problem, Side};

    #[test]
    fn a_dialect_is_told_once_a_route_and_problems_are_counted_by_side() {
        let routes = RouteTable::new(&["/score".to_owned()]).unwrap();
        let (score, at) = (routes.classify("/score"), Timestamp::UNIX_EPOCH);
        let mut spoken = Spoken::default();
        let mut decoded = Decoded { dialect: Some(Dialect::AzureMl), ..Decoded::default() };
        decoded.because = Some(Because::Member("input_data"));
        let first = FirstHeard {
            route: score,
            dialect: Dialect::AzureMl,
            because: Some(Because::Member("input_data")),
        };
        assert_eq!(spoken.hear(score, &decoded, at), Some(first));
        decoded.problems.push((Side::Response, Problem::InvalidJson));
        assert_eq!(spoken.hear(score, &decoded, at), None);
        let unread = Decoded {
            problems: [(Side::Request, Problem::Unrecognised)].into_iter().collect(),
            ..Decoded::default()
        };
        assert_eq!(spoken.hear(RouteId::OTHER, &unread, at), None, "there is nothing to tell");
        let report = spoken.report(&routes);
        let seen: Vec<_> = report
            .iter()
            .map(|it| (it.dialect, it.because.as_deref(), it.exchanges, it.problems.len()))
            .collect();
        let because = Some("its member `input_data`");
        assert_eq!(seen, [(None, None, 1, 1), (Some("azure_ml"), because, 2, 1)]);
        assert_eq!(report[1].problems[0].side, "response");
    }
}
