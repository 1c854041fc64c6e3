//! Commands with arguments, as they are typed: `runs failed`, `logs level=error`, `pool openai 12`. What a key asks
//! about first is asked about here too. A line that is not understood comes back with what is accepted.

use super::actions::refused_now;
use super::confirmations;
use super::state::State;
use crate::console::action::{Action, Screen, row_of};
use crate::console::arguments::{Accepts, Command as Line, read};
use crate::console::component::{Intent, Subject};
use crate::console::context::Context;
use crate::console::export::Form;
use crate::console::format::short_id;
use crate::console::message::Effect;
use crate::console::overlays::palette::Palette;
use crate::console::overlays::why::WhyWindow;
use crate::console::preferences::remember_command;
use crate::console::route::Route;
use crate::console::theme;
use crate::drill::DRILLS;
use crate::engine::protocol::command::Command;
use crate::text::clean_line;

/// Levels of the log.
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
/// States of a run, as a filter knows them.
const RUN_STATES: [&str; 5] = ["queued", "running", "finished", "cancelled", "failed"];

/// Runs a line; one that is not understood is shown again with the reason.
pub fn run(state: &mut State, line: &str) -> Vec<Intent> {
    remember_command(&mut state.context.commands, line);
    let Some((command, rest)) = read(line) else {
        return Vec::new();
    };
    match carry_out(state, command, rest) {
        Ok(intents) => intents,
        Err(why) => {
            let name = row_of(command.action).map_or("", |row| row.name);
            let text = format!("{why}. Accepted: {name} {}", command.usage);
            vec![Intent::Open(Box::new(Palette::wrong(line, text)))]
        }
    }
}

fn carry_out(state: &mut State, line: Line, rest: &str) -> Result<Vec<Intent>, String> {
    if let Some(row) = row_of(line.action)
        && let Some(refusal) = refused_now(&state.context, row)
    {
        return Ok(vec![Intent::warn(format!("{}: {refusal}", row.title))]);
    }
    let words: Vec<&str> = rest.split_whitespace().collect();
    if line.accepts == Accepts::Theme {
        let palette = theme::Palette::of(one(&words)?);
        let all = || theme::Palette::ALL.map(theme::Palette::as_str).join(", ");
        let unknown = || format!("'{}' is not a palette: {}", shown(rest), all());
        state.context.theme.palette = palette.ok_or_else(unknown)?;
        return Ok(Vec::new());
    }
    let cx = &state.context;
    match line.accepts {
        Accepts::Filter => filter(state, line.action, rest),
        Accepts::Run => of_run(cx, line.action, &find_run(cx, one(&words)?)?),
        Accepts::Provider => {
            let name = known(
                one(&words)?,
                "provider",
                cx.live.breakers.iter().map(|b| &b.name),
            )?;
            let subject = Subject::Provider(name);
            Ok(match line.action {
                Action::ResetBreaker => confirmations::reset_breaker(cx, &subject),
                Action::IsolateBreaker => confirmations::isolate_breaker(cx, &subject),
                _ => confirmations::close_breaker(cx, &subject),
            })
        }
        Accepts::PoolSize => pool_size(cx, &words),
        Accepts::Cache => {
            let name = known(
                one(&words)?,
                "cache",
                cx.live.caches.iter().map(|c| &c.name),
            )?;
            Ok(confirmations::clear_cache(cx, &Subject::Cache(name)))
        }
        Accepts::Level => {
            let level = one_of(one(&words)?, "level", &LEVELS)?;
            Ok(vec![Intent::send(Command::SetLogLevel { level })])
        }
        Accepts::Drill => {
            let names: Vec<&str> = DRILLS.iter().map(|d| d.name).collect();
            let drill = one_of(one(&words)?, "drill", &names)?;
            Ok(vec![Intent::send(Command::Drill { drill })])
        }
        Accepts::Switch => switch(cx, &words),
        Accepts::Form => {
            let form = match one(&words)? {
                "text" => Form::Text,
                "csv" => Form::Csv,
                "json" => Form::Json,
                other => return Err(format!("'{}' is not a form", shown(other))),
            };
            Ok(vec![Intent::Do(Effect::Export(form))])
        }
        Accepts::Thing => why(cx, one(&words)?),
        Accepts::Theme => Ok(Vec::new()),
    }
}

fn shown(word: &str) -> String {
    clean_line(word, 40)
}

/// The only word.
fn one<'a>(words: &[&'a str]) -> Result<&'a str, String> {
    match words {
        [word] => Ok(word),
        _ => Err(format!("one word is wanted, {} were given", words.len())),
    }
}

/// A word that is one of these.
fn one_of(word: &str, what: &str, all: &[&str]) -> Result<String, String> {
    if all.contains(&word) {
        return Ok(word.to_owned());
    }
    let all = all.join(", ");
    Err(format!("'{}' is not a {what}: {all}", shown(word)))
}

/// A name that there is.
fn known<'a>(
    word: &str,
    what: &str,
    names: impl Iterator<Item = &'a String>,
) -> Result<String, String> {
    let names: Vec<&str> = names.map(String::as_str).collect();
    one_of(word, what, &names)
}

