//! Tables of named cases: all are tried, and all that fail are told.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// As many as keep two cores busy while some wait.
const AT_ONCE: usize = 6;

pub(crate) type Case<T> = (String, T);

pub(crate) fn case(name: impl Into<String>, bytes: impl AsRef<[u8]>) -> Case<Vec<u8>> {
    (name.into(), bytes.as_ref().to_vec())
}

/// Tries each case, some at a time; fails with the names of all that failed, and what was seen.
pub(crate) fn check<T: Sync>(cases: &[Case<T>], attempt: impl Fn(&T) -> Result<(), String> + Sync) {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(cases.len()) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    let Some((name, subject)) = cases.get(at) else { break };
                    let outcome = catch_unwind(AssertUnwindSafe(|| attempt(subject)));
                    if let Err(seen) = outcome.unwrap_or_else(|_| Err("panicked".into())) {
                        failures
                            .lock()
                            .unwrap()
                            .push((at, format!("  {}: {seen}", name.escape_debug())));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    let told: Vec<_> = failures.into_iter().map(|(_, failure)| failure).collect();
    assert!(told.is_empty(), "{} of {} fail:\n{}", told.len(), cases.len(), told.join("\n"));
}
