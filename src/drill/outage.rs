//! A provider answers 503 to everything, and there is no other.

use std::time::Duration;

use super::harness::{Harness, SICK};
use super::measure::{Measure, at_most, exactly, percentile, within, within_us};
use crate::model::error::ModelError;
use crate::model::simulator::{Fault, Faults};
use crate::resilience::bulkhead::Lane;
use crate::resilience::deadline::Deadline;
use crate::resilience::policy::{Call, Target, Waits};

const TIME: Duration = Duration::from_secs(10);
const REFUSED: usize = 2_000;

pub async fn run(harness: &Harness) -> Vec<Measure> {
    let down = Fault::Status {
        status: 503,
        code: None,
        retry_after: None,
    };
    harness
        .simulator
        .behave(Some(SICK), Faults::none().with(100.0, down));
    let limit = harness.settings.breaker.failures;
    harness.say(format!(
        "{SICK} answers 503; the breaker opens after {limit} failures in a row"
    ));
    let opening = harness.ask("alone", TIME).await;
    let again = harness.ask("alone", TIME).await;
    let failed = [&opening, &again].iter().filter(|e| !e.ok()).count();
    let until_open = harness.reached(SICK);
    harness.say(format!(
        "open after {until_open} questions; {REFUSED} more are asked"
    ));
    let mut took = Vec::with_capacity(REFUSED);
    let mut by_breaker = 0;
    for _ in 0..REFUSED {
        let ended = harness.ask("alone", TIME).await;
        // A trial when the open time is over is no refusal.
        if ended.trace.iter().all(|a| !a.sent) {
            by_breaker += u64::from(ended.error.is_some());
            took.push(ended.took);
        }
    }
    let sent = harness.reached(SICK);
    let trials = sent - until_open;
    let asked_and_refused = took.len() as u64;
    let mut measures = vec![
        exactly(
            "first questions that fail with the provider's own error",
            2,
            failed as u64,
        ),
        at_most("sent until it opened", u64::from(limit) + 1, until_open),
        exactly(
            "refused at once, of those not let through as a trial",
            asked_and_refused,
            by_breaker,
        ),
        at_most("trials let through meanwhile", 5, trials),
        within("a refusal, end to end, p99", 1.0, percentile(&took, 99.0)),
    ];
    if let Some(stack) = in_the_stack(harness).await {
        measures.push(within_us(
            "a refusal, in the stack, p99",
            5.0,
            percentile(&stack, 99.0),
        ));
    }
    measures
}

/// The stack alone, without question, cache and task.
async fn in_the_stack(harness: &Harness) -> Option<Vec<Duration>> {
    let guards = harness.guards(SICK)?;
    guards.breaker.isolate("drill", harness.now());
    let targets = [Target {
        guards,
        attempt_timeout: TIME,
        tokens: 1,
        what: (),
    }];
    let mut took = Vec::new();
    for _ in 0..REFUSED {
        let began = harness.now();
        let call = Call {
            deadline: Deadline::after(began, TIME),
            lane: Lane::Run,
            retry: harness.settings.retry,
            layers: harness.settings.flags.layers(),
            stale_at_hand: false,
            waits: Waits::UntilDeadline,
        };
        let send = |(): &()| async { Ok::<((), u32), ModelError>(((), 0)) };
        let outcome = harness.service.policy().run(call, &targets, send).await;
        took.push(harness.now() - began);
        if outcome.result.is_ok() {
            return None;
        }
    }
    Some(took)
}
