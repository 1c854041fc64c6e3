//! What the engine has left on a pull request, as far as it knows. Kept as JSON with the pull request's row.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::code_host::{Publication, Written};
use crate::state::hex;

/// Stands for what is not known: nothing that is wanted equals it, so it is sent again.
const UNKNOWN: &str = "";
/// Gates on commits that are remembered.
const GATES: usize = 20;
/// Remarks that are remembered.
const REMARKS: usize = 1_000;

/// Everything of ours there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Published {
    /// The revision that was last worked on.
    pub revision: i64,
    /// Whether reviews of an earlier engine were looked for.
    pub adopted: bool,
    /// A review that was sent, and whose answer is not known.
    pub unsure: Option<Sent>,
    /// Gates, the newest last.
    pub gates: Vec<Gate>,
    /// The comment.
    pub comment: Option<Comment>,
    /// Labels of ours that may be there.
    pub labels: Vec<String>,
    /// Reviews that stand.
    pub reviews: Vec<Review>,
    /// Remarks on lines, by fingerprint.
    pub remarks: BTreeMap<String, Remark>,
    /// The findings of the commit that was decided last, and of the one before it.
    pub findings: [Option<Findings>; 2],
    /// What could not be left there, by [`slot`].
    pub failures: BTreeMap<String, Failure>,
    /// It was merged on our word.
    pub merged: bool,
    /// At which commit it was merged, or put into a merge queue.
    pub merged_at: String,
}

/// A publication that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sent {
    /// What was sent.
    pub publication: Publication,
    /// The commit.
    pub commit: String,
    /// The branch that it is for.
    pub base: String,
}

/// A commit status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    /// The commit.
    pub commit: String,
    /// The branch that it is for.
    pub base: String,
    /// Whose it is.
    pub context: String,
    /// success, failure, error or pending.
    pub state: String,
    /// In a line.
    pub description: String,
    /// The host's number of it, where it is a check run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<u64>,
}

/// The comment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Comment {
    /// The host's number of it.
    pub id: Option<u64>,
    /// What its text is.
    pub digest: String,
    /// The commit that it is about.
    pub commit: String,
}

/// A review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Review {
    /// The host's number of it.
    pub id: u64,
    /// What was wanted: APPROVE, REQUEST_CHANGES or COMMENT.
    pub wanted: String,
    /// What the host took.
    pub event: String,
    /// The commit.
    pub commit: String,
    /// The branch that it is for, as [`base_mark`].
    pub base: String,
}

/// A remark on a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Remark {
    /// Where it stands.
    pub state: RemarkState,
}

/// Where a remark stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RemarkState {
    /// On its line.
    Open,
    /// The host knows no such line; the comment has it.
    Refused,
    /// Its cause is gone, and the thread is resolved.
    Resolved,
}

/// What was found at a commit: fingerprint → a line about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Findings {
    /// The commit.
    pub commit: String,
    /// What was found.
    pub found: BTreeMap<String, String>,
}

/// Something that could not be left there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// What was tried.
    pub digest: String,
    /// How often.
    pub attempts: u32,
    /// Not before, by the engine's own count of milliseconds; `None`: not again.
    pub next_ms: Option<i64>,
}

