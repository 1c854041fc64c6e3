//! Random sequences of events against a host in memory that keeps GitHub's rules: pushes, force pushes back,
//! retargets, drafts, closing, decisions, outages, lost answers, crashes, lost rights.
//!
//! The invariant, once everything has come to rest: a gate is a success only where the newest decision about
//! exactly this commit on its way into this branch approves, and no approving review of ours stands elsewhere. And
//! at any moment: once the engine knows that an approval no longer holds, the first write takes one back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use fastrand::Rng;

use super::desired::{APPROVED, Decided, Hold, context};
use super::pass::{LONGEST_MS, PassSettings, PullStore, Tried, pass};
use super::published::Published;
use super::test_decisions::decided_run;
use crate::code_host::{CodeHost, HostError, Publication, Pull, PullNow, StandingReview, Written};
use crate::engine::protocol::run::{Action, Evidence};
use crate::journal::{JournalError, OutboxState, PullRef, PullRow};
use crate::resilience::clock::lock;
use crate::settings::Publish;

const HEADS: [&str; 4] = ["aaaa", "bbbb", "cccc", "dddd"];
const BASES: [&str; 2] = ["main", "dev"];

/// What is on the host.
#[derive(Debug, Clone, Default)]
struct Hub {
    head: String,
    base: String,
    open: bool,
    draft: bool,
    labels: BTreeSet<String>,
    /// (commit, context) → state.
    statuses: BTreeMap<(String, String), String>,
    comments: Vec<(u64, String)>,
    /// id, event, commit, marker; dismissed ones are gone.
    reviews: Vec<(u64, String, String, String)>,
    remarks: Vec<String>,
    /// It does not say which labels there are.
    hides_labels: bool,
    merged: bool,
    next_id: u64,
    /// Nothing answers.
    down: bool,
    /// Kinds of writes that are refused.
    refused: BTreeSet<&'static str>,
    /// The next write is done, and its answer lost.
    lose_answer: bool,
    /// Kinds of writes that were done.
    log: Vec<(String, bool)>,
}

/// What the engine keeps, and what only this process knows.
#[derive(Debug, Default)]
struct Kept {
    published: String,
    revision: i64,
    settled: i64,
    next_ms: i64,
    known: (String, String),
    planned: Vec<(i64, Publication, u32)>,
    next_plan: i64,
    /// Decisions, the newest last: head, base, what.
    decisions: Vec<(String, String, Decided)>,
    reviewing: Option<(String, String)>,
    now_ms: i64,
    /// Writes to this store before the process dies.
    crash_after: Option<u32>,
    alarms: BTreeSet<String>,
}

struct World {
    hub: Mutex<Hub>,
    kept: Mutex<Kept>,
}

