//! `--segments`, of tables and of recorded traffic.

use super::input::BadInput;
use crate::drift::SegmentKey;

/// Each once. Headers are the sidecar's: neither a table nor recorded rows have them.
pub(super) fn known(keys: &[SegmentKey]) -> Result<Vec<SegmentKey>, BadInput> {
    let mut known: Vec<SegmentKey> = Vec::new();
    for key in keys {
        if matches!(key, SegmentKey::Header(_)) {
            return Err(BadInput::text(format!(
                "--segments: {key} is known to the sidecar alone, which sees headers; name an input"
            )));
        }
        if !known.contains(key) {
            known.push(key.clone());
        }
    }
    Ok(known)
}
