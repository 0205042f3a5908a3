//! Features that requests bring and the baseline lacks: columns in, their names and rows out.

use super::super::significance::{Part, more};
use super::{Check, Checked, Finding, Grouping};
use crate::sketch::{FrameError, Packer, Role, Unpacker};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// Names that are kept of a window; further ones are counted.
const MAX_NAMES: usize = 20;
/// Names beyond those that are told apart.
const MAX_COUNTED: usize = 1024;
/// Longer names are cut: a name is a client's own text.
const MAX_NAME_BYTES: usize = 128;

/// Of one open window.
#[derive(Debug, Clone, Default)]
pub(in crate::drift) struct Extras {
    named: Vec<ExtraFeature>,
    beyond: HashSet<u64>,
    /// By role, rows of requests with such a feature.
    rows: [u64; 2],
    /// By role: requests with such a feature, and all. Rows of a table are a request each.
    requests: [(u64, u64); 2],
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExtraFeature {
    pub feature: Arc<str>,
    pub rows: u64,
    #[serde(skip)]
    role: Role,
}

/// Features of one role that the baseline lacks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExtraFeatures {
    pub role: Role,
    /// Most rows first; 20 at most.
    pub features: Vec<ExtraFeature>,
    /// Those that are not named too, up to 1,024 of them.
    pub features_total: u64,
    #[serde(flatten)]
    pub checked: Checked,
}

impl Extras {
    /// A payload's features of `role` that the baseline lacks; it has so many rows.
    pub(in crate::drift) fn observe<'a>(
        &mut self,
        role: Role,
        names: impl Iterator<Item = &'a Arc<str>>,
        (rows, grouping): (u64, Grouping),
    ) {
        let came = match grouping {
            Grouping::Request => rows.min(1),
            Grouping::Rows => rows,
        };
        let mut any = false;
        for name in names {
            any = true;
            self.count(role, name, rows);
        }
        let (with, requests) = &mut self.requests[role as usize];
        *requests += came;
        if any {
            *with += came;
            self.rows[role as usize] += rows;
        }
    }

    fn count(&mut self, role: Role, name: &Arc<str>, rows: u64) {
        let is_it = |known: &&mut ExtraFeature| known.role == role && known.feature == *name;
        if let Some(known) = self.named.iter_mut().find(is_it) {
            known.rows += rows;
        } else if self.named.len() < MAX_NAMES && name.len() <= MAX_NAME_BYTES {
            self.named.push(ExtraFeature { feature: Arc::clone(name), rows, role });
        } else if self.beyond.len() < MAX_COUNTED {
            self.beyond.insert(xxh3_64(name.as_bytes()) ^ role as u64);
        }
    }

    pub(in crate::drift) fn save(&self, packer: &mut Packer) {
        let Self { named, beyond, rows, requests } = self;
        packer.counts(rows);
        for (with, all) in requests {
            packer.word(*with);
            packer.word(*all);
        }
        packer.size(named.len());
        for ExtraFeature { feature, rows, role } in named {
            packer.flag(*role == Role::Output);
            packer.text(feature);
            packer.word(*rows);
        }
        packer.size(beyond.len());
        for name in beyond {
            packer.hash(*name);
        }
    }

    pub(in crate::drift) fn restored(saved: &mut Unpacker<'_>) -> Result<Self, FrameError> {
        let mut extras = Self::default();
        saved.counts(&mut extras.rows)?;
        for (with, all) in &mut extras.requests {
            (*with, *all) = (saved.count()?, saved.count()?);
        }
        for _ in 0..saved.size(MAX_NAMES)? {
            let role = if saved.flag()? { Role::Output } else { Role::Input };
            let (feature, rows) = (saved.text()?.into(), saved.count()?);
            extras.named.push(ExtraFeature { feature, rows, role });
        }
        for _ in 0..saved.size(MAX_COUNTED)? {
            extras.beyond.insert(saved.hash()?);
        }
        Ok(extras)
    }

    pub(in crate::drift) fn append(&mut self, later: &Self) {
        for extra in &later.named {
            self.count(extra.role, &extra.feature, extra.rows);
        }
        let room = MAX_COUNTED.saturating_sub(self.beyond.len());
        self.beyond.extend(later.beyond.iter().take(room));
        self.rows = [self.rows[0] + later.rows[0], self.rows[1] + later.rows[1]];
        for ((with, all), later) in self.requests.iter_mut().zip(later.requests) {
            (*with, *all) = (*with + later.0, *all + later.1);
        }
    }

    /// Of `rows` of the window and so many of the reference, none of which had the feature. It is requests
    /// that have one: rows of the reference tell as much as if they had come in requests as large.
    pub(super) fn finding(&self, role: Role, rows: u64, reference: u64) -> Option<Finding> {
        let with = self.rows[role as usize];
        (rows > 0).then(|| {
            let (with_it, requests) = self.requests[role as usize];
            let request_rows = rows as f64 / requests.max(1) as f64;
            let reference = Part::of(0, reference, request_rows.max(1.0));
            let p_value = more(Part::of(with_it, requests, 1.0), reference);
            Finding::new(Check::ExtraFeature, with as f64 / rows as f64, 0.0, Some(p_value))
        })
    }

    pub(super) fn report(&self, role: Role, checked: Checked) -> ExtraFeatures {
        let of_role = self.named.iter().filter(|extra| extra.role == role);
        let mut features: Vec<ExtraFeature> = of_role.cloned().collect();
        features.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.feature.cmp(&b.feature)));
        // Which role the rest has is not kept; where this role has a name, they count with it.
        let beyond = if features.is_empty() { 0 } else { self.beyond.len() as u64 };
        let features_total = features.len() as u64 + beyond;
        ExtraFeatures { role, features, features_total, checked }
    }
}
