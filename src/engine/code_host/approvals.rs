//! Actions that the registry holds back until somebody approves them: publishing a decision, starting an
//! agent. Nobody decides in time: denied.
//!
//! Why by token: an approval is somebody's, and the operator at the keyboard is not yet that somebody.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::engine::agents::AgentControl;
use crate::engine::code_host::stats::PublicationStatus;
use crate::engine::config::store::ConfigStore;
use crate::engine::durable::Durable;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::notifier::Notifier;
use crate::engine::protocol::command::{Refused, Reply};
use crate::engine::protocol::github::Secret;
use crate::journal::{ApprovalRow, ApprovalState, JournalError};
use crate::text::clean_line;
use crate::workspace::agent::Agent;

/// Shortest token that counts, bytes.
const SHORTEST_TOKEN: usize = 16;

/// The alert about an action that waits.
const WAITING: &str = "approval-waiting";

/// Whether the registry wants somebody's approval before this agent acts.
pub fn is_required(agent: &Agent) -> bool {
    (agent.approval.required && agent.approval.kind != "none") || agent.safety.requires_approval
}

/// One per engine.
pub struct Approvals {
    /// Clock.
    pub lifecycle: Arc<Lifecycle>,
    /// Alerts.
    pub notifier: Arc<Notifier>,
    /// Who may approve, and how long an action waits.
    pub store: Arc<ConfigStore>,
    /// Where they are kept.
    pub durable: Arc<Durable>,
    /// Agents whose start waits.
    pub agents: Arc<AgentControl>,
    /// Figures, and the outbox's signal.
    pub status: Arc<PublicationStatus>,
}

