//! From when until when a certificate is good, read from its DER (RFC 5280 section 4.1).
//!
//! TLS checks the peer's dates and says nothing of our own; a parser of all of X.509 is a heavy
//! dependency for two of its fields.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

/// What is wrong with the date of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untimely {
    /// Since then.
    Expired(Timestamp),
    /// Until then.
    NotYet(Timestamp),
}

impl std::fmt::Display for Untimely {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Expired(since) => write!(f, "expired at {since}; peers will refuse it"),
            Self::NotYet(until) => write!(f, "is not good before {until}; peers will refuse it"),
        }
    }
}

const SEQUENCE: u8 = 0x30;
/// `[0]`, which only version 2 and 3 begin with.
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

impl Validity {
    /// `None` where `certificate` is not the DER of one.
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let mut certificate = Der(Der(certificate).take(SEQUENCE)?);
        let mut signed = Der(certificate.take(SEQUENCE)?);
        let (first, _) = signed.next()?;
        let before_validity = if first == VERSION { 3 } else { 2 };
        for _ in 0..before_validity {
            signed.next()?;
        }
        let mut dates = Der(signed.take(SEQUENCE)?);
        Some(Self { not_before: timestamp(dates.next()?)?, not_after: timestamp(dates.next()?)? })
    }

    /// `None` at a time when the certificate is good.
    pub fn untimely(&self, now: Timestamp) -> Option<Untimely> {
        if now > self.not_after {
            Some(Untimely::Expired(self.not_after))
        } else if now < self.not_before {
            Some(Untimely::NotYet(self.not_before))
        } else {
            None
        }
    }
}

fn timestamp((tag, content): (u8, &[u8])) -> Option<Timestamp> {
    let text = std::str::from_utf8(content).ok()?;
    let text = match tag {
        // Two digits of the year: from 50 they are of the last century.
        UTC_TIME if text.get(..2)? < "50" => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let date = DateTime::strptime("%Y%m%d%H%M%SZ", text).ok()?;
    // The end of 9999 stands for "never", and is more than a timestamp holds.
    Some(date.to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |zoned| zoned.timestamp()))
}

/// The elements that follow one another in a piece of DER.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The content of the next element, if it has that tag.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }
}
