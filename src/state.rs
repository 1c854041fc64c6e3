//! Where a workspace's private state lives, and the lock that says who owns it.
//!
//! Why: the journal, the audit trail and the logs hold what a team must not leak, so they live under
//! the user's state directory and not in the working tree: folders 0700, files 0600, from their
//! creation and whatever the umask. A state directory with another owner or a wider mode is refused.

mod identity;
mod socket;

pub use bsm_base::{hex, short_hash};

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Neither `XDG_STATE_HOME` nor `HOME` is set.
    #[error("no state directory: set XDG_STATE_HOME or HOME")]
    NoHome,
    /// Another user owns it, or others may read it.
    #[error(
        "{path}: {what}; bsm keeps private state there and will not use it (want your own folder, mode 0700)"
    )]
    NotPrivate {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Another engine holds the lock.
    #[error("another bsm is at work on this workspace ({path} is locked{})", by_process(*pid))]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// What has it.
        holder: Holder,
        /// Its process, if it wrote its number.
        pid: Option<u32>,
    },
    /// It lies on a network file system, where locks and WAL cannot be trusted.
    #[error("{0}: on a network file system; set XDG_STATE_HOME to a local folder")]
    Network(PathBuf),
    /// A state directory was found by the workspace's id, and whether it is this workspace's cannot be told.
    #[error("{root}: which state is this workspace's is in doubt: {what} ({state})")]
    InDoubt {
        /// The workspace.
        root: PathBuf,
        /// The state in question.
        state: PathBuf,
        /// Why.
        what: String,
    },
    /// Anything the system reported.
    #[error("{path}: {source}")]
    Io {
        /// What was being opened.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Says where the socket is, when it is not in the state directory.
const SOCKET_PATH: &str = "socket.path";

/// What holds a workspace's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// A console or a server: it stays.
    Resident,
    /// One `bsm run`: it ends by itself.
    Run,
}

/// A resident holder's word in the lock file; its process id follows. A program before 0.1.0 wrote the word alone.
const RESIDENT: &str = "resident";

/// ` by process 12`, where its number is known.
fn by_process(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" by process {pid}"))
}

/// What the lock file says of its holder. One that has not written its word yet is just starting: treated as
/// a run, which is waited for.
fn read_lock(path: &Path) -> (Holder, Option<u32>) {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut words = text.split_whitespace();
    let holder = if words.next() == Some(RESIDENT) {
        Holder::Resident
    } else {
        Holder::Run
    };
    (holder, words.next().and_then(|pid| pid.parse().ok()))
}

/// The private folder of one workspace.
#[derive(Debug, Clone)]
pub struct StateDir {
    path: PathBuf,
}

impl StateDir {
    /// `$XDG_STATE_HOME/bsm/<name>-<hash of the canonical path>` for a workspace's root.
    pub fn for_workspace(root: Option<&Path>) -> Result<Self, StateError> {
        let (name, hash) = match root {
            Some(root) => {
                let canonical = fs::canonicalize(root).unwrap_or_else(|_| root.to_path_buf());
                (
                    folder_name(&canonical),
                    short_hash(canonical.as_os_str().as_encoded_bytes()),
                )
            }
            None => ("built-in".to_owned(), "workspace".to_owned()),
        };
        Ok(Self {
            path: state_home()?.join(format!("{name}-{hash}")),
        })
    }

    /// The state of a workspace that may have been moved: found by its path, else by the id in its `.bsm/`, and then
    /// it gets the name of the new path. Only what is found is renamed; nothing is made.
    ///
    /// # Errors
    /// There is no home for state; or [`StateError::InDoubt`].
    pub fn of_workspace(root: Option<&Path>) -> Result<Self, StateError> {
        let own = Self::for_workspace(root)?;
        match root {
            Some(root) => own.or_moved(root),
            None => Ok(own),
        }
    }

    /// This, or the state that the workspace at `root` had where it was before.
    fn or_moved(self, root: &Path) -> Result<Self, StateError> {
        let home = self.path.parent().unwrap_or(&self.path);
        let in_doubt = |doubt: identity::Doubt| StateError::InDoubt {
            root: root.to_path_buf(),
            state: doubt.state,
            what: doubt.what,
        };
        let mut found = identity::find(home, root, &self.path).map_err(in_doubt)?;
        if let identity::Found::Taken(name) = &found {
            let free = self.holder().is_none() && !name.exists();
            if !free || fs::rename(&self.path, name).is_err() {
                let what =
                    "the state of this path belongs to another workspace that was here before";
                return Err(in_doubt(identity::in_doubt(&self.path, what)));
            }
            found = identity::find(home, root, &self.path).map_err(in_doubt)?;
        }
        match found {
            identity::Found::Own | identity::Found::Taken(_) => Ok(self),
            identity::Found::Copy => {
                identity::forget_id(root);
                Ok(self)
            }
            identity::Found::Moved(state) => {
                let found = Self { path: state };
                // While an engine works with it, its name stays.
                let renamed =
                    found.holder().is_none() && fs::rename(&found.path, &self.path).is_ok();
                let state = if renamed { self } else { found };
                // At once: a copy that is made next must find the workspace where it is now.
                let _ = identity::claim(root, &state.path);
                Ok(state)
            }
        }
    }

