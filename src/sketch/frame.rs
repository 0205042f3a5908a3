//! The envelope around stored sketches: what is inside is whole and what it says it is, or refused.
//!
//! `TFS1`, a byte for the kind, the length (u32), the content, XXH3 of all before (u64); numbers are
//! little-endian. Apache images have no checksum of their own, and a damaged one can be accepted.

use xxhash_rust::xxh3::xxh3_64;

const MAGIC: &[u8; 4] = b"TFS1";
const HEAD: usize = 9;
const TAIL: usize = 8;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Numeric = 1,
    Categorical = 2,
}

/// Why stored bytes are not the sketch that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("a stored sketch is shorter or longer than it says")]
    Length,
    #[error("a stored sketch is damaged: its checksum does not match")]
    Checksum,
    #[error("a stored sketch is of another kind or version")]
    Kind,
    #[error("a stored sketch was made on other edges or levels")]
    Edges,
    #[error("a stored sketch holds what no sketch can")]
    Content,
}

pub(super) fn seal(kind: Content, content: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEAD + content.len() + TAIL);
    frame.extend_from_slice(MAGIC);
    frame.push(kind as u8);
    // A sketch has some kilobytes.
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(content);
    let hash = xxh3_64(&frame);
    frame.extend_from_slice(&hash.to_le_bytes());
    frame
}

pub(super) fn open(kind: Content, frame: &[u8]) -> Result<&[u8], FrameError> {
    let (sealed, hash) = frame.split_last_chunk::<TAIL>().ok_or(FrameError::Length)?;
    let (head, content) = sealed.split_first_chunk::<HEAD>().ok_or(FrameError::Length)?;
    let [m0, m1, m2, m3, found, length @ ..] = *head;
    if [m0, m1, m2, m3] != *MAGIC || found != kind as u8 {
        return Err(FrameError::Kind);
    }
    if u32::from_le_bytes(length) as usize != content.len() {
        return Err(FrameError::Length);
    }
    if u64::from_le_bytes(*hash) != xxh3_64(sealed) {
        return Err(FrameError::Checksum);
    }
    Ok(content)
}
