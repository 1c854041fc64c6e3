//! The environment, read once: the process's variables with an `--env-file` beneath them.
//!
//! Why not the process's own table: changing it is unsafe once threads run, and a test must be able to
//! bring its own.

use std::collections::BTreeMap;
use std::fmt;

/// Variables by name. `Debug` never shows a value.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Env(BTreeMap<String, String>);

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

impl Env {
    /// The process's variables; those that are not UTF-8 are left out.
    pub fn process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
                .collect(),
        )
    }

    /// Variables of a test's own.
    pub fn of<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .collect(),
        )
    }

    /// Adds the lines of an env file (`NAME=value`, `#` comments, optional quotes); what is already set
    /// stays.
    ///
    /// # Errors
    /// A sentence with the line's number.
    pub fn add_file(&mut self, text: &str) -> Result<(), String> {
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let line = line.strip_prefix("export ").unwrap_or(line);
            let (name, value) = line
                .split_once('=')
                .ok_or_else(|| format!("line {}: want NAME=value", index + 1))?;
            let value = value.trim();
            let unquoted = ['"', '\'']
                .iter()
                .find_map(|q| value.strip_prefix(*q)?.strip_suffix(*q))
                .unwrap_or(value);
            self.0
                .entry(name.trim().to_owned())
                .or_insert_with(|| unquoted.to_owned());
        }
        Ok(())
    }

    /// A variable's value, if it is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|v| !v.is_empty())
    }

    /// Every name that begins with `prefix`.
    pub fn names(&self, prefix: &str) -> impl Iterator<Item = &str> {
        self.0
            .keys()
            .map(String::as_str)
            .filter(move |k| k.starts_with(prefix))
    }
}

/// `true 1 yes on` / `false 0 no off`.
///
/// # Errors
/// A sentence that names the variable.
pub fn boolean(name: &str, value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(format!(
            "{name} is '{}': want true, 1, yes, on or false, 0, no, off",
            crate::text::clean_line(value, 40)
        )),
    }
}
