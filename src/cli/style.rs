//! Colours for people: on a terminal only, and never with `NO_COLOR`.

use std::fmt;
use std::io::IsTerminal;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Red,
    Green,
    Yellow,
    Dim,
}

impl Colour {
    const fn code(self) -> &'static str {
        match self {
            Self::Red => "31",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Dim => "2",
        }
    }
}

/// Whether what is printed will be seen in colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Palette {
    Plain,
    Coloured,
}

impl Palette {
    pub(super) fn of_stdout() -> Self {
        Self::when(std::io::stdout().is_terminal())
    }

    pub(super) fn of_stderr() -> Self {
        Self::when(std::io::stderr().is_terminal())
    }

    fn when(is_terminal: bool) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if is_terminal && !no_color { Self::Coloured } else { Self::Plain }
    }

    pub(super) fn paint(self, colour: Colour, text: impl fmt::Display) -> String {
        match self {
            Self::Plain => text.to_string(),
            Self::Coloured => format!("\x1b[{}m{text}\x1b[0m", colour.code()),
        }
    }
}
