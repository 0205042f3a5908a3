use super::*;
use tempfile::TempDir;

fn store() -> (TempDir, Arc<Counters>, Store) {
    let directory = tempfile::tempdir().unwrap();
    let counters = Arc::new(Counters::listing([ExporterName::ApplicationInsights]));
    let room = Room { directory: directory.path().join("buffer"), limit_bytes: 1 << 20 };
    let store = Store::new(room, Arc::clone(&counters));
    (directory, counters, store)
}

fn chunk(name: &str) -> Chunk {
    let lines = format!("{{\"{name}\":1}}\n");
    Chunk { signal: Signal::Traces, items: 1, created: SystemTime::now(), lines: lines.into() }
}

fn name(work: Option<&Work>) -> String {
    let text = work.map(|work| String::from_utf8(work.chunk().lines.to_vec()).unwrap());
    text.unwrap_or_default()
        .trim_end()
        .trim_matches(['{', '}'])
        .replace("\":1", "")
        .replace('"', "")
}

fn queued(counters: &Counters) -> u64 {
    counters.of(ExporterName::ApplicationInsights, Signal::Traces).queued.load(Relaxed)
}

/// Two on disk, two in memory.
async fn filled() -> (TempDir, Arc<Counters>, Store) {
    let (directory, counters, store) = store();
    store.set_away(true).await;
    store.put(chunk("old")).await;
    store.put(chunk("newer")).await;
    store.set_away(false).await;
    store.put(chunk("live")).await;
    store.put(chunk("last")).await;
    (directory, counters, store)
}

#[tokio::test]
async fn live_goes_first_and_what_is_stored_oldest_first_in_its_turns() {
    let (_directory, counters, store) = filled().await;
    let mut seen = Vec::new();
    for turn in
        [Turn::LiveFirst, Turn::StoredFirst, Turn::LiveOnly, Turn::LiveOnly, Turn::LiveFirst]
    {
        let work = store.next(turn).await;
        seen.push(name(work.as_ref()));
        if let Some(work) = work {
            store.settle(work).await;
        }
    }
    assert_eq!(seen, ["live", "old", "last", "", "newer"]);
    assert!(store.next(Turn::LiveFirst).await.is_none());
    assert_eq!(queued(&counters), 4, "whoever settles counts what became of it");
}

#[tokio::test]
async fn a_chunk_that_could_not_be_sent_goes_to_disk_with_all_that_waits() {
    let (_directory, counters, store) = filled().await;
    let live = store.next(Turn::LiveFirst).await.unwrap();
    let before = counters.buffer().unwrap().bytes.load(Relaxed);
    store.give_back(live).await;
    assert!(counters.buffer().unwrap().bytes.load(Relaxed) > before);
    assert!(store.next(Turn::LiveOnly).await.is_none());
    assert_eq!(name(store.next(Turn::StoredFirst).await.as_ref()), "old");
}

#[tokio::test(start_paused = true)]
async fn behind_a_slow_request_chunks_go_to_disk() {
    let (_directory, counters, store) = store();
    store.put(chunk("first")).await;
    let sending = store.next(Turn::LiveFirst).await.unwrap();
    store.put(chunk("second")).await;
    assert_eq!(counters.buffer().unwrap().bytes.load(Relaxed), 0, "it may yet be quick");
    tokio::time::advance(SLOW * 2).await;
    store.put(chunk("third")).await;
    assert!(counters.buffer().unwrap().bytes.load(Relaxed) > 0);
    assert!(store.next(Turn::LiveOnly).await.is_none());
    store.settle(sending).await;
    assert_eq!(name(store.next(Turn::LiveFirst).await.as_ref()), "second");
}

#[tokio::test(start_paused = true)]
async fn without_a_disk_memory_is_bounded_and_the_oldest_go() {
    let (directory, counters, store) = store();
    std::fs::write(directory.path().join("buffer"), "").unwrap();
    store.set_away(true).await;
    let large = |name: char| Chunk {
        lines: format!("{}\n", name.to_string().repeat(MEMORY_BYTES / 4)).into(),
        ..chunk("")
    };
    for letter in 'a'..='f' {
        store.put(large(letter)).await;
    }
    let counts = counters.of(ExporterName::ApplicationInsights, Signal::Traces);
    assert_eq!((counts.lost(Loss::BufferFull), queued(&counters)), (3, 3));
    assert!(counters.buffer().unwrap().is_failing.load(Relaxed));

    std::fs::remove_file(directory.path().join("buffer")).unwrap();
    tokio::time::advance(DISK_PAUSE).await;
    store.put(large('g')).await;
    assert!(!counters.buffer().unwrap().is_failing.load(Relaxed), "the disk is tried again");
    assert!(store.next(Turn::LiveOnly).await.is_none());
    let oldest = store.next(Turn::StoredFirst).await.unwrap();
    assert_eq!(oldest.chunk().lines[0], b'd');
}

#[tokio::test]
async fn at_the_end_what_was_under_way_is_kept_too() {
    let (_directory, counters, store) = filled().await;
    let _under_way = store.next(Turn::LiveFirst).await.unwrap();
    assert_eq!(store.close().await, 0);
    assert_eq!(queued(&counters), 4);
}
