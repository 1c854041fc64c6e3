//! A forwarded request on its way: through the resilience stack, deployment after deployment, in a task of
//! its own that ends when nobody reads the answer any more.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bsm_wire::Wire;
use bsm_wire::error;
use bsm_wire::translate::{self, AnswerContext, StreamTranslator};
use bytes::Bytes;
use url::Url;

use super::attempt::{Output, Raw, attempt};
use super::book::Used;
use super::failure::ForwardError;
use super::reply::{CallGuard, ForwardBody, ForwardReply, Served, Sink};
use super::targets::{Deployed, NoTarget, targets};
use super::{ForwardRequest, LONGEST_WAIT};
use crate::model::error::ModelError;
use crate::model::meters::{CallMeters, CallProgress};
use crate::model::request::{Observed, Origin};
use crate::model::service::ModelService;
use crate::model::spend::{self, BudgetHold, Spend};
use crate::model::tokens::Tokens;
use crate::outbound::egress;
use crate::resilience::bulkhead::Lane;
use crate::resilience::clock::{Clock, lock};
use crate::resilience::deadline::Deadline;
use crate::resilience::policy::{Attempt, AttemptHook, Call, Policy, Target, Waits, upstream_time};
use crate::resilience::retry::RetrySettings;
use crate::resilience::{Reason, Rejection};
use crate::settings::Budgets;
use crate::text::clean_line;
use crate::workspace::models::TokenParameter;

/// As whose the calls are shown and summed.
pub(super) const AGENT: &str = "gateway";

/// What a call works with.
pub(super) struct ForwardContext {
    pub(super) request: ForwardRequest,
    pub(super) sink: Sink,
    pub(super) raw: Raw,
    pub(super) policy: Arc<Policy>,
    pub(super) meters: Arc<CallMeters>,
    pub(super) spend: Arc<Spend>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) budgets: Budgets,
    pub(super) loopback_only: Arc<AtomicBool>,
    began: Instant,
    attempts: AtomicU32,
    /// Microseconds inside providers, of attempts that are over.
    upstream_us: AtomicU64,
    sent_at: Mutex<Option<Instant>>,
    /// Of the attempt under way.
    translation: Mutex<Translation>,
}

/// How a request was put into its provider's wire.
#[derive(Default)]
struct Translation {
    lost: Vec<String>,
    answer: AnswerContext,
}

impl ForwardContext {
    /// Nothing may leave this machine, and this address is elsewhere.
    pub(super) fn leaves_machine(&self, url: &Url) -> bool {
        self.loopback_only.load(Relaxed) && !egress::is_loopback(url)
    }

    /// Who answers, and what it took until now.
    pub(super) fn served(&self, target: &Deployed) -> Served {
        let now = self.clock.now();
        let waiting = lock(&self.sent_at).map_or(Duration::ZERO, |at| now - at);
        let upstream = Duration::from_micros(self.upstream_us.load(Relaxed)) + waiting;
        Served {
            model: target.name.clone(),
            provider: target.endpoint.name.clone(),
            attempts: self.attempts.load(Relaxed),
            added: (now - self.began).saturating_sub(upstream),
            lost: lock(&self.translation).lost.clone(),
            cached: false,
        }
    }

    /// The first content of this model is there.
    pub(super) async fn begin(
        &self,
        target: &Deployed,
        headers: HeaderMap,
        sent: tokio::time::Instant,
    ) {
        let now = self.clock.now();
        self.meters.first_token.record(sent.elapsed(), now);
        let deployment = target.endpoint.deployments.get(&target.upstream_name);
        deployment.breaker().answer_begun(now);
        target.endpoint.breaker.answer_begun(now);
        self.sink.open(headers, self.served(target));
        self.sink.begin_content(&target.name).await;
    }

    /// The head goes out although another model may answer still.
    pub(super) fn open_early(&self, headers: HeaderMap) {
        self.sink.open(headers, Served::default());
    }

    /// The request in the provider's wire.
    pub(super) fn translate_request(&self, target: &Deployed) -> Result<Bytes, ModelError> {
        const SHORTEST: u32 = 4_096;
        let model = &target.model;
        let to = translate::Target {
            model: target.upstream_name.clone(),
            default_max_tokens: u64::from(model.max_output_tokens.max(SHORTEST)),
            newer_limit: model.parameter == TokenParameter::MaxCompletionTokens,
        };
        let request = &self.request;
        let made = translate::request(request.wire, target.wire, &request.body, &to)
            .map_err(|error| untranslatable(target, &error))?;
        *lock(&self.translation) = Translation {
            lost: made.lost,
            answer: AnswerContext {
                id: request.correlation.clone(),
                created: self.clock.wall_ms() / 1_000,
                ..made.answer
            },
        };
        Ok(made.body.into())
    }

