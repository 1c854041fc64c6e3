//! Takes secrets out of text before anyone else sees it.
//!
//! Why one detector: what counts as a secret in a finding must be the same as what is taken out of
//! prompts, journal, reports and logs. Beside the rules, the values of configured keys are known
//! exactly and are taken out in every form that `known_secrets.rs` knows.

use sha2::{Digest as _, Sha256};

use super::budget::Budget;
use super::known_secrets::KnownSecrets;
use super::packs;
use super::policy::Rules;
use super::prepared_text::PreparedText;
use super::rules::{Looking, RuleSet};
use bsm_base::hex;

/// Finds and masks secrets.
#[derive(Clone)]
pub struct Redactor {
    /// `None`: the built-in packs, compiled when they are first needed.
    rules: Option<Rules>,
    known: Option<KnownSecrets>,
    salt: [u8; 32],
}

impl Redactor {
    /// A redactor over the given rules (`None`: the built-in ones) and the values of configured keys.
    pub fn new(rules: Option<Rules>, known: &[String], salt: [u8; 32]) -> Self {
        let known = KnownSecrets::new(known);
        Self { rules, known, salt }
    }

    /// A redactor over the built-in packs, which are not compiled before they are needed.
    pub fn built_in(known: &[String], salt: [u8; 32]) -> Self {
        Self::new(None, known, salt)
    }

    /// The same salt with other rules and known values.
    #[must_use]
    pub fn renewed(&self, rules: Option<Rules>, known: &[String]) -> Self {
        Self::new(rules, known, self.salt)
    }

    /// The rules it uses.
    pub fn rules(&self) -> &RuleSet {
        match &self.rules {
            Some(rules) => rules,
            None => packs::built_in(),
        }
    }

    /// A mark that only this installation can make of a text: 32 hex digits.
    pub fn mark(&self, text: &[u8]) -> String {
        let hash = Sha256::new()
            .chain_update(b"mark")
            .chain_update(self.salt)
            .chain_update(text);
        bsm_base::hex(&hash.finalize()[..16])
    }

    /// The salted fingerprint of a secret: 16 hex digits.
    pub fn fingerprint(&self, secret: &[u8]) -> String {
        let mut hash = Sha256::new();
        hash.update(self.salt);
        hash.update(secret);
        hex(&hash.finalize()[..8])
    }

    /// Byte ranges of all secrets in `text`, sorted and merged, each with the mark that replaces it.
    pub fn spans(&self, path: &str, text: &[u8]) -> Vec<(usize, usize, String)> {
        let prepared = self.rules().prepare(path, text);
        self.spans_of(&prepared, &Budget::unlimited())
    }

    /// As [`Redactor::spans`], of a text that its rules were prepared for.
    pub fn spans_of(
        &self,
        prepared: &PreparedText,
        budget: &Budget,
    ) -> Vec<(usize, usize, String)> {
        let text = prepared.text();
        let mut spans: Vec<(usize, usize, String)> = Vec::new();
        for hit in prepared.find(Looking::Secrets, budget) {
            let rule = &self.rules().rules()[hit.rule].id;
            spans.push((hit.start, hit.end, rule.clone()));
        }
        if let Some(known) = &self.known {
            let places = known.find(text).into_iter();
            spans.extend(places.map(|(start, end)| (start, end, "configured key".to_owned())));
        }
        spans.sort();
        let mut merged: Vec<(usize, usize, String)> = Vec::with_capacity(spans.len());
        for (start, end, name) in spans {
            match merged.last_mut() {
                Some(last) if start < last.1 => last.1 = last.1.max(end),
                _ => merged.push((start, end, name)),
            }
        }
        for (start, end, name) in &mut merged {
            if budget.is_over() {
                break; // What is not redacted in time is not kept at all.
            }
            *name = format!(
                "‹redacted {name}, {} bytes, {}›",
                *end - *start,
                self.fingerprint(&text[*start..*end])
            );
        }
        merged
    }

    /// `text` with every secret replaced by its mark.
    pub fn text(&self, text: &str) -> String {
        let spans = self.spans("", text.as_bytes());
        if spans.is_empty() {
            return text.to_owned();
        }
        let mut out = Vec::with_capacity(text.len());
        let mut at = 0;
        for (start, end, mark) in spans {
            out.extend_from_slice(&text.as_bytes()[at..start]);
            out.extend_from_slice(mark.as_bytes());
            at = end;
        }
        out.extend_from_slice(&text.as_bytes()[at..]);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// A JSON value with every secret in its strings and keys replaced.
    pub fn json(&self, value: &serde_json::Value) -> serde_json::Value {
        use serde_json::Value;
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => Value::Array(items.iter().map(|v| self.json(v)).collect()),
            Value::Object(map) => Value::Object(
                map.iter()
                    .map(|(k, v)| (self.text(k), self.member(k, v)))
                    .collect(),
            ),
            other => other.clone(),
        }
    }

    /// A member of an object: its name may be what makes its value a secret (`"password": "…"`).
    fn member(&self, key: &str, value: &serde_json::Value) -> serde_json::Value {
        if let serde_json::Value::String(text) = value {
            let line = format!("{key} = \"{text}\"");
            if let Some((_, _, mark)) = self.spans("", line.as_bytes()).into_iter().next() {
                return serde_json::Value::String(mark);
            }
        }
        self.json(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor() -> Redactor {
        Redactor::built_in(&["hunter2-hunter2/+".to_owned()], [7; 32])
    }

    #[test]
    fn rules_and_known_values_in_every_form() {
        let r = redactor();
        let token = format!("ghp_{}", "a1B2c3D4e5".repeat(4)); // assembled: no whole token in the tree
        let out = r.text(&format!("push with {token} now"));
        assert!(
            !out.contains(&token) && out.contains("secrets/github-token"),
            "{out}"
        );
        assert_eq!(r.text("nothing here"), "nothing here");
    }

    #[test]
    fn json_keys_values_and_named_passwords() {
        let r = redactor();
        let value =
            serde_json::json!({"a": ["hunter2-hunter2/+"], "password": "Zk9#vQ2!xW7p", "n": 1});
        let out = r.json(&value).to_string();
        assert!(!out.contains("hunter2") && !out.contains("Zk9#"), "{out}");
    }
}
