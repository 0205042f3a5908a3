use super::super::{Part, Reader, catalogue, verify};
use super::*;
use crate::capture::{
    BodyEnd, CapturedBody, Exchange, Fault, Message as Side, RequestId, RouteId, Timing, Trace,
};
use crate::decode::{Cell, Column, Rows};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use std::fs;
use std::path::Path;
use std::time::SystemTime;

const LONG: Duration = Duration::from_secs(3600);

fn body(text: &'static str, max_bytes: usize) -> CapturedBody {
    let mut body = CapturedBody::default();
    body.push(&Bytes::from_static(text.as_bytes()), max_bytes);
    body
}

fn rows(name: &str, cells: &[Cell<'_>]) -> Rows {
    let mut column = Column::new(name);
    for cell in cells {
        column.push(*cell);
    }
    let mut rows = Rows::new();
    rows.push(column);
    rows
}

fn headers() -> Vec<(HeaderName, HeaderValue)> {
    [("x-tenant", "a"), ("x-tag", "1"), ("x-tag", "2")]
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .to_vec()
}

/// An exchange with every field filled if `n` is even, and with all that may be absent absent if odd.
fn entry(n: u64) -> Entry {
    let full = n.is_multiple_of(2);
    let json = || Some(HeaderValue::from_static("application/json"));
    let message = |body| Side {
        content_type: full.then(json).flatten(),
        content_encoding: full.then(|| HeaderValue::from_static("gzip")),
        json_len: None,
        headers: if full { headers() } else { Vec::new() },
        body,
    };
    let trace = Trace {
        trace_id: [0xab; 16],
        parent_span_id: None,
        server_span_id: [1; 8],
        client_span_id: [2; 8],
        sampled: true,
    };
    let mut response = body(r#"{"predictions":[1]}"#, if full { 1024 } else { 0 });
    response.end = if full { BodyEnd::Complete } else { BodyEnd::Cancelled };
    let exchange = Exchange {
        id: RequestId::new(HeaderValue::from_str(&format!("id-{n:06}")).unwrap()),
        started_at: SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_000_000 + n),
        timing: Timing {
            total: Duration::from_nanos(1_234_567 + n),
            upstream: full.then_some(Duration::from_nanos(1_000_001)),
            first_byte: full.then_some(Duration::from_micros(900)),
        },
        route: RouteId::OTHER,
        method: Method::POST,
        target: "/invocations?x=1".parse().unwrap(),
        status: full.then_some(StatusCode::OK),
        fault: (!full).then_some(Fault::ClientGone),
        trace: full.then_some(trace),
        sample_rate: 0.25,
        request: message(body(r#"{"inputs":[[1.5,"Oslo"]]}"#, 10)),
        response: message(response),
    };
    let cells = [Cell::Number(1.5), Cell::Text("Oslo"), Cell::Null, Cell::Bool(true)];
    Entry {
        exchange: Box::new(exchange),
        route: "/invocations".into(),
        model_name: "weather".into(),
        model_version: "3".into(),
        dialect: full.then_some("mlflow"),
        inputs: if full { rows("temp", &cells) } else { Rows::new() },
        outputs: if full { rows("p", &[Cell::Number(n as f64)]) } else { Rows::new() },
        counted_at: full.then_some(jiff::Timestamp::UNIX_EPOCH),
    }
}

fn settings(directory: &Path) -> Settings {
    Settings { rotate_interval: LONG, ..Settings::new(directory) }
}

struct Started {
    log: Log,
    counters: Arc<Counters>,
    now: Instant,
}

impl Started {
    fn new(settings: Settings) -> Self {
        let (counters, now) = (Arc::new(Counters::default()), Instant::now());
        Self { log: Log::open(settings, Arc::clone(&counters), now), counters, now }
    }

    fn push(&mut self, numbers: std::ops::Range<u64>) {
        for n in numbers {
            self.counters.offered.fetch_add(1, Relaxed);
            self.log.push(Record::from(&entry(n)), self.now);
        }
    }

    fn after(&mut self, pause: Duration) {
        self.now += pause;
        self.log.tick(self.now);
    }

    fn close(self) -> State {
        self.log.close(self.now);
        self.counters.state()
    }
}

fn ids(location: &Path) -> Vec<String> {
    let records = Reader::open(location).unwrap().records(Part::Everything);
    records.map(|record| record.unwrap().id).collect()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn what_was_written_is_what_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let writer = Writer::open(settings(directory.path())).unwrap();
    (0..100).for_each(|n| writer.offer(Arc::new(entry(n))));
    writer.close();
    let state = writer.state();
    assert_eq!((state.exchanges, state.lost_exchanges, state.open_exchanges), (100, 0, 0));
    let reader = Reader::open(directory.path()).unwrap();
    let read: Vec<Record> = reader.records(Part::Everything).map(Result::unwrap).collect();
    let written: Vec<Record> = (0..100).map(|n| Record::from(&entry(n))).collect();
    assert_eq!(read, written);
}

#[test]
fn decoded_rows_come_back_as_rows() {
    let directory = tempfile::tempdir().unwrap();
    let mut started = Started::new(settings(directory.path()));
    started.push(0..4);
    started.close();
    let decoded: Vec<_> =
        Reader::open(directory.path()).unwrap().rows().map(Result::unwrap).collect();
    // Every other exchange has no rows.
    assert_eq!(decoded.len(), 2);
    assert_eq!(decoded[1].inputs, entry(2).inputs);
    assert_eq!(decoded[1].outputs, entry(2).outputs);
    assert_eq!(decoded[1].started_at.as_microsecond(), 1_700_000_000_000_002);
}

#[test]
fn an_exchange_is_found_by_its_id_and_without_its_bodies_if_asked() {
    let directory = tempfile::tempdir().unwrap();
    let mut started = Started::new(settings(directory.path()));
    started.push(0..10);
    started.close();
    let reader = Reader::open(directory.path()).unwrap();
    let found: Vec<_> = reader.find("id-000004", Part::WithoutBodies).map(Result::unwrap).collect();
    let mut expected = Record::from(&entry(4));
    expected.request.body = None;
    expected.response.body = None;
    assert_eq!(found, [expected]);
    assert_eq!(reader.find("id-4", Part::Everything).count(), 0);
}

#[test]
fn a_data_directory_stands_for_the_archive_in_it() {
    let data_dir = tempfile::tempdir().unwrap();
    let mut started = Started::new(settings(&data_dir.path().join("archive")));
    started.push(0..3);
    started.close();
    assert_eq!(ids(data_dir.path()).len(), 3);
    let file = Reader::open(data_dir.path()).unwrap().files()[0].path.clone();
    assert_eq!(ids(&file).len(), 3);
}

#[test]
fn a_file_is_unseen_until_it_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings { row_group_bytes: 1, ..settings(directory.path()) };
    let mut started = Started::new(settings);
    started.push(0..3);
    assert_eq!(ids(directory.path()), Vec::<String>::new());
    assert!(names(directory.path())[0].ends_with(".parquet.inprogress"));
    assert_eq!(started.counters.state().open_exchanges, 3);
    started.close();
    assert_eq!(ids(directory.path()).len(), 3);
}

#[test]
fn a_file_is_closed_at_its_age() {
    let directory = tempfile::tempdir().unwrap();
    let minute = Duration::from_mins(1);
    let settings = Settings { rotate_interval: minute, ..settings(directory.path()) };
    let mut started = Started::new(settings);
    assert_eq!(started.log.deadline(), None);
    started.push(0..2);
    started.after(Duration::from_secs(59));
    assert_eq!(started.counters.state().exchanges, 0);
    started.after(Duration::from_secs(1));
    assert_eq!(started.counters.state().exchanges, 2);
    started.push(2..3);
    assert_eq!(started.close().files, 2);
    assert_eq!(ids(directory.path()), ["id-000000", "id-000001", "id-000002"]);
}

#[test]
fn files_are_closed_at_their_size_and_the_oldest_deleted_over_the_bound() {
    let directory = tempfile::tempdir().unwrap();
    let max_bytes = 200_000;
    let settings = Settings {
        max_bytes,
        rotate_bytes: 20_000,
        row_group_bytes: 10_000,
        ..settings(directory.path())
    };
    let mut started = Started::new(settings);
    for n in (0..2000).step_by(20) {
        started.push(n..n + 20);
        let held: u64 = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum();
        assert!(held <= max_bytes, "{held}");
    }
    let state = started.close();
    assert!(state.expired_files > 0 && state.files > 1, "{state:?}");
    assert!(state.bytes <= max_bytes);
    assert_eq!((state.exchanges, state.lost_exchanges), (2000, 0));
    let ids = ids(directory.path());
    assert_eq!(ids.last().map(String::as_str), Some("id-001999"));
    assert!(ids.is_sorted() && ids.len() < 2000);
}

/// Files stay as small as the bounds of their time say, and the oldest go once there is too much.
#[test]
fn other_bounds_hold_for_files_that_are_there_and_that_come() {
    let directory = tempfile::tempdir().unwrap();
    let settings =
        Settings { rotate_interval: LONG, max_bytes: 1 << 30, ..settings(directory.path()) };
    let writer = Writer::open(settings).unwrap();
    let until = |holds: &dyn Fn(&State) -> bool| {
        let since = Instant::now();
        while !holds(&writer.state()) {
            assert!(since.elapsed() < Duration::from_secs(20), "{:?}", writer.state());
            std::thread::yield_now();
        }
    };
    (0..10).for_each(|n| writer.offer(Arc::new(entry(n))));
    assert_eq!(writer.state().files, 0);
    let rotate_interval = Duration::from_millis(1);
    let bounds = Bounds { max_bytes: 1 << 30, rotate_bytes: 1 << 20, rotate_interval };
    writer.keep_within(bounds);
    until(&|state| state.exchanges == 10 && state.files == 1);
    writer.keep_within(Bounds { max_bytes: 1, ..bounds });
    until(&|state| state.expired_files == 1 && state.files == 0);
    writer.close();
    assert_eq!((writer.state().exchanges, writer.state().lost_exchanges), (10, 0));
}

#[test]
fn what_a_killed_writer_left_is_removed_and_what_a_live_one_holds_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let killed =
        directory.path().join("exchanges-20260101T000000.000000Z-000001-a.parquet.inprogress");
    fs::write(&killed, b"PAR1 and no footer").unwrap();
    let one_row_groups = Settings { row_group_bytes: 1, ..settings(directory.path()) };
    let mut live = Started::new(one_row_groups.clone());
    assert_eq!(live.counters.state().abandoned_files, 1);
    assert!(!killed.exists());
    live.push(0..1);
    let other = Started::new(one_row_groups);
    assert_eq!(other.close().abandoned_files, 0);
    assert_eq!(live.close().exchanges, 1);
}

#[test]
fn a_directory_that_is_a_file_costs_what_does_not_fit_and_heals() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("archive");
    fs::write(&directory, b"in the way").unwrap();
    let record_bytes = Record::from(&entry(0)).held_bytes();
    let settings = Settings { row_group_bytes: record_bytes * 3, ..settings(&directory) };
    let mut started = Started::new(settings);
    started.push(0..10);
    let state = started.counters.state();
    assert!(state.last_error.unwrap().contains("archive"));
    assert!(state.lost_exchanges > 0 && state.exchanges == 0);
    fs::remove_file(&directory).unwrap();
    started.after(Duration::from_secs(60));
    started.push(10..20);
    let state = started.close();
    assert_eq!(state.last_error, None);
    assert_eq!(state.exchanges + state.lost_exchanges, 20);
    assert_eq!(ids(&directory).len() as u64, state.exchanges);
    assert_eq!(ids(&directory).last().map(String::as_str), Some("id-000019"));
}

