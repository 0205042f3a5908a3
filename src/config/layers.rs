//! Flags over `TAFFRAIL_*` over the file over `OTEL_*` and `AZURE_*` over defaults: who said what about each key.
//!
//! Texts enter, still unchecked; one value a key leaves, with its origin. Names that no key has are
//! refused here; variables are only warned of, since an orchestrator injects some of its own.

use super::azure;
use super::keys::{self, Form, KEYS, Key, Reload};
use super::later;
use super::otel;
use super::problem::{Origin, Problem};
use super::tree::{self, Content, Node};
use crate::limits::Limits;
use std::path::{Path, PathBuf};

/// Names the file, where no flag does.
pub const CONFIG_VARIABLE: &str = "TAFFRAIL_CONFIG";

/// Where a configuration may come from. Nothing is read from the process itself.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    pub file: Option<PathBuf>,
    /// Name of the key and its value as typed.
    pub flags: Vec<(&'static str, String)>,
    pub variables: Vec<(String, String)>,
    /// What the machine allows; bounds that nobody gives are fitted to it.
    pub limits: Limits,
}

/// What was said about a key, in the shape it was said.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    List(Vec<String>),
    Map(Vec<(String, String)>),
}

impl Value {
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::List(items) => items.join(","),
            Self::Map(pairs) => {
                let pairs: Vec<_> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
                pairs.join(",")
            }
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub key: &'static Key,
    pub value: Value,
    pub origin: Origin,
}

/// All that was said, and what was wrong in the saying.
#[derive(Debug, Default)]
pub(super) struct Layers {
    settings: Vec<Setting>,
    pub problems: Vec<Problem>,
    pub warnings: Vec<Problem>,
    /// Not of keys.
    pub platform: azure::Platform,
}

impl Layers {
    pub(super) fn gather(sources: &Sources) -> Self {
        let mut layers = Self::default();
        otel::gather(&sources.variables, &mut layers);
        azure::gather(&sources.variables, &mut layers);
        if let Some(path) = &sources.file {
            layers.read_file(path);
        }
        for (name, value) in &sources.variables {
            layers.variable(name, value);
        }
        for (name, value) in &sources.flags {
            if let Some(key) = keys::find(name) {
                layers.typed(key, value, Origin::Flag(key.short.map_or(key.flag(), Into::into)));
            }
        }
        layers
    }

    /// The same, but for the keys that need a restart: of those, what `start` has.
    pub(super) fn without_restart(&self, start: &Self) -> Self {
        let of = |layers: &Self, reload| {
            let settings = layers.settings.iter();
            settings.filter(|setting| setting.key.reload() == reload).cloned().collect()
        };
        let kept: Vec<_> = of(start, Reload::Restart);
        let settings = [of(self, Reload::Live), kept].concat();
        Self {
            settings,
            platform: self.platform.clone(),
            problems: self.problems.clone(),
            warnings: self.warnings.clone(),
        }
    }

    /// Whether the file could not be read at all.
    pub(super) fn is_file_lost(&self) -> bool {
        let lost = |problem: &Problem| {
            problem.key.is_empty() && matches!(problem.origin, Origin::File { .. })
        };
        self.problems.iter().any(lost)
    }

    /// What wins for that key; `None` if only a default is left.
    pub(super) fn winner(&self, name: &str) -> Option<&Setting> {
        self.weakest_first(name).pop()
    }

    pub(super) fn weakest_first(&self, name: &str) -> Vec<&Setting> {
        let mut said: Vec<_> =
            self.settings.iter().filter(|setting| setting.key.name == name).collect();
        said.sort_by_key(|setting| setting.origin.rank());
        said
    }

    /// Takes a value as a person types it in one line.
    pub(super) fn typed(&mut self, key: &'static Key, text: &str, origin: Origin) {
        match from_line(key.form, text) {
            Ok(value) => self.settings.push(Setting { key, value, origin }),
            Err(message) => self.problem(origin, key.name, message),
        }
    }

    pub(super) fn put(&mut self, key: &'static Key, value: Value, origin: Origin) {
        self.settings.push(Setting { key, value, origin });
    }

    pub(super) fn warn(&mut self, origin: Origin, message: impl Into<String>) {
        self.warnings.push(Problem { origin, key: String::new(), message: message.into() });
    }

    pub(super) fn problem(
        &mut self,
        origin: Origin,
        key: impl Into<String>,
        message: impl Into<String>,
    ) {
        self.problems.push(Problem { origin, key: key.into(), message: message.into() });
    }

    fn variable(&mut self, name: &str, value: &str) {
        // Manifests often set a variable to nothing for "not given".
        let is_ours = name.starts_with("TAFFRAIL_") && !value.trim().is_empty();
        if !is_ours || name == CONFIG_VARIABLE || is_injected(name) {
            return;
        }
        let named =
            |key: &&Key| key.variable() == name || key.short_variable().as_deref() == Some(name);
        let origin = Origin::Variable(name.to_owned());
        match KEYS.iter().find(named) {
            Some(key) => self.typed(key, value, origin),
            None => self.warn(origin, "no key has this variable; it is ignored"),
        }
    }

