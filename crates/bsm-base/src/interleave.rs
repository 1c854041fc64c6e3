//! Tests only: callers interleaved at every lock, under shuttle's scheduler.
//!
//! Why here: the cores wait for nothing but their mutex, so the order in which callers enter it is all
//! that can differ between two executions. Inside [`explore`] each entry is a scheduling point.

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, TryLockError};

thread_local! {
    static EXPLORING: Cell<bool> = const { Cell::new(false) };
}

/// Runs `body` under `times` schedules: most of them random, some with few preemptions in deep places.
/// `SHUTTLE_ITERATIONS` asks for more.
pub fn explore(times: usize, body: fn()) {
    let times = std::env::var("SHUTTLE_ITERATIONS")
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(times);
    let body = move || {
        EXPLORING.set(true);
        body();
    };
    shuttle::check_random(body, times);
    shuttle::check_pct(body, times / 5, 3);
    EXPLORING.set(false);
}

/// Other callers may go first here.
pub fn point() {
    if EXPLORING.get() && !std::thread::panicking() {
        shuttle::thread::yield_now();
    }
}

/// The lock, after other callers may have gone first; `None` outside [`explore`].
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    if !EXPLORING.get() || std::thread::panicking() {
        return None;
    }
    loop {
        point();
        match mutex.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            // All callers share one thread here: its holder goes on when it is chosen.
            Err(TryLockError::WouldBlock) => {}
        }
    }
}
