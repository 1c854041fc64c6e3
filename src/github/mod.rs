//! GitHub: whose webhook it is, what it says, and what is done there.
//!
//! Why a room of its own: it holds the token that can act on a repository, and no agent does. It knows
//! nothing of runs; the engine says what is published and keeps it until it is.

mod client;
mod delivery;
mod publication;
mod signature;

use serde::{Deserialize, Serialize};

pub use client::{Github, PullNow};
pub use delivery::{Delivery, is_delivery_id, is_sha, read};
pub use publication::{LineComment, Publication};
pub use signature::{sign, verify};

/// A pull request at one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pull {
    /// `owner/name`.
    pub repository: String,
    /// Its number.
    pub number: u64,
    /// The commit that it is about.
    pub head_sha: String,
    /// The branch that it would go into: into another one it is another change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
}

impl Pull {
    /// `owner/name#7`
    pub fn place(&self) -> String {
        format!("{}#{}", self.repository, self.number)
    }
}

/// Why something at GitHub was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GithubError {
    /// It is not asked at all.
    #[error("GitHub is not asked: {0}")]
    NotAsked(String),
    /// It said no.
    #[error("GitHub answered {status}: {message}")]
    Refused {
        /// The status.
        status: u16,
        /// What it said, cleaned.
        message: String,
    },
    /// Later.
    #[error("GitHub wants a pause of {after_s} s: {message}")]
    Limited {
        /// Seconds.
        after_s: u64,
        /// What it said, cleaned.
        message: String,
    },
    /// No answer, or half of one.
    #[error("GitHub cannot be reached: {0}")]
    Unreachable(String),
    /// It is about another commit by now.
    #[error("the pull request has moved on to {to}, whose own webhook reviews it")]
    Moved {
        /// The newer commit, cut.
        to: String,
    },
    /// Too much of it.
    #[error("GitHub's answer is larger than {0} bytes")]
    TooLarge(usize),
}

impl GithubError {
    /// It may go well another time.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::NotAsked(_) | Self::Limited { .. } | Self::Unreachable(_) => true,
            Self::Refused { status, .. } => *status >= 500 || *status == 408,
            Self::TooLarge(_) | Self::Moved { .. } => false,
        }
    }

    /// How long it wants to be left alone, seconds.
    pub fn pause_s(&self) -> Option<u64> {
        match self {
            Self::Limited { after_s, .. } => Some(*after_s),
            _ => None,
        }
    }
}
