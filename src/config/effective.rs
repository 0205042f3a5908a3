//! Every key as it counts, for the admin page and for `taffrail check`.

use super::keys::{Form, KEYS, Key};
use super::layers::{Layers, Value};
use super::problem::Origin;
use serde::Serialize;
use xxhash_rust::xxh3::Xxh3;

/// One key, its value as it would be typed, and who gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Effective {
    pub key: &'static str,
    /// Empty where nothing was given and there is no default.
    pub value: String,
    /// `default`, `--flag`, the name of a variable, or `file:line`.
    pub source: String,
    /// Of all that the key stands for: hidden values, and the content of a file that it names.
    #[serde(skip)]
    pub(super) digest: u64,
}

pub(super) fn listing(layers: &Layers) -> Vec<Effective> {
    let entry = |key: &'static Key| {
        let (value, origin) = match layers.winner(key.name) {
            Some(setting) => (shown(key, &setting.value), &setting.origin),
            None => (key.default.to_owned(), &Origin::Default),
        };
        Effective { key: key.name, value, source: origin.to_string(), digest: digest(key, layers) }
    };
    KEYS.iter().map(entry).collect()
}

fn digest(key: &Key, layers: &Layers) -> u64 {
    let mut all = Xxh3::new();
    let mut add = |bytes: &[u8]| {
        all.update(&bytes.len().to_le_bytes());
        all.update(bytes);
    };
    match (key.form, layers.winner(key.name)) {
        (_, None) => add(key.default.as_bytes()),
        (Form::Map | Form::SecretMap, _) => {
            let pairs = layers.weakest_first(key.name);
            for setting in pairs {
                add(setting.value.shown().as_bytes());
            }
        }
        (_, Some(setting)) if key.is_of_content() => {
            let path = setting.value.shown();
            add(path.as_bytes());
            add(&std::fs::read(path).unwrap_or_default());
        }
        (_, Some(setting)) => add(setting.value.shown().as_bytes()),
    }
    all.digest()
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
