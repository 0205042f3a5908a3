//! Latency by phase and by route, as the table of the page and `/api/v1/latency` show it.

use crate::capture::{RouteId, RouteTable};
use crate::distribution::Distribution;
use crate::latency::{Phase, Snapshot};
use schemars::JsonSchema;
use serde::Serialize;

/// One line: what the quantiles are of, and over which time.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Quantiles")]
pub(super) struct Line<'a> {
    /// `None`: over all routes.
    pub(super) route: Option<&'a str>,
    pub(super) phase: &'static str,
    pub(super) over: Over,
    pub(super) count: u64,
    /// Seconds.
    #[serde(flatten)]
    pub(super) quantiles: Quantiles,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Over {
    LastMinute,
    /// There was no request in the last minute.
    SinceStart,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "QuantileValues")]
pub(super) struct Quantiles {
    pub(super) p50: Option<f64>,
    pub(super) p90: Option<f64>,
    pub(super) p95: Option<f64>,
    pub(super) p99: Option<f64>,
    pub(super) p999: Option<f64>,
    pub(super) max: Option<f64>,
}

impl Quantiles {
    fn of(times: &Distribution) -> Self {
        Self {
            p50: times.quantile(0.5),
            p90: times.quantile(0.9),
            p95: times.quantile(0.95),
            p99: times.quantile(0.99),
            p999: times.quantile(0.999),
            max: times.max(),
        }
    }
}

/// Every phase that has a time, over all routes.
pub(super) fn by_phase(snapshot: &Snapshot) -> Vec<Line<'static>> {
    Phase::ALL.iter().filter_map(|phase| line(snapshot, *phase, None)).collect()
}

/// Every route and phase that has a time.
pub(super) fn by_route<'a>(snapshot: &Snapshot, table: &'a RouteTable) -> Vec<Line<'a>> {
    let mut routes: Vec<_> = snapshot.phases.iter().map(|times| times.route).collect();
    routes.sort_unstable();
    routes.dedup();
    let lines = routes.iter().flat_map(|route| {
        let of = Phase::ALL.iter().filter_map(|phase| line(snapshot, *phase, Some(*route)));
        of.map(|line| Line { route: Some(table.template(*route)), ..line })
    });
    lines.collect()
}

fn line(snapshot: &Snapshot, phase: Phase, route: Option<RouteId>) -> Option<Line<'static>> {
    let times = snapshot
        .phases
        .iter()
        .filter(|times| times.phase == phase && route.is_none_or(|route| route == times.route));
    let (mut recent, mut all) = (Distribution::of_seconds(), Distribution::of_seconds());
    for times in times {
        recent.merge(&times.recent);
        all.merge(&times.all);
    }
    let (over, times) = match (recent.count(), all.count()) {
        (0, 0) => return None,
        (0, _) => (Over::SinceStart, all),
        _ => (Over::LastMinute, recent),
    };
    let quantiles = Quantiles::of(&times);
    Some(Line { route: None, phase: phase.as_str(), over, count: times.count(), quantiles })
}
