//! A drill started from a console: beside the engine, never in it.

use std::sync::Arc;

use super::core::Core;
use super::types::command::Refused;
use super::types::event::Event;
use crate::drill::{self, Length, Say};

/// Starts a drill in the background, one at a time.
pub fn start(core: &Arc<Core>, name: &str) -> Result<String, Refused> {
    let drill = drill::of(name).ok_or_else(|| Refused::not_found("drill", name))?;
    let Ok(one_at_a_time) = Arc::clone(&core.drilling).try_lock_owned() else {
        return Err(Refused::input("another drill runs; wait for its end"));
    };
    let task_core = Arc::clone(core);
    let work = async move {
        let core = task_core;
        let aloud = {
            let core = Arc::downgrade(&core);
            let say: Say = Arc::new(move |line| {
                if let Some(core) = core.upgrade() {
                    let name = drill.name.to_owned();
                    let _ = core.events.send(Event::Drill { name, line });
                }
            });
            say
        };
        let ended = tokio::select! {
            () = core.stopping.cancelled() => return,
            ended = drill::run(drill, Length::Short, aloud) => ended,
        };
        drop(one_at_a_time);
        match ended {
            Ok(drilled) => {
                let kept = drilled.kept(false);
                let word = if kept {
                    "kept its promise"
                } else {
                    "did not keep its promise"
                };
                core.alert(!kept, format!("drill {}: it {word}", drill.name));
                core.tell(Event::Drilled {
                    drilled: Box::new(drilled),
                });
            }
            Err(reason) => core.alert(true, reason),
        }
    };
    core.tasks.spawn_on(work, &core.on);
    Ok(format!("drill {}: {}", drill.name, drill.promise))
}
