//! Which workspaces the operator trusts: by path and by a hash of what decides.
//!
//! Why a hash: trust was given to what was read; when a policy file changes, it is asked again. The
//! list lies in the user's state directory, so that no workspace can trust itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::files::Root;
use crate::state::{self, StateError, hex};

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

/// The user's list of trusted workspaces.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TrustStore {
    /// Canonical path → policy hash.
    #[serde(default)]
    trusted: BTreeMap<PathBuf, String>,
}

impl TrustStore {
    /// Reads the list; an absent or unreadable one trusts nobody.
    pub fn load() -> Self {
        let Some(path) = file() else {
            return Self::default();
        };
        std::fs::read(path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    }

    /// Whether the workspace at `path`, with this policy, is trusted.
    pub fn of(&self, path: &Path, policy_hash: &str) -> Trust {
        match std::fs::canonicalize(path)
            .ok()
            .and_then(|p| self.trusted.get(&p))
        {
            Some(hash) if hash == policy_hash => Trust::Trusted,
            Some(_) => Trust::Changed,
            None => Trust::Untrusted,
        }
    }

    /// Trusts (or no longer trusts) the workspace at `path` as it is now, and saves the list.
    pub fn set(&mut self, path: &Path, trusted: bool) -> Result<(), StateError> {
        let io = |source| StateError::Io {
            path: path.to_path_buf(),
            source,
        };
        let canonical = std::fs::canonicalize(path).map_err(io)?;
        if trusted {
            let root =
                Root::open(&canonical).map_err(|e| io(std::io::Error::other(e.to_string())))?;
            self.trusted.insert(canonical, policy_hash(&root));
        } else {
            self.trusted.remove(&canonical);
        }
        let home = state::state_home()?;
        state::create_private(&home)?;
        let text = serde_json::to_vec_pretty(self).map_err(|e| io(std::io::Error::other(e)))?;
        let root = Root::open(&home).map_err(|e| io(std::io::Error::other(e.to_string())))?;
        root.write_atomic(Path::new("trusted.json"), &text, 0o600)
            .map_err(|e| io(std::io::Error::other(e.to_string())))
    }
}

fn file() -> Option<PathBuf> {
    state::state_home()
        .ok()
        .map(|home| home.join("trusted.json"))
}

/// A hash over the files that decide: settings, agents, registry, events, models, ignores.
pub fn policy_hash(root: &Root) -> String {
    let mut names = crate::review::policy::files(root);
    names.push("bsm.yaml".into());
    for folder in ["agents", "data/agents"] {
        let files = root.list(Path::new(folder)).unwrap_or_default();
        names.extend(files.into_iter().map(|f| Path::new(folder).join(f)));
    }
    // The list may name files in folders below.
    let index = root
        .read(Path::new("data/agents/index.json"), super::LARGEST_FILE)
        .unwrap_or_default();
    let listed: serde_json::Value = serde_json::from_slice(&index).unwrap_or_default();
    let listed = listed["agents"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|v| v.as_str());
    names.extend(listed.map(|f| Path::new("data/agents").join(f)));
    names.sort();
    names.dedup();
    let mut hash = Sha256::new();
    for name in names {
        if let Ok(bytes) = root.read(&name, crate::review::policy::LARGEST) {
            hash.update(name.as_os_str().as_encoded_bytes());
            hash.update([0]);
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(&bytes);
        }
    }
    hex(&hash.finalize()[..16])
}
