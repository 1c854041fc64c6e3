//! What most commands do first: find the workspace, read settings and variables, open the state.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::{Failure, Global};
use crate::engine::EngineConfig;
use crate::engine::core::Reread;
use crate::engine::handle::Redacts;
use crate::engine::types::snapshot::Mode;
use crate::model::provider::known_secrets;
use crate::model::simulator::SimulatorSettings;
use crate::resilience::clock::SystemClock;
use crate::review::packs;
use crate::review::redact::Redactor;
use crate::settings::env::Env;
use crate::settings::layers::{self, File, Loaded};
use crate::state::{self, StateDir};
use crate::telemetry::log_files::{self, LogGuard, LogSettings};
use crate::workspace::Workspace;
use crate::workspace::trust::TrustStore;

/// Everything a command knows before it acts.
pub struct Setup {
    /// The workspace's folder; `None`: the built-in one.
    pub root: Option<PathBuf>,
    /// Variables.
    pub env: Env,
    /// Settings and where they came from.
    pub loaded: Loaded,
    /// The state directory; not yet created.
    pub state: StateDir,
    /// The settings' files as read, the strongest first: for messages that name a place.
    files: Vec<(String, String)>,
    global: Global,
    /// The engine's redactor, once there is an engine.
    redacts: Redacts,
}

impl Setup {
    /// Reads everything; creates nothing.
    pub fn read(global: &Global) -> Result<Self, Failure> {
        let root = workspace_root(global)?;
        let mut env = Env::process();
        if let Some(path) = &global.env_file {
            let text = std::fs::read_to_string(path).map_err(|e| {
                Failure::usage(
                    format!("{}: {e}", path.display()),
                    "Give --env-file a file of NAME=value lines.",
                )
            })?;
            env.add_file(&text).map_err(|e| {
                Failure::usage(
                    format!("{}: {e}", path.display()),
                    "Write one NAME=value a line.",
                )
            })?;
        }
        let user_path = match &global.config {
            Some(path) if !path.is_file() => {
                return Err(Failure::usage(
                    format!("{}: no such file", path.display()),
                    "Give --config a settings file in YAML.",
                ));
            }
            Some(path) => Some(path.clone()),
            None => state::user_config(),
        };
        let wrong = |e: String| Failure::usage(e, "`bsm config` lists every key with its value.");
        let user = user_path
            .as_deref()
            .map(layers::read_file)
            .transpose()
            .map_err(wrong)?
            .flatten();
        let own = root.as_ref().map(|r| r.join("bsm.yaml"));
        let own = own
            .as_deref()
            .map(layers::read_file)
            .transpose()
            .map_err(wrong)?
            .flatten();
        let user_name = user_path.map_or_else(String::new, |p| p.display().to_string());
        let mut flags: Vec<(&str, Value)> = Vec::new();
        if let Some(level) = &global.log_level {
            flags.push(("logs.level", Value::from(level.clone())));
        }
        if global.ascii {
            flags.push(("console.ascii", Value::from(true)));
        }
        if let Some(fps) = global.fps {
            flags.push(("console.fps", Value::from(fps)));
        }
        let loaded = layers::load(
            user.as_deref().map(|text| File {
                name: &user_name,
                text,
            }),
            own.as_deref().map(|text| File {
                name: "bsm.yaml",
                text,
            }),
            &env,
            &flags,
        )
        .map_err(wrong)?;
        let state = StateDir::for_workspace(root.as_deref()).map_err(Failure::engine)?;
        let files = [("bsm.yaml".to_owned(), own), (user_name, user)]
            .into_iter()
            .filter_map(|(name, text)| Some((name, text?.clone())))
            .collect();
        Ok(Self {
            root,
            env,
            loaded,
            state,
            files,
            global: global.clone(),
            redacts: Redacts::default(),
        })
    }

    /// `file:line:column: ` of a key in the settings' files; empty where it came from elsewhere.
    pub fn place(&self, key: &str) -> String {
        for (name, text) in &self.files {
            for (n, line) in text.lines().enumerate() {
                let found = line.trim_start().trim_start_matches(['"', '\'']);
                let rest = found.strip_prefix(key).unwrap_or_default();
                if rest.trim_start_matches(['"', '\'']).starts_with(':') {
                    let column = line.len() - line.trim_start().len() + 1;
                    return format!("{name}:{}:{column}: ", n + 1);
                }
            }
        }
        String::new()
    }

