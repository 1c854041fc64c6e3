//! What a console costs its terminal: first output, bytes and processor time in a real pty, at rest and
//! under load, beside other monitors in the same run. `cargo bench --bench tty` (Linux)
//!
//! Other programs are measured where they are installed (`htop`, `btop`, `btm`) and left out aloud where
//! they are not.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and fails by panicking"
)]

use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

/// Seconds of each measure.
const SPAN: Duration = Duration::from_secs(15);
/// First outputs are the median of so many starts.
const STARTS: usize = 7;

struct Running {
    home: tempfile::TempDir,
    child: Box<dyn portable_pty::Child + Send + Sync>,
    writer: Box<dyn std::io::Write + Send>,
    _master: Box<dyn portable_pty::MasterPty + Send>,
    bytes: Arc<AtomicU64>,
    first: Arc<Mutex<Option<Instant>>>,
    began: Instant,
}

fn start(program: &str, args: &[&str], (cols, rows): (u16, u16)) -> Running {
    start_with(program, args, &[], (cols, rows))
}

fn start_with(
    program: &str,
    args: &[&str],
    variables: &[(&str, &str)],
    (cols, rows): (u16, u16),
) -> Running {
    let home = tempfile::tempdir().unwrap();
    let size = PtySize {
        rows,
        cols,
        pixel_width: 0,
        pixel_height: 0,
    };
    let pair = native_pty_system().openpty(size).unwrap();
    let mut command = CommandBuilder::new(program);
    command.args(args);
    command.env_clear();
    command.cwd(home.path());
    command.env("HOME", home.path());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("TERM", "xterm-256color");
    command.env("LANG", "C.UTF-8");
    for (name, value) in variables {
        command.env(name, value);
    }
    let began = Instant::now();
    let child = pair.slave.spawn_command(command).unwrap();
    drop(pair.slave);
    let (bytes, first) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(None)));
    let mut reader = pair.master.try_clone_reader().unwrap();
    let (counted, seen) = (Arc::clone(&bytes), Arc::clone(&first));
    std::thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        while let Ok(n) = reader.read(&mut buffer) {
            if n == 0 {
                return;
            }
            seen.lock().unwrap().get_or_insert_with(Instant::now);
            counted.fetch_add(n as u64, Relaxed);
        }
    });
    let writer = pair.master.take_writer().unwrap();
    Running {
        home,
        child,
        writer,
        _master: pair.master,
        bytes,
        first,
        began,
    }
}

