//! The door of the fuzz targets; see `tests/fuzz`. Nothing else is built with it.

use super::json::Reader;
use serde::Deserialize;
use std::marker::PhantomData;

/// `text` by the reader of payloads; `None` if it refuses it.
pub fn json<'de, T: Deserialize<'de>>(text: &'de str, max_depth: usize) -> Option<T> {
    Reader::new(text, max_depth, &mut String::new()).read(PhantomData::<T>).ok()
}
