//! The engine of a disk drill: a real one, told over standard input what happens to its disk and its clock.
//!
//! Why a hidden command and no switch of `bsm serve`: an engine that serves has no way to be made to fail.

use std::collections::BTreeMap;
use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::cli::context;
use crate::cli::failure::Failure;
use crate::drill::disk::protocol::{Answer, Answered, Asked, Kept, Request};
use crate::engine::config::store::SharedRedactor;
use crate::engine::protocol::command::{Command, Envelope, Reply, Subject, Trigger};
use crate::engine::protocol::snapshot::Mode;
use crate::engine::{EngineConfig, Handle, Operator as _};
use crate::model::simulator::SimulatorSettings;
use crate::resilience::clock::{Clock, SystemClock};
use crate::settings::Settings;
use crate::settings::env::Env;
use crate::state::{Holder, StateDir};
use crate::workspace::trust::TrustStore;

/// The real clock, set forward or back.
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Instant {
        SystemClock.now()
    }

    fn wall_ms(&self) -> i64 {
        SystemClock.wall_ms().saturating_add(self.0.load(Relaxed))
    }
}

/// The pages of a journal that may grow as it likes.
const ANY_SIZE: u32 = 1 << 30;
/// Runs that are listed.
const MOST_RUNS: u32 = 100_000;

/// Runs until it is told to stop, or nobody is left to tell it.
pub(super) fn run(state: &Path, ahead_ms: i64) -> Result<u8, Failure> {
    let runtime = context::runtime()?;
    runtime.block_on(async {
        let clock = Arc::new(SetClock(AtomicI64::new(ahead_ms)));
        let state = StateDir::at(state);
        let started = start(&state, Arc::clone(&clock)).await;
        let (handle, lock) = match started {
            Ok(started) => started,
            Err(reason) => {
                answer(0, Answer::Failed { reason });
                return Ok(1);
            }
        };
        answer(0, Answer::Ready);
        let stopped = listen(&handle, &clock).await;
        handle.stop(Duration::from_secs(10)).await;
        drop(lock);
        if let Some(number) = stopped {
            answer(number, Answer::Done);
        }
        Ok(0)
    })
}

async fn start(
    state: &StateDir,
    clock: Arc<SetClock>,
) -> Result<(Arc<Handle>, crate::state::Lock), String> {
    state.prepare().map_err(|e| e.to_string())?;
    let lock = state.lock(Holder::Resident).map_err(|e| e.to_string())?;
    let mode = Mode {
        offline: true,
        ..Mode::default()
    };
    let started = Handle::start(EngineConfig {
        settings: Settings::default(),
        env: Env::default(),
        root: None,
        workspace: None,
        follows_folder: false,
        trust: TrustStore::default(),
        state: state.clone(),
        mode,
        resident: true,
        log: None,
        clock,
        settings_loader: None,
        shared_redactor: SharedRedactor::default(),
        simulator: SimulatorSettings::default(),
    })
    .await;
    let handle = started.map_err(|e| e.to_string())?;
    Ok((Arc::new(handle), lock))
}

/// Answers what is asked, each request beside the others; the number of the one that asked to stop.
async fn listen(handle: &Arc<Handle>, clock: &Arc<SetClock>) -> Option<u64> {
    let (sender, mut lines) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    while let Some(line) = lines.recv().await {
        let Ok(Asked { number, request }) = serde_json::from_str(&line) else {
            continue;
        };
        if request == Request::Stop {
            return Some(number);
        }
        let (handle, clock) = (Arc::clone(handle), Arc::clone(clock));
        tokio::spawn(async move {
            let done = carry_out(&handle, &clock, request).await;
            answer(
                number,
                done.unwrap_or_else(|reason| Answer::Failed { reason }),
            );
        });
    }
    None
}

async fn carry_out(handle: &Handle, clock: &SetClock, request: Request) -> Result<Answer, String> {
    let journal = handle.journal();
    match request {
        Request::Accept { title, bytes } => Ok(accept(handle, &title, bytes).await),
        Request::Health => {
            let snapshot = handle.snapshots().borrow().clone();
            let codes = snapshot.reasons.iter().map(|r| r.code.clone()).collect();
            Ok(Answer::Health { codes })
        }
        Request::Runs => {
            let rows = journal.recent(MOST_RUNS).await.map_err(|e| e.to_string())?;
            let mut runs: BTreeMap<String, Vec<Kept>> = BTreeMap::new();
            for row in rows {
                let input: serde_json::Value =
                    serde_json::from_str(&row.new.input).unwrap_or_default();
                let title = input["payload"]["title"].as_str().unwrap_or_default();
                runs.entry(title.to_owned()).or_default().push(Kept {
                    id: row.new.id,
                    decided: row.action.is_some(),
                });
            }
            Ok(Answer::Runs { runs })
        }
        Request::Full { full } => {
            // SQLite takes the present size where the limit is below it.
            let pages = if full { 1 } else { ANY_SIZE };
            let limited = journal.limit_pages(pages).await;
            limited.map_err(|e| e.to_string())?;
            Ok(Answer::Done)
        }
        Request::Stall { ms } => {
            let journal = journal.clone();
            tokio::spawn(async move { journal.stall(Duration::from_millis(ms)).await });
            Ok(Answer::Done)
        }
        Request::Clock { ahead_ms } => {
            clock.0.store(ahead_ms, Relaxed);
            Ok(Answer::Done)
        }
        Request::Prune => Ok(Answer::Pruned {
            items: handle.retention_pass().await,
        }),
        Request::Stop => Ok(Answer::Done),
    }
}

async fn accept(handle: &Handle, title: &str, bytes: usize) -> Answer {
    let text: String = (0..bytes.div_ceil(60))
        .map(|n| format!("+{n:>6} a line of a change that a drill asks about: {n:>6}\n"))
        .collect();
    let lines = bytes.div_ceil(60);
    let diff = format!(
        "diff --git a/notes.md b/notes.md\nnew file mode 100644\n--- /dev/null\n+++ b/notes.md\n@@ -0,0 +1,{lines} @@\n{text}"
    );
    let trigger = Trigger {
        event: "pull_request.opened".into(),
        payload: serde_json::json!({ "title": title }),
        subject: Some(Subject::Diff {
            diff: diff.into_bytes().into(),
        }),
        ..Trigger::default()
    };
    let envelope = Envelope {
        command: Command::Trigger(trigger),
        actor: "drill".into(),
        correlation: None,
    };
    match handle.send(envelope).await {
        Ok(Reply::Accepted { run, .. }) => Answer::Accepted { run },
        Ok(other) => Answer::Failed {
            reason: format!("unexpected: {other:?}"),
        },
        Err(refused) => Answer::Refused {
            reason: refused.to_string(),
        },
    }
}

/// A line of JSON. Where nobody reads it the drill is over.
fn answer(number: u64, answer: Answer) {
    if let Ok(line) = serde_json::to_string(&Answered { number, answer }) {
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    }
}
