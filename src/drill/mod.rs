//! Drills: what the resilience core promises, tried out on the spot against a simulator of its own.
//!
//! Why in the product and not only in the tests: an operator who trusts a breaker wants to have seen it
//! open. A drill takes nothing from the engine that runs: it has its own simulator, its own service, its
//! own breakers. It states what it promises, says what happens while it happens, and puts the measured
//! beside the promised. A promise that is a count is kept or broken on any machine; one that is a time
//! depends on the machine and decides only where that is asked for.
//!
//! A drill is one file here and one line in [`DRILLS`].

mod brownout;
mod flaky;
pub(crate) mod harness;
pub mod measure;
mod outage;
mod poison;
mod rate_limited;
mod recovery;
mod slow;
mod stampede;

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

pub use self::harness::{Length, Say};
use harness::Harness;
use measure::Measure;

/// One drill.
pub struct Drill {
    /// Its name.
    pub name: &'static str,
    /// What it promises, in a sentence.
    pub promise: &'static str,
    run: for<'a> fn(&'a Harness, Length) -> BoxFuture<'a, Vec<Measure>>,
}

/// All of them.
pub static DRILLS: &[Drill] = &[
    Drill {
        name: "outage",
        promise: "A provider that is down is asked a handful of times and then refused in microseconds.",
        run: |harness, _| outage::run(harness).boxed(),
    },
    Drill {
        name: "slow",
        promise: "A provider that takes half a minute holds up nobody for long: the healthy one answers.",
        run: |harness, length| slow::run(harness, length).boxed(),
    },
    Drill {
        name: "flaky",
        promise: "A provider that fails half of the time, with a healthy one behind it, costs no run its verdict.",
        run: |harness, _| flaky::run(harness).boxed(),
    },
    Drill {
        name: "rate-limited",
        promise: "A provider that asks for quiet gets it, and is not taken for sick.",
        run: |harness, _| rate_limited::run(harness).boxed(),
    },
    Drill {
        name: "stampede",
        promise: "Thousands of callers of one answer are one call.",
        run: |harness, length| stampede::run(harness, length).boxed(),
    },
    Drill {
        name: "poison",
        promise: "Nothing that is no verdict is taken for one, kept, or served later.",
        run: |harness, _| poison::run(harness).boxed(),
    },
    Drill {
        name: "brownout",
        promise: "While one provider is drowning, the callers of the other notice nothing.",
        run: |harness, length| brownout::run(harness, length).boxed(),
    },
    Drill {
        name: "recovery",
        promise: "When a provider comes back, it is noticed within seconds.",
        run: |harness, length| recovery::run(harness, length).boxed(),
    },
];

/// A drill by its name.
pub fn of(name: &str) -> Option<&'static Drill> {
    DRILLS.iter().find(|d| d.name == name)
}

/// How a drill ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drilled {
    /// Its name.
    pub name: String,
    /// What it promised.
    pub promise: String,
    /// What was measured.
    pub measures: Vec<Measure>,
    /// Milliseconds it took.
    pub took_ms: u64,
}

impl Drilled {
    /// True when every promise is kept; times only where they decide.
    pub fn kept(&self, strict: bool) -> bool {
        self.measures.iter().all(|m| m.kept() || !m.decides(strict))
    }
}

/// Longest drill.
const LONGEST: Duration = Duration::from_secs(300);

/// Runs one drill. Must be called inside tokio.
///
/// # Errors
/// A sentence, when its simulator cannot be started, or it does not end.
pub async fn run(drill: &Drill, length: Length, say: Say) -> Result<Drilled, String> {
    let harness = Harness::new(say).await?;
    let began = std::time::Instant::now();
    let measures = tokio::time::timeout(LONGEST, (drill.run)(&harness, length))
        .await
        .map_err(|_| {
            format!(
                "the drill {} did not end within {} s",
                drill.name,
                LONGEST.as_secs()
            )
        })?;
    Ok(Drilled {
        name: drill.name.to_owned(),
        promise: drill.promise.to_owned(),
        measures,
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}
