//! A rule file's TOML as a table whose keys are in lower case and whose rules know their class.
//!
//! Why apart: `build.rs` reads the files of the built-in packs with it, and the program those of operators.

use toml::{Table, Value};

/// Reads the text of a rule file.
///
/// # Errors
/// A line and what is wrong with it.
pub(super) fn table(text: &str) -> Result<Table, String> {
    let read: Table = text.parse().map_err(|e: toml::de::Error| {
        let line = e
            .span()
            .map_or(1, |s| text[..s.start].lines().count().max(1));
        format!("line {line}: {}", e.message())
    })?;
    let mut file = lowered(read);
    let class = file.get("class").cloned();
    if let (Some(class), Some(Value::Array(rules))) = (class, file.get_mut("rules")) {
        for rule in rules.iter_mut().filter_map(Value::as_table_mut) {
            rule.entry("class").or_insert_with(|| class.clone());
        }
    }
    Ok(file)
}

/// Every key in lower case, as gitleaks reads them; values stay as they are.
fn lowered(table: Table) -> Table {
    let pairs = table.into_iter();
    pairs
        .map(|(key, value)| (key.to_ascii_lowercase(), lowered_inside(value)))
        .collect()
}

fn lowered_inside(value: Value) -> Value {
    match value {
        Value::Table(table) => Value::Table(lowered(table)),
        Value::Array(values) => Value::Array(values.into_iter().map(lowered_inside).collect()),
        other => other,
    }
}
