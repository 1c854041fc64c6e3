//! A provider is down for three seconds and comes back; under `--full` also for a minute.

use std::time::Duration;

use super::harness::{Ended, Harness, SICK};
use super::measure::{Measure, at_least, at_most, exactly, within};
use crate::drill::harness::Length;
use crate::model::simulator::{Fault, Faults};
use crate::resilience::breaker::BreakerState;

const TIME: Duration = Duration::from_secs(5);
const RATE: u32 = 20;

pub async fn run(harness: &Harness, length: Length) -> Vec<Measure> {
    let mut measures = outage(harness, Duration::from_secs(3), 2_000.0).await;
    if length == Length::Full {
        measures.extend(outage(harness, Duration::from_secs(60), 31_000.0).await);
    }
    measures
}

/// One outage. How soon it is noticed depends on the breaker's settings alone, which are the defaults.
async fn outage(harness: &Harness, lasting: Duration, promised_ms: f64) -> Vec<Measure> {
    let seconds = lasting.as_secs();
    harness.say(format!("{SICK} is well, {RATE} questions a second"));
    harness.simulator.behave(Some(SICK), Faults::none());
    let calm = harness
        .at_rate(RATE, Duration::from_secs(1), "alone", TIME)
        .await;
    harness
        .simulator
        .behave(Some(SICK), Faults::none().with(100.0, Fault::Reset));
    harness.say(format!("{SICK} breaks every connection for {seconds} s"));
    let reached = harness.reached(SICK);
    let down = harness.at_rate(RATE, lasting, "alone", TIME).await;
    let sent = harness.reached(SICK) - reached;
    let back = harness.now();
    harness.simulator.behave(Some(SICK), Faults::none());
    harness.say(format!(
        "{SICK} is back; {sent} questions reached it while it was down"
    ));
    // Longer than the longest open time: on a slow machine it is late, and still noticed.
    let wait = Duration::from_secs(45);
    let mut after: Vec<Ended> = Vec::new();
    while harness.now() - back < wait && !after.iter().rev().take(20).any(Ended::ok) {
        after.extend(
            harness
                .at_rate(RATE, Duration::from_millis(250), "alone", TIME)
                .await,
        );
    }
    let first = after
        .iter()
        .filter(|e| e.ok())
        .map(|e| (e.at + e.took).saturating_duration_since(back))
        .min();
    let settled = harness
        .at_rate(RATE, Duration::from_secs(1), "alone", TIME)
        .await;
    let state = harness
        .guards(SICK)
        .map(|g| g.breaker.stats(harness.now()).state);
    let name = |what: &str| format!("after {seconds} s: {what}");
    vec![
        exactly(
            &name("answered before"),
            calm.len() as u64,
            calm.iter().filter(|e| e.ok()).count() as u64,
        ),
        at_least(
            &name("failed while it was down"),
            1,
            down.iter().filter(|e| !e.ok()).count() as u64,
        ),
        at_most(
            &name("questions that reached it while it was down"),
            20,
            sent,
        ),
        exactly(
            &name("closed again"),
            1,
            u64::from(state == Some(BreakerState::Closed)),
        ),
        exactly(
            &name("answered once it is closed"),
            settled.len() as u64,
            settled.iter().filter(|e| e.ok()).count() as u64,
        ),
        within(
            &name("first good answer"),
            promised_ms,
            first.unwrap_or(Duration::MAX),
        ),
    ]
}