impl World {
    fn step(&self) -> Result<(), JournalError> {
        match &mut lock(&self.kept).crash_after {
            Some(0) => Err(JournalError::Closed),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn approves(&self, head: &str, base: &str) -> bool {
        let kept = lock(&self.kept);
        let newest = kept
            .decisions
            .iter()
            .rev()
            .find(|d| d.0 == head && d.1 == base);
        newest.is_some_and(|d| {
            let decision = d.2.run.decision.as_ref();
            decision.is_some_and(|d| d.action == Action::ApproveAndMerge)
        })
    }
}

impl CodeHost for World {
    async fn now(&self, _: &Pull) -> Result<PullNow, HostError> {
        let hub = lock(&self.hub);
        if hub.down {
            return Err(HostError::Unreachable("down".into()));
        }
        if hub.refused.contains("read") {
            return Err(refusal());
        }
        Ok(PullNow {
            head_sha: hub.head.clone(),
            base: Some(hub.base.clone()),
            open: hub.open,
            draft: hub.draft,
            labels: (!hub.hides_labels).then(|| hub.labels.iter().cloned().collect()),
            mergeable: true,
        })
    }

    async fn standing_reviews(&self, _: &Pull) -> Result<Vec<StandingReview>, HostError> {
        let hub = lock(&self.hub);
        if hub.down {
            return Err(HostError::Unreachable("down".into()));
        }
        let standing = hub.reviews.iter().filter(|r| r.1 != "COMMENT");
        Ok(standing
            .map(|(id, event, commit, marker)| StandingReview {
                id: *id,
                event: event.clone(),
                commit: commit.clone(),
                base_mark: marker.split(' ').rev().nth(1).unwrap().to_owned(),
            })
            .collect())
    }

    async fn find_review(&self, _: &Pull, marker: &str) -> Result<Option<u64>, HostError> {
        let hub = lock(&self.hub);
        if hub.down {
            return Err(HostError::Unreachable("down".into()));
        }
        let found = hub.reviews.iter().find(|r| r.3 == marker);
        Ok(found.map(|r| r.0))
    }

    async fn can_dismiss(&self, _: &Pull) -> Result<bool, HostError> {
        Ok(!lock(&self.hub).refused.contains("dismissal"))
    }

    async fn publish(&self, pull: &Pull, publication: &Publication) -> Result<Written, HostError> {
        let stale = self.holds_a_stale_approval(pull);
        let mut hub = lock(&self.hub);
        if hub.down {
            return Err(HostError::Unreachable("down".into()));
        }
        if hub.refused.contains(publication.kind()) {
            return Err(refusal());
        }
        let withdraws = takes_back(publication);
        if stale && !withdraws {
            hub.log.push((format!("{publication:?}"), false));
        }
        let written = hub.write(pull, publication)?;
        if std::mem::take(&mut hub.lose_answer) {
            return Err(HostError::Unreachable("the answer was lost".into()));
        }
        Ok(written)
    }
}

fn refusal() -> HostError {
    HostError::Refused {
        status: 403,
        message: "Resource not accessible".into(),
    }
}

/// Whether a write can be the taking back of an approval.
fn takes_back(publication: &Publication) -> bool {
    match publication {
        Publication::Status { state, .. } => state != "success",
        Publication::Dismissal { .. } => true,
        Publication::Label { add, .. } => add != APPROVED,
        Publication::Review { event, .. } => event == "REQUEST_CHANGES",
        _ => false,
    }
}

impl Hub {
    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn write(&mut self, pull: &Pull, publication: &Publication) -> Result<Written, HostError> {
        match publication {
            Publication::Status {
                state,
                context,
                commit,
                ..
            } => {
                let at = (commit.clone(), context.clone());
                self.statuses.insert(at, state.clone());
            }
            Publication::Comment { body, id, marker } => {
                let known = id.filter(|id| self.comments.iter().any(|c| c.0 == *id));
                let found = self.comments.iter().find(|c| c.1.contains(marker.as_str()));
                let id = known.or(found.map(|c| c.0));
                let id = match id {
                    Some(id) => id,
                    None => {
                        let id = self.id();
                        self.comments.push((id, String::new()));
                        id
                    }
                };
                for comment in self.comments.iter_mut().filter(|c| c.0 == id) {
                    comment.1.clone_from(body);
                }
                return Ok(Written {
                    id: Some(id),
                    ..Written::default()
                });
            }
            Publication::Review {
                event,
                marker,
                comments,
                ..
            } => {
                let id = self.id();
                let review = (id, event.clone(), pull.head_sha.clone(), marker.clone());
                self.reviews.push(review);
                self.remarks
                    .extend(comments.iter().map(|c| c.fingerprint.clone()));
                return Ok(Written {
                    id: Some(id),
                    event: Some(event.clone()),
                    ..Written::default()
                });
            }
            Publication::Dismissal { review, .. } => self.reviews.retain(|r| r.0 != *review),
            Publication::Label { add, prefix, .. } => {
                self.labels.retain(|l| !l.starts_with(prefix.as_str()));
                if !add.is_empty() {
                    self.labels.insert(add.clone());
                }
            }
            Publication::Resolution { remarks } => self.remarks.retain(|r| !remarks.contains(r)),
            Publication::Merge { .. } => {
                if !self.open {
                    return Err(HostError::Refused {
                        status: 405,
                        message: "closed".into(),
                    });
                }
                if self.head != pull.head_sha {
                    return Err(HostError::Refused {
                        status: 409,
                        message: "head moved".into(),
                    });
                }
                (self.merged, self.open) = (true, false);
            }
        }
        Ok(Written::default())
    }
}

impl World {
    /// An approval is on the host that the engine knows not to hold any more, and that it may still take back.
    fn holds_a_stale_approval(&self, pull: &Pull) -> bool {
        let approves = self.approves(&pull.head_sha, pull.base.as_deref().unwrap_or_default());
        let hub = lock(&self.hub);
        let at = (pull.head_sha.clone(), context(pull.base.as_deref()));
        let gate = hub.statuses.get(&at).is_some_and(|s| s == "success");
        let tries_all = hub.refused.is_empty();
        gate && !approves && tries_all
    }
}

impl PullStore for World {
    async fn decided(
        &self,
        _: &str,
        head: &str,
        base: &str,
    ) -> Result<Option<Decided>, JournalError> {
        let kept = lock(&self.kept);
        let newest = kept
            .decisions
            .iter()
            .rev()
            .find(|d| d.0 == head && d.1 == base);
        Ok(newest.map(|d| d.2.clone()))
    }

    async fn hold(&self, _: &str) -> Result<Hold, JournalError> {
        Ok(Hold::Free)
    }

    fn is_under_review(&self, pull: &Pull) -> bool {
        let base = pull.base.clone().unwrap_or_default();
        lock(&self.kept).reviewing == Some((pull.head_sha.clone(), base))
    }

    fn supersede(&self, _: &PullRow, kept: &[(&str, &str)], _: &str) {
        let mut state = lock(&self.kept);
        let stays = state
            .reviewing
            .as_ref()
            .is_some_and(|(head, base)| kept.contains(&(head.as_str(), base.as_str())));
        if !stays {
            state.reviewing = None;
        }
    }

    async fn planned(&self, _: &PullRow) -> Result<Vec<(i64, Publication, u32)>, JournalError> {
        Ok(lock(&self.kept).planned.clone())
    }

    async fn plan(
        &self,
        _: &PullRow,
        _: &Pull,
        _: &str,
        items: Vec<Publication>,
        kept: Vec<i64>,
    ) -> Result<Vec<i64>, JournalError> {
        self.step()?;
        let mut state = lock(&self.kept);
        state.planned.retain(|p| kept.contains(&p.0));
        let mut numbers = Vec::new();
        for item in items {
            state.next_plan += 1;
            let number = state.next_plan;
            state.planned.push((number, item, 0));
            numbers.push(number);
        }
        Ok(numbers)
    }

    async fn tried(
        &self,
        _: &PullRow,
        tried: Tried,
        published: &Published,
    ) -> Result<(), JournalError> {
        self.step()?;
        let mut state = lock(&self.kept);
        state.published = published.to_json()?;
        if tried.state == OutboxState::Waiting {
            for entry in state.planned.iter_mut().filter(|p| p.0 == tried.id) {
                entry.2 = tried.attempts;
            }
        } else {
            state.planned.retain(|p| p.0 != tried.id);
        }
        Ok(())
    }

    async fn settle(&self, row: &PullRow, next_ms: Option<i64>) -> Result<(), JournalError> {
        self.step()?;
        let mut state = lock(&self.kept);
        match next_ms {
            None => state.settled = state.settled.max(row.revision),
            Some(next) if state.revision == row.revision => state.next_ms = next,
            Some(_) => {}
        }
        Ok(())
    }

    fn now_ms(&self) -> i64 {
        lock(&self.kept).now_ms
    }

    async fn before_write(&self) -> Result<(), JournalError> {
        self.step()
    }

    fn pause(&self, _: Duration) {}

    fn alarm(&self, subject: &str, _: String) {
        lock(&self.kept).alarms.insert(subject.to_owned());
    }

    fn calm(&self, subject: &str, _: String) {
        lock(&self.kept).alarms.remove(subject);
    }
}

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