    fn read_file(&mut self, path: &Path) {
        let at = |line| Origin::File { path: path.to_owned(), line };
        let source = match std::fs::read_to_string(path) {
            Ok(source) => source,
            Err(error) => return self.problem(at(None), "", format!("cannot be read: {error}")),
        };
        match tree::parse(&source) {
            Ok(root) => self.level("", &root, path),
            Err(fault) => {
                self.problem(at(fault.line), "", format!("is not YAML: {}", fault.message));
            }
        }
    }

    /// One level of the file, whose keys stand under `group`.
    fn level(&mut self, group: &str, node: &Node, path: &Path) {
        let at = |line| Origin::File { path: path.to_owned(), line: Some(line) };
        let entries = match &node.content {
            Content::Map(entries) => entries,
            Content::Null => return,
            Content::Text(_) | Content::List(_) => {
                let names = keys::names_under(group).join(", ");
                let message = format!("is a group of keys, not a value; it may have {names}");
                return self.problem(at(node.line), group, message);
            }
        };
        for entry in entries {
            let name = match group {
                "" => entry.key.clone(),
                group => format!("{group}.{}", entry.key),
            };
            let is_map = matches!(entry.value.content, Content::Map(_));
            match keys::find(&name) {
                Some(key) if !(is_map && keys::is_group(&name)) => {
                    self.leaf(key, &entry.value, at(entry.line));
                }
                _ if keys::is_group(&name) => self.level(&name, &entry.value, path),
                _ => {
                    let message = later::refusal(&name).unwrap_or_else(|| unknown(group, entry));
                    self.problem(at(entry.line), name, message);
                }
            }
        }
    }

    fn leaf(&mut self, key: &'static Key, node: &Node, origin: Origin) {
        match (&node.content, key.form) {
            (Content::Text(text), _) => self.typed(key, text, origin),
            (Content::List(_), Form::List) | (Content::Map(_), Form::Map | Form::SecretMap) => {
                match structured(node) {
                    Some(value) => self.put(key, value, origin),
                    None => self.problem(origin, key.name, shape(key.form)),
                }
            }
            (Content::Null, _) => {
                self.problem(origin, key.name, "has no value; give one or remove the key");
            }
            _ => self.problem(origin, key.name, shape(key.form)),
        }
    }
}

fn shape(form: Form) -> &'static str {
    match form {
        Form::List => "must be a list of plain values: [a, b]",
        Form::Map | Form::SecretMap => "must be a map of plain values: { name: value }",
        _ => "must be one plain value",
    }
}

fn unknown(group: &str, entry: &tree::Entry) -> String {
    let names = keys::names_under(group);
    let nearest = names
        .iter()
        .map(|name| (strsim::jaro(name, &entry.key), name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((_, name)) if group.is_empty() => format!("no such key; did you mean {name}?"),
        Some((_, name)) => format!("no such key; did you mean {group}.{name}?"),
        None => format!("no such key; there are {}", names.join(", ")),
    }
}

/// Kubernetes injects `<SERVICE>_SERVICE_HOST`, `<SERVICE>_PORT_9000_TCP` and the like.
fn is_injected(name: &str) -> bool {
    name.contains("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT")
        || name.contains("_PORT_")
}

/// A value typed in one line: lists and maps by commas, or in YAML's own brackets.
pub(super) fn from_line(form: Form, text: &str) -> Result<Value, &'static str> {
    let text = text.trim();
    let parts = || text.split(',').map(str::trim).filter(|part| !part.is_empty());
    match form {
        Form::List if text.starts_with('[') => in_brackets(text, form),
        Form::List => Ok(Value::List(parts().map(str::to_owned).collect())),
        Form::Map | Form::SecretMap if text.starts_with('{') => in_brackets(text, form),
        Form::Map | Form::SecretMap => {
            let pair = |part: &str| {
                let (name, value) = part.split_once('=')?;
                Some((name.trim().to_owned(), value.trim().to_owned()))
            };
            let pairs: Option<Vec<_>> = parts().map(pair).collect();
            pairs.map(Value::Map).ok_or("must be pairs: name=value,name=value")
        }
        _ => Ok(Value::Text(text.to_owned())),
    }
}

fn in_brackets(text: &str, form: Form) -> Result<Value, &'static str> {
    tree::parse(text).ok().as_ref().and_then(structured).ok_or(shape(form))
}

/// A list or map of plain values.
fn structured(node: &Node) -> Option<Value> {
    let plain = |node: &Node| match &node.content {
        Content::Text(text) => Some(text.clone()),
        _ => None,
    };
    match &node.content {
        Content::List(items) => items.iter().map(plain).collect::<Option<_>>().map(Value::List),
        Content::Map(entries) => {
            let pair = |entry: &tree::Entry| Some((entry.key.clone(), plain(&entry.value)?));
            entries.iter().map(pair).collect::<Option<_>>().map(Value::Map)
        }
        _ => None,
    }
}
