//! One load of an answer: the whole chain of candidates, what is kept of it, and what each attempt tells.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use url::Url;

use super::RequestOptions;
use super::error::{CONTEXT_LENGTH, ModelError};
use super::router::Choice;
use super::spend::{self, BudgetHold, Line, Spend};
use crate::cache::{CacheSettings, Loading, Spec};
use crate::model::answer::Answer;
use crate::model::meters::{CallMeters, CallProgress};
use crate::model::phase::{PhaseChange, PhaseKind};
use crate::model::provider_call;
use crate::model::provider_request::{Format, Request};
use crate::model::request::{AskError, CompletionRequest, Observed, Purpose, Usage};
use crate::model::stream_fanout::ReplayBuffer;
use crate::model::tokens::Tokens;
use crate::resilience::bulkhead::Lane;
use crate::resilience::clock::{Clock, lock};
use crate::resilience::deadline::Deadline;
use crate::resilience::policy::{Attempt, AttemptHook, Call, Failure, Policy, Stage, Target};
use crate::resilience::{Reason, Rejection};
use crate::settings::{Budgets, SearchSettings};
use crate::state::hex;

/// An answer as the cache keeps it.
pub(super) struct CachedAnswer {
    pub(super) answer: Arc<Answer>,
    pub(super) fell_back: bool,
    pub(super) searched: bool,
}

/// Shown as the error's class alone: a provider's own words may quote a key.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.error.class())]
pub(super) struct LoadFailure {
    pub(super) error: AskError,
    /// Index of the target that said so; 0: the model that was asked for.
    pub(super) target: usize,
    /// It says little about another caller's chances: it ran in the background or out of its own time.
    pub(super) partial: bool,
}

/// The longest load of an answer, all attempts and fallbacks together.
const LONGEST: Duration = Duration::from_secs(600);
/// The web moves on: an answer that was looked up is fresh for this share of the others' time.
const SEARCHED: f32 = 0.2;

/// The response cache. A cancelled run must not go on paying for an answer that nobody reads; an answer
/// of another model is not the answer of the one that was asked; and what a model refuses for good it
/// refuses again.
pub(super) fn responses(settings: CacheSettings) -> Spec<CachedAnswer, LoadFailure> {
    Spec {
        name: "responses",
        settings,
        load_timeout: LONGEST,
        weigh: |held| held.answer.weight() + 256,
        abandons: true,
        keeps: |held| !held.fell_back && !held.answer.says_nothing(),
        life: |held| if held.searched { SEARCHED } else { 1.0 },
        is_negative: |failed| {
            failed.target == 0 && matches!(&failed.error, AskError::Model(e) if e.is_final())
        },
    }
}

/// The call as a load makes it: in the background it is less urgent and has its own time, and with an old
/// answer at hand it asks one model only.
pub(super) fn on_behalf(call: Call, loading: Loading, now: Instant) -> Call {
    let (lane, deadline) = if loading.background {
        (Lane::Refresh, Deadline::after(now, REFRESH))
    } else {
        (call.lane, call.deadline)
    };
    Call {
        lane,
        deadline,
        stale_at_hand: loading.stale_at_hand,
        ..call
    }
}

/// A refresh's own time: nobody waits for it, but it must not hold a place for ever.
pub(super) const REFRESH: Duration = Duration::from_secs(120);
/// What a caller waits beyond its deadline for its own flight to land.
pub(super) const GRACE: Duration = Duration::from_millis(50);
/// A follower whose leader ran out of its own time asks again, this often at most.
pub(super) const ASKED_AGAIN: u32 = 2;

/// What a load works with.
pub(super) struct LoadContext {
    pub(super) policy: Arc<Policy>,
    pub(super) meters: Arc<CallMeters>,
    pub(super) spend: Arc<Spend>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) replay: Arc<ReplayBuffer>,
    pub(super) budgets: Budgets,
    pub(super) search: SearchSettings,
    /// Nothing may leave this machine, as it is at this moment.
    pub(super) loopback_only: Arc<AtomicBool>,
}

