//! One question put to one provider and its answer read, under the clocks of an attempt.
//!
//! Why pieces even where nobody listens: a stream shows after seconds that a provider has stopped,
//! where a whole answer would only be late. What a model does not take (a field, a form) is learnt
//! from its first refusal and asked differently at once: that is the same attempt, once for each model.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::error::ModelError;
use super::http;
use super::identity::is_same_model;
use super::keys::KeyRefused;
use super::outcome::{judge, used};
use super::provider::Endpoint;
use super::wire::{AnswerBuilder, Fault, FinishReason, ProviderQuirks, sse};
use crate::model::answer::Answer;
use crate::model::provider_request::Request;
use crate::model::retry_hints::{RetryHints, reset, wish};
use crate::model::tokens::Tokens;
use crate::resilience::clock::lock;
use crate::resilience::deadline::Deadline;
use crate::resilience::pauses::Pauses;
use crate::resilience::policy::Classify as _;
use crate::resilience::stream_timeouts::{StreamTimeouts, TimedStream, TimeoutKind};
use crate::text::{Untrusted, clean_line};

/// Fields that a model may refuse, one after another.
const MOST_LESSONS: usize = 6;

/// How a question went.
pub(super) struct ProviderReply {
    /// The answer.
    pub(super) result: Result<Answer, ModelError>,
    /// What it used, whatever came of it.
    pub(super) tokens: Tokens,
}

impl ProviderReply {
    fn failed(error: ModelError) -> Self {
        Self {
            result: Err(error),
            tokens: Tokens::default(),
        }
    }
}

/// Asks once. The caller has taken every permit and set the time limit; `on_chunk` gets the text as it comes.
pub(super) async fn ask(
    endpoint: &Endpoint,
    request: &Request,
    on_chunk: &(dyn Fn(&str) + Send + Sync),
) -> ProviderReply {
    let now = endpoint.clock.now();
    let key = endpoint.keys.pick(&request.model, now);
    if key.is_none() && !endpoint.keys.none() {
        // Others found the last one refused while this question was on its way here.
        let body = r#"{"error":{"message":"every key was refused"}}"#;
        return ProviderReply::failed(ModelError::from_answer(
            &endpoint.name,
            401,
            body,
            RetryHints::default(),
        ));
    }
    let mut lessons = 0;
    let mut reply = loop {
        let habits = endpoint.habits(&request.model);
        let reply = once(endpoint, request, habits, key.as_ref(), on_chunk).await;
        let refused = reply.result.as_ref().err();
        let field = refused
            .and_then(ModelError::refused_field)
            // Of another program's question only what is named: an error may quote its words.
            .filter(|field| {
                let named = refused.is_some_and(|error| error.names(field));
                !request.extras.passed_on || (named && !ProviderQuirks::is_of_form(field))
            });
        match field {
            Some(field) if lessons < MOST_LESSONS && endpoint.learn(&request.model, &field) => {
                lessons += 1;
            }
            _ => break reply,
        }
    };
    if request.has_own_form()
        && let Err(error) = reply.result
    {
        reply.result = Err(if error.is_at_form() {
            ModelError::AtForm(error.into())
        } else {
            error
        });
    }
    if let Some(key) = key {
        match &mut reply.result {
            Ok(_) => endpoint.keys.accepted(&key, &request.model),
            Err(error) => endpoint.learn_of_key(&key, &request.model, error),
        }
    }
    reply
}

/// The question as it is sent, with the key in its header.
fn question(
    endpoint: &Endpoint,
    request: &Request,
    habits: ProviderQuirks,
    key: Option<&super::keys::Key>,
) -> Result<reqwest::RequestBuilder, ModelError> {
    let wire = endpoint.wire;
    let mut call = endpoint
        .client
        .post(endpoint.route.clone())
        .headers(endpoint.headers.clone())
        .json(&wire.body(request, habits));
    for (header, value) in wire.headers() {
        call = call.header(*header, *value);
    }
    let Some(key) = key else { return Ok(call) };
    let (header, before) = wire.key_header();
    match key.header(before) {
        Some(value) => Ok(call.header(header, value)),
        None => {
            let body = r#"{"error":{"message":"the key has characters that no header may have"}}"#;
            let wish = RetryHints::default();
            Err(ModelError::from_answer(&endpoint.name, 401, body, wish))
        }
    }
}

