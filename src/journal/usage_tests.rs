//! What is counted as beyond its bound is what the journal's own methods remove.

use super::*;
use crate::journal::memory_rows::{MemoryKind, NewMemory};
use crate::journal::{Finish, NewRun, RunStatus, SpendRow};

const NOW: i64 = 1_800_000_000_000;

async fn ended_run(journal: &Journal, id: &str, created_ms: i64) {
    let run = NewRun {
        id: id.into(),
        created_ms,
        event: "e".into(),
        requested_event: "e".into(),
        correlation: "c".into(),
        actor: "test".into(),
        idempotency: None,
        plan: "{}".into(),
        input: "{}".into(),
        diff: "d".into(),
        report_name: format!("report-of-{id}.md"),
    };
    journal.intake(run).await.unwrap();
    journal
        .finish(Finish {
            id: id.into(),
            status: RunStatus::Finished,
            at_ms: created_ms + 1,
            result: "{}".into(),
            brief: "{}".into(),
            action: "pass".into(),
            report: "text".into(),
            publications: Vec::new(),
            approval: None,
            memory: None,
        })
        .await
        .unwrap();
    journal.report_written(id).await.unwrap();
}

fn item(n: i64) -> NewMemory {
    NewMemory {
        id: format!("m{n}"),
        kind: MemoryKind::CodeReview,
        code: "x".repeat(100),
        review: String::new(),
        metadata: serde_json::json!({}),
        created_ms: NOW - n * DAY_MS,
        run: None,
    }
}

#[tokio::test]
async fn excess_counts_what_pruning_then_removes() {
    let journal = Journal::in_memory().unwrap();
    for n in 0..5 {
        ended_run(&journal, &format!("r{n}"), NOW - n * DAY_MS).await;
    }
    journal.remember((0..10).map(item).collect()).await.unwrap();
    for memory in [
        Retention {
            older_than_ms: NOW - 6 * DAY_MS,
            items: 8,
            bytes: 0,
        },
        Retention {
            older_than_ms: 0,
            items: 0,
            bytes: 450,
        },
        Retention::default(),
    ] {
        let keep = Keep {
            runs: 3,
            memory,
            now_ms: NOW,
        };
        let counted = journal.excess(keep).await.unwrap();
        let gone = journal.retain_memory(memory).await.unwrap();
        assert_eq!(counted.memory, gone.len() as u64, "{memory:?}");
        assert_eq!(gone.is_empty(), memory == Retention::default());
    }
    let keep = Keep {
        runs: 3,
        now_ms: NOW,
        ..Keep::default()
    };
    assert_eq!(journal.excess(keep).await.unwrap().runs, 2);
    assert_eq!(journal.prune(3, i64::MAX).await.unwrap(), 2);
    assert_eq!(journal.excess(keep).await.unwrap(), Excess::default());
    assert_eq!(journal.runs_since(NOW - DAY_MS).await.unwrap(), 2);
    assert_eq!(journal.newest_ms().await.unwrap(), Some(NOW + 1));
    let mut names = journal.report_names().await.unwrap();
    names.sort();
    assert_eq!(
        names,
        ["report-of-r0.md", "report-of-r1.md", "report-of-r2.md"]
    );
}

#[tokio::test]
async fn sums_of_costs_older_than_the_named_days_are_those_that_are_forgotten() {
    let journal = Journal::in_memory().unwrap();
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let day = |days: i64| crate::model::spend::day_of(now_ms - days * DAY_MS);
    let row = |days: i64| SpendRow {
        day: day(days),
        ..SpendRow::default()
    };
    let rows = vec![row(SPEND_DAYS - 1), row(SPEND_DAYS + 1)];
    journal.add_spend(rows).await.unwrap();
    let keep = Keep {
        runs: 1,
        now_ms,
        ..Keep::default()
    };
    assert_eq!(journal.excess(keep).await.unwrap().spend, 1);
    journal.forget_spend().await.unwrap();
    let left = journal.spend_since("2000-01-01".into()).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(journal.excess(keep).await.unwrap().spend, 0);
}

#[tokio::test]
async fn usage_has_every_table_with_its_rows_bytes_and_rate() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bsm.db");
    let journal = Journal::open(&path).unwrap();
    for n in 0..14 {
        ended_run(&journal, &format!("r{n}"), NOW - n * DAY_MS).await;
    }
    let reader = Journal::read_only(&path).unwrap().unwrap();
    let tables = reader.usage(NOW).unwrap();
    let of = |name: &str| tables.iter().find(|t| t.table == name).unwrap();
    let runs = of("runs");
    assert_eq!(runs.rows, Some(14));
    assert_eq!(runs.oldest_ms, Some(NOW - 13 * DAY_MS));
    // Eight in seven days: those of today and of each of the seven days before.
    assert!((runs.rows_per_day.unwrap() - 8.0 / 7.0).abs() < 1e-9);
    assert!(runs.bytes_per_day.unwrap() > 0.0);
    // Empty, and without a time: unknown, not 0.
    assert_eq!(of("memory").bytes_per_day, None);
    assert_eq!(of("stopped").bytes_per_day, None);
    let size = std::fs::metadata(&path).unwrap().len()
        + std::fs::metadata(dir.path().join("bsm.db-wal")).map_or(0, |m| m.len());
    let sum: u64 = tables.iter().map(|t| t.bytes).sum();
    assert!(sum > 0 && sum <= size, "{sum} of {size}");
}
