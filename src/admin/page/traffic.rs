//! Overview: the summary, latency as a heat map with quantiles, throughput, errors, coverage, routes,
//! and which features drift.

use super::shell::{Page, Place};
use super::{early, empty, range, scroll, scroll_long, segments, summary, watched};
use crate::admin::chart::{Axis, Fill, HeatMap, Lines, Series, heat_map, lines, scale};
use crate::admin::figure;
use crate::admin::history::{Range, Slot};
use crate::admin::moment::Moment;
use crate::admin::quantiles::{self, Line, Over};
use crate::admin::visit::Visit;
use maud::{Markup, html};

pub(in crate::admin) fn page(visit: &Visit, moment: &Moment<'_>) -> Page {
    let content = html! {
        (summary::section(moment))
        (early::section(visit, moment))
        (traffic(visit, moment))
        (watched::section(visit, moment))
        (segments::section(moment))
        (segments::attribution(moment))
        (tables(moment))
    };
    Page::live(Place::Overview, "Overview", content)
}

fn traffic(visit: &Visit, moment: &Moment<'_>) -> Markup {
    html! {
        section.panel #traffic aria-labelledby="traffic-title" {
            div.head {
                h2 #traffic-title { "Traffic" }
                (range::ranges(visit, moment.range))
            }
            @if moment.requests() == 0 {
                (empty(&html! {
                    "No traffic yet. Send a request to "
                    code { (moment.state.traffic_url) }
                    " instead of to the model at " code { (moment.state.upstream_url) }
                    ", and it shows here within a second."
                }))
            } @else {
                div.charts {
                    (latency(moment)) (throughput(moment)) (errors(moment)) (coverage(moment))
                }
                (slots_table(moment))
            }
        }
    }
}

fn latency(moment: &Moment<'_>) -> Markup {
    let values = |of: fn(&Slot) -> Option<f64>| moment.slots.iter().map(of).collect::<Vec<_>>();
    let line = |name, class, values| Series { name, class, values, fill: Fill::Line };
    let bands: Vec<_> =
        moment.heat.bands.iter().map(|band| (band.from_seconds, band.to_seconds)).collect();
    let (low, high) = match (bands.first(), bands.last()) {
        (Some(first), Some(last)) => (first.0, last.1),
        _ => (1e-3, 1e-2),
    };
    let time = |time: Option<f64>| time.map_or_else(|| "–".into(), figure::seconds);
    let words = |slot: &Slot| {
        format!("p50 {} · p95 {} · p99 {}", time(slot.p50), time(slot.p95), time(slot.p99))
    };
    let max = moment.heat.max();
    let chart = HeatMap {
        summary: format!(
            "Latency of all requests over {}: how many by time and duration, with the median, p95 and \
             p99. The table below has the quantiles.",
            span(moment)
        ),
        axis: Axis::doublings(low, high, figure::seconds),
        bands,
        counts: moment.heat.counts.clone(),
        max,
        series: vec![
            line("p50", "p50", values(|slot| slot.p50)),
            line("p95", "p95", values(|slot| slot.p95)),
            line("p99", "p99", values(|slot| slot.p99)),
        ],
        slots: moment.places,
        tips: moment.slots.iter().map(|slot| (clock(moment, slot), words(slot))).collect(),
        times: times(moment),
        band_words: |(from, to)| format!("{} to {}", figure::seconds(from), figure::seconds(to)),
    };
    html! {
        figure.chart.wide {
            figcaption {
                b { "Latency" } " " span.unit { "whole exchange, log scale" }
                span.legend {
                    (scale(max))
                    @for series in &chart.series {
                        span class={ "key " (series.class) } { (series.name) }
                    }
                }
            }
            (heat_map(&chart))
        }
    }
}

