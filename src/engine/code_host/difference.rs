//! What has to be written so that a pull request is as it should be, in order.
//!
//! Why the order: an approval that no longer holds is taken back before anything else is said; a gate never
//! waits behind a comment that the token may not write.

use crate::code_host::{LineComment, Publication, PullNow};
use crate::engine::code_host::comment::MARKER;
use crate::engine::code_host::desired::{APPROVED, Desired, LABEL};
use crate::engine::code_host::published::{Published, RemarkState, base_mark, digest};
use crate::settings::Publish;

/// A write, and whether it takes an approval back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What is written.
    pub publication: Publication,
    /// An approval that no longer holds is taken back.
    pub withdraws: bool,
}

/// What the difference is made of.
#[derive(Debug, Clone, Copy)]
pub struct Sides<'a> {
    /// What should be there.
    pub desired: &'a Desired,
    /// What is there.
    pub published: &'a Published,
    /// How the host has the pull request.
    pub now: &'a PullNow,
    /// The gate's context on the newest commit.
    pub context: &'a str,
    /// What is published.
    pub publish: Publish,
    /// Gates are check runs, which carry annotations.
    pub has_checks: bool,
}

/// The writes, in their order.
pub fn difference(sides: &Sides<'_>) -> Vec<Change> {
    let mut changes: Vec<Change> = [
        gate(sides),
        comment(sides),
        label(sides),
        review(sides),
        resolution(sides),
    ]
    .into_iter()
    .flatten()
    .chain(dismissals(sides))
    .collect();
    // Stable: within both halves the order above stays.
    changes.sort_by_key(|c| !c.withdraws);
    if changes.is_empty() {
        changes.extend(merge(sides));
    }
    changes
}

/// The state of a gate on any commit.
pub fn gate_change(
    published: &Published,
    commit: &str,
    context: &str,
    (state, description): (&str, &str),
) -> Option<Change> {
    let there = published.gate(commit, context);
    if there.is_some_and(|g| g.state == state && g.description == description) {
        return None;
    }
    Some(Change {
        withdraws: state != "success" && there.is_some_and(|g| g.state == "success"),
        publication: Publication::Status {
            state: state.to_owned(),
            description: description.to_owned(),
            context: context.to_owned(),
            commit: commit.to_owned(),
            check: there.and_then(|g| g.check),
            annotations: Vec::new(),
        },
    })
}

fn gate(sides: &Sides<'_>) -> Option<Change> {
    if !sides.publish.status {
        return None;
    }
    let gate = &sides.desired.gate;
    let mut change = gate_change(
        sides.published,
        &sides.now.head_sha,
        sides.context,
        (gate.state, &gate.description),
    )?;
    if let (true, Publication::Status { annotations, .. }) =
        (sides.has_checks, &mut change.publication)
    {
        annotations.clone_from(&sides.desired.remarks);
    }
    Some(change)
}

fn comment(sides: &Sides<'_>) -> Option<Change> {
    let body = sides
        .desired
        .comment
        .as_ref()
        .filter(|_| sides.publish.comment)?;
    let there = sides.published.comment.as_ref();
    if there.is_some_and(|c| c.digest == digest(body)) {
        return None;
    }
    Some(kept(Publication::Comment {
        marker: MARKER.into(),
        body: body.clone(),
        id: there.and_then(|c| c.id),
    }))
}

fn label(sides: &Sides<'_>) -> Option<Change> {
    if !sides.publish.labels {
        return None;
    }
    let there = sides.now.labels.as_ref().unwrap_or(&sides.published.labels);
    let ours: Vec<String> = there
        .iter()
        .filter(|l| l.starts_with(LABEL))
        .cloned()
        .collect();
    let wanted = sides.desired.label;
    if ours.iter().map(String::as_str).eq(wanted) {
        return None;
    }
    Some(Change {
        withdraws: wanted != Some(APPROVED) && ours.iter().any(|l| l == APPROVED),
        publication: Publication::Label {
            add: wanted.unwrap_or_default().to_owned(),
            prefix: LABEL.into(),
            remove: ours,
        },
    })
}

/// A review, where none that says the same stands on this commit, or there are remarks that were never made.
fn review(sides: &Sides<'_>) -> Option<Change> {
    if !sides.publish.review || sides.desired.run.is_empty() {
        return None;
    }
    let base = sides.now.base.as_deref().unwrap_or_default();
    let mark = base_mark(base);
    let stands = |wanted: &str| {
        sides
            .published
            .reviews
            .iter()
            .any(|r| r.wanted == wanted && r.commit == sides.now.head_sha && r.base == mark)
    };
    let new: Vec<LineComment> = sides
        .desired
        .remarks
        .iter()
        .filter(|remark| {
            let there = sides.published.remarks.get(&remark.fingerprint);
            there.is_none_or(|r| r.state == RemarkState::Resolved)
        })
        .cloned()
        .collect();
    let event = match sides.desired.review {
        Some(wanted) if !stands(wanted) => wanted,
        _ if new.is_empty() => return None,
        _ => "COMMENT",
    };
    let marker = format!("<!-- bsm:review {} {event} {mark} -->", sides.desired.run);
    Some(kept(Publication::Review {
        event: event.into(),
        body: format!("{marker}\n{}", sides.desired.summary),
        marker,
        comments: new,
    }))
}

/// Reviews of ours that no longer hold: an approval at once, an objection once something newer was decided.
fn dismissals(sides: &Sides<'_>) -> Vec<Change> {
    let base = base_mark(sides.now.base.as_deref().unwrap_or_default());
    let decided = !sides.desired.run.is_empty();
    let reviews = sides.published.reviews.iter();
    reviews
        .filter_map(|review| {
            let here = review.commit == sides.now.head_sha && review.base == base;
            let wanted = sides.desired.review == Some(review.wanted.as_str());
            let (withdraws, message) = match review.event.as_str() {
                "APPROVE" if !(here && wanted) => (true, "this approval no longer holds"),
                "REQUEST_CHANGES" if decided && !wanted => {
                    (false, "a newer decision takes its place")
                }
                _ => return None,
            };
            Some(Change {
                withdraws,
                publication: Publication::Dismissal {
                    review: review.id,
                    message: message.into(),
                },
            })
        })
        .collect()
}

/// Remarks whose finding is gone, where that is known.
fn resolution(sides: &Sides<'_>) -> Option<Change> {
    let found = sides
        .desired
        .found
        .as_ref()
        .filter(|_| sides.publish.review)?;
    let gone: Vec<String> = sides
        .published
        .remarks
        .iter()
        .filter(|(fingerprint, remark)| {
            remark.state == RemarkState::Open && !found.contains_key(*fingerprint)
        })
        .map(|(fingerprint, _)| fingerprint.clone())
        .collect();
    (!gone.is_empty()).then(|| kept(Publication::Resolution { remarks: gone }))
}

fn merge(sides: &Sides<'_>) -> Option<Change> {
    // A commit that fell out of a queue is not put there again; a new one is.
    let done = sides.published.merged && sides.published.merged_at == sides.now.head_sha;
    let wanted = sides.publish.merge && sides.desired.merge && !done;
    // What is not ready is looked at again when a check ends.
    (wanted && sides.now.mergeable).then(|| {
        kept(Publication::Merge {
            context: sides.context.to_owned(),
        })
    })
}

fn kept(publication: Publication) -> Change {
    Change {
        publication,
        withdraws: false,
    }
}
