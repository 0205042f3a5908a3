//! Keys that the documentation promises for later versions: refused by name, never taken in silence.

use super::keys;

const KEYS: &[(&str, &str)] = &[
    ("redact", "redaction of payloads"),
    ("features.segments", "segments"),
    ("archive.flush_interval", "the spool that flushes by time"),
    ("archive.retention", "retention by age; archive.max_bytes bounds the record by size"),
    ("admin.tls", "TLS on the admin address"),
];

/// What to say of `name` if a later version has it, or has keys under it.
pub(super) fn refusal(name: &str) -> Option<String> {
    let (_, what) = KEYS.iter().find(|(later, _)| *later == name || keys::is_under(name, later))?;
    Some(format!("this version does not have {what}; remove the key"))
}
