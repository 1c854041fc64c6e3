//! The loop: messages in, at most one frame out, effects away.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};
use tokio::sync::mpsc;

use super::action::Screen;
use super::export;
use super::format::Zone;
use super::keymap::Keymap;
use super::list_habits::ListHabits;
use super::message::{Effect, Message, Now};
use super::shell::exporting;
use super::shell::state::State;
use super::shell::update::{next_wake, start, update};
use super::shell::view;
use super::signals::{Signalled, Signals};
use super::terminal::{self, FrameWriter, Frames, Guard, OwnedScreen, Reader};
use super::theme::Theme;
use crate::console::frame_scheduler::{Dirty, Pace};
use crate::console::preferences::Remembered;
use crate::engine::Operator;
use crate::engine::protocol::command::{Command, Envelope, Refused};
use crate::engine::protocol::event::Event;
use crate::engine::protocol::query::Query;

/// Takes secrets out of what leaves the console.
#[derive(Clone)]
pub struct Redact(pub Arc<dyn Fn(&str) -> String + Send + Sync>);

impl std::fmt::Debug for Redact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redact")
    }
}

/// How the console looks and how often it draws.
#[derive(Debug, Clone)]
pub struct Options {
    /// Colours and marks.
    pub theme: Theme,
    /// Frames a second, at most.
    pub fps: u32,
    /// Which key does what.
    pub keys: Keymap,
    /// Whose time is shown.
    pub zone: Zone,
    /// The mouse is reported from the start.
    pub mouse: bool,
    /// A bad alert rings the bell.
    pub bell: bool,
    /// The screen to begin with.
    pub screen: Option<Screen>,
    /// Lines that were run on the command line before, the newest first.
    pub commands: Vec<String>,
    /// Where exports go.
    pub exports: PathBuf,
    /// What they pass before.
    pub redact: Redact,
    /// The token of an approver at this keyboard.
    pub approver: Option<String>,
    /// The engine is somewhere else, there; leaving leaves it alone.
    pub attached: Option<String>,
    /// As other consoles are told who this is.
    pub me: String,
}

/// Stops (true) or goes on (false) reading the terminal, while it is lent to the shell.
pub type LendTerminal = Box<dyn FnMut(bool)>;

/// Runs the console on the real terminal until the operator leaves or the terminal goes away. `leaving`
/// runs before the terminal is given back: once a shell has it again, whatever is typed is the shell's,
/// and our reader must not live on beside it.
///
/// # Errors
/// When the terminal cannot be taken over or written to.
pub fn run(
    operator: Arc<dyn Operator>,
    options: Options,
    lists: ListHabits,
    leaving: impl FnOnce(),
) -> io::Result<Remembered> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    terminal::install_panic_hook();
    let _guard = Guard;
    terminal::take()?;
    if options.mouse {
        terminal::mouse(true)?;
    }
    let frames = Frames::new(OwnedScreen);
    let (sender, messages) = mpsc::channel(256);
    let gone = sender.clone();
    terminal::watch_for_hangup(move || {
        let _ = gone.blocking_send(Message::Gone);
    });
    let killed = sender.clone();
    super::signals::watch_rare(move || {
        let _ = killed.blocking_send(Message::Gone);
    })?;
    let reader = Reader::start(sender.clone(), options.keys.clone())?;
    let lend: LendTerminal = Box::new(move |lent| reader.pause(lent));
    let result = runtime.block_on(async {
        let mut app = App::new(
            operator,
            options,
            frames,
            crossterm::terminal::size()?,
            sender,
            messages,
        )?;
        app.state.adopt(lists);
        app.live(lend).await.map(|()| {
            let state = &app.state;
            let left = Remembered::of(&state.context, state.screen(), state.list_habits());
            left.redacted(app.options.redact.0.as_ref())
        })
    });
    runtime.shutdown_background();
    leaving();
    result
}

