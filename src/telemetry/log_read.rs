//! Reading the log files back: the newest lines that match, without loading the files whole.
//!
//! Why from the end: an operator asks for the last lines of a run, and a day's file may be large.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::filter::{Filter, Row, lowered};
use crate::text::Untrusted;

/// Which lines are wanted. Absent fields match everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LogFilter {
    /// The run's id.
    pub run: Option<String>,
    /// The agent's id.
    pub agent: Option<String>,
    /// The correlation id.
    pub correlation: Option<String>,
    /// The least severe level wanted: `error`, `warn`, `info`, `debug`, `trace`.
    pub level: Option<String>,
    /// Text anywhere in the line, case-insensitive.
    pub text: Option<String>,
    /// The filter language's terms, all of which must hold.
    pub terms: String,
    /// At most this many lines, the newest.
    pub limit: usize,
    /// Written at this time or later, wall time in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_ms: Option<i64>,
    /// Written at this time or earlier, wall time in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_ms: Option<i64>,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    /// Time as written (RFC 3339, UTC).
    pub at: String,
    /// `ERROR`, `WARN`, …
    pub level: String,
    /// The part of the program.
    pub target: String,
    /// What happened; may hold outside text.
    pub message: Untrusted,
    /// The run it belongs to.
    pub run: Option<String>,
    /// The correlation id.
    pub correlation: Option<String>,
    /// All other fields, `name=value`.
    pub fields: Untrusted,
}

const CHUNK: u64 = 64 * 1024;
/// A search that matches little stops here, so that a key press never reads gigabytes.
const MOST_READ: u64 = 64 << 20;

