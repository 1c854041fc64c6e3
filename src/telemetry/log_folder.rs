//! The folder of log files: a file a day, in parts, so that the oldest lines can be removed when the folder is full.
//! The newest lines are never the ones that go.
//!
//! `bsm.2026-11-21.jsonl` is written; when it has an eighth of the allowance it becomes `bsm.2026-11-21.000001.jsonl`.
//! Sorted by name, files are in the order in which they were written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

/// A day's file is closed when it has this share of the allowance.
const PARTS: u64 = 8;
/// No line is longer, bytes.
const LONGEST_LINE: u64 = 64 << 10;
/// Other files are measured again, and the own one is looked for, after this.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// One log file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its day, UTC: `2026-11-21`.
    pub day: String,
    /// Its size, bytes.
    pub bytes: u64,
}

/// The log files of a folder, the oldest first.
pub fn files(folder: &Path) -> io::Result<Vec<LogFile>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(day) = name.to_str().and_then(day_of) else {
            continue;
        };
        // A file may go between the two looks.
        if let Ok(meta) = entry.metadata()
            && meta.is_file()
        {
            found.push(LogFile {
                path: entry.path(),
                day: day.to_owned(),
                bytes: meta.len(),
            });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Whether a name is that of a log file.
pub fn is_log(name: &str) -> bool {
    day_of(name).is_some()
}

/// The day in a log file's name; `None`: it is none of ours.
fn day_of(name: &str) -> Option<&str> {
    let rest = name.strip_prefix("bsm.")?.strip_suffix(".jsonl")?;
    let (day, part) = rest.split_once('.').unwrap_or((rest, "1"));
    let is_date = day.len() == 10
        && day.bytes().enumerate().all(|(n, b)| match n {
            4 | 7 => b == b'-',
            _ => b.is_ascii_digit(),
        });
    (is_date && !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit())).then_some(day)
}

/// Removes the files of days before `first_day`; `dry_run`: only names them. Name and bytes of each. The file of
/// today stays, whatever the day.
///
/// # Errors
/// When the folder cannot be read or a file cannot be removed.
pub fn remove_older(
    folder: &Path,
    first_day: &str,
    today: &str,
    dry_run: bool,
) -> io::Result<Vec<(String, u64)>> {
    let mut gone = Vec::new();
    for file in files(folder)? {
        if file.day.as_str() >= first_day || file.day == today {
            continue;
        }
        if !dry_run {
            fs::remove_file(&file.path)?;
        }
        let name = file.path.file_name().unwrap_or_default().to_string_lossy();
        gone.push((name.into_owned(), file.bytes));
    }
    Ok(gone)
}

/// The file that is written, and the bounds of its folder.
pub struct LogFolder {
    folder: PathBuf,
    days: usize,
    max_bytes: u64,
    open: Option<OpenFile>,
}

struct OpenFile {
    file: File,
    path: PathBuf,
    day: String,
    length: u64,
    /// Bytes of the other files, as they were measured.
    others: u64,
    looked: Instant,
}

impl LogFolder {
    /// Opens today's file.
    ///
    /// # Errors
    /// It cannot be made or opened.
    pub fn open(folder: &Path, days: u32, max_bytes: u64, today: &str) -> io::Result<Self> {
        let mut log = Self {
            folder: folder.to_path_buf(),
            days: days.max(1) as usize,
            max_bytes,
            open: None,
        };
        log.open_day(today)?;
        Ok(log)
    }

    /// Appends a line. One that is too long is cut; where the folder is full, the oldest lines go.
    ///
    /// # Errors
    /// The line could not be written.
    pub fn append(&mut self, line: &str, today: &str) -> io::Result<()> {
        let longest = (self.max_bytes / (2 * PARTS)).clamp(256, LONGEST_LINE);
        let shorter;
        let line = if line.len() as u64 > longest {
            shorter = cut_line(line, longest as usize);
            shorter.as_str()
        } else {
            line
        };
        let written = self.write(line.as_bytes(), today);
        if written.is_err() {
            self.open = None; // Opened again for the next line.
        }
        written
    }

    /// Writes what the system has not written yet.
    ///
    /// # Errors
    /// As the system says.
    pub fn flush(&mut self) -> io::Result<()> {
        self.open.as_mut().map_or(Ok(()), |open| open.file.flush())
    }

    #[cfg(test)]
    pub(super) fn forget(&mut self) {
        self.open = None;
    }

    fn write(&mut self, line: &[u8], today: &str) -> io::Result<()> {
        let size = line.len() as u64;
        let usable = match &self.open {
            Some(open) if open.day == today => self.is_in_place(),
            _ => false,
        };
        if !usable {
            self.open_day(today)?;
        }
        if self
            .open
            .as_ref()
            .is_some_and(|o| o.length > 0 && o.length + size > self.max_bytes / PARTS)
        {
            self.close_part(today)?;
        }
        if self
            .open
            .as_ref()
            .is_some_and(|o| o.others + o.length + size > self.max_bytes)
        {
            self.make_room(size)?;
        }
        let open = self
            .open
            .as_mut()
            .ok_or_else(|| io::Error::other("the log file is closed"))?;
        open.file.write_all(line)?;
        open.length += size;
        Ok(())
    }

