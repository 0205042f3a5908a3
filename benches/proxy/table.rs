//! Markdown tables, and the order statistics that stand in them.

use std::fmt::Write;

pub(crate) struct Table {
    text: String,
}

impl Table {
    /// A heading, a line below it, and the names of the columns, of which the first holds names.
    pub(crate) fn new(title: &str, about: &str, columns: &[&str]) -> Self {
        let mut text = format!("\n### {title}\n\n{about}\n\n");
        push_row(&mut text, columns.iter().copied());
        push_row(
            &mut text,
            columns.iter().enumerate().map(|(n, _)| if n == 0 { "---" } else { "---:" }),
        );
        Self { text }
    }

    pub(crate) fn row(&mut self, cells: &[String]) {
        push_row(&mut self.text, cells.iter().map(String::as_str));
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }
}

fn push_row<'a>(text: &mut String, cells: impl Iterator<Item = &'a str>) {
    for cell in cells {
        // Writing to a string cannot fail.
        let _ = write!(text, "| {cell} ");
    }
    text.push_str("|\n");
}

/// The value below which a share of `q` lies, between neighbours where need be.
pub(crate) fn quantile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = q * (sorted.len().checked_sub(1)?) as f64;
    let below = at.floor();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let index = below as usize;
    let low = sorted[index];
    let high = sorted.get(index + 1).copied().unwrap_or(low);
    Some(low + (high - low) * (at - below))
}

pub(crate) fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// With three figures, or a dash if there is nothing to say.
pub(crate) fn figure(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

/// Median and quartiles: `0.95 [0.93–0.97]`.
pub(crate) fn spread(values: &[f64]) -> String {
    match (median(values), quantile(values, 0.25), quantile(values, 0.75)) {
        (Some(middle), Some(low), Some(high)) => format!("**{middle:.2}** [{low:.2}–{high:.2}]"),
        _ => "–".to_owned(),
    }
}
