//! One trigger sent to an engine, and its run followed to the end.

use crate::cli::failure::Failure;
use crate::engine::protocol::command::{Command, Envelope, Refused, Reply, Trigger};
use crate::engine::protocol::event::Event;
use crate::engine::protocol::run::RunResult;
use crate::engine::{Operator, finished};
use crate::text::clean_line;

/// Sends the trigger and waits for the end; Ctrl-C cancels the run.
pub(super) async fn follow(
    handle: &dyn Operator,
    trigger: Trigger,
    progress: bool,
) -> Result<(RunResult, bool), Failure> {
    let mut events = handle.events();
    let event = trigger.event.clone();
    let envelope = Envelope {
        command: Command::Trigger(trigger),
        actor: "cli".into(),
        correlation: None,
    };
    let (run, defaulted) = match handle.send(envelope).await {
        Ok(Reply::Accepted { run, defaulted, .. }) => (run, defaulted),
        Ok(Reply::Done { what }) => return Err(Failure::engine(what)),
        Ok(Reply::Answered { .. } | Reply::Delivered { .. } | Reply::Pruned(_)) => {
            return Err(Failure::engine("an answer came where a run was asked for"));
        }
        Err(refused @ (Refused::InvalidInput { .. } | Refused::NotFound { .. })) => {
            return Err(Failure::usage(
                refused,
                "See `bsm run --help` for what it can look at.",
            ));
        }
        Err(refused) => return Err(Failure::engine(refused)),
    };
    if defaulted {
        crate::cli::output::note(format!(
            "bsm: event {} has no rule; the default's agents answer it, and they never approve",
            clean_line(&event, 80)
        ));
    }
    let shown = async {
        while let Some(event) = events.next().await {
            if progress {
                show(&event, &run);
            }
        }
    };
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(Failure::engine)?;
    let mut interrupted = false;
    let ended = finished(handle, &run);
    tokio::pin!(shown, ended);
    let result = loop {
        tokio::select! {
            result = &mut ended => break result,
            () = &mut shown => {}
            () = async {
                tokio::select! { _ = tokio::signal::ctrl_c() => {}, _ = terminate.recv() => {} }
            }, if !interrupted => {
                interrupted = true;
                let command = Command::CancelRun { run: run.clone() };
                let _ = handle.send(Envelope { command, actor: "cli".into(), correlation: None }).await;
            }
        }
    };
    result
        .map(|r| (r, interrupted))
        .ok_or_else(|| Failure::engine("the engine stopped before the run ended"))
}

fn show(event: &Event, of: &str) {
    match event {
        Event::StepStarted { run, agent } if run == of => {
            crate::cli::output::note(format!("  … {}", clean_line(agent, 64)));
        }
        Event::StepFinished { run, agent, status } if run == of => {
            crate::cli::output::note(format!("  ✓ {} {}", clean_line(agent, 64), status.as_str()));
        }
        Event::Notice { bad: true, text } => {
            crate::cli::output::note(format!("  ⚠ {}", clean_line(text, 300)));
        }
        _ => {}
    }
}