    /// Writes down whose state this is, and gives the workspace an id. The directory is prepared.
    ///
    /// # Errors
    /// The state directory cannot be written.
    pub fn claim(&self, root: Option<&Path>) -> Result<(), StateError> {
        let io = |source| StateError::Io {
            path: self.path.clone(),
            source,
        };
        root.map_or(Ok(()), |root| identity::claim(root, &self.path).map_err(io))
    }

    /// No state directory: nothing can lie or be made beneath this path.
    pub fn nowhere() -> Self {
        Self::at("/dev/null/bsm")
    }

    /// A state directory at a path of the caller's choosing (tests).
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Creates the folder if it is missing and checks that it is private and local.
    pub fn prepare(&self) -> Result<(), StateError> {
        create_private(&self.path)?;
        if is_network(&self.path) {
            return Err(StateError::Network(self.path.clone()));
        }
        self.prepare_socket()
    }

    /// Chooses a short path for the socket where the own one is too long, and writes it down.
    fn prepare_socket(&self) -> Result<(), StateError> {
        if socket::fits(&self.own_socket()) {
            return Ok(());
        }
        let written = self.path.join(SOCKET_PATH);
        let known = fs::read_to_string(&written).ok().map(PathBuf::from);
        let usable = |path: &&PathBuf| path.parent().is_some_and(|f| create_private(f).is_ok());
        let paths: Vec<PathBuf> = known.into_iter().chain(self.short_sockets()).collect();
        // Without one the console works all the same, and a server says what is wrong.
        let Some(path) = paths.iter().find(usable) else {
            return Ok(());
        };
        let text = path.as_os_str().as_encoded_bytes();
        let io = |source| StateError::Io {
            path: written.clone(),
            source,
        };
        let mut file = private_file(&written, false)?;
        file.set_len(0)
            .and_then(|()| io::Write::write_all(&mut file, text))
            .map_err(io)
    }

    fn own_socket(&self) -> PathBuf {
        self.path.join("bsm.sock")
    }

    fn short_sockets(&self) -> Vec<PathBuf> {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let user = rustix::process::geteuid().as_raw();
        socket::short_paths(&self.path, runtime.as_deref(), &std::env::temp_dir(), user)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The journal's file.
    pub fn journal(&self) -> PathBuf {
        self.path.join("bsm.db")
    }

    /// The folder of the journal's backups.
    pub fn backups(&self) -> PathBuf {
        self.path.join("backups")
    }

    /// Where the next backup goes: named by the time. The folder is made.
    pub fn new_backup(&self) -> Result<PathBuf, StateError> {
        let folder = self.backups();
        create_private(&folder)?;
        Ok(folder.join(format!("bsm-{}.db", stamp())))
    }

    /// The folder of the log files.
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// The owner's socket of a resident engine. It lies in a folder that is ours alone.
    pub fn socket(&self) -> PathBuf {
        let own = self.own_socket();
        if socket::fits(&own) {
            return own;
        }
        let written = fs::read_to_string(self.path.join(SOCKET_PATH)).map(PathBuf::from);
        let is_private = |path: &PathBuf| {
            let folder = path.parent().unwrap_or(path);
            fs::symlink_metadata(folder).is_ok_and(|meta| check_private(folder, &meta).is_ok())
        };
        // A path that is too long is refused with just that message.
        written.ok().filter(is_private).unwrap_or(own)
    }

    /// The audit trail.
    pub fn audit(&self) -> PathBuf {
        self.path.join("audit.jsonl")
    }

    /// The folder for reports of runs outside any workspace.
    pub fn reports(&self) -> PathBuf {
        self.path.join("reports")
    }

    /// Takes the engine's lock, or says who has it. The kernel releases it when the process ends.
    pub fn lock(&self, holder: Holder) -> Result<Lock, StateError> {
        let path = self.path.join("engine.lock");
        let mut file = private_file(&path, false)?;
        let io = |source| StateError::Io {
            path: path.clone(),
            source,
        };
        match file.try_lock() {
            Ok(()) => {
                let word = if holder == Holder::Resident {
                    RESIDENT
                } else {
                    "run"
                };
                let word = format!("{word} {}\n", std::process::id());
                file.set_len(0)
                    .and_then(|()| io::Write::write_all(&mut file, word.as_bytes()))
                    .map_err(io)?;
                Ok(Lock { _file: file })
            }
            Err(TryLockError::WouldBlock) => {
                let (holder, pid) = read_lock(&path);
                Err(StateError::Locked { path, holder, pid })
            }
            Err(TryLockError::Error(source)) => Err(io(source)),
        }
    }

    /// Who holds the lock now, without taking it for longer than the look.
    pub fn holder(&self) -> Option<Holder> {
        let path = self.path.join("engine.lock");
        let file = File::open(&path).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Some(read_lock(&path).0),
            _ => None,
        }
    }

