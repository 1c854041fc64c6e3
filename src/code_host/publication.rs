//! What can be left on a pull request. Each can be done twice and is then the same as once.

use serde::{Deserialize, Serialize};

/// One thing to leave there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Publication {
    /// The one comment, edited in place.
    Comment {
        /// An HTML comment that is in its text.
        marker: String,
        /// Markdown, marker included.
        body: String,
        /// The host's number of it; `None`: one may be there, and is looked for by its marker.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
    },
    /// The gate, as a check run where the token is an app's, else as a commit status: the newest of a context is the
    /// one that counts.
    Status {
        /// success, failure, error or pending.
        state: String,
        /// At most 140 characters.
        description: String,
        /// Whose it is, and for which branch.
        context: String,
        /// The commit; empty: the pull request's head.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        commit: String,
        /// The host's number of the check run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        check: Option<u64>,
        /// Annotations of the check run.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        annotations: Vec<LineComment>,
    },
    /// A review.
    Review {
        /// APPROVE, REQUEST_CHANGES or COMMENT.
        event: String,
        /// An HTML comment that is in its text.
        marker: String,
        /// Markdown, marker included.
        body: String,
        /// On lines.
        comments: Vec<LineComment>,
    },
    /// A review of ours stands no more.
    Dismissal {
        /// The host's number of the review.
        review: u64,
        /// Why.
        message: String,
    },
    /// A label in place of the others of its prefix.
    Label {
        /// The label; empty: none.
        add: String,
        /// Labels that begin with this go.
        prefix: String,
        /// Labels that may be there and go in any case.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        remove: Vec<String>,
    },
    /// Remarks whose cause is gone.
    Resolution {
        /// Their fingerprints.
        remarks: Vec<String>,
    },
    /// The merge of exactly this commit, where the branch requires our gate.
    Merge {
        /// The context of the gate that must be required.
        #[serde(default)]
        context: String,
    },
}

/// A review's remark on a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineComment {
    /// The file.
    pub path: String,
    /// The line in the new file.
    pub line: u32,
    /// Markdown, with a marker that holds the fingerprint.
    pub body: String,
    /// The same remark has the same one, on every commit.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fingerprint: String,
}

/// What became of something that was left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// In a line.
    pub note: String,
    /// The host's number of it, where it has one.
    pub id: Option<u64>,
    /// The event that a review was accepted with.
    pub event: Option<String>,
    /// Fingerprints of remarks that the host did not take on their line.
    pub refused: Vec<String>,
}

impl Written {
    /// Done, with a line about it.
    pub fn note(note: impl Into<String>) -> Self {
        Self {
            note: note.into(),
            ..Self::default()
        }
    }
}

impl Publication {
    /// In a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Comment { .. } => "comment",
            Self::Status { .. } => "status",
            Self::Review { .. } => "review",
            Self::Dismissal { .. } => "dismissal",
            Self::Label { .. } => "label",
            Self::Resolution { .. } => "resolution",
            Self::Merge { .. } => "merge",
        }
    }

    /// In a line.
    pub fn says(&self) -> String {
        match self {
            Self::Comment { body, .. } => first_line(body),
            Self::Status {
                state, description, ..
            } => format!("{state}: {description}"),
            Self::Review {
                event,
                comments,
                body,
                ..
            } => format!("{event}, {} on lines: {}", comments.len(), first_line(body)),
            Self::Dismissal { review, message } => format!("review {review}: {message}"),
            Self::Label { add, .. } if add.is_empty() => "no label".into(),
            Self::Label { add, .. } => add.clone(),
            Self::Resolution { remarks } => format!("{} remarks are resolved", remarks.len()),
            Self::Merge { .. } => "merge".into(),
        }
    }
}

fn first_line(body: &str) -> String {
    let mut lines = body.lines().map(str::trim);
    let line = lines.find(|l| !l.is_empty() && !l.starts_with("<!--"));
    line.unwrap_or_default()
        .trim_start_matches('#')
        .trim()
        .to_owned()
}
