//! Where memory goes, planned before any is taken: every bounded store with what it costs when full.
//!
//! In: the memory limit, and the bounds that were given. Out: a [`MemoryPlan`]. What was not given
//! has its usual bound, or less, so that all of them together stay under the limit. What was given
//! stands; where that is too much, a warning names the key and the figures.

use super::checked::{Archive, Capture};
use super::reader::Reader;
use crate::limits::Limits;
use schemars::JsonSchema;
use serde::Serialize;
use std::num::NonZeroUsize;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Code, stacks, latency histograms, exporters, buffers of connections, of which 10 MiB are anonymous at
/// saturation by bodies of 1 MiB without any capture (2026-11-27); and 10 MiB for the latencies of a day
/// that the page draws.
const BASE_BYTES: u64 = 22 * MIB;
/// What the plan may use of the limit: the rest is for what the kernel and the allocator hold beside.
const USABLE: f64 = 0.7;

const USUAL_FEATURES: u64 = 1000;

/// Every bounded store.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct MemoryPlan {
    /// The container's; `None` without one.
    pub limit_bytes: Option<u64>,
    /// What is planned at most, all parts together.
    pub planned_bytes: u64,
    pub parts: Vec<MemoryPart>,
    #[serde(skip)]
    pub bounds: Bounds,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct MemoryPart {
    pub name: &'static str,
    /// The key that sets it, if there is one.
    pub key: Option<&'static str>,
    /// Resident when it is full.
    pub bytes: u64,
}

/// What the stages are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub queue_bytes: NonZeroUsize,
    /// Bodies of exchanges under way, of the whole process; what is over it is not kept.
    pub open_bytes: usize,
    /// Payload that is decoded at a time.
    pub batch_bytes: usize,
    pub archive_queue_bytes: usize,
    pub archive_group_bytes: usize,
    pub recent_bytes: usize,
    pub max_features: NonZeroUsize,
    /// Of a feature in a segment, all lengths.
    pub segment_windows: usize,
    /// Verdicts on one feature in one window, kept for the page.
    pub kept_verdicts: usize,
    pub max_pending_labels: NonZeroUsize,
    /// Of earlier windows, packed, to compare with.
    pub reference_bytes: usize,
}

/// One store: how many units it has by default, at least, and what a unit costs.
struct Store {
    name: &'static str,
    key: Option<&'static str>,
    usual: u64,
    least: u64,
    /// Bytes a unit.
    cost: f64,
    /// What is taken beside: one exchange is held however large, and may be over the bound.
    fixed: u64,
    given: Option<u64>,
}

impl Store {
    const fn new(name: &'static str, usual: u64, least: u64, cost: f64) -> Self {
        Self { name, key: None, usual, least, cost, fixed: 0, given: None }
    }

    const fn beside(self, fixed: u64) -> Self {
        Self { fixed, ..self }
    }

    fn bytes(&self, units: u64) -> f64 {
        units as f64 * self.cost + self.fixed as f64
    }

    fn units(&self, share: f64) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most usual"
        )]
        let scaled = (self.usual as f64 * share) as u64;
        self.given.unwrap_or_else(|| scaled.max(self.least))
    }
}

const STORES: usize = 11;

/// In the order of the flow, which is that of [`Bounds`]. A cost is what full stores were seen to hold
/// for each unit of their bound: beside payload there are its columns, copies and encoded pages.
fn stores(max_body_bytes: u64, segments: u64) -> [Store; STORES] {
    [
        Store::new("capture queue", 64 * MIB, max_body_bytes.max(MIB), 1.3),
        Store::new("exchanges under way", 32 * MIB, 2 * max_body_bytes, 1.3),
        Store::new("decoding", 8 * MIB, 256 * KIB, 5.0).beside(12 * max_body_bytes),
        Store::new("archive queue", 32 * MIB, 2 * MIB, 1.15),
        Store::new("archive row group", 8 * MIB, 256 * KIB, 3.0).beside(6 * max_body_bytes),
        Store::new("recent exchanges", 4 * MIB, 256 * KIB, 1.15),
        Store::new("features", USUAL_FEATURES, 64, 64.0 * 1024.0),
        Store::new("verdicts", 100_000, 4000, 400.0),
        Store::new("labels", 100_000, 1000, 500.0),
        Store::new("segments", segments, segments / 64, 10.0 * 1024.0),
        // Once as held, and once more while it is saved.
        Store::new("reference windows", 32 * MIB, MIB, 2.1),
    ]
}

/// What other keys ask for that takes memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// Keys of segments, and values of each; `None` where that is not known.
    pub(super) segments: Option<(usize, usize)>,
    /// Windows are compared with earlier ones.
    pub(super) refers_back: bool,
}

/// What was given by key, and what is off.
struct Given {
    max_body_bytes: usize,
    queue_bytes: Option<NonZeroUsize>,
    max_features: Option<NonZeroUsize>,
    max_pending_labels: Option<NonZeroUsize>,
    captures: bool,
    archives: bool,
    /// Values that are told apart, of all keys.
    segments: usize,
    /// Windows are compared with earlier ones.
    refers_back: bool,
}

