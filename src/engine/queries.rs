//! Answering queries: what is too large for the snapshot.

use std::collections::BTreeSet;

use crate::cache::CacheEntryInfo;
use crate::engine::code_host::reconciler;
use crate::engine::handle::Handle;
use crate::engine::memory::patterns::patterns;
use crate::engine::observe::explain::explain;
use crate::engine::observe::explain::past::Past;
use crate::engine::protocol::call::CallView;
use crate::engine::protocol::query::{Answer, KnowledgeView, Query, QueryError};
use crate::engine::protocol::run::RunResult;
use crate::engine::protocol::snapshot::RunSummary;
use crate::engine::protocol::why::About;
use crate::engine::runs::projection::{from_row, summary_of_row};
use crate::filter::Filter;
use crate::journal::{Journal, JournalError, Side};
use crate::telemetry::log_read::{self, LogFilter};
use crate::text::clean_line;

type Answered = Result<Answer, QueryError>;

/// Most attempts that are listed, and that an explanation looks at.
const MOST_CALLS: usize = 2_000;
/// The newest runs among which those without a readable line are looked for.
const MOST_UNREAD: u32 = 200;
/// Most entries of any other list.
const MOST: u32 = 1_000;

impl From<JournalError> for QueryError {
    fn from(error: JournalError) -> Self {
        unavailable(error)
    }
}

fn unavailable(reason: impl std::fmt::Display) -> QueryError {
    QueryError::Unavailable {
        reason: reason.to_string(),
    }
}

fn not_found(what: &str, name: &str) -> QueryError {
    QueryError::NotFound {
        what: what.to_owned(),
        name: clean_line(name, 80),
    }
}

impl Handle {
    pub(super) async fn answer(&self, query: Query) -> Answered {
        let services = &self.services;
        let journal = &services.durable.journal;
        match query {
            Query::Runs { limit, filter } => self.runs(limit, &filter).await,
            Query::Run { id } => Ok(Answer::Run {
                run: Box::new(self.run(&id).await?),
            }),
            Query::Report { id } => report(journal, &id).await,
            Query::Logs { filter } => self.logs(filter).await,
            Query::Calls {
                provider,
                run,
                failed,
                limit,
            } => {
                let wanted = |c: &CallView| {
                    provider.as_ref().is_none_or(|p| *p == c.provider)
                        && run.as_ref().is_none_or(|r| *r == c.run)
                        && (!failed || c.failed())
                };
                let most = MOST_CALLS.min(limit as usize);
                let calls = services.calls.newest(most, wanted);
                Ok(Answer::Calls { calls })
            }
            Query::Knowledge => self.knowledge().await,
            Query::Models => Ok(Answer::Models {
                models: services.models.service.models(),
            }),
            Query::Entries { cache, limit } => self.entries(&cache, limit.min(MOST) as usize),
            Query::Costs { days } => Ok(Answer::Costs {
                costs: Box::new(services.costs.costs(days).await?),
            }),
            Query::Deliveries { limit } => Ok(Answer::Deliveries {
                deliveries: all(journal.deliveries(limit.min(MOST)).await?),
            }),
            Query::Outbox { limit } => {
                let rows = journal.outbox(limit.min(MOST)).await?;
                let entries = rows.into_iter().map(reconciler::view).collect();
                Ok(Answer::Outbox { entries })
            }
            Query::Approvals { limit } => Ok(Answer::Approvals {
                approvals: all(journal.approvals(limit.min(MOST)).await?),
            }),
            Query::Dismissals { limit } => Ok(Answer::Dismissals {
                dismissals: all(journal.dismissals(limit.min(MOST)).await?),
            }),
            Query::Similar { text, k, min_score } => {
                let found = services.memory_search.similar(&text, k, min_score).await?;
                Ok(Answer::Similar {
                    found: Box::new(found),
                })
            }
            Query::Patterns { since_ms } => {
                let rows = journal.memory_decisions(since_ms).await?;
                Ok(Answer::Patterns {
                    patterns: Box::new(patterns(&rows)),
                })
            }
            Query::MemoryStats => Ok(Answer::MemoryStats {
                stats: services.memory_search.stats().await?,
            }),
            Query::Alerts => Ok(Answer::Alerts {
                alerts: services.notifier.all_alerts(),
            }),
            Query::Storage => Ok(Answer::Storage {
                usage: Box::new(services.storage.usage().await.map_err(unavailable)?),
            }),
            Query::Why { about } => self.why(&about).await,
            Query::WhyAt { about, at_ms } => self.why_at(&about, at_ms).await,
            Query::Moment { at_ms, after } => {
                let side = if after { Side::After } else { Side::Before };
                let moment = services.recorder.at(at_ms, side).await?;
                Ok(Answer::Moment { moment })
            }
            Query::Trends {
                from_ms,
                to_ms,
                points,
            } => {
                let points = points.clamp(1, 2_000);
                let to_ms = to_ms.max(from_ms);
                let trends = services.recorder.trends(from_ms, to_ms, points).await?;
                Ok(Answer::Trends {
                    trends: Box::new(trends),
                })
            }
            Query::Workspace => self.workspace().await,
        }
    }

    async fn runs(&self, limit: u32, filter: &str) -> Answered {
        let (filter, limit) = (Filter::read(filter), limit.min(10_000) as usize);
        let passes = filter.clone();
        let take = move |found: &mut Vec<RunSummary>, line: &str| {
            if let Ok(brief) = serde_json::from_str::<RunSummary>(line)
                && filter.passes(&brief)
            {
                found.push(brief);
            }
            found.len() < limit
        };
        let journal = &self.services.durable.journal;
        let mut runs = journal.briefs(Vec::new(), take).await?;
        if runs.len() < limit {
            self.add_unread(&mut runs, limit, &passes).await?;
        }
        self.add_identities(&mut runs).await?;
        Ok(Answer::Runs { runs })
    }

