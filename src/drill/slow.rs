//! A provider takes half a minute for each answer; another one is well.

use std::time::Duration;

use super::harness::{Harness, SICK, WELL};
use super::measure::{Measure, at_least, at_most, exactly, percentile, within};
use crate::drill::harness::Length;
use crate::model::simulator::{Faults, Latency};

const SLOW: Duration = Duration::from_secs(29);

pub async fn run(harness: &Harness, length: Length) -> Vec<Measure> {
    let patience = match length {
        // The first token is waited for as long as the answer takes in real life.
        Length::Full => Duration::from_secs(20),
        Length::Short => Duration::from_millis(500),
    };
    harness.clocks(patience, patience * 2);
    let time = patience * 8;
    let faults = Faults::after(Latency::Fixed(29_000));
    harness.simulator.behave(Some(SICK), faults);
    harness.simulator.behave(Some(WELL), Faults::none());
    harness.say(format!(
        "{SICK} answers after {} s; it is waited for {:.1} s",
        SLOW.as_secs(),
        patience.as_secs_f64()
    ));
    let first = harness.many(40, 10, "first", time).await;
    let sent = harness.reached(SICK);
    harness.say(format!(
        "the breaker has opened after {sent} questions; 200 more are asked"
    ));
    let later = harness.many(200, 10, "first", time).await;
    let trials = harness.reached(SICK) - sent;
    // Those that were a trial waited for it.
    let passed_by: Vec<Duration> = later
        .iter()
        .filter(|e| e.trace.iter().all(|a| !a.sent || a.target > 0))
        .map(|e| e.took)
        .collect();
    let failed = first.iter().chain(&later).filter(|e| !e.ok()).count();
    let by_well = first.iter().chain(&later).filter(|e| e.by(WELL)).count();
    let limit = u64::from(harness.settings.breaker.failures);
    let held = harness.guards(SICK).map_or(0, |g| g.pool.stats().in_use);
    vec![
        exactly("questions without an answer", 0, failed as u64),
        exactly("answered by the healthy provider", 240, by_well as u64),
        // What was under way when it opened cannot be called back.
        at_most("sent to the slow one until it opened", limit + 10, sent),
        at_most("trials afterwards", 5, trials),
        at_least(
            "questions that did not wait for it at all",
            190,
            passed_by.len() as u64,
        ),
        exactly("places still held in its pool", 0, u64::from(held)),
        within(
            "an answer once it is open, p99",
            50.0,
            percentile(&passed_by, 99.0),
        ),
    ]
}