/// A running console over any writer, so that a test can bring its own.
pub struct App<W: Write> {
    operator: Arc<dyn Operator>,
    options: Options,
    terminal: Terminal<CrosstermBackend<FrameWriter>>,
    frames: Frames<W>,
    state: State,
    shown: Option<Buffer>,
    link: (Instant, u64),
    sender: mpsc::Sender<Message>,
    messages: mpsc::Receiver<Message>,
}

enum After {
    Go,
    Suspend,
    Quit,
}

impl<W: Write> App<W> {
    /// A console that has drawn nothing yet.
    pub fn new(
        operator: Arc<dyn Operator>,
        options: Options,
        frames: Frames<W>,
        size: (u16, u16),
        sender: mpsc::Sender<Message>,
        messages: mpsc::Receiver<Message>,
    ) -> io::Result<Self> {
        let terminal = new_terminal(frames.writer(), size)?;
        let read_only = operator.capabilities().read_only;
        let snapshot = operator.snapshots().borrow().clone();
        let mut state = State::new(snapshot, options.theme, read_only, now().wall_ms);
        let cx = &mut state.context;
        cx.attached.clone_from(&options.attached);
        cx.me.clone_from(&options.me);
        cx.approver.clone_from(&options.approver);
        cx.size = size;
        cx.keys = options.keys.clone();
        cx.zone = options.zone;
        cx.commands.clone_from(&options.commands);
        (cx.mouse, cx.bell) = (options.mouse, options.bell);
        Ok(Self {
            operator,
            options,
            terminal,
            frames,
            state,
            shown: None,
            link: (Instant::now(), 0),
            sender,
            messages,
        })
    }

    /// Lives until the operator leaves.
    pub async fn live(&mut self, mut lend: LendTerminal) -> io::Result<()> {
        // What the screen to begin with is made of, if it is more than the picture.
        let screen = self.options.screen.unwrap_or(self.state.screen());
        let first = start(&mut self.state, screen, now());
        let _ = self.effects(first);
        let mut snapshots = self.operator.snapshots();
        let (mut happened, _events) = self.forward_events();
        let mut signals = Signals::new()?;
        // From here on a new size is signalled; it may have changed since it was asked for.
        if let Some(resized) = terminal::resized() {
            self.take_in(resized);
        }
        let mut dirty = Dirty::Now;
        let mut pace = Pace::new(Instant::now());
        self.effects(vec![Effect::Query(Query::Workspace)]);
        loop {
            let wait = pace.wait(dirty, self.frame_time(), Instant::now());
            if wait == Some(Duration::ZERO) {
                self.draw()?;
                dirty = Dirty::No;
                pace.drawn(self.frame_time(), Instant::now());
                continue;
            }
            let wake = next_wake(&self.state, now());
            let message = tokio::select! {
                biased;
                message = self.messages.recv() => message,
                changed = snapshots.changed() => {
                    if changed.is_err() { Some(Message::Gone) } else { Some(Message::Snapshot(snapshots.borrow_and_update().clone())) }
                }
                event = happened.recv() => event,
                signal = signals.next() => match signal {
                    Signalled::Leave => Some(Message::Gone),
                    Signalled::Resized => terminal::resized(),
                    Signalled::Stop => {
                        self.lend(&mut lend, &mut signals).await?;
                        dirty = Dirty::Now;
                        None
                    }
                    Signalled::Continued => {
                        self.back_again()?;
                        dirty = Dirty::Now;
                        None
                    }
                },
                () = sleep(wait) => None,
                () = sleep(wake) => Some(Message::Tick),
            };
            let Some(message) = message else { continue };
            dirty = dirty.max(self.urgency(&message));
            // The reader rests at this key, before it is known whether the terminal is lent.
            let mut rests = terminal::suspends(&message, &self.options.keys);
            let mut after = self.take_in(message);
            // Everything that is ready now goes into the same frame.
            while matches!(after, After::Go) {
                let ready = self
                    .messages
                    .try_recv()
                    .ok()
                    .or_else(|| happened.try_recv().ok());
                let Some(message) = ready else { break };
                dirty = dirty.max(self.urgency(&message));
                rests |= terminal::suspends(&message, &self.options.keys);
                after = self.take_in(message);
            }
            match after {
                After::Go if rests => lend(false),
                After::Go => {}
                After::Quit => return Ok(()),
                After::Suspend => {
                    self.lend(&mut lend, &mut signals).await?;
                    dirty = Dirty::Now;
                }
            }
        }
    }

