//! Traffic: latency, throughput and errors over time, quantiles by phase, requests by route.

use super::empty;
use crate::admin::chart::{Axis, Fill, Lines, Series, lines};
use crate::admin::figure;
use crate::admin::history::Slot;
use crate::admin::moment::{Moment, SLOTS};
use crate::admin::quantiles::{self, Line, Over};
use maud::{Markup, html};

pub(super) fn section(moment: &Moment<'_>) -> Markup {
    html! {
        section.panel #traffic aria-labelledby="traffic-title" {
            h2 #traffic-title { "Traffic" }
            @if moment.requests() == 0 {
                (empty(&html! {
                    "No traffic yet. Send a request to "
                    code { (moment.state.traffic_url) }
                    " instead of to the model at " code { (moment.state.upstream_url) }
                    ", and it shows here within a second."
                }))
            } @else {
                div.charts { (latency(moment)) (throughput(moment)) (errors(moment)) }
                (phases(moment))
                (routes(moment))
            }
        }
    }
}

fn latency(moment: &Moment<'_>) -> Markup {
    let values = |of: fn(&Slot) -> Option<f64>| moment.slots.iter().map(of).collect::<Vec<_>>();
    let (p50, p95, p99) =
        (values(|slot| slot.p50), values(|slot| slot.p95), values(|slot| slot.p99));
    let shown = || [&p50, &p95, &p99].into_iter().flatten().flatten().copied();
    let (min, max) = (shown().fold(f64::INFINITY, f64::min), shown().fold(0.0, f64::max));
    let axis = if max > 0.0 { (min, max) } else { (1e-3, 1e-2) };
    let line = |name, class, values| Series { name, class, values, fill: Fill::Line };
    let chart = Lines {
        summary: format!("Latency quantiles over {}", span(moment)),
        axis: Axis::doublings(axis.0, axis.1, figure::seconds),
        series: vec![line("p50", "p50", p50), line("p95", "p95", p95), line("p99", "p99", p99)],
        slots: SLOTS,
        tips: tips(moment, |slot| {
            let time = |time: Option<f64>| time.map_or_else(|| "–".into(), figure::seconds);
            format!("p50 {} · p95 {} · p99 {}", time(slot.p50), time(slot.p95), time(slot.p99))
        }),
        times: times(moment),
    };
    figure_of("wide", "Latency", "whole exchange, log scale", &chart)
}

fn throughput(moment: &Moment<'_>) -> Markup {
    let values: Vec<_> = moment.slots.iter().map(|slot| Some(slot.throughput())).collect();
    let max = values.iter().flatten().copied().fold(0.0, f64::max);
    let chart = Lines {
        summary: format!("Requests a second over {}", span(moment)),
        axis: Axis::from_zero(max, figure::number),
        series: vec![Series { name: "", class: "accent", values, fill: Fill::Area }],
        slots: SLOTS,
        tips: tips(moment, |slot| format!("{} requests/s", figure::number(slot.throughput()))),
        times: times(moment),
    };
    figure_of("", "Throughput", "requests/s", &chart)
}

fn errors(moment: &Moment<'_>) -> Markup {
    let values: Vec<_> = moment.slots.iter().map(Slot::error_ratio).collect();
    let max = values.iter().flatten().copied().fold(0.01, f64::max);
    let chart = Lines {
        summary: format!("Share of failed requests over {}", span(moment)),
        axis: Axis::from_zero(max, figure::percent),
        series: vec![Series { name: "", class: "error", values, fill: Fill::Area }],
        slots: SLOTS,
        tips: tips(moment, |slot| {
            let (failed, all) = (figure::count(slot.errors), figure::count(slot.requests));
            format!("{failed} of {all} requests failed")
        }),
        times: times(moment),
    };
    figure_of("", "Errors", "share of requests", &chart)
}

fn figure_of(class: &str, title: &str, unit: &str, chart: &Lines) -> Markup {
    html! {
        figure class={ "chart " (class) } {
            figcaption {
                b { (title) } " " span.unit { (unit) }
                span.legend {
                    @for series in chart.series.iter().filter(|series| !series.name.is_empty()) {
                        span class={ "key " (series.class) } { (series.name) }
                    }
                }
            }
            (lines(chart))
        }
    }
}

fn tips(moment: &Moment<'_>, words: impl Fn(&Slot) -> String) -> Vec<String> {
    let tip = |slot: &Slot| format!("{} UTC\n{}", figure::clock(slot.at), words(slot));
    moment.slots.iter().map(tip).collect()
}

fn times(moment: &Moment<'_>) -> Vec<String> {
    let ago = |seconds: usize| match seconds {
        s if s < 60 => format!("−{s} s"),
        s if s % 60 == 0 => format!("−{} min", s / 60),
        s => format!("−{} min {} s", s / 60, s % 60),
    };
    vec![ago(moment.span_seconds), ago(moment.span_seconds / 2), "now".into()]
}

fn span(moment: &Moment<'_>) -> String {
    match moment.span_seconds / 60 {
        1 => "the last minute".into(),
        minutes => format!("the last {minutes} minutes"),
    }
}

fn phases(moment: &Moment<'_>) -> Markup {
    let lines = quantiles::by_phase(&moment.latency);
    let is_old = lines.iter().any(|line| line.over == Over::SinceStart);
    html! {
        div.scroll #phases-scroll tabindex="0" role="region" aria-label="Latency by phase" {
            table {
                caption {
                    "Latency by phase, "
                    @if is_old { "since start (no request in the last minute)" }
                    @else { "last minute" }
                }
                (quantile_head("Phase"))
                tbody {
                    @for line in &lines {
                        tr {
                            th scope="row" { (phase(line.phase)) }
                            (quantile_cells(line))
                        }
                    }
                }
            }
        }
    }
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
    html! {
        details #routes {
            summary { "By route and outcome" }
            div.scroll #routes-scroll tabindex="0" role="region" aria-label="Latency by route" {
                table {
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
            }
            (outcomes(moment))
        }
    }
}

fn outcomes(moment: &Moment<'_>) -> Markup {
    html! {
        div.scroll #outcomes-scroll tabindex="0" role="region" aria-label="Requests by outcome" {
            table {
                thead {
                    tr {
                        th scope="col" { "Route" }
                        th scope="col" { "Method" }
                        th scope="col" { "Status" }
                        th scope="col" { "Fault" }
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
        }
    }
}
