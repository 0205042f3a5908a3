use super::*;
use proptest::prelude::*;
use std::fs::OpenOptions;
use tempfile::TempDir;

struct Fixture {
    directory: TempDir,
    counters: Arc<Counters>,
}

impl Fixture {
    fn new() -> Self {
        let counters = Counters::listing([ExporterName::ApplicationInsights]);
        Self { directory: tempfile::tempdir().unwrap(), counters: Arc::new(counters) }
    }

    fn open(&self, limit_bytes: u64) -> Spool {
        Spool::open(self.directory.path(), limit_bytes, Arc::clone(&self.counters)).unwrap()
    }

    fn append(&self, spool: &mut Spool, chunk: &Chunk) {
        self.counts(chunk.signal).queued.fetch_add(u64::from(chunk.items), Relaxed);
        spool.append(chunk).unwrap();
    }

    fn counts(&self, signal: Signal) -> &crate::export::SignalCounters {
        self.counters.of(ExporterName::ApplicationInsights, signal)
    }

    fn lost(&self, loss: Loss) -> u64 {
        Signal::ALL.iter().map(|signal| self.counts(*signal).lost(loss)).sum()
    }

    fn queued(&self) -> u64 {
        Signal::ALL.iter().map(|signal| self.counts(*signal).queued.load(Relaxed)).sum()
    }

    fn segments(&self) -> Vec<PathBuf> {
        let numbers = numbers(self.directory.path()).unwrap();
        numbers.into_iter().map(|number| self.directory.path().join(name(number))).collect()
    }
}

/// Incompressible lines, so that sizes are what they seem.
fn chunk(seed: u64, items: u32, line_bytes: usize) -> Chunk {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut lines = Vec::new();
    for _ in 0..items {
        lines.extend((0..line_bytes).map(|_| random.alphanumeric() as u8));
        lines.push(b'\n');
    }
    let signal = Signal::ALL[(seed % 3) as usize];
    let created = SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_000 + seed);
    Chunk { signal, items, created, lines: lines.into() }
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(2000)
}

fn drain(spool: &mut Spool) -> Vec<Chunk> {
    let mut drained = Vec::new();
    while let Some((chunk, place)) = spool.lend(now()).unwrap() {
        spool.settle(place).unwrap();
        drained.push(chunk);
    }
    drained
}

const LIMIT: u64 = 1 << 20;

#[test]
fn chunks_come_out_as_they_went_in_and_leave_nothing() {
    let fixture = Fixture::new();
    let mut spool = fixture.open(LIMIT);
    let chunks: Vec<_> = (0..300).map(|seed| chunk(seed, 3, 200)).collect();
    chunks.iter().for_each(|chunk| fixture.append(&mut spool, chunk));
    assert_eq!(spool.waiting(), 900);
    assert!(fixture.segments().len() > 1);
    assert_eq!(drain(&mut spool), chunks);
    assert_eq!((spool.bytes(), spool.waiting(), fixture.segments().len()), (0, 0, 0));
}

#[test]
fn what_was_not_settled_is_there_after_a_restart_and_what_was_is_not() {
    let fixture = Fixture::new();
    let mut spool = fixture.open(LIMIT);
    let chunks: Vec<_> = (0..9).map(|seed| chunk(seed, 2, 50)).collect();
    chunks.iter().for_each(|chunk| fixture.append(&mut spool, chunk));
    for _ in 0..4 {
        let (_, place) = spool.lend(now()).unwrap().unwrap();
        spool.settle(place).unwrap();
    }
    let lent = spool.lend(now()).unwrap().unwrap();
    assert_eq!((lent.0, spool.waiting()), (chunks[4].clone(), 8));
    drop(spool);

    let after = Fixture { directory: fixture.directory, counters: Fixture::new().counters };
    let mut spool = after.open(LIMIT);
    assert_eq!((after.queued(), spool.waiting()), (10, 10));
    assert_eq!(drain(&mut spool), chunks[4..]);
    assert_eq!(after.lost(Loss::Damaged), 0);
}

#[test]
fn a_chunk_that_is_given_back_is_lent_again_before_any_other() {
    let fixture = Fixture::new();
    let mut spool = fixture.open(LIMIT);
    fixture.append(&mut spool, &chunk(1, 2, 50));
    fixture.append(&mut spool, &chunk(2, 2, 50));
    let (lent, place) = spool.lend(now()).unwrap().unwrap();
    spool.give_back(&lent, place);
    assert_eq!(spool.waiting(), 4);
    assert_eq!(drain(&mut spool), [chunk(1, 2, 50), chunk(2, 2, 50)]);
}

#[test]
fn over_the_bound_the_oldest_go_and_are_counted() {
    let fixture = Fixture::new();
    let mut spool = fixture.open(64 * 1024);
    let chunks: Vec<_> = (0..200).map(|seed| chunk(seed, 2, 500)).collect();
    for chunk in &chunks {
        fixture.append(&mut spool, chunk);
        let on_disk: u64 =
            fixture.segments().iter().map(|path| path.metadata().unwrap().len()).sum();
        assert!(spool.bytes() <= 64 * 1024 && on_disk == spool.bytes());
    }
    let kept = drain(&mut spool);
    assert!(kept.len() > 30, "{}", kept.len());
    assert_eq!(kept, chunks[chunks.len() - kept.len()..]);
    assert_eq!(fixture.lost(Loss::BufferFull) + kept.len() as u64 * 2, 400);
}