/// What every attempt is asked before, and what it tells afterwards.
struct ModelHook<'a> {
    tools: &'a LoadContext,
    ask: &'a CompletionRequest,
    targets: &'a [Target<Choice>],
    at_ms: i64,
    /// Set aside for the attempt under way.
    hold: Option<BudgetHold>,
    /// A model of this size was too small.
    too_small: u32,
    /// Why money was not set aside, in words.
    over: &'a Mutex<Option<String>>,
    /// What the attempt under way has used; all of them together.
    used: &'a Mutex<(Usage, Usage)>,
    /// The attempts so far.
    progress: CallProgress,
    /// At most so many attempts at one model.
    attempts: u32,
    /// The provider and what it said, of the last attempt that failed.
    failed: Option<Arc<str>>,
}

impl AttemptHook<Choice> for ModelHook<'_> {
    fn before(&mut self, choice: &Choice) -> Result<(), Rejection> {
        let refused = |reason| Err(Rejection::new(&choice.endpoint.name, reason, None));
        if let Err(reason) = self.tools.may_leave(&choice.endpoint.base_url) {
            return refused(reason);
        }
        if self.tools.replay.is_read() {
            return refused(Reason::AnswerBegun);
        }
        if choice.model.context_tokens <= self.too_small {
            return refused(Reason::TooLarge);
        }
        let keys = &choice.endpoint.keys;
        if !keys.none() && keys.pick(&choice.name, self.tools.clock.now()).is_none() {
            return refused(Reason::NoCredentials);
        }
        let most = Tokens {
            prompt: u64::from(choice.prompt_tokens),
            completion: u64::from(choice.max_output_tokens),
        };
        let (spend, wall_ms) = (&self.tools.spend, self.tools.clock.wall_ms());
        let cost = spend::cost(&choice.model.prices, most);
        match spend.reserve(&self.ask.origin.run, cost, &self.tools.budgets, wall_ms) {
            Ok(hold) => {
                self.hold = Some(hold);
                Ok(())
            }
            Err(over) => {
                tracing::warn!(model = choice.name, run = self.ask.origin.run, "{over}");
                *lock(self.over) = Some(over.to_string());
                refused(Reason::OverBudget)
            }
        }
    }

    fn stage(&mut self, choice: &Choice, attempt: u32, stage: Stage) {
        self.tools.replay.enter(PhaseChange {
            kind: match stage {
                Stage::RateLimit => PhaseKind::RateLimited,
                Stage::Pool => PhaseKind::Queued,
                Stage::Sent => PhaseKind::Waiting,
                Stage::Backoff(_) => PhaseKind::Retrying,
            },
            provider: choice.endpoint.name.as_str().into(),
            model: choice.name.as_str().into(),
            attempt,
            of: self.attempts,
            reason: self.failed.clone(),
        });
    }

    fn after(&mut self, attempt: &Attempt) {
        self.hold = None;
        if attempt.outcome != "ok" {
            self.failed = Some(format!("{} {}", attempt.upstream, attempt.outcome).into());
        }
        let target = self.targets.get(attempt.target).map(|t| &t.what);
        if attempt.outcome == CONTEXT_LENGTH
            && let Some(choice) = target
        {
            self.too_small = choice.model.context_tokens;
        }
        let used = {
            let mut used = lock(self.used);
            let this = std::mem::take(&mut used.0);
            used.1.tokens.prompt += this.tokens.prompt;
            used.1.tokens.completion += this.tokens.completion;
            used.1.micro_usd += this.micro_usd;
            this
        };
        let (meters, now) = (&self.tools.meters, self.tools.clock.now());
        if attempt.sent {
            meters.sent.tick(now);
            let upstream = Duration::from_micros(attempt.upstream_us);
            meters.call.record(upstream, now);
            if attempt.outcome != "ok" {
                meters.failed.fetch_add(1, Relaxed);
            }
        }
        self.progress.record(meters, attempt, used, now);
        if let Some(observer) = meters.observer.get() {
            let before = attempt.started_ms + (attempt.limiter_us + attempt.pool_us) / 1_000;
            observer(&Observed {
                origin: &self.ask.origin,
                at_ms: self.at_ms + i64::try_from(before).unwrap_or(0),
                model: target.map_or("", |t| &t.name),
                attempt,
                used,
            });
        }
    }
}

/// How a load ended, and what it took.
pub(super) struct Loaded {
    pub(super) result: Result<CachedAnswer, LoadFailure>,
    pub(super) trace: Vec<Attempt>,
    pub(super) used: Usage,
}

