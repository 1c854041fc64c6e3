//! One agent in a run: the rules' verdict, the model's where one can be had, and the stricter of both.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::Source;
use crate::engine::agents::AgentControl;
use crate::engine::code_host::dismissals::Dismissed;
use crate::engine::config::store::ConfigStore;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::memory::search::MemorySearch;
use crate::engine::models::access::{Models, source_name};
use crate::engine::models::prompt::Review;
use crate::engine::models::stream_events::StreamEvents;
use crate::engine::protocol::run::{Input, Plan, Step, StepStatus};
use crate::engine::runs::numbered_diff::NumberedDiff;
use crate::engine::runs::phase_board::PhaseBoard;
use crate::model::request::{AskError, CompletionOutcome, CompletionRequest, Origin};
use crate::model::{Answer, Citation};
use crate::resilience::deadline::Deadline;
use crate::resilience::policy::elapsed_ms;
use crate::review::finding::{Finding, Severity, Suppressed};
use crate::review::redact::Redactor;
use crate::review::verdict::{self, ModelVerdict, Verdict};
use crate::settings::Settings;
use crate::text::Untrusted;
use crate::workspace::Workspace;
use crate::workspace::agent::Agent;
use crate::workspace::knowledge::Knowledge;
use crate::workspace::models::Wanted;

/// What a step needs to know.
pub struct StepContext {
    /// The run.
    pub run: String,
    /// Its correlation id.
    pub correlation: String,
    /// Its event.
    pub event: String,
    /// Its plan.
    pub plan: Arc<Plan>,
    /// What the rules saw.
    pub input: Arc<Input>,
    /// The redacted diff.
    pub diff: Arc<str>,
    /// The same with line numbers, for models.
    pub numbered: NumberedDiff,
    /// The workspace as it was when the run began: a reload in between changes no policy.
    pub workspace: Arc<Workspace>,
    /// What its agents do with providers.
    pub phases: Arc<PhaseBoard>,
    /// The documents, loaded once a run.
    pub knowledge: Arc<Knowledge>,
    /// What is dismissed in the repository.
    pub dismissed: Arc<Dismissed>,
}

/// What an agent concludes from the rules alone: known at once, and kept whatever happens to the step.
pub fn by_rules(agent: &Agent, input: &Input) -> (Vec<Finding>, Verdict) {
    let findings: Vec<Finding> = input
        .findings
        .iter()
        .filter(|f| agent.decides_by(f.pack()))
        .cloned()
        .collect();
    let verdict = verdict::of_findings(&findings);
    (findings, verdict)
}

/// Carries out steps. One per engine.
pub struct StepRunner {
    /// Clock and mode.
    pub lifecycle: Arc<Lifecycle>,
    /// Settings and redactor.
    pub store: Arc<ConfigStore>,
    /// Who is asked.
    pub models: Arc<Models>,
    /// Which agents work.
    pub agents: Arc<AgentControl>,
    /// Past reviews for prompts.
    pub memory: Arc<MemorySearch>,
    /// Publishes partial answers.
    pub stream: Arc<StreamEvents>,
}

impl StepRunner {
    /// Carries out one step. It never fails: what goes wrong is in the step.
    pub async fn run(&self, context: &StepContext, agent_id: &str) -> Step {
        let began = self.lifecycle.now();
        let mut step = Step {
            started_at: Some(self.lifecycle.wall_ms()),
            ..Step::queued(agent_id)
        };
        match context.workspace.agent(agent_id).cloned() {
            None => {
                step.status = StepStatus::Failed;
                step.error =
                    Some("unknown_agent: the event names it, but there is no such agent".into());
            }
            Some(agent) => self.with_agent(context, &agent, &mut step).await,
        }
        step.duration_ms = Some(elapsed_ms(began, self.lifecycle.now()));
        tracing::info!(
            run = context.run,
            corr = context.correlation,
            agent = agent_id,
            status = step.status.as_str(),
            verdict = step.verdict.map_or("none", Verdict::as_str),
            ms = step.duration_ms,
            "step ended"
        );
        step
    }

