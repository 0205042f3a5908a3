//! The thread that follows `labels.files`: once a second it hands on what they have that is new.
//!
//! A thread of its own, since it waits for disks; it looks at the configuration in force each time.

use super::{StartError, spawn};
use crate::config::Config;
use crate::label_files::LabelFiles;
use crate::labels::Source;
use crate::pipeline::Hub;
use arc_swap::ArcSwap;
use jiff::Timestamp;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Labelling {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Labelling {
    pub(super) fn start(config: Arc<ArcSwap<Config>>, hub: Arc<Hub>) -> Result<Self, StartError> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let thread = spawn("labels", move || follow(&config, &hub, &stopping))?;
        Ok(Self { stop, thread })
    }

    /// A poll under way comes to its end.
    pub(super) fn stop(self) -> JoinHandle<()> {
        self.stop.store(true, Release);
        self.thread.thread().unpark();
        self.thread
    }
}

fn follow(config: &ArcSwap<Config>, hub: &Hub, stop: &AtomicBool) {
    let mut files: Option<LabelFiles> = None;
    while !stop.load(Acquire) {
        let config = config.load_full();
        let patterns = &config.labels.files;
        if !patterns.is_empty() {
            let files = files.get_or_insert_with(|| LabelFiles::open(places(&config)));
            files.poll(patterns, SystemTime::now(), &mut |path, parsed| {
                let place = path.to_string_lossy();
                hub.watch().take_labels(Source::File, &place, parsed, Timestamp::now());
            });
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
}

fn places(config: &Config) -> PathBuf {
    config.data_dir.join("label-files.json")
}
