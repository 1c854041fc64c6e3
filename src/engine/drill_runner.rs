//! A drill started from a console: beside the engine, never in it.

use std::sync::{Arc, Weak};

use crate::drill;
use crate::drill::harness::{Length, Say};
use crate::engine::lifecycle::Lifecycle;
use crate::engine::notifier::Notifier;
use crate::engine::protocol::command::Refused;
use crate::engine::protocol::event::Event;

/// Runs one drill at a time. One per engine.
pub struct DrillRunner {
    lifecycle: Arc<Lifecycle>,
    notifier: Arc<Notifier>,
    running: Arc<tokio::sync::Mutex<()>>,
}

impl DrillRunner {
    /// No drill runs.
    pub fn new(lifecycle: Arc<Lifecycle>, notifier: Arc<Notifier>) -> Arc<Self> {
        Arc::new(Self {
            lifecycle,
            notifier,
            running: Arc::default(),
        })
    }

    /// Starts a drill in the background; returns what it promises.
    ///
    /// # Errors
    /// There is no such drill, or one is running.
    pub fn start(&self, name: &str) -> Result<String, Refused> {
        let drill = drill::of(name).ok_or_else(|| Refused::not_found("drill", name))?;
        let Ok(one_at_a_time) = Arc::clone(&self.running).try_lock_owned() else {
            return Err(Refused::input("another drill runs; wait for its end"));
        };
        let (lifecycle, notifier) = (Arc::clone(&self.lifecycle), Arc::clone(&self.notifier));
        self.lifecycle.spawn(async move {
            let say = say(drill.name, Arc::downgrade(&notifier));
            let ended = tokio::select! {
                () = lifecycle.stopping.cancelled() => return,
                ended = drill::run(drill, Length::Short, None, say) => ended,
            };
            drop(one_at_a_time);
            match ended {
                Ok(drilled) => {
                    let kept = drilled.kept(false);
                    let word = if kept { "passed" } else { "failed" };
                    notifier.alert(!kept, format!("drill {}: {word}", drill.name));
                    notifier.publish(Event::Drilled {
                        drilled: Box::new(drilled),
                    });
                }
                Err(reason) => {
                    notifier.alert(true, format!("drill {}: {reason}", drill.name));
                    notifier.publish(Event::DrillFailed {
                        name: drill.name.to_owned(),
                        reason,
                    });
                }
            }
        });
        Ok(format!("drill {}: {}", drill.name, drill.promise))
    }
}

/// Publishes what happens in a drill.
fn say(name: &'static str, notifier: Weak<Notifier>) -> Say {
    Arc::new(move |line| {
        if let Some(notifier) = notifier.upgrade() {
            let name = name.to_owned();
            notifier.publish_only(Event::Drill { name, line });
        }
    })
}
