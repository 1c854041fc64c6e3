//! The fields of a request that decide where it goes; everything else stays as it came.
//!
//! Why spans and not a value: the body is sent on byte for byte. Only the model's name is replaced, at
//! the place where it stands.

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Wire;

/// Why a request cannot be routed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// It is no JSON object, or a field that is looked at stands in it twice.
    #[error("the body is not one JSON object: {0}")]
    Json(String),
    /// `model` is missing.
    #[error("model is missing")]
    NoModel,
    /// `model` is not a string.
    #[error("model must be a string")]
    ModelNotText,
}

/// What is looked at. All of it is optional but for the model, and nothing of it is judged: what a field
/// of another type means is the provider's to say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Envelope {
    /// The model that is asked for; none where the path names it (Gemini).
    pub model: Option<String>,
    /// The answer may come as a stream.
    pub stream: bool,
    /// Longest answer, tokens, by whichever name.
    pub max_output_tokens: Option<u64>,
    /// Randomness.
    pub temperature: Option<f64>,
    /// How many answers are wanted.
    pub n: Option<u64>,
    /// `stream_options.include_usage`.
    pub include_usage: Option<bool>,
    /// An answer that the provider keeps and this request goes on from.
    pub previous_response_id: Option<String>,
    /// Where the model's string stands, its quotes included.
    span: Option<(usize, usize)>,
    has_stream_options: bool,
    /// Where the object begins: behind its brace.
    inside: usize,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    stream: Option<&'a RawValue>,
    #[serde(borrow, default)]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    max_completion_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    max_output_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    temperature: Option<&'a RawValue>,
    #[serde(borrow, default)]
    n: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    stream_options: Option<&'a RawValue>,
    #[serde(borrow, default)]
    previous_response_id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
}

/// A field that is there, though it be null.
fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

fn value<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

impl Envelope {
    /// Reads the fields. The nesting of what is not looked at does not matter.
    ///
    /// # Errors
    /// [`EnvelopeError`]; a model that the path names (Gemini) may be missing.
    pub fn read(wire: Wire, body: &[u8]) -> Result<Self, EnvelopeError> {
        let first = body.iter().find(|b| !b.is_ascii_whitespace());
        if first.is_some_and(|b| *b != b'{') {
            return Err(EnvelopeError::Json("it begins with another value".into()));
        }
        let fields: Fields<'_> =
            serde_json::from_slice(body).map_err(|e| EnvelopeError::Json(e.to_string()))?;
        let named_by_path = matches!(wire, Wire::Gemini | Wire::GeminiCount);
        let (mut model, mut span) = (None, None);
        if let Some(raw) = fields.model.filter(|_| !named_by_path) {
            let text = serde_json::from_str::<String>(raw.get());
            model = Some(text.map_err(|_| EnvelopeError::ModelNotText)?);
            let start = raw.get().as_ptr() as usize - body.as_ptr() as usize;
            span = Some((start, start + raw.get().len()));
        } else if !named_by_path {
            return Err(EnvelopeError::NoModel);
        }
        let options: Option<StreamOptions> = value(fields.stream_options);
        let limits = [
            fields.max_completion_tokens,
            fields.max_output_tokens,
            fields.max_tokens,
        ];
        Ok(Self {
            model,
            stream: value(fields.stream).unwrap_or(false),
            max_output_tokens: limits.into_iter().find_map(value),
            temperature: value(fields.temperature),
            n: value(fields.n),
            include_usage: options.and_then(|o| o.include_usage),
            previous_response_id: value(fields.previous_response_id),
            span,
            has_stream_options: fields.stream_options.is_some(),
            inside: body.iter().position(|b| *b == b'{').map_or(0, |at| at + 1),
        })
    }

    /// The body with another name for the model; nothing else is touched. `body` is the one that was read.
    pub fn with_model(&self, body: impl Into<Bytes>, name: &str) -> Bytes {
        let body = body.into();
        let Some((start, end)) = self.span.filter(|(_, end)| *end <= body.len()) else {
            return body;
        };
        if self.model.as_deref() == Some(name) {
            return body;
        }
        let quoted = serde_json::Value::String(name.to_owned()).to_string();
        let mut sent = BytesMut::with_capacity(body.len() + quoted.len());
        sent.extend_from_slice(&body[..start]);
        sent.extend_from_slice(quoted.as_bytes());
        sent.extend_from_slice(&body[end..]);
        sent.freeze()
    }

