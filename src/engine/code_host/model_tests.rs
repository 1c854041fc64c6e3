//! Random sequences of events against a host in memory that keeps GitHub's rules: pushes, force pushes back,
//! retargets, drafts, closing, decisions, outages, lost answers, crashes, lost rights.
//!
//! The invariant, once everything has come to rest: a gate is a success only where the newest decision about
//! exactly this commit on its way into this branch approves, and no approving review of ours stands elsewhere. And
//! at any moment: once the engine knows that an approval no longer holds, the first write takes one back.

use std::sync::Mutex;

use fastrand::Rng;

use super::desired::{APPROVED, context};
use super::memory_host::{BASES, HEADS, Hub, World};
use super::pass::{PassSettings, pass};
use super::retries::LONGEST_MS;
use super::test_decisions::decided_run;
use crate::engine::protocol::run::{Action, Evidence};
use crate::journal::{PullRef, PullRow};
use crate::resilience::clock::lock;
use crate::settings::Publish;

impl World {
    fn new() -> Self {
        let hub = Hub {
            head: HEADS[0].into(),
            base: BASES[0].into(),
            open: true,
            ..Hub::default()
        };
        let world = Self {
            hub: Mutex::new(hub),
            kept: Mutex::default(),
        };
        world.announce();
        world
    }

    /// A webhook arrives: what the host shows now is known.
    fn announce(&self) {
        let (head, base) = {
            let hub = lock(&self.hub);
            (hub.head.clone(), hub.base.clone())
        };
        let mut kept = lock(&self.kept);
        kept.revision += 1;
        kept.next_ms = 0;
        kept.known = (head.clone(), base.clone());
        let decided = kept.decisions.iter().any(|d| d.0 == head && d.1 == base);
        if !decided {
            kept.reviewing = Some((head, base));
        }
    }

    fn decide(&self, action: Action, evidence: Evidence, findings: usize) {
        let mut kept = lock(&self.kept);
        let Some((head, base)) = kept.reviewing.take() else {
            return;
        };
        kept.revision += 1;
        kept.next_ms = 0;
        let run = decided_run(action, evidence, kept.revision, findings);
        kept.decisions.push((head, base, run));
    }

    fn rerun(&self) {
        let mut kept = lock(&self.kept);
        kept.reviewing = Some(kept.known.clone());
    }

    /// One pass, if one is due.
    async fn work(&self) {
        let row = {
            let kept = lock(&self.kept);
            if kept.revision <= kept.settled || kept.next_ms > kept.now_ms {
                return;
            }
            PullRow {
                key: "acme/shop#7".into(),
                pull: PullRef {
                    repository: "acme/shop".into(),
                    repository_id: None,
                    number: 7,
                    head: kept.known.0.clone(),
                    base: kept.known.1.clone(),
                },
                run: None,
                revision: kept.revision,
                next_ms: kept.next_ms,
                published: kept.published.clone(),
            }
        };
        let publish = Publish {
            approve: true,
            merge: false,
            ..Publish::default()
        };
        let settings = PassSettings { publish, web: None };
        // A crash: the next pass goes on with what is kept.
        let _ = pass(self, self, &row, settings).await;
        lock(&self.kept).crash_after = None;
    }

    /// Everything answers, all rights are there, and time passes until nothing is to be done.
    async fn come_to_rest(&self) {
        {
            let mut hub = lock(&self.hub);
            hub.down = false;
            hub.refused.clear();
            hub.lose_answer = false;
        }
        self.announce();
        for _ in 0..200 {
            {
                let mut kept = lock(&self.kept);
                if kept.revision <= kept.settled {
                    return;
                }
                kept.now_ms += LONGEST_MS;
            }
            self.work().await;
        }
        panic!("it never comes to rest");
    }

