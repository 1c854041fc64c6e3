//! Chat completions: OpenAI's wire form and everything compatible with it.

use serde::Deserialize;
use serde_json::json;

use super::error::{ModelError, Wish, wish};
use super::provider::Endpoint;
use super::{Answer, Request, Tokens, estimate_tokens, http};
use crate::text::{Untrusted, clean_line};
use crate::workspace::models::TokenParameter;

#[derive(Deserialize)]
struct Completion {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    error: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

/// Asks once. The caller has taken every permit and set the time limit.
pub(super) async fn ask(endpoint: &Endpoint, request: &Request) -> Result<Answer, ModelError> {
    let limit = match request.parameter {
        TokenParameter::MaxTokens => "max_tokens",
        TokenParameter::MaxCompletionTokens => "max_completion_tokens",
    };
    let body = json!({
        "model": request.model,
        "messages": [{"role": "system", "content": request.system}, {"role": "user", "content": request.user}],
        "temperature": request.temperature,
        limit: request.max_output_tokens,
        "response_format": {"type": "json_object"},
    });
    let url = format!(
        "{}/chat/completions",
        endpoint.base_url.as_str().trim_end_matches('/')
    );
    let mut call = endpoint.client.post(url).json(&body);
    if let Some(key) = &endpoint.key {
        call = call.bearer_auth(key.expose());
    }
    for (name, value) in &endpoint.headers {
        call = call.header(name, value);
    }
    let name = &endpoint.name;
    let response = call.send().await.map_err(|e| http::broken(name, &e))?;
    let status = response.status().as_u16();
    let header = |h: &str| {
        response
            .headers()
            .get(h)
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned)
    };
    let wish = wish(header, jiff::Timestamp::now());
    let request_id = header("x-request-id").map(|id| clean_line(&id, 80));
    let bytes = http::body(name, response).await?;
    if status != 200 {
        return Err(ModelError::from_answer(
            name,
            status,
            &String::from_utf8_lossy(&bytes),
            wish,
        ));
    }
    let mut answer = read(name, request, &bytes)?;
    answer.request_id = request_id;
    Ok(answer)
}

/// Reads a 200 answer.
pub(super) fn read(provider: &str, request: &Request, bytes: &[u8]) -> Result<Answer, ModelError> {
    let malformed = |message: String| ModelError::Malformed {
        provider: provider.to_owned(),
        message,
    };
    let completion: Completion =
        serde_json::from_slice(bytes).map_err(|e| malformed(clean_line(&e.to_string(), 120)))?;
    if completion.error.is_some() {
        return Err(ModelError::from_answer(
            provider,
            500,
            &String::from_utf8_lossy(bytes),
            Wish::default(),
        ));
    }
    let choice = completion
        .choices
        .into_iter()
        .next()
        .ok_or_else(|| malformed("no choices".into()))?;
    match choice.finish_reason.as_deref() {
        Some("length") => return Err(ModelError::CutOff("length".into())),
        Some("content_filter") => return Err(ModelError::Refused("content filter".into())),
        _ => {}
    }
    if let Some(refusal) = choice.message.refusal.filter(|r| !r.is_empty()) {
        return Err(ModelError::Refused(clean_line(&refusal, 160)));
    }
    let text = choice
        .message
        .content
        .filter(|c| !c.is_empty())
        .ok_or_else(|| malformed("no content".into()))?;
    let tokens = completion.usage.map_or_else(
        || Tokens {
            prompt: u64::from(estimate_tokens(&request.system))
                + u64::from(estimate_tokens(&request.user)),
            completion: u64::from(estimate_tokens(&text)),
        },
        |u| Tokens {
            prompt: u.prompt_tokens,
            completion: u.completion_tokens,
        },
    );
    Ok(Answer {
        text: Untrusted::new(text),
        model: request.model.clone(),
        provider: provider.to_owned(),
        tokens,
        cost_usd: 0.0,
        request_id: None,
    })
}
