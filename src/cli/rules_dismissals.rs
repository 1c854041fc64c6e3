//! `bsm rules dismissals` and `bsm rules revoke`: findings that somebody dismissed by a comment.

use super::remote::Where;
use crate::cli::context::Setup;
use crate::cli::failure::Failure;
use crate::cli::output::say;
use crate::engine::code_host::dismissals::day;
use crate::engine::protocol::command::Command;
use crate::engine::protocol::github::Dismissal;
use crate::engine::protocol::query::{Answer, Query};
use crate::text::{clean_line, cut, json_pretty};

/// Dismissals that are printed.
const LIMIT: u32 = 1_000;

/// Lists them, the newest first. `all`: those that ended too.
pub(super) fn list(setup: &Setup, at: &Where, all: bool, json: bool) -> Result<u8, Failure> {
    let mut rows: Vec<Dismissal> = at.or_journal(
        setup,
        Query::Dismissals { limit: LIMIT },
        |answer| match answer {
            Answer::Dismissals { dismissals } => Some(dismissals),
            _ => None,
        },
        |journal| Ok(journal.dismissals()?.into_iter().map(Into::into).collect()),
    )?;
    let now_ms = jiff::Timestamp::now().as_millisecond();
    rows.retain(|row| all || row.holds(now_ms));
    if json {
        say(json_pretty(&rows).map_err(Failure::engine)?);
        return Ok(0);
    }
    if rows.is_empty() {
        say(
            "No finding is dismissed. `/bsm ignore FINGERPRINT reason` in a comment dismisses one.",
        );
    }
    for row in rows {
        let end = match (&row.revoked_by, row.expires_ms) {
            (Some(by), _) => format!("revoked by {}", clean_line(by, 60)),
            (None, Some(end)) if end <= now_ms => format!("ended {}", day(end)),
            (None, Some(end)) => format!("until {}", day(end)),
            (None, None) => "lasting".into(),
        };
        say(format!(
            "{}  {:<16} {:<36} {} ({}), {} on {}: {}",
            clean_line(&row.id, 40),
            end,
            clean_line(&row.rule, 60),
            clean_line(&row.place, 160),
            cut(&row.fingerprint, 12),
            clean_line(&row.by, 60),
            clean_line(&row.pull, 120),
            clean_line(&row.reason, 200)
        ));
    }
    Ok(0)
}

/// Takes one back: the next decision counts its finding again.
pub(super) fn revoke(setup: &Setup, at: &Where, id: String) -> Result<u8, Failure> {
    at.command(setup, Command::RevokeDismissal { id })
}
