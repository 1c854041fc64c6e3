//! Code hosts: what a pull request is, what can be left on one, and each host's own way of doing it.
//!
//! Why one vocabulary: the engine keeps what it wants to be true of a pull request; a host only says how
//! things are and makes one change at a time.

mod comment_event;
pub mod github;
mod publication;

use serde::{Deserialize, Serialize};

pub use comment_event::{CommentEvent, OwnRemark};
pub use publication::{LineComment, Publication, Written};

use crate::text::{Untrusted, clean_line, cut};

/// A pull request at one commit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pull {
    /// `owner/name`.
    pub repository: String,
    /// The repository's number, which outlives a new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_id: Option<u64>,
    /// Its number; 0: a merge group, which has none.
    pub number: u64,
    /// The commit that it is about.
    pub head_sha: String,
    /// The branch that it would go into: into another one it is another change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The commit of that branch that it was announced with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_sha: Option<String>,
}

impl Pull {
    /// `owner/name#7`; of a merge group `owner/name@0123456789ab`.
    pub fn place(&self) -> String {
        if self.is_merge_group() {
            return format!("{}@{}", self.repository, cut(&self.head_sha, 12));
        }
        format!("{}#{}", self.repository, self.number)
    }

    /// A group of a merge queue: a commit and a branch, and no pull request to write on.
    pub fn is_merge_group(&self) -> bool {
        self.number == 0
    }
}

/// Where a pull request stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PullState {
    /// It can be merged.
    #[default]
    Open,
    /// It was closed without a merge.
    Closed,
    /// It was merged.
    Merged,
}

/// Why something at GitHub was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
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
    /// Nothing can be merged any more.
    #[error("the pull request was closed")]
    Closed,
    /// It has the pull request and not its commits: not yet, or not for these credentials.
    #[error("GitHub does not know the commits: {0}")]
    NoCommits(String),
    /// The host does not do it yet: a check has not ended, a queue is not ready.
    #[error("not yet: {0}")]
    NotYet(String),
    /// Too much of it.
    #[error("GitHub's answer is larger than {0} bytes")]
    TooLarge(usize),
}

impl HostError {
    /// It may go well another time.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::NotAsked(_) | Self::Limited { .. } | Self::Unreachable(_) | Self::NotYet(_) => {
                true
            }
            Self::Refused { status, .. } => *status >= 500 || *status == 408,
            Self::TooLarge(_) | Self::Moved { .. } | Self::Closed | Self::NoCommits(_) => false,
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

/// A change as it came from a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FetchedChange {
    /// A diff in git's form.
    pub diff: Vec<u8>,
    /// What of the change is not in it.
    pub missing: Vec<Unsent>,
}

/// What a host did not send of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsent {
    /// The file; `None`: files that are not named.
    pub path: Option<Untrusted>,
    /// Why not.
    pub reason: String,
}

/// A pull request as it is now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullNow {
    /// Its newest commit.
    pub head_sha: String,
    /// The branch that it would go into.
    pub base: Option<String>,
    /// That branch's newest commit.
    pub base_sha: Option<String>,
    /// When it changed last, in the host's words.
    pub updated: Option<String>,
    /// It can still be merged.
    pub open: bool,
    /// Its author says that it is not finished.
    pub draft: bool,
    /// Its labels; `None`: the host does not say.
    pub labels: Option<Vec<String>>,
    /// Every required check has concluded well, and the branch is up to date where that is required.
    pub mergeable: bool,
    /// The repository's name and number as the host has them now; it may have been renamed.
    pub repository: Option<(String, Option<u64>)>,
}

impl PullNow {
    /// Still at the commit that is meant.
    ///
    /// # Errors
    /// When it has moved on.
    pub fn is_at(&self, pull: &Pull) -> Result<(), HostError> {
        if let (Some(meant), Some(now)) = (&pull.base, &self.base)
            && meant != now
        {
            return Err(HostError::Moved {
                to: format!("another branch, {}", clean_line(now, 60)),
            });
        }
        if self.head_sha == pull.head_sha {
            return Ok(());
        }
        Err(HostError::Moved {
            to: clean_line(&self.head_sha, 12),
        })
    }
}

/// A review of ours that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingReview {
    /// The host's number of it.
    pub id: u64,
    /// APPROVE or REQUEST_CHANGES.
    pub event: String,
    /// The commit that it is about.
    pub commit: String,
    /// The last word of its marker: the branch that it is for.
    pub base_mark: String,
}

/// What the engine does at a host, one request or a few at a time.
pub trait CodeHost: Sync {
    /// The pull request as it is now.
    fn now(&self, pull: &Pull) -> impl Future<Output = Result<PullNow, HostError>> + Send;

    /// Gates are check runs here, which carry annotations.
    fn has_checks(&self) -> bool {
        false
    }

    /// Reviews of ours that approve or ask for changes.
    fn standing_reviews(
        &self,
        pull: &Pull,
    ) -> impl Future<Output = Result<Vec<StandingReview>, HostError>> + Send;

    /// The host's number of the review of ours with this marker.
    fn find_review(
        &self,
        pull: &Pull,
        marker: &str,
    ) -> impl Future<Output = Result<Option<u64>, HostError>> + Send;

    /// Whether a review of ours could be dismissed: without that right none approves.
    fn can_dismiss(&self, pull: &Pull) -> impl Future<Output = Result<bool, HostError>> + Send;

    /// Leaves something on a pull request. Done twice it is the same as once.
    fn publish(
        &self,
        pull: &Pull,
        publication: &Publication,
    ) -> impl Future<Output = Result<Written, HostError>> + Send;

    /// Whether an account may write to the repository: what a webhook says of it counts for nothing.
    fn may_write(
        &self,
        _pull: &Pull,
        _account: &str,
    ) -> impl Future<Output = Result<bool, HostError>> + Send {
        async { Ok(false) }
    }

    /// The remark on a line with this number, where it is ours.
    fn own_remark(
        &self,
        _pull: &Pull,
        _comment: u64,
    ) -> impl Future<Output = Result<Option<OwnRemark>, HostError>> + Send {
        async { Ok(None) }
    }

    /// Fingerprints of our remarks on lines that are there.
    fn own_remarks(
        &self,
        _pull: &Pull,
    ) -> impl Future<Output = Result<Vec<String>, HostError>> + Send {
        async { Ok(Vec::new()) }
    }

    /// Leaves an answer (marker, text with the marker) to a comment, in the thread of a remark or on the pull
    /// request. `again`: it may be there already, and is looked for by its marker.
    fn answer(
        &self,
        _pull: &Pull,
        _text: (&str, &str),
        _in_reply_to: Option<u64>,
        _again: bool,
    ) -> impl Future<Output = Result<Written, HostError>> + Send {
        async { Ok(Written::note("this host takes no answers")) }
    }
}