    async fn with_agent(&self, context: &StepContext, agent: &Agent, step: &mut Step) {
        let (findings, rules) = by_rules(agent, &context.input);
        (step.findings, step.verdict) = (findings, Some(rules));
        if self.agents.is_stopped(&agent.id) {
            step.status = StepStatus::Failed;
            step.error = Some("an operator stopped it".into());
        } else if context.plan.offline || !context.plan.models_wanted {
            step.status = StepStatus::Succeeded;
        } else if context.input.missing.is_some() {
            let why = AskError::Broken("without the change there is nothing to ask".into());
            self.degrade(step, &why);
        } else if self.lifecycle.mode.offline {
            let why =
                AskError::Broken("models were switched off after the run was accepted".into());
            self.degrade(step, &why);
        } else {
            self.ask_model(context, agent, step, rules).await;
        }
    }

    async fn ask_model(
        &self,
        context: &StepContext,
        agent: &Agent,
        step: &mut Step,
        rules: Verdict,
    ) {
        let settings = self.store.settings();
        let redactor = self.store.redactor();
        let complexity = complexity(&context.input);
        let ask = self.ask(context, agent, complexity, &settings).await;
        let CompletionOutcome {
            result,
            trace,
            skips,
            used,
            ..
        } = self.models.service.ask(ask).await;
        step.phases = context.phases.close(&agent.id);
        self.models.report_refused_keys();
        step.attempts = trace.iter().filter(|a| a.sent).count() as u32;
        step.trace = trace;
        step.skipped = skips;
        step.tokens = used.tokens;
        step.cost_usd = used.micro_usd as f64 / 1e6;
        let (answer, source) = match result {
            Ok(answered) => answered,
            Err(error) => return self.degrade(step, &error),
        };
        match verdict::parse(answer.text.raw()) {
            Ok(model) => {
                step.status = StepStatus::Succeeded;
                let findings = redacted_findings(context, model.findings.clone(), &redactor);
                let (findings, suppressed, verdict) =
                    without_dismissed(&context.dismissed, findings, model.verdict);
                let model = ModelVerdict { verdict, ..model };
                step.verdict = Some(verdict::stricter(rules, Some(&model)));
                step.suppressed = suppressed;
                add_answer(step, findings, &answer, source, &redactor);
                // What the answer itself says counts for more than what was asked.
                let other = answer
                    .other_model
                    .as_ref()
                    .map(|name| Untrusted::new(redactor.text(name.raw())).line(80));
                let answered = other.unwrap_or_else(|| answer.model.clone());
                step.substitute_for = substitute(context, &settings, agent, complexity, &answered);
                step.model = Some(answered);
            }
            Err(error) => self.degrade(step, &AskError::Broken(error.to_string())),
        }
    }

    /// The question for a model.
    async fn ask(
        &self,
        context: &StepContext,
        agent: &Agent,
        complexity: &str,
        settings: &Settings,
    ) -> CompletionRequest {
        let mut documents = Cow::Borrowed(&context.knowledge.documents);
        if settings.memory.in_prompt {
            let past = self
                .memory
                .past_reviews(&context.run, &context.input, &context.diff)
                .await;
            documents.to_mut().extend(past);
        }
        let review = Review::new(
            agent,
            &context.event,
            &context.input,
            Arc::clone(&context.numbered.text),
            &documents,
            settings.engine.prompt_bytes,
            &self.store.redactor(),
        );
        let time = Duration::from_millis(context.plan.step_timeout_ms);
        let deadline = Deadline::after(self.lifecycle.now(), time);
        CompletionRequest {
            wanted: agent.model_name.clone(),
            task: agent.task().to_owned(),
            complexity: complexity.to_owned(),
            origin: Origin {
                run: context.run.clone(),
                agent: agent.id.clone(),
                correlation: context.correlation.clone(),
            },
            listener: Some(
                context
                    .phases
                    .listener(&agent.id, self.stream.listener(&context.run, &agent.id)),
            ),
            ..CompletionRequest::for_verdict(Arc::new(review), deadline)
        }
    }

    /// The rules' verdict stands, but a model was wanted: missing evidence, never an approval.
    fn degrade(&self, step: &mut Step, error: &AskError) {
        step.status = StepStatus::Degraded;
        step.error = Some(Untrusted::new(
            self.store.redactor().text(&error.to_string()),
        ));
    }
}

/// A model's findings without those that were dismissed, and its verdict. Where one is taken away, a wish for changes
/// that nothing else bears out becomes a person's to look at; a block stays one.
fn without_dismissed(
    dismissed: &Dismissed,
    mut findings: Vec<Finding>,
    verdict: Verdict,
) -> (Vec<Finding>, Vec<Suppressed>, Verdict) {
    let taken = dismissed.take(&mut findings);
    let borne_out = verdict::of_findings(&findings) >= verdict;
    let verdict = match verdict {
        Verdict::RequestChanges if !taken.is_empty() && !borne_out => Verdict::Comment,
        other => other,
    };
    (findings, taken, verdict)
}

