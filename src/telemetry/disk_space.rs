//! Bytes and inodes that a file system has left.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What a file system has, and what of it is left to this user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    /// Which file system it is.
    pub device: u64,
    /// Bytes in all.
    pub total_bytes: u64,
    /// Bytes left.
    pub free_bytes: u64,
    /// Inodes in all; 0: this file system does not count them.
    pub total_inodes: u64,
    /// Inodes left.
    pub free_inodes: u64,
}

impl DiskSpace {
    /// Of the file system of a path; where the path does not exist, of the nearest folder above it.
    ///
    /// # Errors
    /// The system says nothing about it.
    pub fn of(path: &Path) -> io::Result<Self> {
        let there = path
            .ancestors()
            .find(|p| p.exists())
            .unwrap_or_else(|| Path::new("/"));
        let found = rustix::fs::statvfs(there)?;
        Ok(Self {
            device: std::fs::metadata(there)?.dev(),
            total_bytes: found.f_blocks.saturating_mul(found.f_frsize),
            free_bytes: found.f_bavail.saturating_mul(found.f_frsize),
            total_inodes: found.f_files,
            free_inodes: found.f_favail,
        })
    }

    /// Whole percent of its bytes that are left.
    pub fn free_percent(&self) -> u64 {
        let free = u128::from(self.free_bytes) * 100;
        u64::try_from(free / u128::from(self.total_bytes.max(1))).unwrap_or(100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_space_of_a_path_that_does_not_exist_is_that_of_the_folder_above() {
        let dir = tempfile::tempdir().unwrap();
        let of = |path: &Path| DiskSpace::of(path).unwrap().total_bytes;
        assert!(of(dir.path()) > 0);
        assert_eq!(of(&dir.path().join("not/there")), of(dir.path()));
    }

    #[test]
    fn free_percent_is_rounded_down_and_survives_an_empty_disk() {
        let space = |total_bytes, free_bytes| DiskSpace {
            device: 1,
            total_bytes,
            free_bytes,
            total_inodes: 0,
            free_inodes: 0,
        };
        assert_eq!(space(1_000, 99).free_percent(), 9);
        assert_eq!(space(0, 0).free_percent(), 0);
        assert_eq!(space(u64::MAX, u64::MAX).free_percent(), 100);
    }
}
