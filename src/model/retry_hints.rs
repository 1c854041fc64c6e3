//! What an answer's headers say about asking again: how long to wait, whether it is any use, when a quota
//! begins anew. Everybody writes times in another way.

use std::time::Duration;

/// What an answer's headers ask of whoever might ask again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetryHints {
    /// Quiet for this long.
    pub retry_after: Option<Duration>,
    /// `x-should-retry`: the provider's own word on whether it is any use.
    pub should_retry: Option<bool>,
}

/// What the headers ask for: `x-should-retry`, and `retry-after-ms`, seconds (float) or an HTTP date.
pub fn wish(header: impl Fn(&str) -> Option<String>, now: jiff::Timestamp) -> RetryHints {
    RetryHints {
        should_retry: match header("x-should-retry").as_deref() {
            Some("false") => Some(false),
            Some("true") => Some(true),
            _ => None,
        },
        retry_after: retry_after(header, now),
    }
}

fn retry_after(header: impl Fn(&str) -> Option<String>, now: jiff::Timestamp) -> Option<Duration> {
    if let Some(ms) = header("retry-after-ms").and_then(|v| v.trim().parse::<f64>().ok()) {
        return seconds(ms / 1_000.0);
    }
    let value = header("retry-after")?;
    if let Ok(s) = value.trim().parse::<f64>() {
        return seconds(s);
    }
    let date = jiff::fmt::rfc2822::parse(value.trim()).ok()?.timestamp();
    seconds((date.as_millisecond() - now.as_millisecond()).max(0) as f64 / 1_000.0)
}

/// When a quota begins anew: `20ms`, `1s`, `6m0s`, `1h2m3.5s`, plain seconds, or a time (RFC 3339).
pub fn reset(value: &str, now: jiff::Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(at) = value.parse::<jiff::Timestamp>() {
        let ms = (at.as_millisecond() - now.as_millisecond()).max(0);
        return seconds(ms as f64 / 1_000.0);
    }
    if let Ok(s) = value.parse::<f64>() {
        return seconds(s);
    }
    let (mut rest, mut sum) = (value, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit_end = rest[digits..]
            .find(|c: char| c.is_ascii_digit())
            .map_or(rest.len(), |at| digits + at);
        sum += number
            * match &rest[digits..unit_end] {
                "ms" => 0.001,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3_600.0,
                "d" => 86_400.0,
                _ => return None,
            };
        rest = &rest[unit_end..];
    }
    seconds(sum)
}

fn seconds(s: f64) -> Option<Duration> {
    const DAY: f64 = 86_400.0;
    (s.is_finite() && s >= 0.0).then(|| Duration::from_secs_f64(s.min(DAY)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_retry_after() {
        let now = jiff::Timestamp::from_second(784_111_770).unwrap();
        let after = |name: &'static str, value: &'static str| {
            retry_after(|h| (h == name).then(|| value.to_owned()), now)
        };
        assert_eq!(
            after("retry-after-ms", "1500"),
            Some(Duration::from_millis(1_500))
        );
        assert_eq!(
            after("retry-after", "2.5"),
            Some(Duration::from_millis(2_500))
        );
        assert_eq!(
            after("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(Duration::from_secs(7))
        );
        assert_eq!(after("retry-after", "soon"), None);
        assert_eq!(after("retry-after", "-1"), None);
        let resets = [
            ("20ms", Some(20)),
            ("1s", Some(1_000)),
            ("6m0s", Some(360_000)),
            ("1h2m3.5s", Some(3_723_500)),
            ("7", Some(7_000)),
            ("1994-11-06T08:49:37Z", Some(7_000)),
            ("soon", None),
            ("1x", None),
            ("", Some(0)),
        ];
        for (text, ms) in resets {
            assert_eq!(reset(text, now), ms.map(Duration::from_millis), "{text}");
        }
        let no_use = wish(|h| (h == "x-should-retry").then(|| "false".into()), now);
        assert_eq!(no_use.should_retry, Some(false));
    }
}
