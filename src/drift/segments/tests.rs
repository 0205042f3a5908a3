//! Segments are found, bounded, judged apart from the whole, and survive a baseline's file.

use super::*;
use crate::decode::{Cell, Column};
use crate::drift::{
    BaselineBuilder, BaselineError, BaselineSettings, Monitor, Reference, StateError, Verdict,
    WindowReport,
};
use crate::sketch::{FeatureCounts, Packer, Role, Unpacker};

const COUNTRIES: [&str; 4] = ["DE", "FR", "IT", "ES"];

/// Rows of a country each, with a normal `x` of mean `mean_of` the country and a few other features.
fn rows(random: &mut fastrand::Rng, len: usize, mean_of: impl Fn(&str) -> f64) -> Rows {
    let mut country = Column::new("country");
    let mut columns: Vec<Column> = (0..6).map(|n| Column::new(format!("x{n}"))).collect();
    for _ in 0..len {
        let name = COUNTRIES[random.usize(..COUNTRIES.len())];
        country.push(Cell::Text(name));
        for (n, column) in columns.iter_mut().enumerate() {
            let mean = if n == 0 { mean_of(name) } else { f64::from(u8::from(name == "DE")) };
            column.push_number(mean + normal(random));
        }
    }
    let mut rows = Rows::new();
    rows.push(country);
    for column in columns {
        rows.push(column);
    }
    rows
}

fn normal(random: &mut fastrand::Rng) -> f64 {
    (-2.0 * random.f64().max(1e-300).ln()).sqrt() * (std::f64::consts::TAU * random.f64()).cos()
}

fn nowhere(_: &str) -> f64 {
    0.0
}

fn built(rows: &Rows) -> Baseline {
    let mut builder = BaselineBuilder::new(BaselineSettings::default());
    builder.observe(Role::Input, rows);
    builder.finish().unwrap()
}

fn with_segments(rows: &Rows, keys: &[&str]) -> Baseline {
    let baseline = built(rows);
    let mut survey = SegmentSurvey::new(keys.iter().map(|key| key.parse().unwrap()));
    survey.observe(rows);
    let mut counter = survey.count(&baseline, 20);
    counter.observe(rows, &Rows::new());
    counter.finish(baseline)
}

fn settings(keys: &[&str]) -> Settings {
    Settings {
        windows: vec!["a".into(), "b".into()],
        segments: SegmentSettings {
            keys: keys.iter().map(|key| key.parse().unwrap()).collect(),
            ..SegmentSettings::default()
        },
        ..Settings::default()
    }
}

fn monitor(keys: &[&str], baseline: Baseline) -> Monitor {
    Monitor::new(settings(keys), Reference::Baseline(Arc::new(baseline)))
}

fn close(monitor: &mut Monitor, level: usize) -> WindowReport {
    monitor.close(WindowSpan { level, start: None, end: None, coverage: 1.0 }).unwrap()
}

fn take(monitor: &mut Monitor, rows: &Rows, header: Option<&str>) {
    let _ = monitor.segment((rows, &Rows::new()), 1.0, |_| header);
    monitor.observe(rows, &Rows::new());
}

fn window(monitor: &mut Monitor, rows: &Rows) -> WindowReport {
    take(monitor, rows, None);
    close(monitor, 0)
}

fn of<'a>(report: &'a WindowReport, segment: &str) -> &'a SegmentReport {
    report.segments.iter().find(|report| *report.segment == *segment).unwrap()
}

