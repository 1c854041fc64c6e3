//! Files named by data, opened beneath a directory handle.
//!
//! Why: agent lists, knowledge lists, report names and rule files are data, and data may be hostile.
//! A path in them must never leave its folder, follow a link, or open a pipe or a device. Every such
//! read and write goes through [`Root`]: each component is opened relative to the one above with
//! `O_NOFOLLOW`, and kind and size are checked on the handle that is then read.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;

/// Opens a file that a person named, if it is a plain one: reading a pipe or a device may block for ever.
///
/// # Errors
/// As the system reports; [`io::ErrorKind::InvalidInput`] where it is no plain file.
pub fn open_plain(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a plain file",
        ))
    }
}

/// Why a contained file could not be used. Paths are relative to the root.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is no such file.
    #[error("{0}: no such file")]
    NotFound(PathBuf),
    /// The path is absolute, has `..`, or a component is a symbolic link.
    #[error(
        "{0}: leaves its folder or passes through a link; only plain files beneath the workspace are read"
    )]
    Outside(PathBuf),
    /// It is a directory, a pipe, a socket or a device.
    #[error("{0}: not a plain file")]
    NotAFile(PathBuf),
    /// It is larger than the limit, in bytes.
    #[error("{path}: {size} bytes, more than the limit of {max}")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        max: u64,
    },
    /// It is not UTF-8 text; the number is the offset of the first bad byte.
    #[error("{0}: not UTF-8 text (byte {1})")]
    NotText(PathBuf, usize),
    /// Anything the system reported.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
}

impl FileError {
    /// The same error once more: what the system reported is not to be cloned.
    #[must_use]
    pub fn copy(&self) -> Self {
        match self {
            Self::NotFound(path) => Self::NotFound(path.clone()),
            Self::Outside(path) => Self::Outside(path.clone()),
            Self::NotAFile(path) => Self::NotAFile(path.clone()),
            Self::TooLarge { path, size, max } => Self::TooLarge {
                path: path.clone(),
                size: *size,
                max: *max,
            },
            Self::NotText(path, at) => Self::NotText(path.clone(), *at),
            Self::Io(path, error) => Self::Io(
                path.clone(),
                io::Error::new(error.kind(), error.to_string()),
            ),
        }
    }

    /// True when the file simply is not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::NotFound(_))
    }
}

/// A directory handle under which files are named by data.
#[derive(Debug)]
pub struct Root {
    handle: OwnedFd,
    path: PathBuf,
}

