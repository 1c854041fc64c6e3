//! What is left on a pull request of GitHub. Each write can be repeated: what may be there already is looked for
//! first, and what is gone already is as good as taken away.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Github, read_json};
use crate::code_host::{
    CodeHost, HostError, LineComment, OwnRemark, Publication, Pull, PullNow, StandingReview,
    Written,
};
use crate::resilience::clock::lock;
use crate::text::clean_line;

/// Reviews that are looked through, pages of 100.
const PAGES: u32 = 10;

impl CodeHost for Github {
    async fn now(&self, pull: &Pull) -> Result<PullNow, HostError> {
        if pull.number == 0 {
            // A commit of a merge queue never changes.
            return Ok(PullNow {
                head_sha: pull.head_sha.clone(),
                base: pull.base.clone(),
                open: true,
                ..PullNow::default()
            });
        }
        self.pull(pull).await
    }

    fn has_checks(&self) -> bool {
        self.is_app()
    }

    async fn standing_reviews(&self, pull: &Pull) -> Result<Vec<StandingReview>, HostError> {
        let mut standing = Vec::new();
        for page in 1..=PAGES {
            let path = format!(
                "repos/{}/pulls/{}/reviews?per_page=100&page={page}",
                pull.repository, pull.number
            );
            let entries = self.json(Method::GET, &path, None).await?;
            let entries = entries.as_array().cloned().unwrap_or_default();
            for entry in &entries {
                let event = match entry["state"].as_str() {
                    Some("APPROVED") => "APPROVE",
                    Some("CHANGES_REQUESTED") => "REQUEST_CHANGES",
                    _ => continue,
                };
                let body = entry["body"].as_str().unwrap_or_default();
                let Some(base_mark) = base_mark(body) else {
                    continue;
                };
                if self.is_mine(entry).await? {
                    standing.push(StandingReview {
                        id: entry["id"].as_u64().unwrap_or(0),
                        event: event.into(),
                        commit: entry["commit_id"]
                            .as_str()
                            .unwrap_or_default()
                            .to_ascii_lowercase(),
                        base_mark: base_mark.to_owned(),
                    });
                }
            }
            if entries.len() < 100 {
                break;
            }
        }
        Ok(standing)
    }

    async fn find_review(&self, pull: &Pull, marker: &str) -> Result<Option<u64>, HostError> {
        let reviews = format!("repos/{}/pulls/{}/reviews", pull.repository, pull.number);
        Ok(self.marked(&reviews, marker).await?.first().copied())
    }

    async fn can_dismiss(&self, pull: &Pull) -> Result<bool, HostError> {
        if let Some(known) = lock(&self.dismisses).get(&pull.repository) {
            return Ok(*known);
        }
        let repository = self
            .json(Method::GET, &format!("repos/{}", pull.repository), None)
            .await?;
        let rights = &repository["permissions"];
        let can = ["push", "maintain", "admin"]
            .iter()
            .any(|r| rights[r] == true);
        lock(&self.dismisses).insert(pull.repository.clone(), can);
        Ok(can)
    }

    async fn publish(&self, pull: &Pull, publication: &Publication) -> Result<Written, HostError> {
        match publication {
            Publication::Comment { marker, body, id } => {
                self.comment(pull, marker, body, *id).await
            }
            Publication::Status { .. } => self.gate(pull, publication).await,
            Publication::Review { .. } => self.review(pull, publication).await,
            Publication::Dismissal { review, message } => {
                self.dismiss(pull, *review, message).await
            }
            Publication::Label {
                add,
                prefix,
                remove,
            } => self.label(pull, add, prefix, remove).await,
            Publication::Resolution { remarks } => match self.resolve(pull, remarks).await {
                // The comment strikes them through in any case.
                Err(HostError::Refused {
                    status: 403 | 404 | 410,
                    ..
                }) => Ok(Written::note("the token may not resolve threads")),
                done => done,
            },
            Publication::Merge { context } => self.merge(pull, context).await,
        }
    }

    async fn may_write(&self, pull: &Pull, account: &str) -> Result<bool, HostError> {
        self.permits(pull, account).await
    }

    async fn own_remark(&self, pull: &Pull, comment: u64) -> Result<Option<OwnRemark>, HostError> {
        self.remark(pull, comment).await
    }

    async fn own_remarks(&self, pull: &Pull) -> Result<Vec<String>, HostError> {
        self.remarks(pull).await
    }

    async fn answer(
        &self,
        pull: &Pull,
        text: (&str, &str),
        in_reply_to: Option<u64>,
        again: bool,
    ) -> Result<Written, HostError> {
        self.leave_answer(pull, text, in_reply_to, again).await
    }
}

