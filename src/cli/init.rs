//! `bsm init`: writes the built-in workspace out.

use std::path::PathBuf;

use clap::Args;

use crate::cli::context::shown;
use crate::cli::failure::{Failure, refuse_when_read_only};
use crate::cli::global::Global;
use crate::cli::output::say;
use crate::files::Root;
use crate::workspace::init;
use crate::workspace::trust::{self, TrustStore};

/// Write the built-in workspace into a folder, to make it your own. What is there already stays.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The folder
    #[arg(default_value = ".")]
    dir: PathBuf,
}

pub(super) fn run(global: &Global, args: &InitArgs) -> Result<u8, Failure> {
    refuse_when_read_only(global)?;
    let (written, kept) = init::init(&args.dir)
        .map_err(|e| Failure::usage(e, "Name a folder that can be written."))?;
    for path in &written {
        say(format!("wrote {}", shown(&args.dir.join(path))));
    }
    for path in &kept {
        say(format!("kept  {}", shown(&args.dir.join(path))));
    }
    if kept.is_empty() {
        // What was written is the built-in policy; an edit asks for trust again.
        let root = Root::open(&args.dir)
            .map_err(|e| Failure::usage(e, "Name a folder that can be opened."))?;
        let hash = trust::policy_hash(&root);
        TrustStore::load()
            .set(&args.dir, Some(&hash))
            .map_err(Failure::engine)?;
        say("It is trusted as it was written; after an edit: bsm trust");
    }
    say(format!("Now: bsm -C {} config check", shown(&args.dir)));
    Ok(0)
}