impl Root {
    /// Opens a directory chosen by the operator (who may well have chosen a link).
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let handle = rustix::fs::open(
            path,
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|e| refusal(path, e))?;
        Ok(Self {
            handle,
            path: path.to_path_buf(),
        })
    }

    /// The path it was opened by, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads a whole file of at most `max` bytes.
    pub fn read(&self, relative: &Path, max: u64) -> Result<Vec<u8>, FileError> {
        let (parent, name) = self.parent(relative)?;
        // NONBLOCK: opening a FIFO must not wait for a writer; its kind is refused below.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = openat(&parent, name.as_path(), flags, Mode::empty())
            .map_err(|e| refusal(relative, e))?;
        let stat = fstat(&fd).map_err(|e| refusal(relative, e))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(FileError::NotAFile(relative.to_path_buf()));
        }
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        if size > max {
            return Err(FileError::TooLarge {
                path: relative.to_path_buf(),
                size,
                max,
            });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        // The file may grow while it is read; the limit still holds.
        File::from(fd)
            .take(max + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| FileError::Io(relative.to_path_buf(), e))?;
        if bytes.len() as u64 > max {
            return Err(FileError::TooLarge {
                path: relative.to_path_buf(),
                size: bytes.len() as u64,
                max,
            });
        }
        Ok(bytes)
    }

    /// Reads a whole UTF-8 file of at most `max` bytes.
    pub fn read_text(&self, relative: &Path, max: u64) -> Result<String, FileError> {
        let bytes = self.read(relative, max)?;
        String::from_utf8(bytes)
            .map_err(|e| FileError::NotText(relative.to_path_buf(), e.utf8_error().valid_up_to()))
    }

    /// Names of the plain files directly in a sub-folder, sorted.
    pub fn list(&self, relative: &Path) -> Result<Vec<String>, FileError> {
        let folder = self.folder(relative)?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&folder).map_err(|e| refusal(relative, e))? {
            let entry = entry.map_err(|e| refusal(relative, e))?;
            if entry.file_type() == FileType::RegularFile
                && let Ok(name) = entry.file_name().to_str()
            {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// True when the path names a plain file or folder beneath the root.
    pub fn exists(&self, relative: &Path) -> bool {
        self.parent(relative).is_ok_and(|(parent, name)| {
            rustix::fs::statat(&parent, name.as_path(), AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|s| FileType::from_raw_mode(s.st_mode) != FileType::Symlink)
        })
    }

    /// Writes a file so that a crash leaves the old one or the new one: temporary name, sync,
    /// rename, sync of the folder. The folder must exist. New files get `mode`.
    pub fn write_atomic(&self, relative: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
        let (parent, name) = self.parent(relative)?;
        let temporary = PathBuf::from(format!(".{}.{:08x}.tmp", name.display(), fastrand::u32(..)));
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let io = |e: io::Error| FileError::Io(relative.to_path_buf(), e);
        let fd = openat(
            &parent,
            temporary.as_path(),
            flags,
            Mode::from_raw_mode(mode),
        )
        .map_err(|e| refusal(relative, e))?;
        // The mode asked for, whatever the umask.
        let _ = rustix::fs::fchmod(&fd, Mode::from_raw_mode(mode));
        let mut file = File::from(fd);
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        let done = written.and_then(|()| {
            rustix::fs::renameat(&parent, temporary.as_path(), &parent, name.as_path())
                .map_err(io::Error::from)
        });
        if let Err(error) = done {
            let _ = rustix::fs::unlinkat(&parent, temporary.as_path(), AtFlags::empty());
            return Err(io(error));
        }
        rustix::fs::fsync(&parent).map_err(|e| io(e.into()))
    }

    /// Size and time of the last change (milliseconds since 1970) of a plain file.
    ///
    /// # Errors
    /// It is missing, leaves its folder, or is no plain file.
    pub fn size_and_time(&self, relative: &Path) -> Result<(u64, i64), FileError> {
        let (parent, name) = self.parent(relative)?;
        let stat = rustix::fs::statat(&parent, name.as_path(), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| refusal(relative, e))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(FileError::NotAFile(relative.to_path_buf()));
        }
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        Ok((size, stat.st_mtime.saturating_mul(1_000)))
    }

    /// Calls `each` with name, size and time of the last change (milliseconds since 1970) of every plain file of a
    /// folder, in no order. A file that goes meanwhile is left out.
    ///
    /// # Errors
    /// As [`Root::list`].
    pub fn visit(
        &self,
        relative: &Path,
        mut each: impl FnMut(&str, u64, i64),
    ) -> Result<(), FileError> {
        let folder = self.folder(relative)?;
        for entry in Dir::read_from(&folder).map_err(|e| refusal(relative, e))? {
            let entry = entry.map_err(|e| refusal(relative, e))?;
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            let Ok(stat) = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
                let size = u64::try_from(stat.st_size).unwrap_or(0);
                each(name, size, stat.st_mtime.saturating_mul(1_000));
            }
        }
        Ok(())
    }

    /// Removes a plain file; a link, a folder or a device is left alone.
    ///
    /// # Errors
    /// It is missing, leaves its folder, is no plain file, or the system refuses.
    pub fn remove_file(&self, relative: &Path) -> Result<(), FileError> {
        self.size_and_time(relative)?;
        let (parent, name) = self.parent(relative)?;
        rustix::fs::unlinkat(&parent, name.as_path(), AtFlags::empty())
            .map_err(|e| refusal(relative, e))
    }

    /// Creates a folder (and those above it) beneath the root.
    pub fn create_folder(&self, relative: &Path, mode: u32) -> Result<(), FileError> {
        let mut handle = self.duplicate(relative)?;
        for part in components(relative)? {
            let mode = Mode::from_raw_mode(mode);
            let made = match rustix::fs::mkdirat(&handle, part.as_path(), mode) {
                Ok(()) => true,
                Err(Errno::EXIST) => false,
                Err(e) => return Err(refusal(relative, e)),
            };
            handle = open_folder(handle.as_fd(), &part, relative)?;
            if made {
                // The mode asked for, whatever the umask.
                let _ = rustix::fs::fchmod(&handle, mode);
            }
        }
        Ok(())
    }

    fn folder(&self, relative: &Path) -> Result<OwnedFd, FileError> {
        let mut handle = self.duplicate(relative)?;
        for part in components(relative)? {
            handle = open_folder(handle.as_fd(), &part, relative)?;
        }
        Ok(handle)
    }

    fn parent(&self, relative: &Path) -> Result<(OwnedFd, PathBuf), FileError> {
        let mut parts = components(relative)?;
        let name = parts
            .pop()
            .ok_or_else(|| FileError::NotAFile(relative.to_path_buf()))?;
        let mut handle = self.duplicate(relative)?;
        for part in parts {
            handle = open_folder(handle.as_fd(), &part, relative)?;
        }
        Ok((handle, name))
    }

    fn duplicate(&self, relative: &Path) -> Result<OwnedFd, FileError> {
        self.handle
            .try_clone()
            .map_err(|e| FileError::Io(relative.to_path_buf(), e))
    }
}

