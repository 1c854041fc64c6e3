//! `bsm simulate`: the simulator on its own, for other programs and for trying out what breaks them.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::cli::context;
use crate::cli::failure::Failure;
use crate::cli::global::Global;
use crate::cli::output::say;
use crate::model::simulator::faults::preset;
use crate::model::simulator::{Behaviour, Faults, PRESETS, Simulator, SimulatorSettings, Switch};
use crate::text::clean_line;

/// A mock model server with fault injection: chat completions and Anthropic's Messages.
///
/// GET /faults says how it behaves and what it did; PUT /faults changes it, for all or for one provider
/// (its questions come to /NAME/v1/…).
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bsm simulate --listen 127.0.0.1:8099
  OPENAI_BASE_URL=http://127.0.0.1:8099/openai/v1 OPENAI_API_KEY=any bsm
  curl -X PUT 127.0.0.1:8099/faults -d '{\"provider\": \"openai\", \"preset\": \"brownout\"}'
  curl -X PUT 127.0.0.1:8099/faults -d '{\"faults\": {\"latency\": {\"p50\": 200, \"p99\": 4000},
      \"shares\": [{\"percent\": 5, \"fault\": \"status\", \"status\": 429, \"retryAfter\": {\"form\": \"seconds\", \"ms\": 2000}}]}}'")]
pub struct SimulateArgs {
    /// Where to listen (default: a free port of loopback)
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The same seed and questions give the same answers, waits and faults
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How it behaves at first, by name; --list shows them
    #[arg(long, value_name = "NAME", default_value = "healthy")]
    fault: String,
    /// A YAML list of changes: {atMs, provider, preset or faults}
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// List the names that --fault takes
    #[arg(long)]
    list: bool,
}

/// Largest script, bytes.
const LARGEST: u64 = 1 << 20;

pub(super) fn run(_global: &Global, args: &SimulateArgs) -> Result<u8, Failure> {
    if args.list {
        for (name, what) in PRESETS {
            say(format!("{name:<16} {what}"));
        }
        return Ok(0);
    }
    if !args.listen.ip().is_loopback() {
        return Err(Failure::usage(
            "the simulator asks nobody who they are: it listens on loopback only",
            "Leave --listen out, or give 127.0.0.1:PORT.",
        ));
    }
    let settings = SimulatorSettings {
        seed: args.seed,
        faults: named(&args.fault)?,
        script: args.script.as_ref().map_or(Ok(Vec::new()), script)?,
    };
    context::runtime()?.block_on(async {
        let simulator = Simulator::listen(args.listen, settings)
            .await
            .map_err(|e| Failure::engine(format!("cannot listen at {}: {e}", args.listen)))?;
        say(format!("simulating models at {}v1", simulator.url()));
        say("  Ctrl-C stops it");
        tokio::select! {
            () = simulator.wait() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        Ok(0)
    })
}

fn named(name: &str) -> Result<Faults, Failure> {
    preset(name).ok_or_else(|| {
        Failure::usage(
            format!("there is no behaviour '{}'", clean_line(name, 40)),
            "`bsm simulate --list` shows them.",
        )
    })
}

fn script(path: &PathBuf) -> Result<Vec<Switch>, Failure> {
    let wrong = |what: String| {
        Failure::usage(
            format!("{}: {what}", path.display()),
            "A script is a YAML list, for example: - {atMs: 5000, provider: openai, preset: outage}",
        )
    };
    let size = std::fs::metadata(path)
        .map_err(|e| wrong(e.to_string()))?
        .len();
    if size > LARGEST {
        return Err(wrong(format!("larger than {LARGEST} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
    let script: Vec<Switch> =
        serde_yaml::from_str(&text).map_err(|e| wrong(clean_line(&e.to_string(), 200)))?;
    let mut tried = Behaviour::default();
    for (n, switch) in script.iter().enumerate() {
        tried
            .switch(switch)
            .map_err(|e| wrong(format!("entry {}: {e}", n + 1)))?;
    }
    Ok(script)
}
