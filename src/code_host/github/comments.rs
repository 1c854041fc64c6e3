//! Comments at GitHub: who may command, whose remark was answered, and answers.

use reqwest::Method;
use serde_json::json;

use super::client::Github;
use super::writes::marker_fingerprint;
use crate::code_host::{HostError, OwnRemark, Pull, Written};

/// Pages of remarks that are looked through.
const PAGES: u32 = 10;

impl Github {
    /// Whether an account may write to the repository. GitHub is asked; what a webhook claims of it counts for nothing.
    pub(super) async fn permits(&self, pull: &Pull, account: &str) -> Result<bool, HostError> {
        let is_name = (1..=60).contains(&account.len())
            && account
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        if !is_name {
            return Ok(false);
        }
        let path = format!(
            "repos/{}/collaborators/{account}/permission",
            pull.repository
        );
        match self.json(Method::GET, &path, None).await {
            Ok(answer) => {
                let same = answer["user"]["login"].as_str();
                let same = same.is_none_or(|login| login.eq_ignore_ascii_case(account));
                Ok(same && matches!(answer["permission"].as_str(), Some("admin" | "write")))
            }
            Err(HostError::Refused { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The remark with this number, where it is ours: a marker alone is only text.
    pub(super) async fn remark(
        &self,
        pull: &Pull,
        comment: u64,
    ) -> Result<Option<OwnRemark>, HostError> {
        let path = format!("repos/{}/pulls/comments/{comment}", pull.repository);
        let entry = match self.json(Method::GET, &path, None).await {
            Ok(entry) => entry,
            Err(HostError::Refused {
                status: 404 | 410, ..
            }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let text = entry["body"].as_str().unwrap_or_default();
        let Some(fingerprint) = marker_fingerprint(text) else {
            return Ok(None);
        };
        if !self.is_mine(&entry).await? {
            return Ok(None);
        }
        let text = text.split_once("-->").map_or("", |(_, rest)| rest).trim();
        Ok(Some(OwnRemark {
            fingerprint: fingerprint.to_owned(),
            text: text.to_owned(),
        }))
    }

    /// Fingerprints of our remarks on lines.
    pub(super) async fn remarks(&self, pull: &Pull) -> Result<Vec<String>, HostError> {
        let list = format!("repos/{}/pulls/{}/comments", pull.repository, pull.number);
        let mut found = Vec::new();
        for page in 1..=PAGES {
            let path = format!("{list}?per_page=100&page={page}");
            let entries = self.json(Method::GET, &path, None).await?;
            let entries = entries.as_array().cloned().unwrap_or_default();
            for entry in &entries {
                let text = entry["body"].as_str().unwrap_or_default();
                if let Some(fingerprint) = marker_fingerprint(text)
                    && self.is_mine(entry).await?
                {
                    found.push(fingerprint.to_owned());
                }
            }
            if entries.len() < 100 {
                break;
            }
        }
        Ok(found)
    }

    /// Leaves an answer, unless one with this marker is there; it is looked for where it may be (`again`).
    pub(super) async fn leave_answer(
        &self,
        pull: &Pull,
        (marker, body): (&str, &str),
        in_reply_to: Option<u64>,
        again: bool,
    ) -> Result<Written, HostError> {
        let (list, post) = match in_reply_to {
            Some(remark) => {
                let list = format!("repos/{}/pulls/{}/comments", pull.repository, pull.number);
                let post = format!("{list}/{remark}/replies");
                (list, post)
            }
            None => {
                let list = format!("repos/{}/issues/{}/comments", pull.repository, pull.number);
                (list.clone(), list)
            }
        };
        if again && let Some(id) = self.marked(&list, marker).await?.first() {
            return Ok(Written {
                id: Some(*id),
                ..Written::note(format!("answer {id} was there"))
            });
        }
        let made = self
            .json(Method::POST, &post, Some(json!({"body": body})))
            .await?;
        let id = made["id"].as_u64();
        Ok(Written {
            id,
            ..Written::note(format!("answer {} written", id.unwrap_or(0)))
        })
    }
}