    /// The stream on its way to the client.
    pub(super) fn output(&self, target: &Deployed) -> Result<Output, ModelError> {
        let request = &self.request;
        if target.wire != request.wire {
            let context = lock(&self.translation).answer.clone();
            let translator = StreamTranslator::new(target.wire, request.wire, context);
            let translator = translator.map_err(|error| untranslatable(target, &error))?;
            return Ok(Output::Translated(Box::new(translator)));
        }
        let drops_usage = request.needs_usage && request.envelope.hides_usage(request.wire);
        Ok(Output::untouched(drops_usage))
    }

    /// A whole answer in the client's wire.
    pub(super) fn translate_whole(
        &self,
        target: &Deployed,
        body: Bytes,
    ) -> Result<Bytes, ModelError> {
        if target.wire == self.request.wire {
            return Ok(body);
        }
        let context = lock(&self.translation).answer.clone();
        translate::answer(target.wire, self.request.wire, &body, &context)
            .map(Bytes::from)
            .map_err(|error| untranslatable(target, &error))
    }
}

fn untranslatable(target: &Deployed, error: &translate::TranslateError) -> ModelError {
    ModelError::Untranslatable {
        provider: target.endpoint.name.clone(),
        message: clean_line(&error.to_string(), 200),
    }
}

/// What every attempt is asked before, and what it tells afterwards.
struct ForwardHook<'a> {
    context: &'a ForwardContext,
    targets: &'a [Target<Deployed>],
    used: &'a Mutex<Used>,
    hold: Option<BudgetHold>,
    over: Option<String>,
    progress: CallProgress,
    origin: Origin,
    at_ms: i64,
}

impl AttemptHook<Deployed> for ForwardHook<'_> {
    fn before(&mut self, target: &Deployed) -> Result<(), Rejection> {
        let refused = |reason| Err(Rejection::new(&target.endpoint.name, reason, None));
        let context = self.context;
        if context.leaves_machine(&target.endpoint.base_url) {
            return refused(Reason::NotAllowed);
        }
        if context.sink.has_content() {
            return refused(Reason::AnswerBegun);
        }
        let keys = &target.endpoint.keys;
        if !keys.none()
            && keys
                .pick(&target.upstream_name, context.clock.now())
                .is_none()
        {
            return refused(Reason::NoCredentials);
        }
        let request = &context.request;
        let most = Tokens {
            prompt: (request.body.len() / 3) as u64,
            completion: request
                .envelope
                .max_output_tokens
                .unwrap_or(u64::from(target.model.max_output_tokens)),
        };
        let cost = spend::cost(&target.model.prices, most);
        let wall_ms = context.clock.wall_ms();
        match context.spend.reserve("", cost, &context.budgets, wall_ms) {
            Ok(hold) => {
                self.hold = Some(hold);
                Ok(())
            }
            Err(over) => {
                self.over = Some(over.to_string());
                refused(Reason::OverBudget)
            }
        }
    }

    fn stage(&mut self, _: &Deployed, _: u32, stage: crate::resilience::policy::Stage) {
        if stage == crate::resilience::policy::Stage::Sent {
            self.context.attempts.fetch_add(1, Relaxed);
            *lock(&self.context.sent_at) = Some(self.context.clock.now());
        }
    }

    fn after(&mut self, attempt: &Attempt) {
        self.hold = None;
        let context = self.context;
        *lock(&context.sent_at) = None;
        *lock(&context.translation) = Translation::default();
        context.upstream_us.fetch_add(attempt.upstream_us, Relaxed);
        let used = std::mem::take(&mut lock(self.used).this);
        let (meters, now) = (&context.meters, context.clock.now());
        if attempt.sent {
            meters.sent.tick(now);
            meters
                .call
                .record(Duration::from_micros(attempt.upstream_us), now);
            if attempt.outcome != "ok" {
                meters.failed.fetch_add(1, Relaxed);
            }
        }
        self.progress.record(meters, attempt, used, now);
        if let Some(observer) = meters.observer.get() {
            let before = attempt.started_ms + (attempt.limiter_us + attempt.pool_us) / 1_000;
            let target = self.targets.get(attempt.target);
            observer(&Observed {
                origin: &self.origin,
                at_ms: self.at_ms + i64::try_from(before).unwrap_or(0),
                model: target.map_or("", |t| &t.what.name),
                attempt,
                used,
            });
        }
    }
}

