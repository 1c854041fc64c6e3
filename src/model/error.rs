//! What can go wrong with a call, and what an error answer says, read leniently. What each case means to the
//! layers is `meaning.rs`' business.

use std::time::Duration;

use crate::model::retry_hints::RetryHints;
use crate::resilience::stream_timeouts::TimeoutKind;
use crate::text::clean_line;

/// The class of "longer than the model can read".
pub const CONTEXT_LENGTH: &str = "context_length";

/// A call that gave no usable answer. Messages are cut and harmless; they hold no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// The provider answered with an error.
    #[error("{provider} answered {status}{}{}", self.gist(), detail(message))]
    Status {
        /// Who.
        provider: String,
        /// HTTP status.
        status: u16,
        /// `error.code` and `error.type`, where they are.
        code: String,
        /// The field of the request that it does not take.
        param: String,
        /// What it said.
        message: String,
        /// What its headers ask for.
        wish: RetryHints,
        /// The key was refused, and there is another one.
        other_key: bool,
    },
    /// What was asked cannot be said in the provider's protocol.
    #[error("{provider} cannot be asked this: {message}")]
    Untranslatable {
        /// Who.
        provider: String,
        /// What cannot be said.
        message: String,
    },
    /// The connection could not be made or broke.
    #[error("no connection to {provider}: {message}")]
    Connect {
        /// Who.
        provider: String,
        /// What the system said.
        message: String,
    },
    /// It took too long.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The answer is not what the protocol says.
    #[error("{provider} sent something that is no answer of its kind: {message}")]
    Malformed {
        /// Who.
        provider: String,
        /// What is wrong with it.
        message: String,
    },
    /// The answer began too late, or stopped coming.
    #[error("{provider}: {cut}")]
    Stalled {
        /// Who.
        provider: String,
        /// Which clock ran out.
        cut: TimeoutKind,
    },
    /// The stream ended before the answer did.
    #[error("{provider} broke its answer off after {bytes} bytes")]
    Truncated {
        /// Who.
        provider: String,
        /// What had come.
        bytes: usize,
    },
    /// The server read less than it was sent.
    #[error(
        "{provider} read {read} of about {sent} tokens: it cuts long prompts; set contextTokens to what it really takes"
    )]
    CutPrompt {
        /// Who.
        provider: String,
        /// Tokens it says it read.
        read: u64,
        /// Tokens it was sent, estimated.
        sent: u64,
    },
    /// It failed when a part of the answer had been read by somebody already.
    #[error("broken off in mid-answer: {0}")]
    Interrupted(Box<ModelError>),
    /// The answer was cut off at its length.
    #[error("the answer was cut off (finish_reason {0})")]
    CutOff(String),
    /// Its address may not be connected to any more.
    #[error("{0}: nothing leaves this machine in safe mode")]
    Forbidden(String),
    /// The answer is complete and says nothing.
    #[error("{0} answered with nothing")]
    Empty(String),
    /// A refusal by content, after which another model is asked.
    #[error("{0}")]
    HandedOn(Box<ModelError>),
    /// The model refused to answer.
    #[error("the model refused to answer{}", detail(.0))]
    Refused(String),
    /// It failed at the form or the tools that another program asked it with.
    #[error("it cannot work with the form or the tools that it was given: {0}")]
    AtForm(Box<ModelError>),
    /// The answer is complete but no verdict.
    #[error("{0}")]
    NoVerdict(String),
}

fn detail(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(": {message}")
    }
}

