//! One workload through every proxy, in rounds: what a request costs, and how that compares.

use super::client;
use super::config::Site;
use super::load::{Generator, Slice};
use super::peer::{Peer, Recording, Running, start_all};
use super::stand::Stand;
use super::table::{Table, figure, median, spread};
use super::usage::{self, Usage};
use super::workload::Workload;
use anyhow::Context;
use std::time::Duration;

/// For analysis to work off its queue after a slice: that is work of the slice too.
const SETTLE_LIMIT: Duration = Duration::from_secs(5);
/// Of captured exchanges: more than that were not meant to be decoded.
const UNDECODABLE_SHARE: f64 = 0.2;

/// One slice of one proxy.
struct Sample {
    round: usize,
    slice: Slice,
    used: Usage,
    /// The share of exchanges that Taffrail captured in this slice.
    captured: Option<f64>,
}

impl Sample {
    /// CPU time a request, in microseconds.
    fn cost(&self, used: Duration) -> Option<f64> {
        (self.slice.good > 0).then(|| used.as_secs_f64() * 1e6 / self.slice.good as f64)
    }

    fn rate(&self) -> f64 {
        self.slice.good as f64 / self.slice.elapsed.as_secs_f64()
    }
}

/// A proxy and all that was measured of it.
struct Line {
    running: Running,
    samples: Vec<Sample>,
}

/// Whose CPU time a row is about.
type Part = fn(&Usage) -> Duration;

pub(crate) fn measure(stand: &Stand, workload: &'static Workload) -> anyhow::Result<String> {
    let generator = Generator::new(stand, workload)?;
    let backend = stand.backend(workload)?;
    let mut peers = stand.peers();
    if workload.tuned_haproxy && stand.has_haproxy() {
        peers.push(Peer::TUNED);
    }
    let started = start_all(stand, &peers, Site::new(workload.protocol(), backend.port));
    let mut lines: Vec<Line> =
        started.into_iter().map(|running| Line { running, samples: Vec::new() }).collect();
    for round in 0..=stand.options.rounds() {
        run_round(&generator, &mut lines, round)?;
    }
    report(workload, &lines)
}

/// Each proxy once, in random order. Round 0 warms up and leaves nothing behind.
fn run_round(generator: &Generator, lines: &mut [Line], round: usize) -> anyhow::Result<()> {
    let mut order: Vec<usize> = (0..lines.len()).collect();
    fastrand::shuffle(&mut order);
    for index in order {
        let line = &mut lines[index];
        let sample =
            sample(generator, &line.running, round).with_context(|| line.running.peer.name())?;
        eprintln!(
            "round {round}: {:16} {:>6} µs/request, {:>7} requests/s, {} failed{}",
            line.running.peer.name(),
            figure(sample.cost(sample.used.all)),
            figure(Some(sample.rate())),
            sample.slice.failed,
            sample.captured.map_or_else(String::new, |share| format!(", {share:.3} captured")),
        );
        if round > 0 {
            line.samples.push(sample);
        }
    }
    Ok(())
}

fn sample(generator: &Generator, running: &Running, round: usize) -> anyhow::Result<Sample> {
    let group = running.process.pid();
    let captured_before = captured(running)?;
    let before = usage::of_group(group)?;
    let slice = generator.run(running.port)?;
    usage::settle(group, SETTLE_LIMIT)?;
    let used = usage::of_group(group)?.since(&before);
    let captured = captured(running)?.zip(captured_before).map(|(now, then)| now.share_since(then));
    Ok(Sample { round, slice, used, captured })
}

/// Exchanges that Taffrail kept, and all that it saw.
#[derive(Clone, Copy)]
struct Captured {
    kept: f64,
    seen: f64,
}

impl Captured {
    fn share_since(self, then: Self) -> f64 {
        (self.kept - then.kept) / (self.seen - then.seen).max(1.0)
    }
}

