//! A provider answers four of ten questions with 429 and asks for half a second of quiet.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::harness::{Harness, SICK, WELL};
use super::measure::{Measure, at_least, exactly, fact};
use crate::model::request::Observed;
use crate::model::simulator::{Fault, Faults, Latency, RetryAfter};
use crate::resilience::clock::lock;

const QUIET_MS: u64 = 500;
const TIME: Duration = Duration::from_secs(20);

/// When a question was sent and when its 429 was there, wall time in milliseconds.
struct Sent {
    from: i64,
    refused_at: Option<i64>,
}

pub async fn run(harness: &Harness) -> Vec<Measure> {
    let refused = Fault::Status {
        status: 429,
        code: None,
        retry_after: Some(RetryAfter::Millis { ms: QUIET_MS }),
    };
    let faults = Faults::after(Latency::Fixed(10)).with(40.0, refused);
    harness.simulator.behave(Some(SICK), faults);
    harness
        .simulator
        .behave(Some(WELL), Faults::after(Latency::Fixed(10)));
    let sent = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sent);
    harness.service.observe(Box::new(move |o: &Observed<'_>| {
        if o.attempt.sent && &*o.attempt.upstream == SICK {
            let took = i64::try_from(o.attempt.upstream_us / 1_000).unwrap_or(0);
            let refused_at = (o.attempt.outcome == "http_429").then_some(o.at_ms + took);
            lock(&seen).push(Sent {
                from: o.at_ms,
                refused_at,
            });
        }
    }));
    harness.say(format!(
        "{SICK} answers 429 with retry-after-ms {QUIET_MS} to four of ten; 4 at a time"
    ));
    let ended = harness.many(60, 4, "first", TIME).await;
    let failed = ended.iter().filter(|e| !e.ok()).count();
    let sent = lock(&sent);
    let refusals: Vec<i64> = sent.iter().filter_map(|s| s.refused_at).collect();
    // What was on its way when the refusal was being read is no offence, even on a machine that hesitates.
    let (hesitates, quiet) = (QUIET_MS.cast_signed() / 5, QUIET_MS.cast_signed() - 5);
    let into_quiet = sent
        .iter()
        .filter(|s| {
            refusals
                .iter()
                .any(|r| s.from > r + hesitates && s.from < r + quiet)
        })
        .count();
    let breaker = harness.guards(SICK).map(|g| g.breaker.stats(harness.now()));
    vec![
        exactly("questions without an answer", 0, failed as u64),
        at_least("times it asked for quiet", 3, refusals.len() as u64),
        exactly("questions sent into its quiet", 0, into_quiet as u64),
        exactly(
            "counted by its breaker",
            0,
            breaker.map_or(1, |b| b.failures),
        ),
        fact(
            "answered by the healthy provider meanwhile",
            ended.iter().filter(|e| e.by(WELL)).count() as f64,
            "",
        ),
    ]
}
