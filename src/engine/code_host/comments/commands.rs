//! Carrying out commands: each is one function, and ends in one short answer.

use std::fmt::Write as _;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::code_host::{CodeHost as _, Pull};
use crate::engine::code_host::comments::command::{CommentCommand, parse};
use crate::engine::code_host::comments::trouble::Trouble;
use crate::engine::code_host::comments::{Acted, Acting, Comments, REFUSALS, answers};
use crate::engine::code_host::dismissals::{day, why_it_stays};
use crate::engine::code_host::filters::over_cost;
use crate::engine::code_host::standing::{Decided, fingerprint};
use crate::engine::protocol::command::Trigger;
use crate::journal::{DismissalRow, PullRef};
use crate::review::finding::Finding;
use crate::state::hex;
use crate::text::{clean_line, cut, markdown};

/// What a day has, milliseconds.
const DAY_MS: i64 = 86_400_000;

impl Comments {
    /// Carries out a command, where its author may command.
    pub(super) async fn command(&self, acting: &Acting<'_>) -> Result<Acted, Trouble> {
        let Some(command) = parse(&acting.job.text) else {
            return Ok(Acted::silently("it is no command"));
        };
        let author = &acting.job.author;
        if !acting.host.may_write(&acting.pull, author).await? {
            return self.refuse(acting).await;
        }
        match command {
            CommentCommand::Help => self.answer(acting, "answer", answers::HELP).await,
            CommentCommand::Unclear(what) => {
                let text = format!("{}\n\n{}", markdown(&what, 200), answers::HELP);
                self.answer(acting, "answer", &text).await
            }
            CommentCommand::Review => self.review(acting).await,
            CommentCommand::Why { fingerprint } => self.why(acting, fingerprint).await,
            CommentCommand::Ignore {
                fingerprint,
                reason,
                days,
            } => self.ignore(acting, fingerprint, &reason, days).await,
        }
    }

    /// Somebody without the right is told so once, and not everybody is.
    async fn refuse(&self, acting: &Acting<'_>) -> Result<Acted, Trouble> {
        let journal = &self.services.durable.journal;
        let (_, refusals) = journal.comments_counted(acting.key, "refusal").await?;
        let author = &acting.job.author;
        let before = journal.was_refused(acting.key, author).await?;
        let note = format!(
            "refused: {} may not write to the repository",
            clean_line(author, 60)
        );
        if before || refusals >= REFUSALS {
            return Ok(Acted::silently(note));
        }
        self.answer(acting, "refusal", answers::NO_RIGHT).await?;
        Ok(Acted {
            answered: "refusal",
            note,
        })
    }

    async fn review(&self, acting: &Acting<'_>) -> Result<Acted, Trouble> {
        let services = &self.services;
        let job = acting.job;
        let now = acting.host.now(&acting.pull).await?;
        let settings = services.store.settings();
        let filters = settings.github.filters_of(&job.repository);
        if !now.open {
            return self
                .answer(acting, "answer", "This pull request is closed.")
                .await;
        }
        if now.draft && !filters.drafts {
            let text = "This is a draft; it is reviewed when it is ready.";
            return self.answer(acting, "answer", text).await;
        }
        let journal = &services.durable.journal;
        let place = (job.repository.as_str(), job.number);
        if let Some(note) = over_cost(journal, &filters, place).await? {
            return self.answer(acting, "answer", &markdown(&note, 200)).await;
        }
        let pull = Pull {
            head_sha: now.head_sha.clone(),
            base: now.base.clone(),
            base_sha: now.base_sha.clone(),
            ..acting.pull.clone()
        };
        let payload = json!({
            "action": "synchronize",
            "number": job.number,
            "pull_request": {
                "number": job.number, "title": job.title, "draft": now.draft, "state": "open",
                "head": {"sha": now.head_sha}, "base": {"ref": now.base, "sha": now.base_sha},
            },
            "repository": {"full_name": job.repository},
        });
        let trigger = Trigger {
            event: "pull_request.synchronize".into(),
            payload,
            idempotency_key: Some(key(job.comment, &job.repository)),
            ..Trigger::default()
        };
        let head = cut(&pull.head_sha, 12).to_owned();
        let row = PullRef {
            repository: pull.repository.clone(),
            repository_id: pull.repository_id,
            number: pull.number,
            head: pull.head_sha.clone(),
            base: pull.base.clone().unwrap_or_default(),
        };
        let (actor, correlation) = (actor(&job.author), correlation(job.comment));
        let run = self
            .intake
            .accept_pull(trigger, pull, &actor, &correlation)
            .await?;
        journal.mark_pull(row, services.lifecycle.wall_ms()).await?;
        self.status.wake_outbox.notify_one();
        let text = format!("`{head}` is reviewed again.\n\n<sub>run `{run}`</sub>");
        let acted = self.answer(acting, "answer", &text).await?;
        Ok(Acted {
            note: format!("review: run {run}; {}", acted.note),
            ..acted
        })
    }