/// What a model says about a secret that it was shown redacted is redacted all the same.
fn redacted_findings(
    context: &StepContext,
    findings: Vec<Finding>,
    redactor: &Redactor,
) -> Vec<Finding> {
    let redacted = |text: &Untrusted| Untrusted::new(redactor.text(text.raw()));
    let all = findings.into_iter().map(|f| {
        let file = f.file.as_ref().map(redacted);
        // A line that the model was not shown is no place; the remark stays.
        let shown = |line: &u32| {
            file.as_ref()
                .is_some_and(|file| context.numbered.shows(file.raw(), *line))
        };
        Finding {
            line: f.line.filter(shown),
            message: redacted(&f.message),
            file,
            ..f
        }
    });
    all.collect()
}

/// What a model's answer adds to a step.
fn add_answer(
    step: &mut Step,
    findings: Vec<Finding>,
    answer: &Answer,
    source: Source,
    redactor: &Redactor,
) {
    let redacted = |text: &Untrusted| Untrusted::new(redactor.text(text.raw()));
    step.findings.extend(findings);
    step.citations = answer
        .citations
        .iter()
        .map(|c| Citation {
            url: redacted(&c.url),
            title: c.title.as_ref().map(redacted),
        })
        .collect();
    step.left_out.clone_from(&answer.left_out);
    let (name, stale) = source_name(source);
    (step.source, step.stale) = (Some(name.to_owned()), stale);
}

/// The model that was wanted, where the one that answered does not count as it.
fn substitute(
    context: &StepContext,
    settings: &Settings,
    agent: &Agent,
    complexity: &str,
    answered: &str,
) -> Option<String> {
    let table = &context.workspace.models;
    let wanted = Wanted {
        model: agent
            .model_name
            .as_deref()
            .or(settings.default_model.as_deref()),
        task: agent.task(),
        complexity,
        search: false,
        fall_back: false,
        draw: 0,
    };
    let searched = settings.search.model.as_deref() == Some(answered);
    if searched || table.counts_as_wanted(wanted, answered) {
        return None;
    }
    table.candidates(wanted).into_iter().next()
}

/// How much is at stake, for the choice of a model.
fn complexity(input: &Input) -> &'static str {
    let worst = input.findings.iter().map(|f| f.severity).max();
    let lines = input.size.added.saturating_add(input.size.removed);
    match worst {
        Some(Severity::Critical) => "critical",
        Some(Severity::High) => "high",
        _ if lines > 500 => "high",
        Some(Severity::Medium) => "medium",
        _ if lines > 100 => "medium",
        _ => "low",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::DismissalRow;

    #[test]
    fn verdict_without_its_dismissed_finding_is_a_persons_and_a_block_stays() {
        let finding = |identity: &str, severity| Finding {
            identity: Some(identity.to_owned()),
            source: crate::review::finding::Source::Model,
            ..Finding::whole("model/comment", severity, "m")
        };
        let row = DismissalRow {
            id: "dis_1".into(),
            repository: "acme/shop".into(),
            fingerprint: "gone".into(),
            rule: "model/comment".into(),
            file: String::new(),
            place: String::new(),
            by: "ana".into(),
            reason: "r".into(),
            pull: "acme/shop#7".into(),
            created_ms: 1,
            expires_ms: None,
            revoked_by: None,
            revoked_ms: None,
        };
        let dismissed = Dismissed::new(vec![row], &[], 2);
        let gone = || finding("gone", Severity::High);
        let other = || finding("other", Severity::High);
        for (findings, verdict, wanted) in [
            (vec![gone()], Verdict::RequestChanges, Verdict::Comment),
            (
                vec![gone(), other()],
                Verdict::RequestChanges,
                Verdict::RequestChanges,
            ),
            (
                vec![other()],
                Verdict::RequestChanges,
                Verdict::RequestChanges,
            ),
            (vec![gone()], Verdict::Block, Verdict::Block),
            (vec![gone()], Verdict::Approve, Verdict::Approve),
        ] {
            let count = findings
                .iter()
                .filter(|f| f.identity.as_deref() == Some("gone"))
                .count();
            let (left, taken, got) = without_dismissed(&dismissed, findings, verdict);
            assert_eq!((got, taken.len()), (wanted, count), "{left:?}");
        }
    }
}
