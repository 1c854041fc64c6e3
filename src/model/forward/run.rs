//! A forwarded request on its way: through the resilience stack, deployment after deployment, in a task of
//! its own that ends when nobody reads the answer any more.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bsm_wire::Wire;
use bsm_wire::error;
use bytes::Bytes;

use super::attempt::attempt;
use super::book::Used;
use super::context::{AGENT, ForwardContext, Raw, Translation};
use super::failure::ForwardError;
use super::reply::{CallGuard, ForwardBody, ForwardReply, Served, Sink};
use super::targets::{Deployed, NoTarget, targets};
use super::{ForwardRequest, LONGEST_WAIT};
use crate::model::meters::CallProgress;
use crate::model::request::{Observed, Origin};
use crate::model::service::ModelService;
use crate::model::spend::{self, BudgetHold};
use crate::model::tokens::Tokens;
use crate::resilience::bulkhead::Lane;
use crate::resilience::clock::lock;
use crate::resilience::deadline::Deadline;
use crate::resilience::policy::{Attempt, AttemptHook, Call, Target, Waits, upstream_time};
use crate::resilience::retry::RetrySettings;
use crate::resilience::{Reason, Rejection};

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
    let Err(failure) = outcome.result else {
        return Ok(());
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