impl Running {
    fn first_output(&self) -> Duration {
        loop {
            if let Some(at) = *self.first.lock().unwrap() {
                return at - self.began;
            }
            assert!(self.began.elapsed() < Duration::from_secs(10), "no output");
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    fn pid(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// Nanoseconds on a processor, of all threads (those that have ended too, to ten milliseconds) or of
    /// those whose name begins so.
    fn cpu(&self, name: Option<&str>) -> u64 {
        if name.is_none() {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
            let after_name = stat.rsplit(") ").next().unwrap_or_default();
            let ticks = after_name.split_whitespace().skip(11).take(2);
            return ticks.filter_map(|t| t.parse::<u64>().ok()).sum::<u64>() * 10_000_000;
        }
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        tasks
            .flatten()
            .filter(|task| {
                let comm = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
                name.is_none_or(|n| comm.starts_with(n))
            })
            .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
            .filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok())
            .sum()
    }

    fn memory_mb(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status
            .lines()
            .find(|l| l.starts_with("VmRSS"))
            .unwrap_or_default();
        let kb = line
            .split_whitespace()
            .nth(1)
            .and_then(|n| n.parse::<f64>().ok());
        kb.unwrap_or(0.0) / 1_024.0
    }

    fn send(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).unwrap();
    }

    fn end(mut self) {
        self.send("q");
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(1) {
            if self.child.try_wait().unwrap().is_some() {
                drop(self.home);
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Bytes a second, percent of a core (whole program, console's own threads).
fn measure(running: &Running) -> (f64, f64, f64) {
    let own = |r: &Running| r.cpu(Some("bsm-console")) + r.cpu(Some("bsm-keys"));
    let (bytes, cpu, console) = (running.bytes.load(Relaxed), running.cpu(None), own(running));
    let began = Instant::now();
    std::thread::sleep(SPAN);
    let seconds = began.elapsed().as_secs_f64();
    let percent = |ns: u64| ns as f64 / 1e7 / seconds;
    (
        (running.bytes.load(Relaxed) - bytes) as f64 / seconds,
        percent(running.cpu(None).saturating_sub(cpu)),
        percent(own(running).saturating_sub(console)),
    )
}

fn line(
    name: &str,
    size: (u16, u16),
    first_ms: f64,
    (bytes, cpu, console): (f64, f64, f64),
    mb: f64,
) {
    println!(
        "{name:<26} {:>7} first {first_ms:>6.1} ms  {bytes:>8.0} bytes/s  cpu {cpu:>5.2} %  console {console:>5.2} %  {mb:>5.1} MB",
        format!("{}x{}", size.0, size.1)
    );
}

fn first_ms(program: &str, args: &[&str], size: (u16, u16)) -> f64 {
    let mut times: Vec<f64> = (0..STARTS)
        .map(|_| {
            let running = start(program, args, size);
            let took = running.first_output().as_secs_f64() * 1e3;
            running.end();
            took
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[STARTS / 2]
}

/// Milliseconds from the first byte of a megabyte pasted into the form's payload to the last byte of what is
/// drawn of it; the median of three.
fn paste_ms(program: &str, size: (u16, u16)) -> f64 {
    let pasted = format!("\x1b[200~{}\x1b[201~", "x".repeat(1 << 20));
    let mut times: Vec<f64> = (0..3)
        .map(|_| {
            let mut running = start(program, &[], size);
            running.first_output();
            std::thread::sleep(Duration::from_secs(2));
            for key in ["r", "\t", "\t"] {
                running.send(key);
                std::thread::sleep(Duration::from_millis(400));
            }
            let before = running.bytes.load(Relaxed);
            let began = Instant::now();
            running.send(&pasted);
            while running.bytes.load(Relaxed) == before {
                assert!(began.elapsed() < Duration::from_secs(20), "nothing drawn");
                std::thread::sleep(Duration::from_micros(100));
            }
            let took = began.elapsed().as_secs_f64() * 1e3;
            running.send("\x1b");
            std::thread::sleep(Duration::from_millis(200));
            running.end();
            took
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    let bsm = env!("CARGO_BIN_EXE_bsm");
    for size in [(120, 40), (200, 50)] {
        let first = first_ms(bsm, &[], size);
        let running = start(bsm, &[], size);
        std::thread::sleep(Duration::from_secs(5)); // the rules are compiled after the first frame
        let rest = measure(&running);
        line("bsm, at rest", size, first, rest, running.memory_mb());
        running.end();
        println!(
            "a megabyte pasted into the payload: {:.1} ms",
            paste_ms(bsm, size)
        );

        // Without the answers' cache: the same change again and again would ask nobody.
        let uncached = [("BSM_CACHE_RESPONSES_TTL_MS", "0")];
        let mut running = start_with(bsm, &["--simulate"], &uncached, size);
        std::thread::sleep(Duration::from_secs(3));
        running.send("r");
        std::thread::sleep(Duration::from_millis(500));
        running.send("\r");
        std::thread::sleep(Duration::from_secs(3));
        running.send("1");
        // A queue of runs, eight at once, of four agents each: it lasts longer than the measure.
        for _ in 0..120 {
            running.send("R");
            std::thread::sleep(Duration::from_millis(40));
        }
        running.send("1");
        std::thread::sleep(Duration::from_secs(1));
        let load = measure(&running);
        line(
            "bsm, 8 runs at once",
            size,
            first,
            load,
            running.memory_mb(),
        );
        running.end();

        for program in ["htop", "btop", "btm"] {
            let found = std::process::Command::new("sh")
                .args(["-c", &format!("command -v {program}")])
                .output()
                .is_ok_and(|o| o.status.success());
            if !found {
                println!("{program:<26} is not installed: not measured");
                continue;
            }
            let first = first_ms(program, &[], size);
            let running = start(program, &[], size);
            std::thread::sleep(Duration::from_secs(3));
            let rest = measure(&running);
            line(program, size, first, rest, running.memory_mb());
            running.end();
        }
    }
}
