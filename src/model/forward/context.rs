//! What all attempts of a forwarded call share: the request, the pipe to the client, meters and money.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use bsm_wire::translate::{self, AnswerContext, StreamTranslator};
use bytes::Bytes;
use url::Url;

use super::ForwardRequest;
use super::failure::RawError;
use super::output::Output;
use super::reply::{Served, Sink};
use super::targets::Deployed;
use crate::model::error::ModelError;
use crate::model::meters::CallMeters;
use crate::model::spend::Spend;
use crate::outbound::egress;
use crate::resilience::clock::{Clock, lock};
use crate::resilience::policy::Policy;
use crate::settings::Budgets;
use crate::text::clean_line;
use crate::workspace::models::TokenParameter;

/// The newest error answer of a provider.
pub(super) type Raw = Arc<Mutex<Option<RawError>>>;

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
    pub(super) began: Instant,
    pub(super) attempts: AtomicU32,
    /// Microseconds inside providers, of attempts that are over.
    pub(super) upstream_us: AtomicU64,
    pub(super) sent_at: Mutex<Option<Instant>>,
    /// Of the attempt under way.
    pub(super) translation: Mutex<Translation>,
}

/// How a request was put into its provider's wire.
#[derive(Default)]
pub(super) struct Translation {
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
