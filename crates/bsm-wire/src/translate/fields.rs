//! A request's fields, taken out one by one: what nobody took is lost, and named.

use serde_json::{Map, Value, json};

use super::types::TranslateError;

/// The fields of an object.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn of(value: Value, what: &str) -> Result<Self, TranslateError> {
        match value {
            Value::Object(map) => Ok(Self(map)),
            _ => Err(TranslateError::Malformed(format!(
                "{what} is not an object"
            ))),
        }
    }

    /// The field, unless it is absent or null.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.shift_remove(name).filter(|v| !v.is_null())
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn list(&mut self, name: &str) -> Vec<Value> {
        match self.take(name) {
            Some(Value::Array(all)) => all,
            _ => Vec::new(),
        }
    }

    /// Moves a field into another object as it is.
    pub(super) fn pass(&mut self, name: &str, to: &mut Value, as_name: &str) {
        if let Some(value) = self.take(name) {
            to[as_name] = value;
        }
    }

    /// What is left is lost; `prefix` says where it stood.
    pub(super) fn lose(self, prefix: &str, lost: &mut Vec<String>) {
        for (name, value) in self.0 {
            if !value.is_null() {
                note(lost, &format!("{prefix}{name}"));
            }
        }
    }
}

/// Notes a loss once.
pub(super) fn note(lost: &mut Vec<String>, what: &str) {
    let what: String = what.chars().take(80).collect();
    if lost.len() < 64 && !lost.contains(&what) {
        lost.push(what);
    }
}

/// A content's parts: a text is one part.
pub(super) fn parts(content: Option<Value>) -> Vec<Value> {
    match content {
        Some(Value::String(text)) if text.is_empty() => Vec::new(),
        Some(Value::String(text)) => vec![json!({"type": "text", "text": text})],
        Some(Value::Array(all)) => all,
        _ => Vec::new(),
    }
}

/// The media type and data of a `data:` address.
pub(super) fn data_url(url: &str) -> Option<(&str, &str)> {
    let (kind, data) = url.strip_prefix("data:")?.split_once(";base64,")?;
    Some((kind, data))
}

/// An error for what the other wire cannot say.
pub(super) fn cannot<T>(what: impl Into<String>) -> Result<T, TranslateError> {
    Err(TranslateError::Cannot(what.into()))
}
