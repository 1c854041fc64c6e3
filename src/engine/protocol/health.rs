//! Health as every face shows it: checks, each with a level, and the reasons why one does not pass.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How a check stands.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// All is well.
    #[default]
    Pass,
    /// It works, but something is missing, or is not known yet.
    Warn,
    /// The engine cannot do its work.
    Fail,
}

impl Level {
    /// The word, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One thing that the judge looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// Its name: stable, in kebab case.
    pub name: String,
    /// The worst of its reasons; pass where there is none.
    pub level: Level,
}

/// Why a check does not pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reason {
    /// Stable, in kebab case: what scripts go by.
    pub code: String,
    /// The check that it belongs to.
    pub check: String,
    /// How bad it is.
    pub level: Level,
    /// A sentence for people, safe to show.
    pub message: String,
    /// Since when it holds, wall time in milliseconds; written as a time of RFC 3339.
    #[serde(rename = "since", serialize_with = "write_time")]
    pub since_ms: i64,
    /// The page that says what to do, a path in the repository.
    pub runbook: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn write_time<S: Serializer>(at_ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    let at = Timestamp::from_millisecond(*at_ms).unwrap_or_default();
    serializer.collect_str(&at)
}

/// A reason as it is now, or a sentence alone: what snapshots recorded before there were codes hold.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Sentence(String),
    #[serde(rename_all = "camelCase")]
    Reason {
        code: String,
        check: String,
        level: Level,
        message: String,
        since: String,
        runbook: String,
    },
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Written::deserialize(deserializer)? {
            Written::Sentence(message) => Self {
                code: "unknown".into(),
                check: "unknown".into(),
                level: Level::Warn,
                message,
                since_ms: 0,
                runbook: "docs/runbooks/health-degraded.md".into(),
            },
            Written::Reason {
                code,
                check,
                level,
                message,
                since,
                runbook,
            } => Self {
                code,
                check,
                level,
                message,
                since_ms: since
                    .parse::<Timestamp>()
                    .map_err(serde::de::Error::custom)?
                    .as_millisecond(),
                runbook,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_has_its_time_in_rfc_3339_and_reads_itself_and_older_sentences() {
        let reason = Reason {
            code: "drained".into(),
            check: "drain".into(),
            level: Level::Warn,
            message: "drained: no run is accepted".into(),
            since_ms: 1_700_000_000_123,
            runbook: "docs/runbooks/drained.md".into(),
        };
        let json = serde_json::to_value(&reason).unwrap();
        assert_eq!(json["since"], "2023-11-14T22:13:20.123Z");
        assert_eq!(serde_json::from_value::<Reason>(json).unwrap(), reason);
        let old: Reason = serde_json::from_str("\"openai open\"").unwrap();
        assert_eq!(
            (old.message.as_str(), old.code.as_str()),
            ("openai open", "unknown")
        );
    }
}
