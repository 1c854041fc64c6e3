//! A storm of webhooks: every one is answered, none with an error of ours, repeats are one run, and what comes out of
//! order settles at the newest commit. `BSM_STORM=5000` sends the full size.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what it expects"
)]

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bsm::engine::Operator as _;
use bsm::engine::protocol::run::RunState;
use bsm::engine::protocol::snapshot::Snapshot;
use futures_util::StreamExt as _;
use serde_json::json;

use crate::github::{Rig, TOKEN, opened};

/// Deliveries at once.
const CONNECTIONS: usize = 64;
/// Deliveries about one commit: four ids, and each of them five times.
const OF_ONE: usize = 20;

/// A run has not ended.
fn is_busy(snapshot: &Snapshot) -> bool {
    let live = |state| matches!(state, RunState::Queued | RunState::Running);
    snapshot.runs_left_out > 0 || snapshot.runs.iter().any(|run| live(run.state))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storm_out_of_order_is_answered_whole_and_settles_at_the_newest_commit() {
    let most: usize = std::env::var("BSM_STORM").map_or(1_000, |n| n.parse().unwrap());
    let heads = most / OF_ONE;
    let rig = Rig::new(&[("GITHUB_BSU_TOKEN", TOKEN)], |_| ()).await;
    let newest = format!("{:040x}", 1);
    rig.hub.lock().unwrap().head.clone_from(&newest);
    // The newest commit's webhooks come anywhere among the others.
    let mut all: Vec<(usize, usize)> = (1..=heads)
        .flat_map(|head| (0..OF_ONE).map(move |n| (head, n)))
        .collect();
    fastrand::Rng::with_seed(7).shuffle(&mut all);
    let (failed, repeated) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let began = Instant::now();
    let sent = futures_util::stream::iter(all).for_each_concurrent(CONNECTIONS, |(head, n)| {
        let (rig, failed, repeated) = (&rig, &failed, &repeated);
        async move {
            let mut body = opened(&format!("{head:040x}"));
            if head > 1 {
                body["action"] = json!("synchronize");
            }
            // Four ids of the same meaning in other bytes; each id comes five times.
            body["sender"] = json!({"login": format!("s{}", n % 4)});
            let id = format!("d-{head}-{}", n % 4);
            let (status, answer) = rig.hook(&id, "pull_request", &body).await;
            if status >= 500 || status == 429 {
                failed.fetch_add(1, Relaxed);
            }
            assert_eq!(status, 202, "{answer}");
            if answer["repeated"] == true {
                repeated.fetch_add(1, Relaxed);
            }
        }
    });
    sent.await;
    let took = began.elapsed();
    assert_eq!(failed.load(Relaxed), 0);
    let stats = rig.handle.snapshots().borrow().github;
    assert_eq!(
        repeated.load(Relaxed),
        (OF_ONE - 1) * heads,
        "one run a commit"
    );
    assert!(stats.runs <= heads as u64);
    let ended = async {
        while is_busy(&rig.handle.snapshots().borrow())
            || rig.handle.journal().pulls_behind().await.unwrap() > 0
        {
            rig.handle.snapshots().changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(120), ended)
        .await
        .unwrap();
    let hub = rig.hub.lock().unwrap();
    let of_newest: Vec<_> = hub.statuses.iter().filter(|s| s["sha"] == newest).collect();
    assert_eq!(
        of_newest.last().unwrap()["state"],
        "success",
        "{of_newest:?}"
    );
    // What is older is never called a success after the newest is known to be another one.
    let others = hub.statuses.iter().filter(|s| s["sha"] != newest);
    assert!(others.into_iter().all(|s| s["state"] != "success"));
    assert_eq!(hub.comments.len(), 1, "one comment, edited in place");
    if std::env::var_os("BSM_MEASURE").is_some() {
        println!("{most} deliveries in {took:?}");
    }
}
