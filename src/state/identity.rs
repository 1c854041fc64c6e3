//! Which state belongs to a workspace: by its path, and by an id in its `.bsm/` when it was moved.
//!
//! Why an id: state is found by the path of the workspace, so that a folder that is renamed would lose its runs,
//! approvals and memory. `.bsm/` ignores itself in git: a clone has no id and gets state of its own.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// In the workspace.
const FOLDER: &str = ".bsm";
const ID: &str = "id";
const IGNORE: &str = ".gitignore";
/// In the state directory.
const OWNER: &str = "workspace.json";
/// Longest id or owner's file that is read, bytes.
const LONGEST: usize = 8_192;

/// Whose state a state directory holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Owner {
    /// The workspace's id.
    id: String,
    /// Where the workspace was when the state was used last.
    path: PathBuf,
}

/// Which state directory a workspace has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// The one named by its path.
    Own,
    /// The workspace was moved: its state is here.
    Moved(PathBuf),
    /// It is a copy of a workspace that is still where it was: it gets a new id, and state of its own.
    Copy,
    /// State of another workspace, which was here before, has the name of this path. That workspace finds it by its
    /// id under any name: this one.
    Taken(PathBuf),
}

/// A state directory was found, and whether it is this workspace's cannot be told.
#[derive(Debug)]
pub(super) struct Doubt {
    /// The state directory.
    pub state: PathBuf,
    /// Why.
    pub what: String,
}

/// Looks for the state of the workspace at `root`, which by its path is `own`, in `home`.
///
/// # Errors
/// [`Doubt`]: whether the state that was found is this workspace's cannot be told.
pub(super) fn find(home: &Path, root: &Path, own: &Path) -> Result<Found, Doubt> {
    let Some(id) = id_of(root) else {
        return Ok(Found::Own);
    };
    if own.exists() {
        return match owner_of(own) {
            // It was used before there were ids, or by this very workspace.
            None => Ok(Found::Own),
            Some(owner) if owner.id == id => Ok(Found::Own),
            Some(owner) => {
                let name = own.file_name().unwrap_or_default().to_string_lossy();
                let name = format!("{name}-{}", owner.id.get(..8).unwrap_or_default());
                Ok(Found::Taken(home.join(name)))
            }
        };
    }
    let known: Vec<(PathBuf, Owner)> = fs::read_dir(home)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter_map(|path| owner_of(&path).map(|owner| (path, owner)))
        .filter(|(_, owner)| owner.id == id)
        .collect();
    let (state, owner) = match known.as_slice() {
        [] => return Ok(Found::Own),
        [one] => one,
        [first, ..] => {
            let what = "more than one state directory says that it is this workspace's";
            return Err(in_doubt(&first.0, what));
        }
    };
    match fs::symlink_metadata(&owner.path) {
        Ok(_) if id_of(&owner.path).as_deref() == Some(&id) => Ok(Found::Copy),
        // Another folder is there now.
        Ok(_) => Ok(Found::Moved(state.clone())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Found::Moved(state.clone())),
        Err(e) => {
            let what = format!(
                "whether {} is still there is not known: {e}",
                owner.path.display()
            );
            Err(in_doubt(state, &what))
        }
    }
}

/// The error that says so.
pub(super) fn in_doubt(state: &Path, what: &str) -> Doubt {
    Doubt {
        state: state.to_path_buf(),
        what: what.to_owned(),
    }
}

/// Gives the workspace an id where it has none, and writes down whose state this is. A workspace that cannot be
/// written keeps its state by its path alone.
///
/// # Errors
/// The state directory cannot be written.
pub(super) fn claim(root: &Path, state: &Path) -> io::Result<()> {
    // A folder that lost its id (`git clean` does that) keeps that of its state.
    let before = owner_of(state).map(|owner| owner.id);
    let Some(id) = id_of(root).or_else(|| new_id(root, before)) else {
        return Ok(());
    };
    let path = fs::canonicalize(root).unwrap_or_else(|_| root.to_path_buf());
    let owner = Owner { id, path };
    if owner_of(state).as_ref() == Some(&owner) {
        return Ok(());
    }
    let text = serde_json::to_string(&owner)?;
    let new = state.join(format!("{OWNER}.{:08x}", fastrand::u32(..)));
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&new, state.join(OWNER)));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

/// Forgets the id that a copy of a workspace brought along.
pub(super) fn forget_id(root: &Path) {
    let _ = fs::remove_file(root.join(FOLDER).join(ID));
}

/// The workspace's id; `None`: it has none that can be read.
fn id_of(root: &Path) -> Option<String> {
    let text = read(&root.join(FOLDER).join(ID))?;
    let id = text.trim();
    let valid = id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
    valid.then(|| id.to_owned())
}

fn owner_of(state: &Path) -> Option<Owner> {
    serde_json::from_str(&read(&state.join(OWNER))?).ok()
}

/// A small plain file; what a link points to is not ours.
fn read(path: &Path) -> Option<String> {
    let meta = fs::symlink_metadata(path).ok()?;
    let fits = meta.is_file() && meta.len() <= LONGEST as u64;
    fits.then(|| fs::read_to_string(path).ok()).flatten()
}

/// Makes an id. `None`: the workspace cannot be written.
fn new_id(root: &Path, before: Option<String>) -> Option<String> {
    let folder = root.join(FOLDER);
    match fs::create_dir(&folder) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            // A link leads out of the workspace.
            fs::symlink_metadata(&folder)
                .ok()
                .filter(fs::Metadata::is_dir)?;
        }
        Err(_) => return None,
    }
    let random = || format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    let id = before.unwrap_or_else(random);
    let ignore = folder.join(IGNORE);
    if !ignore.exists() {
        let text =
            "# Written by bsm: what is here belongs to this folder, and to no clone of it.\n*\n";
        fs::write(&ignore, text).ok()?;
    }
    // Another process may be making one: the first stays.
    let new = folder.join(format!("{ID}.{:08x}", fastrand::u32(..)));
    fs::write(&new, format!("{id}\n")).ok()?;
    let linked = fs::hard_link(&new, folder.join(ID));
    let _ = fs::remove_file(&new);
    match linked {
        Ok(()) => Some(id),
        Err(_) => id_of(root),
    }
}
