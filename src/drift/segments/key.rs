//! What rows are told apart by, as it is written: `country`, `header:x-tenant`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// What rows are told apart by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SegmentKey {
    /// The values of an input: a text, a boolean, or a whole number.
    Feature(Arc<str>),
    /// The value of a request header, in lower case.
    Header(Arc<str>),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SegmentKeyError {
    #[error("is empty; write the name of an input, or header:NAME")]
    Empty,
    #[error("names no header; write header:NAME, such as header:x-tenant")]
    Header,
}

const HEADER: &str = "header:";

impl FromStr for SegmentKey {
    type Err = SegmentKeyError;

    fn from_str(text: &str) -> Result<Self, SegmentKeyError> {
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        match text.strip_prefix(HEADER) {
            Some(name) if name.is_empty() || !name.bytes().all(is_token) => {
                Err(SegmentKeyError::Header)
            }
            Some(name) => Ok(Self::Header(name.to_ascii_lowercase().into())),
            None if text.is_empty() => Err(SegmentKeyError::Empty),
            None => Ok(Self::Feature(text.into())),
        }
    }
}

impl fmt::Display for SegmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Feature(name) => f.write_str(name),
            Self::Header(name) => write!(f, "{HEADER}{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_shown() {
        for text in ["country", "header:x-tenant", "a=b"] {
            assert_eq!(text.parse::<SegmentKey>().unwrap().to_string(), text);
        }
        assert_eq!("header:X-Tenant".parse(), Ok(SegmentKey::Header("x-tenant".into())));
        assert_eq!("".parse::<SegmentKey>(), Err(SegmentKeyError::Empty));
        for text in ["header:", "header:x tenant", "header:ä"] {
            assert_eq!(text.parse::<SegmentKey>(), Err(SegmentKeyError::Header), "{text}");
        }
    }
}