/// One load: the whole chain of candidates. The trace is told whatever comes of it.
pub(super) async fn load(
    tools: &LoadContext,
    call: Call,
    targets: &[Target<Choice>],
    ask: &CompletionRequest,
) -> Loaded {
    let used = Mutex::new((Usage::default(), Usage::default()));
    let over = Mutex::new(None);
    let mut watcher = ModelHook {
        over: &over,
        tools,
        ask,
        targets,
        at_ms: tools.clock.wall_ms(),
        hold: None,
        too_small: 0,
        used: &used,
        progress: CallProgress::default(),
        attempts: if call.layers.retry {
            call.retry.attempts.max(1)
        } else {
            1
        },
        failed: None,
    };
    let send = |choice: &Choice| attempt(tools, ask, choice.clone(), &used);
    let outcome = tools
        .policy
        .run_watched(call, targets, send, &mut watcher)
        .await;
    drop(watcher);
    let trace = outcome.trace;
    let not_held = |error: AskError, target: usize| LoadFailure {
        partial: call.stale_at_hand
            // Out of its own time it did not ask everybody.
            || call.deadline.has_passed(tools.clock.now())
            || matches!(&error, AskError::Rejected(r) if r.reason == Reason::DeadlineExceeded),
        error,
        target,
    };
    let last = trace.iter().rev().find(|a| a.sent).map_or(0, |a| a.target);
    let result = match outcome.result {
        Ok(((answer, checked), index)) => match checked {
            None => Ok(CachedAnswer {
                searched: targets[index].what.endpoint.wire.searches(),
                answer: Arc::new(answer),
                fell_back: index > 0,
            }),
            Some(reason) => Err(not_held(
                AskError::Model(ModelError::NoVerdict(reason)),
                index,
            )),
        },
        Err(Failure::Upstream(error)) => Err(not_held(AskError::Model(error), last)),
        Err(Failure::Rejected(rejection)) => {
            let error = match lock(&over).take() {
                Some(text) if rejection.reason == Reason::OverBudget => AskError::OverBudget(text),
                _ => AskError::Rejected(rejection),
            };
            Err(not_held(error, last))
        }
        Err(Failure::NoTarget) => Err(not_held(AskError::NoCandidate(Vec::new()), 0)),
    };
    let used = lock(&used).1;
    Loaded {
        result,
        trace,
        used,
    }
}

/// One attempt: the question as this model is asked it, and the answer checked.
async fn attempt(
    tools: &LoadContext,
    ask: &CompletionRequest,
    choice: Choice,
    used: &Mutex<(Usage, Usage)>,
) -> Result<((Answer, Option<String>), u32), ModelError> {
    let endpoint = &choice.endpoint;
    let request = Request {
        model: choice.name.clone(),
        upstream_name: choice
            .model
            .upstream_name
            .clone()
            .unwrap_or_else(|| choice.name.clone()),
        prompt: Arc::clone(&choice.prompt),
        max_output_tokens: choice.max_output_tokens,
        temperature: ask.temperature,
        parameter: choice.model.parameter,
        format: ask.format.clone(),
        structured: choice.structured,
        // Another program's question goes out as it came: in pieces only where somebody reads them.
        stream: endpoint.stream && (!ask.extras.passed_on || ask.listener.is_some()),
        recency: tools.search.recency(),
        extras: Arc::clone(&ask.extras),
    };
    if tools.may_leave(&endpoint.base_url).is_err() {
        // Switched while this question waited for its place.
        return Err(ModelError::Forbidden(endpoint.name.clone()));
    }
    tools.replay.begin();
    let mut usage_guard = UsageGuard {
        tools,
        ask,
        choice: &choice,
        used,
        tokens: None,
    };
    let reply = provider_call::ask(endpoint, &request, &|text| tools.replay.say(text)).await;
    let tokens = reply.tokens;
    usage_guard.tokens = Some(tokens);
    drop(usage_guard);
    let micro_usd = spend::cost(&choice.model.prices, tokens);
    let mut answer = match reply.result {
        Ok(answer) => answer,
        Err(error) if tools.replay.is_read() => return Err(ModelError::Interrupted(error.into())),
        Err(error) if choice.refusals_fall_back && error.is_refusal() => {
            return Err(ModelError::HandedOn(error.into()));
        }
        Err(error) => return Err(error),
    };
    let first = Duration::from_millis(answer.first_token_ms);
    tools.meters.first_token.record(first, tools.clock.now());
    answer.cost_usd = micro_usd as f64 / 1e6;
    answer.left_out.clone_from(&choice.prompt.left_out);
    if !tools.search.citations {
        answer.citations.clear();
    }
    // An answer that is no verdict says nothing against its provider's health.
    let checked = (ask.validate)(&answer).err();
    Ok((
        (answer, checked),
        u32::try_from(tokens.sum()).unwrap_or(u32::MAX),
    ))
}

