//! One pass over one pull request: read it, compare it with what should be there, write the difference.
//!
//! Why generic over host and store: the same pass runs against GitHub and a journal, and in the model-based test
//! against a host and a store in memory, thousands of times.

use std::time::Duration;

use crate::code_host::{CodeHost, HostError, Publication, Pull, PullNow, Written};
use crate::engine::code_host::desired::{
    Decided, Desired, Hold, Standing, context, desired, state_of,
};
use crate::engine::code_host::difference::{Change, Sides, difference, gate_change};
use crate::engine::code_host::published::{Failure, Published, Review, digest, slot};
use crate::journal::{JournalError, OutboxState, PullRow};
use crate::settings::Publish;
use crate::text::cut;

/// The first pause after a failure, milliseconds; it doubles.
const FIRST_MS: i64 = 5_000;
/// The longest, milliseconds.
pub const LONGEST_MS: i64 = 3_600_000;
/// Tries before a publication is dead-lettered: about two days. A withdrawal never is.
const TRIES: u32 = 50;
/// Where nothing may be sent now (safe mode), the time until the next look, milliseconds.
const CLOSED_MS: i64 = 60_000;
/// Writes of one pass; what is left then is the next pass's.
const MOST_WRITES: usize = 60;
/// Failures that are remembered.
const MOST_FAILURES: usize = 100;
/// The failure to read the pull request itself.
const READ: &str = "read";

/// Where what is known, planned and left is kept.
pub trait PullStore: Sync {
    /// The newest decision about a commit on its way into a branch.
    fn decided(
        &self,
        repository: &str,
        head: &str,
        base: &str,
    ) -> impl Future<Output = Result<Option<Decided>, JournalError>> + Send;

    /// Whether a decision may be published.
    fn hold(&self, run: &str) -> impl Future<Output = Result<Hold, JournalError>> + Send;

    /// Whether a run about this commit on its way into this branch has not ended.
    fn is_under_review(&self, pull: &Pull) -> bool;

    /// Cancels runs about this pull request that are about none of these commits and branches.
    fn supersede(&self, row: &PullRow, kept: &[(&str, &str)], reason: &str);

    /// Publications that are planned and not done: number, what, tries.
    fn planned(
        &self,
        row: &PullRow,
    ) -> impl Future<Output = Result<Vec<(i64, Publication, u32)>, JournalError>> + Send;

    /// Plans publications in place of all that were planned, but for `kept`; returns their numbers.
    fn plan(
        &self,
        row: &PullRow,
        pull: &Pull,
        run: &str,
        items: Vec<Publication>,
        kept: Vec<i64>,
    ) -> impl Future<Output = Result<Vec<i64>, JournalError>> + Send;

    /// A planned publication was tried; what is left on the pull request since.
    fn tried(
        &self,
        row: &PullRow,
        tried: Tried,
        published: &Published,
    ) -> impl Future<Output = Result<(), JournalError>> + Send;

    /// The pass ended; `next_ms`: it is to be repeated then.
    fn settle(
        &self,
        row: &PullRow,
        next_ms: Option<i64>,
    ) -> impl Future<Output = Result<(), JournalError>> + Send;

    /// The engine's own count of milliseconds.
    fn now_ms(&self) -> i64;

    /// Returns when the next write may be sent.
    fn before_write(&self) -> impl Future<Output = Result<(), JournalError>> + Send;

    /// The host wants to be left alone.
    fn pause(&self, time: Duration);

    /// An operator should know. `subject`: what it is about; the same again is the same alert.
    fn alarm(&self, subject: &str, text: String);

    /// What an alarm was about is over.
    fn calm(&self, subject: &str, text: String);
}

/// A publication that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// Its number.
    pub id: i64,
    /// Where it stands.
    pub state: OutboxState,
    /// What was done, or why not.
    pub note: String,
    /// Tries.
    pub attempts: u32,
    /// Not before, by the engine's own count of milliseconds.
    pub next_ms: i64,
}

/// What of the settings a pass needs.
#[derive(Debug, Clone, Copy)]
pub struct PassSettings<'a> {
    /// What is published.
    pub publish: Publish,
    /// Where people look at the host.
    pub web: Option<&'a str>,
}

