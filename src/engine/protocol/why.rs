//! Why something is as it is: ranked sentences from evidence, and what helps.

use serde::{Deserialize, Serialize};

/// What is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "about")]
pub enum About {
    /// The header's word: whatever is worst.
    Health,
    /// A provider: its breaker, its limit, its calls.
    Provider {
        /// Its name.
        name: String,
    },
    /// A pool.
    Pool {
        /// Its name.
        name: String,
    },
    /// A cache.
    Cache {
        /// Its name.
        name: String,
    },
    /// A run.
    Run {
        /// Its id.
        id: String,
    },
    /// Latency that we add.
    Latency,
}

/// Something that helps, by the name of the console's action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Help {
    /// The action's name, as in the palette.
    pub action: String,
    /// What it would do here.
    pub why: String,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// What it is about, in a few words.
    pub title: String,
    /// Sentences, the most telling first; harmless.
    pub because: Vec<String>,
    /// What helps.
    pub helps: Vec<Help>,
    /// The page to read.
    pub runbook: Option<String>,
}

impl Why {
    /// As a note for a chat or an issue.
    pub fn note(&self) -> String {
        let clean = |text: &str| crate::text::clean_line(text, 500);
        let because: Vec<String> = self.because.iter().map(|s| clean(s)).collect();
        let mut note = format!("{}\n\n{}\n", clean(&self.title), because.join(" "));
        for help in &self.helps {
            note.push_str(&format!("- {}: {}\n", help.action, clean(&help.why)));
        }
        if let Some(page) = &self.runbook {
            note.push_str(&format!("see {page}\n"));
        }
        note
    }
}