/// What an attempt is charged, also when it is cut off by its clock or by a caller who leaves: then the
/// prompt, and what had been heard.
struct UsageGuard<'a> {
    tools: &'a LoadContext,
    ask: &'a CompletionRequest,
    choice: &'a Choice,
    used: &'a Mutex<(Usage, Usage)>,
    tokens: Option<Tokens>,
}

impl Drop for UsageGuard<'_> {
    fn drop(&mut self) {
        let (tools, choice) = (self.tools, self.choice);
        let tokens = self.tokens.unwrap_or_else(|| Tokens {
            prompt: u64::from(choice.prompt_tokens),
            completion: u64::from(tools.replay.tokens()),
        });
        let micro_usd = spend::cost(&choice.model.prices, tokens);
        lock(self.used).0 = Usage { tokens, micro_usd };
        tools.meters.tokens.fetch_add(tokens.sum(), Relaxed);
        tools.meters.cost_micro_usd.fetch_add(micro_usd, Relaxed);
        let line = Line {
            provider: choice.endpoint.name.clone(),
            model: choice.name.clone(),
            agent: self.ask.origin.agent.clone(),
            prompt: tokens.prompt,
            completion: tokens.completion,
            micro_usd,
            ..Line::default()
        };
        let wall_ms = tools.clock.wall_ms();
        tools.spend.settle(&self.ask.origin.run, line, wall_ms);
    }
}

impl LoadContext {
    /// What the settings say of this address at this moment, whatever they said when it was chosen.
    fn may_leave(&self, url: &Url) -> Result<(), Reason> {
        if self.loopback_only.load(Relaxed) && !crate::outbound::egress::is_loopback(url) {
            return Err(Reason::NotAllowed);
        }
        Ok(())
    }
}

/// Tenant, purpose, address, model, parameters, form and prompt.
pub(super) fn cache_key(
    ask: &CompletionRequest,
    target: &Target<Choice>,
    search: &SearchSettings,
) -> String {
    let choice = &target.what;
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(ask.tenant.as_bytes());
    part(match ask.purpose {
        Purpose::Verdict => b"verdict",
        Purpose::Chat => b"chat",
    });
    part(choice.endpoint.base_url.as_str().as_bytes());
    part(choice.name.as_bytes());
    part(&choice.max_output_tokens.to_le_bytes());
    part(&ask.temperature.map_or([0xff; 8], f64::to_le_bytes));
    match &ask.format {
        Format::Text => part(b"text"),
        Format::Object => part(b"object"),
        Format::Json {
            name,
            description,
            schema,
            strict,
        } => {
            part(&[u8::from(*strict)]);
            part(name.as_bytes());
            part(description.as_deref().unwrap_or_default().as_bytes());
            part(format!("{:?}", choice.structured).as_bytes());
            part(schema.to_string().as_bytes());
        }
    }
    if choice.endpoint.wire.searches() {
        part(search.recency().unwrap_or_default().as_bytes());
    }
    part(choice.prompt.system.as_bytes());
    for message in &choice.prompt.messages {
        part(message.role.as_str().as_bytes());
        part(message.text.as_bytes());
        part(message.answers.as_bytes());
        part(message.name.as_bytes());
        part(&(message.calls.len() as u64).to_le_bytes());
        for call in &message.calls {
            for text in [&call.id, &call.name, &call.arguments] {
                part(text.as_bytes());
            }
        }
    }
    if *ask.extras != RequestOptions::default() {
        part(format!("{:?}", ask.extras).as_bytes());
    }
    hex(&hash.finalize())
}