/// Brings a pull request to what it should be, as far as that can be done now.
///
/// # Errors
/// The journal cannot be read, or the engine stops.
pub async fn pass(
    host: &impl CodeHost,
    store: &impl PullStore,
    row: &PullRow,
    settings: PassSettings<'_>,
) -> Result<(), JournalError> {
    let mut pass = Pass {
        host,
        store,
        row,
        settings,
        published: Published::parse(&row.published),
    };
    let next = pass.run().await?;
    store.settle(row, next).await
}

struct Pass<'a, H, S> {
    host: &'a H,
    store: &'a S,
    row: &'a PullRow,
    settings: PassSettings<'a>,
    published: Published,
}

/// Everything that a comparison needs, as it is now.
struct View {
    pull: Pull,
    now: PullNow,
    decision: Option<Decided>,
    hold: Hold,
    under_review: bool,
    may_approve: bool,
}

/// How a write ended.
enum Outcome {
    Done,
    /// This one fails alone.
    Failed,
    /// Nothing more can be sent until then.
    Stop(i64),
}

impl<H: CodeHost, S: PullStore> Pass<'_, H, S> {
    /// Returns when the pass is to be repeated; `None`: all is as it should be.
    async fn run(&mut self) -> Result<Option<i64>, JournalError> {
        if self.published.revision != self.row.revision {
            // Something happened: what was refused before may be taken now.
            self.published.revision = self.row.revision;
            for failure in self.published.failures.values_mut() {
                failure.next_ms = failure.next_ms.map(|_| 0);
            }
        }
        if self.begin_review().await? {
            return Ok(None);
        }
        let pull = self.pull_at(&self.row.pull.head, Some(&self.row.pull.base));
        let now = match self.host.now(&pull).await {
            Ok(now) => now,
            Err(error) => return self.cannot_read(&pull, &error).await,
        };
        if let Some(failure) = self.published.failures.remove(READ) {
            let text = format!("{} can be read again", pull.place());
            if failure.attempts > 0 {
                self.store.calm(&format!("{} {READ}", self.row.key), text);
            }
        }
        if let Err(error) = self.ask_about_review().await {
            return self.cannot_read(&pull, &error).await;
        }
        self.supersede(&now);
        let view = self.view(now).await?;
        self.bring_about(&view).await
    }

    /// A commit that nothing was decided about and nothing was left on: the gate says so before anything is read,
    /// which is never too mild. True when that was all there is to do.
    async fn begin_review(&mut self) -> Result<bool, JournalError> {
        let known = &self.row.pull;
        let pull = self.pull_at(&known.head, Some(&known.base));
        if known.base.is_empty()
            || !self.settings.publish.status
            || !self.store.is_under_review(&pull)
        {
            return Ok(false);
        }
        let context = context(Some(&known.base));
        if self.published.gate(&known.head, &context).is_some()
            || self.decided(&known.head, &known.base).await?.is_some()
        {
            return Ok(false);
        }
        let change = gate_change(
            &self.published,
            &known.head,
            &context,
            ("pending", "under review"),
        );
        let Some(change) = change.filter(|c| self.may_be_tried(c)) else {
            return Ok(false);
        };
        // What an earlier commit left is taken back first.
        let first = self.published.gates.is_empty() && self.published.reviews.is_empty();
        if !first {
            return Ok(false);
        }
        let planned = self.plan(&pull, "", std::slice::from_ref(&change)).await?;
        match self.write(&pull, &change, planned[0]).await? {
            Outcome::Done => Ok(true),
            Outcome::Failed | Outcome::Stop(_) => Ok(false),
        }
    }

    /// Runs about a commit that is neither the newest one nor the one that was announced last are cancelled. (A host
    /// may announce a commit before it shows it.)
    fn supersede(&self, now: &PullNow) {
        let row = &self.row.pull;
        if row.number == 0 {
            return;
        }
        let base = now.base.as_deref().unwrap_or_default();
        if now.open {
            let kept = [
                (now.head_sha.as_str(), base),
                (row.head.as_str(), row.base.as_str()),
            ];
            let head = cut(&now.head_sha, 12);
            let reason =
                format!("superseded: the pull request is at {head}, on its way into {base}");
            self.store.supersede(self.row, &kept, &reason);
        } else {
            self.store
                .supersede(self.row, &[], "superseded: the pull request is closed");
        }
    }

    async fn decided(&self, head: &str, base: &str) -> Result<Option<Decided>, JournalError> {
        self.store
            .decided(&self.row.pull.repository, head, base)
            .await
    }

    async fn view(&mut self, now: PullNow) -> Result<View, JournalError> {
        let pull = self.pull_at(&now.head_sha, now.base.as_deref());
        let base = now.base.clone().unwrap_or_default();
        let decision = self.decided(&now.head_sha, &base).await?;
        let hold = match &decision {
            Some(decided) => self.store.hold(&decided.run.run_id).await?,
            None => Hold::Free,
        };
        let approves = self.settings.publish.review && self.settings.publish.approve;
        if approves && !self.published.adopted {
            self.adopt(&pull).await;
        }
        // Only where it could be taken back again.
        let may_approve = approves && self.host.can_dismiss(&pull).await.unwrap_or(false);
        if approves && !may_approve {
            let text = format!(
                "{}: no approving review is left, because the token may not dismiss it again; it needs the right to write",
                pull.place()
            );
            self.store.alarm(&format!("{} approve", self.row.key), text);
        }
        Ok(View {
            under_review: self.store.is_under_review(&pull),
            pull,
            now,
            decision,
            hold,
            may_approve,
        })
    }

    /// Asks whether a review is there whose answer was lost: it must neither be made twice nor be forgotten.
    async fn ask_about_review(&mut self) -> Result<(), HostError> {
        let Some(sent) = self.published.unsure.clone() else {
            return Ok(());
        };
        let Publication::Review { marker, .. } = &sent.publication else {
            return Ok(());
        };
        let pull = self.pull_at(&sent.commit, Some(&sent.base));
        if let Some(id) = self.host.find_review(&pull, marker).await? {
            let written = Written {
                id: Some(id),
                ..Written::default()
            };
            let at = (sent.commit.as_str(), sent.base.as_str());
            self.published.record(&sent.publication, &written, at);
        }
        self.published.unsure = None;
        Ok(())
    }

    /// Reviews that an engine left whose journal is gone.
    async fn adopt(&mut self, pull: &Pull) {
        if let Ok(standing) = self.host.standing_reviews(pull).await {
            self.published.adopted = true;
            for review in standing {
                if self.published.reviews.iter().all(|r| r.id != review.id) {
                    self.published.reviews.push(Review {
                        id: review.id,
                        wanted: review.event.clone(),
                        event: review.event,
                        commit: review.commit,
                        base: review.base_mark,
                    });
                }
            }
        }
    }

    /// Writes the difference, one thing at a time, and compares again after each.
    async fn bring_about(&mut self, view: &View) -> Result<Option<i64>, JournalError> {
        let mut now = view.now.clone();
        for _ in 0..MOST_WRITES {
            let standing = Standing {
                pull: &view.pull,
                now: &now,
                decision: view.decision.as_ref(),
                under_review: view.under_review,
                hold: view.hold,
                may_approve: view.may_approve,
                published: &self.published,
                web: self.settings.web,
            };
            let desired = desired(&standing);
            let mut changes = self.changes(&desired, &now).await?;
            changes.retain(|c| self.failure(c).is_none_or(|f| f.next_ms.is_some()));
            if let (Some(found), true) = (&desired.found, now.open) {
                let is_new = self.published.findings[0]
                    .as_ref()
                    .is_none_or(|f| f.commit != now.head_sha || f.found != *found);
                if is_new {
                    self.published.decided(&now.head_sha, found.clone());
                }
            }
            let planned = self.plan(&view.pull, &desired.run, &changes).await?;
            let next = changes
                .iter()
                .zip(planned)
                .find(|(c, _)| self.may_be_tried(c));
            let Some((change, planned)) = next else {
                return Ok(self.next_try(&changes, &now.head_sha));
            };
            match self.write(&view.pull, change, planned).await? {
                Outcome::Done => follow(&mut now, &change.publication),
                Outcome::Failed => self.cannot_withdraw(&view.pull, change).await?,
                Outcome::Stop(until) => return Ok(Some(until)),
            }
        }
        Ok(Some(self.store.now_ms() + FIRST_MS))
    }

    /// The difference; gates on older commits whose decision is no approval any more come first.
    async fn changes(&self, desired: &Desired, now: &PullNow) -> Result<Vec<Change>, JournalError> {
        let here = context(now.base.as_deref());
        let mut changes = Vec::new();
        let successes = self.published.gates.iter().filter(|g| g.state == "success");
        for gate in successes {
            if now.open && gate.commit == now.head_sha && gate.context == here {
                continue;
            }
            let decided = self.decided(&gate.commit, &gate.base).await?;
            let state = decided.map(|d| state_of(&d.run));
            let (state, description) = match &state {
                Some(state) => (state.state, state.description.as_str()),
                None => ("pending", "no decision about this commit is kept"),
            };
            if state != "success" {
                changes.extend(gate_change(
                    &self.published,
                    &gate.commit,
                    &gate.context,
                    (state, description),
                ));
            }
        }
        let announced = self.pull_at(&self.row.pull.head, Some(&self.row.pull.base));
        if announced.head_sha != now.head_sha && self.store.is_under_review(&announced) {
            let context = context(announced.base.as_deref());
            if self.published.gate(&announced.head_sha, &context).is_none() {
                let state = ("pending", "under review");
                changes.extend(gate_change(
                    &self.published,
                    &announced.head_sha,
                    &context,
                    state,
                ));
            }
        }
        // Nothing else is left on a pull request that is closed.
        if now.open {
            changes.extend(difference(&Sides {
                desired,
                published: &self.published,
                now,
                context: &here,
                publish: self.settings.publish,
                has_checks: self.host.has_checks(),
            }));
            changes.sort_by_key(|c| !c.withdraws);
        }
        Ok(changes)
    }

    /// Plans all changes; what is planned already stays. Returns each one's number and earlier tries.
    async fn plan(
        &self,
        pull: &Pull,
        run: &str,
        changes: &[Change],
    ) -> Result<Vec<(i64, u32)>, JournalError> {
        let mut there = self.store.planned(self.row).await?;
        let mut found: Vec<Option<(i64, u32)>> = Vec::new();
        for change in changes {
            let same = there.iter().position(|(_, p, _)| *p == change.publication);
            found.push(same.map(|index| {
                let (id, _, attempts) = there.remove(index);
                (id, attempts)
            }));
        }
        let missing: Vec<Publication> = changes
            .iter()
            .zip(&found)
            .filter(|(_, found)| found.is_none())
            .map(|(change, _)| change.publication.clone())
            .collect();
        let mut new = Vec::new();
        if !missing.is_empty() || !there.is_empty() {
            let kept = found.iter().flatten().map(|(id, _)| *id).collect();
            new = self.store.plan(self.row, pull, run, missing, kept).await?;
        }
        let mut new = new.into_iter();
        Ok(found
            .into_iter()
            .map(|found| found.unwrap_or_else(|| (new.next().unwrap_or(0), 0)))
            .collect())
    }

    async fn write(
        &mut self,
        pull: &Pull,
        change: &Change,
        (id, attempts): (i64, u32),
    ) -> Result<Outcome, JournalError> {
        let name = slot(&change.publication, &pull.head_sha);
        let publication = &change.publication;
        if let (Publication::Review { .. }, Err(error)) =
            (publication, self.ask_about_review().await)
        {
            let now = self.store.now_ms();
            return Ok(Outcome::Stop(now + stops(&error).unwrap_or(FIRST_MS)));
        }
        self.store.before_write().await?;
        let base = pull.base.as_deref().unwrap_or_default();
        if self
            .published
            .about_to_send(publication, (&pull.head_sha, base))
        {
            // A crash before the answer must neither make a second one nor forget one that may be there.
            let sent = Tried {
                id,
                state: OutboxState::Waiting,
                note: "sent".into(),
                attempts: attempts + 1,
                next_ms: self.store.now_ms(),
            };
            self.store.tried(self.row, sent, &self.published).await?;
        }
        let error = match self.host.publish(pull, publication).await {
            Ok(written) => return self.written(pull, change, (id, attempts), &written).await,
            Err(error) => error,
        };
        if matches!(&error, HostError::Refused { status, .. } if *status < 500)
            && matches!(publication, Publication::Review { .. })
        {
            self.published.unsure = None;
        }
        let base = Tried {
            id,
            state: OutboxState::Waiting,
            note: error.to_string(),
            attempts,
            next_ms: 0,
        };
        let now = self.store.now_ms();
        if let Some(pause) = stops(&error) {
            if let HostError::Limited { after_s, .. } = &error {
                self.store.pause(Duration::from_secs(*after_s));
            }
            let until = now + pause;
            let tried = Tried {
                next_ms: until,
                ..base
            };
            self.store.tried(self.row, tried, &self.published).await?;
            return Ok(Outcome::Stop(until));
        }
        let known = self
            .published
            .failures
            .get(&name)
            .filter(|f| f.digest == digest_of(change));
        let attempts = known.map_or(0, |f| f.attempts) + 1;
        let for_good = !may_go_well(&error) || attempts >= TRIES;
        // What was approved and is no more is taken back whatever it takes.
        let again = !for_good || change.withdraws;
        let next_ms = again.then(|| now + backoff_ms(attempts));
        let failure = Failure {
            digest: digest_of(change),
            attempts,
            next_ms,
        };
        self.published.failures.insert(name.clone(), failure);
        while self.published.failures.len() > MOST_FAILURES {
            self.published.failures.pop_first();
        }
        if attempts == 1 && is_refusal(&error) || !again {
            let end = if again { "" } else { " (dead-lettered)" };
            let text = format!("{} on {}: {error}{end}", publication.kind(), pull.place());
            self.store.alarm(&format!("{} {name}", self.row.key), text);
        }
        let tried = Tried {
            state: if again {
                OutboxState::Waiting
            } else {
                OutboxState::Dropped
            },
            attempts,
            next_ms: next_ms.unwrap_or(0),
            ..base
        };
        self.store.tried(self.row, tried, &self.published).await?;
        // Where the host does not answer, nothing else is answered either.
        Ok(match (&error, next_ms) {
            (HostError::Unreachable(_), Some(next)) => Outcome::Stop(next),
            _ => Outcome::Failed,
        })
    }

    async fn written(
        &mut self,
        pull: &Pull,
        change: &Change,
        (id, attempts): (i64, u32),
        written: &Written,
    ) -> Result<Outcome, JournalError> {
        let name = slot(&change.publication, &pull.head_sha);
        let failed_before = self.published.failures.contains_key(&name);
        let at = (
            pull.head_sha.as_str(),
            pull.base.as_deref().unwrap_or_default(),
        );
        self.published.record(&change.publication, written, at);
        let tried = Tried {
            id,
            state: OutboxState::Done,
            note: written.note.clone(),
            attempts,
            next_ms: 0,
        };
        self.store.tried(self.row, tried, &self.published).await?;
        if failed_before {
            let text = format!(
                "{} on {}: {}",
                change.publication.kind(),
                pull.place(),
                written.note
            );
            self.store.calm(&format!("{} {name}", self.row.key), text);
        }
        Ok(Outcome::Done)
    }

    /// An approval that cannot be dismissed is contradicted; where that fails too, an operator must act.
    async fn cannot_withdraw(&mut self, pull: &Pull, change: &Change) -> Result<(), JournalError> {
        let Publication::Dismissal { review, .. } = &change.publication else {
            return Ok(());
        };
        if !change.withdraws {
            return Ok(());
        }
        let marker = format!("<!-- bsm:review {review} withdrawn -->");
        let contradiction = Change {
            publication: Publication::Review {
                event: "REQUEST_CHANGES".into(),
                body: format!(
                    "{marker}\nThe approval above no longer holds, and it could not be dismissed."
                ),
                marker,
                comments: Vec::new(),
            },
            withdraws: true,
        };
        let contradicted = self
            .published
            .reviews
            .iter()
            .any(|r| r.event == "REQUEST_CHANGES" && r.commit == pull.head_sha);
        if contradicted || !self.may_be_tried(&contradiction) {
            return Ok(());
        }
        let text = format!(
            "{}: an approval of ours no longer holds and cannot be dismissed (review {review}); dismiss it by hand",
            pull.place()
        );
        self.store
            .alarm(&format!("{} approval", self.row.key), text);
        let planned = self.store.planned(self.row).await?;
        let kept = planned.iter().map(|(id, ..)| *id).collect();
        let items = vec![contradiction.publication.clone()];
        let ids = self.store.plan(self.row, pull, "", items, kept).await?;
        let id = ids.first().copied().unwrap_or(0);
        self.write(pull, &contradiction, (id, 0)).await.map(drop)
    }

    /// The pull request cannot be read: what would be left there is shown, and waits.
    async fn cannot_read(
        &mut self,
        pull: &Pull,
        error: &HostError,
    ) -> Result<Option<i64>, JournalError> {
        let now_ms = self.store.now_ms();
        let known = self.published.failures.get(READ);
        let attempts = known.map_or(0, |f| f.attempts) + 1;
        if let HostError::Limited { after_s, .. } = error {
            self.store.pause(Duration::from_secs(*after_s));
        }
        let next = now_ms + stops(error).unwrap_or_else(|| backoff_ms(attempts));
        let assumed = PullNow {
            head_sha: pull.head_sha.clone(),
            base: pull.base.clone(),
            open: true,
            ..PullNow::default()
        };
        let counts = stops(error).is_none();
        if counts {
            self.published.failures.insert(
                READ.into(),
                Failure {
                    digest: String::new(),
                    attempts,
                    next_ms: Some(next),
                },
            );
        }
        if attempts == 1 && is_refusal(error) {
            let text = format!("{} cannot be read: {error}", pull.place());
            self.store.alarm(&format!("{} {READ}", self.row.key), text);
        }
        let approves = self.published.gates.iter().any(|g| g.state == "success")
            || self.published.reviews.iter().any(|r| r.event == "APPROVE");
        if attempts > TRIES && !approves {
            return Ok(None);
        }
        let decision = self.decided(&pull.head_sha, &self.row.pull.base).await?;
        let hold = match &decision {
            Some(decided) => self.store.hold(&decided.run.run_id).await?,
            None => Hold::Free,
        };
        let standing = Standing {
            pull,
            now: &assumed,
            decision: decision.as_ref(),
            under_review: self.store.is_under_review(pull),
            hold,
            may_approve: false,
            published: &self.published,
            web: self.settings.web,
        };
        let desired = desired(&standing);
        let changes = self.changes(&desired, &assumed).await?;
        let planned = self.plan(pull, &desired.run, &changes).await?;
        for (id, earlier) in planned {
            let tried = Tried {
                id,
                state: OutboxState::Waiting,
                note: error.to_string(),
                attempts: earlier + u32::from(counts),
                next_ms: next,
            };
            self.store.tried(self.row, tried, &self.published).await?;
        }
        Ok(Some(next))
    }

    fn may_be_tried(&self, change: &Change) -> bool {
        let failure = self.failure(change);
        failure.is_none_or(|f| f.next_ms.is_some_and(|next| next <= self.store.now_ms()))
    }

    /// The failure of exactly this.
    fn failure(&self, change: &Change) -> Option<&Failure> {
        let name = slot(&change.publication, &self.row.pull.head);
        let failure = self.published.failures.get(&name)?;
        (failure.digest == digest_of(change)).then_some(failure)
    }

    fn next_try(&self, changes: &[Change], head: &str) -> Option<i64> {
        let tries = changes.iter().filter_map(|change| {
            let name = slot(&change.publication, head);
            self.published.failures.get(&name)?.next_ms
        });
        tries.min()
    }

    fn pull_at(&self, head: &str, base: Option<&str>) -> Pull {
        Pull {
            repository: self.row.pull.repository.clone(),
            number: self.row.pull.number,
            head_sha: head.to_owned(),
            base: base.filter(|b| !b.is_empty()).map(str::to_owned),
        }
    }
}

