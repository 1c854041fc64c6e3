//! The engine of a drill: a process of its own, over a state directory of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;

use crate::drill::disk::protocol::{Answer, Answered, Asked, Kept, Request};
use crate::resilience::clock::lock;

/// An engine that has not answered after this is broken, whatever the drill does to it.
const ANSWER: Duration = Duration::from_secs(120);

type Waiting = Arc<Mutex<BTreeMap<u64, oneshot::Sender<Answer>>>>;

/// A running engine. Dropped, it is killed.
pub struct Engine {
    process: Child,
    input: tokio::sync::Mutex<ChildStdin>,
    waiting: Waiting,
    number: AtomicU64,
}

impl Engine {
    /// Starts one over a state directory.
    ///
    /// # Errors
    /// It does not start: the reason that it gives itself.
    pub async fn start(state: &Path, ahead_ms: i64) -> Result<Self, String> {
        let mut process = Command::new(program())
            .args(["drill", "--engine"])
            .arg(state)
            .arg(format!("--ahead-ms={ahead_ms}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| format!("the drill's engine cannot start: {e}"))?;
        let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("the drill's engine has no input or output".into());
        };
        let waiting = Waiting::default();
        let (sender, started) = oneshot::channel();
        lock(&waiting).insert(0, sender);
        tokio::spawn(listen(output, Arc::clone(&waiting)));
        let engine = Self {
            process,
            input: tokio::sync::Mutex::new(input),
            waiting,
            number: AtomicU64::new(1),
        };
        match within(started).await? {
            Answer::Ready => Ok(engine),
            Answer::Failed { reason } => Err(reason),
            other => Err(format!("the drill's engine began with {other:?}")),
        }
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// It has ended, or does not answer.
    pub async fn ask(&self, request: Request) -> Result<Answer, String> {
        let number = self.number.fetch_add(1, Relaxed);
        let (sender, answer) = oneshot::channel();
        lock(&self.waiting).insert(number, sender);
        let asked = Asked { number, request };
        let line = serde_json::to_string(&asked).map_err(|e| e.to_string())? + "\n";
        let written = self.input.lock().await.write_all(line.as_bytes()).await;
        written.map_err(|e| format!("the drill's engine has ended: {e}"))?;
        within(answer).await
    }

    /// Asks for something that is only done.
    ///
    /// # Errors
    /// It was not.
    pub async fn tell(&self, request: Request) -> Result<(), String> {
        match self.ask(request).await? {
            Answer::Done => Ok(()),
            Answer::Failed { reason } => Err(reason),
            other => Err(format!("unexpected: {other:?}")),
        }
    }

    /// Codes of the reasons of its health.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn health(&self) -> Result<BTreeSet<String>, String> {
        match self.ask(Request::Health).await? {
            Answer::Health { codes } => Ok(codes.into_iter().collect()),
            other => Err(format!("unexpected: {other:?}")),
        }
    }

    /// Every run in the journal, by title.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn runs(&self) -> Result<BTreeMap<String, Vec<Kept>>, String> {
        match self.ask(Request::Runs).await? {
            Answer::Runs { runs } => Ok(runs),
            Answer::Failed { reason } => Err(reason),
            other => Err(format!("unexpected: {other:?}")),
        }
    }

    /// From now on the system refuses each of its writes to a file, or none any more.
    ///
    /// # Errors
    /// The system does not allow it.
    pub fn refuse_writes(&self, refuse: bool) -> Result<(), String> {
        let pid = self
            .process
            .id()
            .and_then(|id| Pid::from_raw(id.cast_signed()));
        let pid = pid.ok_or("the drill's engine has ended")?;
        let own = getrlimit(Resource::Fsize);
        let limit = Rlimit {
            current: if refuse { Some(0) } else { own.current },
            maximum: own.maximum,
        };
        prlimit(Some(pid), Resource::Fsize, limit)
            .map(drop)
            .map_err(|e| format!("its file size cannot be limited: {e}"))
    }

    /// kill -9.
    ///
    /// # Errors
    /// The system does not allow it.
    pub async fn kill(mut self) -> Result<(), String> {
        self.process.kill().await.map_err(|e| e.to_string())
    }

    /// Ends it in good order.
    ///
    /// # Errors
    /// It does not end.
    pub async fn stop(mut self) -> Result<(), String> {
        self.tell(Request::Stop).await?;
        let ended = tokio::time::timeout(ANSWER, self.process.wait()).await;
        match ended {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the drill's engine does not end".into()),
        }
    }
}

/// This program, even when its file was replaced meanwhile.
fn program() -> PathBuf {
    let own = Path::new("/proc/self/exe");
    if own.exists() {
        return own.to_path_buf();
    }
    std::env::current_exe().unwrap_or_else(|_| "bsm".into())
}

async fn within(answer: oneshot::Receiver<Answer>) -> Result<Answer, String> {
    match tokio::time::timeout(ANSWER, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err("the drill's engine has ended".into()),
        Err(_) => Err(format!(
            "the drill's engine has not answered for {} s",
            ANSWER.as_secs()
        )),
    }
}

/// Hands each answer to whoever waits for it. When the process ends, nobody waits any longer.
async fn listen(output: ChildStdout, waiting: Waiting) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(answered) = serde_json::from_str::<Answered>(&line) else {
            continue;
        };
        if let Some(waits) = lock(&waiting).remove(&answered.number) {
            let _ = waits.send(answered.answer);
        }
    }
    lock(&waiting).clear();
}