#[test]
fn a_directory_that_vanishes_costs_the_open_file_and_comes_back() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("archive");
    let mut started = Started::new(Settings { row_group_bytes: 1, ..settings(&directory) });
    started.push(0..2);
    fs::remove_dir_all(&directory).unwrap();
    started.push(2..5);
    let state = started.close();
    assert_eq!((state.lost_exchanges, state.exchanges), (2, 3));
    assert_eq!(ids(&directory), ["id-000002", "id-000003", "id-000004"]);
}

#[test]
fn a_directory_that_vanishes_before_the_close_costs_the_file_and_says_so() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("archive");
    let mut started = Started::new(Settings { row_group_bytes: 1, ..settings(&directory) });
    started.push(0..2);
    fs::remove_dir_all(&directory).unwrap();
    let state = started.close();
    assert_eq!((state.lost_exchanges, state.open_exchanges), (2, 0));
    assert!(state.last_error.unwrap().contains("renaming"));
}

#[test]
fn a_disk_that_never_works_costs_every_exchange_and_nothing_else() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("archive");
    fs::write(&directory, b"in the way").unwrap();
    let writer = Writer::open(settings(&directory)).unwrap();
    (0..10).for_each(|n| writer.offer(Arc::new(entry(n))));
    writer.close();
    let state = writer.state();
    assert_eq!((state.lost_exchanges, state.open_exchanges), (10, 0));
    assert!(state.last_error.is_some());
}

