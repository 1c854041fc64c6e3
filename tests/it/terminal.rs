//! A real terminal: whatever the way out, nothing is left behind.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

pub(crate) struct Session {
    home: tempfile::TempDir,
    master: Option<Box<dyn MasterPty + Send>>,
    writer: Option<Box<dyn std::io::Write + Send>>,
    child: Box<dyn Child + Send + Sync>,
    bytes: Arc<Mutex<Vec<u8>>>,
    before: Option<nix_like::Modes>,
}

/// The terminal's modes as `stty -g` prints them: what a shell would find afterwards.
mod nix_like {
    use std::os::fd::BorrowedFd;

    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Modes(String);

    pub fn of(fd: std::os::fd::RawFd) -> Modes {
        // SAFETY-free: the descriptor is the pty master that the caller keeps open meanwhile.
        #[expect(unsafe_code, reason = "portable-pty hands out a raw descriptor only")]
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        let t = rustix::termios::tcgetattr(fd).map(|t| {
            format!(
                "{:?} {:?} {:?} {:?}",
                t.input_modes, t.output_modes, t.local_modes, t.control_modes
            )
        });
        Modes(t.unwrap_or_default())
    }
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|w| w == needle)
}

impl Session {
    pub(crate) fn start(program: &str, args: &[&str], env: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let size = PtySize {
            rows: 40,
            cols: 120,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system().openpty(size).unwrap();
        let before = pair.master.as_raw_fd().map(nix_like::of);
        let mut command = CommandBuilder::new(program);
        command.args(args);
        command.env_clear();
        command.cwd(home.path());
        command.env("HOME", home.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("TERM", "xterm-256color");
        command.env("LANG", "C.UTF-8");
        for (name, value) in env {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let mut reader = pair.master.try_clone_reader().unwrap();
        let kept = Arc::clone(&bytes);
        std::thread::spawn(move || {
            let mut buffer = [0; 8_192];
            while let Ok(n) = reader.read(&mut buffer) {
                if n == 0 {
                    return;
                }
                kept.lock().unwrap().extend_from_slice(&buffer[..n]);
            }
        });
        let writer = pair.master.take_writer().unwrap();
        Self {
            home,
            master: Some(pair.master),
            writer: Some(writer),
            child,
            bytes,
            before,
        }
    }

    pub(crate) fn console(env: &[(&str, &str)]) -> Self {
        Self::start(env!("CARGO_BIN_EXE_bsm"), &[], env)
    }

    /// The operator's home, which a command in another terminal may share.
    pub(crate) fn home(&self) -> &std::path::Path {
        self.home.path()
    }

    fn output(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }

    pub(crate) fn screen(&self) -> vt100::Parser {
        let mut parser = vt100::Parser::new(
            NonZeroU16::new(40).unwrap(),
            NonZeroU16::new(120).unwrap(),
            0,
        );
        parser.process(&self.output());
        parser
    }

    pub(crate) fn until(&self, wanted: &str) {
        self.until_screen(wanted, |screen| screen.contains(wanted));
    }

    /// Waits until the screen is so; `what` names it.
    fn until_screen(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        let began = Instant::now();
        while !is_so(&self.screen().screen().contents()) {
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "'{what}' never showed:\n{}",
                self.screen().screen().contents()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn send(&mut self, keys: &str) {
        self.writer
            .as_mut()
            .unwrap()
            .write_all(keys.as_bytes())
            .unwrap();
    }

    pub(crate) fn ended(&mut self, within: Duration) -> u32 {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.exit_code();
            }
            if began.elapsed() > within {
                let screen = self.screen().screen().contents();
                let _ = self.child.kill();
                panic!("still there after {within:?}:\n{screen}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The screen and the modes are what they were.
    pub(crate) fn assert_clean(&self) {
        // The reader may still be behind the process's end.
        let began = Instant::now();
        let clean = |p: &vt100::Parser| {
            !p.screen().alternate_screen()
                && !p.screen().hide_cursor()
                && !p.screen().bracketed_paste()
        };
        // The reader may still be behind: leaving the alternate screen is the last but one thing written.
        let left = || contains(&self.output(), b"\x1b[?1049l");
        while !(left() && clean(&self.screen())) && began.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let parser = self.screen();
        assert!(
            !parser.screen().alternate_screen(),
            "still on the alternate screen"
        );
        assert!(!parser.screen().hide_cursor(), "the cursor stays hidden");
        assert!(
            !parser.screen().bracketed_paste(),
            "bracketed paste stays on"
        );
        let text = String::from_utf8_lossy(&self.output()).into_owned();
        assert!(
            text.rfind("\x1b[?1004l") > text.rfind("\x1b[?1004h"),
            "focus reports stay on"
        );
        let count = |mark: &str| text.matches(mark).count();
        assert!(
            count("\x1b[?2026l") >= count("\x1b[?2026h"),
            "a synchronized update is left open"
        );
        let after = self
            .master
            .as_ref()
            .and_then(|m| m.as_raw_fd())
            .map(nix_like::of);
        assert_eq!(after, self.before, "the terminal's modes differ");
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid =
            rustix::process::Pid::from_raw(self.child.process_id().unwrap().cast_signed()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }
}

#[test]
fn quit_sigterm_and_ctrl_c_leave_nothing_behind() {
    let mut session = Session::console(&[]);
    session.until("No runs yet");
    session.send("q");
    assert_eq!(session.ended(Duration::from_secs(5)), 0);
    session.assert_clean();

    let mut session = Session::console(&[]);
    session.until("No runs yet");
    session.signal(rustix::process::Signal::TERM);
    assert_eq!(session.ended(Duration::from_secs(5)), 0);
    session.assert_clean();

    let mut session = Session::console(&[]);
    session.until("No runs yet");
    session.send("\x03");
    session.ended(Duration::from_secs(5));
    session.assert_clean();
}

#[test]
fn rare_signals_restore_the_terminal_and_say_so_in_the_exit_code() {
    use rustix::process::Signal;
    for signal in [
        Signal::QUIT,
        Signal::USR1,
        Signal::USR2,
        Signal::ALARM,
        Signal::ABORT,
        Signal::XCPU,
    ] {
        let mut session = Session::console(&[]);
        session.until("No runs yet");
        session.signal(signal);
        let code = session.ended(Duration::from_secs(5));
        assert_eq!(code, 128 + signal.as_raw().cast_unsigned(), "{signal:?}");
        session.assert_clean();
    }
}

#[test]
fn tstp_from_outside_gives_the_shell_its_terminal_until_fg() {
    let mut session = Session::start("/bin/sh", &["-i"], &[("PS1", "shell> ")]);
    session.until("shell> ");
    session.send(&format!("{}\n", env!("CARGO_BIN_EXE_bsm")));
    session.until("No runs yet");
    let shell = session.child.process_id().unwrap();
    let children = format!("/proc/{shell}/task/{shell}/children");
    let child = std::fs::read_to_string(children).unwrap();
    let child = rustix::process::Pid::from_raw(child.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(child, rustix::process::Signal::TSTP).unwrap();
    session.until("shell> ");
    session.send("echo on-the-$((40 + 2))\n");
    session.until("on-the-42");
    let parser = session.screen();
    assert!(!parser.screen().alternate_screen() && !parser.screen().hide_cursor());
    session.send("fg\n");
    session.until("No runs yet");
    session.send("3");
    session.until("Recent transitions");
    session.send("q");
    // The shell has its terminal back when it asks again, after the line that `fg` wrote.
    session.until_screen("the prompt after fg", |screen| {
        let lines: Vec<&str> = screen.lines().map(str::trim_end).collect();
        let last = lines.iter().rposition(|line| !line.is_empty());
        last.is_some_and(|at| at > 0 && lines[at] == "shell>" && lines[at - 1].ends_with("bsm"))
    });
    session.send("exit\n");
    session.ended(Duration::from_secs(5));
}

#[test]
fn a_closed_terminal_ends_the_process_without_spinning() {
    let home = tempfile::tempdir().unwrap();
    let size = PtySize {
        rows: 40,
        cols: 120,
        pixel_width: 0,
        pixel_height: 0,
    };
    let pair = native_pty_system().openpty(size).unwrap();
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_bsm"));
    command.env_clear();
    command.cwd(home.path());
    for (name, value) in [
        ("HOME", home.path().to_str().unwrap()),
        ("TERM", "xterm"),
        ("LANG", "C.UTF-8"),
    ] {
        command.env(name, value);
    }
    let mut child = pair.slave.spawn_command(command).unwrap();
    drop(pair.slave);
    // Read here and not on a thread: a reader that waits would keep the terminal open.
    let mut reader = pair.master.try_clone_reader().unwrap();
    let mut seen = Vec::new();
    let mut buffer = [0; 8_192];
    while !String::from_utf8_lossy(&seen).contains("No runs yet") {
        let n = reader.read(&mut buffer).unwrap();
        seen.extend_from_slice(&buffer[..n]);
    }
    drop(reader);
    drop(pair.master);
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > Duration::from_secs(3) {
            let _ = child.kill();
            panic!("still there 3 s after its terminal went away");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The console must not wait for the engine's next picture before it shows what a key did.
#[test]
fn keys_are_drawn_at_once_while_the_engine_is_idle() {
    let mut session = Session::console(&[]);
    session.until("No runs yet");
    let mut slow = 0;
    for (key, title) in [
        ("2", "┌ Runs"),
        ("3", "Recent transitions"),
        ("4", "Caches, since start"),
        ("1", "Latency of answered calls"),
    ]
    .repeat(3)
    {
        std::thread::sleep(Duration::from_millis(130)); // away from the engine's own rhythm
        let began = Instant::now();
        session.send(key);
        while !session.screen().screen().contents().contains(title) {
            std::thread::sleep(Duration::from_millis(2));
            assert!(
                began.elapsed() < Duration::from_secs(5),
                "{title} never showed"
            );
        }
        slow += usize::from(began.elapsed() > Duration::from_millis(250));
    }
    // A machine under load may delay one; the old fault delayed nearly all of them.
    assert!(
        slow <= 2,
        "{slow} of 12 key presses took longer than 250 ms"
    );
    session.send("q");
    session.ended(Duration::from_secs(5));
}

/// Ctrl-Z gives the shell its terminal, `fg` gives it back, raw again.
#[test]
fn ctrl_z_and_fg_come_back() {
    let mut session = Session::start("/bin/sh", &["-i"], &[("PS1", "shell> ")]);
    session.until("shell> ");
    for round in 0..3 {
        let command = if round == 0 {
            env!("CARGO_BIN_EXE_bsm")
        } else {
            "fg"
        };
        session.send(&format!("{command}\n"));
        session.until("No runs yet");
        session.send("\x1a");
        session.until("shell> ");
    }
    session.send("fg\n");
    session.until("No runs yet");
    session.send("3");
    session.until("Recent transitions");
    session.send("q");
    // The fifth prompt: the older ones are back on the screen before the console has ended.
    let began = Instant::now();
    let prompts = |s: &Session| s.screen().screen().contents().matches("shell> ").count();
    while prompts(&session) < 5 {
        assert!(began.elapsed() < Duration::from_secs(5), "no prompt");
        std::thread::sleep(Duration::from_millis(5));
    }
    session.send("exit\n");
    session.ended(Duration::from_secs(5));
}

#[test]
fn a_panic_restores_the_terminal_before_it_is_printed() {
    let me = std::env::current_exe().unwrap();
    let args = [
        "--exact",
        "terminal::child_that_panics",
        "--nocapture",
        "--test-threads=1",
    ];
    let mut session = Session::start(me.to_str().unwrap(), &args, &[("BSM_TEST_CHILD", "panic")]);
    session.ended(Duration::from_secs(10));
    session.assert_clean();
    let text = String::from_utf8_lossy(&session.output()).into_owned();
    assert!(
        text.find("on purpose") > text.rfind("\x1b[?1049l"),
        "the message came before the screen was given back:\n{text:?}"
    );
}

/// Not a test of its own: the child of the one above.
#[test]
fn child_that_panics() {
    if std::env::var("BSM_TEST_CHILD").as_deref() != Ok("panic") {
        return;
    }
    bsm::console::terminal::install_panic_hook();
    bsm::console::terminal::take().unwrap();
    panic!("on purpose");
}

#[test]
fn resizes_no_colour_and_a_dumb_terminal() {
    let mut session = Session::console(&[("NO_COLOR", "1")]);
    session.until("No runs yet");
    for n in 0..60u16 {
        let size = PtySize {
            rows: 1 + n % 50,
            cols: 1 + (n * 7) % 180,
            pixel_width: 0,
            pixel_height: 0,
        };
        session.master.as_ref().unwrap().resize(size).unwrap();
    }
    let size = PtySize {
        rows: 40,
        cols: 120,
        pixel_width: 0,
        pixel_height: 0,
    };
    session.master.as_ref().unwrap().resize(size).unwrap();
    session.send("2");
    session.send("1");
    session.until("Breakers and pools");
    session.send("q");
    assert_eq!(session.ended(Duration::from_secs(5)), 0);
    let text = String::from_utf8_lossy(&session.output()).into_owned();
    for colour in [
        "\x1b[31m",
        "\x1b[32m",
        "\x1b[33m",
        "\x1b[36m",
        "\x1b[38;5;",
        "\x1b[48;5;",
    ] {
        let at = text.find(colour);
        let around = at.map(|at| {
            text[at.saturating_sub(40)..]
                .chars()
                .take(120)
                .collect::<String>()
        });
        assert_eq!(around, None, "{colour:?} under NO_COLOR");
    }
    assert!(text.contains("\x1b[1m"), "bold stays");

    let mut session = Session::console(&[("TERM", "dumb")]);
    assert_eq!(session.ended(Duration::from_secs(20)), 2);
    let said = |s: &Session| s.screen().screen().contents();
    session.until("bsm runs");
    assert!(
        said(&session).contains("TERM is unset or dumb"),
        "{}",
        said(&session)
    );
    assert!(
        !session.output().contains(&0x1b),
        "a dumb terminal gets no escape: {:?}",
        String::from_utf8_lossy(&session.output())
    );
}

/// What a terminal answers is no key, Esc and a key in one piece are two, and a key that comes in pieces is one.
#[test]
fn input_is_taken_for_what_it_is() {
    let mut session = Session::console(&[]);
    session.until("No runs yet");
    for reply in [
        "\x1b]11;rgb:1e1e/1e1e/2e2e\x1b\\",
        "\x1b]4;1;rgb:cccc/0000/0000\x07",
        "\x1b[>41;354;0c",
        "\x1b[?64;1;2;6;9;15;18;21;22c",
        "\x1b[12;40R",
        "\x1b[?2026;2$y",
        "\x1bP>|XTerm(354)\x1b\\",
    ] {
        session.send(reply);
    }
    // A key after them is drawn, and nothing of them was taken for one.
    session.send("?");
    session.until("On this screen: Overview");
    // As tmux sends Escape and a key that comes within its escape time.
    session.send("\x1b3");
    session.until("Recent transitions");
    assert!(
        !session
            .screen()
            .screen()
            .contents()
            .contains("On this screen")
    );
    // An arrow in two pieces scrolls the help, and does not rewind.
    session.send("?");
    session.until("On this screen: Resilience");
    session.send("\x1b[");
    session.send("B");
    session.send("\x1b");
    session.until("Recent transitions");
    assert!(!session.screen().screen().contents().contains("REWOUND"));
    session.send("q");
    assert_eq!(session.ended(Duration::from_secs(5)), 0);
}

/// A provider that answers every call so, after a while, until the test is over.
pub(crate) fn upstream(after: Duration, head: &'static str, body: &'static str) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut buffer = vec![0; 65_536];
                while let Ok(n) = stream.read(&mut buffer) {
                    if n == 0 {
                        return;
                    }
                    // The body may come in pieces; only the piece with the end of the request is answered.
                    if buffer[..n].ends_with(b"}") {
                        std::thread::sleep(after);
                        let sent = stream.write_all(format!("{head}{body}").as_bytes());
                        if sent.is_err() || head.contains("connection: close") {
                            return;
                        }
                    }
                }
            });
        }
    });
    url
}

/// From the overview to the log line of a failing call, in four keys.
#[test]
fn an_outage_is_followed_to_its_log_line_in_four_keys() {
    let head = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\n";
    let url = upstream(Duration::ZERO, head, "{}");
    let mut s = Session::console(&[
        ("OPENAI_BASE_URL", url.as_str()),
        ("OPENAI_API_KEY", "test-key-0123456789"),
        ("BSM_RETRY_BASE_MS", "1"),
        // It stays open however long the steps below take.
        ("BSM_BREAKER_OPEN_MS", "600000"),
    ]);
    s.until("No runs yet");
    s.send("r");
    s.until("governance-review-agent, code-review-agent");
    s.send("\r");
    s.until("finding:");
    s.send("1");
    s.until("▌DOWN  openai refuses");
    s.until("openai refuses since");
    s.send("w");
    s.until("5 failures in a row, last: http_503");
    s.until("docs/runbooks/breaker-open.md");
    s.send("w");
    // The four keys: resilience (the open breaker is selected), its calls, the run, its log lines.
    s.send("3");
    s.until("Recent transitions");
    s.send("\r");
    s.until("Calls to openai");
    s.until("http_503");
    s.send("\r");
    s.until("correlation");
    s.send("l");
    s.until("attempt failed");
    s.until("outcome=http_503");
    s.send("q");
    assert_eq!(s.ended(Duration::from_secs(3)), 0);
    s.assert_clean();
}

/// A chosen key that is taken is an error that names the place, before the terminal is touched.
#[test]
fn a_key_used_twice_is_an_error_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.yaml");
    std::fs::write(&config, "console:\n  keys:\n    run: c\n").unwrap();
    let mut s = Session::start(
        env!("CARGO_BIN_EXE_bsm"),
        &["--config", config.to_str().unwrap()],
        &[],
    );
    assert_eq!(s.ended(Duration::from_secs(5)), 2);
    s.until("config.yaml:3:5: the key 'c' is used by run and clear-cache");
    std::fs::write(&config, "console:\n  keys:\n    run: n\n  theme: light\n").unwrap();
    let mut s = Session::start(
        env!("CARGO_BIN_EXE_bsm"),
        &["--config", config.to_str().unwrap()],
        &[],
    );
    s.until("n run");
    s.send("n");
    s.until("Start a run");
    s.send("\x03");
    assert_eq!(s.ended(Duration::from_secs(3)), 0);
}

/// A provider that takes its time, and a pool of one: from the overview to the log lines of a call that had
/// to wait, in four keys.
#[test]
fn a_full_pool_is_followed_to_its_log_lines_in_four_keys() {
    let url = upstream(
        Duration::from_millis(700),
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n",
        r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"{\"decision\":\"approve\",\"score\":90,\"comments\":[]}"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9}}"#,
    );
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.yaml");
    std::fs::write(
        &config,
        "pools:\n  openai: {limit: 1}\nalerts: {raiseAfterS: 1}\n",
    )
    .unwrap();
    let mut s = Session::start(
        env!("CARGO_BIN_EXE_bsm"),
        &["--config", config.to_str().unwrap()],
        &[
            ("OPENAI_BASE_URL", url.as_str()),
            ("OPENAI_API_KEY", "test-key-0123456789"),
        ],
    );
    s.until("No runs yet");
    s.send("r");
    s.until("governance-review-agent, code-review-agent");
    s.send("\r");
    s.until("agents at work");
    s.send("1");
    s.until("pool openai is full");
    s.send("3");
    s.until("Recent transitions");
    s.send("w");
    s.until("places are in use");
    s.until("docs/runbooks/pool-full.md");
    s.send("w");
    s.send("\r");
    s.until("Calls to openai");
    s.until("waited");
    s.send("\r");
    s.until("correlation");
    s.send("l");
    s.until("step ended");
    s.send("\x03");
    assert_eq!(s.ended(Duration::from_secs(3)), 0);
    s.assert_clean();
}

/// What was chosen at the console is there the next time, unless the settings say something else.
#[test]
fn the_console_remembers_screen_time_and_palette() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    let tokyo = [("XDG_STATE_HOME", path.as_str()), ("TZ", "JST-9")];
    let mut s = Session::start(env!("CARGO_BIN_EXE_bsm"), &[], &tokyo);
    s.until("JST");
    s.send("UT3");
    s.until("theme: light");
    s.until("Recent transitions");
    s.until(" UTC");
    s.send("q");
    assert_eq!(s.ended(Duration::from_secs(3)), 0);
    let mut s = Session::start(env!("CARGO_BIN_EXE_bsm"), &[], &tokyo);
    s.until("Recent transitions");
    s.until(" UTC");
    s.send("q");
    assert_eq!(s.ended(Duration::from_secs(3)), 0);
}

/// What the random keys are taken from: everything but leaving, the shell, and draining.
const KEYS: &[&str] = &[
    "1",
    "2",
    "3",
    "4",
    "5",
    "7",
    "j",
    "k",
    "g",
    "G",
    "\r",
    "\x1b",
    "w",
    "t",
    "+",
    "-",
    "[",
    "]",
    "{",
    "}",
    " ",
    "R",
    "o",
    "l",
    "/",
    "a",
    "e",
    "p",
    "F",
    "c",
    "b",
    "i",
    "B",
    "U",
    "T",
    "y",
    ":",
    "?",
    "\t",
    "\x1b[200~x y\x1b[201~",
    "\x1b[A",
    "\x1b[<65;10;10M",
    "\x1b[<0;20;8M",
    "\x1b[<0;60;20M",
    "z",
    "C",
    "I",
    "J",
    "u",
    "\x17",
    "\x1b[Z",
    "\x1b[C",
    "\x1b[D",
    "\x1bj",
    "\x1b]11;rgb:1e1e/1e1e/2e2e\x1b\\",
    "\x1b[>41;354;0c",
];

/// Random keys, pastes and resizes over a working engine: it neither dies nor grows, and at the end it
/// still takes a command. `BSM_SOAK_SECONDS` makes it longer.
#[test]
fn random_keys_and_resizes_under_load_do_no_harm() {
    let seconds = std::env::var("BSM_SOAK_SECONDS")
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(6);
    let mut s = Session::start(
        env!("CARGO_BIN_EXE_bsm"),
        &["--simulate"],
        &[("BSM_CACHE_RESPONSES_TTL_MS", "0")],
    );
    s.until("No runs yet");
    s.send("r");
    s.until("governance-review-agent, code-review-agent");
    s.send("\r");
    s.until("agents at work");
    let memory = |s: &Session| {
        let pid = s.child.process_id().unwrap();
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = text
            .lines()
            .find(|l| l.starts_with("VmRSS"))
            .unwrap_or_default();
        line.split_whitespace()
            .nth(1)
            .and_then(|n| n.parse::<u64>().ok())
            .unwrap_or(0)
    };
    let mut random = 0x2545_f491_4f6c_dd1du64;
    let mut next = |n: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % n as u64) as usize
    };
    let began = Instant::now();
    let mut before = 0;
    while began.elapsed() < Duration::from_secs(seconds) {
        s.send(KEYS[next(KEYS.len())]);
        if next(8) == 0 {
            let size = PtySize {
                rows: (3 + next(60)) as u16,
                cols: (10 + next(200)) as u16,
                pixel_width: 0,
                pixel_height: 0,
            };
            s.master.as_ref().unwrap().resize(size).unwrap();
        }
        if before == 0 && began.elapsed() > Duration::from_secs(seconds / 2) {
            before = memory(&s);
        }
        std::thread::sleep(Duration::from_millis(15));
        assert!(
            s.child.try_wait().unwrap().is_none(),
            "it ended:\n{}",
            s.screen().screen().contents()
        );
    }
    let after = memory(&s);
    assert!(
        after < before + 40_000,
        "it grew from {before} to {after} kB"
    );
    s.send("\x03");
    assert_eq!(s.ended(Duration::from_secs(4)), 0);
    s.assert_clean();
}

