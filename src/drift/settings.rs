//! What a monitor is told, and what it is told to compare with.

use super::history::Wanted;
use super::{AttributionSettings, Baseline, Earlier, EarlySettings, SegmentSettings};
use schemars::JsonSchema;
use serde::Serialize;
use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;

#[derive(Debug, Clone)]
pub struct Settings {
    /// Windows and features with fewer rows are `insufficient_data`.
    pub min_rows: u64,
    /// In (0, 1): the share of false discoveries among features called significant.
    pub false_discovery_rate: f64,
    pub persistence: Persistence,
    /// Features that are watched, inputs and outputs together; the rest are counted.
    pub max_features: usize,
    pub filter: FeatureFilter,
    /// The name of each window length, finest first: `5m`, `1h`, or `500` for rows.
    pub windows: Vec<Arc<str>>,
    /// Earlier windows that each is compared with too.
    pub references: Vec<Earlier>,
    /// Bytes of earlier windows that are held for that.
    pub reference_bytes: usize,
    /// Parts of the traffic that are judged by themselves.
    pub segments: SegmentSettings,
    pub attribution: AttributionSettings,
    /// Where there is to be early warning, which needs the time.
    pub early: Option<EarlySettings>,
}

impl Settings {
    pub(super) fn wanted(&self) -> Wanted<'_> {
        Wanted { references: &self.references, max_bytes: self.reference_bytes }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            min_rows: 50,
            false_discovery_rate: 0.01,
            persistence: Persistence::default(),
            max_features: 1000,
            filter: FeatureFilter::default(),
            windows: vec!["5m".into(), "1h".into(), "1d".into()],
            references: Vec::new(),
            reference_bytes: 32 << 20,
            segments: SegmentSettings::default(),
            attribution: AttributionSettings::default(),
            early: None,
        }
    }
}

/// A feature is called drifting if it was found to in at least `least` of the last `of` windows of a
/// length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Persistence {
    least: NonZeroUsize,
    of: NonZeroUsize,
}

impl Persistence {
    /// `None` if more are asked for than there are.
    pub fn new(least: NonZeroUsize, of: NonZeroUsize) -> Option<Self> {
        (least <= of).then_some(Self { least, of })
    }

    pub(super) fn numbers(self) -> [usize; 2] {
        [self.least.get(), self.of.get()]
    }

    pub fn windows(self) -> usize {
        self.of.get()
    }

    pub(super) fn holds(self, found: impl Iterator<Item = bool>) -> bool {
        found.filter(|found| *found).count() >= self.least.get()
    }
}

impl Default for Persistence {
    /// Each window by itself.
    fn default() -> Self {
        Self { least: NonZeroUsize::MIN, of: NonZeroUsize::MIN }
    }
}

/// What live rows are compared with.
#[derive(Debug, Clone)]
pub enum Reference {
    Baseline(Arc<Baseline>),
    /// The first rows become the baseline.
    Learn {
        rows: NonZeroU64,
    },
}

/// Where the comparison stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum ReferenceState {
    /// No baseline was given: the first rows become it.
    Learning { rows: u64, needed: u64 },
    /// The first rows of live traffic, which may themselves not look like training data.
    Learned { rows: u64, hash: String },
    /// A baseline built beforehand.
    Given { rows: u64, hash: String },
}

impl ReferenceState {
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Learning { .. } => "learning",
            Self::Learned { .. } => "learned",
            Self::Given { .. } => "given",
        }
    }
}

/// Which features are watched: those that some `include` glob matches and no `exclude` glob does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureFilter {
    include: Vec<String>,
    exclude: Vec<String>,
}

impl Default for FeatureFilter {
    fn default() -> Self {
        Self::new(["*"], [] as [&str; 0])
    }
}

impl FeatureFilter {
    /// In a glob, `*` matches any run of characters, `?` any one, and the rest themselves.
    pub fn new<S: Into<String>, T: Into<String>>(
        include: impl IntoIterator<Item = S>,
        exclude: impl IntoIterator<Item = T>,
    ) -> Self {
        Self {
            include: include.into_iter().map(Into::into).collect(),
            exclude: exclude.into_iter().map(Into::into).collect(),
        }
    }

    /// With other globs where some are given.
    #[must_use]
    pub fn or_given(self, include: &[String], exclude: &[String]) -> Self {
        let given = |ours, given: &[String]| if given.is_empty() { ours } else { given.to_vec() };
        Self { include: given(self.include, include), exclude: given(self.exclude, exclude) }
    }

    /// Included and excluded.
    pub(super) fn globs(&self) -> [&[String]; 2] {
        [&self.include, &self.exclude]
    }

    pub fn admits(&self, feature: &str) -> bool {
        let some = |globs: &[String]| globs.iter().any(|glob| matches(glob, feature));
        some(&self.include) && !some(&self.exclude)
    }
}

/// Linear in the length of both but for the last `*`, to which a mismatch goes back.
fn matches(glob: &str, text: &str) -> bool {
    let (glob, text): (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
    let (mut g, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match glob.get(g) {
            Some('*') => {
                star = Some((g, t));
                g += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => (g, t) = (g + 1, t + 1),
            _ => match star {
                Some((star_g, star_t)) => {
                    star = Some((star_g, star_t + 1));
                    (g, t) = (star_g + 1, star_t + 1);
                }
                None => return false,
            },
        }
    }
    glob[g..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_runs_and_single_characters() {
        for (glob, text, expected) in [
            ("*", "", true),
            ("temp_*", "temp_max", true),
            ("*_m?x", "temp_max", true),
            ("a*b*c", "axxbxbyc", true),
            ("a*b", "axbx", false),
            ("temp", "temp_max", false),
        ] {
            assert_eq!(matches(glob, text), expected, "{glob} on {text}");
        }
    }

    #[test]
    fn exclusion_wins_over_inclusion() {
        let filter = FeatureFilter::new(["temp_*", "wind"], ["*_min"]);
        assert!(filter.admits("temp_max") && filter.admits("wind"));
        assert!(!filter.admits("temp_min") && !filter.admits("rain"));
    }
}
