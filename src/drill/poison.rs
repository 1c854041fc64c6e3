//! A provider sends everything but a verdict: rubbish, halves, prose, refusals, answers without end.

use std::time::Duration;

use super::harness::{Harness, SICK};
use super::measure::{Measure, exactly, fact};
use crate::model::simulator::{Fault, Faults};

const EACH: usize = 6;
const TIME: Duration = Duration::from_secs(10);

pub async fn run(harness: &Harness) -> Vec<Measure> {
    let poisons = [
        ("rubbish", Fault::Garbage),
        ("a broken half", Fault::Truncate),
        ("prose", Fault::Prose),
        ("an answer cut at its length", Fault::CutOff),
        ("a refusal", Fault::Refuse),
        ("an error inside", Fault::ErrorInside),
        ("an answer without end", Fault::Huge),
        ("a proxy's page", Fault::Page),
    ];
    let (mut taken, mut questions) = (0, Vec::new());
    for (words, fault) in poisons {
        harness.say(format!("{SICK} sends {words}"));
        harness
            .simulator
            .behave(Some(SICK), Faults::none().with(100.0, fault));
        for n in 0..EACH {
            let text = format!("{words} {n}");
            close(harness);
            taken += u64::from(harness.ask_this("alone", &text, TIME).await.ok());
            questions.push(text);
        }
    }
    harness.say(format!(
        "{SICK} is gone; the same {} questions",
        questions.len()
    ));
    harness
        .simulator
        .behave(Some(SICK), Faults::none().with(100.0, Fault::Reset));
    let mut later = 0;
    for text in &questions {
        close(harness);
        later += u64::from(harness.ask_this("alone", text, TIME).await.ok());
    }
    harness.say(format!(
        "{SICK} is well again; the same {} questions",
        questions.len()
    ));
    harness.simulator.behave(Some(SICK), Faults::none());
    // A refusal is remembered for a moment; that moment is over when it is cleared.
    harness.service.clear_cache();
    close(harness);
    let mut answered = 0;
    for text in &questions {
        answered += u64::from(harness.ask_this("alone", text, TIME).await.ok());
    }
    vec![
        exactly("taken for a verdict", 0, taken),
        exactly("served later", 0, later),
        exactly("answered once it is well", questions.len() as u64, answered),
        fact(
            "questions asked of the poisoned provider",
            harness.reached(SICK) as f64,
            "",
        ),
    ]
}

/// Each poison meets an open door: what is tried here is not the breaker.
fn close(harness: &Harness) {
    if let Some(guards) = harness.guards(SICK) {
        guards.breaker.close("drill", harness.now());
    }
}
