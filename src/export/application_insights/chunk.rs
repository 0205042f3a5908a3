//! Lines that are sent, kept and settled together.

use super::envelope::{Cutter, Item, Speaker};
use crate::export::counters::{Counters, ExporterName, Loss, Signal, SignalCounters};
use bytes::Bytes;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

/// A request carries no more than this, before it is compressed. The largest item is an eighth of it.
const CHUNK_BYTES: usize = 512 * 1024;

/// Lines of one signal: a line an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) signal: Signal,
    pub(super) items: u32,
    /// The endpoint refuses what is too old.
    pub(super) created: SystemTime,
    pub(super) lines: Bytes,
}

impl Chunk {
    pub(super) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.split_inclusive(|byte| *byte == b'\n')
    }

    /// Those lines alone; `None` if there are none.
    pub(super) fn only(&self, mut wanted: impl FnMut(usize) -> bool) -> Option<Self> {
        let (mut lines, mut items) = (Vec::new(), 0);
        for (_, line) in self.lines().enumerate().filter(|(index, _)| wanted(*index)) {
            lines.extend_from_slice(line);
            items += 1;
        }
        let chunk = Self { items, lines: lines.into(), ..self.clone() };
        (items > 0).then_some(chunk)
    }
}

/// Writes items into chunks, and counts what does not fit.
pub(super) struct Press {
    pub(super) speaker: Speaker,
    pub(super) counters: Arc<Counters>,
}

/// Chunks in the making, of one signal.
pub(super) struct Pressing<'a> {
    press: &'a Press,
    signal: Signal,
    chunks: Vec<Chunk>,
    lines: Vec<u8>,
    items: u32,
}

impl Press {
    pub(super) fn counts(&self, signal: Signal) -> &SignalCounters {
        self.counters.of(ExporterName::ApplicationInsights, signal)
    }

    pub(super) fn begin(&self, signal: Signal) -> Pressing<'_> {
        Pressing { press: self, signal, chunks: Vec::new(), lines: Vec::new(), items: 0 }
    }
}

impl<'a> Pressing<'a> {
    /// Adds what `say` says. It is said again, under tighter limits, if it is too large.
    pub(super) fn push<D: Serialize>(&mut self, say: impl Fn(&mut Cutter) -> Item<'a, D>) {
        let counts = self.press.counts(self.signal);
        let Some((line, cuts)) = self.press.speaker.line(say) else {
            counts.lose(Loss::Unfit, 1);
            return;
        };
        counts.cut.fetch_add(cuts, Relaxed);
        if self.lines.len() + line.len() > CHUNK_BYTES {
            self.close();
        }
        self.lines.extend_from_slice(&line);
        self.items += 1;
    }

    fn close(&mut self) {
        let lines = std::mem::take(&mut self.lines).into();
        let items = std::mem::take(&mut self.items);
        let chunk = Chunk { signal: self.signal, items, created: SystemTime::now(), lines };
        self.chunks.extend((items > 0).then_some(chunk));
    }

    pub(super) fn finish(mut self) -> Vec<Chunk> {
        self.close();
        self.chunks
    }
}
