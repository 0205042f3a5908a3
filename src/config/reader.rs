//! Reads one key at a time as a typed value, and keeps every problem instead of stopping at the first.

use super::keys::{self, Form};
use super::layers::{Layers, Value, from_line};
use super::problem::{Origin, Problem};
use super::quantity;
use http::Uri;
use std::borrow::Cow;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// A problem was recorded wherever a method returns `None`.
pub(super) struct Reader<'a> {
    pub layers: &'a Layers,
    pub problems: Vec<Problem>,
    /// What serves all the same.
    pub warnings: Vec<Problem>,
}

impl Reader<'_> {
    /// Who gave the value that counts.
    pub(super) fn origin(&self, name: &str) -> Origin {
        self.layers.winner(name).map_or(Origin::Default, |setting| setting.origin.clone())
    }

    pub(super) fn is_given(&self, name: &str) -> bool {
        self.layers.winner(name).is_some()
    }

    pub(super) fn problem(&mut self, name: &str, message: impl Into<String>) {
        let origin = self.origin(name);
        self.problems.push(Problem { origin, key: name.to_owned(), message: message.into() });
    }

    pub(super) fn warn(&mut self, name: &str, message: impl Into<String>) {
        let origin = self.origin(name);
        self.warnings.push(Problem { origin, key: name.to_owned(), message: message.into() });
    }

    fn value(&self, name: &str) -> Value {
        if let Some(setting) = self.layers.winner(name) {
            return setting.value.clone();
        }
        let (form, default) =
            keys::find(name).map_or((Form::Text, ""), |key| (key.form, key.default));
        from_line(form, default).unwrap_or_else(|_| Value::Text(default.to_owned()))
    }

    /// The text of a key that has a default.
    pub(super) fn text(&self, name: &str) -> String {
        self.value(name).shown()
    }

    /// `None` where the key has neither a value nor a default; not a problem.
    pub(super) fn given_text(&self, name: &str) -> Option<String> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    pub(super) fn list(&self, name: &str) -> Vec<String> {
        match self.value(name) {
            Value::List(items) => items,
            Value::Text(text) => vec![text],
            Value::Map(_) => Vec::new(),
        }
    }

    /// The pairs of all layers: a name given twice has its strongest value.
    pub(super) fn pairs(&self, name: &str) -> Vec<(String, String)> {
        let mut merged: Vec<(String, String)> = Vec::new();
        for setting in self.layers.weakest_first(name) {
            let Value::Map(pairs) = &setting.value else { continue };
            for (name, value) in pairs {
                merged.retain(|(known, _)| known != name);
                merged.push((name.clone(), value.clone()));
            }
        }
        merged
    }

    /// Reads by `parse`, whose refusal continues the sentence that begins with the value.
    pub(super) fn read<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(name);
        match parse(&text) {
            Ok(value) => Some(value),
            Err(why) => {
                self.problem(name, format!("{:?} {why}", without_credentials(&text)));
                None
            }
        }
    }

    pub(super) fn address(&mut self, name: &str) -> Option<SocketAddr> {
        self.read(name, |text| {
            let why = "is not an address; write IP:PORT, for instance 127.0.0.1:9464";
            text.parse().map_err(|_| why.to_owned())
        })
    }

    pub(super) fn duration(&mut self, name: &str) -> Option<Duration> {
        self.read(name, |text| positive(quantity::parse_duration(text)?))
    }

    /// A duration that may be 0.
    pub(super) fn duration_or_zero(&mut self, name: &str) -> Option<Duration> {
        self.read(name, quantity::parse_duration)
    }

    /// The outer `None` is a problem, the inner one is `none`.
    #[expect(clippy::option_option, reason = "the two mean different things, see above")]
    pub(super) fn duration_or_none(&mut self, name: &str) -> Option<Option<Duration>> {
        self.read(name, |text| match text {
            "none" => Ok(None),
            text => {
                let parsed = quantity::parse_duration(text).and_then(positive);
                parsed.map(Some).map_err(|why| format!("{why}, or none"))
            }
        })
    }

    /// A size that a `usize` or `u64` holds and that is at least `least`.
    pub(super) fn size<T: TryFrom<u64>>(&mut self, name: &str, least: u64) -> Option<T> {
        self.read(name, |text| {
            let bytes = quantity::parse_size(text)?;
            if bytes < least {
                return Err(format!("is too small; give at least {least} bytes"));
            }
            T::try_from(bytes).map_err(|_| "is too large for this machine".to_owned())
        })
    }

    pub(super) fn count<T: TryFrom<u64>>(&mut self, name: &str, least: u64) -> Option<T> {
        let is_auto = keys::find(name).is_some_and(|key| key.form == Form::AutoCount);
        self.read(name, |text| {
            let or_auto = if is_auto { ", or auto" } else { "" };
            let why = format!("is not a whole number of at least {least}{or_auto}");
            let count = text.parse().ok().filter(|count| *count >= least);
            count.and_then(|count| T::try_from(count).ok()).ok_or(why)
        })
    }

    /// The outer `None` is a problem, the inner one is `auto`.
    #[expect(clippy::option_option, reason = "the two mean different things, see above")]
    pub(super) fn or_auto<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        if self.text(name) == "auto" { Some(None) } else { read(self).map(Some) }
    }

    #[expect(clippy::option_option, reason = "as above")]
    pub(super) fn non_zero_or_auto(&mut self, name: &str) -> Option<Option<NonZeroUsize>> {
        self.or_auto(name, |reader| reader.count::<usize>(name, 1)?.try_into().ok())
    }

    pub(super) fn number(
        &mut self,
        name: &str,
        allowed: &str,
        is_allowed: impl FnOnce(f64) -> bool,
    ) -> Option<f64> {
        self.read(name, |text| {
            let number = text.parse().ok().filter(|number| is_allowed(*number));
            number.ok_or_else(|| format!("is not a number {allowed}"))
        })
    }

    pub(super) fn switch(&mut self, name: &str) -> Option<bool> {
        self.read(name, |text| match text {
            "on" | "true" | "yes" => Ok(true),
            "off" | "false" | "no" => Ok(false),
            _ => Err("is neither on nor off".to_owned()),
        })
    }

    pub(super) fn one_of<T: Copy>(&mut self, name: &str, allowed: &[(&str, T)]) -> Option<T> {
        self.read(name, |text| {
            let found = allowed.iter().find(|(word, _)| *word == text);
            let words = || allowed.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
            found.map(|(_, value)| *value).ok_or_else(|| format!("is none of {}", words()))
        })
    }

    /// A file that must be there and be readable.
    #[expect(clippy::option_option, reason = "the outer one is a problem, the inner one no file")]
    pub(super) fn file(&mut self, name: &str) -> Option<Option<PathBuf>> {
        let Some(path) = self.given_text(name).map(PathBuf::from) else { return Some(None) };
        match std::fs::File::open(&path).and_then(|file| file.metadata()) {
            Ok(metadata) if metadata.is_file() => Some(Some(path)),
            Ok(_) => {
                self.problem(name, format!("{:?} is not a file", path.display().to_string()));
                None
            }
            Err(error) => {
                let path = path.display().to_string();
                self.problem(name, format!("{path:?} cannot be read: {error}"));
                None
            }
        }
    }

    /// An `http://` or `https://host[:port][/path]` URL.
    pub(super) fn url_or_tls(&mut self, name: &str) -> Option<Uri> {
        self.read(name, http_url)
    }
}

