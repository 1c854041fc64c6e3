//! Perplexity: chat completions with search, and the places where an answer was found.

use serde_json::{Value, json};

use super::{chat, sse};
use crate::model::answer::Citation;
use crate::model::provider_request::{Format, Request};
use crate::model::wire::form::{AnswerBuilder, Fault, Wire, malformed};
use crate::model::wire::quirks::ProviderQuirks;
use crate::text::Untrusted;
use crate::workspace::models::Structured;

/// The kind `perplexity`.
pub struct Perplexity;

/// Places kept of one answer.
const MOST: usize = 50;

impl Wire for Perplexity {
    fn route(&self) -> &'static str {
        "chat/completions"
    }

    fn structured(&self) -> Structured {
        Structured::Schema
    }

    fn has_form(&self, format: &Format, structured: Structured, _: bool) -> bool {
        match format {
            Format::Text => true,
            Format::Object => false,
            Format::Json { .. } => structured == Structured::Schema,
        }
    }

    fn tools(&self) -> bool {
        false
    }

    fn searches(&self) -> bool {
        true
    }

    fn body(&self, request: &Request, habits: ProviderQuirks) -> Value {
        let mut body = chat::question(request, habits);
        if let Value::Object(fields) = &mut body {
            fields.shift_remove("stream_options");
            // It knows schemas, but neither their names nor a form without one.
            fields.shift_remove("response_format");
            for name in request.extras.chat.keys() {
                fields.shift_remove(name);
            }
        }
        if let (Format::Json { schema, .. }, Structured::Schema, false) =
            (&request.format, request.structured, habits.no_schema)
        {
            body["response_format"] =
                json!({"type": "json_schema", "json_schema": {"schema": schema}});
        }
        if let Some(recency) = request.recency {
            body["search_recency_filter"] = recency.into();
        }
        body
    }

    fn whole(&self, bytes: &[u8], draft: &mut AnswerBuilder) -> Result<(), Fault> {
        chat::Chat.whole(bytes, draft)?;
        let value: Value = serde_json::from_slice(bytes).map_err(|e| malformed(&e))?;
        places(&value, draft);
        Ok(())
    }

    fn event(&self, event: &sse::Event, draft: &mut AnswerBuilder) -> Result<(), Fault> {
        chat::piece(event, draft)?;
        // Every piece has its places with it; what is no JSON was said to be none above.
        if let Ok(value) = serde_json::from_str::<Value>(&event.data) {
            places(&value, draft);
        }
        Ok(())
    }
}

/// `search_results` where there are any, else the bare addresses under `citations`. Every piece of a
/// stream repeats them.
fn places(value: &Value, draft: &mut AnswerBuilder) {
    let text = |v: &Value| v.as_str().map(Untrusted::from);
    let found: Vec<Citation> = match value["search_results"].as_array() {
        Some(results) if !results.is_empty() => results
            .iter()
            .filter_map(|r| {
                Some(Citation {
                    url: text(&r["url"])?,
                    title: text(&r["title"]),
                })
            })
            .take(MOST)
            .collect(),
        _ => value["citations"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|c| {
                Some(Citation {
                    url: text(c)?,
                    title: None,
                })
            })
            .take(MOST)
            .collect(),
    };
    if !found.is_empty() {
        draft.citations = found;
    }
}
