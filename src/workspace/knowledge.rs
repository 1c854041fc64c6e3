//! Knowledge documents: `data/knowledge/index.json` and the files it lists.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::Deserialize;

use crate::file_set::FileSet;
use crate::files::FileError;
use crate::text::Untrusted;
use crate::workspace::built_in;

/// One document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its file's name.
    pub name: Untrusted,
    /// Its text.
    pub text: Untrusted,
}

/// The documents of a workspace and what could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Knowledge {
    /// In the order listed.
    pub documents: Vec<Document>,
    /// One line a failure.
    pub failures: Vec<String>,
}

impl Knowledge {
    /// The built-in documents.
    pub fn built_in() -> Self {
        Self {
            documents: vec![Document {
                name: "review-policy.md".into(),
                text: built_in::text("data/knowledge/review-policy.md").into(),
            }],
            failures: Vec::new(),
        }
    }
}

#[derive(Deserialize)]
struct Index {
    documents: Vec<String>,
}

/// Most documents read.
const MOST: usize = 200;

/// Loads the documents among a workspace's policy files (`None`: the built-in one's).
///
/// # Errors
/// When its index cannot be read.
pub fn load(files: Option<&FileSet>) -> Result<Knowledge, String> {
    let Some(root) = files else {
        return Ok(Knowledge::built_in());
    };
    let index = match root.read_text(
        Path::new("data/knowledge/index.json"),
        crate::workspace::yaml_file::LARGEST_FILE,
    ) {
        Ok(text) => serde_json::from_str::<Index>(&text).map_err(|e| {
            format!(
                "data/knowledge/index.json: {}",
                crate::workspace::yaml_file::without_values(&e.to_string())
            )
        })?,
        Err(FileError::NotFound(_)) => return Ok(Knowledge::default()),
        Err(error) => return Err(error.to_string()),
    };
    let mut knowledge = Knowledge::default();
    for name in index.documents.into_iter().take(MOST) {
        match root.read_text(
            &Path::new("data/knowledge").join(&name),
            crate::workspace::yaml_file::LARGEST_FILE,
        ) {
            Ok(text) => knowledge.documents.push(Document {
                name: name.into(),
                text: text.into(),
            }),
            Err(error) => knowledge
                .failures
                .push(crate::text::clean_line(&error.to_string(), 200)),
        }
    }
    Ok(knowledge)
}

/// The documents, those most like `about` first. Likeness: words that both have, rare ones weighing more
/// (inverse document frequency), by the square root of the document's words so that a long one does not
/// win by its length alone. Documents that are equally like keep their order.
pub fn by_likeness<'a>(documents: &'a [Document], about: &str) -> Vec<&'a Document> {
    if documents.len() < 2 {
        return documents.iter().collect();
    }
    let about = words(about);
    let sets: Vec<HashSet<String>> = documents.iter().map(|d| words(d.text.raw())).collect();
    let mut found_in: HashMap<&str, usize> = HashMap::new();
    for word in sets.iter().flatten() {
        *found_in.entry(word).or_default() += 1;
    }
    let likeness = |set: &HashSet<String>| -> f64 {
        let shared: f64 = set
            .intersection(&about)
            .map(|w| {
                let seen = found_in.get(w.as_str()).copied().unwrap_or(1);
                (1.0 + documents.len() as f64 / seen as f64).ln()
            })
            .sum();
        shared / (set.len().max(1) as f64).sqrt()
    };
    let mut ranked: Vec<(f64, &Document)> = sets.iter().map(likeness).zip(documents).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    ranked.into_iter().map(|(_, d)| d).collect()
}

fn words(text: &str) -> HashSet<String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|w| w.len() > 2)
        .map(str::to_lowercase)
        .collect()
}
