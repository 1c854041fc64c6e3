//! A webhook's body as JSON: sent as such, or in a form; and as much of it as is kept.
//!
//! Why not all of it is kept: nine tenths of a body are addresses of GitHub's API, and every byte that is kept
//! is redacted and synced before the webhook is answered.

use serde_json::{Map, Value};

/// Largest body of a webhook, bytes: GitHub sends up to 25 MB.
pub const LARGEST_BODY: usize = 25 << 20;
/// Bytes of text that are kept of one body.
const KEPT: usize = 256 << 10;
/// Longest text that is kept of one value, bytes.
const TEXT: usize = 64 << 10;
/// Entries that are kept of one list.
const ENTRIES: usize = 100;
/// Depth that is kept.
const DEPTH: u8 = 12;

/// The JSON of a body: a form's `payload`, else the body itself. `kind`: its content type.
///
/// # Errors
/// A sentence: a form without `payload`.
pub fn json_of(kind: Option<&str>, body: Vec<u8>) -> Result<Vec<u8>, String> {
    let kind = kind.unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Ok(body);
    }
    url::form_urlencoded::parse(&body)
        .find(|(name, _)| name == "payload")
        .map(|(_, value)| value.into_owned().into_bytes())
        .ok_or_else(|| "the form has no field named payload".to_owned())
}

/// What is kept of a body: no addresses, long lists and texts cut.
pub fn kept(body: Value) -> Value {
    let mut left = KEPT;
    kept_of(body, DEPTH, &mut left)
}

fn kept_of(value: Value, depth: u8, left: &mut usize) -> Value {
    match value {
        Value::String(mut text) => {
            text.truncate(text.floor_char_boundary(TEXT.min(*left)));
            *left -= text.len();
            Value::String(text)
        }
        Value::Array(_) | Value::Object(_) if depth == 0 => Value::Null,
        Value::Array(list) => {
            let some = list.into_iter().take(ENTRIES);
            some.map(|v| kept_of(v, depth - 1, left)).collect()
        }
        Value::Object(map) => {
            let mut out = Map::new();
            for (key, value) in map {
                if is_address(&key) {
                    continue;
                }
                let cost = key.len() + 8;
                if cost > *left {
                    break;
                }
                *left -= cost;
                out.insert(key, kept_of(value, depth - 1, left));
            }
            Value::Object(out)
        }
        other => other,
    }
}

/// Fields that only lead to other pages.
fn is_address(key: &str) -> bool {
    key.ends_with("_url") || matches!(key, "url" | "_links" | "node_id" | "gravatar_id")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn form_gives_its_payload_and_json_itself() {
        let form = b"payload=%7B%22a%22%3A+%22b%26c%22%7D&x=1".to_vec();
        let read = json_of(
            Some("application/x-www-form-urlencoded; charset=utf-8"),
            form,
        );
        assert_eq!(read.unwrap(), br#"{"a": "b&c"}"#);
        for kind in [None, Some("application/json"), Some("text/plain")] {
            assert_eq!(
                json_of(kind, b"payload={}".to_vec()).unwrap(),
                b"payload={}"
            );
        }
        assert!(json_of(Some("Application/X-WWW-Form-Urlencoded"), b"a=b".to_vec()).is_err());
    }

    #[test]
    fn addresses_go_and_what_is_long_is_cut() {
        let body = json!({
            "action": "opened", "url": "x", "node_id": "y",
            "pull_request": {"title": "t", "html_url": "z", "_links": {}, "body": "é".repeat(100_000)},
            "commits": vec![json!({"id": 1}); 1_000],
        });
        let kept = kept(body);
        assert_eq!(kept["pull_request"]["title"], "t");
        assert_eq!(kept["commits"].as_array().unwrap().len(), ENTRIES);
        let text = kept["pull_request"]["body"].as_str().unwrap();
        assert!(text.len() <= TEXT && !text.is_empty());
        for (place, gone) in [("", "url"), ("", "node_id"), ("/pull_request", "html_url")] {
            assert!(kept.pointer(place).unwrap().get(gone).is_none(), "{gone}");
        }
    }

    #[test]
    fn body_of_any_size_and_depth_keeps_a_bounded_part() {
        let wide: Map<String, Value> = (0..50_000)
            .map(|n| (format!("key{n}"), json!("x".repeat(90))))
            .collect();
        let size = serde_json::to_vec(&kept(Value::Object(wide)))
            .unwrap()
            .len();
        assert!(size < 2 * KEPT, "{size}");
        let mut deep = json!("end");
        for _ in 0..100 {
            deep = json!({"in": deep});
        }
        assert!(kept(deep).to_string().len() < 200);
    }
}