    /// Loads the workspace.
    pub fn workspace(&self) -> Result<Workspace, Failure> {
        Workspace::load(self.root.as_deref(), &TrustStore::load())
            .map_err(|e| Failure::usage(e, "Give -C a folder that can be opened, or leave it out."))
    }

    /// Creates the state directory and starts the log.
    pub fn start_log(&self) -> Result<LogGuard, Failure> {
        self.state.prepare().map_err(|e| {
            Failure::engine(e).with_help("Set XDG_STATE_HOME to a private, local folder.")
        })?;
        state::create_private(&self.state.logs()).map_err(Failure::engine)?;
        // Compiled on the log's own thread at its first line, so that the first frame need not wait.
        let redact = self.redaction()?;
        let settings: &LogSettings = &self.loaded.settings.logs;
        log_files::start(&self.state.logs(), settings, redact).map_err(|e| {
            Failure::usage(
                e,
                "Use a level such as info or debug, and a folder that can be written.",
            )
        })
    }

    /// Values that must appear in no output.
    ///
    /// # Errors
    /// When the workspace cannot be opened.
    pub fn secrets(&self) -> Result<Vec<String>, Failure> {
        let settings = &self.loaded.settings;
        Ok(known_secrets(
            &self.workspace()?.models,
            settings,
            &self.env,
        ))
    }

    /// Takes secrets out of text that leaves the program. Compiled when it is first needed.
    ///
    /// # Errors
    /// When the workspace cannot be opened.
    pub fn redaction(&self) -> Result<Arc<dyn Fn(&str) -> String + Send + Sync>, Failure> {
        let secrets = self.secrets()?;
        let redactor = OnceLock::new();
        let make = move || Redactor::built_in(&secrets, std::array::from_fn(|_| fastrand::u8(..)));
        let newest = Arc::clone(&self.redacts);
        Ok(Arc::new(move |text: &str| match &*newest.load() {
            // It knows the keys of a workspace that was read again.
            Some(engines) => engines.text(text),
            None => redactor.get_or_init(&make).text(text),
        }))
    }

    /// What an engine is started with.
    pub fn engine(&self, mode: Mode, resident: bool, log: Option<Arc<LogGuard>>) -> EngineConfig {
        let (again, root) = (self.global.clone(), self.root.clone());
        let reread: Reread = Arc::new(move || {
            let global = Global {
                workspace: root.clone().or_else(|| again.workspace.clone()),
                ..again.clone()
            };
            Setup::read(&global)
                .map(|s| s.loaded.settings)
                .map_err(|f| f.to_string())
        });
        EngineConfig {
            settings: self.loaded.settings.clone(),
            env: self.env.clone(),
            root: self.root.clone(),
            trust: TrustStore::load(),
            state: self.state.clone(),
            mode,
            resident,
            log,
            reread: Some(reread),
            clock: Arc::new(SystemClock),
            redacts: Arc::clone(&self.redacts),
            simulator: SimulatorSettings::default(),
        }
    }
}

/// The mode that the global options ask for.
pub fn mode(global: &Global) -> Mode {
    Mode {
        offline: global.offline,
        simulated: global.simulate,
        read_only: global.read_only,
        ..Mode::default()
    }
}

/// A runtime of a thread for each processor but one, which is for the threads that read diffs, write the
/// journal and draw: what the runtime does itself is short. A thread too many costs more than it does, since
/// each that has something to do wakes another to look for more.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(processors.saturating_sub(1).max(1))
        .enable_all()
        .thread_name("bsm-engine")
        .build()
        .map_err(|e| Failure::engine(format!("cannot start the runtime: {e}")))
}

fn workspace_root(global: &Global) -> Result<Option<PathBuf>, Failure> {
    if let Some(dir) = &global.workspace {
        if !dir.is_dir() {
            return Err(Failure::usage(
                format!("{}: no such folder", dir.display()),
                "Give -C a folder; `bsm init DIR` makes one.",
            ));
        }
        return Ok(Some(dir.clone()));
    }
    let here = std::env::current_dir()
        .map_err(|e| Failure::engine(format!("this folder cannot be read: {e}")))?;
    Ok(Workspace::find(&here))
}

/// Compiles the rules on a thread of its own, so that the first run need not wait for it.
pub fn warm_rules() {
    std::thread::spawn(packs::built_in);
}

/// A path for messages.
pub fn shown(path: &Path) -> String {
    crate::text::clean_line(&path.display().to_string(), 400)
}
