//! Loading a workspace from its folder, from files that were read, or from the binary.

use crate::file_set::FileSet;
use crate::files::FileError;
use crate::files::Root;
use crate::workspace::agent;
use crate::workspace::built_in;
use crate::workspace::built_in_agents;
use crate::workspace::check;
use crate::workspace::events;
use crate::workspace::events::EventTable;
use crate::workspace::models;
use crate::workspace::models::ModelTable;
use crate::workspace::policy_files;
use crate::workspace::problem::Problem;
use crate::workspace::registry;
use crate::workspace::registry::Registry;
use crate::workspace::trust;
use crate::workspace::trust::Trust;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::workspace::contents::Workspace;

impl Workspace {
    /// The workspace that comes with the binary.
    pub fn built_in() -> Self {
        Self {
            root: None,
            name: "built-in".into(),
            agents: built_in_agents::agents().to_vec(),
            registry: Some(Registry::built_in()),
            events: EventTable::built_in(),
            models: ModelTable::built_in(),
            problems: Vec::new(),
            trust: Trust::BuiltIn,
            policy_hash: built_in::hash(),
            files: None,
        }
    }

    /// Loads the workspace at `root`, or the built-in one. Never fails as a whole, except when the
    /// folder itself cannot be opened.
    pub fn load(root: Option<&Path>, trusted: &trust::TrustStore) -> Result<Self, FileError> {
        let Some(path) = root else {
            return Ok(Self::built_in());
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
            agents = built_in_agents::built_in_first(agents, &mut problems);
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
