//! Comments that ask for something: commands of people with write access, and replies to our remarks.
//!
//! Why not where the webhook is answered: who may command is asked of the host, and a model may have to answer.
//! The comment is in the journal with its webhook; it is acted on after that, once, whatever happens in between.

mod answers;
mod command;
mod commands;
mod job;
mod reply;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

pub(super) use self::command::is_command;
pub(super) use self::job::{CommentJob, kind_of};
use self::reply::{About, agent_of};
use self::trouble::Trouble;
use crate::code_host::github::Github;
use crate::code_host::{CodeHost as _, HostError, Pull};
use crate::engine::code_host::journal_store::{JournalStore, PullServices};
use crate::engine::code_host::pull_store::PullStore as _;
use crate::engine::code_host::retries::{LONGEST_MS, backoff_ms, stops};
use crate::engine::code_host::standing::{Decided, Hold, findings_of, fingerprint};
use crate::engine::code_host::stats::PublicationStatus;
use crate::engine::models::access::Models;
use crate::engine::periodic;
use crate::engine::runs::intake::Intake;
use crate::journal::{CommentOutcome, CommentRow, JournalError};
use crate::text::clean_line;

/// Longest time between two looks.
const TICK: Duration = Duration::from_secs(60);
/// Tries of one comment: about an hour and a half. Later nobody waits for an answer.
const TRIES: u32 = 10;
/// After the journal was recovered nothing is sent; the time until the next look, milliseconds.
const RECOVERED_MS: i64 = 60_000;
/// Answers on one pull request.
const ANSWERS: u32 = 100;
/// People who are told on one pull request that they may not command.
const REFUSALS: u32 = 3;

/// Acts on comments. One per engine.
pub struct Comments {
    /// Journal, settings, host.
    pub services: Arc<PullServices>,
    /// Begins reviews.
    pub intake: Arc<Intake>,
    /// Answers replies.
    pub models: Arc<Models>,
    /// The signals that wake this and the reconciler.
    pub status: Arc<PublicationStatus>,
}

/// What became of a comment.
#[derive(Debug)]
struct Acted {
    /// Empty, `answer`, `reply` or `refusal`.
    answered: &'static str,
    note: String,
}

impl Acted {
    fn silently(note: impl Into<String>) -> Self {
        Self {
            answered: "",
            note: note.into(),
        }
    }
}

/// A comment with what it takes to act on it.
struct Acting<'a> {
    job: &'a CommentJob,
    key: &'a str,
    pull: Pull,
    host: Arc<Github>,
    /// The webhook's id.
    id: &'a str,
    /// Earlier tries: an answer may be there already.
    attempts: u32,
}

impl Comments {
    /// Acts on what is due, until the engine stops.
    pub async fn run(self: Arc<Self>) {
        let wake = Some(&self.status.wake_comments);
        let what = "comments cannot be acted on";
        let lifecycle = &self.services.lifecycle;
        periodic::repeat(lifecycle, what, TICK, wake, || self.work()).await;
    }