    /// A task that turns the engine's events into messages, so that the loop waits in one place.
    fn forward_events(&self) -> (mpsc::Receiver<Message>, tokio::task::JoinHandle<()>) {
        let (sender, receiver) = mpsc::channel(1_024);
        let mut events = self.operator.events();
        let task = tokio::spawn(async move {
            while let Some(event) = events.next().await {
                let missed = events.dropped();
                if sender.send(Message::Happened(event, missed)).await.is_err() {
                    return;
                }
            }
        });
        (receiver, task)
    }

    fn frame_time(&self) -> Duration {
        let fps = if self.state.context.focused {
            self.options.fps.max(1)
        } else {
            1
        };
        Duration::from_millis(1_000 / u64::from(fps))
    }

    /// How soon a message must be seen.
    fn urgency(&self, message: &Message) -> Dirty {
        match message {
            Message::Snapshot(new) => {
                let old = &self.state.context.live;
                if (old.health, &old.reasons) == (new.health, &new.reasons) {
                    Dirty::Calm
                } else {
                    Dirty::Now
                }
            }
            Message::Tick => Dirty::Calm,
            // What it leads to comes as a picture or an answer; a notice is shown by itself.
            Message::Happened(event, _) => match event {
                Event::Notice { .. }
                | Event::Drill { .. }
                | Event::Drilled { .. }
                | Event::DrillFailed { .. } => Dirty::Now,
                _ => Dirty::Calm,
            },
            _ => Dirty::Now,
        }
    }

    fn take_in(&mut self, message: Message) -> After {
        if matches!(message, Message::Snapshot(_)) {
            self.measure_link();
        }
        let effects = update(&mut self.state, message, now());
        self.effects(effects)
    }

    /// Bytes a second since the last whole measure; moves only with the engine's pictures.
    fn measure_link(&mut self) {
        let (since, before) = self.link;
        let elapsed = since.elapsed();
        if elapsed >= Duration::from_secs(2) {
            let total = self.frames.written();
            self.state.context.link_bytes =
                (total - before) * 1_000 / (elapsed.as_millis() as u64).max(1);
            self.link = (Instant::now(), total);
        }
    }

    fn effects(&mut self, effects: Vec<Effect>) -> After {
        let mut after = After::Go;
        for effect in effects {
            match effect {
                Effect::Send(command) => {
                    let (operator, sender) = (Arc::clone(&self.operator), self.sender.clone());
                    tokio::spawn(async move {
                        let envelope = Envelope {
                            command: command.clone(),
                            actor: "console".into(),
                            correlation: None,
                        };
                        let reply = operator.send(envelope).await;
                        let _ = sender.send(Message::Replied(command, reply)).await;
                    });
                }
                Effect::SendAll(commands) => self.send_all(commands),
                Effect::Query(query) => {
                    let (operator, sender) = (Arc::clone(&self.operator), self.sender.clone());
                    tokio::spawn(async move {
                        let answer = operator.query(query.clone()).await;
                        let _ = sender.send(Message::Answered(query, answer)).await;
                    });
                }
                Effect::Copy(text) => {
                    let told = self.copy(&(self.options.redact.0)(&text));
                    let sender = self.sender.clone();
                    tokio::spawn(async move { sender.send(Message::Exported(told)).await });
                }
                Effect::Export(form) => {
                    let text = exporting::render(&self.state, form);
                    let redact = self.options.redact.clone();
                    let (folder, sender) = (self.options.exports.clone(), self.sender.clone());
                    tokio::task::spawn_blocking(move || {
                        let text = (redact.0)(&text);
                        let written = export::write(&folder, form, &text, now().wall_ms);
                        let told = match written {
                            Ok(path) => Ok(format!("written to {}", path.display())),
                            Err(e) => Err(format!("cannot write into {}: {e}", folder.display())),
                        };
                        let _ = sender.blocking_send(Message::Exported(told));
                    });
                }
                Effect::Bell => {
                    let rung = self.frames.writer().write_all(b"\x07");
                    // A terminal without a bell is no reason to stop.
                    let _ = rung.and_then(|()| self.frames.commit());
                }
                Effect::Mouse(on) => {
                    let _ = terminal::mouse(on);
                }
                Effect::Redraw => self.shown = None,
                Effect::Suspend => after = After::Suspend,
                Effect::Quit => return After::Quit,
            }
        }
        after
    }