#[test]
fn a_drift_of_one_segment_is_found_in_it_and_named() {
    let mut random = fastrand::Rng::with_seed(1);
    let baseline = with_segments(&rows(&mut random, 8000, nowhere), &["country"]);
    let mut monitor = monitor(&["country"], baseline);
    let shifted = rows(&mut random, 2000, |name| if name == "FR" { 0.8 } else { 0.0 });
    let report = window(&mut monitor, &shifted);
    let drifting: Vec<_> =
        report.segments.iter().filter(|s| s.is_drifting()).map(|s| &*s.segment).collect();
    assert_eq!(drifting, ["country=FR"]);
    let france = of(&report, "country=FR");
    assert_eq!((france.reference, france.features_detected), (SegmentReference::Segment, 1));
    assert_eq!(&*france.features[0].feature, "x0");
    assert_eq!(of(&report, "country=DE").verdict, Verdict::Stable);
    let all: u64 = report.segments.iter().map(|segment| segment.rows).sum();
    assert_eq!(all, 2000);
    // In short there, in full here.
    assert_eq!(france.features.len(), 5);
    assert!(monitor.segment_windows()[0].segments.iter().all(|s| s.features.len() == 7));
}

#[test]
fn segments_change_nothing_in_what_is_said_of_the_whole() {
    let mut random = fastrand::Rng::with_seed(2);
    let baseline = with_segments(&rows(&mut random, 4000, nowhere), &["country"]);
    let mut with = monitor(&["country"], baseline.clone());
    let mut without = monitor(&[], baseline);
    for shift in [0.0, 0.1, 0.3, 0.0] {
        let live = rows(&mut random, 600, |_| shift);
        let (with, without) = (window(&mut with, &live), window(&mut without, &live));
        assert_eq!(with.verdict, without.verdict);
        let told = |report: &WindowReport| {
            let mut features = report.features.clone();
            // Quantiles in sentences are those of a sketch that tosses coins.
            for feature in &mut features {
                feature.explanation = None;
            }
            serde_json::to_string(&features).unwrap()
        };
        assert_eq!(told(&with), told(&without));
        assert!(without.segments.is_empty() && !with.segments.is_empty());
    }
}

/// Nothing drifts, though the segments differ from each other: windows where any segment is said to
/// drift stay at the error rate.
#[test]
fn quiet_segments_of_different_means_raise_few_alarms() {
    let mut random = fastrand::Rng::with_seed(3);
    let mean = |name: &str| if name == "IT" { 2.0 } else { 0.0 };
    let baseline = with_segments(&rows(&mut random, 6000, mean), &["country"]);
    let mut monitor = monitor(&["country"], baseline);
    let reports = (0..150).map(|_| window(&mut monitor, &rows(&mut random, 800, mean)));
    let alarmed = reports.filter(|report| report.segments.iter().any(SegmentReport::is_drifting));
    let alarmed = alarmed.count();
    assert!(alarmed <= 4, "{alarmed} of 150");
}

#[test]
fn segments_of_a_baseline_add_up_to_the_whole() {
    let mut random = fastrand::Rng::with_seed(4);
    let baseline = with_segments(&rows(&mut random, 3000, nowhere), &["country"]);
    assert_eq!(baseline.segments().iter().map(RecordedSegment::rows).sum::<u64>(), 3000);
    let names: Vec<_> = baseline.segments().iter().map(|segment| &**segment.name()).collect();
    assert_eq!(names.len(), 4);
    for (place, whole) in baseline.features().iter().enumerate() {
        let parts = baseline.segments().iter().map(|segment| &segment.features()[place]);
        if let Some(numeric) = whole.numeric() {
            let sum = parts.map(|part| FeatureCounts::Numeric(part.numeric().unwrap().clone()));
            let Some(FeatureCounts::Numeric(sum)) = sum.reduce(|mut sum, part| {
                sum.merge(&part).unwrap();
                sum
            }) else {
                panic!("all are numeric")
            };
            assert_eq!(sum.bins(), numeric.bins());
            let apart = (sum.sigma().unwrap() - numeric.sigma().unwrap()).abs();
            assert!(apart < 1e-9, "{apart}");
        } else {
            let rows = |feature: &crate::drift::BaselineFeature| {
                feature.categorical().unwrap().level_rows().iter().sum::<u64>()
            };
            assert_eq!(parts.map(rows).sum::<u64>(), rows(whole));
        }
    }
}