/// What a problem shows of a URL: it is logged and exported.
fn without_credentials(text: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = text.split_once("://") else { return Cow::Borrowed(text) };
    match rest.rsplit_once('@') {
        Some((_, rest)) => Cow::Owned(format!("{scheme}://***@{rest}")),
        None => Cow::Borrowed(text),
    }
}

fn positive(duration: Duration) -> Result<Duration, String> {
    match duration {
        Duration::ZERO => Err("is too short; give more than 0".to_owned()),
        duration => Ok(duration),
    }
}

fn http_url(text: &str) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|error| format!("is not a URL: {error}"))?;
    match uri.scheme_str() {
        Some("http" | "https") => {}
        Some(_) => return Err("has an unknown scheme; write http://host:port".to_owned()),
        None => return Err("has no scheme; write http://host:port".to_owned()),
    }
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    if authority.contains('@') {
        return Err("has credentials; this version sends none, write http://host:port".to_owned());
    }
    // A port after an IPv6 address stands behind its bracket.
    let has_port = authority.rsplit(']').next().is_some_and(|tail| tail.contains(':'));
    if uri.host().is_none_or(str::is_empty) || (has_port && uri.port_u16().is_none()) {
        return Err("has no host or no possible port; write http://host:port".to_owned());
    }
    if uri.query().is_some() {
        return Err("has a query; write http://host:port/path".to_owned());
    }
    Ok(uri)
}
