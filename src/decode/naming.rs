//! Names for columns that the payload leaves without: by position.

use super::problem::Side;
use std::sync::Arc;

/// What positional columns are called: the payload's own names, else those given by a signature or
/// by the configuration if they are as many as the columns, else `f0…` or `prediction_0…`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Naming<'a> {
    pub(super) side: Side,
    /// The names a payload lists apart from its rows.
    pub(super) listed: &'a [String],
    pub(super) given: &'a [Arc<str>],
}

impl Naming<'_> {
    /// The name of the one column of rows that are bare values.
    pub(super) fn write_row(&self, name: &mut String) {
        match (self.listed, self.given, self.side) {
            ([only], _, _) => name.push_str(only),
            (_, [only], _) => name.push_str(only),
            (_, _, Side::Request) => name.push_str("f0"),
            (_, _, Side::Response) => name.push_str("prediction"),
        }
    }

    pub(super) fn write_position(&self, index: usize, width: usize, name: &mut String) {
        if let Some(listed) = self.listed.get(index) {
            name.push_str(listed);
        } else if let Some(given) = self.given.get(index).filter(|_| self.given.len() == width) {
            name.push_str(given);
        } else {
            name.push_str(match self.side {
                Side::Request => "f",
                Side::Response => "prediction_",
            });
            name.push_str(&index.to_string());
        }
    }
}
