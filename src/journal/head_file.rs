//! The head of the record log, kept in a small file beside the database.
//!
//! Why outside: SQLite calls a database whole whose newest transactions are gone, for example after one flipped
//! bit in the write-ahead log. The number and the hash in this file tell that something is missing.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::journal::error::JournalError;
use crate::journal::record_log::Head;
use crate::state::{hex, private_file};

/// Bytes of one of the two slots. They are written in turns: a torn write leaves the other.
const SLOT: usize = 256;
/// Shortest time between two syncs of the file. What the kernel has survives the end of the process.
const SYNC_PAUSE: Duration = Duration::from_millis(200);

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    /// Which journal it is about.
    pub epoch: String,
    /// Its head when this was written. The journal may be ahead of it, never behind.
    pub head: Head,
}

/// The open file.
pub(super) struct HeadFile {
    file: Arc<File>,
    epoch: String,
    slot: bool,
    sync: SyncSender<()>,
}

/// Where the file of a journal is.
pub(super) fn path_of(journal: &Path) -> PathBuf {
    PathBuf::from(format!("{}.head", journal.display()))
}

/// What the file of a journal says; `None`: there is no file, or nothing in it that is whole.
///
/// # Errors
/// The file cannot be read.
pub(super) fn read(journal: &Path) -> Result<Option<Written>, JournalError> {
    let path = path_of(journal);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(JournalError::io(&path, &source)),
    };
    let slots = bytes.chunks(SLOT).filter_map(parse);
    Ok(slots.max_by_key(|written| written.head.sequence))
}

fn parse(slot: &[u8]) -> Option<Written> {
    let text = std::str::from_utf8(slot)
        .ok()?
        .trim_end_matches(['\0', '\n']);
    let (line, check) = text.rsplit_once(' ')?;
    if hex(&Sha256::digest(line.as_bytes()))[..16] != *check {
        return None;
    }
    let mut words = line.split(' ');
    if words.next()? != "bsm-head-1" {
        return None;
    }
    let (epoch, sequence, chain) = (words.next()?, words.next()?, words.next()?);
    Some(Written {
        epoch: epoch.to_owned(),
        head: Head {
            sequence: sequence.parse().ok()?,
            chain: crate::journal::record_log::from_hex(chain)?,
        },
    })
}

fn line(epoch: &str, head: &Head) -> [u8; SLOT] {
    let line = format!("bsm-head-1 {epoch} {} {}", head.sequence, hex(&head.chain));
    let check = &hex(&Sha256::digest(line.as_bytes()))[..16];
    let mut slot = [0; SLOT];
    let text = format!("{line} {check}");
    for (to, from) in slot.iter_mut().zip(text.bytes().chain(*b"\n")) {
        *to = from;
    }
    slot
}

impl HeadFile {
    /// Opens or makes the file of a journal and writes the head into both slots.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn open(journal: &Path, epoch: &str, head: &Head) -> Result<Self, JournalError> {
        let path = path_of(journal);
        let file = private_file(&path, false).map_err(|e| JournalError::ReadOnly(e.to_string()))?;
        let file = Arc::new(file);
        let io = |source: std::io::Error| JournalError::io(&path, &source);
        // One after the other: at every moment one of them is whole.
        for slot in [0, SLOT as u64] {
            file.write_all_at(&line(epoch, head), slot).map_err(io)?;
            file.sync_data().map_err(io)?;
        }
        Ok(Self {
            sync: syncer(Arc::clone(&file))?,
            file,
            epoch: epoch.to_owned(),
            slot: false,
        })
    }

    /// Writes a new head. The kernel has it when this returns; the disk has it soon after.
    pub(super) fn write(&mut self, head: &Head) -> std::io::Result<()> {
        self.slot = !self.slot;
        let at = if self.slot { SLOT as u64 } else { 0 };
        self.file.write_all_at(&line(&self.epoch, head), at)?;
        let _ = self.sync.try_send(());
        Ok(())
    }

    /// Everything written is on disk when this returns.
    pub(super) fn sync(&self) -> std::io::Result<()> {
        self.file.sync_data()
    }
}

/// A thread that syncs the file after it was written: nobody waits for it.
fn syncer(file: Arc<File>) -> Result<SyncSender<()>, JournalError> {
    let (sender, receiver) = sync_channel(1);
    std::thread::Builder::new()
        .name("bsm-head".into())
        .spawn(move || {
            while receiver.recv().is_ok() {
                let _ = file.sync_data();
                std::thread::sleep(SYNC_PAUSE);
            }
        })
        .map_err(|e| JournalError::ReadOnly(format!("cannot start its thread: {e}")))?;
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::record_log::digest;

    fn head(sequence: i64) -> Head {
        Head {
            sequence,
            chain: digest(sequence, b"x"),
        }
    }

    #[test]
    fn head_written_twice_newest_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("bsm.db");
        assert_eq!(read(&journal).unwrap(), None);
        let mut file = HeadFile::open(&journal, "e1", &head(1)).unwrap();
        file.write(&head(2)).unwrap();
        file.write(&head(3)).unwrap();
        assert_eq!(read(&journal).unwrap().unwrap().head, head(3));
    }

    #[test]
    fn head_torn_write_leaves_the_other_slot() {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("bsm.db");
        let mut file = HeadFile::open(&journal, "e1", &head(1)).unwrap();
        file.write(&head(2)).unwrap();
        let path = path_of(&journal);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[SLOT + 20] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(read(&journal).unwrap().unwrap().head, head(1));
    }
}
