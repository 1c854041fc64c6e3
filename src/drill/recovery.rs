//! A provider is down for three seconds and comes back; under `--full` also for a minute.

use std::time::Duration;

use super::Length;
use super::ground::{Ended, Ground, SICK};
use super::measure::{Measure, at_least, at_most, exactly, within};
use crate::model::simulator::{Fault, Faults};
use crate::resilience::breaker::BreakerState;

const TIME: Duration = Duration::from_secs(5);
const RATE: u32 = 20;

pub async fn run(ground: &Ground, length: Length) -> Vec<Measure> {
    let mut measures = outage(ground, Duration::from_secs(3), 2_000.0).await;
    if length == Length::Full {
        measures.extend(outage(ground, Duration::from_secs(60), 31_000.0).await);
    }
    measures
}

/// One outage. How soon it is noticed depends on the breaker's settings alone, which are the defaults.
async fn outage(ground: &Ground, lasting: Duration, promised_ms: f64) -> Vec<Measure> {
    let seconds = lasting.as_secs();
    ground.say(format!("{SICK} is well, {RATE} questions a second"));
    ground.simulator.behave(Some(SICK), Faults::none());
    let calm = ground
        .at_rate(RATE, Duration::from_secs(1), "alone", TIME)
        .await;
    ground
        .simulator
        .behave(Some(SICK), Faults::none().with(100.0, Fault::Reset));
    ground.say(format!("{SICK} breaks every connection for {seconds} s"));
    let reached = ground.reached(SICK);
    let down = ground.at_rate(RATE, lasting, "alone", TIME).await;
    let sent = ground.reached(SICK) - reached;
    let back = ground.now();
    ground.simulator.behave(Some(SICK), Faults::none());
    ground.say(format!(
        "{SICK} is back; {sent} questions reached it while it was down"
    ));
    // Longer than the longest open time: on a slow machine it is late, and still noticed.
    let wait = Duration::from_secs(45);
    let mut after: Vec<Ended> = Vec::new();
    while ground.now() - back < wait && !after.iter().rev().take(20).any(Ended::ok) {
        after.extend(
            ground
                .at_rate(RATE, Duration::from_millis(250), "alone", TIME)
                .await,
        );
    }
    let first = after
        .iter()
        .filter(|e| e.ok())
        .map(|e| (e.at + e.took).saturating_duration_since(back))
        .min();
    let settled = ground
        .at_rate(RATE, Duration::from_secs(1), "alone", TIME)
        .await;
    let state = ground
        .guards(SICK)
        .map(|g| g.breaker.stats(ground.now()).state);
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
