//! A disk that is full while many write at once: what was refused is not kept, what was accepted is.
//!
//! `BSM_REFUSED_RUNS=10000 cargo test --lib journal::full_disk_tests -- --nocapture` is the long version.

use std::collections::BTreeSet;
use std::sync::mpsc;

use futures_util::future::join_all;
use futures_util::poll;

use super::journal_tests::run;
use super::*;

/// Runs that are sent while the writer stands still, so that one transaction gets them all.
const BATCH: usize = 24;

/// Makes the writer wait until the returned sender is dropped; it waits when this returns.
async fn hold_writer(journal: &Journal) -> (mpsc::Sender<()>, tokio::task::JoinHandle<()>) {
    let (entered, begun) = tokio::sync::oneshot::channel();
    let (release, released) = mpsc::channel::<()>();
    let held = journal.clone();
    let job = tokio::spawn(async move {
        let wait = move |_: &rusqlite::Connection| {
            let _ = entered.send(());
            let _ = released.recv();
            Ok(())
        };
        held.write(wait).await.unwrap();
    });
    begun.await.unwrap();
    (release, job)
}

/// Sends a batch as one transaction; which of its runs were accepted, and whether the disk was full.
async fn send(journal: &Journal, round: usize, sizes: &[usize]) -> (Vec<(String, bool)>, bool) {
    let (release, held) = hold_writer(journal).await;
    let runs: Vec<_> = sizes
        .iter()
        .enumerate()
        .map(|(n, size)| run(&format!("job_{round}_{n}"), &"x".repeat(*size)))
        .collect();
    let ids: Vec<String> = runs.iter().map(|r| r.id.clone()).collect();
    let mut all = Box::pin(join_all(runs.into_iter().map(|r| journal.intake(r))));
    // Once: each is in the writer's queue now.
    assert!(poll!(&mut all).is_pending());
    drop(release);
    held.await.unwrap();
    let results = all.await;
    let full = results.iter().any(|r| matches!(r, Err(JournalError::Full)));
    let accepted = results.iter().map(Result::is_ok);
    (ids.into_iter().zip(accepted).collect(), full)
}

#[tokio::test]
async fn runs_refused_on_a_full_disk_are_not_in_the_journal() {
    let wanted = std::env::var("BSM_REFUSED_RUNS").map_or(600, |n| n.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bsm.db");
    let journal = Journal::open(&path).unwrap();
    let mut random = fastrand::Rng::with_seed(11);
    let (mut refused, mut accepted) = (BTreeSet::new(), BTreeSet::new());
    let (mut batches, mut full_batches, mut mixed) = (0, 0, 0);
    while refused.len() < wanted {
        // Room for some of the batch only: each large run takes nine pages and more.
        let pages: u32 = journal
            .read(|c| c.pragma_query_value(None, "page_count", |r| r.get(0)))
            .await
            .unwrap();
        journal
            .limit_pages(pages + random.u32(0..40))
            .await
            .unwrap();
        let sizes: Vec<usize> = (0..BATCH)
            .map(|_| if random.u8(..3) == 0 { 30_000 } else { 10 })
            .collect();
        let (results, full) = send(&journal, batches, &sizes).await;
        let kept = results.iter().filter(|(_, ok)| *ok).count();
        batches += 1;
        full_batches += usize::from(full);
        mixed += usize::from(full && kept > 0);
        for (id, ok) in results {
            if ok { &mut accepted } else { &mut refused }.insert(id);
        }
    }
    journal.limit_pages(1_000_000).await.unwrap();
    let rows = journal.recent(u32::MAX).await.unwrap();
    let kept: BTreeSet<String> = rows.into_iter().map(|row| row.new.id).collect();
    println!(
        "{} runs refused, {} accepted, in {batches} transactions of {BATCH}; {full_batches} were hit by a full disk, \
         {mixed} of them kept a part; {} refused runs are in the journal",
        refused.len(),
        accepted.len(),
        refused.intersection(&kept).count(),
    );
    assert!(full_batches > 10 && mixed > 5, "{full_batches} {mixed}");
    assert_eq!(kept, accepted);
    journal.close();
    let opened = Journal::open(&path).unwrap();
    assert_eq!(opened.notes(), &JournalNotes::default());
}