#[test]
fn a_file_with_segments_reads_back_and_without_is_what_it_was() {
    let mut random = fastrand::Rng::with_seed(5);
    let table = rows(&mut random, 500, nowhere);
    let (plain, parted) = (built(&table), with_segments(&table, &["country"]));
    assert!(!plain.to_json().contains("segments"));
    assert_ne!(plain.hash(), parted.hash());
    assert_eq!(plain.features(), parted.features());
    let json = parted.to_json();
    let back = Baseline::from_json(json.as_bytes()).unwrap();
    assert_eq!((back.hash(), &back.to_json()), (parted.hash(), &json));
    assert_eq!(back.segments().len(), 4);
    // The same live rows get the same verdicts.
    let live = rows(&mut random, 900, |name| if name == "ES" { 0.5 } else { 0.0 });
    let told = |baseline: Baseline| window(&mut monitor(&["country"], baseline), &live).segments;
    assert_eq!(told(back), told(parted));
}

#[test]
fn a_file_whose_segments_are_wrong_is_refused_by_their_name() {
    let mut random = fastrand::Rng::with_seed(6);
    let json = with_segments(&rows(&mut random, 300, nowhere), &["country"]).to_json();
    let mut value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let whole = value.clone();
    let told =
        |value: &serde_json::Value| Baseline::from_json(value.to_string().as_bytes()).unwrap_err();
    value["segments"][0]["features"][1]["numeric"]["rows"] = "1 2".into();
    let error = told(&value);
    assert!(
        matches!(&error, BaselineError::Segment { segment, problem }
        if segment.starts_with("country=") && problem.contains("x0")),
        "{error}"
    );
    value = whole.clone();
    value["segments"][1] = value["segments"][0].clone();
    assert!(told(&value).to_string().contains("twice"));
    value = whole.clone();
    value["segments"][0]["key"] = "header:".into();
    assert!(matches!(told(&value), BaselineError::Segment { .. }));
    value = whole;
    value["segments"][0]["rows"] = 1.into();
    assert!(matches!(told(&value), BaselineError::Hash { .. }));
}

#[test]
fn values_over_the_bound_are_counted_together_and_judged_against_nothing() {
    let mut random = fastrand::Rng::with_seed(7);
    let baseline = with_segments(&rows(&mut random, 2000, nowhere), &["country"]);
    let mut settings = settings(&["country"]);
    settings.segments.max_values = 2;
    let mut monitor = Monitor::new(settings, Reference::Baseline(Arc::new(baseline)));
    // The first rows are of a value that the baseline has not recorded: room is kept for those it has.
    let mut late = Column::new("country");
    (0..100).for_each(|n| late.push(Cell::Text(&format!("new{n}"))));
    let mut first = Rows::new();
    first.push(late);
    take(&mut monitor, &first, None);
    take(&mut monitor, &rows(&mut random, 1000, nowhere), None);
    let report = close(&mut monitor, 0);
    assert_eq!(report.segments.len(), 3);
    let other = of(&report, "country=(other)");
    assert_eq!(
        (other.reference, other.verdict),
        (SegmentReference::None, Verdict::InsufficientData)
    );
    assert!(other.rows > 500, "{}", other.rows);
    assert_eq!(report.segments.iter().map(|segment| segment.rows).sum::<u64>(), 1100);
}

#[test]
fn windows_stay_within_the_room_there_is() {
    let mut random = fastrand::Rng::with_seed(8);
    let baseline = with_segments(&rows(&mut random, 2000, nowhere), &["country"]);
    let mut settings = settings(&["country"]);
    settings.segments.max_cells = 15;
    let mut monitor = Monitor::new(settings, Reference::Baseline(Arc::new(baseline)));
    let report = window(&mut monitor, &rows(&mut random, 400, nowhere));
    assert_eq!(report.segments.len(), 2, "seven features each");
}

