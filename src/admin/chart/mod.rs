//! Charts as SVG that a server writes: no script, no inline style, legible at any width.
//!
//! Marks are stretched to the width there is (`preserveAspectRatio="none"`, strokes keep theirs); words
//! and figures stand around them as HTML, so that they are never stretched. Every chart says in words
//! what it shows, and each mark carries its values as a `<title>`.

mod axis;
mod bars;
mod fan;
mod heat;
mod line;
mod spark;
mod strip;
mod waterfall;

pub(super) use axis::Axis;
pub(super) use bars::{Pair, columns, contribution, meter, progress_bar, rows};
pub(super) use fan::{Fan, fan};
pub(super) use heat::{HeatMap, heat_map, scale};
pub(super) use line::{Fill, Lines, Series, lines, spark};
pub(super) use spark::{Dot, sparkline};
pub(super) use strip::{Cell, strip};
pub(super) use waterfall::{Span, waterfall};

/// A coordinate with as many decimals as a screen can show.
fn at(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