impl ModelError {
    /// What an answer's status and code amount to, where a person must act on it.
    fn gist(&self) -> &'static str {
        match self {
            _ if self.is_quota() => {
                " (the account's quota is used up: top it up, or set another key)"
            }
            _ if self.is_context() => " (the prompt is longer than the model reads)",
            Self::Status { status: 401, .. } => " (it refuses the key)",
            Self::Status { status: 403, .. } if !self.is_refusal() => " (it forbids this key that)",
            Self::Status { status: 404, .. } => {
                " (does it have this model, and is its baseUrl right?)"
            }
            _ => "",
        }
    }

    /// An error answer, read leniently: `{"error":{…}}`, `{"error":"…"}`, `{"detail":…}`, or a page of
    /// HTML from a proxy.
    pub fn from_answer(provider: &str, status: u16, body: &str, wish: RetryHints) -> Self {
        let mut json: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
        // Some put the object into a list.
        if let Some([one]) = json.as_array_mut().map(Vec::as_mut_slice) {
            json = one.take();
        }
        // And some have no object around it.
        let bare = json["error"].is_null() && json["message"].is_string();
        let error = if bare { &json } else { &json["error"] };
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        // Either may tell what it is; some proxies put the status into the code.
        let code = [&error["code"], &error["type"]]
            .into_iter()
            .filter_map(text)
            .collect::<Vec<_>>()
            .join(" ");
        let message = text(&error["message"])
            .or_else(|| text(error))
            .or_else(|| text(&json["detail"]));
        let message = message.unwrap_or_else(|| {
            if json.is_null() {
                body.to_owned()
            } else {
                String::new()
            }
        });
        Self::Status {
            provider: provider.to_owned(),
            status,
            param: text(&error["param"])
                .map(|p| clean_line(&p, 60))
                .unwrap_or_default(),
            code: clean_line(&code, 60),
            message: clean_line(message.trim(), 200),
            wish,
            other_key: false,
        }
    }

    /// The account has nothing left: a pause does not help.
    pub fn is_quota(&self) -> bool {
        let Self::Status {
            status,
            code,
            message,
            ..
        } = self
        else {
            return false;
        };
        match status {
            402 => true,
            429 => [
                "insufficient_quota",
                "spend_limit_exceeded",
                "credit_balance",
            ]
            .iter()
            .any(|c| code.contains(c)),
            // Anthropic says so with a 400.
            400 => message.contains("credit balance is too low"),
            _ => false,
        }
    }

    /// The key itself is what is wrong: `key refused`, `forbidden`, `quota`.
    pub fn about_key(&self) -> Option<&'static str> {
        match self {
            _ if self.is_quota() => Some("says that the account's quota is used up"),
            Self::Status { status: 401, .. } => Some("refuses the key (401)"),
            Self::Status { status: 403, .. } if !self.is_refusal() => Some("refuses the key (403)"),
            _ => None,
        }
    }

    /// The key is refused for the one model that was asked: it may be good for others.
    pub fn is_about_one_model(&self) -> bool {
        matches!(self, Self::Status { status: 403, .. }) && !self.is_quota()
    }

    /// The field that a model does not take, where a 400 is about one.
    pub fn refused_field(&self) -> Option<String> {
        let Self::Status {
            status: 400 | 422,
            code,
            param,
            message,
            ..
        } = self
        else {
            return None;
        };
        let lower = message.to_ascii_lowercase();
        let unsupported = [
            "unsupported_parameter",
            "unsupported_value",
            "unknown_parameter",
        ]
        .iter()
        .any(|c| code.contains(c))
            || [
                "unsupported",
                "not supported",
                "unrecognized",
                "extra inputs",
                "unknown parameter",
            ]
            .iter()
            .any(|w| lower.contains(w));
        if !unsupported {
            return None;
        }
        if !param.is_empty() {
            return Some(param.clone());
        }
        // Whole names: "upstream" is no stream.
        let said: Vec<&str> = lower
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .collect();
        [
            "max_completion_tokens",
            "max_tokens",
            "response_format",
            "json_schema",
            "stream_options",
            "temperature",
            "tool_choice",
            "stream",
        ]
        .into_iter()
        .find(|f| said.contains(f))
        .map(str::to_owned)
    }

    /// The provider named this field, and not its message's words alone.
    pub fn names(&self, field: &str) -> bool {
        matches!(self, Self::Status { param, .. } if param == field)
    }

    /// A failure of the server's own that names the form or the tools it was asked with: some answer 500
    /// where 400 is meant, and whoever asks so must not have others refused.
    pub fn is_at_form(&self) -> bool {
        let Self::Status {
            status: 500,
            message,
            ..
        } = self
        else {
            return false;
        };
        let lower = message.to_ascii_lowercase();
        ["schema", "grammar", "template", "tool"]
            .iter()
            .any(|w| lower.contains(w))
    }

    /// The same question gets the same refusal: the request itself is what is wrong with it.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Status { status, .. } => {
                matches!(status, 400 | 422) && !self.is_context() && !self.is_quota()
            }
            Self::Refused(_) | Self::AtForm(_) => true,
            _ => false,
        }
    }

    /// Its content is why the question was refused, by the model or by its provider's policy.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Refused(_) => true,
            Self::Status {
                status: 400 | 403 | 422,
                code,
                ..
            } => ["content_policy", "content_filter"]
                .iter()
                .any(|c| code.contains(c)),
            _ => false,
        }
    }

    /// The prompt is longer than the model can read.
    pub fn is_context(&self) -> bool {
        let Self::Status {
            status: status @ (400 | 413 | 422),
            code,
            message,
            ..
        } = self
        else {
            return false;
        };
        let lower = message.to_ascii_lowercase();
        *status == 413
            || ["context_length", "exceed_context_size"]
                .iter()
                .any(|c| code.contains(c))
            || [
                "maximum context length",
                "prompt is too long",
                "context size",
            ]
            .iter()
            .any(|w| lower.contains(w))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_field_is_a_whole_word() {
        let field = |message: &str| {
            let body = serde_json::json!({"error": {"message": message}}).to_string();
            ModelError::from_answer("p", 400, &body, RetryHints::default()).refused_field()
        };
        assert_eq!(
            field("Unsupported parameter: 'max_tokens'"),
            Some("max_tokens".into())
        );
        assert_eq!(
            field("stream_options is not supported"),
            Some("stream_options".into())
        );
        assert_eq!(field("not supported by upstream provider"), None);
        assert_eq!(field("the stream broke"), None);
    }

    #[test]
    fn every_form_of_error_body() {
        let message =
            |body: &str| ModelError::from_answer("p", 500, body, RetryHints::default()).to_string();
        assert!(message(r#"{"error":"plain"}"#).ends_with(": plain"));
        assert!(message(r#"{"detail":"why"}"#).ends_with(": why"));
        assert!(message("<html>\x1b[31mbad gateway</html>").contains("␛[31mbad gateway"));
        assert_eq!(message("{}"), "p answered 500");
        // vLLM has no object around it, Gemini puts it into a list.
        let bare = r#"{"object":"error","message":"This model's maximum context length is 4096 tokens","code":400}"#;
        assert!(ModelError::from_answer("p", 400, bare, RetryHints::default()).is_context());
        let listed = r#"[{"error":{"code":429,"message":"insufficient_quota","status":"x","type":"insufficient_quota"}}]"#;
        assert!(ModelError::from_answer("p", 429, listed, RetryHints::default()).is_quota());
    }
}