/// The newest matching lines, oldest of them first.
pub fn read(dir: &Path, filter: &LogFilter) -> io::Result<Vec<LogLine>> {
    let mut files: Vec<PathBuf> = match std::fs::read_dir(dir) {
        Ok(entries) => entries
            .flatten()
            .map(|e| e.path())
            .filter(|p| p.extension().is_some_and(|e| e == "jsonl"))
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    files.sort();
    // Read once, not for each of a million lines.
    let terms = Filter::read(&filter.terms);
    let plain = LogFilter {
        terms: String::new(),
        ..filter.clone()
    };
    let mut found = Vec::new();
    let mut budget = MOST_READ;
    // Files of later days would use up the budget.
    let may_hold = |path: &&PathBuf| match (filter.to_ms, day_began_ms(path)) {
        (Some(to), Some(began)) => began <= to,
        _ => true,
    };
    for path in files.iter().rev().filter(may_hold) {
        let mut is_over = false;
        backwards(path, &mut budget, |line| {
            if let Some(line) = parse(line) {
                is_over = is_before(&line, filter.from_ms);
                if !is_over && matches(&line, &plain) && terms.passes(&line) {
                    found.push(line);
                }
            }
            !is_over && found.len() < filter.limit
        })?;
        if is_over || found.len() >= filter.limit || budget == 0 {
            break;
        }
    }
    found.reverse();
    Ok(found)
}

/// Lines of threads may stand a little out of order.
const SLACK_MS: i64 = 5_000;

/// True when no older line can be wanted.
fn is_before(line: &LogLine, from_ms: Option<i64>) -> bool {
    let (Some(from), Some(at)) = (from_ms, line.at_ms()) else {
        return false;
    };
    at < from.saturating_sub(SLACK_MS)
}

/// When the day of a file began (UTC), by its name: `bsm.2026-01-01.jsonl`.
fn day_began_ms(path: &Path) -> Option<i64> {
    let name = path.file_name()?.to_str()?;
    let day: jiff::civil::Date = name.split('.').find_map(|part| part.parse().ok())?;
    let began = day.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(began.timestamp().as_millisecond())
}

/// Calls `each` with every line, last first, until it returns false or the budget of bytes is used.
fn backwards(path: &Path, budget: &mut u64, mut each: impl FnMut(&str) -> bool) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut end = file.metadata()?.len();
    let mut tail: Vec<u8> = Vec::new();
    while end > 0 && *budget > 0 {
        let start = end.saturating_sub(CHUNK);
        let mut chunk = vec![0; (end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut chunk)?;
        *budget = budget.saturating_sub(end - start);
        end = start;
        chunk.extend_from_slice(&tail);
        // The first line of the chunk may have begun earlier; it waits for the chunk before.
        let complete_from = if start == 0 {
            0
        } else {
            chunk
                .iter()
                .position(|b| *b == b'\n')
                .map_or(chunk.len(), |at| at + 1)
        };
        for line in chunk[complete_from..]
            .rsplit(|b| *b == b'\n')
            .filter(|l| !l.is_empty())
        {
            if !each(&String::from_utf8_lossy(line)) {
                return Ok(());
            }
        }
        chunk.truncate(complete_from);
        tail = chunk;
        if tail.len() as u64 > MOST_READ {
            break;
        }
    }
    Ok(())
}

/// Parses one line; a line that is not ours (cut by a crash) is skipped.
pub fn parse(line: &str) -> Option<LogLine> {
    let serde_json::Value::Object(mut map) = serde_json::from_str(line).ok()? else {
        return None;
    };
    let mut take = |key: &str| {
        map.shift_remove(key)
            .map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
    };
    let at = take("timestamp")?;
    let level = take("level")?;
    let target = take("target").unwrap_or_default();
    let message = take("message").unwrap_or_default();
    let (run, correlation) = (take("run"), take("corr"));
    let fields = map.iter().map(|(k, v)| {
        format!(
            "{k}={}",
            v.as_str().map_or_else(|| v.to_string(), str::to_owned)
        )
    });
    let fields = fields.collect::<Vec<_>>().join(" ");
    Some(LogLine {
        at,
        level,
        target,
        message: message.into(),
        run,
        correlation,
        fields: fields.into(),
    })
}

impl LogLine {
    /// When it was written, wall time in milliseconds; `None`: its time cannot be read.
    pub fn at_ms(&self) -> Option<i64> {
        let at: jiff::Timestamp = self.at.parse().ok()?;
        Some(at.as_millisecond())
    }
}

/// True when the line passes the filter.
pub fn matches(line: &LogLine, filter: &LogFilter) -> bool {
    let same = |want: &Option<String>, got: &Option<String>| want.is_none() || want == got;
    let agent = filter
        .agent
        .as_ref()
        .is_none_or(|a| line.fields.raw().contains(&format!("agent={a}")));
    let text = filter.text.as_ref().is_none_or(|t| {
        let t = t.to_lowercase();
        line.message.raw().to_lowercase().contains(&t)
            || line.fields.raw().to_lowercase().contains(&t)
    });
    let level = filter
        .level
        .as_ref()
        .is_none_or(|least| severity(&line.level) <= severity(least));
    let (from, to) = (
        filter.from_ms.unwrap_or(i64::MIN),
        filter.to_ms.unwrap_or(i64::MAX),
    );
    let bounded = filter.from_ms.is_some() || filter.to_ms.is_some();
    let in_time = !bounded || line.at_ms().is_some_and(|at| (from..=to).contains(&at));
    in_time
        && same(&filter.run, &line.run)
        && same(&filter.correlation, &line.correlation)
        && agent
        && text
        && level
        && (filter.terms.is_empty() || Filter::read(&filter.terms).passes(line))
}

impl Row for LogLine {
    fn field(&self, key: &str) -> Vec<String> {
        match key {
            "level" => vec![lowered(&self.level)],
            "run" => self.run.iter().map(|r| lowered(r)).collect(),
            "corr" => self.correlation.iter().map(|c| lowered(c)).collect(),
            "at" => vec![lowered(&self.at)],
            "target" => vec![lowered(&self.target)],
            "text" | "message" => vec![lowered(self.message.raw())],
            // Any other field, as it stands in the line: `agent=security-agent`.
            key => lowered(self.fields.raw())
                .split_whitespace()
                .filter_map(|pair| pair.strip_prefix(key)?.strip_prefix('=').map(str::to_owned))
                .collect(),
        }
    }

    /// `age`: milliseconds since it was written, so that `age<10m` reads as it is meant.
    fn number(&self, key: &str) -> Option<u64> {
        if key == "age" {
            let now = jiff::Timestamp::now().as_millisecond();
            return u64::try_from(now - self.at_ms()?).ok();
        }
        self.field(key).first()?.parse().ok()
    }

    fn shows(&self, word: &str) -> bool {
        let has = |text: &str| lowered(text).contains(word);
        has(self.message.raw())
            || has(self.fields.raw())
            || has(&self.level)
            || self.run.as_deref().is_some_and(has)
    }
}

fn severity(level: &str) -> u8 {
    match level.to_ascii_lowercase().as_str() {
        "error" => 0,
        "warn" => 1,
        "info" => 2,
        "debug" => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_matching_lines_across_files_and_chunks() {
        let dir = tempfile::tempdir().unwrap();
        let line = |i: usize, level: &str, pad: usize| {
            format!(
                r#"{{"timestamp":"t{i}","level":"{level}","message":"m{i}{}","target":"bsm","run":"r{}","agent":"a"}}"#,
                "x".repeat(pad),
                i % 2
            )
        };
        let write = |name: &str, lines: Vec<String>| {
            std::fs::write(dir.path().join(name), lines.join("\n") + "\n").unwrap();
        };
        write(
            "bsm.2026-01-01.jsonl",
            (0..50).map(|i| line(i, "INFO", 10)).collect(),
        );
        write(
            "bsm.2026-01-02.jsonl",
            (50..2_000)
                .map(|i| line(i, if i % 100 == 0 { "ERROR" } else { "INFO" }, 200))
                .collect(),
        );
        let filter = LogFilter {
            run: Some("r1".into()),
            limit: 3,
            ..LogFilter::default()
        };
        let ats: Vec<_> = read(dir.path(), &filter)
            .unwrap()
            .into_iter()
            .map(|l| l.at)
            .collect();
        assert_eq!(ats, ["t1995", "t1997", "t1999"]);
        let errors = LogFilter {
            level: Some("error".into()),
            limit: 100,
            ..LogFilter::default()
        };
        assert_eq!(read(dir.path(), &errors).unwrap().len(), 19);
        let all = LogFilter {
            limit: usize::MAX,
            ..LogFilter::default()
        };
        assert_eq!(read(dir.path(), &all).unwrap().len(), 2_000);
        assert!(read(&dir.path().join("none"), &all).unwrap().is_empty());
    }

    #[test]
    fn span_of_time_is_read_without_the_files_of_later_days() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, at: &str| {
            let line = format!(
                r#"{{"timestamp":"{at}","level":"WARN","message":"at {at}","target":"bsm"}}"#
            );
            let path = dir.path().join(name);
            let before = std::fs::read_to_string(&path).unwrap_or_default();
            std::fs::write(path, format!("{before}{line}\n")).unwrap();
        };
        for minute in 0..60 {
            let at = format!("2026-11-20T14:{minute:02}:00.000001Z");
            write("bsm.2026-11-20.jsonl", &at);
            let at = format!("2026-11-21T14:{minute:02}:00.000001Z");
            write("bsm.2026-11-21.jsonl", &at);
        }
        let ms = |at: &str| at.parse::<jiff::Timestamp>().unwrap().as_millisecond();
        let span = LogFilter {
            from_ms: Some(ms("2026-11-20T14:10:00Z")),
            to_ms: Some(ms("2026-11-20T14:12:00Z")),
            limit: 100,
            ..LogFilter::default()
        };
        let read_ats = |filter: &LogFilter| -> Vec<String> {
            let lines = read(dir.path(), filter).unwrap();
            lines.into_iter().map(|l| l.at).collect()
        };
        assert_eq!(
            read_ats(&span),
            [10, 11, 12].map(|m| format!("2026-11-20T14:{m}:00.000001Z"))
        );
        let newer = LogFilter {
            from_ms: Some(ms("2026-11-21T14:58:30Z")),
            limit: 100,
            ..LogFilter::default()
        };
        assert_eq!(read_ats(&newer), ["2026-11-21T14:59:00.000001Z"]);
        assert!(day_began_ms(Path::new("bsm.2026-11-20.000001.jsonl")).is_some());
        assert!(day_began_ms(Path::new("notes.jsonl")).is_none());
    }

    #[test]
    fn since_keeps_lines_that_are_no_older() {
        let now = jiff::Timestamp::now();
        let line = |age_s: i64| LogLine {
            at: (now - jiff::SignedDuration::from_secs(age_s)).to_string(),
            level: "INFO".into(),
            target: String::new(),
            message: "m".into(),
            run: None,
            correlation: None,
            fields: "".into(),
        };
        let filter = Filter::read("since:10m level:info");
        assert!(filter.passes(&line(60)));
        assert!(!filter.passes(&line(3_600)));
        assert!(Filter::read("age>30m").passes(&line(3_600)));
    }
}
