//! A comment that somebody wrote on a pull request, as far as it can ask for something.

/// A comment that was just written. Texts are outside text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommentEvent {
    /// The host's number of it.
    pub id: u64,
    /// The pull request's number.
    pub number: u64,
    /// It answers this remark on a line.
    pub in_reply_to: Option<u64>,
    /// Who wrote it.
    pub author: String,
    /// That is a bot or an app.
    pub is_bot: bool,
    /// The same person opened the pull request.
    pub by_pull_author: bool,
    /// Its text.
    pub text: String,
    /// The pull request's title.
    pub title: Option<String>,
}

/// A remark of ours on a line that somebody answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRemark {
    /// The finding that it is about.
    pub fingerprint: String,
    /// Its text.
    pub text: String,
}
