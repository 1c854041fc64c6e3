//! `bsm config`: the settings in effect, each with where it came from.

use clap::{Args, Subcommand};

use crate::cli::check;
use crate::cli::context::{self, Setup};
use crate::cli::failure::Failure;
use crate::cli::global::Global;
use crate::cli::output::say;
use crate::settings::layers::{Loaded, variable_of};
use crate::text::{clean_line, json_pretty};

/// Print the settings in effect and where each came from, or check the workspace.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: Option<ConfigCommand>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Check the workspace: every rule, each problem with its place
    Check(check::CheckArgs),
}

pub(super) fn run(global: &Global, args: &ConfigArgs) -> Result<u8, Failure> {
    if let Some(ConfigCommand::Check(args)) = &args.command {
        return check::run(global, args);
    }
    let setup = match Setup::read(global) {
        Ok(setup) => setup,
        // Messages about settings point here: the keys are listed all the same.
        Err(failure) if failure.is_of_settings() => {
            print(&context::built_in_settings()?, args.json)?;
            if !args.json {
                say("# built-in values; your own settings cannot be read:");
            }
            return Err(failure);
        }
        Err(other) => return Err(other),
    };
    print(&setup.loaded, args.json)?;
    if args.json {
        return Ok(0);
    }
    let root = setup
        .root
        .as_ref()
        .map_or_else(|| "(built-in)".into(), |r| r.display().to_string());
    say(format!("# workspace {}", clean_line(&root, 300)));
    say(format!(
        "# state     {}",
        clean_line(&setup.state.path().display().to_string(), 300)
    ));
    Ok(0)
}

fn print(loaded: &Loaded, json: bool) -> Result<(), Failure> {
    if json {
        let lines: Vec<_> = loaded
            .effective
            .iter()
            .map(|e| serde_json::json!({"key": e.key, "value": e.value, "from": e.origin.summary(), "env": variable_of(&e.key)}))
            .collect();
        say(json_pretty(&lines).map_err(Failure::engine)?);
        return Ok(());
    }
    for line in &loaded.effective {
        let value = line
            .value
            .as_str()
            .map_or_else(|| line.value.to_string(), str::to_owned);
        say(format!(
            "{:<36} {:<24} {}",
            line.key,
            clean_line(&value, 200),
            clean_line(&line.origin.summary(), 200)
        ));
    }
    for warning in &loaded.warnings {
        say(format!("# {}", clean_line(warning, 300)));
    }
    Ok(())
}
