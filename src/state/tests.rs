//! The state directory: private, one holder, a socket that fits.

use super::*;

#[test]
fn state_is_private_from_creation() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::at(dir.path().join("s"));
    state.prepare().unwrap();
    assert_eq!(
        fs::metadata(state.path()).unwrap().permissions().mode() & 0o777,
        0o700
    );
    drop(private_file(&state.audit(), true).unwrap());
    assert_eq!(
        fs::metadata(state.audit()).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(state.salt().unwrap(), state.salt().unwrap());
}

#[test]
fn wider_modes_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::at(dir.path().join("s"));
    state.prepare().unwrap();
    fs::set_permissions(state.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(
        state.prepare(),
        Err(StateError::NotPrivate { .. })
    ));
}

#[test]
fn socket_of_a_long_state_path_is_short_and_in_a_private_folder() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::at(dir.path().join("s".repeat(120)));
    state.prepare().unwrap();
    let path = state.socket();
    assert!(socket::fits(&path), "{}", path.display());
    let folder = path.parent().unwrap();
    let mode = fs::metadata(folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert_eq!(state.socket(), path, "whoever asks finds the same");
    state.prepare().unwrap();
    assert_eq!(state.socket(), path);
    // A folder that others may write to is not believed.
    let open = dir.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let named = open.join("x.sock");
    let text = named.to_str().unwrap();
    fs::write(state.path().join(SOCKET_PATH), text).unwrap();
    assert_ne!(state.socket(), named);
}

#[test]
fn one_engine_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::at(dir.path().join("s"));
    state.prepare().unwrap();
    let held = state.lock(Holder::Resident).unwrap();
    assert!(matches!(
        state.lock(Holder::Run),
        Err(StateError::Locked {
            holder: Holder::Resident,
            ..
        })
    ));
    assert_eq!(state.holder(), Some(Holder::Resident));
    assert_eq!(state.holder_pid(), Some(std::process::id()));
    // A program of an older version wrote the word alone.
    fs::write(state.path().join("engine.lock"), "resident").unwrap();
    assert_eq!(state.holder(), Some(Holder::Resident));
    assert_eq!(state.holder_pid(), None);
    drop(held);
    assert_eq!(state.holder(), None);
    assert!(state.lock(Holder::Run).is_ok());
}

/// A workspace in `base`, with the state directory that its path gives it.
fn workspace(base: &Path, name: &str) -> (PathBuf, StateDir) {
    let root = base.join(name);
    fs::create_dir_all(&root).unwrap();
    (root, StateDir::at(base.join("home").join(name)))
}

/// Its state is used: there is a journal, and it is claimed.
fn used(root: &Path, state: &StateDir) -> StateDir {
    let state = state.clone().or_moved(root).unwrap();
    state.prepare().unwrap();
    state.claim(Some(root)).unwrap();
    state
}

fn id(root: &Path) -> String {
    fs::read_to_string(root.join(".bsm/id")).unwrap()
}

#[test]
fn moved_workspace_finds_its_state_and_a_clone_gets_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (old, state) = workspace(dir.path(), "old");
    fs::write(used(&old, &state).journal(), "mine").unwrap();
    assert_eq!(
        fs::read_to_string(old.join(".bsm/.gitignore"))
            .unwrap()
            .lines()
            .last(),
        Some("*")
    );
    // Used again where it is: nothing changes.
    let before = id(&old);
    assert_eq!(used(&old, &state).path(), state.path());
    assert_eq!(id(&old), before);
    // Moved.
    let (new, target) = workspace(dir.path(), "new");
    fs::remove_dir(&new).unwrap();
    fs::rename(&old, &new).unwrap();
    let found = used(&new, &target);
    assert_eq!(fs::read_to_string(found.journal()).unwrap(), "mine");
    assert_eq!(found.path(), target.path(), "it has the name of its path");
    assert!(!state.path().exists());
    // A clone brings no id, and gets state of its own, also where the workspace was before.
    let (clone, own) = workspace(dir.path(), "old");
    let own = used(&clone, &own);
    assert!(!own.journal().exists());
    assert_ne!(id(&clone), id(&new));
}