    /// Sends one command after the other; once the engine does not answer, no more.
    fn send_all(&self, commands: Vec<Command>) {
        let (operator, sender) = (Arc::clone(&self.operator), self.sender.clone());
        tokio::spawn(async move {
            let all = commands.len();
            let mut replies = Vec::with_capacity(all);
            for command in commands {
                let envelope = Envelope {
                    command: command.clone(),
                    actor: "console".into(),
                    correlation: None,
                };
                let reply = operator.send(envelope).await;
                let lost = matches!(reply, Err(Refused::Unanswered { .. }));
                replies.push((command, reply));
                if lost {
                    break;
                }
            }
            let not_sent = all - replies.len();
            let message = Message::RepliedAll { replies, not_sent };
            let _ = sender.send(message).await;
        });
    }

    /// Asks the terminal to take a text; whether it did, nobody can know.
    fn copy(&mut self, text: &str) -> Result<String, String> {
        let sent = self
            .frames
            .writer()
            .write_all(&export::clipboard(text))
            .and_then(|()| self.frames.commit());
        match sent {
            Ok(()) => Ok(format!(
                "sent to the terminal's clipboard: {} characters",
                text.chars().count()
            )),
            Err(e) => Err(format!("the terminal took nothing: {e}")),
        }
    }

    fn draw(&mut self) -> io::Result<()> {
        let area = Rect::new(0, 0, self.state.context.size.0, self.state.context.size.1);
        if self.shown.as_ref().is_none_or(|shown| shown.area != area) {
            self.shown = None;
            self.terminal = new_terminal(self.frames.writer(), self.state.context.size)?;
            self.frames.writer().write_all(b"\x1b[0m\x1b[2J")?;
        }
        let state = &self.state;
        let frame = self
            .terminal
            .draw(|frame| view::draw(state, frame.area(), frame.buffer_mut()))?;
        let changed = self.shown.as_ref() != Some(frame.buffer);
        if changed {
            self.shown = Some(frame.buffer.clone());
            self.frames.commit()
        } else {
            // No cell changed: nothing is written at all.
            self.frames.discard();
            Ok(())
        }
    }

    /// Gives the terminal back and stops; goes on after `fg`. Nobody reads the terminal meanwhile.
    async fn lend(&mut self, lend: &mut LendTerminal, signals: &mut Signals) -> io::Result<()> {
        lend(true);
        terminal::restore();
        let stopped = signals.stop_process().await;
        let back = self.back_again();
        lend(false);
        stopped.and(back)
    }

    /// Takes the terminal as it is after others had it, and draws all of it.
    fn back_again(&mut self) -> io::Result<()> {
        terminal::take()?;
        if self.state.context.mouse {
            terminal::mouse(true)?;
        }
        self.shown = None;
        self.state.context.size = crossterm::terminal::size()?;
        Ok(())
    }
}

/// A fixed viewport: ratatui then never asks the real terminal anything; sizes come as messages.
fn new_terminal(
    writer: FrameWriter,
    (width, height): (u16, u16),
) -> io::Result<Terminal<CrosstermBackend<FrameWriter>>> {
    let viewport = Viewport::Fixed(Rect::new(0, 0, width, height));
    Terminal::with_options(CrosstermBackend::new(writer), TerminalOptions { viewport })
}

async fn sleep(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

fn now() -> Now {
    Now {
        at: Instant::now(),
        wall_ms: jiff::Timestamp::now().as_millisecond(),
    }
}
