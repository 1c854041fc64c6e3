//! A webhook: what it means, whether it came before, and the run it begins. On disk before it is answered.
//!
//! Why the change is not fetched here: GitHub waits ten seconds for an answer and does not ask again.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::core::Core;
use super::intake::{self, Prepared, journal};
use super::types::command::{Refused, Reply, Trigger};
use super::types::github::{GithubStats, Webhook};
use super::types::run::Input;
use crate::github::{self, Delivery};
use crate::journal::{DeliveryRow, Outcome, RunStatus, Taken};
use crate::resilience::clock::lock;
use crate::state::hex;
use crate::text::clean_line;

/// Takes a webhook in whose signature was good.
pub(super) async fn deliver(
    core: &Arc<Core>,
    webhook: Webhook,
    actor: &str,
    correlation: &str,
) -> Result<Reply, Refused> {
    if !github::is_delivery_id(&webhook.delivery) {
        return Err(Refused::input("X-GitHub-Delivery names no delivery"));
    }
    let bytes = webhook.body.0;
    let body: serde_json::Value = serde_json::from_slice(&bytes)
        .map_err(|e| Refused::input(format!("the body is no JSON: {e}")))?;
    let delivery = github::read(&webhook.named, &body).map_err(Refused::input)?;
    let settings = core.settings.load_full();
    let known = &settings.github.repositories;
    let foreign = !known.is_empty()
        && !delivery
            .repository
            .as_ref()
            .is_some_and(|r| settings.github.lists(r));
    let workspace = core.workspace.load_full();
    let (outcome, note) = if foreign {
        let note = "its repository is not listed under github.repositories";
        (Outcome::Refused, note.to_owned())
    } else if webhook.named == "ping" {
        (Outcome::Skipped, "a ping".to_owned())
    } else if delivery.draft {
        (Outcome::Skipped, "a draft".to_owned())
    } else if workspace.events.events.contains_key(&delivery.event) {
        (Outcome::Run, String::new())
    } else {
        let note = format!("no rule is for {}", clean_line(&delivery.event, 80));
        (Outcome::Unmapped, note)
    };
    let mut keys = vec![
        format!("delivery:{}", webhook.delivery),
        format!("body:{}", hex(&Sha256::digest(&bytes))),
    ];
    if outcome == Outcome::Run
        && let Some(meaning) = &delivery.meaning
    {
        let policy = &workspace.policy_hash;
        keys.push(format!("meaning:{meaning}+{policy}"));
    }
    drop(bytes);
    let prepared = match outcome {
        Outcome::Run => {
            let trigger = Trigger {
                event: delivery.event.clone(),
                payload: body,
                ..Trigger::default()
            };
            let pull = delivery.pull.clone();
            Some(intake::prepare(core, trigger, pull, actor, correlation).await?)
        }
        _ => None,
    };
    let row = row(
        core,
        &webhook.delivery,
        &delivery,
        outcome,
        &note,
        prepared.as_ref(),
    );
    let new = prepared.as_ref().map(|p| p.new.clone());
    let taken = core
        .journal
        .deliver(row, keys, new)
        .await
        .map_err(journal)?;
    let (run, repeated) = match taken {
        Taken::New => {
            count(core, |s| match outcome {
                Outcome::Run => s.runs += 1,
                Outcome::Skipped => s.skipped += 1,
                Outcome::Unmapped => s.unmapped += 1,
                Outcome::Refused => s.refused += 1,
            });
            let run = prepared.map(|Prepared { new, plan, input }| {
                intake::begin(core, &new, &plan, &input);
                new.id
            });
            (run, false)
        }
        Taken::Again(first) => {
            count(core, |s| s.repeated += 1);
            let run = match first {
                Some(first) => Some(once_more(core, &first, actor, correlation).await?),
                None => None,
            };
            (run, true)
        }
    };
    core.dirty.notify_one();
    if outcome == Outcome::Refused {
        return Err(Refused::Forbidden { reason: note });
    }
    Ok(Reply::Delivered {
        outcome,
        run,
        repeated,
        note,
    })
}

fn count(core: &Core, change: impl FnOnce(&mut GithubStats)) {
    change(&mut lock(&core.github));
}

fn row(
    core: &Core,
    id: &str,
    delivery: &Delivery,
    outcome: Outcome,
    note: &str,
    prepared: Option<&Prepared>,
) -> DeliveryRow {
    let redactor = core.redactor.load();
    let place = match (&delivery.pull, &delivery.repository) {
        (Some(pull), _) => pull.place(),
        (None, Some(repository)) => repository.clone(),
        (None, None) => String::new(),
    };
    DeliveryRow {
        id: id.to_owned(),
        at_ms: core.clock.wall_ms(),
        event: clean_line(&redactor.text(&delivery.event), 120),
        place: clean_line(&redactor.text(&place), 220),
        outcome,
        note: note.to_owned(),
        run: prepared.map(|p| p.new.id.clone()),
        repeats: 0,
    }
}

/// It came before: the first one's run, or a new one if that failed or never had its change.
async fn once_more(
    core: &Arc<Core>,
    first: &str,
    actor: &str,
    correlation: &str,
) -> Result<String, Refused> {
    // It may have been cut off by a crash.
    super::resume::take_up(core, first).await.map_err(journal)?;
    let Some(row) = core.journal.run(first).await.map_err(journal)? else {
        return Ok(first.to_owned());
    };
    let without_change = || {
        serde_json::from_str::<Input>(&row.new.input)
            .is_ok_and(|input| input.change.is_some_and(|c| c.to_fetch))
    };
    let over = row.finished_ms.is_some();
    if !over || (row.status != RunStatus::Failed && !without_change()) {
        return Ok(first.to_owned());
    }
    match intake::again(core, first, actor, correlation).await? {
        Reply::Accepted { run, .. } => {
            core.journal.redeliver(first, &run).await.map_err(journal)?;
            Ok(run)
        }
        _ => Ok(first.to_owned()),
    }
}