    /// Adds ended runs whose line an older program did not write, or that this one cannot read.
    async fn add_unread(
        &self,
        runs: &mut Vec<RunSummary>,
        limit: usize,
        filter: &Filter,
    ) -> Result<(), QueryError> {
        let listed: BTreeSet<String> = runs.iter().map(|run| run.id.clone()).collect();
        let most = u32::try_from(limit).unwrap_or(MOST_UNREAD).min(MOST_UNREAD);
        let rows = self.services.durable.journal.recent(most).await?;
        let missing = rows
            .iter()
            .filter(|row| row.finished_ms.is_some() && !listed.contains(&row.new.id))
            .map(summary_of_row)
            .filter(|run| filter.passes(run));
        runs.extend(missing);
        runs.sort_by(|a, b| (b.created_ms, &b.id).cmp(&(a.created_ms, &a.id)));
        runs.truncate(limit);
        Ok(())
    }

    /// Lines that an older version kept do not say what the run is about; what was kept at intake does. Of more
    /// than [`MOST_UNREAD`] such lines the newest are filled in, and the others stay unknown.
    async fn add_identities(&self, runs: &mut [RunSummary]) -> Result<(), QueryError> {
        let unknown = runs.iter_mut().filter(|run| run.identity.is_none());
        for run in unknown.take(MOST_UNREAD as usize) {
            let row = self.services.durable.journal.run(&run.id).await?;
            let Some(row) = row else { continue };
            let whole = summary_of_row(&row);
            (run.identity, run.why) = (whole.identity, whole.why);
            (run.waited_ms, run.model_ms) = (whole.waited_ms, whole.model_ms);
            run.micro_usd = whole.micro_usd;
        }
        Ok(())
    }

    async fn run(&self, id: &str) -> Result<RunResult, QueryError> {
        if let Some(live) = self.services.registry.get(id) {
            return Ok(live.view_now());
        }
        let journal = &self.services.durable.journal;
        let row = journal.run(id).await?.ok_or_else(|| not_found("run", id))?;
        let steps = journal.steps(id).await?;
        from_row(&row, &steps)
            .ok_or_else(|| unavailable("the run cannot be read: another version of bsm wrote it"))
    }

    async fn logs(&self, filter: LogFilter) -> Answered {
        let dir = self.services.state.logs();
        let read = tokio::task::spawn_blocking(move || log_read::read(&dir, &filter)).await;
        let lines = read.map_err(unavailable)?.map_err(unavailable)?;
        Ok(Answer::Logs { lines })
    }

    async fn knowledge(&self) -> Answered {
        let (knowledge, error) = self.services.caches.documents().await;
        if let Some(error) = error {
            return Err(unavailable(clean_line(&error, 200)));
        }
        let documents = knowledge
            .documents
            .iter()
            .map(|d| KnowledgeView {
                name: d.name.clone(),
                text: d.text.clone(),
            })
            .collect();
        Ok(Answer::Knowledge { documents })
    }

    fn entries(&self, cache: &str, most: usize) -> Answered {
        let entries = match cache {
            "responses" => Some(self.services.models.service.cached(most)),
            other => self.services.caches.entries(other, most),
        };
        let redactor = self.services.store.redactor();
        let entries = entries
            .ok_or_else(|| not_found("cache", cache))?
            .into_iter()
            .map(|kept| CacheEntryInfo {
                label: clean_line(&redactor.text(&kept.label), 120),
                ..kept
            })
            .collect();
        Ok(Answer::Entries { entries })
    }

    async fn why(&self, about: &About) -> Answered {
        let run = match about {
            About::Run { id } => Some(self.run(id).await?),
            _ => None,
        };
        // As it is now, not as it was last shown.
        let resources = self.newest().resources;
        let snapshot = self.services.snapshots.assemble(resources);
        let calls = self.services.calls.newest(MOST_CALLS, |_| true);
        let now_ms = self.services.lifecycle.wall_ms();
        let why = explain(about, &snapshot, &calls, run.as_ref(), now_ms)
            .ok_or_else(|| not_found("subject", &format!("{about:?}")))?;
        Ok(Answer::Why { why: Box::new(why) })
    }

    async fn why_at(&self, about: &About, at_ms: i64) -> Answered {
        let moment = self.services.recorder.at(at_ms, Side::Before).await?;
        let run = match about {
            About::Run { id } => self.run(id).await.ok(),
            _ => None,
        };
        let calls = self.services.calls.newest(MOST_CALLS, |_| true);
        let past = Past {
            asked_ms: at_ms,
            moment: moment.as_ref(),
            calls: &calls,
            run: run.as_ref(),
        };
        let why = Box::new(past.explain(about));
        Ok(Answer::Why { why })
    }

    async fn workspace(&self) -> Answered {
        // Both through their caches: an operator who looks here sees what runs see.
        let workspace = self.services.reloader.workspace().await;
        self.services.caches.registry().await.map_err(unavailable)?;
        let events = &workspace.events.events;
        Ok(Answer::Workspace {
            agents: workspace.agents.iter().map(|a| (**a).clone()).collect(),
            events: events.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
            problems: workspace.problems.clone(),
        })
    }
}

/// Rows as data of the seam.
fn all<R, T: From<R>>(rows: Vec<R>) -> Vec<T> {
    rows.into_iter().map(T::from).collect()
}

async fn report(journal: &Journal, id: &str) -> Answered {
    let row = journal.run(id).await?.ok_or_else(|| not_found("run", id))?;
    row.report_text
        .map(|text| Answer::Report { text: text.into() })
        .ok_or_else(|| not_found("report of", id))
}
