//! Files that were read once and are used as they were read.
//!
//! Why: what is hashed must be what is parsed. A second process that changes a file between two reads wins
//! nothing when there is one read; and files of a commit can stand in the place of those in a folder.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::files::FileError;
use crate::hex;

/// Contents by path, relative to one folder; of a file that could not be read, why.
#[derive(Debug, Default)]
pub struct FileSet(BTreeMap<String, Result<Vec<u8>, FileError>>);

impl FileSet {
    /// Adds a file, or why it could not be read. A file that is not there is left out.
    pub fn add(&mut self, path: &str, content: Result<Vec<u8>, FileError>) {
        if !matches!(content, Err(FileError::NotFound(_)))
            && let Some(path) = normal(Path::new(path))
        {
            self.0.entry(path).or_insert(content);
        }
    }

    /// There is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Paths, ascending.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The file is there, readable or not.
    pub fn exists(&self, path: &Path) -> bool {
        normal(path).is_some_and(|p| self.0.contains_key(&p))
    }

    /// A file's bytes.
    ///
    /// # Errors
    /// Why it could not be read; that it is larger than `max` bytes.
    pub fn read(&self, path: &Path, max: u64) -> Result<&[u8], FileError> {
        let key = normal(path).ok_or_else(|| FileError::Outside(path.to_path_buf()))?;
        match self.0.get(&key) {
            None => Err(FileError::NotFound(path.to_path_buf())),
            Some(Err(error)) => Err(error.copy()),
            Some(Ok(bytes)) if bytes.len() as u64 > max => Err(FileError::TooLarge {
                path: path.to_path_buf(),
                size: bytes.len() as u64,
                max,
            }),
            Some(Ok(bytes)) => Ok(bytes),
        }
    }

    /// A file's text.
    ///
    /// # Errors
    /// As [`FileSet::read`], and that it is not UTF-8.
    pub fn read_text(&self, path: &Path, max: u64) -> Result<String, FileError> {
        let bytes = self.read(path, max)?;
        std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|e| FileError::NotText(path.to_path_buf(), e.valid_up_to()))
    }

    /// SHA-256 over paths and contents: 32 hex digits.
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for (path, content) in &self.0 {
            hash.update((path.len() as u64).to_le_bytes());
            hash.update(path);
            match content {
                Ok(bytes) => {
                    hash.update((bytes.len() as u64).to_le_bytes());
                    hash.update(bytes);
                }
                // What cannot be read now is something else once it can be.
                Err(error) => {
                    hash.update(u64::MAX.to_le_bytes());
                    hash.update(error.to_string());
                }
            }
        }
        hex(&hash.finalize()[..16])
    }
}

/// One spelling of a path: no empty or `.` parts. `None` where it leaves its folder.
pub fn normal(path: &Path) -> Option<String> {
    let mut out = PathBuf::new();
    // A leading slash is a spelling too: `//x` of a diff names the same file.
    let text = path.to_str()?.trim_start_matches('/');
    for part in Path::new(text).components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    let out = out.to_str()?.to_owned();
    (!out.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_set_gives_what_was_read_by_any_spelling_of_its_path() {
        let mut files = FileSet::default();
        files.add("./a//b.txt", Ok(b"text".to_vec()));
        files.add("gone", Err(FileError::NotFound("gone".into())));
        files.add("pipe", Err(FileError::NotAFile("pipe".into())));
        for path in ["a/b.txt", "./a/b.txt", "a/./b.txt", "//a/b.txt"] {
            assert_eq!(
                files.read_text(Path::new(path), 10).unwrap(),
                "text",
                "{path}"
            );
        }
        assert!(files.read(Path::new("gone"), 10).unwrap_err().is_missing());
        assert!(matches!(
            files.read(Path::new("pipe"), 10),
            Err(FileError::NotAFile(_))
        ));
        assert!(matches!(
            files.read(Path::new("a/b.txt"), 1),
            Err(FileError::TooLarge { .. })
        ));
        assert!(matches!(
            files.read(Path::new("../a"), 1),
            Err(FileError::Outside(_))
        ));
        assert_eq!(files.paths().collect::<Vec<_>>(), ["a/b.txt", "pipe"]);
    }

    #[test]
    fn hash_changes_with_path_content_and_readability() {
        let of = |files: &[(&str, Result<Vec<u8>, FileError>)]| {
            let mut set = FileSet::default();
            for (path, content) in files {
                let content = match content {
                    Ok(bytes) => Ok(bytes.clone()),
                    Err(error) => Err(error.copy()),
                };
                set.add(path, content);
            }
            set.hash()
        };
        let hashes = [
            of(&[]),
            of(&[("a", Ok(b"x".to_vec()))]),
            of(&[("a", Ok(b"y".to_vec()))]),
            of(&[("b", Ok(b"x".to_vec()))]),
            of(&[("a", Err(FileError::NotAFile("a".into())))]),
        ];
        let distinct: std::collections::BTreeSet<_> = hashes.iter().collect();
        assert_eq!(distinct.len(), hashes.len());
        assert_eq!(
            of(&[("a", Ok(b"x".to_vec()))]),
            of(&[("./a", Ok(b"x".to_vec()))])
        );
    }
}
