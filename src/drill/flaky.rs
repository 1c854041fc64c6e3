//! A provider fails every second time; another one is well.

use std::time::Duration;

use super::harness::{Harness, SICK, WELL};
use super::measure::{Measure, at_least, exactly, fact, percentile};
use crate::model::simulator::faults::preset;
use crate::model::simulator::{Faults, Latency};

const RUNS: usize = 100;
/// Agents of a run, each with a question.
const AGENTS: usize = 4;
const TIME: Duration = Duration::from_secs(30);

pub async fn run(harness: &Harness) -> Vec<Measure> {
    let flaky = preset("flaky").unwrap_or_default();
    harness.simulator.behave(Some(SICK), flaky);
    let well = Faults::after(Latency::Between { from: 20, to: 80 });
    harness.simulator.behave(Some(WELL), well);
    harness.say(format!(
        "{SICK} answers about half of the questions with 503, {WELL} is well; {RUNS} runs of {AGENTS} agents"
    ));
    let (mut failed_runs, mut answered, mut took, mut retried) = (0, 0, Vec::new(), 0);
    for group in 0..RUNS / 10 {
        let ended = harness.many(10 * AGENTS, 10, "first", TIME).await;
        failed_runs += ended
            .chunks(AGENTS)
            .filter(|run| run.iter().any(|e| !e.ok()))
            .count();
        answered += ended.iter().filter(|e| e.by(SICK)).count();
        retried += ended.iter().filter(|e| e.trace.len() > 1).count();
        took.extend(ended.iter().map(|e| e.took));
        if group % 5 == 4 {
            harness.say(format!("{} runs, {failed_runs} failed", (group + 1) * 10));
        }
    }
    let told = harness.simulator.asked(SICK);
    let failures: u64 = told.faults.values().sum();
    vec![
        exactly("failed runs", 0, failed_runs as u64),
        at_least("failures of the provider that nobody saw", 5, failures),
        fact(
            "answered by the flaky provider all the same",
            answered as f64,
            "",
        ),
        fact(
            "questions that took more than one attempt",
            retried as f64,
            "",
        ),
        fact(
            "an answer, p99",
            percentile(&took, 99.0).as_secs_f64() * 1e3,
            "ms",
        ),
    ]
}
