//! Errors: read from any shape that providers and proxies use, written in the shape of the client's wire.

use serde_json::{Value, json};

use crate::{Family, Wire};

/// Longest message that is kept, characters.
const LONGEST: usize = 1_000;

/// What an error says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WireError {
    /// `error.type`, or Gemini's `status`.
    pub kind: String,
    /// `error.code`.
    pub code: String,
    /// The field of the request that it is about.
    pub param: String,
    /// In words.
    pub message: String,
}

fn cut(text: &str) -> String {
    text.trim().chars().take(LONGEST).collect()
}

impl WireError {
    /// Reads an error answer of any shape: `{"error": {…}}`, `{"error": "…"}`, `{"detail": …}`, a list with
    /// one of these, or no JSON at all.
    pub fn read(body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => Self::of(&value),
            Err(_) => Self {
                message: cut(&String::from_utf8_lossy(
                    &body[..body.len().min(8 * LONGEST)],
                )),
                ..Self::default()
            },
        }
    }

    /// As [`WireError::read`], of JSON that was parsed.
    pub fn of(value: &Value) -> Self {
        let value = match value {
            Value::Array(all) => all.first().unwrap_or(value),
            other => other,
        };
        let error = match value.get("error") {
            Some(error) if !error.is_null() => error,
            _ => value,
        };
        let text = |value: &Value| match value {
            Value::String(text) => cut(text),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        let message = [
            error,
            &error["message"],
            &error["detail"],
            &value["detail"],
            &value["message"],
        ]
        .into_iter()
        .map(|v| v.as_str().map(cut).unwrap_or_default())
        .find(|m| !m.is_empty());
        let kind = [&error["type"], &error["status"]].map(text);
        Self {
            kind: kind.into_iter().find(|k| !k.is_empty()).unwrap_or_default(),
            code: text(&error["code"]),
            param: text(&error["param"]),
            message: message.unwrap_or_default(),
        }
    }
}

/// What is wrong, apart from the words for it in each wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request itself.
    InvalidRequest,
    /// No key, or a wrong one.
    Authentication,
    /// The key may not do this.
    Permission,
    /// There is no such model.
    NotFound,
    /// It is larger than what is taken.
    TooLarge,
    /// Too many requests or tokens.
    RateLimit,
    /// No money is left.
    Quota,
    /// The provider failed.
    Upstream,
    /// Nobody can answer now.
    Unavailable,
    /// The time ran out.
    Timeout,
}

impl ErrorKind {
    /// The meaning of an HTTP status.
    pub const fn of_status(status: u16) -> Self {
        match status {
            401 => Self::Authentication,
            402 => Self::Quota,
            403 => Self::Permission,
            404 => Self::NotFound,
            408 | 504 => Self::Timeout,
            413 => Self::TooLarge,
            429 => Self::RateLimit,
            400..=499 => Self::InvalidRequest,
            503 | 529 => Self::Unavailable,
            _ => Self::Upstream,
        }
    }

    /// The status that it has where none came from a provider.
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::Authentication => 401,
            Self::Permission => 403,
            Self::NotFound => 404,
            Self::TooLarge => 413,
            Self::RateLimit | Self::Quota => 429,
            Self::Upstream => 502,
            Self::Unavailable => 503,
            Self::Timeout => 504,
        }
    }

    const fn word(self, family: Family) -> &'static str {
        match (family, self) {
            (Family::OpenAi, Self::InvalidRequest | Self::NotFound | Self::TooLarge) => {
                "invalid_request_error"
            }
            (Family::OpenAi, Self::Authentication) => "authentication_error",
            (Family::OpenAi, Self::Permission) => "permission_error",
            (Family::OpenAi, Self::RateLimit) => "rate_limit_error",
            (Family::OpenAi, Self::Quota) => "insufficient_quota",
            (Family::OpenAi, Self::Upstream | Self::Unavailable | Self::Timeout) => "api_error",
            (Family::Anthropic, Self::InvalidRequest) => "invalid_request_error",
            (Family::Anthropic, Self::Authentication) => "authentication_error",
            (Family::Anthropic, Self::Permission) => "permission_error",
            (Family::Anthropic, Self::NotFound) => "not_found_error",
            (Family::Anthropic, Self::TooLarge) => "request_too_large",
            (Family::Anthropic, Self::RateLimit | Self::Quota) => "rate_limit_error",
            (Family::Anthropic, Self::Upstream) => "api_error",
            (Family::Anthropic, Self::Unavailable) => "overloaded_error",
            (Family::Anthropic, Self::Timeout) => "timeout_error",
            (Family::Gemini, Self::InvalidRequest | Self::TooLarge) => "INVALID_ARGUMENT",
            (Family::Gemini, Self::Authentication) => "UNAUTHENTICATED",
            (Family::Gemini, Self::Permission) => "PERMISSION_DENIED",
            (Family::Gemini, Self::NotFound) => "NOT_FOUND",
            (Family::Gemini, Self::RateLimit | Self::Quota) => "RESOURCE_EXHAUSTED",
            (Family::Gemini, Self::Upstream) => "INTERNAL",
            (Family::Gemini, Self::Unavailable) => "UNAVAILABLE",
            (Family::Gemini, Self::Timeout) => "DEADLINE_EXCEEDED",
        }
    }
}

