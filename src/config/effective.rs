//! Every key as it counts, for the admin page and for `taffrail check`.

use super::keys::{Form, KEYS, Key};
use super::layers::{Layers, Value};
use super::problem::Origin;
use serde::Serialize;

/// One key, its value as it would be typed, and who gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Effective {
    pub key: &'static str,
    /// Empty where nothing was given and there is no default.
    pub value: String,
    /// `default`, `--flag`, the name of a variable, or `file:line`.
    pub source: String,
}

pub(super) fn listing(layers: &Layers) -> Vec<Effective> {
    let entry = |key: &'static Key| {
        let (value, origin) = match layers.winner(key.name) {
            Some(setting) => (shown(key, &setting.value), &setting.origin),
            None => (key.default.to_owned(), &Origin::Default),
        };
        Effective { key: key.name, value, source: origin.to_string() }
    };
    KEYS.iter().map(entry).collect()
}

fn shown(key: &Key, value: &Value) -> String {
    match (key.form, value) {
        (Form::SecretMap, Value::Map(pairs)) => {
            let hidden: Vec<_> = pairs.iter().map(|(name, _)| format!("{name}=***")).collect();
            hidden.join(",")
        }
        (Form::SecretMap | Form::Secret, _) => "***".to_owned(),
        (_, value) => value.shown(),
    }
}