    /// The process that holds the lock, if it wrote its number; meaningful while [`Self::holder`] is some.
    pub fn holder_pid(&self) -> Option<u32> {
        read_lock(&self.path.join("engine.lock")).1
    }

    /// The salt of this workspace's finding fingerprints: 32 random bytes, made once, never shown.
    pub fn salt(&self) -> Result<[u8; 32], StateError> {
        let path = self.path.join("fingerprint.salt");
        if let Ok(bytes) = fs::read(&path)
            && let Ok(salt) = <[u8; 32]>::try_from(bytes)
        {
            return Ok(salt);
        }
        let mut salt = [0; 32];
        let mut random = File::open("/dev/urandom").map_err(|source| StateError::Io {
            path: "/dev/urandom".into(),
            source,
        })?;
        io::Read::read_exact(&mut random, &mut salt).map_err(|source| StateError::Io {
            path: "/dev/urandom".into(),
            source,
        })?;
        let mut file = private_file(&path, false)?;
        io::Write::write_all(&mut file, &salt)
            .and_then(|()| file.sync_all())
            .map_err(|source| StateError::Io { path, source })?;
        Ok(salt)
    }
}

/// The engine's lock; released when dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// The time as it stands in names of files: with milliseconds, so that two in one second are two.
pub fn stamp() -> String {
    jiff::Timestamp::now()
        .strftime("%Y%m%dT%H%M%S%3fZ")
        .to_string()
}

/// `$XDG_STATE_HOME/bsm`, or `~/.local/state/bsm`.
pub fn state_home() -> Result<PathBuf, StateError> {
    home_of("XDG_STATE_HOME", ".local/state")
        .map(|p| p.join("bsm"))
        .ok_or(StateError::NoHome)
}

/// `$XDG_CONFIG_HOME/bsm/config.yaml`, the user's own settings, if a home is known.
pub fn user_config() -> Option<PathBuf> {
    home_of("XDG_CONFIG_HOME", ".config").map(|p| p.join("bsm/config.yaml"))
}

fn home_of(variable: &str, fallback: &str) -> Option<PathBuf> {
    let set = std::env::var_os(variable)
        .map(PathBuf::from)
        .filter(|p| p.is_absolute());
    // An empty or relative HOME is no home: it would be wherever the process happens to be.
    let home = || std::env::var_os("HOME").map(PathBuf::from);
    set.or_else(|| Some(home().filter(|home| home.is_absolute())?.join(fallback)))
}

/// Creates a folder 0700 (and its parents), or checks that an existing one is ours and private.
pub fn create_private(path: &Path) -> Result<(), StateError> {
    let io = |source| StateError::Io {
        path: path.to_path_buf(),
        source,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(io)?;
    let meta = fs::symlink_metadata(path).map_err(io)?;
    if !meta.is_dir() {
        return Err(StateError::NotPrivate {
            path: path.to_path_buf(),
            what: "not a folder".into(),
        });
    }
    check_private(path, &meta)
}

fn check_private(path: &Path, meta: &fs::Metadata) -> Result<(), StateError> {
    let not_private = |what: String| StateError::NotPrivate {
        path: path.to_path_buf(),
        what,
    };
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(not_private(format!("it belongs to user {}", meta.uid())));
    }
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(not_private(format!(
            "its mode is {mode:04o}, so others can read it"
        )));
    }
    Ok(())
}

/// Opens (creating it 0600) a private file for writing, refusing one that others may read.
pub fn private_file(path: &Path, append: bool) -> Result<File, StateError> {
    let io = |source| StateError::Io {
        path: path.to_path_buf(),
        source,
    };
    let mut options = OpenOptions::new();
    options.create(true).read(true).mode(0o600);
    if append {
        options.append(true)
    } else {
        options.write(true)
    };
    let file = options
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
        .map_err(io)?;
    check_private(path, &file.metadata().map_err(io)?)?;
    Ok(file)
}

fn folder_name(path: &Path) -> String {
    let name = path
        .file_name()
        .map_or_else(|| "root".into(), |n| n.to_string_lossy().into_owned());
    let safe: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "._-".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    safe.chars().take(40).collect()
}

#[cfg(target_os = "linux")]
pub(crate) fn is_network(path: &Path) -> bool {
    const NFS: i64 = 0x6969;
    const SMB: i64 = 0x517b;
    const SMB2: i64 = 0xfe53_4d42;
    const CIFS: i64 = 0xff53_4d42;
    rustix::fs::statfs(path).is_ok_and(|s| [NFS, SMB, SMB2, CIFS].contains(&s.f_type))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn is_network(_path: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests;