#[test]
fn an_entry_over_the_queue_bound_or_after_the_close_is_counted_as_lost() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings { queue_bytes: 1, ..settings(directory.path()) };
    let writer = Writer::open(settings).unwrap();
    writer.offer(Arc::new(entry(0)));
    assert_eq!(writer.state().lost_exchanges, 1);
    writer.close();
    writer.offer(Arc::new(entry(1)));
    assert_eq!((writer.state().lost_exchanges, writer.state().exchanges), (2, 0));
}

#[test]
fn verify_passes_what_was_written_and_names_what_was_changed() {
    let directory = tempfile::tempdir().unwrap();
    let mut started = Started::new(settings(directory.path()));
    started.push(0..50);
    started.close();
    let file = catalogue::files(directory.path()).unwrap().remove(0);
    let checked = verify(&file).unwrap();
    assert_eq!((checked.exchanges, checked.decoded), (50, 25));
    let whole = fs::read(&file.path).unwrap();
    for position in [4, 100, whole.len() / 3] {
        let mut changed = whole.clone();
        changed[position] ^= 1;
        fs::write(&file.path, changed).unwrap();
        let error = verify(&file).unwrap_err();
        assert!(matches!(error, ArchiveError::Checksum { .. }), "{error}");
    }
    fs::write(&file.path, &whole[..whole.len() - 10]).unwrap();
    assert!(matches!(verify(&file).unwrap_err(), ArchiveError::Parquet { .. }));
}