async fn once(
    endpoint: &Endpoint,
    request: &Request,
    habits: ProviderQuirks,
    key: Option<&super::keys::Key>,
    on_chunk: &(dyn Fn(&str) + Send + Sync),
) -> ProviderReply {
    let name = &endpoint.name;
    let call = match question(endpoint, request, habits, key) {
        Ok(call) => call,
        Err(error) => return ProviderReply::failed(error),
    };
    let began = Instant::now();
    let pauses = endpoint.pauses.get().cloned().unwrap_or_default();
    let lost = pauses.lost();
    let stalled = |cut: TimeoutKind| ModelError::Stalled {
        provider: name.clone(),
        cut,
    };
    // A whole answer begins when it is complete: for it the attempt's own clock is the one.
    let until_headers = if request.stream && !habits.no_stream {
        endpoint.first
    } else {
        Duration::MAX
    };
    let response = match pauses.timeout(until_headers, call.send()).await {
        Err(_) => return ProviderReply::failed(stalled(TimeoutKind::First(endpoint.first))),
        Ok(Err(error)) => return ProviderReply::failed(http::broken(name, &error)),
        Ok(Ok(response)) => response,
    };
    let status = response.status().as_u16();
    let header = |h: &str| {
        let value = response.headers().get(h)?;
        value.to_str().ok().map(str::to_owned)
    };
    let now = jiff::Timestamp::now();
    endpoint.apply_rate_limit_headers(&request.model, &header, now);
    let wish = wish(header, now);
    let request_id = header("x-request-id")
        .or_else(|| header("request-id"))
        .map(|id| clean_line(&id, 80));
    if status != 200 {
        let body = endpoint
            .keys
            .scrub(&crate::outbound::error_text(response).await);
        return ProviderReply::failed(ModelError::from_answer(name, status, &body, wish));
    }
    let kind = header("content-type").unwrap_or_default();
    let in_pieces = kind.contains("event-stream")
        || (request.stream
            && !habits.no_stream
            && !kind.contains("json")
            && !kind.contains("html"));
    let mut draft = AnswerBuilder::of(endpoint.wire.form(request, habits));
    let mut first_token = None;
    let read = if in_pieces {
        let pause = pauses.since(lost).unwrap_or_default();
        let left = endpoint
            .first
            .saturating_sub(began.elapsed().saturating_sub(pause));
        let read = Reading {
            draft: &mut draft,
            first_token: &mut first_token,
            on_chunk,
            began,
        };
        stream(endpoint, response, (left, pauses), read).await
    } else {
        whole(endpoint, response, &mut draft, on_chunk).await
    };
    draft.scrub(|text| endpoint.keys.scrub(text));
    let tokens = used(request, &draft, read.is_ok());
    let text = read.and_then(|()| judge(name, request, &draft));
    let result = text.map(|text| Answer {
        request_id,
        first_token_ms: u64::try_from(first_token.unwrap_or_else(|| began.elapsed()).as_millis())
            .unwrap_or(u64::MAX),
        ..answer(name, request, draft, text, tokens)
    });
    ProviderReply { result, tokens }
}

/// The answer that a draft amounts to, without what only its exchange knows.
fn answer(
    provider: &str,
    request: &Request,
    draft: AnswerBuilder,
    text: String,
    tokens: Tokens,
) -> Answer {
    Answer {
        text: Untrusted::new(text),
        calls: draft.calls().cloned().collect(),
        cut_off: draft.finish == Some(FinishReason::Length),
        model: request.model.clone(),
        other_model: draft
            .model
            .filter(|answered| !is_same_model(&request.upstream_name, answered))
            .map(|answered| Untrusted::new(clean_line(&answered, 120))),
        provider: provider.to_owned(),
        tokens,
        cost_usd: 0.0,
        request_id: None,
        citations: draft.citations,
        left_out: Vec::new(),
        first_token_ms: 0,
    }
}

