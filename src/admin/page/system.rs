//! The sidecar itself: what it lost and why, how full it is, where it sends, how it is set.

use super::badge::{Tone, badge};
use super::scroll;
use super::shell::{Page, Place};
use crate::admin::chart::meter;
use crate::admin::figure;
use crate::admin::moment::Moment;
use crate::admin::state::Setting;
use crate::admin::visit::Visit;
use maud::{Markup, html};

pub(in crate::admin) fn page(visit: &Visit, moment: &Moment<'_>) -> Page {
    let content = html! {
        section #system-head aria-label="System" {
            div.title { h1 { "System" } div.badges { (super::summary::readiness(moment)) } }
            p.lede {
                "Taffrail " b { (moment.state.version) } " between "
                code { (moment.state.traffic_url) } " and " code { (moment.state.upstream_url) } "."
            }
        }
        section.panel #system aria-labelledby="system-title" {
            h2 #system-title { "What it does, and what it lost" }
            div.columns {
                (process(moment))
                (capture(moment))
                (analysis(moment))
                (archive(moment))
                (state(moment))
                (reloads(moment))
            }
        }
        (exporters(visit, moment))
        (config(moment))
    };
    Page::live(Place::System, "System", content)
}

fn figure_line(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

/// Losses stand out, once there are any.
fn loss_line(name: &str, count: u64) -> Markup {
    html! {
        div class=[(count > 0).then_some("loss")] { dt { (name) } dd { (figure::count(count)) } }
    }
}

fn process(moment: &Moment<'_>) -> Markup {
    html! {
        div {
            h3 { "Process" }
            dl.list {
                (figure_line("Up for", &figure::age(moment.uptime_seconds())))
                (figure_line("Requests", &figure::count(moment.requests())))
                (figure_line("Failed", &figure::count(moment.errors())))
                (figure_line("Under way", &figure::count(moment.latency.active_requests)))
                (figure_line("Connections", &figure::count(moment.latency.open_connections)))
            }
        }
    }
}

fn capture(moment: &Moment<'_>) -> Markup {
    let (queue, totals) = (&moment.state.queue, &moment.capture);
    let (items, bytes) = (queue.limits().items.get(), queue.limits().bytes.get());
    html! {
        div {
            h3 { "Capture" }
            dl.list {
                (figure_line("Coverage", &figure::percent(totals.coverage())))
                (figure_line("Analysed", &figure::count(totals.kept)))
                (figure_line("Sampled out", &figure::count(totals.sampled_out)))
                (loss_line("Dropped, queue full of items", totals.dropped_items))
                (loss_line("Dropped, queue full of bytes", totals.dropped_bytes))
                (loss_line("Bodies truncated", totals.truncated))
            }
            (fill("Queue", &figure::count(queue.len() as u64), &figure::count(items as u64),
                queue.len() as f64 / items as f64))
            (fill("Queue memory", &figure::bytes(queue.held_bytes() as u64),
                &figure::bytes(bytes as u64), queue.held_bytes() as f64 / bytes as f64))
        }
    }
}

fn fill(name: &str, value: &str, limit: &str, share: f64) -> Markup {
    html! {
        div.fill {
            span { (name) } span.n { (value) " of " (limit) }
            (meter(share, &format!("{name}: {value} of {limit}")))
        }
    }
}

fn analysis(moment: &Moment<'_>) -> Markup {
    let analysis = &moment.analysis;
    let spoken = analysis.dialects.iter().filter_map(|it| Some((&it.route, it.dialect?)));
    html! {
        div {
            h3 { "Analysis" }
            dl.list {
                (figure_line("Decoded exchanges", &figure::count(analysis.decoded_exchanges)))
                (figure_line("Input rows", &figure::count(analysis.input_rows)))
                (figure_line("Output rows", &figure::count(analysis.output_rows)))
                @for (route, dialect) in spoken.take(8) {
                    (figure_line(&format!("Read on {route}"), dialect))
                }
                @if analysis.problems.is_empty() { (figure_line("Payload problems", "none")) }
                @for problem in analysis.problems.iter().take(8) {
                    (loss_line(&problem.reason.replace('_', " "), problem.count))
                }
            }
        }
    }
}

fn archive(moment: &Moment<'_>) -> Markup {
    html! {
        div {
            h3 { "Archive" }
            @match &moment.analysis.archive {
                None => p.note { "Off (" code { "archive: off" } ")" },
                Some(archive) => {
                    dl.list {
                        (figure_line("In whole files", &figure::count(archive.exchanges)))
                        (figure_line("In the open file", &figure::count(archive.open_exchanges)))
                        (figure_line("Files", &figure::count(archive.files)))
                        (figure_line("On disk", &figure::bytes(archive.bytes)))
                        (figure_line("Files expired", &figure::count(archive.expired_files)))
                        (loss_line("Exchanges lost", archive.lost_exchanges))
                        @if archive.abandoned_files > 0 {
                            (loss_line("Files a killed process left", archive.abandoned_files))
                        }
                    }
                    @if let Some(error) = &archive.last_error {
                        p.trouble { (badge(Tone::Bad, "Failing")) " " (error) }
                    }
                }
            }
        }
    }
}

fn state(moment: &Moment<'_>) -> Markup {
    html! {
        div {
            h3 { "Saved windows" }
            @match &moment.analysis.state {
                None => p.note { "Off (" code { "state: off" } ", or nothing is captured)" },
                Some(state) => {
                    dl.list {
                        @if let Some(at) = state.saved_at {
                            (figure_line("Last saved", &figure::date_and_second(at)))
                        }
                        (figure_line("Saves", &figure::count(state.saves)))
                        (figure_line("On disk", &figure::bytes(state.bytes)))
                        (loss_line("Failed saves", state.failures))
                        (loss_line("Set aside at the start", state.rejected))
                        @if let Some(at) = state.resumed_from {
                            (figure_line("Gone on from", &figure::date_and_second(at)))
                            (figure_line("Not watched before the start",
                                &figure::seconds(state.unwatched_seconds)))
                        }
                    }
                    @if let Some(error) = &state.last_error {
                        p.trouble { (badge(Tone::Bad, "Failing")) " " (error) }
                    }
                }
            }
        }
    }
}

fn reloads(moment: &Moment<'_>) -> Markup {
    let standing = &moment.standing;
    let age = moment.now.duration_since(standing.since).as_secs();
    html! {
        div {
            h3 { "Configuration" }
            dl.list {
                (figure_line("Hash", &standing.hash))
                (figure_line("In force for", &figure::age(u64::try_from(age).unwrap_or(0))))
                (figure_line("Reloads", &figure::count(standing.reloaded)))
                (loss_line("Rejected", standing.rejected))
            }
            @if !standing.restart_required.is_empty() {
                p.note {
                    "After a restart: "
                    @for (place, key) in standing.restart_required.iter().enumerate() {
                        @if place > 0 { ", " }
                        code { (key) }
                    }
                }
            }
            @if let Some(rejection) = &standing.last_rejection {
                p.trouble { (badge(Tone::Bad, "Rejected")) " at " (rejection.at) ":" }
                ul {
                    @for problem in rejection.problems.iter().take(8) { li.why { (problem) } }
                }
            }
        }
    }
}

fn exporters(visit: &Visit, moment: &Moment<'_>) -> Markup {
    html! {
        section.panel #exporters aria-labelledby="exporters-title" {
            h2 #exporters-title { "Exporters" }
            @if moment.exporters.is_empty() {
                p.note {
                    "Nothing is pushed. Prometheus may scrape "
                    a href={ (visit.root) "metrics" } { "/metrics" } "; OTLP begins with "
                    code { "OTEL_EXPORTER_OTLP_ENDPOINT" } " or " code { "export.otlp.endpoint" } "."
                }
            } @else {
                (scroll("exporters-scroll", "Exporters", &exporters_table(moment)))
            }
        }
    }
}