/// Reads the keys that bound a store, and fits the others to the limit.
pub(super) fn fitted(
    reader: &mut Reader<'_>,
    limits: &Limits,
    capture: Option<&Capture>,
    archive: Option<&Archive>,
    asked: Asked,
) -> Option<MemoryPlan> {
    const QUEUE: &str = "capture.queue_bytes";
    let queue_bytes =
        reader.or_auto(QUEUE, |reader| reader.size::<usize>(QUEUE, 1)?.try_into().ok());
    let max_features = reader.non_zero_or_auto("features.max");
    let max_pending_labels = reader.non_zero_or_auto("labels.max_pending");
    let (capture, archive) = (capture?, archive?);
    let queue_bytes: Option<NonZeroUsize> = queue_bytes?;
    if queue_bytes.is_some_and(|queue| capture.max_body_bytes > queue.get()) {
        let message = format!(
            "{:?} is less than capture.max_body_bytes; a whole body must fit",
            reader.text(QUEUE)
        );
        reader.problem(QUEUE, message);
        return None;
    }
    let given = Given {
        max_body_bytes: capture.max_body_bytes,
        queue_bytes,
        max_features: max_features?,
        max_pending_labels: max_pending_labels?,
        captures: capture.enabled,
        archives: !matches!(archive, Archive::Off),
        segments: asked.segments.map_or(0, |(keys, values)| keys * values),
        refers_back: asked.refers_back,
    };
    let plan = plan(&given, limits);
    warn_of_fewer_segments(&plan, &given, reader);
    warn_if_over(&plan, reader);
    Some(plan)
}

fn plan(given: &Given, limits: &Limits) -> MemoryPlan {
    // A limit on features is one on their windows too.
    let features = given.max_features.map_or(USUAL_FEATURES, |max| max.get() as u64);
    let segments = given.segments as u64 * features;
    let mut stores = stores(given.max_body_bytes as u64, segments);
    let units = |count: Option<NonZeroUsize>| count.map(|count| count.get() as u64);
    let keyed = [
        (0, "capture.queue_bytes", units(given.queue_bytes)),
        (6, "features.max", units(given.max_features)),
        (8, "labels.max_pending", units(given.max_pending_labels)),
        (9, "features.max_segments", None),
    ];
    for (index, key, units) in keyed {
        stores[index].key = Some(key);
        stores[index].given = units;
    }
    let is_off = |index: usize| match index {
        3 | 4 => !(given.captures && given.archives),
        10 => !(given.captures && given.refers_back),
        _ => !given.captures,
    };
    let share = share(&stores, is_off, limits.memory_bytes);
    let units = std::array::from_fn(|index| stores[index].units(share));
    let base = MemoryPart { name: "program", key: None, bytes: BASE_BYTES };
    let cost = |(index, store): (usize, &Store)| MemoryPart {
        name: store.name,
        key: store.key,
        bytes: if is_off(index) { 0 } else { whole(store.bytes(units[index])) },
    };
    let parts: Vec<_> = std::iter::once(base).chain(stores.iter().enumerate().map(cost)).collect();
    MemoryPlan {
        limit_bytes: limits.memory_bytes,
        planned_bytes: parts.iter().map(|part| part.bytes).sum(),
        parts,
        bounds: Bounds::of(units),
    }
}

