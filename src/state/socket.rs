//! Where the owner's socket is: in the state directory, or, when that path is too long for a socket, in a
//! short private folder under a name that is made of the path.
//!
//! Why the choice is written down: an engine and its clients must find the same one, though one of them may
//! run without `XDG_RUNTIME_DIR` (cron, sudo).

use std::path::{Path, PathBuf};

/// The longest path that a socket may have: the system's 108 bytes, one of them for the end.
const LONGEST: usize = 107;

/// True when a socket may have this path.
pub(super) fn fits(path: &Path) -> bool {
    path.as_os_str().len() <= LONGEST
}

/// Paths for the socket of a state directory whose own is too long, the best first.
pub(super) fn short_paths(
    state: &Path,
    runtime: Option<&Path>,
    temporary: &Path,
    user: u32,
) -> Vec<PathBuf> {
    let hash = bsm_base::short_hash(state.as_os_str().as_encoded_bytes());
    let folders = [
        runtime.map(|runtime| runtime.join("bsm")),
        // Nobody else may make a folder of another's name here and be believed: owner and mode are checked.
        Some(temporary.join(format!("bsm-{user}"))),
    ];
    folders
        .into_iter()
        .flatten()
        .map(|folder| folder.join(format!("{hash}.sock")))
        .filter(|path| path.is_absolute() && fits(path))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_state_path_gets_a_short_socket_of_its_own() {
        let long = PathBuf::from(format!("/{}", "x".repeat(200)));
        assert!(!fits(&long) && fits(Path::new(&"y".repeat(107))));
        let runtime = Path::new("/run/user/1000");
        let paths = |state: &Path, runtime| short_paths(state, runtime, Path::new("/tmp"), 1000);
        let both = paths(&long, Some(runtime));
        assert!(both[0].starts_with("/run/user/1000/bsm") && both[1].starts_with("/tmp/bsm-1000"));
        assert!(both.iter().all(|p| fits(p)));
        assert_eq!(both[0].file_name(), both[1].file_name());
        let other = paths(&long.join("2"), Some(runtime));
        assert_ne!(both[0], other[0], "each state directory has its own");
        assert_eq!(paths(&long, None), both[1..]);
        let too_long = PathBuf::from(format!("/{}", "r".repeat(120)));
        assert_eq!(paths(&long, Some(&too_long)), both[1..]);
    }
}
