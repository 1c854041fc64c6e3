//! What most commands do first: find the workspace, read settings and variables, open the state.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::cli::failure::{Failure, SETTINGS_HELP};
use crate::cli::global::Global;
use crate::cli::output::{note, note_part};
use crate::cli::ownership;
use crate::engine::EngineConfig;
use crate::engine::config::store::SettingsLoader;
use crate::engine::config::store::SharedRedactor;
use crate::engine::protocol::snapshot::Mode;
use crate::file_set::FileSet;
use crate::files::Root;
use crate::journal::{Journal, ReadOnly};
use crate::model::provider::known_secrets;
use crate::model::simulator::SimulatorSettings;
use crate::resilience::clock::SystemClock;
use crate::review::policy::Policy;
use crate::review::redact::Redactor;
use crate::review::{git, packs};
use crate::settings::Settings;
use crate::settings::env::Env;
use crate::settings::layers::{self, File, Loaded};
use crate::state::{self, StateDir, StateError};
use crate::telemetry::log_files::{self, LogGuard, LogSettings};
use crate::workspace::trust::{Trust, TrustStore};
use crate::workspace::{Workspace, policy_files};

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
    /// Trusted workspaces.
    pub trust: TrustStore,
    /// The workspace's policy files as they were read, once; `None`: the built-in policy.
    policy_files: Option<Arc<FileSet>>,
    /// The policy is that of a commit.
    based: bool,
    /// The settings' files as read, the strongest first: for messages that name a place.
    files: Vec<(String, String)>,
    global: Global,
    /// The engine's redactor, once there is an engine.
    shared_redactor: SharedRedactor,
}

/// The commit whose policy decides about a change.
pub struct Base {
    /// A folder of the repository.
    pub repository: PathBuf,
    /// The commit's id.
    pub commit: String,
}

impl Setup {
    /// The journal, read only; `None`: there is none yet.
    pub fn journal(&self) -> Result<Option<ReadOnly>, Failure> {
        Journal::read_only(&self.state.journal()).map_err(Failure::engine)
    }

    /// Reads everything; creates nothing. A folder that `-C` names must be a workspace.
    pub fn read(global: &Global) -> Result<Self, Failure> {
        Self::read_for(global, None)
    }

    /// The same for a change that is based on a commit.
    pub fn read_for(global: &Global, base: Option<&Base>) -> Result<Self, Failure> {
        let setup = Self::read_based(global, base)?;
        match setup.plain_folder() {
            // An engine that still runs there can be looked at and stopped.
            Some(folder) if setup.state.holder().is_none() => Err(Failure::usage(
                format!("{} is not a workspace", shown(folder)),
                "`bsm init DIR` writes one; without -C the nearest one is used, else the built-in one.",
            )),
            _ => Ok(setup),
        }
    }

    /// The same for a command that looks at code anywhere: a folder that is not a workspace is said, and it
    /// takes nothing away from the built-in rules.
    pub fn read_any(global: &Global, base: Option<&Base>) -> Result<Self, Failure> {
        let setup = Self::read_based(global, base)?;
        if let Some(folder) = setup.plain_folder() {
            note(format!(
                "bsm: {} is not a workspace; the built-in rules are used, and nothing is approved",
                shown(folder)
            ));
        }
        Ok(setup)
    }

    /// The folder that `-C` names, when nothing of a workspace is in it.
    fn plain_folder(&self) -> Option<&Path> {
        let folder = self.global.workspace.as_deref()?;
        let empty = self.policy_files.as_ref().is_none_or(|f| f.is_empty());
        (empty && !self.based && !Workspace::is_workspace(folder)).then_some(folder)
    }

