//! What can be left on a pull request. Each can be done twice and is then the same as once.

use serde::{Deserialize, Serialize};

/// One thing to leave there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Publication {
    /// The one comment, found again by its marker and edited in place.
    Comment {
        /// An HTML comment that is in its text.
        marker: String,
        /// Markdown, marker included.
        body: String,
    },
    /// A commit status: the newest of a context is the one that counts.
    Status {
        /// success, failure, error or pending.
        state: String,
        /// At most 140 characters.
        description: String,
        /// Whose it is.
        context: String,
    },
    /// A review, found again by its marker.
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
    /// A label, in place of the others of its prefix.
    Label {
        /// The label.
        add: String,
        /// Labels that begin with this go.
        prefix: String,
    },
    /// The merge of exactly this commit.
    Merge,
}

/// A review's remark on a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineComment {
    /// The file.
    pub path: String,
    /// The line in the new file.
    pub line: u32,
    /// Markdown.
    pub body: String,
}

impl Publication {
    /// In a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Comment { .. } => "comment",
            Self::Status { .. } => "status",
            Self::Review { .. } => "review",
            Self::Label { .. } => "label",
            Self::Merge => "merge",
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
            Self::Label { add, .. } => add.clone(),
            Self::Merge => "merge".into(),
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