#[test]
fn a_value_that_was_not_recorded_is_compared_with_its_own_first_rows() {
    let mut random = fastrand::Rng::with_seed(9);
    // Of Italy's mean the whole knows nothing: against it, Italy would drift for ever.
    let mean = |name: &str| if name == "IT" { 1.5 } else { 0.0 };
    let baseline = built(&rows(&mut random, 4000, mean));
    let mut monitor = monitor(&["country"], baseline);
    let report = window(&mut monitor, &rows(&mut random, 3000, mean));
    let italy = of(&report, "country=IT");
    assert_eq!(italy.reference, SegmentReference::Learning);
    assert_eq!(italy.verdict, Verdict::InsufficientData);
    for _ in 0..3 {
        window(&mut monitor, &rows(&mut random, 3000, mean));
    }
    let report = window(&mut monitor, &rows(&mut random, 3000, mean));
    assert!(report.segments.iter().all(|s| s.verdict == Verdict::Stable), "{:?}", report.segments);
    assert_eq!(of(&report, "country=IT").reference, SegmentReference::Learned);
    let report = window(&mut monitor, &rows(&mut random, 3000, nowhere));
    assert!(of(&report, "country=IT").is_drifting());
    assert_eq!(of(&report, "country=DE").verdict, Verdict::Stable);
}

/// Another process, which goes on from what the one before has saved.
fn restarted(monitor: &Monitor, keys: &[&str]) -> Monitor {
    let reference = || Reference::Baseline(Arc::clone(monitor.baseline().unwrap()));
    let bytes = monitor.take(Packer::default()).packed();
    let settings = settings(keys);
    let mut next =
        Monitor::restored(settings, reference(), &mut Unpacker::new(&bytes), None).unwrap();
    let mut packer = Packer::default();
    monitor.learned_segments().unwrap().pack(&mut packer);
    let bytes = packer.into_bytes();
    for cut in (0..bytes.len()).step_by(7) {
        let mut other = Monitor::new(super::tests::settings(keys), reference());
        assert!(other.restore_segments(&mut Unpacker::new(&bytes[..cut])).is_err(), "{cut}");
    }
    next.restore_segments(&mut Unpacker::new(&bytes)).unwrap();
    next
}

#[test]
fn what_a_segment_has_learnt_outlives_a_restart() {
    let mut random = fastrand::Rng::with_seed(14);
    let mean = |name: &str| if name == "IT" { 1.5 } else { 0.0 };
    let keys = ["country"];
    let mut monitor = monitor(&keys, built(&rows(&mut random, 4000, mean)));
    let italy = |monitor: &mut Monitor, rows: &Rows| {
        let report = window(monitor, rows);
        let italy = of(&report, "country=IT");
        (italy.reference, italy.verdict)
    };
    // Some 750 rows a window, of the thousand that it learns from.
    for window in 0..4 {
        let (reference, _) = italy(&mut monitor, &rows(&mut random, 3000, mean));
        let expected =
            if window < 2 { SegmentReference::Learning } else { SegmentReference::Learned };
        assert_eq!(reference, expected, "window {window}");
        monitor = restarted(&monitor, &keys);
    }
    let mut decayed = restarted(&monitor, &keys);
    for window in 0..3 {
        let told = italy(&mut decayed, &rows(&mut random, 3000, nowhere));
        assert_eq!(told, (SegmentReference::Learned, Verdict::Drifting), "window {window}");
    }
    let told = italy(&mut monitor, &rows(&mut random, 3000, mean));
    assert_eq!(told, (SegmentReference::Learned, Verdict::Stable));
}

#[test]
fn what_segments_learnt_on_another_baseline_or_of_other_features_is_not_gone_on_with() {
    let mut random = fastrand::Rng::with_seed(15);
    let first_rows = rows(&mut random, 4000, nowhere);
    let mut first = monitor(&["country"], built(&first_rows));
    window(&mut first, &rows(&mut random, 3000, nowhere));
    let mut packer = Packer::default();
    first.learned_segments().unwrap().pack(&mut packer);
    let bytes = packer.into_bytes();
    let mut other = monitor(&["country"], built(&rows(&mut random, 4000, nowhere)));
    let refused = other.restore_segments(&mut Unpacker::new(&bytes));
    assert!(matches!(refused, Err(StateError::Baseline { .. })));
    let mut fewer = settings(&["country"]);
    fewer.max_features = 3;
    let reference = || Reference::Baseline(Arc::clone(first.baseline().unwrap()));
    let mut fewer = Monitor::new(fewer, reference());
    window(&mut fewer, &rows(&mut random, 3000, nowhere));
    let mut packer = Packer::default();
    fewer.learned_segments().unwrap().pack(&mut packer);
    let mut more = Monitor::new(settings(&["country"]), reference());
    more.restore_segments(&mut Unpacker::new(&packer.into_bytes())).unwrap();
    assert!(more.learned_segments().is_none(), "all features are to be known");
}