    /// The same for a change: where the workspace lies in the repository that is reviewed, the policy is
    /// that of the commit it is based on.
    fn read_based(global: &Global, base: Option<&Base>) -> Result<Self, Failure> {
        let root = workspace_root(global)?;
        let env = variables(global)?;
        let wrong = |e: String| Failure::usage(e, SETTINGS_HELP);
        let (user_name, user) = user_settings(global)?;
        let flags = flags(global);
        let load = |own: Option<&str>, trusted: bool| {
            let file = |name, text| File { name, text };
            let user = user.as_deref().map(|text| file(&user_name, text));
            let own = own.map(|text| file(policy_files::SETTINGS, text));
            layers::load(user, own, trusted, &env, &flags).map_err(wrong)
        };
        let trust = TrustStore::load().pinning(env.get("BSM_TRUST"));
        let mut policy_files = None;
        let mut based = false;
        if let Some(root) = &root {
            let safe = load(None, true)?.settings.safe_directories;
            ownership::refuse_foreign(root, &safe)?;
            let of_base = base.map(|b| policy_files::of_base(root, &b.repository, &b.commit));
            let of_base = of_base.transpose().map_err(Failure::engine)?.flatten();
            based = of_base.is_some();
            let files = match of_base {
                Some(files) => files,
                None => policy_files::of_folder(&Root::open(root).map_err(|e| {
                    Failure::usage(e, "Give -C a folder that can be opened, or leave it out.")
                })?),
            };
            // The base has no policy of its own: the built-in one decides.
            policy_files = (!based || !files.is_empty()).then(|| Arc::new(files));
        }
        let trusted = match (&root, &policy_files) {
            (Some(root), Some(files)) => trust.of(root, &files.hash()).is_trusted(),
            _ => true,
        };
        let own = policy_files
            .as_ref()
            .map(|files| own_settings(files))
            .transpose()
            .map_err(wrong)?
            .flatten();
        let loaded = load(own.as_deref(), trusted)?;
        let state = if global.stateless {
            StateDir::nowhere()
        } else {
            moved_state(root.as_deref())?
        };
        let files = [(policy_files::SETTINGS.to_owned(), own), (user_name, user)]
            .into_iter()
            .filter_map(|(name, text)| Some((name, text?)))
            .collect();
        Ok(Self {
            root,
            env,
            loaded,
            state,
            trust,
            policy_files,
            based,
            files,
            global: global.clone(),
            shared_redactor: SharedRedactor::default(),
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

    /// The workspace, made of the files that were read.
    pub fn workspace(&self) -> Workspace {
        match (&self.root, &self.policy_files) {
            (Some(root), Some(files)) => {
                let trust = self.trust.of(root, &files.hash());
                Workspace::of_files(root, Arc::clone(files), trust)
            }
            _ => Workspace::built_in(),
        }
    }

    /// How changes are reviewed.
    pub fn policy(&self) -> Policy {
        let trusted = match (&self.root, &self.policy_files) {
            (Some(root), Some(files)) => self.trust.of(root, &files.hash()).is_trusted(),
            _ => true,
        };
        let review = &self.loaded.settings.review;
        Policy::load(self.policy_files.as_deref(), trusted, review)
    }

    /// The workspace as it will be once it is trusted.
    pub fn workspace_if_trusted(&self) -> Workspace {
        match (&self.root, &self.policy_files) {
            (Some(root), Some(files)) => {
                Workspace::of_files(root, Arc::clone(files), Trust::Trusted)
            }
            _ => Workspace::built_in(),
        }
    }

    /// How changes will be reviewed once it is trusted.
    pub fn policy_if_trusted(&self) -> Policy {
        let own = self
            .policy_files
            .as_ref()
            .and_then(|f| own_settings(f).ok().flatten());
        let review = own
            .and_then(|text| serde_yaml::from_str::<Settings>(&text).ok())
            .map(|s| s.review)
            .unwrap_or_default();
        Policy::load(self.policy_files.as_deref(), true, &review)
    }

    /// Hash of the policy files; `None`: the built-in policy.
    pub fn policy_hash(&self) -> Option<String> {
        self.policy_files.as_ref().map(|files| files.hash())
    }

    /// The policy is that of the commit that a change is based on.
    pub fn is_based(&self) -> bool {
        self.based
    }

    /// Creates the state directory and starts the log.
    pub fn start_log(&self) -> Result<LogGuard, Failure> {
        self.state.prepare().map_err(|e| {
            Failure::engine(e).with_help("Set XDG_STATE_HOME to a private, local folder.")
        })?;
        self.state
            .claim(self.root.as_deref())
            .map_err(Failure::engine)?;
        state::create_private(&self.state.logs()).map_err(Failure::engine)?;
        // Compiled on the log's own thread at its first line, so that the first frame need not wait.
        let redact = self.redaction();
        let settings: &LogSettings = &self.loaded.settings.logs;
        log_files::start(&self.state.logs(), settings, redact).map_err(|e| {
            Failure::usage(
                e,
                "Use a level such as info or debug, and a folder that can be written.",
            )
        })
    }

    /// Values that must appear in no output.
    pub fn secrets(&self) -> Vec<String> {
        known_secrets(&self.workspace().models, &self.loaded.settings, &self.env)
    }

    /// Takes secrets out of text that leaves the program. Compiled when it is first needed.
    pub fn redaction(&self) -> Arc<dyn Fn(&str) -> String + Send + Sync> {
        let secrets = self.secrets();
        let redactor = OnceLock::new();
        let make = move || Redactor::built_in(&secrets, std::array::from_fn(|_| fastrand::u8(..)));
        let newest = Arc::clone(&self.shared_redactor);
        Arc::new(move |text: &str| match &*newest.load() {
            // It knows the keys of a workspace that was read again.
            Some(engines) => engines.text(text),
            None => redactor.get_or_init(&make).text(text),
        })
    }

    /// What an engine is started with.
    pub fn engine(&self, mode: Mode, resident: bool, log: Option<Arc<LogGuard>>) -> EngineConfig {
        let again = self.global.clone();
        let settings_loader: SettingsLoader =
            Arc::new(move |files, trusted| settings_again(&again, files, trusted));
        EngineConfig {
            settings: self.loaded.settings.clone(),
            env: self.env.clone(),
            root: self.root.clone(),
            workspace: Some(self.workspace()),
            follows_folder: !self.based,
            trust: self.trust.clone(),
            state: self.state.clone(),
            mode,
            resident,
            log,
            settings_loader: Some(settings_loader),
            clock: Arc::new(SystemClock),
            shared_redactor: Arc::clone(&self.shared_redactor),
            simulator: SimulatorSettings::default(),
        }
    }
}

/// The built-in value of every setting: what `bsm config` lists when those of the user cannot be read.
pub fn built_in_settings() -> Result<Loaded, Failure> {
    layers::load(None, None, true, &Env::default(), &[]).map_err(Failure::engine)
}

/// The process's variables and those of the `--env-file`.
pub fn variables(global: &Global) -> Result<Env, Failure> {
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
    Ok(env)
}

/// The user's own settings: the file's name and, where it is there, its text.
fn user_settings(global: &Global) -> Result<(String, Option<String>), Failure> {
    let path = match &global.config {
        Some(path) if !path.is_file() => {
            return Err(Failure::usage(
                format!("{}: no such file", path.display()),
                "Give --config a settings file in YAML.",
            ));
        }
        Some(path) => Some(path.clone()),
        None => state::user_config(),
    };
    let text = path
        .as_deref()
        .map(layers::read_file)
        .transpose()
        .map_err(|e| Failure::usage(e, SETTINGS_HELP))?
        .flatten();
    Ok((
        path.map_or_else(String::new, |p| p.display().to_string()),
        text,
    ))
}

fn flags(global: &Global) -> Vec<(&'static str, Value)> {
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
    flags
}

/// The text of the workspace's own settings.
fn own_settings(files: &FileSet) -> Result<Option<String>, String> {
    match files.read_text(Path::new(policy_files::SETTINGS), 1 << 20) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// Settings for a reload: the user's file as it is now, the workspace's as it was read with its policy.
fn settings_again(
    global: &Global,
    files: Option<&FileSet>,
    trusted: bool,
) -> Result<Settings, String> {
    let said = |f: Failure| f.to_string();
    let env = variables(global).map_err(said)?;
    let (user_name, user) = user_settings(global).map_err(said)?;
    let own = files.map(own_settings).transpose()?.flatten();
    let user = user.as_deref().map(|text| File {
        name: &user_name,
        text,
    });
    let own = own.as_deref().map(|text| File {
        name: policy_files::SETTINGS,
        text,
    });
    layers::load(user, own, trusted, &env, &flags(global)).map(|l| l.settings)
}

/// What the user's own settings and variables say, without any workspace's.
pub fn own_user_settings(global: &Global) -> Result<Settings, Failure> {
    let env = variables(global)?;
    let (name, text) = user_settings(global)?;
    let user = text.as_deref().map(|text| File { name: &name, text });
    layers::load(user, None, true, &env, &flags(global))
        .map(|loaded| loaded.settings)
        .map_err(|e| Failure::usage(e, SETTINGS_HELP))
}

/// Lets git read repositories of other users that the user's own settings list. To be called before the first
/// look at a repository.
pub fn allow_listed_folders(global: &Global) -> Result<(), Failure> {
    git::trust_folders(&own_user_settings(global)?.safe_directories);
    Ok(())
}

/// The workspace's state, wherever the workspace was before. In doubt somebody is asked who can answer.
fn moved_state(root: Option<&Path>) -> Result<StateDir, Failure> {
    use std::io::IsTerminal as _;
    let found = StateDir::of_workspace(root);
    let Err(error @ StateError::InDoubt { .. }) = &found else {
        return found.map_err(Failure::engine);
    };
    let own = StateDir::for_workspace(root).map_err(Failure::engine)?;
    let StateError::InDoubt { root, state, .. } = error else {
        return Ok(own);
    };
    let id = root.join(".bsm/id");
    if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        note(format!("bsm: {error}"));
        note_part(format!("Use {} for this workspace? [y/N] ", shown(state)));
        let mut answer = String::new();
        let _ = std::io::stdin().read_line(&mut answer);
        if matches!(answer.trim(), "y" | "Y" | "yes") {
            std::fs::rename(state, own.path())
                .map_err(|e| Failure::engine(format!("{}: {e}", shown(state))))?;
            return Ok(own);
        }
    }
    Err(Failure::engine(error).with_help(&format!(
        "If it is this workspace's state: stop its engine, then `mv {} {}`. To begin with new state: remove {}.",
        shown(state),
        shown(own.path()),
        shown(&id)
    )))
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