fn exporters_table(moment: &Moment<'_>) -> Markup {
    html! {
        table {
            caption.unseen { "Exporters by signal" }
            thead {
                tr {
                    th scope="col" { "Signal" }
                    th scope="col" { "State" }
                    th.n scope="col" { "Sent" }
                    th.n scope="col" { "Failed" }
                    th.n scope="col" { "Dropped" }
                }
            }
            tbody {
                @for exporter in &moment.exporters {
                    tr {
                        th scope="row" { (exporter.name) }
                        td {
                            @match &exporter.last_error {
                                None => (badge(Tone::Good, "Sending")),
                                Some(error) => {
                                    (badge(Tone::Bad, "Failing")) " " span.why { (error) }
                                }
                            }
                        }
                        td.n { (figure::count(exporter.sent)) }
                        td.n { (figure::count(exporter.failed)) }
                        td.n { (figure::count(exporter.dropped)) }
                    }
                }
            }
        }
    }
}

/// What somebody has set comes first; the rest is a click away.
fn config(moment: &Moment<'_>) -> Markup {
    let all = &moment.settings;
    let (defaults, set): (Vec<_>, Vec<_>) =
        all.iter().partition(|setting| setting.source == "default");
    html! {
        section.panel #config aria-labelledby="config-title" {
            div.head {
                h2 #config-title { "Configuration in force" }
                span.unit { (all.len()) " keys, secrets hidden" }
            }
            @if set.is_empty() { p.note { "Nothing is set." } }
            @else { (scroll("set-scroll", "What is set", &settings(&set, "What is set"))) }
            details #defaults {
                summary { (defaults.len()) " keys at their default" }
                (scroll("defaults-scroll", "Defaults", &settings(&defaults, "Defaults")))
            }
        }
    }
}

fn settings(settings: &[&Setting], caption: &str) -> Markup {
    html! {
        table.settings {
            caption.unseen { (caption) }
            thead {
                tr {
                    th scope="col" { "Key" }
                    th scope="col" { "Value" }
                    th scope="col" { "From" }
                }
            }
            tbody {
                @for setting in settings {
                    tr {
                        th scope="row" { code { (setting.key) } }
                        td.value { code { (setting.value) } }
                        td { (setting.source) }
                    }
                }
            }
        }
    }
}