fn components(relative: &Path) -> Result<Vec<PathBuf>, FileError> {
    let mut parts = Vec::new();
    for part in relative.components() {
        match part {
            Component::Normal(name) => parts.push(PathBuf::from(name)),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(FileError::Outside(relative.to_path_buf()));
            }
        }
    }
    Ok(parts)
}

fn open_folder(parent: impl AsFd, name: &Path, whole: &Path) -> Result<OwnedFd, FileError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent.as_fd(), name, flags, Mode::empty()).map_err(|e| {
        // With O_DIRECTORY a link reports ENOTDIR on Linux; ask what it is, for an honest message.
        let is_link = rustix::fs::statat(parent.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::Symlink);
        if is_link {
            FileError::Outside(whole.to_path_buf())
        } else {
            refusal(whole, e)
        }
    })
}

fn refusal(path: &Path, error: Errno) -> FileError {
    match error {
        Errno::NOENT => FileError::NotFound(path.to_path_buf()),
        Errno::LOOP => FileError::Outside(path.to_path_buf()),
        Errno::NOTDIR | Errno::ISDIR | Errno::NXIO => FileError::NotAFile(path.to_path_buf()),
        other => FileError::Io(path.to_path_buf(), other.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn root() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("in")).unwrap();
        std::fs::write(dir.path().join("in/a.txt"), "hello").unwrap();
        std::fs::write(dir.path().join("secret"), "secret").unwrap();
        let root = Root::open(&dir.path().join("in")).unwrap();
        (dir, root)
    }

    #[test]
    fn reads_only_plain_files_beneath_itself() {
        let (dir, root) = root();
        assert_eq!(root.read_text(Path::new("a.txt"), 10).unwrap(), "hello");
        assert!(matches!(
            root.read(Path::new("../secret"), 10),
            Err(FileError::Outside(_))
        ));
        assert!(matches!(
            root.read(&dir.path().join("secret"), 10),
            Err(FileError::Outside(_))
        ));
        symlink("../secret", dir.path().join("in/link")).unwrap();
        assert!(matches!(
            root.read(Path::new("link"), 10),
            Err(FileError::Outside(_))
        ));
        symlink("..", dir.path().join("in/up")).unwrap();
        assert!(matches!(
            root.read(Path::new("up/secret"), 10),
            Err(FileError::Outside(_))
        ));
        assert!(!root.exists(Path::new("up")));
        assert!(matches!(
            root.read(Path::new("a.txt"), 4),
            Err(FileError::TooLarge { .. })
        ));
        assert!(root.read(Path::new("missing"), 4).unwrap_err().is_missing());
    }

    #[test]
    fn a_fifo_neither_blocks_nor_opens() {
        let (dir, root) = root();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            dir.path().join("in/pipe"),
            FileType::Fifo,
            Mode::RWXU,
            0,
        )
        .unwrap();
        assert!(matches!(
            root.read(Path::new("pipe"), 10),
            Err(FileError::NotAFile(_))
        ));
        assert!(matches!(
            root.read(Path::new("."), 10),
            Err(FileError::NotAFile(_))
        ));
    }

    #[test]
    fn writes_replace_and_never_follow() {
        let (dir, root) = root();
        root.write_atomic(Path::new("a.txt"), b"new", 0o600)
            .unwrap();
        assert_eq!(std::fs::read(dir.path().join("in/a.txt")).unwrap(), b"new");
        symlink("../secret", dir.path().join("in/report")).unwrap();
        root.write_atomic(Path::new("report"), b"replaced", 0o600)
            .unwrap();
        assert_eq!(std::fs::read(dir.path().join("secret")).unwrap(), b"secret");
        symlink("..", dir.path().join("in/out")).unwrap();
        assert!(root.write_atomic(Path::new("out/x"), b"x", 0o600).is_err());
        assert!(root.create_folder(Path::new("out/deeper"), 0o700).is_err());
        assert!(!dir.path().join("x").exists() && !dir.path().join("deeper").exists());
        assert_eq!(root.list(Path::new(".")).unwrap(), ["a.txt", "report"]);
    }

    #[test]
    fn remove_takes_plain_files_beneath_itself_and_nothing_else() {
        let (dir, root) = root();
        symlink("a.txt", dir.path().join("in/link")).unwrap();
        for (name, kind) in [("../secret", "outside"), ("link", "link"), (".", "folder")] {
            assert!(root.remove_file(Path::new(name)).is_err(), "{kind}");
        }
        assert_eq!(root.size_and_time(Path::new("a.txt")).unwrap().0, 5);
        root.remove_file(Path::new("a.txt")).unwrap();
        assert!(
            root.remove_file(Path::new("a.txt"))
                .unwrap_err()
                .is_missing()
        );
        assert!(dir.path().join("secret").exists());
        assert!(dir.path().join("in/link").symlink_metadata().is_ok());
    }
}
