//! Drills for disks: the real engine in a process of its own, over a state directory that is made for the drill,
//! and a disk that fills, fails, freezes or forgets.
//!
//! Why without root: everybody can run them, on the disk that matters to them. Writes fail because the system
//! refuses them (a limit on the process) or because SQLite does (a limit on its pages); a disk that freezes is the
//! journal's thread standing still.

mod child;
pub(super) mod clock;
pub(super) mod deleted_file;
pub(super) mod failing_writes;
pub(super) mod frozen;
pub(super) mod kill;
pub mod protocol;
pub(super) mod scene;
