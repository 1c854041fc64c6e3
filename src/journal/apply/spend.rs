//! Records of what models cost.

use rusqlite::{Connection, params};

use crate::journal::record::Applied;
use crate::journal::spend_rows::SpendRow;

pub(super) fn spent(tx: &Connection, rows: &[SpendRow]) -> rusqlite::Result<Applied> {
    let mut add = tx.prepare_cached(
        "INSERT INTO spend VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
         ON CONFLICT (day, provider, model, agent) DO UPDATE SET calls = calls + ?5, \
         prompt = prompt + ?6, completion = completion + ?7, micro_usd = micro_usd + ?8",
    )?;
    for row in rows {
        add.execute(params![
            row.day,
            row.provider,
            row.model,
            row.agent,
            row.calls.cast_signed(),
            row.prompt.cast_signed(),
            row.completion.cast_signed(),
            row.micro_usd.cast_signed()
        ])?;
    }
    Ok(Applied::Done)
}

pub(super) fn pruned(tx: &Connection, before: &str) -> rusqlite::Result<Applied> {
    tx.execute("DELETE FROM spend WHERE day < ?1", [before])?;
    Ok(Applied::Done)
}
