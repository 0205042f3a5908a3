//! Verdicts and states as a symbol and a word; the colour only repeats them.

use crate::drift::Verdict;
use maud::{Markup, html};

#[derive(Clone, Copy)]
pub(super) enum Tone {
    Good,
    Warning,
    Bad,
    Neutral,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Bad => "bad",
            Self::Neutral => "neutral",
        }
    }

    fn symbol(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Warning => "▲",
            Self::Bad => "✕",
            Self::Neutral => "○",
        }
    }
}

pub(super) fn badge(tone: Tone, word: &str) -> Markup {
    html! {
        span class={ "badge " (tone.class()) } {
            span aria-hidden="true" { (tone.symbol()) } " " (word)
        }
    }
}

pub(super) fn of_verdict(verdict: Option<Verdict>) -> Markup {
    match verdict {
        Some(Verdict::Stable) => badge(Tone::Good, "Stable"),
        Some(Verdict::Drifting) => badge(Tone::Warning, "Drifting"),
        Some(Verdict::InsufficientData) => badge(Tone::Neutral, "Too few rows"),
        None => badge(Tone::Neutral, "No verdict yet"),
    }
}

/// As in the middle of a sentence.
pub(super) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Stable => "stable",
        Verdict::Drifting => "drifting",
        Verdict::InsufficientData => "too few rows",
    }
}
