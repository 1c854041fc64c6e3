//! Which workspaces the operator trusts: by path and by a hash of what decides.
//!
//! Why a hash: trust was given to what was read; when a policy file changes, it is asked again. The
//! list lies in the user's state directory, so that no workspace can trust itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::policy_files;
use crate::files::Root;
use crate::state::{self, StateError};

/// Whether a workspace may name addresses, keys, headers and schedules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// It comes with the binary.
    BuiltIn,
    /// The operator looked at exactly this.
    Trusted,
    /// The operator never said so.
    Untrusted,
    /// It was trusted, and has changed since.
    Changed,
}

impl Trust {
    /// What the workspace says holds in full.
    pub fn is_trusted(self) -> bool {
        matches!(self, Self::BuiltIn | Self::Trusted)
    }
}

/// The user's list of trusted workspaces.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TrustStore {
    /// Canonical path → policy hash.
    #[serde(default)]
    trusted: BTreeMap<PathBuf, String>,
    /// A policy that is trusted wherever it lies: `BSM_TRUST`, for pipelines.
    #[serde(skip)]
    pinned: Option<String>,
    /// Where the list is kept.
    #[serde(skip)]
    file: Option<PathBuf>,
}

impl TrustStore {
    /// Reads the user's list; an absent or unreadable one trusts nobody.
    pub fn load() -> Self {
        file().map(Self::at).unwrap_or_default()
    }

    /// Reads the list in a file.
    pub fn at(path: PathBuf) -> Self {
        let read: Option<Self> = std::fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self {
            file: Some(path),
            ..read.unwrap_or_default()
        }
    }

    /// With a policy that is trusted wherever it lies.
    #[must_use]
    pub fn pinning(self, hash: Option<&str>) -> Self {
        Self {
            pinned: hash.map(|h| h.trim().to_ascii_lowercase()),
            ..self
        }
    }

    /// The list as it is now.
    #[must_use]
    pub fn renewed(&self) -> Self {
        match &self.file {
            Some(path) => Self::at(path.clone()).pinning(self.pinned.as_deref()),
            None => self.clone(),
        }
    }

    /// Whether the workspace at `path`, with this policy, is trusted.
    pub fn of(&self, path: &Path, policy_hash: &str) -> Trust {
        if self.pinned.as_deref() == Some(policy_hash) {
            return Trust::Trusted;
        }
        match std::fs::canonicalize(path)
            .ok()
            .and_then(|p| self.trusted.get(&p))
        {
            Some(hash) if hash == policy_hash => Trust::Trusted,
            Some(_) => Trust::Changed,
            None => Trust::Untrusted,
        }
    }

    /// Trusts the workspace at `path` with exactly this policy (`None`: no longer), and saves the list.
    ///
    /// # Errors
    /// When the folder is not there, or the list cannot be written.
    pub fn set(&mut self, path: &Path, policy_hash: Option<&str>) -> Result<(), StateError> {
        let io = |source| StateError::Io {
            path: path.to_path_buf(),
            source,
        };
        let other = |e: &dyn std::fmt::Display| io(std::io::Error::other(e.to_string()));
        let canonical = std::fs::canonicalize(path).map_err(io)?;
        match policy_hash {
            Some(hash) => self.trusted.insert(canonical, hash.to_owned()),
            None => self.trusted.remove(&canonical),
        };
        let list = match &self.file {
            Some(list) => list.clone(),
            None => state::state_home()?.join(FILE),
        };
        let home = list.parent().unwrap_or(Path::new("/")).to_path_buf();
        state::create_private(&home)?;
        let text = serde_json::to_vec_pretty(self).map_err(|e| other(&e))?;
        let name = list.file_name().map(PathBuf::from).unwrap_or_default();
        let root = Root::open(&home).map_err(|e| other(&e))?;
        root.write_atomic(&name, &text, 0o600)
            .map_err(|e| other(&e))
    }
}

/// The list's name in the user's state directory.
const FILE: &str = "trusted.json";

fn file() -> Option<PathBuf> {
    state::state_home().ok().map(|home| home.join(FILE))
}

/// The hash of the policy files in a folder.
pub fn policy_hash(root: &Root) -> String {
    policy_files::of_folder(root).hash()
}
