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