#[test]
fn copy_of_a_workspace_that_is_still_there_gets_state_and_an_id_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (old, state) = workspace(dir.path(), "old");
    fs::write(used(&old, &state).journal(), "mine").unwrap();
    let (copy, own) = workspace(dir.path(), "copy");
    fs::create_dir(copy.join(".bsm")).unwrap();
    fs::copy(old.join(".bsm/id"), copy.join(".bsm/id")).unwrap();
    let own = used(&copy, &own);
    assert!(!own.journal().exists() && state.journal().exists());
    assert_ne!(id(&copy), id(&old));
}

#[test]
fn copy_of_a_workspace_that_was_moved_and_only_looked_at_since_takes_nothing_from_it() {
    let dir = tempfile::tempdir().unwrap();
    let (old, state) = workspace(dir.path(), "old");
    fs::write(used(&old, &state).journal(), "mine").unwrap();
    let (new, target) = workspace(dir.path(), "new");
    fs::remove_dir(&new).unwrap();
    fs::rename(&old, &new).unwrap();
    // As a command that only reads does.
    let looked = target.clone().or_moved(&new).unwrap();
    assert_eq!(fs::read_to_string(looked.journal()).unwrap(), "mine");
    let (copy, own) = workspace(dir.path(), "copy");
    fs::create_dir(copy.join(".bsm")).unwrap();
    fs::copy(new.join(".bsm/id"), copy.join(".bsm/id")).unwrap();
    let own = used(&copy, &own);
    assert!(!own.journal().exists() && target.journal().exists());
}

#[test]
fn workspaces_that_changed_places_keep_their_state() {
    let dir = tempfile::tempdir().unwrap();
    let ((a, state_a), (b, state_b)) = (workspace(dir.path(), "a"), workspace(dir.path(), "b"));
    fs::write(used(&a, &state_a).journal(), "of a").unwrap();
    fs::write(used(&b, &state_b).journal(), "of b").unwrap();
    let away = dir.path().join("away");
    fs::rename(&a, &away).unwrap();
    fs::rename(&b, &a).unwrap();
    fs::rename(&away, &b).unwrap();
    let of =
        |root: &Path, state: &StateDir| fs::read_to_string(used(root, state).journal()).unwrap();
    assert_eq!(
        (of(&a, &state_a), of(&b, &state_b)),
        ("of b".into(), "of a".into())
    );
    assert_eq!(
        (of(&a, &state_a), of(&b, &state_b)),
        ("of b".into(), "of a".into())
    );
}

#[test]
fn workspace_without_its_id_keeps_the_state_of_its_path_and_a_doubt_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let (root, state) = workspace(dir.path(), "w");
    fs::write(used(&root, &state).journal(), "mine").unwrap();
    let before = id(&root);
    // `git clean -fdx` does that.
    fs::remove_dir_all(root.join(".bsm")).unwrap();
    assert!(used(&root, &state).journal().exists());
    assert_eq!(id(&root), before);
    // Two states of one id, and the workspace is at neither path.
    let twin = dir.path().join("home/twin");
    fs::create_dir(&twin).unwrap();
    fs::copy(
        state.path().join("workspace.json"),
        twin.join("workspace.json"),
    )
    .unwrap();
    let (new, own) = workspace(dir.path(), "new");
    fs::remove_dir(&new).unwrap();
    fs::rename(&root, &new).unwrap();
    let doubt = own.or_moved(&new);
    assert!(
        matches!(doubt, Err(StateError::InDoubt { .. })),
        "{doubt:?}"
    );
    assert!(
        state.journal().exists() && twin.exists(),
        "nothing was touched"
    );
}

#[test]
fn workspace_that_cannot_be_written_keeps_its_state_by_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let (root, state) = workspace(dir.path(), "w");
    // A file in the place of the folder: as good as a folder that may not be written, for root too.
    fs::write(root.join(".bsm"), "a file of somebody").unwrap();
    let state = used(&root, &state);
    assert!(!state.path().join("workspace.json").exists());
    assert_eq!(
        fs::read_to_string(root.join(".bsm")).unwrap(),
        "a file of somebody"
    );
}
