//! The memory's search box over a million items, in a real pty: from each key to the screen that answers it.
//! `cargo bench --bench typing` (Linux); fewer items by `ITEMS`
//!
//! A key is answered when the last byte has come that it caused: what was typed, and then what is like it.
//! The text typed is of items that are there, so that it is alike to many.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and fails by panicking"
)]

use std::io::{BufWriter, Read as _, Write as _};
use std::num::NonZeroU16;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

const BSM: &str = env!("CARGO_BIN_EXE_bsm");
/// Keys come this far apart: nobody types faster, and nothing of one is left when the next comes.
const APART: Duration = Duration::from_millis(120);
/// A frame at the console's own pace.
const FRAME: Duration = Duration::from_millis(33);
const KEYS: usize = 400;

/// Words by a power law, as source code has them; about two new ones an item.
struct Corpus {
    random: fastrand::Rng,
    fresh: u64,
}

impl Corpus {
    fn item(&mut self) -> String {
        let size = self.random.usize(15..75);
        let mut text = String::new();
        for _ in 0..size {
            let word = if self.random.f64() < 0.042 {
                self.fresh += 1;
                (1 << 40) | self.fresh
            } else {
                (200_000_f64.powf(self.random.f64().powf(0.75)) - 1.0) as u64
            };
            text.push_str(&format!("{word:x} "));
        }
        text
    }
}

fn command(home: &Path) -> Command {
    let mut command = Command::new(BSM);
    command.env_clear().env("HOME", home).current_dir(home);
    command
}

/// What the screen shows, and when its last byte came.
struct Screen {
    parser: vt100::Parser,
    bytes: Receiver<(Instant, Vec<u8>)>,
}

impl Screen {
    /// Reads until nothing has come for so long; when the last bytes came.
    fn settle(&mut self, silence: Duration) -> Option<Instant> {
        let mut last = None;
        loop {
            match self.bytes.recv_timeout(silence) {
                Ok((at, bytes)) => {
                    self.parser.process(&bytes);
                    last = Some(at);
                }
                Err(RecvTimeoutError::Timeout) => return last,
                Err(RecvTimeoutError::Disconnected) => unreachable!("the console ended"),
            }
        }
    }

    fn text(&self) -> String {
        self.parser.screen().contents()
    }
}

fn main() {
    let items = std::env::var("ITEMS").ok().and_then(|n| n.parse().ok());
    let items: usize = items.unwrap_or(1_000_000);
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("items.jsonl");
    let mut corpus = Corpus {
        random: fastrand::Rng::with_seed(7),
        fresh: 0,
    };
    let mut typed = String::new();
    {
        let mut out = BufWriter::new(std::fs::File::create(&file).unwrap());
        for n in 0..items {
            let code = corpus.item();
            if n % (items / 8).max(1) == 0 {
                typed.push_str(&code);
            }
            writeln!(
                out,
                r#"{{"type":"code_review","code":"{code}","review":"approve: item {n}"}}"#
            )
            .unwrap();
        }
    }
    let began = Instant::now();
    let mut import = command(home.path());
    import.args(["memory", "import"]).arg(&file);
    assert!(import.output().unwrap().status.success());
    println!(
        "{items} items accepted by `bsm memory import` in {:.1} s",
        began.elapsed().as_secs_f64()
    );
    std::fs::remove_file(&file).unwrap();
    for size in [(80, 24), (200, 50)] {
        type_in(home.path(), size, items, &typed);
    }
}

fn type_in(home: &Path, (cols, rows): (u16, u16), items: usize, typed: &str) {
    let pair = native_pty_system()
        .openpty(PtySize {
            rows,
            cols,
            pixel_width: 0,
            pixel_height: 0,
        })
        .unwrap();
    let mut command = CommandBuilder::new(BSM);
    command.env_clear();
    command.cwd(home);
    for (name, value) in [("TERM", "xterm-256color"), ("LANG", "C.UTF-8")] {
        command.env(name, value);
    }
    command.env("HOME", home);
    let began = Instant::now();
    let mut child = pair.slave.spawn_command(command).unwrap();
    drop(pair.slave);
    let mut reader = pair.master.try_clone_reader().unwrap();
    let (sender, bytes) = channel();
    std::thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        while let Ok(n) = reader.read(&mut buffer) {
            if n == 0 || sender.send((Instant::now(), buffer[..n].to_vec())).is_err() {
                return;
            }
        }
    });
    let size = |n| NonZeroU16::new(n).unwrap();
    let mut screen = Screen {
        parser: vt100::Parser::new(size(rows), size(cols), 0),
        bytes,
    };
    let mut writer = pair.master.take_writer().unwrap();
    let mut press = |keys: &str| writer.write_all(keys.as_bytes()).unwrap();
    screen.settle(Duration::from_millis(500));
    press("6");
    screen.settle(APART);
    press("/");
    screen.settle(APART);
    // Until all items are in the index.
    press("1");
    let first = began.elapsed();
    loop {
        screen.settle(Duration::from_millis(200));
        if screen.text().contains(" alike") && !screen.text().contains("still fills") {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{}",
            screen.text()
        );
        press("\u{7f}1");
    }
    println!(
        "{cols}x{rows}: asked {:.1} s after the start, all {items} items there after {:.1} s",
        first.as_secs_f64(),
        began.elapsed().as_secs_f64()
    );
    press("\u{7f}");
    screen.settle(APART);
    let mut took: Vec<Duration> = Vec::new();
    for key in typed.chars().take(KEYS) {
        let at = Instant::now();
        press(&key.to_string());
        let last = screen.settle(APART).unwrap();
        took.push(last - at);
    }
    let shown: String = typed.chars().take(KEYS).collect();
    let end: String = shown.trim_end().chars().rev().take(20).collect();
    let end: String = end.chars().rev().collect();
    assert!(
        screen.text().contains(&end) && screen.text().contains("50 alike"),
        "{}",
        screen.text()
    );
    took.sort();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let late = took.iter().filter(|t| **t > FRAME).count();
    println!(
        "  {} keys: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms; {late} later than a frame ({} ms)",
        took.len(),
        at(0.5),
        at(0.99),
        at(1.0),
        FRAME.as_millis()
    );
    let _ = child.kill();
    let _ = child.wait();
}