#[test]
fn a_header_tells_segments_of_whole_exchanges() {
    let mut random = fastrand::Rng::with_seed(10);
    let mut monitor = monitor(&["header:x-tenant"], built(&rows(&mut random, 4000, nowhere)));
    take(&mut monitor, &rows(&mut random, 500, nowhere), Some("acme"));
    take(&mut monitor, &rows(&mut random, 500, |_| 1.0), Some("umbra"));
    take(&mut monitor, &rows(&mut random, 100, nowhere), None);
    let report = close(&mut monitor, 0);
    let told = |name: &str| {
        let segment = of(&report, &format!("header:x-tenant={name}"));
        (segment.rows, segment.verdict, segment.reference)
    };
    assert_eq!(told("acme"), (500, Verdict::Stable, SegmentReference::Whole));
    assert_eq!(told("umbra"), (500, Verdict::Drifting, SegmentReference::Whole));
    assert_eq!(told("(null)").0, 100);
}

#[test]
fn longer_windows_have_the_rows_of_the_short_ones() {
    let mut random = fastrand::Rng::with_seed(11);
    let baseline = with_segments(&rows(&mut random, 4000, nowhere), &["country"]);
    let mut monitor = monitor(&["country"], baseline);
    let short: u64 = (0..3)
        .map(|_| of(&window(&mut monitor, &rows(&mut random, 300, nowhere)), "country=DE").rows)
        .sum();
    let long = close(&mut monitor, 1);
    assert_eq!(of(&long, "country=DE").rows, short);
    let counted = |segment: &SegmentReport| segment.features.iter().all(|f| f.rows == segment.rows);
    assert!(long.segments.iter().all(counted));
    assert!(close(&mut monitor, 1).segments.is_empty());
}

/// Half a window each, too small a shift for one: what one monitor knows goes on in the next.
#[test]
fn windows_that_are_filled_side_by_side_are_judged_as_those_in_turn() {
    let mut random = fastrand::Rng::with_seed(12);
    let baseline = with_segments(&rows(&mut random, 6000, nowhere), &["country"]);
    let live: Vec<Rows> = (0..4).map(|_| rows(&mut random, 700, |_| 0.15)).collect();
    let mut one = monitor(&["country"], baseline.clone());
    let in_turn: Vec<_> = live.iter().map(|rows| window(&mut one, rows).segments).collect();
    let mut before: Option<Monitor> = None;
    for (rows, expected) in live.iter().zip(in_turn) {
        let mut next = monitor(&["country"], baseline.clone());
        take(&mut next, rows, None);
        if let Some(before) = &mut before {
            next.follow(before);
        }
        let mut found = close(&mut next, 0).segments;
        found.sort_by(|a, b| a.segment.cmp(&b.segment));
        let mut expected = expected;
        expected.sort_by(|a, b| a.segment.cmp(&b.segment));
        assert_eq!(found, expected);
        before = Some(next);
    }
}

