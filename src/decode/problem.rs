//! Why a payload, or a part of it, did not become rows.

use std::fmt;

/// Which body of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    Request,
    Response,
}

impl Side {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
        }
    }
}

/// Why a payload gave no rows, or not all of itself. Counted; never an error of the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Problem {
    /// No body where one was due.
    Empty,
    /// The body was longer than what is kept, or it ends before what it holds does.
    Truncated,
    InvalidJson,
    InvalidProtobuf,
    NotUtf8,
    /// A content-encoding that is not undone here.
    Encoded,
    /// The body is not what its content-encoding or its charset says.
    InvalidEncoding,
    /// Undone, a content-encoding gives more than is read, or more than any honest one.
    Inflated,
    /// Raw bytes, such as those of tensors behind their JSON.
    Binary,
    UnknownContentType,
    /// A form of several parts without one that is JSON or CSV.
    NoRowsInForm,
    /// JSON in which no dialect's rows were found.
    Unrecognised,
    /// A dialect's own field holds something else than it should.
    WrongShape,
    /// The configured pointer leads nowhere.
    PointerUnmatched,
    TooDeep,
    TooManyColumns,
    TooManyRows,
    TooManyCells,
}

impl Problem {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Truncated => "truncated",
            Self::InvalidJson => "invalid_json",
            Self::InvalidProtobuf => "invalid_protobuf",
            Self::NotUtf8 => "not_utf8",
            Self::Encoded => "encoded",
            Self::InvalidEncoding => "invalid_encoding",
            Self::Inflated => "inflated",
            Self::Binary => "binary",
            Self::UnknownContentType => "unknown_content_type",
            Self::NoRowsInForm => "no_rows_in_form",
            Self::Unrecognised => "unrecognised",
            Self::WrongShape => "wrong_shape",
            Self::PointerUnmatched => "pointer_unmatched",
            Self::TooDeep => "too_deep",
            Self::TooManyColumns => "too_many_columns",
            Self::TooManyRows => "too_many_rows",
            Self::TooManyCells => "too_many_cells",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What one payload may grow to, whatever it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Levels of nesting.
    pub max_depth: usize,
    pub max_columns: usize,
    pub max_rows: usize,
    /// Rows times columns, nulls that fill gaps included.
    pub max_cells: usize,
    /// Bytes of a body whose content-encoding was undone.
    pub max_plain_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_depth: 64,
            max_columns: 4096,
            max_rows: 1 << 20,
            max_cells: 1 << 22,
            max_plain_bytes: 2 << 20,
        }
    }
}
