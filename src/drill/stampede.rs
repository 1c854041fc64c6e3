//! Thousands of callers want the same answer at once; then the same without protection.

use std::time::Duration;

use futures_util::future::join_all;
use rustix::time::{ClockId, clock_gettime};

use super::harness::{Ended, Harness, WELL};
use super::measure::{Measure, exactly, fact, share_at_least};
use crate::drill::harness::Length;
use crate::model::simulator::{Faults, Latency};
use crate::settings::Flags;

const TIME: Duration = Duration::from_secs(60);
/// Callers without protection: fewer, for each is a call.
const UNPROTECTED: usize = 500;

pub async fn run(harness: &Harness, length: Length) -> Vec<Measure> {
    let callers = match length {
        Length::Short => 2_000,
        Length::Full => 10_000,
    };
    harness
        .simulator
        .behave(Some(WELL), Faults::after(Latency::Fixed(200)));
    harness.say(format!(
        "{callers} callers want one answer that takes 200 ms"
    ));
    let (ended, cpu) = crowd(harness, callers, "the one question").await;
    let loads = harness.reached(WELL);
    harness.say(format!(
        "{loads} call; then {UNPROTECTED} callers without single flight"
    ));
    harness.service.set_flags(Flags {
        cache_stampede_protection: false,
        bulkhead: false,
        ..harness.settings.flags
    });
    let (bare, bare_cpu) = crowd(harness, UNPROTECTED, "the other question").await;
    let bare_loads = harness.reached(WELL) - loads;
    harness.service.set_flags(harness.settings.flags);
    let without = ended.iter().filter(|e| !e.ok()).count();
    let each = |cpu: Duration, callers: usize| cpu.as_secs_f64() * 1e6 / callers as f64;
    vec![
        exactly("calls to the provider", 1, loads),
        exactly("callers without an answer", 0, without as u64),
        share_at_least(
            "answered without a call of their own",
            99.0,
            100.0 * (callers as u64 - loads.min(callers as u64)) as f64 / callers as f64,
        ),
        fact("processor time a caller", each(cpu, callers), "µs"),
        fact(
            "without protection: calls to the provider",
            bare_loads as f64,
            "",
        ),
        fact(
            "without protection: callers without an answer",
            bare.iter().filter(|e| !e.ok()).count() as f64,
            "",
        ),
        fact(
            "without protection: processor time a caller",
            each(bare_cpu, UNPROTECTED),
            "µs",
        ),
    ]
}

/// All at once; their ends, and the processor's time.
async fn crowd(harness: &Harness, callers: usize, text: &str) -> (Vec<Ended>, Duration) {
    let before = processor();
    let ended = join_all((0..callers).map(|_| harness.ask_this("other", text, TIME))).await;
    (ended, processor().saturating_sub(before))
}

/// The processor time of this process, the simulator in it included.
fn processor() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}