fn throughput(moment: &Moment<'_>) -> Markup {
    let values: Vec<_> = moment.slots.iter().map(|slot| Some(slot.throughput())).collect();
    let max = values.iter().flatten().copied().fold(0.0, f64::max);
    let words = |slot: &Slot| format!("{} requests/s", figure::number(slot.throughput()));
    let axis = Axis::from_zero(max, figure::number);
    small(moment, "Throughput", "requests/s", "accent", axis, values, words)
}

fn errors(moment: &Moment<'_>) -> Markup {
    let values: Vec<_> = moment.slots.iter().map(Slot::error_ratio).collect();
    let max = values.iter().flatten().copied().fold(0.01, f64::max);
    let words = |slot: &Slot| {
        let (failed, all) = (figure::count(slot.errors), figure::count(slot.requests));
        format!("{failed} of {all} requests failed")
    };
    let axis = Axis::from_zero(max, figure::percent);
    small(moment, "Errors", "share of requests", "error", axis, values, words)
}

fn coverage(moment: &Moment<'_>) -> Markup {
    let values: Vec<_> = moment.slots.iter().map(Slot::coverage).collect();
    let words = |slot: &Slot| {
        let (analysed, seen) = (figure::count(slot.analysed), figure::count(slot.seen));
        format!("{analysed} of {seen} exchanges analysed")
    };
    let axis = Axis::from_zero(1.0, figure::percent);
    small(moment, "Coverage", "exchanges analysed", "calm", axis, values, words)
}

fn small(
    moment: &Moment<'_>,
    title: &str,
    unit: &str,
    class: &'static str,
    axis: Axis,
    values: Vec<Option<f64>>,
    words: impl Fn(&Slot) -> String,
) -> Markup {
    let tip = |slot: &Slot| format!("{}\n{}", clock(moment, slot), words(slot));
    let chart = Lines {
        summary: format!("{title}, {unit}, over {}", span(moment)),
        axis,
        series: vec![Series { name: "", class, values, fill: Fill::Area }],
        slots: moment.places,
        tips: moment.slots.iter().map(tip).collect(),
        times: times(moment),
    };
    html! {
        figure.chart {
            figcaption { b { (title) } " " span.unit { (unit) } }
            (lines(&chart))
        }
    }
}

/// The charts in words and figures, for those who do not see them; newest first.
fn slots_table(moment: &Moment<'_>) -> Markup {
    let time = |time: Option<f64>| time.map_or_else(|| "–".into(), figure::seconds);
    let share = |share: Option<f64>| share.map_or_else(|| "–".into(), figure::percent);
    let table = html! {
        table {
            caption { "Traffic over " (span(moment)) ", newest first" }
            thead {
                tr {
                    th scope="col" { "Until" }
                    @for name in ["Requests/s", "p50", "p95", "p99", "Errors", "Coverage"] {
                        th.n scope="col" { (name) }
                    }
                }
            }
            tbody {
                @for slot in moment.slots.iter().rev() {
                    tr {
                        th scope="row" { (clock(moment, slot)) }
                        td.n { (figure::number(slot.throughput())) }
                        td.n { (time(slot.p50)) }
                        td.n { (time(slot.p95)) }
                        td.n { (time(slot.p99)) }
                        td.n { (share(slot.error_ratio())) }
                        td.n { (share(slot.coverage())) }
                    }
                }
            }
        }
    };
    html! {
        details #slots {
            summary { "As a table" }
            (scroll_long("slots-scroll", "Traffic over time", &table))
        }
    }
}

fn clock(moment: &Moment<'_>, slot: &Slot) -> String {
    match moment.range {
        Range::TenMinutes | Range::Hour => format!("{} UTC", figure::clock(slot.at)),
        Range::Day => format!("{} UTC", figure::date_and_clock(slot.at)),
    }
}

fn times(moment: &Moment<'_>) -> Vec<String> {
    let ago = |seconds: usize| match seconds {
        s if s < 60 => format!("−{s} s"),
        s if s % 3600 == 0 => format!("−{} h", s / 3600),
        s if s % 60 == 0 => format!("−{} min", s / 60),
        s => format!("−{} min {} s", s / 60, s % 60),
    };
    vec![ago(moment.span_seconds), ago(moment.span_seconds / 2), "now".into()]
}