async fn whole(
    endpoint: &Endpoint,
    response: reqwest::Response,
    draft: &mut AnswerBuilder,
    on_chunk: &(dyn Fn(&str) + Send + Sync),
) -> Result<(), ModelError> {
    let bytes = http::body(&endpoint.name, response).await?;
    let read = endpoint.wire.whole(&bytes, draft);
    read.map_err(|fault| endpoint.fault(fault))?;
    if !draft.text.is_empty() {
        on_chunk(&draft.text);
    }
    Ok(())
}

/// What a stream is read into.
struct Reading<'a> {
    draft: &'a mut AnswerBuilder,
    first_token: &'a mut Option<Duration>,
    on_chunk: &'a (dyn Fn(&str) + Send + Sync),
    began: Instant,
}

impl Reading<'_> {
    /// Takes what one read completed in; true when the model has made something.
    fn take(
        &mut self,
        endpoint: &Endpoint,
        read: impl FnOnce(&mut dyn FnMut(sse::Event)) -> Result<(), sse::TooLarge>,
    ) -> Result<bool, ModelError> {
        let (pieces, received) = (self.draft.pieces, self.draft.text.len());
        let mut fault = None;
        let draft = &mut *self.draft;
        let parsed = read(&mut |event| {
            if fault.is_none() {
                fault = endpoint.wire.event(&event, draft).err();
            }
        });
        if self.draft.pieces > pieces && self.first_token.is_none() {
            *self.first_token = Some(self.began.elapsed());
        }
        if self.draft.text.len() > received {
            (self.on_chunk)(&self.draft.text[received..]);
        }
        if parsed.is_err() || self.draft.weight() > http::LARGEST_ANSWER {
            return Err(http::too_large(&endpoint.name));
        }
        match fault {
            Some(fault) => Err(endpoint.fault(fault)),
            None => Ok(self.draft.pieces > pieces),
        }
    }
}

async fn stream(
    endpoint: &Endpoint,
    response: reqwest::Response,
    (first, pauses): (Duration, Arc<Pauses>),
    mut reading: Reading<'_>,
) -> Result<(), ModelError> {
    let name = &endpoint.name;
    let timeouts = StreamTimeouts {
        first,
        idle: endpoint.idle,
        // The attempt's own clock, around all of this, is the one for the whole.
        deadline: Deadline::after(reading.began.into_std(), Duration::MAX),
    };
    let mut parser = sse::Parser::default();
    let mut timed =
        TimedStream::new(Box::pin(response.bytes_stream()), (), timeouts).allow_for(pauses);
    let mut bytes = 0;
    while !reading.draft.done {
        let mut taken = Ok(false);
        let next = timed
            .next(|chunk| {
                let Ok(chunk) = chunk else { return false };
                bytes += chunk.len();
                taken = reading.take(endpoint, |each| parser.push(chunk, each));
                matches!(taken, Ok(true))
            })
            .await;
        taken?;
        match next {
            Some(Ok(Ok(_))) if bytes > 4 * http::LARGEST_ANSWER => {
                return Err(http::too_large(name));
            }
            Some(Ok(Ok(_))) => {}
            Some(Ok(Err(error))) => {
                // The connection broke; with the last word already said that is of no matter.
                if reading.draft.finish.is_some() {
                    return Ok(());
                }
                return Err(match http::broken(name, &error) {
                    ModelError::Connect { .. } if bytes > 0 => truncated(name, bytes),
                    other => other,
                });
            }
            Some(Err(cut)) => {
                // Some servers leave the connection open after the last word.
                if reading.draft.finish.is_some() {
                    return Ok(());
                }
                let cut = match cut {
                    TimeoutKind::First(_) => TimeoutKind::First(endpoint.first),
                    other => other,
                };
                return Err(ModelError::Stalled {
                    provider: name.clone(),
                    cut,
                });
            }
            None => break,
        }
    }
    if !reading.draft.done {
        // An event without its empty line; one that is no JSON was cut in its middle.
        let rest = reading.take(endpoint, |each| parser.finish(each));
        match rest {
            Err(ModelError::Malformed { .. }) => return Err(truncated(name, bytes)),
            other => other?,
        };
    }
    if reading.draft.finish.is_none() && !reading.draft.done {
        return Err(truncated(name, bytes));
    }
    Ok(())
}

