//! The console on a thread of its own: its options, its start and its end.

use crate::cli::context;
use crate::cli::context::Setup;
use crate::cli::failure::Failure;
use crate::cli::global::Color;
use crate::cli::global::Global;
use crate::console;
use crate::console::Options;
use crate::console::Redact;
use crate::console::format::Zone;
use crate::console::keymap::Keymap;
use crate::console::list_habits::ListHabits;
use crate::console::preferences::Remembered;
use crate::console::theme::Palette;
use crate::console::theme::Theme;
use crate::engine::Operator;
use crate::settings::layers::Effective;
use crate::settings::layers::Origin;
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;

/// The console draws; without a terminal there is nothing to draw on, and on a dumb one nothing has a place.
pub(crate) fn needs_terminal() -> Result<(), Failure> {
    if !(std::io::stdout().is_terminal() && std::io::stdin().is_terminal()) {
        let help = "Run it in a terminal, or use a command: bsm run, bsm runs, bsm status. See bsm --help.";
        return Err(Failure::usage("the console needs a terminal", help));
    }
    if std::env::var_os("TERM").is_none_or(|t| t.is_empty() || t == "dumb") {
        let what = "TERM is unset or dumb: such a terminal cannot place its cursor, so the console cannot be drawn";
        let help = "Set TERM to what the terminal is (xterm-256color, tmux-256color), or use a command: bsm run, bsm runs, bsm status.";
        return Err(Failure::usage(what, help));
    }
    Ok(())
}

/// How a console's thread ended.
pub(crate) type Ended = std::thread::Result<std::io::Result<Remembered>>;

/// The console on a thread of its own, until the operator leaves.
pub(crate) fn show(
    operator: Arc<dyn Operator>,
    options: Options,
    lists: ListHabits,
    leaving: impl FnOnce() + Send + 'static,
) -> Ended {
    let thread = std::thread::Builder::new()
        .name("bsm-console".into())
        .spawn(move || console::run(operator, options, lists, leaving));
    match thread {
        Ok(thread) => {
            // The first frame is on its way; the first run need not wait for the rules.
            context::warm_rules();
            thread.join()
        }
        Err(error) => Ok(Err(error)),
    }
}

/// What the console remembers from the last time.
pub(crate) fn remembered(setup: &Setup) -> Remembered {
    let path = setup.state.path().join(HABITS);
    Remembered::read(&std::fs::read_to_string(path).unwrap_or_default())
}

/// Keeps the console's habits, and says how it ended.
pub(crate) fn ended(setup: &Setup, ended: Ended) -> Result<u8, Failure> {
    match ended {
        Ok(Ok(remembered)) => {
            // A habit that cannot be kept is no reason to end badly.
            let _ = keep(&setup.state.path().join(HABITS), &remembered);
            Ok(console::signals::exit_code().unwrap_or(0))
        }
        Ok(Err(error)) => Err(Failure::engine(format!("the terminal failed: {error}"))),
        Err(_) => Err(Failure::engine(
            "the console panicked; this is a defect, please report it",
        )),
    }
}

/// What the console remembers, in the state directory.
pub(crate) const HABITS: &str = "console.json";

pub(crate) fn keep(path: &Path, remembered: &Remembered) -> std::io::Result<()> {
    use std::io::Write as _;
    let text = serde_json::to_string(remembered)?;
    let mut file = crate::state::private_file(path, false).map_err(std::io::Error::other)?;
    file.set_len(0)?;
    file.write_all(text.as_bytes())
}

/// What the console would refuse to start with.
///
/// # Errors
/// The first setting that is wrong, with its place.
pub(crate) fn check(global: &Global, setup: &Setup) -> Result<(), Failure> {
    options(global, setup).map(drop)
}

pub(crate) fn options(global: &Global, setup: &Setup) -> Result<Options, Failure> {
    options_for(global, setup, None)
}

/// Options of a console over the engine at `attached`; none: its own.
pub(crate) fn options_for(
    global: &Global,
    setup: &Setup,
    attached: Option<String>,
) -> Result<Options, Failure> {
    let variable = |name: &str| setup.env.get(name);
    let color = match global.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => variable("NO_COLOR").is_none(),
    };
    // Without UTF-8 the marks would come out as rubbish.
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|n| variable(n))
        .unwrap_or_default()
        .to_lowercase();
    let utf8 = locale.contains("utf-8") || locale.contains("utf8");
    let settings = &setup.loaded.settings.console;
    // Our theme decides about colour; crossterm's own NO_COLOR handling would erase bold and reverse.
    crossterm::style::force_color_output(true);
    let over_ssh = variable("SSH_CONNECTION").is_some();
    let fps = match settings.fps {
        0 if over_ssh => 10,
        0 => 30,
        fps => fps,
    };
    let remembered = remembered(setup);
    let is_set = |key: &str| {
        let of = |e: &&Effective| e.key == key && e.origin != Origin::Default;
        setup.loaded.effective.iter().any(|e| of(&e))
    };
    let palette = Palette::of(&settings.theme).ok_or_else(|| {
        let names: Vec<&str> = Palette::ALL.iter().map(|p| p.as_str()).collect();
        let shown = crate::text::clean_line(&settings.theme, 40);
        let place = setup.place("theme");
        let what = format!("{place}'{shown}' is no theme");
        Failure::usage(what, &format!("Use one of {}.", names.join(", ")))
    })?;
    let keys = Keymap::with(&settings.keys).map_err(|(name, reason)| {
        let place = setup.place(&name);
        Failure::usage(
            format!("{place}{reason}"),
            "Choose another key, or leave it out.",
        )
    })?;
    Ok(Options {
        theme: Theme {
            color,
            ascii: settings.ascii || !utf8,
            palette: remembered
                .theme
                .filter(|_| !is_set("console.theme"))
                .unwrap_or(palette),
        },
        fps,
        keys,
        zone: match remembered.utc.filter(|_| !is_set("console.utc")) {
            Some(true) => Zone::Utc,
            Some(false) => Zone::Local,
            None if settings.utc => Zone::Utc,
            None => Zone::Local,
        },
        screen: remembered.screen(),
        commands: remembered.commands,
        mouse: match settings.mouse.as_str() {
            "auto" => remembered.mouse.unwrap_or(true) && !over_ssh,
            "on" => true,
            "off" => false,
            other => {
                let place = setup.place("mouse");
                let shown = crate::text::clean_line(other, 40);
                return Err(Failure::usage(
                    format!("{place}'{shown}' is no way to use the mouse"),
                    "Use auto, on or off.",
                ));
            }
        },
        bell: setup.loaded.settings.alerts.bell,
        exports: setup.state.path().join("exports"),
        redact: Redact(setup.redaction()),
        approver: variable("BSM_APPROVER_TOKEN").map(str::to_owned),
        attached,
        me: crate::api::client::whoami(),
    })
}
