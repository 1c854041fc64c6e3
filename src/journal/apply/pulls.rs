//! Records of pull requests: that one changed, what is planned on it, what was left there.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::journal::github_rows as github;
use crate::journal::pull_rows::{self, Planned, PullRef};
use crate::journal::record::Applied;
use crate::journal::row_numbers::row_number;

pub(super) fn marked(
    tx: &Connection,
    sequence: i64,
    pull: &PullRef,
    at_ms: i64,
) -> rusqlite::Result<Applied> {
    pull_rows::mark(tx, sequence, pull, None, at_ms)?;
    Ok(Applied::Done)
}

pub(super) fn renamed(
    tx: &Connection,
    sequence: i64,
    names: (&str, &str),
    repository_id: Option<u64>,
) -> rusqlite::Result<Applied> {
    pull_rows::rename(tx, sequence, names, repository_id)?;
    Ok(Applied::Done)
}

/// A run about a commit was decided: everything that shows this commit is looked at again.
pub(super) fn decided(
    tx: &Connection,
    sequence: i64,
    run: &str,
    at_ms: i64,
) -> rusqlite::Result<()> {
    let sql = "SELECT json_extract(input, '$.change.pull') FROM runs WHERE id = ?1";
    let pull: Option<String> = tx
        .prepare_cached(sql)?
        .query_row([run], |r| r.get(0))
        .optional()?
        .flatten();
    let Some(pull) = pull.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok())
    else {
        return Ok(());
    };
    let text = |name: &str| pull[name].as_str().unwrap_or_default().to_owned();
    let pull = PullRef {
        repository: text("repository"),
        repository_id: pull["repositoryId"].as_u64(),
        number: pull["number"].as_u64().unwrap_or(0),
        head: text("headSha"),
        base: text("base"),
    };
    let sql = "INSERT OR REPLACE INTO pull_decisions (run_id, repository, head, base, sequence) VALUES (?1, ?2, ?3, ?4, ?5)";
    let repository = pull.repository.to_ascii_lowercase();
    tx.prepare_cached(sql)?
        .execute(params![run, repository, pull.head, pull.base, sequence])?;
    // Publishing an older decision needs nobody's word any more.
    let sql = "UPDATE approvals SET state = 'expired', decided_by = 'engine', reason = 'a newer decision takes its place', decided_ms = ?3 \
               WHERE state = 'waiting' AND action = 'publish' AND subject = (SELECT run_id FROM pulls WHERE key = ?1) AND subject <> ?2";
    tx.prepare_cached(sql)?
        .execute(params![pull.key(), run, at_ms])?;
    let known = pull_rows::one(tx, &pull.key())?;
    if known.is_none_or(|known| known.pull.head == pull.head) {
        pull_rows::mark(tx, sequence, &pull, Some(run), at_ms)?;
    } else {
        // It has moved on: what shows the older commit is still looked at again.
        let sql = "UPDATE pulls SET revision = ?2, next_ms = 0 WHERE key = ?1";
        tx.prepare_cached(sql)?
            .execute(params![pull.key(), sequence])?;
    }
    let sql =
        "UPDATE pulls SET revision = ?3, next_ms = 0 WHERE lower(repository) = ?1 AND head = ?2";
    tx.prepare_cached(sql)?
        .execute(params![repository, pull.head, sequence])?;
    Ok(())
}

/// What is to be left on a pull request from now on; what was planned there before is not, but for `kept`.
pub(super) fn planned(
    tx: &Connection,
    sequence: i64,
    key: &str,
    items: &[Planned],
    kept: &[i64],
    at_ms: i64,
) -> rusqlite::Result<Applied> {
    let sql = "SELECT id FROM outbox WHERE state IN ('waiting', 'held') AND approval IS NULL AND \
               (SELECT lower(json_extract(pull, '$.repository')) || CASE json_extract(pull, '$.number') WHEN 0 \
                THEN '@' || json_extract(pull, '$.headSha') ELSE '#' || json_extract(pull, '$.number') END) = ?1";
    let waiting: Vec<i64> = tx
        .prepare_cached(sql)?
        .query_map([key], |r| r.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for id in waiting.iter().filter(|id| !kept.contains(id)) {
        let sql = "UPDATE outbox SET state = 'dropped', note = 'something newer takes its place', done_ms = ?2 WHERE id = ?1";
        tx.prepare_cached(sql)?.execute(params![id, at_ms])?;
    }
    for (index, item) in items.iter().enumerate() {
        let number = row_number(sequence, index);
        github::insert(tx, number, &item.run, at_ms, None, &item.publication)?;
    }
    Ok(Applied::Planned(
        (0..items.len()).map(|n| row_number(sequence, n)).collect(),
    ))
}

/// What was left on a pull request.
pub(super) fn published(tx: &Connection, key: &str, published: &str) -> rusqlite::Result<()> {
    let sql = "UPDATE pulls SET published = ?2 WHERE key = ?1";
    tx.prepare_cached(sql)?
        .execute(params![key, published])
        .map(drop)
}

/// A pass over a pull request ended: everything that `revision` wants is there, or is tried again at `next_ms`.
pub(super) fn settled(
    tx: &Connection,
    key: &str,
    revision: i64,
    next_ms: Option<i64>,
) -> rusqlite::Result<Applied> {
    // A newer revision is due at once, whatever became of this one.
    let sql = match next_ms {
        None => "UPDATE pulls SET settled = max(settled, ?2) WHERE key = ?1",
        Some(_) => "UPDATE pulls SET next_ms = ?3 WHERE key = ?1 AND revision = ?2",
    };
    let mut statement = tx.prepare_cached(sql)?;
    match next_ms {
        None => statement.execute(params![key, revision])?,
        Some(next) => statement.execute(params![key, revision, next])?,
    };
    Ok(Applied::Done)
}
