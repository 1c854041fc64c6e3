//! Where a run's findings are written for other tools: files, or lines that GitHub's runners read.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{Failure, say};
use crate::engine::types::run::RunResult;
use crate::engine::{forms, report};
use crate::text::json_pretty;

/// Forms of the result for other tools.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "For other tools")]
pub(super) struct Forms {
    /// Write the findings as SARIF 2.1.0
    #[arg(long, value_name = "FILE")]
    sarif: Option<PathBuf>,
    /// Write the findings as reviewdog's diagnostics, one JSON object a line
    #[arg(long, value_name = "FILE")]
    rdjsonl: Option<PathBuf>,
    /// Write the report in Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Print GitHub's annotations instead of the result
    #[arg(long, conflicts_with = "json")]
    annotations: bool,
}

impl Forms {
    /// Writes what was asked for; true when that takes the place of the printed result.
    pub(super) fn write(&self, run: &RunResult) -> Result<bool, Failure> {
        if let Some(path) = &self.sarif {
            let text = json_pretty(&forms::sarif(run)).map_err(Failure::engine)?;
            write(path, &format!("{text}\n"))?;
        }
        if let Some(path) = &self.rdjsonl {
            write(path, &forms::rdjsonl(run).map_err(Failure::engine)?)?;
        }
        if let Some(path) = &self.markdown {
            write(path, &report::render(run))?;
        }
        if self.annotations {
            say(forms::annotations(run).trim_end());
        }
        Ok(self.annotations)
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    let fail = |e: std::io::Error| {
        Failure::usage(
            format!("{}: {e}", super::setup::shown(path)),
            "Name a file that can be written.",
        )
    };
    if path.as_os_str() == "-" {
        say(text.trim_end());
        return Ok(());
    }
    let new = !path.exists();
    std::fs::write(path, text).map_err(fail)?;
    if new && path.is_file() {
        // It is meant for others; the process' own files are private.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).map_err(fail)?;
    }
    Ok(())
}
