//! What the engine reports: events as they happen, alerts, and the signal that the snapshot is out of date.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, broadcast};

use crate::engine::protocol::event::{Event, EventStream};
use crate::engine::protocol::snapshot::Alert;
use crate::resilience::clock::{Clock, lock};
use crate::review::policy::Policy;
use crate::text::clean_line;

/// Alerts kept.
const ALERTS: usize = 20;
/// Events a slow reader may fall behind before it loses the oldest.
const EVENTS: usize = 4_096;

/// One per engine.
pub struct Notifier {
    clock: Arc<dyn Clock>,
    /// Newest first.
    alerts: Mutex<VecDeque<Alert>>,
    events: broadcast::Sender<Event>,
    changed: Notify,
}

impl Notifier {
    /// Without alerts or listeners.
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            clock,
            alerts: Mutex::default(),
            events: broadcast::channel(EVENTS).0,
            changed: Notify::new(),
        })
    }

    /// Sends an event, and asks for a new snapshot.
    pub fn publish(&self, event: Event) {
        self.publish_only(event);
        self.mark_changed();
    }

    /// Sends an event that does not change the snapshot.
    pub fn publish_only(&self, event: Event) {
        // Without listeners there is nobody to miss it.
        let _ = self.events.send(event);
    }

    /// The snapshot is out of date.
    pub fn mark_changed(&self) {
        self.changed.notify_one();
    }

    /// Returns when the snapshot is out of date.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Events from now on.
    pub fn subscribe(&self) -> EventStream {
        EventStream::new(self.events.subscribe())
    }

    /// The newest alerts, newest first, at most 20.
    pub fn alerts(&self) -> Vec<Alert> {
        lock(&self.alerts).iter().cloned().collect()
    }

    /// An alert: header, list, log, event. `text` is a sentence that is safe to show.
    pub fn alert(&self, bad: bool, text: String) {
        let mut alerts = lock(&self.alerts);
        alerts.push_front(Alert {
            at_ms: self.clock.wall_ms(),
            bad,
            text: text.clone(),
        });
        alerts.truncate(ALERTS);
        drop(alerts);
        if bad {
            tracing::warn!(alert = text);
        } else {
            tracing::info!(alert = text);
        }
        self.publish(Event::Notice { bad, text });
    }

    /// An alert about the worst thing that is wrong with the review policy, if anything is.
    pub fn alert_about_policy(&self, policy: &Policy) {
        let worst = policy.broken.iter().max_by_key(|w| w.lost);
        if let Some(warning) = worst {
            let (rule, what) = (
                clean_line(&warning.rule, 120),
                clean_line(&warning.what, 200),
            );
            let more = match policy.broken.len() - 1 {
                0 => String::new(),
                n => format!(" (and {n} more: bsm config check)"),
            };
            let lost = if warning.lost {
                "; nothing is approved while it is left out"
            } else {
                ""
            };
            self.alert(warning.lost, format!("review: {rule}: {what}{lost}{more}"));
        }
    }
}
