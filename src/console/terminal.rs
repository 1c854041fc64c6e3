//! The terminal: taken over, and given back on every way out.
//!
//! Why a writer of our own: a frame is collected and then written in one piece between the marks of a
//! synchronized update, or, when no cell changed, not at all. Why a watching thread: the reader may be at rest
//! when the terminal goes away, and the loop may be stuck in a write to it.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste,
    EnableFocusChange, EnableMouseCapture, Event, KeyEventKind,
};
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tokio::sync::mpsc;

use super::action::Action;
use super::input::{Decoder, PATIENCE};
use super::keymap::Keymap;
use super::message::Message;
use crate::resilience::clock::lock;

/// Console and engine have this long to stop in good order once the terminal is gone.
pub(super) const LEAVING: Duration = Duration::from_millis(900);

/// True while the terminal is ours.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes the terminal over.
///
/// # Errors
/// When it cannot be switched to raw mode or written to.
pub fn take() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    execute!(
        io::stdout(),
        EnterAlternateScreen,
        EnableFocusChange,
        EnableBracketedPaste,
        cursor::Hide
    )
}

/// Has the mouse reported, or not.
///
/// # Errors
/// When the terminal cannot be written to.
pub fn mouse(on: bool) -> io::Result<()> {
    if on {
        execute!(io::stdout(), EnableMouseCapture)
    } else {
        execute!(io::stdout(), DisableMouseCapture)
    }
}

/// Gives the terminal back; harmless when called twice or when it is gone.
pub fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // End a synchronized update that a panic may have left open.
        let _ = io::stdout().write_all(b"\x1b[?2026l");
        let _ = execute!(
            io::stdout(),
            DisableMouseCapture,
            DisableBracketedPaste,
            DisableFocusChange,
            LeaveAlternateScreen,
            cursor::Show
        );
        let _ = disable_raw_mode();
    }
}

/// Restores when dropped.
pub struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
    }
}

/// A panic anywhere restores the terminal before it is printed.
pub fn install_panic_hook() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        restore();
        before(info);
    }));
}

/// The size that the terminal has now, while it is ours.
pub(super) fn resized() -> Option<Message> {
    let taken = TAKEN.load(Ordering::SeqCst);
    let (columns, rows) = taken.then(crossterm::terminal::size)?.ok()?;
    Some(Message::Resize(columns, rows))
}

/// Reads the terminal on a thread of its own and sends what it reads; `Decoder` says what the bytes mean.
pub struct Reader {
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    paused: bool,
    resting: bool,
}

/// Bytes that are read at once: a long paste comes in few pieces.
const READ_AT_ONCE: usize = 1 << 16;
/// How long the reader waits for input before it looks whether it should rest.
/// Each look costs most of a millisecond, so it looks rarely; at Ctrl-Z it rests by itself.
const READ_WAIT: Duration = Duration::from_secs(1);

impl Reader {
    /// Starts reading.
    ///
    /// # Errors
    /// When the thread cannot be made.
    pub fn start(sender: mpsc::Sender<Message>, keys: Keymap) -> io::Result<Self> {
        let gate = Arc::new(Gate::default());
        let its = Arc::clone(&gate);
        std::thread::Builder::new()
            .name("bsm-keys".into())
            .spawn(move || read(&its, &sender, &keys))?;
        Ok(Self { gate })
    }

    /// Stops reading (and waits until it has), or goes on.
    pub fn pause(&self, paused: bool) {
        let mut state = lock(&self.gate.state);
        state.paused = paused;
        self.gate.changed.notify_all();
        while paused && !state.resting {
            let waited = self.gate.changed.wait_timeout(state, READ_WAIT * 2);
            let (next, timeout) = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
            state = next;
            if timeout.timed_out() {
                return; // the terminal may be gone; nothing more to wait for
            }
        }
    }
}

