//! Signals of the console: those that end it, and those of a shell's job control.
//!
//! Why a thread for the rare ones: SIGQUIT and its like may come because the console hangs. Then only
//! another thread can give the terminal back.

use std::io;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use futures_util::future::select_all;
use rustix::process::{Pid, Signal as Number};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::terminal;

/// Each ends a process that does not handle it, and would leave the terminal as it is.
const RARE: [Number; 6] = [
    Number::QUIT,
    Number::USR1,
    Number::USR2,
    Number::ALARM,
    Number::ABORT,
    Number::XCPU,
];

/// What a signal asks of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signalled {
    /// Leave.
    Leave,
    /// Stop until SIGCONT (kill -TSTP).
    Stop,
    /// Somebody else stopped us (kill -STOP), and the shell had the terminal meanwhile.
    Continued,
    /// The terminal has a new size.
    Resized,
}

/// The signals that the console's loop waits for.
pub(super) struct Signals {
    terminate: Signal,
    hangup: Signal,
    interrupt: Signal,
    stop: Signal,
    continued: Signal,
    resized: Signal,
}

fn on(number: Number) -> io::Result<Signal> {
    signal(SignalKind::from_raw(number.as_raw()))
}

impl Signals {
    /// Must be called inside tokio.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: on(Number::TERM)?,
            hangup: on(Number::HUP)?,
            interrupt: on(Number::INT)?,
            stop: on(Number::TSTP)?,
            continued: on(Number::CONT)?,
            resized: on(Number::WINCH)?,
        })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Signalled {
        tokio::select! {
            _ = self.terminate.recv() => Signalled::Leave,
            _ = self.hangup.recv() => Signalled::Leave,
            _ = self.interrupt.recv() => Signalled::Leave,
            _ = self.stop.recv() => Signalled::Stop,
            _ = self.continued.recv() => Signalled::Continued,
            _ = self.resized.recv() => Signalled::Resized,
        }
    }

    /// Stops this process, as a shell expects of Ctrl-Z, until it is continued. Where no shell does job
    /// control nobody would continue it: then it returns at once.
    pub(super) async fn stop_process(&mut self) -> io::Result<()> {
        /// The signal says that we are back, and may reach another thread a moment later than this one goes
        /// on: to take the terminal now would be too early, the shell would set its own modes over ours.
        const CONTINUED: Duration = Duration::from_millis(300);
        if !has_job_control() {
            return Ok(());
        }
        // Not TSTP: that is handled here, and would only be a wake-up.
        rustix::process::kill_process(rustix::process::getpid(), Number::STOP)?;
        let _ = tokio::time::timeout(CONTINUED, self.continued.recv()).await;
        Ok(())
    }
}

/// True when a process of this session outside our process group waits for us: a shell that can continue us.
/// The system asks the same before it lets SIGTSTP stop a group that is orphaned.
fn has_job_control() -> bool {
    use rustix::process::{getpgid, getpgrp, getppid, getsid};
    /// More ancestors than any wrapper has.
    const MOST: usize = 64;
    let Ok(session) = getsid(None) else {
        return false;
    };
    let group = getpgrp();
    let mut parent = getppid();
    for _ in 0..MOST {
        let Some(pid) = parent else { return false };
        if getsid(Some(pid)) != Ok(session) {
            return false;
        }
        if getpgid(Some(pid)) != Ok(group) {
            return true;
        }
        parent = parent_of(pid);
    }
    false
}

/// The parent of another process, where the system has /proc.
fn parent_of(pid: Pid) -> Option<Pid> {
    let text = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The command's name stands in brackets and may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    Pid::from_raw(rest.split_whitespace().nth(1)?.parse().ok()?)
}

/// The number of the signal that ended the console, or 0.
static ENDED_BY: AtomicI32 = AtomicI32::new(0);

/// The exit code of a console that one of the rare signals ended: 128 and its number, as a shell has it.
pub fn exit_code() -> Option<u8> {
    match ENDED_BY.load(Ordering::SeqCst) {
        0 => None,
        number => u8::try_from(128 + number).ok(),
    }
}

/// Restores the terminal at the first of the rare signals, tells the console, and ends the process should
/// that not be enough.
///
/// # Errors
/// When the signals cannot be watched.
pub(super) fn watch_rare(leave: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut watched = {
        let _inside = runtime.enter();
        let watch = |number: Number| Ok((number, on(number)?));
        RARE.into_iter()
            .map(watch)
            .collect::<io::Result<Vec<_>>>()?
    };
    std::thread::Builder::new()
        .name("bsm-signals".into())
        .spawn(move || {
            let number = runtime.block_on(async {
                let each = watched.iter_mut().map(|(number, signal)| {
                    let number = *number;
                    Box::pin(async move {
                        signal.recv().await;
                        number
                    })
                });
                select_all(each).await.0
            });
            ENDED_BY.store(number.as_raw(), Ordering::SeqCst);
            terminal::restore();
            leave();
            // As when the terminal is gone: console and engine stop in bounded time.
            std::thread::sleep(terminal::LEAVING);
            std::process::exit(128 + number.as_raw());
        })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parent_of_this_process_is_read_from_proc() {
        let me = rustix::process::getpid();
        assert_eq!(parent_of(me), rustix::process::getppid());
        assert_eq!(parent_of(Pid::from_raw(i32::MAX).unwrap()), None);
    }
}
