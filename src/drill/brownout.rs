//! One provider answers after 5 to 10 s with errors among it, under full load; the other one, at 100 ms,
//! must not notice.

use std::time::Duration;

use super::harness::{Ended, Harness, SICK, WELL};
use super::measure::{Measure, at_least, exactly, fact, percentile, ratio_at_most};
use crate::drill::harness::Length;
use crate::model::simulator::faults::preset;
use crate::model::simulator::{Faults, Latency};

const TIME: Duration = Duration::from_secs(20);
/// Questions a second to the healthy one: two at a time, where its pool has ten places. A machine that
/// stands still for a third of a second makes none of them queue.
const RATE: u32 = 20;

pub async fn run(harness: &Harness, length: Length) -> Vec<Measure> {
    let lasting = match length {
        Length::Short => Duration::from_secs(3),
        Length::Full => Duration::from_secs(20),
    };
    harness
        .simulator
        .behave(Some(WELL), Faults::after(Latency::Fixed(100)));
    harness.simulator.behave(Some(SICK), Faults::none());
    harness.say(format!("{WELL} alone, {RATE} questions a second"));
    let before = harness.at_rate(RATE, lasting, "other", TIME).await;
    harness
        .simulator
        .behave(Some(SICK), preset("brownout").unwrap_or_default());
    harness.say(format!(
        "now {SICK} answers after 5 to 10 s, with {RATE} questions a second of its own"
    ));
    // Its callers give up after two seconds: none of them may go over to the healthy one in this drill.
    let drowning = harness.at_rate(RATE, lasting, "alone", Duration::from_secs(2));
    let (during, drowned) = tokio::join!(harness.at_rate(RATE, lasting, "other", TIME), drowning);
    let pool = harness.guards(WELL).map(|g| g.pool.stats());
    let rejected = pool.as_ref().map_or(1, |p| p.rejected + p.timed_out);
    let waited = pool.as_ref().map_or(1, |p| p.waited);
    let failed = before.iter().chain(&during).filter(|e| !e.ok()).count();
    let p99 = |ended: &[Ended]| percentile(&ended.iter().map(|e| e.took).collect::<Vec<_>>(), 99.0);
    let (calm, stormy) = (p99(&before), p99(&during));
    let refused = drowned.iter().filter(|e| !e.ok()).count();
    vec![
        exactly(
            "healthy provider: questions without an answer",
            0,
            failed as u64,
        ),
        exactly("healthy provider: rejections", 0, rejected),
        exactly("healthy provider: questions that had to queue", 0, waited),
        at_least(
            "questions to the drowning one that were given up",
            1,
            refused as u64,
        ),
        ratio_at_most(
            "healthy provider: p99 during against before",
            1.1,
            stormy.as_secs_f64() / calm.as_secs_f64().max(1e-6),
        ),
        fact(
            "healthy provider: p99 before",
            calm.as_secs_f64() * 1e3,
            "ms",
        ),
        fact(
            "healthy provider: p99 during",
            stormy.as_secs_f64() * 1e3,
            "ms",
        ),
    ]
}
