//! Why something was as it was at a past moment: the same sentences from the picture that was recorded then. What was
//! not recorded is said to be unknown, and nothing of later times gets in.

use crate::engine::observe::explain::explain;
use crate::engine::observe::explain::facts::ago;
use crate::engine::protocol::call::CallView;
use crate::engine::protocol::history::SnapshotAt;
use crate::engine::protocol::run::RunResult;
use crate::engine::protocol::snapshot::Snapshot;
use crate::engine::protocol::why::{About, Why};
use crate::text::clean_line;

/// A picture this much older than the moment that was asked about is named as such, milliseconds.
const NEAR_MS: i64 = 60_000;

/// What is known of a past moment.
pub struct Past<'a> {
    /// The moment that is asked about, wall time in milliseconds.
    pub asked_ms: i64,
    /// The newest recorded picture at or before it.
    pub moment: Option<&'a SnapshotAt>,
    /// The newest attempts that are kept, newest first; later ones too.
    pub calls: &'a [CallView],
    /// The run as the journal has it now, where the question is about one.
    pub run: Option<&'a RunResult>,
}

fn clock(ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    let at = at.to_zoned(jiff::tz::TimeZone::system());
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// What is asked about, in words.
fn subject(about: &About) -> String {
    let name = |name: &str| clean_line(name, 60);
    match about {
        About::Health => "The engine".to_owned(),
        About::Latency => "Latency".to_owned(),
        About::Provider { name: n } | About::Pool { name: n } | About::Cache { name: n } => name(n),
        About::Run { id } => format!("Run {}", name(id)),
    }
}

impl Past<'_> {
    /// Explains `about` as of that moment.
    pub fn explain(&self, about: &About) -> Why {
        let Some(moment) = self.moment else {
            return Why {
                title: format!("Unknown at {}", clock(self.asked_ms)),
                because: vec!["Nothing was recorded at this moment or before it.".to_owned()],
                helps: Vec::new(),
                runbook: None,
            };
        };
        let picture = &moment.picture;
        let calls: Vec<CallView> = self
            .calls
            .iter()
            .filter(|c| c.at_ms <= moment.at_ms)
            .cloned()
            .collect();
        let explained = match about {
            About::Run { id } => self.run_then(id, picture, moment.at_ms, &calls),
            _ => explain(about, picture, &calls, None, moment.at_ms),
        };
        let mut why = explained.unwrap_or_else(|| Why {
            title: format!("{} unknown", subject(about)),
            because: vec![format!(
                "{} is not in the picture that was recorded then.",
                subject(about)
            )],
            helps: Vec::new(),
            runbook: None,
        });
        // What would help now does not change what was.
        why.helps.clear();
        why.title = format!("{}, as of {}", why.title, clock(moment.at_ms));
        why.because.extend(self.unknown(moment, &calls));
        why
    }

    /// A run as far as it had come; `None`: it had not begun, or is not known.
    fn run_then(
        &self,
        id: &str,
        picture: &Snapshot,
        at_ms: i64,
        calls: &[CallView],
    ) -> Option<Why> {
        let entry = picture.runs.iter().find(|r| r.id == id);
        let ended = self.run.filter(|r| {
            let took = r.duration_ms.and_then(|ms| i64::try_from(ms).ok());
            let end = took.map(|ms| r.created_at + ms);
            r.decision.is_some() && end.is_some_and(|end| end <= at_ms)
        });
        if let Some(run) = ended {
            let about = About::Run { id: id.to_owned() };
            return explain(&about, picture, calls, Some(run), at_ms);
        }
        let entry = entry?;
        let (over, all) = entry.progress();
        let mut because = vec![format!("{over} of {all} agents had ended.")];
        if let Some(why) = entry.why_at(at_ms) {
            because.push(format!("{}.", clean_line(&why, 160)));
        }
        because.push("What its agents did at this moment is not recorded one by one.".to_owned());
        Some(Why {
            title: format!(
                "Run {} {}",
                clean_line(id.rsplit('_').next().unwrap_or_default(), 20),
                format!("{:?}", entry.state).to_lowercase()
            ),
            because,
            helps: Vec::new(),
            runbook: None,
        })
    }

    /// What these sentences cannot know.
    fn unknown(&self, moment: &SnapshotAt, calls: &[CallView]) -> Vec<String> {
        let mut out = Vec::new();
        let late = self.asked_ms - moment.at_ms;
        if late > NEAR_MS {
            out.push(format!(
                "The newest picture before {} is {} older; what happened between is unknown.",
                clock(self.asked_ms),
                ago(late)
            ));
        }
        if !moment.this_life {
            out.push(
                "It is of another start of the engine; single calls of it are unknown.".into(),
            );
        } else if calls.is_empty() {
            out.push("Single calls of that time are not kept any more: they are unknown.".into());
        }
        if moment.picture.provider_rows.is_empty() {
            out.push("Figures of single providers were not recorded then.".to_owned());
        }
        out
    }
}