    /// True where a stream of chat completions does not report its usage: the provider was not asked to.
    pub fn hides_usage(&self, wire: Wire) -> bool {
        matches!(wire, Wire::Chat | Wire::Completions)
            && self.stream
            && self.include_usage != Some(true)
            && !self.has_stream_options
    }

    /// The body, asked to report its usage at the end of the stream. Only where [`Envelope::hides_usage`];
    /// to be called before [`Envelope::with_model`] is applied to another copy.
    pub fn with_usage(&self, body: &Bytes) -> Bytes {
        const OPTION: &[u8] = br#""stream_options":{"include_usage":true},"#;
        let mut sent = BytesMut::with_capacity(body.len() + OPTION.len());
        sent.extend_from_slice(&body[..self.inside]);
        sent.extend_from_slice(OPTION);
        sent.extend_from_slice(&body[self.inside..]);
        sent.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(body: &str) -> Result<Envelope, EnvelopeError> {
        Envelope::read(Wire::Chat, body.as_bytes())
    }

    #[test]
    fn fields_of_any_type_are_read_leniently_and_the_model_strictly() {
        let body = r#" {"stream":true,"max_tokens":"many","temperature":0.5,"n":2,"model":"a\"b","x":[[[]]]}"#;
        let envelope = read(body).unwrap();
        assert_eq!(envelope.model.as_deref(), Some("a\"b"));
        assert!(envelope.stream && envelope.max_output_tokens.is_none());
        assert_eq!((envelope.temperature, envelope.n), (Some(0.5), Some(2)));
        assert_eq!(read(r#"{"model":7}"#), Err(EnvelopeError::ModelNotText));
        assert_eq!(read(r#"{"model":null}"#), Err(EnvelopeError::NoModel));
        assert_eq!(read("{}"), Err(EnvelopeError::NoModel));
        for broken in [
            "",
            "[]",
            "7",
            r#"{"model":"a"} x"#,
            r#"{"model":"a","model":"b"}"#,
        ] {
            assert!(
                matches!(read(broken), Err(EnvelopeError::Json(_))),
                "{broken}"
            );
        }
        assert!(Envelope::read(Wire::Gemini, b"{}").is_ok());
    }

    #[test]
    fn deep_nesting_is_neither_refused_nor_followed() {
        let deep = format!(
            r#"{{"a":{}{},"model":"m"}}"#,
            "[".repeat(200_000),
            "]".repeat(200_000)
        );
        assert_eq!(read(&deep).unwrap().model.as_deref(), Some("m"));
    }

    #[test]
    fn usage_is_asked_for_only_where_nothing_was_said_of_it() {
        let body = Bytes::from_static(br#"{"model":"m","stream":true}"#);
        let envelope = Envelope::read(Wire::Chat, &body).unwrap();
        assert!(envelope.hides_usage(Wire::Chat));
        let asked = envelope.with_usage(&body);
        let again = Envelope::read(Wire::Chat, &asked).unwrap();
        assert_eq!(again.include_usage, Some(true));
        assert!(!again.hides_usage(Wire::Chat));
        let sent = again.with_model(asked, "other");
        let value: serde_json::Value = serde_json::from_slice(&sent).unwrap();
        assert_eq!(value["model"], "other");
        for said in [
            r#"{"model":"m"}"#,
            r#"{"model":"m","stream":true,"stream_options":null}"#,
        ] {
            assert!(!read(said).unwrap().hides_usage(Wire::Chat), "{said}");
        }
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            ".{0,12}".prop_map(Into::into),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::btree_map(".{0,6}", inner, 0..4)
                    .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn another_model_changes_nothing_else(
            fields in prop::collection::btree_map("[a-z]{1,8}", json(), 0..6),
            model in ".{0,20}", name in ".{0,20}", pretty: bool,
        ) {
            let mut object: serde_json::Map<String, serde_json::Value> = fields.into_iter().collect();
            object.insert("model".into(), model.clone().into());
            let body = if pretty {
                serde_json::to_string_pretty(&object).unwrap()
            } else {
                serde_json::to_string(&object).unwrap()
            };
            let envelope = Envelope::read(Wire::Chat, body.as_bytes()).unwrap();
            prop_assert_eq!(envelope.model.as_deref(), Some(&*model));
            let sent = envelope.with_model(Bytes::from(body.clone()), &name);
            let back = envelope.with_model(Bytes::from(body.clone()), &model);
            prop_assert_eq!(&back[..], body.as_bytes());
            object.insert("model".into(), name.into());
            let got: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&sent).unwrap();
            prop_assert_eq!(got, object);
        }
    }
}
