//! How many connections of clients there may be, over all serving threads.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Asked once a connection, so that one counter for all threads costs nothing.
#[derive(Debug)]
pub struct Connections {
    open: AtomicUsize,
    most: AtomicUsize,
}

impl Connections {
    pub fn new(most: NonZeroUsize) -> Self {
        Self { open: AtomicUsize::new(0), most: AtomicUsize::new(most.get()) }
    }

    /// From now on; those over it that are open already stay.
    pub fn limit_to(&self, most: NonZeroUsize) {
        self.most.store(most.get(), Relaxed);
    }

    /// A place for one more, as long as there is one.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Place> {
        let most = self.most.load(Relaxed);
        let add = |open| (open < most).then_some(open + 1);
        self.open.fetch_update(Relaxed, Relaxed, add).ok()?;
        Some(Place(Arc::clone(self)))
    }
}

/// Held by a connection for as long as it is open.
pub(super) struct Place(Arc<Connections>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_once_its_connection_is_gone() {
        let connections = Arc::new(Connections::new(NonZeroUsize::new(2).unwrap()));
        let [first, second] = [connections.admit(), connections.admit()];
        assert!(first.is_some() && second.is_some() && connections.admit().is_none());
        drop(first);
        assert!(connections.admit().is_some());
    }

    #[test]
    fn a_new_limit_cuts_nobody_and_holds_for_the_next() {
        let connections = Arc::new(Connections::new(NonZeroUsize::new(2).unwrap()));
        let open = [connections.admit(), connections.admit()];
        connections.limit_to(NonZeroUsize::MIN);
        drop(open);
        let one = connections.admit();
        assert!(one.is_some() && connections.admit().is_none());
        connections.limit_to(NonZeroUsize::new(2).unwrap());
        assert!(connections.admit().is_some());
    }
}