#[test]
fn a_lent_chunk_whose_segment_had_to_go_is_lost_once() {
    for sent in [true, false] {
        let fixture = Fixture::new();
        let mut spool = fixture.open(16 * 1024);
        fixture.append(&mut spool, &chunk(0, 2, 500));
        let (lent, place) = spool.lend(now()).unwrap().unwrap();
        (1..60).for_each(|seed| fixture.append(&mut spool, &chunk(seed, 2, 500)));
        let before = fixture.lost(Loss::BufferFull);
        if sent {
            spool.settle(place).unwrap();
        } else {
            spool.give_back(&lent, place);
        }
        let lost = fixture.lost(Loss::BufferFull);
        assert_eq!(lost - before, if sent { 0 } else { 2 });
        let kept = drain(&mut spool).len() as u64 * 2;
        assert_eq!(kept + lost + if sent { 2 } else { 0 }, 120);
    }
}

#[test]
fn what_is_too_old_for_the_endpoint_is_counted_and_not_lent() {
    let fixture = Fixture::new();
    let mut spool = fixture.open(LIMIT);
    let young = Chunk { created: now() + MAX_AGE, ..chunk(3, 5, 50) };
    fixture.append(&mut spool, &chunk(1, 2, 50));
    fixture.append(&mut spool, &young);
    let later = now() + MAX_AGE;
    assert_eq!(spool.lend(later).unwrap().unwrap().0, young);
    assert_eq!((fixture.lost(Loss::Expired), fixture.queued()), (2, 5));
}

#[test]
fn a_frame_that_is_not_what_was_written_is_counted_and_the_next_is_lent() {
    let fixture = Fixture::new();
    let mut spool = fixture.open(LIMIT);
    fixture.append(&mut spool, &chunk(1, 2, 50));
    fixture.append(&mut spool, &chunk(2, 3, 50));
    let file = OpenOptions::new().write(true).open(&fixture.segments()[0]).unwrap();
    file.write_all_at(b"!", 60).unwrap();
    assert_eq!(drain(&mut spool), [chunk(2, 3, 50)]);
    assert_eq!((fixture.lost(Loss::Damaged), fixture.queued()), (2, 3));
}

#[test]
fn files_that_somebody_removed_are_counted() {
    let fixture = Fixture::new();
    let mut spool = fixture.open(LIMIT);
    fixture.append(&mut spool, &chunk(1, 2, 50));
    std::fs::remove_dir_all(fixture.directory.path()).unwrap();
    assert!(spool.lend(now()).unwrap().is_none());
    assert_eq!((fixture.lost(Loss::Damaged), fixture.queued()), (2, 0));
    fixture.append(&mut spool, &chunk(2, 3, 50));
    assert_eq!(drain(&mut spool), [chunk(2, 3, 50)]);
}

#[test]
fn a_second_process_does_not_get_the_same_directory() {
    let fixture = Fixture::new();
    let _first = fixture.open(LIMIT);
    let second = Spool::open(fixture.directory.path(), LIMIT, Arc::clone(&fixture.counters));
    assert!(second.err().unwrap().to_string().contains("another process's"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// As a process does that is killed in the middle of a write.
    #[test]
    fn wherever_a_file_is_cut_short_all_before_is_kept_and_the_rest_counted(cut in 0u64..1000) {
        let fixture = Fixture::new();
        let mut spool = fixture.open(LIMIT);
        let chunks: Vec<_> = (0..4).map(|seed| chunk(seed, 7, 30)).collect();
        let mut ends = Vec::new();
        for chunk in &chunks {
            fixture.append(&mut spool, chunk);
            ends.push(spool.bytes());
        }
        let length = spool.bytes().saturating_sub(cut);
        drop(spool);
        let file = OpenOptions::new().write(true).open(&fixture.segments()[0]).unwrap();
        file.set_len(length).unwrap();

        let after = Fixture { directory: fixture.directory, counters: Fixture::new().counters };
        let whole = ends.iter().filter(|end| **end <= length).count();
        let begun = length > ends[..whole].last().copied().unwrap_or(0);
        let mut spool = after.open(LIMIT);
        prop_assert_eq!(after.queued(), 7 * whole as u64);
        prop_assert_eq!(&drain(&mut spool)[..], &chunks[..whole]);
        let damaged = after.lost(Loss::Damaged);
        prop_assert!(if begun { damaged == 7 || damaged == 1 } else { damaged == 0 }, "{}", damaged);
    }

    #[test]
    fn bytes_of_any_kind_are_no_reason_to_fail(junk in proptest::collection::vec(any::<u8>(), 0..200)) {
        let fixture = Fixture::new();
        std::fs::write(fixture.directory.path().join(name(3)), &junk).unwrap();
        let mut spool = fixture.open(LIMIT);
        fixture.append(&mut spool, &chunk(2, 3, 50));
        let drained = drain(&mut spool);
        prop_assert_eq!(drained.last(), Some(&chunk(2, 3, 50)));
    }
}
