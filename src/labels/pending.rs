//! What waits for its counterpart: items by id, oldest first out, bounded by whoever owns it.

use jiff::Timestamp;
use smallvec::SmallVec;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Tells apart the items of one id.
pub(super) trait Keyed {
    fn key(&self) -> usize;
}

/// Items of one id, in the order of their keys.
pub(super) type Items<T> = SmallVec<[T; 1]>;

/// An id is as old as its first item.
#[derive(Debug)]
pub(super) struct Pending<T> {
    by_id: HashMap<Arc<str>, Kept<T>>,
    by_age: BTreeMap<Age, Arc<str>>,
    /// Tells apart ids of the same time.
    sequence: u64,
    len: usize,
}

type Age = (Timestamp, u64);

#[derive(Debug)]
struct Kept<T> {
    age: Age,
    items: Items<T>,
}

impl<T: Keyed> Pending<T> {
    pub(super) fn new() -> Self {
        Self { by_id: HashMap::new(), by_age: BTreeMap::new(), sequence: 0, len: 0 }
    }

    /// How many items there are, of all ids.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    pub(super) fn get_mut(&mut self, id: &str, key: usize) -> Option<&mut T> {
        let items = &mut self.by_id.get_mut(id)?.items;
        let position = items.binary_search_by_key(&key, T::key).ok()?;
        items.get_mut(position)
    }

    /// Any item of an id.
    pub(super) fn first(&self, id: &str) -> Option<&T> {
        self.by_id.get(id)?.items.first()
    }

    /// Adds an item whose key the id does not have yet.
    pub(super) fn insert(&mut self, id: &str, at: Timestamp, item: T) {
        if !self.by_id.contains_key(id) {
            self.sequence += 1;
            let (id, age) = (Arc::<str>::from(id), (at, self.sequence));
            self.by_age.insert(age, Arc::clone(&id));
            self.by_id.insert(id, Kept { age, items: Items::new() });
        }
        let Some(kept) = self.by_id.get_mut(id) else { return };
        if let Err(position) = kept.items.binary_search_by_key(&item.key(), T::key) {
            kept.items.insert(position, item);
            self.len += 1;
        }
    }

    pub(super) fn take(&mut self, id: &str, key: usize) -> Option<T> {
        let kept = self.by_id.get_mut(id)?;
        let position = kept.items.binary_search_by_key(&key, T::key).ok()?;
        let item = kept.items.remove(position);
        self.len -= 1;
        if kept.items.is_empty() {
            let age = kept.age;
            self.by_age.remove(&age);
            self.by_id.remove(id);
        }
        Some(item)
    }

    /// Forgets the oldest id while there are more than `max` items, or it is from before `limit`.
    pub(super) fn forget(&mut self, max: usize, limit: Timestamp) -> Option<(Arc<str>, Items<T>)> {
        let (age, _) = self.by_age.first_key_value()?;
        if self.len <= max && age.0 >= limit {
            return None;
        }
        let (_, id) = self.by_age.pop_first()?;
        let kept = self.by_id.remove(&id)?;
        self.len -= kept.items.len();
        Some((id, kept.items))
    }
}
