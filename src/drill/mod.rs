//! Drills: what the resilience core promises, tried out on the spot against a simulator of its own.
//!
//! Why in the product and not only in the tests: an operator who trusts a breaker wants to have seen it
//! open. A drill takes nothing from the engine that runs: it has its own simulator, its own service, its
//! own breakers. It states what it promises, says what happens while it happens, and puts the measured
//! beside the promised. A promise that is a count is kept or broken on any machine; one that is a time
//! depends on the machine and decides only where that is asked for.
//!
//! A drill is one file here and one line in [`DRILLS`], or one in [`disk`] and one line in [`DISK_DRILLS`].

mod brownout;
pub mod disk;
mod flaky;
pub(crate) mod harness;
pub mod measure;
mod outage;
mod poison;
mod rate_limited;
mod recovery;
mod slow;
mod stampede;

use std::path::Path;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

pub use self::harness::{Length, Say};
use disk::scene::Scene;
use disk::{clock, deleted_file, failing_writes, frozen, kill};
use harness::Harness;
use measure::Measure;

/// One drill.
pub struct Drill {
    /// Its name.
    pub name: &'static str,
    /// What it promises, in a sentence.
    pub promise: &'static str,
    act: Act,
}

/// What a drill stands on, and what it does there.
enum Act {
    /// A simulator and a service.
    Providers(for<'a> fn(&'a Harness, Length) -> BoxFuture<'a, Vec<Measure>>),
    /// An engine of its own over a state directory.
    Disk(for<'a> fn(&'a mut Scene, Length) -> BoxFuture<'a, Result<Vec<Measure>, String>>),
}

/// Those for providers.
pub static DRILLS: &[Drill] = &[
    Drill {
        name: "outage",
        promise: "A provider that is down is asked a handful of times and then refused in microseconds.",
        act: Act::Providers(|harness, _| outage::run(harness).boxed()),
    },
    Drill {
        name: "slow",
        promise: "A provider that takes half a minute holds up nobody for long: the healthy one answers.",
        act: Act::Providers(|harness, length| slow::run(harness, length).boxed()),
    },
    Drill {
        name: "flaky",
        promise: "A provider that fails half of the time, with a healthy one behind it, costs no run its verdict.",
        act: Act::Providers(|harness, _| flaky::run(harness).boxed()),
    },
    Drill {
        name: "rate-limited",
        promise: "A provider that asks for quiet gets it, and is not taken for sick.",
        act: Act::Providers(|harness, _| rate_limited::run(harness).boxed()),
    },
    Drill {
        name: "stampede",
        promise: "Thousands of callers of one answer are one call.",
        act: Act::Providers(|harness, length| stampede::run(harness, length).boxed()),
    },
    Drill {
        name: "poison",
        promise: "Nothing that is no verdict is taken for one, kept, or served later.",
        act: Act::Providers(|harness, _| poison::run(harness).boxed()),
    },
    Drill {
        name: "brownout",
        promise: "While one provider is drowning, the callers of the other notice nothing.",
        act: Act::Providers(|harness, length| brownout::run(harness, length).boxed()),
    },
    Drill {
        name: "recovery",
        promise: "When a provider comes back, it is noticed within seconds.",
        act: Act::Providers(|harness, length| recovery::run(harness, length).boxed()),
    },
];

/// Those for disks.
pub static DISK_DRILLS: &[Drill] = &[
    Drill {
        name: "full-disk",
        promise: "On a full disk nothing is promised that is not kept, and work goes on by itself when there is space.",
        act: Act::Disk(|scene, _| failing_writes::full(scene).boxed()),
    },
    Drill {
        name: "io-error",
        promise: "A disk that refuses every write loses nothing that was promised, and is named within seconds.",
        act: Act::Disk(|scene, _| failing_writes::refused(scene).boxed()),
    },
    Drill {
        name: "frozen-disk",
        promise: "While the disk stands still, health answers at once and says so, and nothing is acknowledged.",
        act: Act::Disk(|scene, length| frozen::run(scene, length).boxed()),
    },
    Drill {
        name: "kill-9",
        promise: "Killed at any moment, each acknowledged run ends in one decision and one report.",
        act: Act::Disk(|scene, length| kill::run(scene, length).boxed()),
    },
    Drill {
        name: "clock",
        promise: "A wall clock that is set stops no run and deletes nothing.",
        act: Act::Disk(|scene, _| clock::run(scene).boxed()),
    },
    Drill {
        name: "deleted-file",
        promise: "Into a journal that was deleted nothing is acknowledged, and no new one takes its place unasked.",
        act: Act::Disk(|scene, _| deleted_file::run(scene).boxed()),
    },
];

/// A drill by its name.
pub fn of(name: &str) -> Option<&'static Drill> {
    let mut all = DRILLS.iter().chain(DISK_DRILLS);
    all.find(|d| d.name == name)
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

/// Runs one drill. Must be called inside tokio. `folder`: where a disk drill makes its state directory; `None`:
/// where temporary files go.
///
/// # Errors
/// A sentence, when its simulator or its engine cannot be started, or it does not end.
pub async fn run(
    drill: &Drill,
    length: Length,
    folder: Option<&Path>,
    say: Say,
) -> Result<Drilled, String> {
    let began = std::time::Instant::now();
    let measures = match drill.act {
        Act::Providers(act) => {
            let harness = Harness::new(say).await?;
            in_time(drill, act(&harness, length)).await?
        }
        Act::Disk(act) => {
            let mut scene = Scene::new(folder, say)?;
            in_time(drill, act(&mut scene, length)).await??
        }
    };
    Ok(Drilled {
        name: drill.name.to_owned(),
        promise: drill.promise.to_owned(),
        measures,
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

async fn in_time<T>(drill: &Drill, work: BoxFuture<'_, T>) -> Result<T, String> {
    tokio::time::timeout(LONGEST, work).await.map_err(|_| {
        format!(
            "the drill {} did not end within {} s",
            drill.name,
            LONGEST.as_secs()
        )
    })
}