fn read(gate: &Gate, sender: &mpsc::Sender<Message>, keys: &Keymap) {
    let (mut decoder, mut events) = (Decoder::default(), Vec::new());
    let mut bytes = vec![0; READ_AT_ONCE];
    loop {
        let mut state = lock(&gate.state);
        while state.paused {
            state.resting = true;
            gate.changed.notify_all();
            state = gate
                .changed
                .wait(state)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        state.resting = false;
        drop(state);
        if read_some(&mut decoder, &mut bytes, &mut events).is_err() {
            let _ = sender.blocking_send(Message::Gone);
            return;
        }
        for message in events.drain(..).filter_map(of_terminal) {
            if suspends(&message, keys) {
                // The terminal is about to be lent: not one byte more is read until it is back.
                lock(&gate.state).paused = true;
            }
            if sender.blocking_send(message).is_err() {
                return;
            }
        }
    }
}

/// Waits for bytes, for the time that a half sequence is waited for at most where there is one.
///
/// # Errors
/// The end of the input, or an error on it: the terminal is gone.
fn read_some(decoder: &mut Decoder, bytes: &mut [u8], events: &mut Vec<Event>) -> io::Result<()> {
    let stdin = rustix::stdio::stdin();
    let wait = if decoder.waits() { PATIENCE } else { READ_WAIT };
    let wait = Timespec {
        tv_sec: i64::try_from(wait.as_secs()).unwrap_or(1),
        tv_nsec: wait.subsec_nanos().into(),
    };
    let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
    match poll(&mut fds, Some(&wait)) {
        Ok(0) => {
            decoder.rest(events);
            return Ok(());
        }
        Ok(_) => {}
        Err(Errno::INTR) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    match rustix::io::read(stdin, &mut *bytes) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(n) => {
            decoder.feed(&bytes[..n], events);
            Ok(())
        }
        Err(Errno::INTR | Errno::AGAIN) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// True for the key that hands the terminal to the shell.
pub(super) fn suspends(message: &Message, keys: &Keymap) -> bool {
    matches!(message, Message::Key(key) if keys.action(*key) == Some(Action::Suspend) && key.kind != KeyEventKind::Release)
}

fn of_terminal(event: Event) -> Option<Message> {
    match event {
        Event::Key(key) => Some(Message::Key(key)),
        Event::Paste(text) => Some(Message::Paste(text)),
        Event::Resize(columns, rows) => Some(Message::Resize(columns, rows)),
        Event::FocusGained => Some(Message::Focus(true)),
        Event::FocusLost => Some(Message::Focus(false)),
        Event::Mouse(mouse) => Some(Message::Mouse(mouse)),
    }
}

/// Tells once when the terminal has gone away.
pub fn watch_for_hangup(gone: impl FnOnce() + Send + 'static) {
    let spawned = std::thread::Builder::new()
        .name("bsm-tty".into())
        .spawn(move || {
            let stdin = rustix::stdio::stdin();
            let second = Timespec {
                tv_sec: 1,
                tv_nsec: 0,
            };
            loop {
                // Hang-ups are reported whether asked for or not; asking for nothing keeps input alone.
                let mut fds = [PollFd::new(&stdin, PollFlags::empty())];
                match poll(&mut fds, Some(&second)) {
                    Ok(_)
                        if fds[0]
                            .revents()
                            .intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) =>
                    {
                        break;
                    }
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(_) => break,
                }
            }
            gone();
            // The console and the engine stop in bounded time; should anything hang on the dead terminal,
            // the process must still be gone. Runs resume at the next start.
            std::thread::sleep(LEAVING);
            std::process::exit(129);
        });
    drop(spawned);
}

/// The terminal's screen while it is ours. A frame that is late, because a signal gave the terminal back, is
/// not written over what the shell shows.
pub struct OwnedScreen;

impl Write for OwnedScreen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if TAKEN.load(Ordering::SeqCst) {
            io::stdout().write(bytes)
        } else {
            Ok(bytes.len())
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

/// What the backend writes into: it only collects.
#[derive(Clone, Default)]
pub struct FrameWriter(Arc<Mutex<Vec<u8>>>);

impl Write for FrameWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hands collected frames on to the terminal, or forgets them.
pub struct Frames<W> {
    collected: FrameWriter,
    out: W,
    written: u64,
}

impl<W: Write> Frames<W> {
    /// Over `out`; give [`Frames::writer`] to the backend.
    pub fn new(out: W) -> Self {
        Self {
            collected: FrameWriter::default(),
            out,
            written: 0,
        }
    }

    /// The collecting end.
    pub fn writer(&self) -> FrameWriter {
        self.collected.clone()
    }

    /// Bytes that really went to the terminal.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Writes the collected frame between the marks of a synchronized update, in one piece.
    ///
    /// # Errors
    /// When the terminal cannot be written to.
    pub fn commit(&mut self) -> io::Result<()> {
        let mut collected = std::mem::take(&mut *lock(&self.collected.0));
        if collected.is_empty() {
            return Ok(());
        }
        let mut frame = Vec::with_capacity(collected.len() + 16);
        frame.extend_from_slice(b"\x1b[?2026h");
        frame.append(&mut collected);
        frame.extend_from_slice(b"\x1b[?2026l");
        self.written += frame.len() as u64;
        self.out.write_all(&frame)?;
        self.out.flush()
    }

    /// Forgets the collected frame.
    pub fn discard(&mut self) {
        lock(&self.collected.0).clear();
    }
}
