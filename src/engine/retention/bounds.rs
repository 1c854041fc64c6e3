//! The table of everything that grows: how much of it is kept, by which setting, and what goes first. Retention
//! enforces it, `bsm state usage` prints it.

use crate::engine::protocol::retention::Store;
pub use crate::engine::protocol::storage::{Bound, human_bytes};
use crate::journal::{HISTORY_BYTES, HISTORY_MS, KEYS_DAYS, LISTED, SENT, SPEND_DAYS};
use crate::settings::Settings;

/// Each store with the settings that bound it, and what goes first.
const TABLE: &[(Store, &[&str], &str)] = &[
    (Store::Runs, &["engine.runsKept"], "the oldest ended run"),
    (
        Store::Memory,
        &["memory.days", "memory.items", "memory.bytes"],
        "the oldest item",
    ),
    (Store::History, &[], "the oldest snapshot"),
    (Store::Deliveries, &[], "the oldest webhook"),
    (Store::DeliveryKeys, &[], "the oldest key"),
    (Store::Approvals, &[], "the oldest decided approval"),
    (Store::Outbox, &[], "the oldest ended publication"),
    (Store::Spend, &[], "the oldest day"),
    (
        Store::Reports,
        &["reports.days", "reports.maxBytes"],
        "the oldest report",
    ),
    (
        Store::Audit,
        &["audit.days", "audit.maxBytes"],
        "the oldest closed file",
    ),
    (
        Store::Logs,
        &["logs.days", "logs.maxBytes"],
        "the oldest file",
    ),
    (
        Store::MigrationBackups,
        &["backups.keep"],
        "the oldest copy",
    ),
    (Store::Backups, &["backups.keep"], "the oldest copy"),
    (
        Store::DamagedJournals,
        &["backups.keep"],
        "the oldest, once the repair is acknowledged",
    ),
];

/// Days, bytes and items of one store; 0: no bound for that reason.
fn limits(store: Store, settings: &Settings) -> (u64, u64, u64) {
    let (memory, reports) = (settings.memory, settings.reports);
    let fixed = |n: i64| n.max(0).cast_unsigned();
    match store {
        Store::Runs => (0, 0, settings.engine.runs_kept.into()),
        Store::Memory => (memory.days.into(), memory.bytes, memory.items),
        Store::History => (fixed(HISTORY_MS / 86_400_000), fixed(HISTORY_BYTES), 0),
        Store::Deliveries | Store::Approvals => (0, 0, LISTED.into()),
        Store::DeliveryKeys => (fixed(KEYS_DAYS), 0, 0),
        Store::Outbox => (0, 0, SENT.into()),
        Store::Spend => (fixed(SPEND_DAYS), 0, 0),
        Store::Reports => (reports.days.into(), reports.max_bytes, 0),
        Store::Audit => (settings.audit.days.into(), 0, 0),
        Store::Logs => (settings.logs.days.into(), settings.logs.max_bytes, 0),
        Store::MigrationBackups | Store::Backups => (0, 0, settings.backups.keep.into()),
        // The newest always stays.
        Store::DamagedJournals => (0, 0, settings.backups.keep.max(1).into()),
    }
}

/// The bounds under these settings, one for each store.
pub fn bounds(settings: &Settings) -> Vec<Bound> {
    let some = |n: u64| (n > 0).then_some(n);
    let bound = |(store, keys, first_to_go): &(Store, &[&str], &str)| {
        let (days, bytes, items) = limits(*store, settings);
        Bound {
            store: *store,
            days: some(days),
            bytes: some(bytes),
            items: some(items),
            settings: keys.iter().map(|s| (*s).to_owned()).collect(),
            first_to_go: (*first_to_go).to_owned(),
        }
    };
    TABLE.iter().map(bound).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_store_has_a_bound_by_default() {
        for bound in bounds(&Settings::default()) {
            assert!(
                bound.days.is_some() || bound.bytes.is_some() || bound.items.is_some(),
                "{:?}",
                bound.store
            );
        }
    }

    #[test]
    fn settings_of_zero_mean_no_bound_for_that_reason() {
        let mut settings = Settings::default();
        settings.reports.days = 0;
        settings.memory.days = 0;
        settings.memory.items = 0;
        let all = bounds(&settings);
        let of = |store| all.iter().find(|b| b.store == store).unwrap().summary();
        assert_eq!(of(Store::Reports), "1.0 GiB");
        assert_eq!(of(Store::Memory), "none");
        assert_eq!(of(Store::Runs), "10000 items");
        assert_eq!(of(Store::History), "1 day, 64.0 MiB");
    }

    #[test]
    fn named_settings_exist() {
        let settings = serde_json::to_value(Settings::default()).unwrap();
        for bound in bounds(&Settings::default()) {
            for key in bound.settings {
                let pointer = format!("/{}", key.replace('.', "/"));
                assert!(settings.pointer(&pointer).is_some(), "{key}");
            }
        }
    }
}
