//! The parameters of a request: of pages and of the API alike.
//!
//! An empty one counts as not given, because a form sends every field. One that cannot be read is an
//! error that names it, its value and what is allowed.

use super::refusal::Refusal;
use axum::extract::Query;
use axum::http::{StatusCode, Uri};
use thiserror::Error;

#[derive(Debug, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum BadParameter {
    #[error("`{name}` cannot be `{value}`: allowed is {allowed}.")]
    Value { name: &'static str, value: String, allowed: String },
    #[error("There is no parameter `{name}`; there are: {known}.")]
    Unknown { name: String, known: String },
}

/// A parameter's value as it is shown in an error: at most so many characters.
const SHOWN: usize = 80;

impl Parameters {
    pub(super) fn of(uri: &Uri) -> Self {
        Query::try_from_uri(uri).map(|Query(pairs)| Self(pairs)).unwrap_or_default()
    }

    /// The last one that is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut found =
            self.0.iter().rev().filter(|(known, value)| known == name && !value.is_empty());
        found.next().map(|(_, value)| value.trim())
    }

    /// `read` gives `None` for what cannot be read.
    pub(super) fn read<T>(
        &self,
        name: &'static str,
        allowed: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, BadParameter> {
        let Some(text) = self.get(name) else { return Ok(None) };
        read(text).map(Some).ok_or_else(|| {
            let value = text.chars().take(SHOWN).collect();
            BadParameter::Value { name, value, allowed: allowed.to_owned() }
        })
    }

    /// One of a few words.
    pub(super) fn one_of<T: Copy>(
        &self,
        name: &'static str,
        words: &[T],
        word: impl Fn(T) -> &'static str,
    ) -> Result<Option<T>, BadParameter> {
        let allowed = words.iter().map(|one| format!("`{}`", word(*one))).collect::<Vec<_>>();
        let read = |text: &str| words.iter().copied().find(|one| word(*one) == text);
        self.read(name, &format!("one of {}", allowed.join(", ")), read)
    }

    pub(super) fn whole(
        &self,
        name: &'static str,
        most: usize,
    ) -> Result<Option<usize>, BadParameter> {
        self.read(name, "a whole number", |text| text.parse().ok().map(|n: usize| n.min(most)))
    }

    /// For the API: a misspelt parameter must not look like one that was heeded.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), BadParameter> {
        match self.0.iter().find(|(name, _)| !known.contains(&&**name)) {
            None => Ok(()),
            Some((name, _)) => Err(BadParameter::Unknown {
                name: name.chars().take(SHOWN).collect(),
                known: if known.is_empty() { "none".into() } else { known.join(", ") },
            }),
        }
    }
}

impl From<BadParameter> for Refusal {
    fn from(bad: BadParameter) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_query", bad.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(query: &str) -> Parameters {
        Parameters::of(&format!("/exchanges?{query}").parse().unwrap())
    }

    #[test]
    fn an_empty_parameter_is_none_and_the_last_one_counts() {
        let given = parameters("route=&limit=3&limit=5&id=a%20b%2Fc");
        assert_eq!(given.get("route"), None);
        assert_eq!(given.whole("limit", 4), Ok(Some(4)));
        assert_eq!(given.get("id"), Some("a b/c"));
    }

    #[test]
    fn an_error_names_the_parameter_its_value_and_what_is_allowed() {
        let bad = parameters("limit=many").whole("limit", 9).unwrap_err();
        assert_eq!(bad.to_string(), "`limit` cannot be `many`: allowed is a whole number.");
        let bad = parameters("colour=red").only(&["limit", "route"]).unwrap_err();
        assert_eq!(bad.to_string(), "There is no parameter `colour`; there are: limit, route.");
    }
}