/// A tmux server of the test's own; it ends with the test.
struct Tmux {
    socket: String,
    home: tempfile::TempDir,
}

impl Tmux {
    fn command(&self, args: &[&str]) -> std::process::Output {
        std::process::Command::new("tmux")
            .args(["-L", &self.socket, "-f", "/dev/null"])
            .args(args)
            .env_remove("TMUX")
            .env("HOME", self.home.path())
            .env("XDG_STATE_HOME", self.home.path())
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm-256color")
            .output()
            .unwrap()
    }

    fn screen(&self) -> String {
        let output = self.command(&["capture-pane", "-p", "-t", "t"]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn until(&self, wanted: &str) {
        let until = Instant::now() + Duration::from_secs(30);
        while !self.screen().contains(wanted) {
            assert!(
                Instant::now() < until,
                "no '{wanted}' on\n{}",
                self.screen()
            );
            std::thread::yield_now();
        }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.command(&["kill-server"]);
    }
}

/// Inside tmux, over a served engine: the console attaches, a run goes to its decision, the link is cut
/// and mended, and `d` leaves the engine running.
#[test]
fn inside_tmux_over_a_served_engine_that_is_lost_and_found() {
    if std::process::Command::new("tmux")
        .arg("-V")
        .output()
        .is_err()
    {
        assert!(
            std::env::var_os("BSM_TESTS_NEED_TOOLS").is_none(),
            "tmux is missing"
        );
        println!("skipped: tmux is missing");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let bsm = env!("CARGO_BIN_EXE_bsm");
    let serve = |home: &std::path::Path| {
        let mut child = std::process::Command::new(bsm)
            .args(["serve", "--no-tcp", "--offline", "--allow-root"])
            .current_dir(home)
            .env("HOME", home)
            .env("XDG_STATE_HOME", home)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        assert!(line.contains("bsm.sock"), "{line}");
        child
    };
    let end = |mut child: std::process::Child| {
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(child.wait().unwrap().success());
    };
    let mut engine = serve(home.path());
    let tmux = Tmux {
        socket: format!("bsm-test-{}", std::process::id()),
        home,
    };
    let at = tmux.home.path().to_str().unwrap().to_owned();
    let started = tmux.command(&[
        "new-session",
        "-d",
        "-s",
        "t",
        "-x",
        "120",
        "-y",
        "36",
        "-c",
        &at,
        bsm,
    ]);
    assert!(started.status.success(), "{started:?}");
    tmux.until("attached to this machine");
    tmux.command(&["send-keys", "-t", "t", "r"]);
    tmux.until("Start a run");
    tmux.command(&["send-keys", "-t", "t", "Enter"]);
    // With its reason: the form, too, names the decisions there are.
    tmux.until("request_changes  finding");
    end(engine);
    tmux.until("disconnected from unix:");
    engine = serve(tmux.home.path());
    tmux.until("answers again");
    tmux.command(&["send-keys", "-t", "t", "d"]);
    let until = Instant::now() + Duration::from_secs(10);
    while tmux.command(&["has-session", "-t", "t"]).status.success() {
        assert!(Instant::now() < until, "it stays: {}", tmux.screen());
        std::thread::yield_now();
    }
    end(engine);
}

/// A mode that the running engine does not have: its models would be others than those that are meant.
#[test]
fn console_with_a_mode_that_the_running_engine_lacks_is_refused_with_both_named() {
    use std::io::BufRead as _;
    let home = tempfile::tempdir().unwrap();
    let mut engine = std::process::Command::new(env!("CARGO_BIN_EXE_bsm"))
        .args(["serve", "--no-tcp", "--offline", "--allow-root"])
        .env_clear()
        .env("HOME", home.path())
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .current_dir(home.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(engine.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.is_ok_and(|l| l.contains("unix:"))));
    let at = home.path().display().to_string();
    for args in [&["--simulate"][..], &["--simulate", "--detachable"]] {
        let program = env!("CARGO_BIN_EXE_bsm");
        let mut session = Session::start(program, args, &[("HOME", &at)]);
        session.until("--simulate was asked for, and this workspace's engine runs with --offline");
        session.until("bsm stop");
        assert_eq!(session.ended(Duration::from_secs(10)), 1, "{args:?}");
    }
    engine.kill().unwrap();
    engine.wait().unwrap();
}