impl Approvals {
    /// A new approval, to be written by the caller; the approvers of any of `agents` may decide.
    pub fn request<'a>(
        &self,
        action: &str,
        subject: &str,
        what: String,
        agents: impl Iterator<Item = &'a Agent>,
    ) -> ApprovalRow {
        let mut approvers: Vec<String> = agents
            .flat_map(|a| a.approval.approvers.iter().map(|name| clean_line(name, 60)))
            .collect();
        approvers.sort();
        approvers.dedup();
        let created_ms = self.lifecycle.wall_ms();
        let wait = self.store.settings().approvals.wait_ms.min(1 << 50);
        let id: String = std::iter::repeat_with(fastrand::alphanumeric)
            .take(8)
            .map(|c| c.to_ascii_lowercase())
            .collect();
        ApprovalRow {
            id: format!("apr_{id}"),
            action: action.to_owned(),
            subject: subject.to_owned(),
            what,
            approvers,
            created_ms,
            expires_ms: created_ms.saturating_add(wait.cast_signed()),
            state: ApprovalState::Waiting,
            by: None,
            reason: None,
            decided_ms: None,
        }
    }

    /// Keeps an agent's start until somebody decides on it; returns the refusal that says so.
    ///
    /// # Errors
    /// The journal cannot be read or written.
    pub async fn hold_start(&self, agent: &Agent) -> Result<Refused, Refused> {
        let known = self.durable.journal.approvals_waiting().await?;
        let same = |a: &&ApprovalRow| a.action == "start" && a.subject == agent.id;
        let what = format!("the start of {}", agent.id);
        let approval = if let Some(first) = known.iter().find(same) {
            first.id.clone()
        } else {
            let row = self.request("start", &agent.id, what.clone(), std::iter::once(agent));
            let id = row.id.clone();
            self.durable.journal.hold(row).await?;
            self.alert_waiting(&id, &what);
            let _ = self.status.recount().await;
            id
        };
        Ok(Refused::ApprovalRequired { approval, what })
    }

    /// An alert: something waits for an approval.
    pub fn alert_waiting(&self, id: &str, what: &str) {
        let text = format!("{what} waits for an approval: {id}");
        self.notifier.raise(WAITING, id, text);
    }

    /// Somebody approves (`grant`) or denies.
    ///
    /// # Errors
    /// There is no such approval, the token is not that of one of its approvers, it was decided before, or
    /// it waited too long.
    pub async fn decide(
        &self,
        id: &str,
        grant: bool,
        reason: &str,
        token: &Secret,
    ) -> Result<Reply, Refused> {
        let reason = clean_line(&self.store.redactor().text(reason), 300);
        if reason.trim().is_empty() {
            return Err(Refused::input("say why"));
        }
        let by = self.approver(token)?;
        let journal = &self.durable.journal;
        let approval = journal
            .approval(id)
            .await?
            .ok_or_else(|| Refused::not_found("approval", id))?;
        if !approval.approvers.is_empty() && !approval.approvers.contains(&by) {
            return Err(Refused::Forbidden {
                reason: format!(
                    "{by} may not decide on it; {} may",
                    approval.approvers.join(", ")
                ),
            });
        }
        if grant && approval.action == "start" {
            let agent = self.agents.agent(&approval.subject)?;
            self.agents.may_start(&agent).await?;
        }
        let now_ms = self.lifecycle.wall_ms();
        let late = approval.expires_ms <= now_ms;
        let state = match (late, grant) {
            (true, _) => ApprovalState::Expired,
            (false, true) => ApprovalState::Approved,
            (false, false) => ApprovalState::Denied,
        };
        if !journal.decide(id, state, &by, &reason, now_ms).await? {
            // Read again: somebody else was first, after it was read above.
            let now = journal.approval(id).await?;
            let word = now.map_or("gone", |a| a.state.as_str());
            return Err(Refused::input(format!("{id} is decided already: {word}")));
        }
        if state == ApprovalState::Approved && approval.action == "start" {
            self.agents.set_stopped(&approval.subject, false).await?;
        }
        self.status.wake_outbox.notify_one();
        let _ = self.status.recount().await;
        if late {
            return Err(Refused::input(format!(
                "{id} waited too long and is denied"
            )));
        }
        let (what, word) = (&approval.what, state.as_str());
        let text = format!("{what}: {word} by {by}: {reason}");
        self.notifier.resolve(WAITING, id, text);
        Ok(Reply::Done {
            what: format!("{what} is {word} by {by}"),
        })
    }

    /// Whose token this is. Every one is compared, so that the time tells nothing.
    fn approver(&self, token: &Secret) -> Result<String, Refused> {
        let settings = self.store.settings();
        if settings.approvers.is_empty() {
            return Err(Refused::Forbidden {
                reason: "nobody may approve; name approvers and their tokens in your own settings"
                    .into(),
            });
        }
        let given = Sha256::digest(token.0.trim().as_bytes());
        let mut found = None;
        for approver in &settings.approvers {
            let theirs = self
                .store
                .env
                .get(&approver.token_env)
                .map_or("", str::trim);
            let same: bool = given
                .as_slice()
                .ct_eq(Sha256::digest(theirs.as_bytes()).as_slice())
                .into();
            if same && theirs.len() >= SHORTEST_TOKEN {
                found = Some(clean_line(&approver.name, 60));
            }
        }
        found.ok_or_else(|| Refused::Forbidden {
            reason: "that is no approver's token".into(),
        })
    }

    /// Denies what waited too long.
    ///
    /// # Errors
    /// The journal cannot be read or written.
    pub async fn expire(&self) -> Result<(), JournalError> {
        if !self.lifecycle.clock_is_sound() {
            return Ok(());
        }
        let now_ms = self.lifecycle.wall_ms();
        let journal = &self.durable.journal;
        for approval in journal.approvals_waiting().await? {
            let state = ApprovalState::Expired;
            if approval.expires_ms <= now_ms
                && journal
                    .decide(&approval.id, state, "time", "nobody decided", now_ms)
                    .await?
            {
                let text = format!("{}: nobody decided in time, denied", approval.what);
                self.notifier.resolve(WAITING, &approval.id, text.clone());
                self.notifier.alert(true, text);
            }
        }
        Ok(())
    }
}