/// The screen with the filter in effect.
fn filter(state: &State, action: Action, rest: &str) -> Result<Vec<Intent>, String> {
    let text = match action {
        Action::Show(Screen::Memory) => rest.to_owned(),
        Action::Show(Screen::Runs | Screen::Overview) if RUN_STATES.contains(&rest) => {
            format!("state:{rest}")
        }
        _ => terms(rest)?,
    };
    let go = match action {
        Action::Show(screen) => Some(Route::Screen(screen)),
        Action::Alerts => Some(Route::Alerts),
        _ if state.top().filter().is_none() => return Err("there is no list here".to_owned()),
        _ => None,
    };
    let mut out: Vec<Intent> = go.map(Intent::Navigate).into_iter().collect();
    out.push(Intent::Filter { text, done: true });
    Ok(out)
}

/// `field=text` as the filter has it, and a level that there is.
fn terms(rest: &str) -> Result<String, String> {
    let mut out = Vec::new();
    for word in rest.split_whitespace() {
        let pair = word.split_once(['=', ':']);
        let field = |key: &str| !key.is_empty() && key.chars().all(|c| c.is_ascii_alphabetic());
        match pair.filter(|(key, value)| field(key) && !value.is_empty()) {
            Some(("level", value)) => {
                let level = one_of(&value.to_lowercase(), "level", &LEVELS)?;
                out.push(format!("level:{level}"));
            }
            Some((key, value)) => out.push(format!("{key}:{value}")),
            None => out.push(word.to_owned()),
        }
    }
    Ok(out.join(" "))
}

/// The id of a listed run: all of it, or its last characters as lists show them.
fn find_run(cx: &Context, word: &str) -> Result<String, String> {
    let runs = &cx.snapshot().runs;
    let listed = runs
        .iter()
        .find(|r| r.id == word || short_id(&r.id) == word);
    match listed {
        Some(run) => Ok(run.id.clone()),
        None if word.starts_with("job_") => Ok(word.to_owned()),
        None => Err(format!(
            "no listed run is '{}': give its id, or its last characters as the column RUN has them",
            shown(word)
        )),
    }
}

fn of_run(cx: &Context, action: Action, id: &str) -> Result<Vec<Intent>, String> {
    let id = id.to_owned();
    let route = match action {
        Action::Cancel => return Ok(confirmations::cancel(cx, &Subject::Run(id))),
        Action::RunAgain => return Ok(vec![Intent::send(Command::RunAgain { run: id })]),
        Action::Report => Route::Report { id },
        Action::RunLogs => Route::logs_of_run(id),
        Action::Json => Route::Json { id },
        Action::Describe => Route::Describe { id },
        _ => Route::Run { id },
    };
    Ok(vec![Intent::Navigate(route)])
}

fn pool_size(cx: &Context, words: &[&str]) -> Result<Vec<Intent>, String> {
    let [pool, size @ ..] = words else {
        return Err("a pool is wanted".to_owned());
    };
    let pool = known(pool, "pool", cx.live.pools.iter().map(|p| &p.name))?;
    match size {
        [] => Ok(confirmations::resize_pool(cx, &Subject::Pool(pool))),
        [size] => match size.parse::<u32>() {
            Ok(limit) if limit > 0 => Ok(confirmations::resize_pool_to(cx, &pool, limit)),
            _ => Err(format!(
                "'{}' is not a size: a whole number of calls at once, 1 or more",
                shown(size)
            )),
        },
        _ => Err("a pool and one size are wanted".to_owned()),
    }
}

fn switch(cx: &Context, words: &[&str]) -> Result<Vec<Intent>, String> {
    let [flag, word] = words else {
        return Err("a layer and on or off are wanted".to_owned());
    };
    let flags = confirmations::flags(cx);
    let names: Vec<&str> = flags.iter().map(|(name, _)| name.as_str()).collect();
    let flag = one_of(flag, "layer", &names)?;
    let on = match *word {
        "on" => true,
        "off" => false,
        other => return Err(format!("'{}' is neither on nor off", shown(other))),
    };
    Ok(confirmations::switch_flag_to(&flag, on))
}

/// Why about anything that has this name; a run by its id.
fn why(cx: &Context, word: &str) -> Result<Vec<Intent>, String> {
    let s = &cx.live;
    let subject = if s.provider_rows.iter().any(|r| r.name == word) {
        Subject::Provider(word.to_owned())
    } else if s.pools.iter().any(|p| p.name == word) {
        Subject::Pool(word.to_owned())
    } else if s.caches.iter().any(|c| c.name == word) {
        Subject::Cache(word.to_owned())
    } else {
        let none = |_| {
            format!(
                "no provider, pool, cache or listed run is '{}'",
                shown(word)
            )
        };
        Subject::Run(find_run(cx, word).map_err(none)?)
    };
    let about = subject.about();
    Ok(match cx.frozen {
        Some(_) => WhyWindow::at(about, cx.frozen_ms).open(),
        None => WhyWindow::new(about).open(),
    })
}