fn truncated(provider: &str, bytes: usize) -> ModelError {
    ModelError::Truncated {
        provider: provider.to_owned(),
        bytes,
    }
}

impl Endpoint {
    /// Takes in what an error says of the key it was asked with, and notes whether there is another one.
    pub(super) fn learn_of_key(&self, key: &super::keys::Key, model: &str, error: &mut ModelError) {
        let now = self.clock.now();
        let another = if let Some(why) = error.about_key() {
            let refusal = KeyRefused {
                provider: &self.name,
                why,
                rest: self.key_rest,
                model,
                only: error.is_about_one_model(),
            };
            self.keys.refuse(key, &refusal, now)
        } else {
            let meaning = error.meaning();
            let wait = meaning.retry_after.unwrap_or(Duration::from_secs(1));
            meaning.pause && self.keys.pause(key, model, wait.min(LONGEST_PAUSE), now)
        };
        if let ModelError::Status { other_key, .. } = error {
            *other_key = another;
        }
    }

    /// A fault of its answer, without its own key in it.
    fn fault(&self, fault: Fault) -> ModelError {
        let fault = match fault {
            Fault::Malformed(message) => Fault::Malformed(self.keys.scrub(&message)),
            Fault::Reported { status, body } => Fault::Reported {
                status,
                body: self.keys.scrub(&body),
            },
        };
        fault.of(&self.name)
    }

    fn habits(&self, model: &str) -> ProviderQuirks {
        lock(&self.learnt).get(model).copied().unwrap_or_default()
    }

    /// Takes a refused field in; true when the next question will be put differently.
    fn learn(&self, model: &str, field: &str) -> bool {
        let mut learnt = lock(&self.learnt);
        let habits = learnt.entry(model.to_owned()).or_default();
        let news = habits.learn(field);
        if news {
            tracing::info!(
                provider = self.name,
                model,
                field,
                "not taken, asked without it from now on"
            );
        }
        news
    }

    /// Reads what is left of the account's quota; with nothing left for a model it is not asked, before
    /// a 429 has to say so.
    pub(super) fn apply_rate_limit_headers(
        &self,
        model: &str,
        header: &impl Fn(&str) -> Option<String>,
        now: jiff::Timestamp,
    ) {
        let number = |what: &str| {
            header(&format!("x-ratelimit-remaining-{what}"))
                .or_else(|| header(&format!("anthropic-ratelimit-{what}-remaining")))
                .and_then(|v| v.trim().parse::<u64>().ok())
        };
        let (requests, tokens) = (number("requests"), number("tokens"));
        if requests.is_none() && tokens.is_none() {
            return;
        }
        *lock(&self.quota) = Some(super::provider::Quota { requests, tokens });
        let reset = |what: &str| {
            header(&format!("x-ratelimit-reset-{what}"))
                .or_else(|| header(&format!("anthropic-ratelimit-{what}-reset")))
                .and_then(|v| reset(&v, now))
        };
        for (left, what) in [(requests, "requests"), (tokens, "tokens")] {
            if left == Some(0)
                && let Some(wait) = reset(what)
            {
                let deployment = self.deployments.get(model);
                deployment.pause(wait.min(LONGEST_PAUSE), self.clock.now());
            }
        }
    }
}

/// However far away a quota's new beginning is said to be.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