/// How much of its usual bound a store may have that no key sets, in [0, 1].
fn share(stores: &[Store], is_off: impl Fn(usize) -> bool, limit: Option<u64>) -> f64 {
    let Some(limit) = limit else { return 1.0 };
    let on = || stores.iter().enumerate().filter(|(index, _)| !is_off(*index)).map(|(_, s)| s);
    let given: f64 = on().filter_map(|store| Some(store.bytes(store.given?))).sum();
    let free = || on().filter(|store| store.given.is_none());
    let fixed: u64 = free().map(|store| store.fixed).sum();
    let usual: f64 = free().map(|store| store.usual as f64 * store.cost).sum();
    let left = limit as f64 * USABLE - (BASE_BYTES + fixed) as f64 - given;
    if usual > 0.0 { (left / usual).clamp(0.0, 1.0) } else { 1.0 }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size in bytes")]
fn whole(bytes: f64) -> u64 {
    bytes.round() as u64
}

impl Bounds {
    fn of(units: [u64; STORES]) -> Self {
        let size = |units: u64| usize::try_from(units).unwrap_or(usize::MAX);
        let count = |units: u64| NonZeroUsize::new(size(units)).unwrap_or(NonZeroUsize::MIN);
        let [
            queue,
            open,
            batch,
            waiting,
            group,
            recent,
            features,
            verdicts,
            labels,
            segments,
            references,
        ] = units;
        Self {
            queue_bytes: count(queue),
            open_bytes: size(open),
            batch_bytes: size(batch),
            archive_queue_bytes: size(waiting),
            archive_group_bytes: size(group),
            recent_bytes: size(recent),
            max_features: count(features),
            segment_windows: size(segments),
            kept_verdicts: size(verdicts),
            max_pending_labels: count(labels),
            reference_bytes: size(references),
        }
    }
}

/// Says so where segments have fewer windows than all features of all of them would take.
fn warn_of_fewer_segments(plan: &MemoryPlan, given: &Given, reader: &mut Reader<'_>) {
    let (windows, features) = (plan.bounds.segment_windows, plan.bounds.max_features.get());
    let wanted = given.segments * features;
    if given.captures && windows < wanted {
        let message = format!(
            "memory: windows of {features} features in {} segments are more than fit; there is room \
             for {windows}, those of the segments that come first; lower it or features.max, or give \
             the container more",
            given.segments
        );
        reader.warn("features.max_segments", message);
    }
}

/// Says so where the plan does not fit, and which keys to lower.
fn warn_if_over(plan: &MemoryPlan, reader: &mut Reader<'_>) {
    let Some(limit) = plan.limit_bytes.filter(|limit| *limit < plan.planned_bytes) else { return };
    let mebibytes = |bytes: u64| format!("{} MiB", bytes.div_ceil(MIB));
    let (planned, limit) = (mebibytes(plan.planned_bytes), mebibytes(limit));
    let given = |part: &&MemoryPart| part.key.is_some_and(|key| reader.is_given(key));
    let mut keys: Vec<_> = plan.parts.iter().filter(given).collect();
    keys.sort_by_key(|part| std::cmp::Reverse(part.bytes));
    let named: Vec<_> = keys
        .iter()
        .filter_map(|part| Some(format!("{} takes {}", part.key?, mebibytes(part.bytes))))
        .collect();
    let advice = if named.is_empty() {
        "give the container more memory, or set capture.enabled or archive to off".to_owned()
    } else {
        format!("{}; lower it, or give the container more", named.join(", "))
    };
    let most = keys.first().and_then(|part| part.key).unwrap_or_default();
    reader.warn(
        most,
        format!("memory: {planned} are planned and the container's limit is {limit}: {advice}"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given() -> Given {
        Given {
            max_body_bytes: 1 << 20,
            queue_bytes: None,
            max_features: None,
            max_pending_labels: None,
            captures: true,
            archives: true,
            segments: 0,
            refers_back: true,
        }
    }

    fn limited(mebibytes: u64) -> Limits {
        Limits { memory_bytes: Some(mebibytes * MIB), ..Limits::default() }
    }

    #[test]
    fn without_a_limit_every_bound_is_the_usual_one() {
        let Bounds { queue_bytes, max_features, max_pending_labels, .. } =
            plan(&given(), &Limits::default()).bounds;
        assert_eq!(queue_bytes.get(), 64 << 20);
        assert_eq!((max_features.get(), max_pending_labels.get()), (1000, 100_000));
        assert_eq!(
            plan(&given(), &limited(4096)).bounds,
            plan(&given(), &Limits::default()).bounds
        );
    }

    #[test]
    fn whatever_the_limit_the_plan_stays_under_it() {
        for mebibytes in [64, 100, 128, 192, 256, 512, 1024] {
            let plan = plan(&given(), &limited(mebibytes));
            let sum: u64 = plan.parts.iter().map(|part| part.bytes).sum();
            assert_eq!(sum, plan.planned_bytes);
            assert!(plan.planned_bytes <= mebibytes * MIB, "{mebibytes}: {plan:?}");
            assert!(plan.bounds.queue_bytes.get() >= 1 << 20, "{mebibytes}: {plan:?}");
        }
    }

    #[test]
    fn what_is_given_stands_and_the_rest_makes_room() {
        let mut given = given();
        given.queue_bytes = NonZeroUsize::new(48 << 20);
        let plan = plan(&given, &limited(128));
        assert_eq!(plan.bounds.queue_bytes.get(), 48 << 20);
        assert!(plan.planned_bytes <= 128 * MIB, "{plan:?}");
    }

    #[test]
    fn windows_of_segments_have_their_share_of_a_limit_and_none_where_none_is_named() {
        let bounds = |segments, limit| plan(&Given { segments, ..given() }, &limit).bounds;
        assert_eq!(bounds(0, limited(128)).segment_windows, 0);
        assert_eq!(bounds(20, Limits::default()).segment_windows, 20_000);
        let few = bounds(20, limited(192)).segment_windows;
        assert!((1..20_000).contains(&few), "{few}");
        for mebibytes in [128, 192, 256, 512] {
            let plan = plan(&Given { segments: 20, ..given() }, &limited(mebibytes));
            assert!(plan.planned_bytes <= mebibytes * MIB, "{mebibytes}: {plan:?}");
        }
    }

    #[test]
    fn what_is_off_takes_nothing() {
        let off = Given { captures: false, ..given() };
        assert_eq!(plan(&off, &limited(64)).planned_bytes, BASE_BYTES);
        let unrecorded = Given { archives: false, ..given() };
        let more = plan(&unrecorded, &limited(128)).bounds.queue_bytes;
        assert!(more > plan(&given(), &limited(128)).bounds.queue_bytes);
    }
}