impl ModelService {
    /// Passes another program's request on. Dropping the future, or the pieces of the reply, ends the call.
    ///
    /// # Errors
    /// [`ForwardError`]: the provider's own error, or what kept the request here.
    pub async fn forward(&self, request: ForwardRequest) -> Result<ForwardReply, ForwardError> {
        let began = self.clock().now();
        let settings = self.settings();
        let targets = {
            let table = self.table();
            targets(&table.models, &table.providers, &settings, &request, began)
        };
        let targets = match targets {
            Ok(targets) => targets,
            Err(NoTarget::Skipped(_)) if request.wire == Wire::CountTokens => {
                return Ok(estimated(&request));
            }
            Err(why) => {
                self.meters().record_no_candidate(began);
                return Err(ForwardError::no_target(&why));
            }
        };
        let (sink, arrives) = Sink::new();
        let context = ForwardContext {
            sink,
            raw: Raw::default(),
            policy: self.shared_policy(),
            meters: self.shared_meters(),
            spend: Arc::clone(self.spend()),
            clock: Arc::clone(self.clock()),
            budgets: settings.budgets,
            loopback_only: self.shared_loopback_only(),
            began,
            attempts: AtomicU32::new(0),
            upstream_us: AtomicU64::new(0),
            sent_at: Mutex::default(),
            translation: Mutex::default(),
            request,
        };
        let call = Call {
            deadline: Deadline::after(began, context.request.total.unwrap_or(Duration::MAX)),
            lane: Lane::Interactive,
            retry: retries(settings.retry, context.request.retries_of_client),
            layers: settings.flags.layers(),
            stale_at_hand: false,
            waits: Waits::AtMost(LONGEST_WAIT),
        };
        let (fails, failed) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            if let Err(error) = run(&context, call, &targets).await {
                // Where the head is out, the stream has said it.
                let _ = fails.send(error);
            }
        });
        let guard = CallGuard(task.abort_handle());
        if let Ok(mut reply) = arrives.await {
            if let ForwardBody::Stream(pieces) = &mut reply.body {
                pieces.own(guard);
            }
            return Ok(reply);
        }
        Err(failed.await.unwrap_or_else(|_| {
            let kind = bsm_wire::error::ErrorKind::Unavailable;
            ForwardError::new(kind, "stopping", "the engine stops")
        }))
    }
}

/// The tokens of a request where no provider counts them: four bytes a token, and said to be that.
fn estimated(request: &ForwardRequest) -> ForwardReply {
    let tokens = request.body.len().div_ceil(4);
    let mut headers = HeaderMap::new();
    let json = HeaderValue::from_static("application/json");
    headers.insert(HeaderName::from_static("content-type"), json);
    let yes = HeaderValue::from_static("true");
    headers.insert(HeaderName::from_static("x-bsm-estimated"), yes);
    ForwardReply {
        status: 200,
        headers,
        served: Served::default(),
        body: ForwardBody::Whole(format!("{{\"input_tokens\":{tokens}}}").into()),
    }
}

/// The client's retries are its own: where it asks again, it is not asked again here as well.
fn retries(settings: RetrySettings, of_client: u32) -> RetrySettings {
    let longest = u64::try_from(LONGEST_WAIT.as_millis()).unwrap_or(u64::MAX);
    RetrySettings {
        attempts: if of_client > 0 { 1 } else { settings.attempts },
        cap_ms: settings.cap_ms.min(longest),
        ..settings
    }
}

async fn run(
    context: &ForwardContext,
    call: Call,
    targets: &[Target<Deployed>],
) -> Result<(), ForwardError> {
    let used = Mutex::new(Used::default());
    let mut hook = ForwardHook {
        context,
        targets,
        used: &used,
        hold: None,
        over: None,
        progress: CallProgress::default(),
        origin: Origin {
            run: String::new(),
            agent: AGENT.to_owned(),
            correlation: context.request.correlation.clone(),
        },
        at_ms: context.clock.wall_ms(),
    };
    let send = |target: &Deployed| {
        let target = target.clone();
        let used = &used;
        async move { attempt(context, &target, used).await }
    };
    let outcome = context
        .policy
        .run_watched(call, targets, send, &mut hook)
        .await;
    let now = context.clock.now();
    let added = (now - context.began).saturating_sub(upstream_time(&outcome.trace));
    context.meters.added.record(added, now);
    let failure = match outcome.result {
        Ok(_) => return Ok(()),
        Err(failure) => failure,
    };
    let attempts = context.attempts.load(Relaxed);
    let raw = lock(&context.raw).take();
    let error = ForwardError::of(failure, &context.request, raw, hook.over.take(), attempts);
    if context.sink.is_open() && !context.sink.has_error() {
        let event = error::event(
            context.request.wire,
            error.kind,
            &error.code,
            &error.message,
            0,
        );
        context.sink.send(Bytes::from(event)).await;
    }
    Err(error)
}