/// The body of an error answer in the client's wire. `code` is a short word for programs.
pub fn body(wire: Wire, kind: ErrorKind, status: u16, code: &str, message: &str) -> Vec<u8> {
    value(wire, kind, status, code, message)
        .to_string()
        .into_bytes()
}

fn value(wire: Wire, kind: ErrorKind, status: u16, code: &str, message: &str) -> Value {
    let family = wire.family();
    let word = kind.word(family);
    match family {
        Family::OpenAi => json!({"error": {
            "message": message, "type": word, "param": null, "code": code,
        }}),
        Family::Anthropic => json!({"type": "error", "error": {"type": word, "message": message}}),
        Family::Gemini => json!({"error": {"code": status, "message": message, "status": word}}),
    }
}

/// The last event of a stream that cannot go on, in the client's wire. `sequence`: the number of the next
/// event, where the wire numbers them.
pub fn event(wire: Wire, kind: ErrorKind, code: &str, message: &str, sequence: u64) -> Vec<u8> {
    match wire {
        Wire::Responses => {
            let data = json!({
                "type": "error", "code": code, "message": message, "param": null,
                "sequence_number": sequence,
            });
            format!("event: error\ndata: {data}\n\n").into_bytes()
        }
        _ => {
            let data = value(wire, kind, kind.status(), code, message);
            let name = if wire.family() == Family::Anthropic {
                "event: error\n"
            } else {
                ""
            };
            format!("{name}data: {data}\n\n").into_bytes()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_every_shape_are_read() {
        let cases = [
            (
                r#"{"error":{"message":"m","type":"t","param":"p","code":"c"}}"#,
                ("t", "c", "p", "m"),
            ),
            (r#"{"error":"m"}"#, ("", "", "", "m")),
            (r#"{"detail":"m"}"#, ("", "", "", "m")),
            (
                r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#,
                ("overloaded_error", "", "", "m"),
            ),
            (
                r#"[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}]"#,
                ("RESOURCE_EXHAUSTED", "429", "", "m"),
            ),
            (
                r#"{"object":"error","message":"m","code":400}"#,
                ("", "400", "", "m"),
            ),
            (
                "<html>bad gateway</html>",
                ("", "", "", "<html>bad gateway</html>"),
            ),
            ("", ("", "", "", "")),
            ("[]", ("", "", "", "")),
            ("null", ("", "", "", "")),
        ];
        for (body, (kind, code, param, message)) in cases {
            let error = WireError::read(body.as_bytes());
            let got = (&*error.kind, &*error.code, &*error.param, &*error.message);
            assert_eq!(got, (kind, code, param, message), "{body}");
        }
        let long = WireError::read("x".repeat(100_000).as_bytes());
        assert_eq!(long.message.len(), LONGEST);
    }

    #[test]
    fn errors_have_the_shape_of_the_clients_wire() {
        let of = |wire| {
            let body = body(wire, ErrorKind::RateLimit, 429, "rate_limited", "later");
            serde_json::from_slice::<Value>(&body).unwrap()
        };
        assert_eq!(of(Wire::Responses)["error"]["type"], "rate_limit_error");
        assert_eq!(of(Wire::Messages)["type"], "error");
        assert_eq!(of(Wire::Messages)["error"]["type"], "rate_limit_error");
        assert_eq!(of(Wire::Gemini)["error"]["status"], "RESOURCE_EXHAUSTED");
        for status in [400, 401, 403, 404, 413, 429, 503, 504] {
            assert_eq!(ErrorKind::of_status(status).status(), status);
        }
        let event = event(Wire::Messages, ErrorKind::Upstream, "broken", "b", 0);
        assert!(event.starts_with(b"event: error\ndata: {\"type\":\"error\""));
    }
}
