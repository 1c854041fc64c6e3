//! Actions that the registry holds back until somebody approves them: publishing a decision, starting an
//! agent. Nobody decides in time: denied.
//!
//! Why by token: an approval is somebody's, and the operator at the keyboard is not yet that somebody.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::core::Core;
use super::outbox;
use super::types::command::{Refused, Reply};
use super::types::github::Secret;
use crate::journal::{ApprovalRow, ApprovalState, JournalError};
use crate::resilience::clock::lock;
use crate::text::clean_line;
use crate::workspace::agent::Agent;

/// Shortest token that counts.
const TOKEN: usize = 16;

/// Whether the registry wants somebody's approval before this agent acts.
pub(super) fn needed(agent: &Agent) -> bool {
    (agent.approval.required && agent.approval.kind != "none") || agent.safety.requires_approval
}

/// One that waits for the approvers of these agents.
pub(super) fn new<'a>(
    core: &Core,
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
    let created_ms = core.clock.wall_ms();
    let wait = core.settings.load().approvals.wait_ms.min(1 << 50);
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

/// Writes down that an agent's start waits; says so.
pub(super) async fn hold_start(core: &Arc<Core>, agent: &Agent) -> Result<Refused, Refused> {
    let known = core
        .journal
        .approvals_waiting()
        .await
        .map_err(super::intake::journal)?;
    let same = |a: &&ApprovalRow| a.action == "start" && a.subject == agent.id;
    let what = format!("the start of {}", agent.id);
    let approval = if let Some(first) = known.iter().find(same) {
        first.id.clone()
    } else {
        let row = new(
            core,
            "start",
            &agent.id,
            what.clone(),
            std::iter::once(agent),
        );
        let id = row.id.clone();
        core.journal
            .hold(row)
            .await
            .map_err(super::intake::journal)?;
        tell(core, &id, &what);
        let _ = outbox::count(core).await;
        id
    };
    Ok(Refused::ApprovalRequired { approval, what })
}

/// An operator should know that something waits.
pub(super) fn tell(core: &Core, id: &str, what: &str) {
    core.alert(true, format!("{what} waits for an approval: {id}"));
}

/// Somebody decides.
pub(super) async fn decide(
    core: &Arc<Core>,
    id: &str,
    grant: bool,
    reason: &str,
    token: &Secret,
) -> Result<Reply, Refused> {
    let reason = clean_line(&core.redactor.load().text(reason), 300);
    if reason.trim().is_empty() {
        return Err(Refused::input("say why"));
    }
    let by = approver(core, token)?;
    let journal = super::intake::journal;
    let approval = core
        .journal
        .approval(id)
        .await
        .map_err(journal)?
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
        core.may_start(&*core.agent(&approval.subject)?)?;
    }
    let now_ms = core.clock.wall_ms();
    let late = approval.expires_ms <= now_ms;
    let state = match (late, grant) {
        (true, _) => ApprovalState::Expired,
        (false, true) => ApprovalState::Approved,
        (false, false) => ApprovalState::Denied,
    };
    let first = core
        .journal
        .decide(id, state, &by, &reason, now_ms)
        .await
        .map_err(journal)?;
    if !first {
        return Err(Refused::input(format!(
            "{id} is decided already: {}",
            approval.state.word()
        )));
    }
    if state == ApprovalState::Approved && approval.action == "start" {
        core.journal
            .set_stopped(&approval.subject, false)
            .await
            .map_err(journal)?;
        lock(&core.stopped).remove(&approval.subject);
    }
    core.outbox.notify_one();
    let _ = outbox::count(core).await;
    if late {
        return Err(Refused::input(format!(
            "{id} waited too long and is denied"
        )));
    }
    let (what, word) = (&approval.what, state.word());
    core.alert(false, format!("{what}: {word} by {by}: {reason}"));
    Ok(Reply::Done {
        what: format!("{what} is {word} by {by}"),
    })
}

/// Whose token this is. Every one is compared, so that the time does not tell.
fn approver(core: &Core, token: &Secret) -> Result<String, Refused> {
    let settings = core.settings.load();
    if settings.approvers.is_empty() {
        return Err(Refused::Forbidden {
            reason: "nobody may approve; name approvers and their tokens in your own settings"
                .into(),
        });
    }
    let came = Sha256::digest(token.0.trim().as_bytes());
    let mut found = None;
    for approver in &settings.approvers {
        let theirs = core.env.get(&approver.token_env).map_or("", str::trim);
        let same: bool = came
            .as_slice()
            .ct_eq(Sha256::digest(theirs.as_bytes()).as_slice())
            .into();
        if same && theirs.len() >= TOKEN {
            found = Some(clean_line(&approver.name, 60));
        }
    }
    found.ok_or_else(|| Refused::Forbidden {
        reason: "that is no approver's token".into(),
    })
}

/// Denies what waited too long.
pub(super) async fn expire(core: &Arc<Core>) -> Result<(), JournalError> {
    if !core.clock_is_sound() {
        return Ok(());
    }
    let now_ms = core.clock.wall_ms();
    for approval in core.journal.approvals_waiting().await? {
        if approval.expires_ms <= now_ms
            && core
                .journal
                .decide(
                    &approval.id,
                    ApprovalState::Expired,
                    "time",
                    "nobody decided",
                    now_ms,
                )
                .await?
        {
            core.alert(
                true,
                format!("{}: nobody decided in time, denied", approval.what),
            );
        }
    }
    Ok(())
}

/// How many wait.
pub(super) async fn waiting(core: &Core) -> Result<u32, JournalError> {
    Ok(core.journal.approvals_waiting().await?.len() as u32)
}
