//! The change of exactly one commit: what leads from the base's commit to the head's, named by their ids.
//!
//! Why never by the pull request's number alone: a head that moves there and back between two requests would
//! have another commit's change taken for this one's.

use std::collections::HashMap;

use reqwest::Method;
use serde_json::Value;

use super::client::{Github, bytes};
use super::patches::{self, Modes};
use crate::code_host::{FetchedChange, HostError, Pull};

/// A diff of more files is not sent whole, whatever its status says.
const WHOLE: usize = 300;
/// Files on a page.
const PAGE: usize = 100;
/// Pages of files: GitHub lists 3,000 files of a pull request.
const PAGES: usize = 30;

impl Github {
    /// The change that a pull request, or a merge group, makes at its commit. At most `most` bytes of it; what
    /// GitHub does not send is named.
    ///
    /// # Errors
    /// As all asking; [`HostError::Moved`] and [`HostError::Closed`] where it is about something else by now.
    pub async fn change(&self, pull: &Pull, most: usize) -> Result<FetchedChange, HostError> {
        let base = match &pull.base_sha {
            Some(base) => base.clone(),
            None => self.base_now(pull).await?,
        };
        match self.compare(pull, &base, most).await {
            Ok(diff) if patches::count(&diff) < WHOLE => Ok(FetchedChange {
                diff,
                missing: Vec::new(),
            }),
            Ok(_) | Err(HostError::TooLarge(_)) => self.by_files(pull, &base, most).await,
            // Too many files or lines, or too long in the making.
            Err(HostError::Refused {
                status: 406 | 422, ..
            }) => self.by_files(pull, &base, most).await,
            Err(HostError::Refused {
                status: 404,
                message,
            }) => {
                self.still_means(pull).await?;
                let diff = self.by_number(pull, most).await?;
                let diff = diff.ok_or(HostError::NoCommits(message))?;
                Ok(FetchedChange {
                    diff,
                    missing: Vec::new(),
                })
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a pull request is open and at the commit that is meant. A merge group has nothing to ask for.
    ///
    /// # Errors
    /// As all asking; [`HostError::Moved`] and [`HostError::Closed`].
    pub async fn still_means(&self, pull: &Pull) -> Result<(), HostError> {
        if pull.is_merge_group() {
            return Ok(());
        }
        let now = self.pull(pull).await?;
        now.is_at(pull)?;
        if now.open {
            return Ok(());
        }
        Err(HostError::Closed)
    }

    /// The change as the pull request has it now, where its base's commit is gone. Only of one that nothing happened
    /// to meanwhile: the host says when it changed last, and each push changes that. `None`: it is not sent as a diff.
    async fn by_number(&self, pull: &Pull, most: usize) -> Result<Option<Vec<u8>>, HostError> {
        if pull.is_merge_group() {
            return Ok(None);
        }
        let before = self.pull(pull).await?;
        before.is_at(pull)?;
        let path = format!("repos/{}/pulls/{}", pull.repository, pull.number);
        let request = self.request(Method::GET, &path).await?;
        let request = request.header("accept", "application/vnd.github.diff");
        let response = self.sent(&path, request).await?;
        let form = response.headers().get("content-type");
        let is_diff = form.is_some_and(|form| form.as_bytes().windows(4).any(|w| w == b"diff"));
        let diff = bytes(response, most).await?;
        let same = self.pull(pull).await? == before;
        Ok((is_diff && same).then_some(diff))
    }

    /// The base's commit, where the webhook named none.
    async fn base_now(&self, pull: &Pull) -> Result<String, HostError> {
        let unknown = || HostError::Refused {
            status: 200,
            message: "the commit that it is based on is not named".into(),
        };
        if pull.is_merge_group() {
            return Err(unknown());
        }
        let now = self.pull(pull).await?;
        now.is_at(pull)?;
        now.base_sha.ok_or_else(unknown)
    }

    async fn compare(&self, pull: &Pull, base: &str, most: usize) -> Result<Vec<u8>, HostError> {
        let path = comparison(pull, base);
        let request = self.request(Method::GET, &path).await?;
        let request = request.header("accept", "application/vnd.github.diff");
        bytes(self.sent(&path, request).await?, most).await
    }

    /// The change put together from the list of its files.
    async fn by_files(
        &self,
        pull: &Pull,
        base: &str,
        most: usize,
    ) -> Result<FetchedChange, HostError> {
        let (files, more) = if pull.is_merge_group() {
            let compared = self
                .json(Method::GET, &comparison(pull, base), None)
                .await?;
            let files = compared["files"].as_array().cloned().unwrap_or_default();
            let more = files.len() >= WHOLE;
            (files, more)
        } else {
            self.listed_files(pull).await?
        };
        let modes = Modes {
            old: self.modes(pull, base).await?,
            new: self.modes(pull, &pull.head_sha).await?,
        };
        Ok(patches::assemble(&files, more, &modes, most))
    }

    /// The files of a pull request while it is at its commit, and whether there are more than are listed.
    async fn listed_files(&self, pull: &Pull) -> Result<(Vec<Value>, bool), HostError> {
        self.still_means(pull).await?;
        let mut files = Vec::new();
        let mut more = true;
        for page in 1..=PAGES {
            let path = format!(
                "repos/{}/pulls/{}/files?per_page={PAGE}&page={page}",
                pull.repository, pull.number
            );
            let listed = self.json(Method::GET, &path, None).await?;
            let listed = listed.as_array().cloned().unwrap_or_default();
            // The list is asked for by number: each entry says which commit it is of.
            if let Some(other) = listed.iter().find_map(|file| other_commit(file, pull)) {
                return Err(HostError::Moved { to: other });
            }
            let is_last = listed.len() < PAGE;
            files.extend(listed);
            if is_last {
                more = false;
                break;
            }
        }
        self.still_means(pull).await?;
        Ok((files, more))
    }

    /// The modes of all files at a commit; `None`: they are not all told.
    async fn modes(
        &self,
        pull: &Pull,
        sha: &str,
    ) -> Result<Option<HashMap<String, String>>, HostError> {
        let path = format!("repos/{}/git/trees/{sha}?recursive=1", pull.repository);
        let tree = match self.json(Method::GET, &path, None).await {
            Ok(tree) if tree["truncated"] != true => tree,
            Ok(_) | Err(HostError::Refused { .. } | HostError::TooLarge(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let entries = tree["tree"].as_array();
        Ok(entries.map(|entries| {
            let mode = |e: &Value| Some((e["path"].as_str()?.into(), e["mode"].as_str()?.into()));
            entries.iter().filter_map(mode).collect()
        }))
    }
}

fn comparison(pull: &Pull, base: &str) -> String {
    format!(
        "repos/{}/compare/{base}...{}",
        pull.repository, pull.head_sha
    )
}

/// The commit that a listed file is of, where that is another one than is meant.
fn other_commit(file: &Value, pull: &Pull) -> Option<String> {
    let url = url::Url::parse(file["contents_url"].as_str()?).ok()?;
    let (_, commit) = url.query_pairs().find(|(name, _)| name == "ref")?;
    (!commit.eq_ignore_ascii_case(&pull.head_sha)).then(|| crate::text::clean_line(&commit, 12))
}