fn captured(running: &Running) -> anyhow::Result<Option<Captured>> {
    if running.peer != Peer::Taffrail(Recording::AllOn) {
        return Ok(None);
    }
    let page = client::page(running.admin, "/metrics").context("Taffrail's metrics")?;
    let count = |outcome: &str| -> f64 {
        let label = format!("outcome=\"{outcome}\"");
        let lines = page.lines().filter(|line| {
            line.starts_with("taffrail_capture_exchanges_total{") && line.contains(&label)
        });
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    };
    let (kept, undecodable) = (count("kept"), count("undecodable"));
    // Those that a load generator leaves unfinished at the end of a slice are cut, and no fault.
    if undecodable > UNDECODABLE_SHARE * kept {
        eprintln!("{undecodable} of {kept} were not decoded: this is not everything on");
    }
    Ok(Some(Captured { kept, seen: kept + count("sampled_out") + count("dropped") }))
}

fn report(workload: &Workload, lines: &[Line]) -> anyhow::Result<String> {
    let mut references = vec![Peer::REFERENCE];
    if lines.iter().any(|line| line.running.peer == Peer::TUNED) {
        references.push(Peer::TUNED);
    }
    let ratios = references.iter().map(|reference| format!("ratio to {}", reference.name()));
    let mut columns = vec!["proxy".to_owned(), "CPU µs/request".to_owned()];
    columns.extend(ratios);
    let rest = ["requests/s", "p50 ms", "p99 ms", "RSS MiB", "errors", "captured"];
    columns.extend(rest.map(str::to_owned));
    let columns: Vec<_> = columns.iter().map(String::as_str).collect();
    let mut table = Table::new(workload.name, workload.title, &columns);
    for line in lines {
        let mut row = vec![line.running.peer.name().to_owned()];
        row.extend(costs(line, lines, &references, |used| used.all));
        row.extend(seen_by_clients(line)?);
        table.row(&row);
        if line.running.peer == Peer::Taffrail(Recording::AllOn) {
            let mut row = vec!["– its serving threads".to_owned()];
            row.extend(costs(line, lines, &references, |used| used.serving));
            row.extend(rest.map(|_| String::new()));
            table.row(&row);
        }
    }
    Ok(table.finish())
}

/// CPU time a request, then its ratio to each reference.
fn costs(line: &Line, lines: &[Line], references: &[Peer], part: Part) -> Vec<String> {
    let own: Vec<f64> = line.samples.iter().filter_map(|s| s.cost(part(&s.used))).collect();
    let to_each = references.iter().map(|&reference| {
        let reference = lines.iter().find(|line| line.running.peer == reference);
        spread(&reference.map_or_else(Vec::new, |reference| ratios(line, reference, part)))
    });
    std::iter::once(figure(median(&own))).chain(to_each).collect()
}

/// A proxy's cost over the reference's of the same round.
fn ratios(line: &Line, reference: &Line, part: Part) -> Vec<f64> {
    let ratio = |sample: &Sample| {
        let same = reference.samples.iter().find(|other| other.round == sample.round)?;
        Some(sample.cost(part(&sample.used))? / same.cost(same.used.all)?)
    };
    line.samples.iter().filter_map(ratio).collect()
}

fn seen_by_clients(line: &Line) -> anyhow::Result<[String; 6]> {
    let of = |value: fn(&Sample) -> Option<f64>| {
        figure(median(&line.samples.iter().filter_map(value).collect::<Vec<_>>()))
    };
    let failed: u64 = line.samples.iter().map(|sample| sample.slice.failed).sum();
    let captured: Vec<f64> = line.samples.iter().filter_map(|sample| sample.captured).collect();
    let captured = median(&captured).map_or_else(String::new, |share| format!("{share:.3}"));
    Ok([
        of(|sample| Some(sample.rate())),
        of(|sample| sample.slice.p50_ms),
        of(|sample| sample.slice.p99_ms),
        figure(Some(usage::resident_kib(line.running.process.pid())? / 1024.0)),
        failed.to_string(),
        captured,
    ])
}
