//! What people wrote on disk: agents, registry, events, models, knowledge.
//!
//! Why data: a workspace comes from a repository, and a repository may be hostile. Loading it opens
//! only plain files beneath its folder and runs nothing; one broken file takes out itself and is
//! reported with line and column; what could reach outside (addresses, key names, headers) waits for
//! the operator's trust.

pub mod agent;
pub mod built_in;
pub mod check;
pub mod events;
pub mod init;
pub mod knowledge;
pub mod locate;
pub mod models;
pub mod policy_files;
pub mod registry;
pub mod schedule;
pub mod trust;
pub mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::file_set::FileSet;
use crate::files::{FileError, Root};
use agent::Agent;
use events::EventTable;
use locate::Place;
use models::ModelTable;
use registry::Registry;
use trust::Trust;

/// Largest file of a workspace that is read, bytes.
pub const LARGEST_FILE: u64 = 1 << 20;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It works, but look.
    Warning,
    /// It does not work.
    Error,
}

/// Something wrong in a workspace's file: what, where, what to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// How bad.
    pub severity: Level,
    /// The file, relative to the workspace.
    pub file: String,
    /// Line, from 1, where it is known.
    pub line: Option<u32>,
    /// Column, from 1, where it is known.
    pub column: Option<u32>,
    /// What is wrong; may quote the file.
    pub message: crate::text::Untrusted,
    /// What to do.
    pub help: String,
}

impl Problem {
    /// An error at a place.
    pub fn error(file: &str, place: Place, message: impl Into<String>, help: &str) -> Self {
        Self {
            severity: Level::Error,
            file: file.to_owned(),
            line: place.map(|(line, _)| line),
            column: place.map(|(_, column)| column),
            message: crate::text::Untrusted::new(message),
            help: help.to_owned(),
        }
    }

    /// A warning at a place.
    pub fn warning(file: &str, place: Place, message: impl Into<String>, help: &str) -> Self {
        Self {
            severity: Level::Warning,
            ..Self::error(file, place, message, help)
        }
    }

    /// `file:line:column: message`, harmless.
    pub fn line_text(&self) -> String {
        let place = match (self.line, self.column) {
            (Some(line), Some(column)) => format!(":{line}:{column}"),
            (Some(line), None) => format!(":{line}"),
            _ => String::new(),
        };
        format!(
            "{}{place}: {}",
            crate::text::clean_line(&self.file, 200),
            self.message.line(400)
        )
    }
}

/// A workspace as loaded: everything that could be read, and what could not.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// Its folder; `None` for the built-in one.
    pub root: Option<PathBuf>,
    /// Its name, for people.
    pub name: String,
    /// The agents that loaded, registry values applied.
    pub agents: Vec<Arc<Agent>>,
    /// The registry, if there is one and it can be read.
    pub registry: Option<Registry>,
    /// Events → agents.
    pub events: EventTable,
    /// Providers, models, routes.
    pub models: ModelTable,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// Whether the operator trusts it.
    pub trust: Trust,
    /// Hash of the policy files: a run is pinned to it.
    pub policy_hash: String,
    /// The policy files as they were read; `None` for the built-in workspace.
    pub files: Option<Arc<FileSet>>,
}

impl Workspace {
    /// Loads the workspace at `root`, or the built-in one. Never fails as a whole, except when the
    /// folder itself cannot be opened.
    pub fn load(root: Option<&Path>, trusted: &trust::TrustStore) -> Result<Self, FileError> {
        let Some(path) = root else {
            return Ok(built_in::workspace());
        };
        let files = policy_files::of_folder(&Root::open(path)?);
        let trust = trusted.of(path, &files.hash());
        Ok(Self::of_files(path, Arc::new(files), trust))
    }

    /// Makes a workspace of its policy files. One that is not trusted only adds: the built-in agents and
    /// events decide, and what of the workspace differs from them is named and left out.
    pub fn of_files(path: &Path, files: Arc<FileSet>, trust: Trust) -> Self {
        let mut problems = Vec::new();
        let policy_hash = files.hash();
        let registry = registry::load(&files, &mut problems);
        let mut agents = agent::load(&files, &mut problems);
        if let Some(registry) = &registry {
            for agent in &mut agents {
                for message in check::drift(agent, registry) {
                    let help = "Make both say the same.";
                    problems.push(Problem::warning(registry::FILE, None, message, help));
                }
                registry.apply_to(agent);
            }
        }
        if !trust.is_trusted() {
            agents = agent::built_in_first(agents, &mut problems);
        }
        let events = events::load(&files, trust, &mut problems);
        let models = models::load(&files, trust, &mut problems);
        let name = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let name = name
            .file_name()
            .map_or_else(|| "workspace".into(), |n| n.to_string_lossy().into_owned());
        let mut workspace = Self {
            root: Some(path.to_path_buf()),
            name,
            agents: agents.into_iter().map(Arc::new).collect(),
            registry,
            events,
            models,
            problems,
            trust,
            policy_hash,
            files: Some(files),
        };
        let mut problems = std::mem::take(&mut workspace.problems);
        check::across(&workspace, &mut problems);
        problems.sort();
        problems.dedup();
        workspace.problems = problems;
        workspace
    }

