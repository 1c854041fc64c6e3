//! Since when each reason holds.
//!
//! Why apart from the judge: it remembers, the judge does not.

use std::collections::BTreeMap;

use super::code::Code;
use super::finding::Finding;
use crate::engine::protocol::health::Reason;

/// The first time of every reason that holds now.
#[derive(Default)]
pub struct Since(BTreeMap<(Code, String), i64>);

impl Since {
    /// Adds the time to findings. A reason that is over is forgotten; when it comes back it is new.
    pub fn stamp(&mut self, findings: Vec<Finding>, now_ms: i64) -> Vec<Reason> {
        let mut holding = BTreeMap::new();
        let reasons = findings
            .into_iter()
            .map(|found| {
                let key = (found.code, subject(&found));
                let since_ms = self.0.get(&key).copied().unwrap_or(now_ms);
                holding.insert(key, since_ms);
                Reason {
                    code: found.code.as_str().to_owned(),
                    check: found.code.check().to_owned(),
                    level: found.level,
                    message: found.message,
                    since_ms,
                    runbook: found.code.runbook(),
                }
            })
            .collect();
        self.0 = holding;
        reasons
    }
}

/// What a reason is about: its message without its figures, which change while it holds.
fn subject(found: &Finding) -> String {
    let not_figure = |c: &char| !c.is_ascii_digit();
    found.message.chars().filter(not_figure).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::protocol::health::Level;

    #[test]
    fn since_stays_while_figures_change_and_begins_anew_after_a_pass() {
        let low = |percent: u32| {
            vec![Finding {
                code: Code::DiskLow,
                level: Level::Warn,
                message: format!("nearly full: {percent} % left"),
            }]
        };
        let mut since = Since::default();
        let mut at = |findings, now| since.stamp(findings, now).first().map(|r| r.since_ms);
        assert_eq!(at(low(9), 10), Some(10));
        assert_eq!(
            at(low(8), 20),
            Some(10),
            "the same reason with another figure"
        );
        assert_eq!(at(Vec::new(), 30), None);
        assert_eq!(at(low(8), 40), Some(40));
    }
}
