//! What the engine reports: events as they happen, alerts, and the signal that the snapshot is out of date.

use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, broadcast};

use crate::engine::alert_book::{AlertBook, Raised};
use crate::engine::protocol::event::{Event, EventStream};
use crate::engine::protocol::snapshot::Alert;
use crate::resilience::clock::{Clock, lock};
use crate::review::policy::Policy;
use crate::text::clean_line;

/// Alerts in the snapshot.
const ALERTS: usize = 20;
/// Events a slow reader may fall behind before it loses the oldest.
const EVENTS: usize = 4_096;

/// One per engine.
pub struct Notifier {
    clock: Arc<dyn Clock>,
    alerts: Mutex<AlertBook>,
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

    /// At most 20 alerts, those that hold first, each kind newest first.
    pub fn alerts(&self) -> Vec<Alert> {
        let mut alerts = lock(&self.alerts);
        alerts.expire(self.clock.wall_ms());
        alerts.list(ALERTS)
    }

    /// All alerts that are kept, in the same order.
    pub fn all_alerts(&self) -> Vec<Alert> {
        lock(&self.alerts).list(usize::MAX)
    }

    /// Something happened once: header, list, log, event. `text` is a sentence that is safe to show.
    pub fn alert(&self, bad: bool, text: String) {
        lock(&self.alerts).event(bad, &text, self.clock.wall_ms());
        self.say(bad, text);
    }

    /// A condition holds. It is said aloud when it begins; while it holds, its text follows.
    pub fn raise(&self, code: &str, subject: &str, text: String) {
        let raised = lock(&self.alerts).raise(code, subject, &text, self.clock.wall_ms());
        match raised {
            Raised::New => self.say(true, text),
            Raised::Changed => self.mark_changed(),
            Raised::Same => {}
        }
    }

    /// A condition is over; `text` says so. Nothing is said of one that did not hold.
    pub fn resolve(&self, code: &str, subject: &str, text: String) {
        if lock(&self.alerts).resolve(code, subject, self.clock.wall_ms()) {
            self.say(false, text);
        }
    }

    /// A drill ended.
    pub fn alert_of_drill(&self, bad: bool, text: String) {
        lock(&self.alerts).drill(bad, &text, self.clock.wall_ms());
        self.say(bad, text);
    }

    /// Somebody has seen an alert; `None`: there is no such alert.
    pub fn acknowledge(&self, id: &str, by: &str) -> Option<Alert> {
        let seen = lock(&self.alerts).acknowledge(id, by, self.clock.wall_ms());
        self.mark_changed();
        seen
    }

    fn say(&self, bad: bool, text: String) {
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
            let text = format!("review: {rule}: {what}{lost}{more}");
            if warning.lost {
                self.raise("policy-broken", "policy", text);
            } else {
                self.alert(false, text);
            }
        } else {
            self.resolve(
                "policy-broken",
                "policy",
                "review: every rule is used again".into(),
            );
        }
    }
}
