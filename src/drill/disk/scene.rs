//! What a disk drill stands on: a state directory that is removed at its end, and an account of what the engine
//! promised to keep.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};

use crate::drill::disk::child::Engine;
use crate::drill::disk::protocol::{Answer, Kept, Request};
use crate::drill::harness::Say;
use crate::drill::measure::{Measure, exactly};
use crate::state::create_private;

/// Requests that wait at once.
const AT_ONCE: usize = 32;
/// Between two looks at something that is waited for.
const LOOK: Duration = Duration::from_millis(50);
/// What should happen within seconds is given up after this.
const LONGEST: Duration = Duration::from_secs(45);

/// One drill's directory, and what was asked in it.
pub struct Scene {
    folder: PathBuf,
    say: Say,
    /// Runs that were acknowledged: title, id.
    pub accepted: BTreeMap<String, String>,
    /// Titles of runs that were refused.
    pub refused: BTreeSet<String>,
}

impl Scene {
    /// Makes the directory beneath `at`, or beneath the folder for temporary files.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(at: Option<&Path>, say: Say) -> Result<Self, String> {
        let base = at.map_or_else(std::env::temp_dir, Path::to_path_buf);
        let name = format!("bsm-drill-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let folder = base.join(name);
        create_private(&folder).map_err(|e| e.to_string())?;
        Ok(Self {
            folder,
            say,
            accepted: BTreeMap::new(),
            refused: BTreeSet::new(),
        })
    }

    /// The engine's state directory.
    pub fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// Says what happens.
    pub fn say(&self, line: impl Into<String>) {
        (self.say)(line.into());
    }

    /// Starts an engine whose wall clock is right.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(&self) -> Result<Engine, String> {
        Engine::start(&self.state(), 0).await
    }

    /// Asks for so many runs and notes what was promised; returns how many were accepted and how many refused.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn ask(
        &mut self,
        engine: &Engine,
        name: &str,
        count: usize,
        bytes: usize,
    ) -> Result<(u64, u64), String> {
        let asked = stream::iter(0..count).map(|n| {
            let title = format!("{name}-{n}");
            async move {
                let request = Request::Accept {
                    title: title.clone(),
                    bytes,
                };
                (title, engine.ask(request).await)
            }
        });
        let answers: Vec<_> = asked.buffer_unordered(AT_ONCE).collect().await;
        let (mut accepted, mut refused) = (0, 0);
        for (title, answer) in answers {
            match answer? {
                Answer::Accepted { run } => {
                    accepted += 1;
                    self.accepted.insert(title, run);
                }
                Answer::Refused { .. } => {
                    refused += 1;
                    self.refused.insert(title);
                }
                other => return Err(format!("unexpected: {other:?}")),
            }
        }
        Ok((accepted, refused))
    }

    /// What became of everything that was asked, once all of it has ended or nothing more does.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn account(&self, engine: &Engine) -> Result<Vec<Measure>, String> {
        let began = Instant::now();
        let runs = loop {
            let runs = engine.runs().await?;
            let open = self.count(&runs, |kept| !kept.iter().any(|k| k.decided));
            if open == 0 || began.elapsed() > LONGEST {
                break runs;
            }
            tokio::time::sleep(LOOK).await;
        };
        let acknowledged = self.accepted.len() as u64;
        let found = self.count(&runs, |kept| !kept.is_empty());
        let decided = self.count(&runs, |kept| kept.iter().any(|k| k.decided));
        let twice = self.count(&runs, |kept| kept.len() > 1);
        let refused = self
            .refused
            .iter()
            .filter(|t| runs.contains_key(*t))
            .count();
        Ok(vec![
            exactly("acknowledged runs that are kept", acknowledged, found),
            exactly("acknowledged runs that are decided", acknowledged, decided),
            exactly("acknowledged runs that are there twice", 0, twice),
            exactly("refused runs that are kept all the same", 0, refused as u64),
        ])
    }

    /// Acknowledged runs of which something holds.
    fn count(&self, runs: &BTreeMap<String, Vec<Kept>>, holds: impl Fn(&[Kept]) -> bool) -> u64 {
        let of = |title: &String| runs.get(title).map_or(&[][..], Vec::as_slice);
        self.accepted.keys().filter(|t| holds(of(t))).count() as u64
    }

    /// Acknowledged runs with their report's file.
    pub fn reports(&self) -> u64 {
        let entries = std::fs::read_dir(self.state().join("reports"));
        let names: Vec<String> = entries
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect();
        let has = |id: &&String| names.iter().any(|n| n.contains(id.as_str()));
        self.accepted.values().filter(has).count() as u64
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Waits until health gives one of these reasons, or none of them; how long it took, `None`: too long.
///
/// # Errors
/// The engine has ended.
pub async fn until_health(
    engine: &Engine,
    codes: &[&str],
    wanted: bool,
) -> Result<Option<Duration>, String> {
    let began = Instant::now();
    loop {
        let now = engine.health().await?;
        if codes.iter().any(|c| now.contains(*c)) == wanted {
            return Ok(Some(began.elapsed()));
        }
        if began.elapsed() > LONGEST {
            return Ok(None);
        }
        tokio::time::sleep(LOOK).await;
    }
}