fn span(moment: &Moment<'_>) -> String {
    match moment.span_seconds {
        60 => "the last minute".into(),
        3600 => "the last hour".into(),
        86_400 => "the last 24 hours".into(),
        seconds => format!("the last {} minutes", seconds / 60),
    }
}

fn tables(moment: &Moment<'_>) -> Markup {
    html! {
        @if moment.requests() > 0 {
            section.panel #latency aria-labelledby="latency-title" {
                h2 #latency-title { "Where time goes, and how requests end" }
                (phases(moment))
                (routes(moment))
                (outcomes(moment))
            }
        }
    }
}

fn phases(moment: &Moment<'_>) -> Markup {
    let lines = quantiles::by_phase(&moment.latency);
    let is_old = lines.iter().any(|line| line.over == Over::SinceStart);
    let table = html! {
        table {
            caption {
                "Latency by phase, "
                @if is_old { "since start (no request in the last minute)" }
                @else { "last minute" }
            }
            (quantile_head("Phase"))
            tbody {
                @for line in &lines {
                    tr { th scope="row" { (phase(line.phase)) } (quantile_cells(line)) }
                }
            }
        }
    };
    scroll("phases-scroll", "Latency by phase", &table)
}

fn phase(name: &'static str) -> Markup {
    let (title, meaning) = match name {
        "total" => ("Total", "request head to last byte, as the client saw it"),
        "upstream" => ("Upstream", "the model's share"),
        "first_byte" => ("First byte", "until the response's head"),
        _ => ("Overhead", "added by Taffrail"),
    };
    html! { (title) " " span.unit { (meaning) } }
}

fn quantile_head(first: &str) -> Markup {
    html! {
        thead {
            tr {
                th scope="col" { (first) }
                @for name in ["p50", "p90", "p95", "p99", "p99.9", "max", "requests"] {
                    th.n scope="col" { (name) }
                }
            }
        }
    }
}

fn quantile_cells(line: &Line<'_>) -> Markup {
    let q = &line.quantiles;
    html! {
        @for value in [q.p50, q.p90, q.p95, q.p99, q.p999, q.max] {
            td.n { (value.map_or_else(|| "–".into(), figure::seconds)) }
        }
        td.n { (figure::count(line.count)) }
    }
}

fn routes(moment: &Moment<'_>) -> Markup {
    let lines = quantiles::by_route(&moment.latency, &moment.state.routes);
    let table = html! {
        table {
            caption { "Whole exchange by route" }
            (quantile_head("Route"))
            tbody {
                @for line in lines.iter().filter(|line| line.phase == "total") {
                    tr {
                        th scope="row" { code { (line.route.unwrap_or("all")) } }
                        (quantile_cells(line))
                    }
                }
            }
        }
    };
    scroll("routes-scroll", "Latency by route", &table)
}

fn outcomes(moment: &Moment<'_>) -> Markup {
    let table = html! {
        table {
            caption { "Requests by outcome, since start" }
            thead {
                tr {
                    th scope="col" { "Route" }
                    th scope="col" { "Method" }
                    th scope="col" { "Status" }
                    th scope="col" { "error.type" }
                    th.n scope="col" { "Requests" }
                }
            }
            tbody {
                @for series in &moment.latency.requests {
                    tr class=[series.outcome.is_error().then_some("failed")] {
                        th scope="row" { code { (moment.state.routes.template(series.route)) } }
                        td { (series.method) }
                        td {
                            @match series.outcome.status {
                                Some(status) => { (status.as_u16()) }
                                None => { "no answer" }
                            }
                        }
                        td { (series.outcome.fault.map_or("–", |fault| fault.as_str())) }
                        td.n { (figure::count(series.duration.count())) }
                    }
                }
            }
        }
    };
    scroll("outcomes-scroll", "Requests by outcome", &table)
}