    async fn work(&self) -> Result<Option<i64>, JournalError> {
        let services = &self.services;
        let journal = &services.durable.journal;
        loop {
            if let Some(until) = services.client.paused_until_ms() {
                return Ok(Some(until));
            }
            if services.durable.notice().is_some() {
                return Ok(Some(services.lifecycle.wall_ms() + RECOVERED_MS));
            }
            let steady = services.lifecycle.steady_ms();
            let rows = journal.comments_due(steady, LONGEST_MS).await?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                let outcome = tokio::select! {
                    // It is acted on after the next start.
                    () = services.lifecycle.stopping.cancelled() => return Err(JournalError::Closed),
                    outcome = self.handle(&row) => outcome?,
                };
                tracing::info!(
                    comment = row.task.id,
                    place = row.task.pull_key,
                    "{}",
                    outcome.note
                );
                let kept = || journal.comment_handled(outcome.clone());
                services.durable.persist(kept).await?;
                services.notifier.mark_changed();
            }
        }
        let set_by = services.lifecycle.wall_ms() - services.lifecycle.steady_ms();
        Ok(journal.comments_next().await?.map(|next| next + set_by))
    }

    async fn handle(&self, row: &CommentRow) -> Result<CommentOutcome, JournalError> {
        let outcome = |state: &str, answered: &str, note: &str| CommentOutcome {
            id: row.task.id.clone(),
            state: state.to_owned(),
            answered: answered.to_owned(),
            note: clean_line(&self.services.store.redactor().text(note), 300),
            attempts: row.attempts + 1,
            next_ms: 0,
        };
        let trouble = match self.act(row).await {
            Ok(acted) => return Ok(outcome("done", acted.answered, &acted.note)),
            Err(trouble) => trouble,
        };
        let (note, pause, is_passing) = match trouble {
            Trouble::Journal(error) => return Err(error),
            Trouble::Final(note) => (note, None, false),
            Trouble::Passing(note) => (note, None, true),
            Trouble::Host(error) => {
                if let HostError::Limited { after_s, .. } = &error {
                    self.services.client.pause(Duration::from_secs(*after_s));
                }
                (error.to_string(), stops(&error), error.is_passing())
            }
        };
        if !is_passing || row.attempts + 1 >= TRIES {
            return Ok(outcome("dropped", "", &note));
        }
        // Where nothing may be sent at all, or the host wants a pause, it is no try.
        let attempts = row.attempts + u32::from(pause.is_none());
        let pause = pause.unwrap_or_else(|| backoff_ms(attempts));
        Ok(CommentOutcome {
            attempts,
            next_ms: self.services.lifecycle.steady_ms() + pause,
            ..outcome("waiting", "", &format!("tried again later: {note}"))
        })
    }

    async fn act(&self, row: &CommentRow) -> Result<Acted, Trouble> {
        let Ok(job) = serde_json::from_str::<CommentJob>(&row.task.task) else {
            return Err(Trouble::Final("another version wrote it".into()));
        };
        let services = &self.services;
        let settings = services.store.settings();
        if settings.github.dry_run {
            return Ok(Acted::silently("not acted on: dry run (github.dryRun)"));
        }
        if !services.store.workspace().trust.is_trusted() {
            return Ok(Acted::silently(
                "not acted on: the workspace is not trusted (bsm trust)",
            ));
        }
        if services.client.token(&job.repository).is_none() {
            return Ok(Acted::silently(
                "not acted on: there are no credentials for its repository",
            ));
        }
        let host = services.client.get(&job.repository)?;
        let acting = Acting {
            pull: job.pull(),
            job: &job,
            key: &row.task.pull_key,
            host,
            id: &row.task.id,
            attempts: row.attempts,
        };
        if job.is_command() {
            self.command(&acting).await
        } else {
            self.reply(&acting).await
        }
    }

    /// Answers a reply to one of our remarks.
    async fn reply(&self, acting: &Acting<'_>) -> Result<Acted, Trouble> {
        let (services, job) = (&self.services, acting.job);
        let Some(remark) = job.in_reply_to else {
            return Ok(Acted::silently("it answers nothing"));
        };
        if services.lifecycle.mode.offline || !self.models.service.wanted() {
            return Ok(Acted::silently("no model answers here"));
        }
        let journal = &services.durable.journal;
        let most = services.store.settings().github.replies_per_pull;
        let (_, answered) = journal.comments_counted(acting.key, "reply").await?;
        if answered >= most {
            let note =
                format!("{answered} replies were answered here already (github.repliesPerPull)");
            return Ok(Acted::silently(note));
        }
        let Some(remark) = acting.host.own_remark(&acting.pull, remark).await? else {
            return Ok(Acted::silently("it answers no remark of ours"));
        };
        let may = job.by_pull_author || acting.host.may_write(&acting.pull, &job.author).await?;
        if !may {
            return Ok(Acted::silently(
                "neither the author nor somebody who may write here",
            ));
        }
        let Some(decided) = self.decided(acting).await? else {
            return Ok(Acted::silently("its commit has no decision any more"));
        };
        let mut all = findings_of(&decided.run).into_iter();
        let Some(finding) = all.find(|f| fingerprint(f) == remark.fingerprint) else {
            return Ok(Acted::silently("its finding is gone"));
        };
        let workspace = services.store.workspace();
        let agent = agent_of(&decided.run, finding).and_then(|id| workspace.agent(&id).cloned());
        let Some(agent) = agent else {
            return Ok(Acted::silently("its agent is gone"));
        };
        let about = About {
            finding,
            remark: &remark.text,
            reply: &job.text,
            diff: &decided.diff,
        };
        let with = (&*services.lifecycle, &*services.store);
        let correlation = format!("comment-{}", job.comment);
        let text = reply::ask(&self.models, with, &agent, &about, &correlation).await?;
        let signed = format!(
            "{text}\n\n<sub>{}</sub>",
            crate::text::markdown(&agent.id, 80)
        );
        self.answer(acting, "reply", &signed).await
    }

    /// The newest decision about the commit that the pull request is at now. One that waits for an approval to be
    /// published is none here either.
    async fn decided(&self, acting: &Acting<'_>) -> Result<Option<Decided>, Trouble> {
        let now = acting.host.now(&acting.pull).await?;
        let store = JournalStore::new(&self.services, false);
        let base = now.base.as_deref().unwrap_or_default();
        let repository = &acting.job.repository;
        let Some(decided) = store.decided(repository, &now.head_sha, base).await? else {
            return Ok(None);
        };
        let is_free = store.hold(&decided.run.run_id).await? == Hold::Free;
        Ok(is_free.then_some(decided))
    }

    /// Leaves an answer, unless there are too many already.
    async fn answer(
        &self,
        acting: &Acting<'_>,
        kind: &'static str,
        text: &str,
    ) -> Result<Acted, Trouble> {
        let services = &self.services;
        let journal = &services.durable.journal;
        let (_, answers) = journal.comments_counted(acting.key, kind).await?;
        if answers >= ANSWERS {
            return Ok(Acted::silently(
                "done; too many answers stand there already",
            ));
        }
        let marker = format!("<!-- bsm:answer {} -->", acting.job.comment);
        let body = format!("{marker}\n{text}");
        services.before_write().await;
        if acting.attempts == 0 {
            // A crash before the answer is known must not make a second one.
            let sent = CommentOutcome {
                id: acting.id.to_owned(),
                state: "waiting".into(),
                answered: String::new(),
                note: "an answer that waits".into(),
                attempts: 1,
                next_ms: 0,
            };
            let kept = || journal.comment_handled(sent.clone());
            services.durable.persist(kept).await?;
        }
        let written = acting
            .host
            .answer(
                &acting.pull,
                (&marker, &body),
                acting.job.in_reply_to,
                acting.attempts > 0,
            )
            .await?;
        Ok(Acted {
            answered: kind,
            note: written.note,
        })
    }
}
