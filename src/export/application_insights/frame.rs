//! A chunk as bytes of a segment file: a head of fixed size, then its lines, compressed.
//!
//! The head says how many items there are, so that what is lost can be counted; a checksum covers head
//! and lines. One byte stands outside it: the state, which is overwritten when the chunk is settled.

use super::chunk::Chunk;
use crate::export::counters::{Loss, Signal};
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use xxhash_rust::xxh3::Xxh3;

/// Magic 4, state 1, signal 1, reserved 2, items 4, length 4, created 8 in milliseconds, checksum 8;
/// numbers are little-endian.
const HEAD: usize = 32;
const MAGIC: [u8; 4] = *b"TFQ1";
pub(super) const STATE_AT: u64 = 4;
const CHECKSUM_AT: usize = HEAD - 8;
/// No chunk has more lines than this, decompressed: what says so is damaged.
const MAX_LINES_BYTES: u64 = 4 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum State {
    Waiting = 0,
    Settled = 1,
}

/// A head that was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) state: State,
    pub(super) signal: Signal,
    pub(super) items: u32,
    pub(super) created: SystemTime,
    lines_length: u32,
    checksum: u64,
}

pub(super) fn encode(chunk: &Chunk) -> Vec<u8> {
    let mut frame = vec![0; HEAD];
    // Level 1: telemetry shrinks tenfold by it, and by little more with the others.
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    // Writing to a Vec cannot fail.
    let _ = encoder.write_all(&chunk.lines);
    let lines = encoder.finish().unwrap_or_default();
    frame[..4].copy_from_slice(&MAGIC);
    frame[4] = State::Waiting as u8;
    frame[5] = chunk.signal as u8;
    frame[8..12].copy_from_slice(&chunk.items.to_le_bytes());
    frame[12..16].copy_from_slice(&u32::try_from(lines.len()).unwrap_or(u32::MAX).to_le_bytes());
    let created = chunk.created.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let created = u64::try_from(created).unwrap_or(u64::MAX);
    frame[16..24].copy_from_slice(&created.to_le_bytes());
    let checksum = checksum(&frame[..HEAD], &lines);
    frame[CHECKSUM_AT..HEAD].copy_from_slice(&checksum.to_le_bytes());
    frame.extend_from_slice(&lines);
    frame
}

fn checksum(head: &[u8], lines: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&head[5..CHECKSUM_AT]);
    hash.update(lines);
    hash.digest()
}

impl Frame {
    /// The frame at `offset` of a segment that is `end` bytes long; `None` if no whole one is there.
    pub(super) fn read(file: &File, offset: u64, end: u64) -> io::Result<Option<Self>> {
        match Self::head(file, offset, end)? {
            Some(frame) if offset + frame.length() <= end => Ok(Some(frame)),
            _ => Ok(None),
        }
    }

    fn head(file: &File, offset: u64, end: u64) -> io::Result<Option<Self>> {
        if offset + HEAD as u64 > end {
            return Ok(None);
        }
        let mut head = [0; HEAD];
        file.read_exact_at(&mut head, offset)?;
        Ok(Self::parse(&head))
    }

    fn parse(head: &[u8; HEAD]) -> Option<Self> {
        let number = |at: usize| {
            let mut bytes = [0; 4];
            bytes.copy_from_slice(&head[at..at + 4]);
            u32::from_le_bytes(bytes)
        };
        let long = |at: usize| u64::from(number(at)) | u64::from(number(at + 4)) << 32;
        let state = match head[4] {
            0 => State::Waiting,
            1 => State::Settled,
            _ => return None,
        };
        let signal = *Signal::ALL.get(usize::from(head[5]))?;
        let created = UNIX_EPOCH.checked_add(Duration::from_millis(long(16)))?;
        (head[..4] == MAGIC).then_some(Self {
            state,
            signal,
            items: number(8),
            created,
            lines_length: number(12),
            checksum: long(CHECKSUM_AT),
        })
    }

    /// Head and lines, in bytes.
    pub(super) fn length(&self) -> u64 {
        HEAD as u64 + u64::from(self.lines_length)
    }

    /// The chunk itself, if it is what was written.
    pub(super) fn chunk(&self, file: &File, offset: u64) -> Result<Chunk, Loss> {
        let damaged = |_| Loss::Damaged;
        let length = usize::try_from(self.length()).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, offset).map_err(damaged)?;
        let (head, packed) = bytes.split_at(HEAD);
        if checksum(head, packed) != self.checksum {
            return Err(Loss::Damaged);
        }
        let mut lines = Vec::new();
        ZlibDecoder::new(packed).take(MAX_LINES_BYTES).read_to_end(&mut lines).map_err(damaged)?;
        let (signal, items, created) = (self.signal, self.items, self.created);
        Ok(Chunk { signal, items, created, lines: lines.into() })
    }
}

/// What a segment holds that an earlier process left.
#[derive(Debug)]
pub(super) struct Found {
    /// Up to the end of the last whole frame.
    pub(super) bytes: u64,
    pub(super) waiting: [u64; Signal::ALL.len()],
    pub(super) damaged_items: u64,
    pub(super) damaged_signal: Signal,
}

/// Reads the heads alone. A tail that is no frame is counted by what its head says, or as one item.
pub(super) fn scan(file: &File) -> io::Result<Found> {
    let end = file.metadata()?.len();
    let mut found =
        Found { bytes: 0, waiting: [0; 3], damaged_items: 0, damaged_signal: Signal::Traces };
    while found.bytes < end {
        let Some(frame) = Frame::read(file, found.bytes, end)? else {
            let cut_short = Frame::head(file, found.bytes, end)?;
            found.damaged_items = cut_short.map_or(1, |frame| u64::from(frame.items));
            found.damaged_signal = cut_short.map_or(Signal::Traces, |frame| frame.signal);
            break;
        };
        if frame.state == State::Waiting {
            found.waiting[frame.signal as usize] += u64::from(frame.items);
        }
        found.bytes += frame.length();
    }
    Ok(found)
}