impl Github {
    async fn comment(
        &self,
        pull: &Pull,
        marker: &str,
        body: &str,
        id: Option<u64>,
    ) -> Result<Written, HostError> {
        let comments = format!("repos/{}/issues/{}/comments", pull.repository, pull.number);
        let known: Vec<u64> = id.into_iter().collect();
        if let Some(done) = self.edit_first(pull, &known, body).await? {
            return Ok(done);
        }
        // Where there was no comment at all, none is looked for. Only once: the answer to a write may be lost.
        let place = (pull.repository.clone(), pull.number);
        if !lock(&self.uncommented).remove(&place) {
            let found = self.marked(&comments, marker).await?;
            if let Some(done) = self.edit_first(pull, &found, body).await? {
                return Ok(done);
            }
        }
        let made = self
            .json(Method::POST, &comments, Some(json!({"body": body})))
            .await?;
        let id = made["id"].as_u64();
        Ok(Written {
            id,
            ..Written::note(format!("comment {} written", id.unwrap_or(0)))
        })
    }

    /// Edits the first comment that can be edited; `None`: there is none.
    async fn edit_first(
        &self,
        pull: &Pull,
        ids: &[u64],
        body: &str,
    ) -> Result<Option<Written>, HostError> {
        for id in ids {
            let path = format!("repos/{}/issues/comments/{id}", pull.repository);
            let edited = self.json(Method::PATCH, &path, Some(json!({"body": body})));
            match edited.await {
                Ok(_) => {
                    return Ok(Some(Written {
                        id: Some(*id),
                        ..Written::note(format!("comment {id} edited"))
                    }));
                }
                // Somebody else's that quotes ours, or gone in the meantime.
                Err(HostError::Refused {
                    status: 403 | 404 | 410,
                    ..
                }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    async fn review(&self, pull: &Pull, publication: &Publication) -> Result<Written, HostError> {
        let Publication::Review {
            event,
            body,
            comments,
            ..
        } = publication
        else {
            return Ok(Written::default());
        };
        let reviews = format!("repos/{}/pulls/{}/reviews", pull.repository, pull.number);
        let wanted = |event: &str, lines: &[LineComment]| {
            let on_lines: Vec<Value> = lines.iter().map(line_comment).collect();
            json!({"commit_id": pull.head_sha, "event": event, "body": body, "comments": on_lines})
        };
        // The host refuses a review whole: for one line that it does not know, or for an event that it does not
        // take from us (on our own pull request, from a workflow's token).
        let mut refused = None;
        for (event, lines) in [
            (event.as_str(), comments.as_slice()),
            (event.as_str(), &[]),
            ("COMMENT", &[]),
        ] {
            let sent = self.json(Method::POST, &reviews, Some(wanted(event, lines)));
            match sent.await {
                Ok(made) => {
                    let alone = if lines.len() == comments.len() {
                        Vec::new()
                    } else {
                        self.comment_on_lines(pull, comments).await?
                    };
                    let note = match alone.len() {
                        0 => format!("review {event}"),
                        n => format!(
                            "review {event}; {n} remarks are on no line that the host knows"
                        ),
                    };
                    return Ok(Written {
                        id: made["id"].as_u64(),
                        event: Some(event.to_owned()),
                        refused: alone,
                        ..Written::note(note)
                    });
                }
                Err(error @ HostError::Refused { status: 422, .. }) => refused = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(refused.unwrap_or(HostError::Unreachable("no answer".into())))
    }

    /// Remarks one by one; returns the fingerprints of those that are refused.
    async fn comment_on_lines(
        &self,
        pull: &Pull,
        comments: &[LineComment],
    ) -> Result<Vec<String>, HostError> {
        let path = format!("repos/{}/pulls/{}/comments", pull.repository, pull.number);
        let mut refused = Vec::new();
        for comment in comments {
            let mut body = line_comment(comment);
            body["commit_id"] = json!(pull.head_sha);
            match self.json(Method::POST, &path, Some(body)).await {
                Ok(_) => {}
                Err(HostError::Refused { status: 422, .. }) => {
                    refused.push(comment.fingerprint.clone());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(refused)
    }

    async fn dismiss(&self, pull: &Pull, review: u64, message: &str) -> Result<Written, HostError> {
        let path = format!(
            "repos/{}/pulls/{}/reviews/{review}/dismissals",
            pull.repository, pull.number
        );
        let body = json!({"message": message, "event": "DISMISS"});
        match self.json(Method::PUT, &path, Some(body)).await {
            Ok(_) => Ok(Written::note(format!("review {review} dismissed"))),
            // Gone, or dismissed by somebody else.
            Err(HostError::Refused { status: 404, .. }) => {
                Ok(Written::note(format!("review {review} is gone")))
            }
            Err(HostError::Refused {
                status: 422,
                message,
            }) if message.to_ascii_lowercase().contains("dismiss") => Ok(Written::note(format!(
                "review {review} was dismissed already"
            ))),
            Err(error) => Err(error),
        }
    }

    async fn label(
        &self,
        pull: &Pull,
        add: &str,
        prefix: &str,
        remove: &[String],
    ) -> Result<Written, HostError> {
        let labels = format!("repos/{}/issues/{}/labels", pull.repository, pull.number);
        let mut others: BTreeSet<String> = remove.iter().cloned().collect();
        // What is taken away goes first: between the two writes there is none of ours.
        for other in others.iter().filter(|name| *name != add) {
            self.remove_label(&pull.repository, &labels, other).await?;
        }
        if add.is_empty() {
            return Ok(Written::note("no label"));
        }
        let now = self
            .json(Method::POST, &labels, Some(json!({"labels": [add]})))
            .await?;
        let names = now.as_array().into_iter().flatten();
        let ours = names
            .filter_map(|l| l["name"].as_str())
            .filter(|name| name.starts_with(prefix) && *name != add);
        let gone = std::mem::take(&mut others);
        for other in ours.filter(|name| !gone.contains(*name)) {
            self.remove_label(&pull.repository, &labels, other).await?;
        }
        Ok(Written::note(format!("label {}", clean_line(add, 60))))
    }

    async fn remove_label(
        &self,
        repository: &str,
        labels: &str,
        name: &str,
    ) -> Result<(), HostError> {
        let mut url = self.url(labels)?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(name);
        }
        match self.send_for(repository, self.client.delete(url)).await {
            Ok(_) | Err(HostError::Refused { status: 404, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Resolves the threads that begin with one of these remarks.
    async fn resolve(&self, pull: &Pull, remarks: &[String]) -> Result<Written, HostError> {
        const THREADS: &str = "query($owner:String!,$name:String!,$number:Int!,$after:String){repository(owner:$owner,name:$name){pullRequest(number:$number){reviewThreads(first:100,after:$after){pageInfo{hasNextPage endCursor} nodes{id isResolved comments(first:1){nodes{body viewerDidAuthor}}}}}}}";
        const RESOLVE: &str =
            "mutation($id:ID!){resolveReviewThread(input:{threadId:$id}){thread{id}}}";
        let (owner, name) = pull.repository.split_once('/').unwrap_or_default();
        let mut after = Value::Null;
        let mut done = 0;
        for _ in 0..PAGES {
            let wanted =
                json!({"owner": owner, "name": name, "number": pull.number, "after": after});
            let answer = self.graphql(pull, THREADS, wanted).await?;
            let threads = &answer["repository"]["pullRequest"]["reviewThreads"];
            for thread in threads["nodes"].as_array().into_iter().flatten() {
                let first = &thread["comments"]["nodes"][0];
                let body = first["body"].as_str().unwrap_or_default();
                let meant = remarks.iter().any(|f| body.contains(&remark_marker(f)));
                if meant && first["viewerDidAuthor"] == true && thread["isResolved"] == false {
                    self.graphql(pull, RESOLVE, json!({"id": thread["id"]}))
                        .await?;
                    done += 1;
                }
            }
            if threads["pageInfo"]["hasNextPage"] != true {
                break;
            }
            after = threads["pageInfo"]["endCursor"].clone();
        }
        Ok(Written::note(format!("{done} threads resolved")))
    }

    pub(super) async fn graphql(
        &self,
        pull: &Pull,
        query: &str,
        variables: Value,
    ) -> Result<Value, HostError> {
        let mut url = self.url("graphql")?;
        // An enterprise server has it beside the REST API, not beneath it.
        if let Some(root) = url.path().strip_suffix("/v3/graphql") {
            let path = format!("{root}/graphql");
            url.set_path(&path);
        }
        let body = json!({"query": query, "variables": variables});
        let request = self.client.post(url).json(&body);
        let mut answer = read_json(self.send_for(&pull.repository, request).await?).await?;
        if let Some(first) = answer["errors"][0]["message"].as_str() {
            return Err(HostError::Refused {
                status: 403,
                message: clean_line(first, 200),
            });
        }
        Ok(answer["data"].take())
    }
}

/// A hidden comment by which a remark is found again.
pub(crate) fn remark_marker(fingerprint: &str) -> String {
    format!("<!-- bsm:remark {fingerprint} -->")
}

/// The fingerprint in the marker at the beginning of a remark; `None`: it has none.
pub(super) fn marker_fingerprint(body: &str) -> Option<&str> {
    let (_, rest) = body.split_once("<!-- bsm:remark ")?;
    let (fingerprint, _) = rest.split_once(" -->")?;
    let is_one = (1..=64).contains(&fingerprint.len())
        && fingerprint
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-');
    is_one.then_some(fingerprint)
}

/// The last word of a review's marker; `None`: it has none.
fn base_mark(body: &str) -> Option<&str> {
    let (_, rest) = body.split_once("<!-- bsm:review ")?;
    let (marker, _) = rest.split_once(" -->")?;
    marker.rsplit(' ').next()
}

fn line_comment(comment: &LineComment) -> Value {
    json!({"path": comment.path, "line": comment.line, "side": "RIGHT", "body": comment.body})
}