    async fn why(&self, acting: &Acting<'_>, with: Option<String>) -> Result<Acted, Trouble> {
        let Some(decided) = self.decided(acting).await? else {
            let text =
                "No decision about this commit is published yet; `/bsm review` asks for one.";
            return self.answer(acting, "answer", text).await;
        };
        let text = match self.named(acting, with).await? {
            None => answers::why(&decided),
            Some(with) => match only(&decided, &with) {
                Ok(finding) => {
                    let settings = self.services.store.settings();
                    answers::why_finding(&decided.run, finding, &settings.github.not_dismissable)
                }
                Err(text) => text,
            },
        };
        self.answer(acting, "answer", &text).await
    }

    /// The fingerprint that was named, else that of the remark in whose thread the comment is.
    async fn named(
        &self,
        acting: &Acting<'_>,
        named: Option<String>,
    ) -> Result<Option<String>, Trouble> {
        match (named, acting.job.in_reply_to) {
            (None, Some(remark)) => {
                let remark = acting.host.own_remark(&acting.pull, remark).await?;
                Ok(remark.map(|remark| remark.fingerprint))
            }
            (named, _) => Ok(named),
        }
    }

    async fn ignore(
        &self,
        acting: &Acting<'_>,
        with: Option<String>,
        reason: &str,
        days: Option<u32>,
    ) -> Result<Acted, Trouble> {
        let services = &self.services;
        let Some(with) = self.named(acting, with).await? else {
            let text = "Say which finding: `/bsm ignore FINGERPRINT reason`. The fingerprint stands beside it.";
            return self.answer(acting, "answer", text).await;
        };
        let Some(decided) = self.decided(acting).await? else {
            let text =
                "No decision about this commit is published yet, so there is nothing to dismiss.";
            return self.answer(acting, "answer", text).await;
        };
        let finding = match only(&decided, &with) {
            Ok(finding) => finding,
            Err(text) => return self.answer(acting, "answer", &text).await,
        };
        let settings = services.store.settings();
        if let Some(why) = why_it_stays(finding, &settings.github.not_dismissable) {
            let text = format!("It is not dismissed: {}.", markdown(&why, 300));
            return self.answer(acting, "answer", &text).await;
        }
        let row = self.dismissal(acting, finding, reason, days);
        let (id, expires) = (row.id.clone(), row.expires_ms);
        let journal = &services.durable.journal;
        services
            .durable
            .persist(|| journal.dismiss(row.clone()))
            .await?;
        // The same run with the same findings, but for this one.
        let (actor, correlation) = (actor(&acting.job.author), correlation(acting.job.comment));
        let once = key(acting.job.comment, &acting.job.repository);
        let old = &decided.run.run_id;
        let run = self
            .intake
            .rerun_once(old, &once, &actor, &correlation)
            .await?;
        let mut text = format!(
            "`{}` is dismissed in this repository: {}.",
            finding.rule.replace('`', ""),
            markdown(reason, 300)
        );
        if let Some(end) = expires {
            // Writing into a String cannot fail.
            let _ = write!(text, " The dismissal ends on {}.", day(end));
        }
        let _ = write!(
            text,
            " A new decision follows. An operator takes it back with `bsm rules revoke {id}`.\n\n<sub>run `{run}`</sub>"
        );
        let acted = self.answer(acting, "answer", &text).await?;
        Ok(Acted {
            note: format!("dismissal {id}; run {run}; {}", acted.note),
            ..acted
        })
    }

    fn dismissal(
        &self,
        acting: &Acting<'_>,
        finding: &Finding,
        reason: &str,
        days: Option<u32>,
    ) -> DismissalRow {
        let services = &self.services;
        let redactor = services.store.redactor();
        let now_ms = services.lifecycle.wall_ms();
        let repository = acting.job.repository.to_ascii_lowercase();
        let fingerprint = fingerprint(finding);
        let file = finding.file.as_ref().map_or("", |f| f.raw()).to_owned();
        let line = finding.line.map_or_else(String::new, |n| format!(":{n}"));
        let mut id = hex(&Sha256::digest(format!("{repository}\n{fingerprint}")));
        id.truncate(12);
        DismissalRow {
            id: format!("dis_{id}"),
            place: clean_line(&format!("{file}{line}"), 300),
            repository,
            fingerprint,
            rule: finding.rule.clone(),
            file,
            by: clean_line(&acting.job.author, 80),
            reason: clean_line(&redactor.text(reason), 300),
            pull: acting.pull.place(),
            created_ms: now_ms,
            expires_ms: days.map(|days| now_ms + i64::from(days) * DAY_MS),
            revoked_by: None,
            revoked_ms: None,
        }
    }
}

/// The one finding whose fingerprint begins so; else what to say.
fn only<'a>(decided: &'a Decided, with: &str) -> Result<&'a Finding, String> {
    let found = answers::beginning(&decided.run, with);
    let shown = markdown(with, 64);
    match found.as_slice() {
        [one] => Ok(one),
        [] => Err(format!(
            "No finding of the newest decision has a fingerprint that begins with {shown}."
        )),
        more => Err(format!(
            "{} findings have a fingerprint that begins with {shown}; write more of it.",
            more.len()
        )),
    }
}

/// Carried out twice, a comment begins one run.
fn key(comment: u64, repository: &str) -> String {
    format!("comment {} {comment}", repository.to_ascii_lowercase())
}

fn actor(author: &str) -> String {
    format!("github:{}", clean_line(author, 60))
}

fn correlation(comment: u64) -> String {
    format!("comment-{comment}")
}
