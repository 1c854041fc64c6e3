//! One pass over one pull request: read it, compare it with what should be there, write the difference.
//!
//! Why generic over host and store: the same pass runs against GitHub and a journal, and in the model-based test
//! against a host and a store in memory, thousands of times.

use crate::code_host::{CodeHost, Publication, Pull, PullNow};
use crate::engine::code_host::desired::{Desired, context, desired, state_of};
use crate::engine::code_host::difference::{Change, Sides, difference, gate_change};
use crate::engine::code_host::published::{Failure, Published, slot};
use crate::engine::code_host::pull_store::PullStore;
use crate::engine::code_host::retries::{FIRST_MS, digest_of};
use crate::engine::code_host::standing::{Decided, Hold, Standing};
use crate::journal::{JournalError, PullRow};
use crate::settings::Publish;
use crate::text::cut;

/// Writes of one pass; what is left then is the next pass's.
const MOST_WRITES: usize = 60;
/// The failure to read the pull request itself.
pub(super) const READ: &str = "read";

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
    // In a merge queue there is a commit and a branch, and nothing to write on.
    let publish = match row.pull.number {
        0 => Publish {
            status: settings.publish.status,
            ..Publish::NONE
        },
        _ => settings.publish,
    };
    let mut pass = Pass {
        host,
        store,
        row,
        settings: PassSettings {
            publish,
            ..settings
        },
        published: Published::parse(&row.published),
    };
    let next = pass.run().await?;
    store.settle(row, next).await
}

/// One pass.
pub(super) struct Pass<'a, H, S> {
    pub(super) host: &'a H,
    pub(super) store: &'a S,
    pub(super) row: &'a PullRow,
    pub(super) settings: PassSettings<'a>,
    pub(super) published: Published,
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
pub(super) enum Outcome {
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
        if let Some((name, id)) = &now.repository
            && !name.eq_ignore_ascii_case(&self.row.pull.repository)
            && self.store.renamed(self.row, name, *id).await?
        {
            return Ok(None);
        }
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

    pub(super) async fn decided(
        &self,
        head: &str,
        base: &str,
    ) -> Result<Option<Decided>, JournalError> {
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
    pub(super) async fn changes(
        &self,
        desired: &Desired,
        now: &PullNow,
    ) -> Result<Vec<Change>, JournalError> {
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
    pub(super) async fn plan(
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

    pub(super) fn may_be_tried(&self, change: &Change) -> bool {
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

    pub(super) fn pull_at(&self, head: &str, base: Option<&str>) -> Pull {
        Pull {
            repository: self.row.pull.repository.clone(),
            number: self.row.pull.number,
            head_sha: head.to_owned(),
            base: base.filter(|b| !b.is_empty()).map(str::to_owned),
            ..Pull::default()
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