    async fn event(&self, rng: &mut Rng) {
        let kinds = [
            "status",
            "comment",
            "review",
            "dismissal",
            "label",
            "resolution",
            "read",
        ];
        match rng.u32(0..100) {
            // A push, often back to an older commit.
            0..15 => {
                lock(&self.hub).head = HEADS[rng.usize(0..HEADS.len())].into();
                if rng.u32(0..10) > 0 {
                    self.announce();
                }
            }
            15..22 => {
                lock(&self.hub).base = BASES[rng.usize(0..BASES.len())].into();
                if rng.u32(0..10) > 0 {
                    self.announce();
                }
            }
            22..28 => {
                let mut hub = lock(&self.hub);
                hub.draft = !hub.draft;
                drop(hub);
                self.announce();
            }
            28..33 => {
                let mut hub = lock(&self.hub);
                hub.open = !hub.open;
                drop(hub);
                self.announce();
            }
            33..50 => {
                let (action, evidence) = [
                    (Action::ApproveAndMerge, Evidence::Full),
                    (Action::ApproveAndMerge, Evidence::Full),
                    (Action::ApproveAndMerge, Evidence::Full),
                    (Action::BlockPr, Evidence::Full),
                    (Action::RequestChanges, Evidence::Full),
                    (Action::BlockPr, Evidence::Partial),
                    (Action::ManualReview, Evidence::Offline),
                ][rng.usize(0..7)];
                self.decide(action, evidence, rng.usize(0..3));
            }
            50..56 => self.rerun(),
            56..62 => {
                let mut hub = lock(&self.hub);
                hub.down = !hub.down;
            }
            62..67 => lock(&self.hub).lose_answer = true,
            67..73 => {
                let kind = kinds[rng.usize(0..kinds.len())];
                let mut hub = lock(&self.hub);
                if !hub.refused.remove(kind) {
                    hub.refused.insert(kind);
                }
            }
            73..80 => {
                lock(&self.kept).crash_after = Some(rng.u32(0..6));
                self.work().await;
            }
            // Somebody deletes our comment, or takes the label away.
            80..83 => lock(&self.hub).comments.clear(),
            83..85 => lock(&self.hub).labels.clear(),
            _ => {
                lock(&self.kept).now_ms += 7_000;
                self.work().await;
            }
        }
    }

    fn check(&self, seed: u64) {
        let hub = lock(&self.hub).clone();
        for ((commit, context), state) in &hub.statuses {
            let base = BASES
                .iter()
                .find(|b| context.ends_with(&format!("({b})")))
                .unwrap();
            if state == "success" {
                assert!(
                    self.approves(commit, base),
                    "seed {seed}: success on {commit} into {base}"
                );
            }
        }
        let approves = self.approves(&hub.head, &hub.base);
        if hub.open {
            let at = (hub.head.clone(), context(Some(&hub.base)));
            let gate = hub.statuses.get(&at);
            let success = gate.is_some_and(|s| s == "success");
            assert!(gate.is_some(), "seed {seed}: no gate");
            assert_eq!(success, approves && !hub.draft, "seed {seed}: {gate:?}");
            let approvals = hub.reviews.iter().filter(|r| r.1 == "APPROVE");
            for review in approvals {
                assert!(
                    approves && !hub.draft && review.2 == hub.head,
                    "seed {seed}: an approval of {} stands at {}",
                    review.2,
                    hub.head
                );
            }
            let label = hub.labels.contains(APPROVED);
            assert!(
                !label || (approves && !hub.draft),
                "seed {seed}: the label stands"
            );
        }
        assert!(
            hub.comments.len() <= 1,
            "seed {seed}: {} comments",
            hub.comments.len()
        );
        let mut remarks = hub.remarks.clone();
        remarks.sort();
        let all = remarks.len();
        remarks.dedup();
        assert_eq!(all, remarks.len(), "seed {seed}: a remark was repeated");
        assert_eq!(
            hub.log,
            Vec::new(),
            "seed {seed}: something was written before the withdrawal"
        );
    }
}

#[tokio::test]
async fn reconciler_random_events_never_leave_an_approval_that_does_not_hold() {
    let sequences: u64 = std::env::var("BSM_SEQUENCES").map_or(1_500, |n| n.parse().unwrap());
    let first: u64 = std::env::var("BSM_SEED").map_or(0, |n| n.parse().unwrap());
    for seed in first..first + sequences {
        let mut rng = Rng::with_seed(seed);
        let world = World::new();
        lock(&world.hub).hides_labels = rng.bool();
        for _ in 0..rng.usize(5..60) {
            world.event(&mut rng).await;
        }
        world.come_to_rest().await;
        world.check(seed);
    }
}