#[test]
fn a_file_that_cannot_be_read_costs_no_other() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("exchanges-2020-broken.parquet"), b"PAR1junkPAR1").unwrap();
    let mut started = Started::new(settings(directory.path()));
    started.push(0..2);
    started.close();
    let records: Vec<_> =
        Reader::open(directory.path()).unwrap().records(Part::Everything).collect();
    assert_eq!(records.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true, true]);
}

#[test]
fn a_file_of_the_first_schema_stays_readable() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/archive");
    let file = catalogue::files(&directory).unwrap().remove(0);
    assert_eq!(verify(&file).unwrap().exchanges, 40);
    let first = Reader::open(&directory).unwrap().rows().next().unwrap().unwrap();
    assert_eq!((first.inputs.columns().len(), first.outputs.columns().len()), (5, 2));
}

#[test]
fn no_damage_of_a_file_stops_more_than_its_own_reading() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/archive");
    let whole = fs::read(&catalogue::files(&fixtures).unwrap().remove(0).path).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("damaged.parquet");
    // The footer, which no checksum covers.
    for at in (whole.len() * 3 / 5..whole.len()).step_by(13) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        fs::write(&path, damaged).unwrap();
        let reader = Reader::open(&path).unwrap();
        let (read, _) = (reader.records(Part::Everything).count(), reader.summaries().count());
        assert!(read <= 41, "byte {at}");
        drop(verify(&reader.files()[0]));
    }
}

#[test]
fn a_file_without_ids_holds_no_exchanges() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/offline");
    let reader = Reader::open(&fixtures.join("gzip.parquet")).unwrap();
    let read: Vec<_> = reader.records(Part::Everything).collect();
    assert_eq!(read.iter().map(Result::is_err).collect::<Vec<_>>(), [true]);
}
