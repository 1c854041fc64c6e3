//! Options that every command takes.

use clap::ValueEnum;
use std::path::PathBuf;

/// Colour of the output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// Where it is a terminal and NO_COLOR is not set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What every command understands.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The workspace's folder (default: the nearest one at or above this folder, else the built-in one)
    #[arg(short = 'C', long = "workspace", value_name = "DIR", global = true)]
    pub workspace: Option<PathBuf>,
    /// Your own settings file instead of $XDG_CONFIG_HOME/bsm/config.yaml
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Variables from a file (NAME=value); those already set win
    #[arg(long, value_name = "FILE", global = true)]
    pub env_file: Option<PathBuf>,
    /// Ask no model: rules decide
    #[arg(long, global = true)]
    pub offline: bool,
    /// Ask the built-in simulator instead of real models; nothing leaves this machine
    #[arg(long, global = true, conflicts_with = "offline")]
    pub simulate: bool,
    /// Show only; refuse every command
    #[arg(long, global = true)]
    pub read_only: bool,
    /// Colour of the output
    #[arg(long, value_enum, default_value_t, global = true)]
    pub color: Color,
    /// Only ASCII characters on the screen
    #[arg(long, global = true)]
    pub ascii: bool,
    /// error, warn, info, debug, trace, or a filter such as info,bsm::model=debug
    #[arg(long, value_name = "LEVEL", global = true)]
    pub log_level: Option<String>,
    /// Frames a second of the console, at most
    #[arg(long, value_name = "N", global = true)]
    pub fps: Option<u32>,
    /// The command keeps nothing: it needs no state directory, and looks for none.
    #[arg(skip)]
    pub stateless: bool,
}
