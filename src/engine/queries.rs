//! Answering questions: what is too large for the picture.

use super::core::Core;
use super::handle::Handle;
use super::reload::load_workspace;
use super::types::call::CallView;
use super::types::query::{Answer, KnowledgeView, Query, QueryError};
use super::types::snapshot::RunBrief;
use super::types::why::About;
use super::{history, ledger, outbox, picture, remembering, run, views, why};
use crate::cache::{Kept, Loading};
use crate::filter::Filter;
use crate::journal::{JournalError, Side};
use crate::resilience::clock::lock;
use crate::telemetry::log_read;
use crate::text::clean_line;
use crate::workspace::registry;
use std::sync::Arc;

impl Handle {
    pub(super) async fn answer(&self, query: Query) -> Result<Answer, QueryError> {
        let core = &self.core;
        let unavailable = |reason: String| QueryError::Unavailable { reason };
        let not_found = |what: &str, name: &str| QueryError::NotFound {
            what: what.to_owned(),
            name: clean_line(name, 80),
        };
        let journal = |e: JournalError| unavailable(e.to_string());
        match query {
            Query::Runs { limit, filter } => {
                let (filter, limit) = (Filter::read(&filter), limit.min(10_000) as usize);
                let take = move |found: &mut Vec<RunBrief>, line: &str| {
                    if let Ok(brief) = serde_json::from_str::<RunBrief>(line)
                        && filter.passes(&brief)
                    {
                        found.push(brief);
                    }
                    found.len() < limit
                };
                let runs = core
                    .journal
                    .briefs(Vec::new(), take)
                    .await
                    .map_err(journal)?;
                Ok(Answer::Runs { runs })
            }
            Query::Run { id } => {
                if let Some(live) = core.live(&id) {
                    return Ok(Answer::Run {
                        run: Box::new(lock(&live.view).clone()),
                    });
                }
                let row = core
                    .journal
                    .run(&id)
                    .await
                    .map_err(journal)?
                    .ok_or_else(|| not_found("run", &id))?;
                let steps = core.journal.steps(&id).await.map_err(journal)?;
                let result = views::from_row(&row, &steps)
                    .ok_or_else(|| unavailable("the run cannot be read".into()))?;
                Ok(Answer::Run {
                    run: Box::new(result),
                })
            }
            Query::Report { id } => {
                let row = core
                    .journal
                    .run(&id)
                    .await
                    .map_err(journal)?
                    .ok_or_else(|| not_found("run", &id))?;
                row.report_text
                    .map(|text| Answer::Report { text: text.into() })
                    .ok_or_else(|| not_found("report of", &id))
            }
            Query::Logs { filter } => {
                let dir = core.state.logs();
                let read = tokio::task::spawn_blocking(move || log_read::read(&dir, &filter)).await;
                let lines = read
                    .map_err(|e| unavailable(e.to_string()))?
                    .map_err(|e| unavailable(e.to_string()))?;
                Ok(Answer::Logs { lines })
            }
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
                let calls = core.calls.newest(limit.min(2_000) as usize, wanted);
                Ok(Answer::Calls { calls })
            }
            Query::Knowledge => {
                let (knowledge, error) = run::documents(core).await;
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
            Query::Models => Ok(Answer::Models {
                models: core.models.models(),
            }),
            Query::Entries { cache, limit } => {
                let most = limit.min(1_000) as usize;
                let entries = match cache.as_str() {
                    "agents" => core.agents_cache.list(most, |w| w.name.clone()),
                    "knowledge" => core
                        .knowledge_cache
                        .list(most, |k| format!("{} documents", k.documents.len())),
                    "registry" => core.registry_cache.list(most, |_| "the registry".into()),
                    "responses" => core.models.cached(most),
                    other => return Err(not_found("cache", other)),
                };
                let redactor = core.redactor.load();
                let entries = entries
                    .into_iter()
                    .map(|kept| Kept {
                        label: clean_line(&redactor.text(&kept.label), 120),
                        ..kept
                    })
                    .collect();
                Ok(Answer::Entries { entries })
            }
            Query::Costs { days } => {
                let costs = ledger::costs(core, days).await.map_err(journal)?;
                Ok(Answer::Costs {
                    costs: Box::new(costs),
                })
            }
            Query::Deliveries { limit } => {
                let limit = limit.min(1_000);
                let deliveries = core.journal.deliveries(limit).await.map_err(journal)?;
                Ok(Answer::Deliveries { deliveries })
            }
            Query::Outbox { limit } => {
                let rows = core
                    .journal
                    .outbox(limit.min(1_000))
                    .await
                    .map_err(journal)?;
                let entries = rows.into_iter().map(outbox::view).collect();
                Ok(Answer::Outbox { entries })
            }
            Query::Approvals { limit } => {
                let limit = limit.min(1_000);
                let approvals = core.journal.approvals(limit).await.map_err(journal)?;
                Ok(Answer::Approvals { approvals })
            }
            Query::Similar { text, k, min_score } => {
                let found = remembering::similar(core, &text, k, min_score);
                Ok(Answer::Similar {
                    found: Box::new(found.await.map_err(journal)?),
                })
            }
            Query::Patterns { since_ms } => {
                let rows = core
                    .journal
                    .memory_decisions(since_ms)
                    .await
                    .map_err(journal)?;
                Ok(Answer::Patterns {
                    patterns: Box::new(remembering::patterns(&rows)),
                })
            }
            Query::MemoryStats => Ok(Answer::MemoryStats {
                stats: remembering::stats(core).await.map_err(journal)?,
            }),
            Query::Why { about } => {
                let run = match &about {
                    About::Run { id } => Some(id.clone()),
                    _ => None,
                };
                let run = match run {
                    None => None,
                    Some(id) => match Box::pin(self.answer(Query::Run { id })).await? {
                        Answer::Run { run } => Some(run),
                        _ => None,
                    },
                };
                // As it is now, not as it was last shown.
                let snapshot = picture::assemble(core, self.newest().resources);
                let calls = core.calls.newest(2_000, |_| true);
                let now_ms = core.clock.wall_ms();
                let why = why::explain(&about, &snapshot, &calls, run.as_deref(), now_ms)
                    .ok_or_else(|| not_found("subject", &format!("{about:?}")))?;
                Ok(Answer::Why { why: Box::new(why) })
            }
            Query::Moment { at_ms, after } => {
                let side = if after { Side::After } else { Side::Before };
                let moment = history::moment(core, at_ms, side).await.map_err(journal)?;
                Ok(Answer::Moment { moment })
            }
            Query::Trends {
                from_ms,
                to_ms,
                points,
            } => {
                let points = points.clamp(1, 2_000);
                let trends = history::trends(core, from_ms, to_ms.max(from_ms), points)
                    .await
                    .map_err(journal)?;
                Ok(Answer::Trends {
                    trends: Box::new(trends),
                })
            }
            Query::Workspace => {
                let workspace = core.workspace.load_full();
                // Both through their caches: an operator who looks here sees what the caches really do.
                load_workspace(core).await.map_err(unavailable)?;
                cached_registry(core).await.map_err(unavailable)?;
                Ok(Answer::Workspace {
                    agents: workspace.agents.iter().map(|a| (**a).clone()).collect(),
                    events: workspace
                        .events
                        .events
                        .iter()
                        .map(|(k, v)| (k.clone(), v.clone()))
                        .collect(),
                    problems: workspace.problems.clone(),
                })
            }
        }
    }
}

/// The registry through its cache, for listings.
pub async fn cached_registry(core: &Arc<Core>) -> Result<Arc<Option<registry::Registry>>, String> {
    let registry = core.workspace.load().registry.clone();
    let load = move |_: Loading| async move { Ok(registry) };
    core.registry_cache
        .get("registry", load)
        .await
        .map(|(r, _)| r)
        .map_err(|e| e.to_string())
}
