//! That the story of the demo is true: the engine as it ships, on the rows that the demo sends.

use super::baseline::rows;
use super::model::answer;
use super::replay::question;
use super::*;
use crate::decode::{self, Decoded, Decoder, Part, Payload};
use crate::drift::{Monitor, Reference, Settings, Verdict, WindowReport, WindowSpan};
use http::Method;
use std::sync::Arc;

const SEEDS: u64 = 40;
/// A first window that is cut anywhere, then what five seconds of the replay send, then what they
/// send on a busy machine. One monitor sees them in turn, so that it merges each with those before.
const WINDOW_ROWS: [usize; 10] = [60, 1_500, 1_500, 1_500, 1_500, 1_500, 1_000, 300, 100, 50];

struct Station {
    calendar: Calendar,
    classifier: Classifier,
    monitor: Monitor,
}

impl Station {
    fn new(seed: u64) -> Self {
        let settings = Settings { windows: vec!["5s".into()], ..Settings::default() };
        let reference = Reference::Baseline(Arc::new(baseline().unwrap()));
        Self {
            calendar: Calendar::new(&days().unwrap(), seed),
            classifier: Classifier::embedded().unwrap(),
            monitor: Monitor::new(settings, reference),
        }
    }

    fn window(&mut self, season: Season, len: usize) -> WindowReport {
        let days: Vec<_> = (0..len).map(|_| self.calendar.draw(season).unwrap().clone()).collect();
        let (inputs, outputs) = rows(&self.classifier, &days);
        self.monitor.observe(&inputs, &outputs);
        let span = WindowSpan { level: 0, start: None, end: None, coverage: 1.0 };
        self.monitor.close(span).unwrap()
    }
}

fn verdicts(season: Season) -> Vec<(u64, usize, WindowReport)> {
    let mut verdicts = Vec::new();
    for seed in 0..SEEDS {
        let mut station = Station::new(seed);
        for len in WINDOW_ROWS {
            verdicts.push((seed, len, station.window(season, len)));
        }
    }
    verdicts
}

fn detected(report: &WindowReport) -> Vec<&str> {
    report.features.iter().filter(|f| f.detected).map(|f| &*f.feature).collect()
}

#[test]
fn every_summer_window_is_stable() {
    for (seed, len, report) in verdicts(Season::Summer) {
        let found = detected(&report);
        assert_eq!(report.verdict, Verdict::Stable, "seed {seed}, {len} rows: {found:?}");
    }
}

#[test]
fn every_winter_window_drifts_and_the_temperature_is_named() {
    for (seed, len, report) in verdicts(Season::Winter) {
        let found = detected(&report);
        assert_eq!(report.verdict, Verdict::Drifting, "seed {seed}, {len} rows");
        assert!(found.contains(&"temp_max"), "seed {seed}, {len} rows: {found:?}");
    }
}

#[test]
fn a_year_drifts_in_autumn_and_is_stable_again_in_summer() {
    let mut station = Station::new(3);
    let year = [Season::Summer, Season::Autumn, Season::Winter, Season::Spring, Season::Summer];
    let said = year.map(|season| station.window(season, 1_500).verdict);
    let drifting = Verdict::Drifting;
    assert_eq!(said, [Verdict::Stable, drifting, drifting, drifting, Verdict::Stable]);
}

/// The baseline is built from rows that never crossed a wire; the live ones did.
#[test]
fn what_is_decoded_from_the_wire_is_what_the_baseline_was_built_from() {
    let classifier = Classifier::embedded().unwrap();
    let path = "/v2/models/seattle-weather/infer";
    let mut decoder = Decoder::new(decode::Settings::default());
    let mut seen = Decoded::default();
    for day in days().unwrap() {
        let question = question(&day);
        let (_, answer) = answer(&classifier, &Method::POST, path, &question);
        let answer = answer.to_string();
        let json = |body| Part { content_type: Some("application/json"), body, ..Part::default() };
        let payload = Payload {
            method: "POST",
            path,
            status: Some(200),
            request: json(&question[..]),
            response: json(answer.as_bytes()),
        };
        decoder.decode(&payload, &mut seen);
        assert!(seen.problems.is_empty(), "{:?}", seen.problems);
        let (inputs, outputs) = rows(&classifier, std::slice::from_ref(&day));
        assert_eq!((&seen.inputs, &seen.outputs), (&inputs, &outputs), "{}", day.date);
    }
}