    /// Whether the open file is still the one at its path; looked up once a second.
    fn is_in_place(&mut self) -> bool {
        let Some(open) = &mut self.open else {
            return false;
        };
        if open.looked.elapsed() < LOOK_EVERY {
            return true;
        }
        let (Ok(own), Ok(named)) = (open.file.metadata(), fs::metadata(&open.path)) else {
            return false;
        };
        open.looked = Instant::now();
        open.length = own.len();
        open.others = others(&self.folder, &open.path).unwrap_or(open.others);
        (own.dev(), own.ino()) == (named.dev(), named.ino())
    }

    fn open_day(&mut self, day: &str) -> io::Result<()> {
        let path = self.folder.join(format!("bsm.{day}.jsonl"));
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(&path)?;
        self.open = Some(OpenFile {
            length: file.metadata()?.len(),
            others: 0,
            file,
            path,
            day: day.to_owned(),
            looked: Instant::now(),
        });
        self.remove_days()?;
        self.measure()
    }

    /// Gives the open file a number and begins a new one.
    fn close_part(&mut self, day: &str) -> io::Result<()> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let prefix = format!("bsm.{day}.");
        let number = |file: &LogFile| {
            let name = file.path.file_name()?.to_str()?;
            let digits = name.strip_prefix(&prefix)?.strip_suffix(".jsonl")?;
            digits.parse::<u64>().ok()
        };
        let last = files(&self.folder)?.iter().filter_map(number).max();
        // Six digits, so that names sort as numbers.
        let next = format!("{prefix}{:06}.jsonl", last.unwrap_or(0) + 1);
        fs::rename(&open.path, self.folder.join(next))?;
        self.open_day(day)
    }

    /// Removes the oldest files until the line has room. The file that is written stays.
    fn make_room(&mut self, size: u64) -> io::Result<()> {
        let Some(open) = &self.open else {
            return Ok(());
        };
        let old = files(&self.folder)?;
        let mut others: u64 = old
            .iter()
            .filter(|f| f.path != open.path)
            .map(|f| f.bytes)
            .sum();
        for file in old.iter().filter(|f| f.path != open.path) {
            if others + open.length + size <= self.max_bytes {
                break;
            }
            fs::remove_file(&file.path)?;
            others -= file.bytes;
        }
        self.measure()
    }

    /// Keeps the files of the newest days.
    fn remove_days(&self) -> io::Result<()> {
        let all = files(&self.folder)?;
        let mut days: Vec<&str> = all.iter().map(|f| f.day.as_str()).collect();
        days.dedup();
        let Some(first) = days.len().checked_sub(self.days).map(|n| days[n]) else {
            return Ok(());
        };
        let open = self.open.as_ref().map(|o| o.path.as_path());
        for file in all.iter().filter(|f| f.day.as_str() < first) {
            if Some(file.path.as_path()) != open {
                fs::remove_file(&file.path)?;
            }
        }
        Ok(())
    }

    fn measure(&mut self) -> io::Result<()> {
        if let Some(open) = &mut self.open {
            open.others = others(&self.folder, &open.path)?;
        }
        Ok(())
    }
}

/// Bytes of all log files but one.
fn others(folder: &Path, open: &Path) -> io::Result<u64> {
    let all = files(folder)?;
    Ok(all.iter().filter(|f| f.path != open).map(|f| f.bytes).sum())
}

/// A line of at most `most` bytes, still one JSON object: its long fields are cut, and it says so.
fn cut_line(line: &str, most: usize) -> String {
    let mut fields: Map<String, Value> = serde_json::from_str(line).unwrap_or_default();
    for each in [most / 8, most / 64] {
        for value in fields.values_mut() {
            if let Value::String(text) = value
                && text.len() > each
            {
                let end = text.floor_char_boundary(each);
                *text = format!("{} … ({} bytes cut)", &text[..end], text.len() - end);
            }
        }
        let shorter = crate::text::escape_json(Value::Object(fields.clone()).to_string());
        if !fields.is_empty() && shorter.len() < most {
            return format!("{shorter}\n");
        }
    }
    // Too many fields, or no object.
    fields.retain(|name, value| {
        ["timestamp", "level", "target"].contains(&name.as_str())
            && value.as_str().is_some_and(|text| text.len() <= 64)
    });
    let said = format!("a log line of {} bytes was left out", line.len());
    fields.insert("message".into(), said.into());
    format!("{}\n", Value::Object(fields))
}

#[cfg(test)]
#[path = "log_folder_tests.rs"]
mod tests;