impl Published {
    /// From its JSON; what cannot be read is nothing.
    pub fn parse(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// As JSON.
    ///
    /// # Errors
    /// Never for what this program made.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// The gate on a commit.
    pub fn gate(&self, commit: &str, context: &str) -> Option<&Gate> {
        self.gates
            .iter()
            .find(|g| g.commit == commit && g.context == context)
    }

    /// Takes the gate on a commit out of the list.
    fn take_gate(&mut self, commit: &str, context: &str) -> Option<Gate> {
        let index = self
            .gates
            .iter()
            .position(|g| g.commit == commit && g.context == context)?;
        Some(self.gates.remove(index))
    }

    /// Something is about to be sent. Until its answer is known, both what was there and what is sent may be there;
    /// an approval counts as there. True when that is to be kept before it is sent.
    pub fn about_to_send(&mut self, publication: &Publication, (head, base): (&str, &str)) -> bool {
        match publication {
            Publication::Status {
                state,
                context,
                commit,
                ..
            } => {
                let there = self.take_gate(commit, context);
                let was_success = there.as_ref().is_some_and(|g| g.state == "success");
                let may_be_success = was_success || state == "success";
                let check = there.as_ref().and_then(|g| g.check);
                self.gates.push(Gate {
                    commit: commit.clone(),
                    base: there.map_or_else(|| base.to_owned(), |g| g.base),
                    context: context.clone(),
                    state: if may_be_success { "success" } else { state }.to_owned(),
                    description: UNKNOWN.into(),
                    check,
                });
            }
            Publication::Comment { .. } => {
                if let Some(comment) = &mut self.comment {
                    comment.digest = UNKNOWN.into();
                }
            }
            Publication::Review { .. } => {
                self.unsure = Some(Sent {
                    publication: publication.clone(),
                    commit: head.to_owned(),
                    base: base.to_owned(),
                });
            }
            Publication::Label { add, .. } if self.labels.contains(add) => return false,
            Publication::Label { add, .. } => self.labels.push(add.clone()),
            Publication::Dismissal { .. }
            | Publication::Resolution { .. }
            | Publication::Merge { .. } => return false,
        }
        true
    }

    /// Something was left there.
    pub fn record(&mut self, publication: &Publication, written: &Written, at: (&str, &str)) {
        let (head, base) = at;
        self.failures.remove(&slot(publication, head));
        match publication {
            Publication::Status {
                state,
                description,
                context,
                commit,
                ..
            } => {
                let commit = if commit.is_empty() { head } else { commit };
                let there = self.take_gate(commit, context);
                let base = there.map_or_else(|| base.to_owned(), |g| g.base);
                self.gates.push(Gate {
                    commit: commit.to_owned(),
                    base,
                    context: context.clone(),
                    state: state.clone(),
                    description: description.clone(),
                    check: written.id,
                });
                // An older success is remembered longest: it may have to be withdrawn.
                while self.gates.len() > GATES {
                    let oldest = self.gates.iter().position(|g| g.state != "success");
                    self.gates.remove(oldest.unwrap_or(0));
                }
            }
            Publication::Comment { body, .. } => {
                self.comment = Some(Comment {
                    id: written.id,
                    digest: digest(body),
                    commit: head.to_owned(),
                });
            }
            Publication::Review {
                event, comments, ..
            } => {
                self.unsure = None;
                // One that only comments stands for nothing that could be taken back.
                if event != "COMMENT" {
                    self.reviews.push(Review {
                        id: written.id.unwrap_or(0),
                        wanted: event.clone(),
                        event: written.event.clone().unwrap_or_else(|| event.clone()),
                        commit: head.to_owned(),
                        base: base_mark(base),
                    });
                }
                for comment in comments {
                    let refused = written.refused.contains(&comment.fingerprint);
                    let state = if refused {
                        RemarkState::Refused
                    } else {
                        RemarkState::Open
                    };
                    self.remarks
                        .insert(comment.fingerprint.clone(), Remark { state });
                }
                while self.remarks.len() > REMARKS {
                    self.remarks.pop_first();
                }
            }
            Publication::Dismissal { review, .. } => self.reviews.retain(|r| r.id != *review),
            Publication::Resolution { remarks } => {
                for fingerprint in remarks {
                    if let Some(remark) = self.remarks.get_mut(fingerprint) {
                        remark.state = RemarkState::Resolved;
                    }
                }
            }
            Publication::Merge { .. } => {
                self.merged = true;
                head.clone_into(&mut self.merged_at);
            }
            Publication::Label { add, .. } => {
                self.labels = (!add.is_empty()).then(|| add.clone()).into_iter().collect();
            }
        }
    }

    /// The findings of a decided commit take their place; those of the commit before it stay beside them.
    pub fn decided(&mut self, commit: &str, found: BTreeMap<String, String>) {
        let newest = self.findings[0].take();
        if let Some(newest) = newest.filter(|f| f.commit != commit) {
            self.findings[1] = Some(newest);
        }
        self.findings[0] = Some(Findings {
            commit: commit.to_owned(),
            found,
        });
    }
}

/// What fails alone: a kind of publication, and for gates and dismissals which one.
pub fn slot(publication: &Publication, head: &str) -> String {
    match publication {
        Publication::Status {
            context, commit, ..
        } => {
            let commit = if commit.is_empty() { head } else { commit };
            format!("status {commit} {context}")
        }
        Publication::Dismissal { review, .. } => format!("dismissal {review}"),
        other => other.kind().to_owned(),
    }
}

/// A branch, as it stands in the marker of a review: no name of a branch ends a comment.
pub fn base_mark(base: &str) -> String {
    let mut mark = digest(base);
    mark.truncate(12);
    mark
}

/// A short name of a text: the same text has the same one.
pub fn digest(text: &str) -> String {
    let mut hash = hex(&Sha256::digest(text.as_bytes()));
    hash.truncate(32);
    hash
}