#[test]
fn cells_name_values_and_rows_keep_their_own() {
    let mut registry = Registry::new(&["a".parse().unwrap()], 20);
    let mut column = Column::new("a");
    let cells =
        [Cell::Number(3.0), Cell::Bool(true), Cell::Null, Cell::Number(0.5), Cell::Number(-0.0)];
    for cell in cells {
        column.push(cell);
    }
    let mut inputs = Rows::new();
    inputs.push(column);
    let assigned = registry.assign(&inputs, |_| None);
    let name = |row: usize| {
        let id = assigned.of_row(row).next().unwrap();
        registry.names()[usize::from(id)].to_string()
    };
    let names: Vec<_> = (0..5).map(name).collect();
    assert_eq!(names, ["a=3", "a=true", "a=(null)", "a=(other)", "a=0"]);
    assert_eq!(assigned.of_row(5).next(), None);
    // Outputs that are not as many as the rows cannot be told apart.
    let mut given = Vec::new();
    let mut one = Column::new("y");
    one.push_number(1.0);
    let mut outputs = Rows::new();
    outputs.push(one);
    assigned
        .each(&inputs, &outputs, |_, inputs, outputs| given.push((inputs.len(), outputs.len())));
    assert_eq!(given, [(1, 0); 5]);
}

/// Tenants that take turns and differ: rows of the whole hang together by it, and those of one do not.
#[test]
fn what_tells_segments_apart_is_no_dependence_within_them() {
    let mut random = fastrand::Rng::with_seed(13);
    let mut monitor = monitor(&["header:x-tenant"], built(&rows(&mut random, 4000, nowhere)));
    for _ in 0..30 {
        take(&mut monitor, &rows(&mut random, 20, nowhere), Some("acme"));
        take(&mut monitor, &rows(&mut random, 20, |_| 1.5), Some("umbra"));
    }
    let report = close(&mut monitor, 0);
    assert!(of(&report, "header:x-tenant=umbra").is_drifting());
    assert_eq!(of(&report, "header:x-tenant=acme").verdict, Verdict::Stable);
    // The same rows in runs of twenty within a segment tell as much as one row of each run.
    let mut random = fastrand::Rng::with_seed(14);
    let mut runs = self::monitor(&["header:x-tenant"], built(&rows(&mut random, 4000, nowhere)));
    let mut alarms = 0;
    for _ in 0..20 {
        for _ in 0..30 {
            let level = normal(&mut random);
            take(&mut runs, &rows(&mut random, 20, |_| level), Some("acme"));
        }
        alarms += usize::from(of(&close(&mut runs, 0), "header:x-tenant=acme").is_drifting());
    }
    let mut alone = 0;
    for _ in 0..20 {
        let baseline = built(&rows(&mut random, 4000, nowhere));
        let mut fresh = self::monitor(&["header:x-tenant"], baseline);
        take(&mut fresh, &rows(&mut random, 600, |_| 0.5), Some("acme"));
        alone += usize::from(of(&close(&mut fresh, 0), "header:x-tenant=acme").is_drifting());
    }
    assert!(alarms < alone, "{alarms} of 20 quiet, {alone} of 20 that drift");
}

/// Half of the exchanges were kept at a tenth of the rate: they stand for ten times as many.
#[test]
fn rows_of_a_segment_weigh_what_they_stand_for() {
    let mut random = fastrand::Rng::with_seed(15);
    let mut monitor = monitor(&["header:x-tenant"], built(&rows(&mut random, 4000, nowhere)));
    let (kept, rare) = (rows(&mut random, 900, nowhere), rows(&mut random, 100, |_| 1.0));
    let none = Rows::new();
    let _ = monitor.segment((&kept, &none), 1.0, |_| Some("acme"));
    let _ = monitor.segment((&rare, &none), 0.1, |_| Some("acme"));
    let sampled = close(&mut monitor, 0);
    let _ = monitor.segment((&kept, &none), 1.0, |_| Some("acme"));
    let _ = monitor.segment((&rare, &none), 1.0, |_| Some("acme"));
    let counted = close(&mut monitor, 0);
    let furthest = |report: &WindowReport| {
        let features = &of(report, "header:x-tenant=acme").features;
        let feature = features.iter().find(|feature| &*feature.feature == "x0").unwrap();
        feature.p_value.unwrap()
    };
    assert!(furthest(&sampled) < furthest(&counted) / 100.0);
}