/// What a write changes in how the host has it.
fn follow(now: &mut PullNow, publication: &Publication) {
    match publication {
        Publication::Label { add, prefix, .. } => {
            if let Some(labels) = &mut now.labels {
                labels.retain(|l| !l.starts_with(prefix.as_str()));
                labels.extend((!add.is_empty()).then(|| add.clone()));
            }
        }
        Publication::Merge { .. } => now.open = false,
        _ => {}
    }
}

fn digest_of(change: &Change) -> String {
    digest(&serde_json::to_string(&change.publication).unwrap_or_default())
}

/// An error after which nothing else is sent either: milliseconds until the next try.
fn stops(error: &HostError) -> Option<i64> {
    match error {
        HostError::Limited { after_s, .. } => {
            Some(after_s.saturating_mul(1_000).cast_signed().min(LONGEST_MS))
        }
        HostError::NotAsked(_) => Some(CLOSED_MS),
        _ => None,
    }
}

/// The token may be renewed, or given the right that it lacks.
fn is_refusal(error: &HostError) -> bool {
    matches!(
        error,
        HostError::Refused {
            status: 401 | 403 | 404,
            ..
        }
    )
}

fn may_go_well(error: &HostError) -> bool {
    error.is_passing() || is_refusal(error)
}

fn backoff_ms(attempts: u32) -> i64 {
    (FIRST_MS << attempts.saturating_sub(1).min(20)).min(LONGEST_MS)
}
