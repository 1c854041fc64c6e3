//! A comment that asks for something, as it is kept until it was acted on.

use serde::{Deserialize, Serialize};

use crate::code_host::{CommentEvent, Pull};
use crate::engine::code_host::comments::command::is_command;
use crate::review::redact::Redactor;
use crate::settings::GithubSettings;
use crate::text::cut;

/// What is kept of a comment, redacted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommentJob {
    /// `owner/name`.
    pub repository: String,
    /// The repository's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_id: Option<u64>,
    /// The pull request's number.
    pub number: u64,
    /// The comment's number.
    pub comment: u64,
    /// The remark that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<u64>,
    /// Who wrote it.
    pub author: String,
    /// The same person opened the pull request.
    pub by_pull_author: bool,
    /// Its text.
    pub text: String,
    /// The pull request's title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

impl CommentJob {
    /// What is kept of a comment.
    pub fn new(
        repository: &str,
        repository_id: Option<u64>,
        event: &CommentEvent,
        redactor: &Redactor,
    ) -> Self {
        let title = event.title.as_deref();
        Self {
            repository: repository.to_owned(),
            repository_id,
            number: event.number,
            comment: event.id,
            in_reply_to: event.in_reply_to,
            author: event.author.clone(),
            by_pull_author: event.by_pull_author,
            text: redactor.text(&event.text),
            title: title.map(|title| redactor.text(cut(title, 1_000))),
        }
    }

    /// The pull request, at no commit.
    pub fn pull(&self) -> Pull {
        Pull {
            repository: self.repository.clone(),
            repository_id: self.repository_id,
            number: self.number,
            ..Pull::default()
        }
    }

    /// It is a command.
    pub fn is_command(&self) -> bool {
        is_command(&self.text)
    }
}

/// `command` or `reply`; `None`: the comment asks for nothing, or a note says why nothing is done.
pub fn kind_of(
    event: &CommentEvent,
    settings: &GithubSettings,
) -> Option<Result<&'static str, &'static str>> {
    let is_command = is_command(&event.text);
    let is_reply = event.in_reply_to.is_some()
        && settings.replies_per_pull > 0
        && !event.text.contains("<!-- bsm:");
    match (is_command, is_reply) {
        (true, _) if event.is_bot => Some(Err("a bot's commands are not taken")),
        (true, _) if !settings.commands => Some(Err("commands are off (github.commands)")),
        (true, _) => Some(Ok("command")),
        (false, true) if !event.is_bot => Some(Ok("reply")),
        (false, _) => None,
    }
}