    /// This version with the parts that broke taken from the last good one; true when there were any.
    #[must_use]
    pub fn keeping_good(mut self, old: &Self) -> (Self, bool) {
        let broken = |file: &str| {
            self.problems
                .iter()
                .any(|p| p.severity == Level::Error && p.file == file && p.line.is_some())
        };
        let (events, models, registry) = (
            broken(events::FILE),
            broken(models::FILE),
            broken(registry::FILE),
        );
        let agents = self
            .problems
            .iter()
            .any(|p| p.severity == Level::Error && p.file.starts_with("data/agents/"));
        let mut kept = false;
        if events && self.events != old.events {
            self.events = old.events.clone();
            kept = true;
        }
        if models && self.models != old.models {
            self.models = old.models.clone();
            kept = true;
        }
        if registry && self.registry.is_none() && old.registry.is_some() {
            self.registry.clone_from(&old.registry);
            if let Some(registry) = &self.registry {
                for agent in &mut self.agents {
                    registry.apply_to(Arc::make_mut(agent));
                }
            }
            kept = true;
        }
        if agents {
            for agent in &old.agents {
                if self.agent(&agent.id).is_none() {
                    self.agents.push(Arc::clone(agent));
                    // It is in effect after all: what was said to be missing is not.
                    let (named, listed) = (
                        format!("agent {}, which is not there", agent.id),
                        format!("{} is in the registry", agent.id),
                    );
                    self.problems.retain(|p| {
                        !p.message.raw().contains(&named) && !p.message.raw().contains(&listed)
                    });
                    kept = true;
                }
            }
        }
        (self, kept)
    }

    /// The agent of that id.
    pub fn agent(&self, id: &str) -> Option<&Arc<Agent>> {
        self.agents.iter().find(|a| a.id == id)
    }

    /// How many of its problems are errors.
    pub fn errors(&self) -> usize {
        self.problems
            .iter()
            .filter(|p| p.severity == Level::Error)
            .count()
    }

    /// True when `path` looks like a workspace.
    pub fn is_workspace(path: &Path) -> bool {
        [
            "agents/registry.yaml",
            "agents/events.yaml",
            "data/agents/index.json",
            "bsm.yaml",
        ]
        .iter()
        .any(|f| path.join(f).is_file())
    }

    /// The nearest workspace at or above `from`.
    pub fn find(from: &Path) -> Option<PathBuf> {
        from.ancestors()
            .find(|p| Self::is_workspace(p))
            .map(Path::to_path_buf)
    }
}

/// Reads and parses one YAML or JSON file; what is wrong becomes a problem. A missing file is `None`
/// without a word.
pub(crate) fn read<T: serde::de::DeserializeOwned>(
    root: &FileSet,
    file: &str,
    help: &str,
    problems: &mut Vec<Problem>,
) -> Option<(T, String)> {
    let text = match root.read_text(Path::new(file), LARGEST_FILE) {
        Ok(text) => text,
        Err(error) if error.is_missing() => return None,
        Err(error) => {
            problems.push(Problem::error(
                file,
                None,
                error.to_string(),
                "Put a plain, readable file there, or take its name out of the list.",
            ));
            return None;
        }
    };
    if let Some(line) = too_deep(&text) {
        let message = format!("nested deeper than {DEEPEST} brackets");
        let help = "Nobody writes that by hand; look where the file comes from.";
        problems.push(Problem::error(file, Some((line, 1)), message, help));
        return None;
    }
    // A byte-order mark would read as a document of its own.
    let text = text
        .strip_prefix('\u{feff}')
        .map_or(text.clone(), str::to_owned);
    match serde_yaml::from_str(&text) {
        Ok(value) => Some((value, text)),
        Err(error) => {
            let place = error.location().map(|at| {
                (
                    u32::try_from(at.line()).unwrap_or(0),
                    u32::try_from(at.column()).unwrap_or(0),
                )
            });
            problems.push(Problem::error(
                file,
                place,
                without_values(&error.to_string()),
                help,
            ));
            None
        }
    }
}

/// A parser's error without the values that it quotes: a file may hold a secret, or be another file than
/// its name says. Names of keys stay.
pub fn without_values(error: &str) -> String {
    let mut out = String::with_capacity(error.len());
    let mut rest = error;
    while let Some((before, after)) = rest.split_once('"') {
        out.push_str(before);
        let bytes = after.as_bytes();
        let mut end = 0;
        while end < bytes.len() && bytes[end] != b'"' {
            end += 1 + usize::from(bytes[end] == b'\\');
        }
        out.push_str("\"…\"");
        rest = after.get(end + 1..).unwrap_or_default();
    }
    out.push_str(rest);
    crate::text::cut(&out, 400).to_owned()
}

/// A table of another version than ours may mean something else by the same words.
pub(crate) fn expect_version_1(version: u32, file: &str, text: &str, problems: &mut Vec<Problem>) {
    if version != 1 {
        let message = format!("version {version} is not known");
        let place = locate::key(text, "version");
        problems.push(Problem::error(file, place, message, "Write `version: 1`."));
    }
}

/// Brackets open at once in a file that people write.
const DEEPEST: i32 = 100;

/// The line where brackets nest deeper than any parser should follow (its time grows with the square).
pub(crate) fn too_deep(text: &str) -> Option<u32> {
    let (mut depth, mut line) = (0i32, 1u32);
    for byte in text.bytes() {
        match byte {
            b'\n' => line += 1,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = (depth - 1).max(0),
            _ => {}
        }
        if depth > DEEPEST {
            return Some(line);
        }
    }
    None
}

#[cfg(test)]
#[path = "workspace_tests.rs"]
mod tests;
