//! Asking GitHub's API: one client, redirects within the host alone, bounded answers, writes that may be done twice.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use url::Url;

use super::answers::{Answers, repository_of};
use super::app::App;
use super::delivery::is_sha;
use crate::code_host::{HostError, Publication, Pull, PullNow};
use crate::outbound::egress::{Lookup, Policy};
use crate::outbound::{Ways, client, error_text};
use crate::settings::Settings;
use crate::settings::env::Env;
use crate::text::clean_line;

/// Largest JSON that is read, bytes.
const JSON: usize = 8 << 20;
/// An answer that takes longer is given up.
const TIME: Duration = Duration::from_secs(30);
/// Pages of comments that are looked through for our own.
const PAGES: u32 = 10;
/// New addresses that are followed for one request.
const REDIRECTS: u32 = 3;
/// Without a word from GitHub, so long a pause after a limit.
const PAUSE_S: u64 = 60;

/// With what it is asked.
#[derive(Clone)]
pub enum Credentials {
    /// Nothing: what everybody may see.
    None,
    /// A person's token, or that of an Actions run.
    Token(String),
    /// An app's, made for each owner.
    App(Arc<App>),
}

impl Credentials {
    /// There are some.
    pub fn are_some(&self) -> bool {
        !matches!(self, Self::None)
    }
}

/// GitHub, with credentials or without.
pub struct Github {
    api: Url,
    client: Client,
    credentials: Credentials,
    /// What need not be sent again.
    answers: Answers,
    /// Whose token it is, once that was asked.
    me: tokio::sync::OnceCell<Me>,
}

/// Whose entries are ours.
#[derive(Debug, Clone)]
enum Me {
    /// A user's token.
    User(String),
    /// An app's, which has no user to ask for: bots' entries may be ours.
    App,
}

impl Github {
    /// A client for the API that the settings name.
    ///
    /// # Errors
    /// When nothing may be sent there, or no client can be made.
    pub fn new(
        settings: &Settings,
        env: &Env,
        lookup: &Lookup,
        credentials: Credentials,
    ) -> Result<Self, HostError> {
        let policy = Policy::of(settings);
        let api = policy
            .allows(settings.github.api_url.trim_end_matches('/'))
            .map_err(HostError::NotAsked)?;
        let ways = Ways {
            policy: &policy,
            lookup,
            env,
            connect: Duration::from_secs(10),
        };
        let client = client(&api, &ways).map_err(HostError::NotAsked)?;
        Ok(Self {
            api,
            client,
            credentials,
            answers: Answers::default(),
            me: tokio::sync::OnceCell::new(),
        })
    }

    /// The pull request as it is now.
    ///
    /// # Errors
    /// As all asking.
    pub async fn pull(&self, pull: &Pull) -> Result<PullNow, HostError> {
        let path = format!("repos/{}/pulls/{}", pull.repository, pull.number);
        let now = self.json(Method::GET, &path, None).await?;
        let head_sha = now.pointer("/head/sha").and_then(Value::as_str);
        Ok(PullNow {
            head_sha: head_sha.unwrap_or_default().to_ascii_lowercase(),
            base: now
                .pointer("/base/ref")
                .and_then(Value::as_str)
                .map(|name| clean_line(name, 200)),
            base_sha: now
                .pointer("/base/sha")
                .and_then(Value::as_str)
                .filter(|sha| is_sha(sha))
                .map(str::to_ascii_lowercase),
            open: now["state"] == "open",
        })
    }

    /// Leaves something on a pull request; says what was done.
    ///
    /// # Errors
    /// As all asking.
    pub async fn publish(
        &self,
        pull: &Pull,
        publication: &Publication,
    ) -> Result<String, HostError> {
        match publication {
            Publication::Comment { marker, body } => self.comment(pull, marker, body).await,
            Publication::Status {
                state,
                description,
                context,
            } => {
                let path = format!("repos/{}/statuses/{}", pull.repository, pull.head_sha);
                let body = json!({"state": state, "description": description, "context": context});
                self.json(Method::POST, &path, Some(body)).await?;
                Ok(format!("status {state}"))
            }
            Publication::Review { .. } => self.review(pull, publication).await,
            Publication::Label { add, prefix } => self.label(pull, add, prefix).await,
            Publication::Merge => self.merge(pull).await,
        }
    }

    async fn comment(&self, pull: &Pull, marker: &str, body: &str) -> Result<String, HostError> {
        let comments = format!("repos/{}/issues/{}/comments", pull.repository, pull.number);
        for id in self.marked(&comments, marker).await? {
            let path = format!("repos/{}/issues/comments/{id}", pull.repository);
            match self
                .json(Method::PATCH, &path, Some(json!({"body": body})))
                .await
            {
                Ok(_) => return Ok(format!("comment {id} edited")),
                // Somebody else's that quotes ours, or gone in the meantime.
                Err(HostError::Refused {
                    status: 403 | 404, ..
                }) => {}
                Err(error) => return Err(error),
            }
        }
        let made = self
            .json(Method::POST, &comments, Some(json!({"body": body})))
            .await?;
        Ok(format!(
            "comment {} written",
            made["id"].as_u64().unwrap_or(0)
        ))
    }

    async fn review(&self, pull: &Pull, publication: &Publication) -> Result<String, HostError> {
        let Publication::Review {
            event,
            marker,
            body,
            comments,
        } = publication
        else {
            return Ok(String::new());
        };
        let reviews = format!("repos/{}/pulls/{}/reviews", pull.repository, pull.number);
        if !self.marked(&reviews, marker).await?.is_empty() {
            return Ok("the review was there already".into());
        }
        let on_lines: Vec<Value> = comments
            .iter()
            .map(|c| json!({"path": c.path, "line": c.line, "side": "RIGHT", "body": c.body}))
            .collect();
        // A line outside the change, or one's own pull request: what can be said is said.
        let tries = [
            (event.as_str(), Some(&on_lines)),
            (event.as_str(), None),
            ("COMMENT", None),
        ];
        let mut refused = None;
        for (event, lines) in tries {
            let mut wanted = json!({"commit_id": pull.head_sha, "event": event, "body": body});
            if let Some(lines) = lines {
                wanted["comments"] = json!(lines);
            }
            match self.json(Method::POST, &reviews, Some(wanted)).await {
                Ok(_) => return Ok(format!("review {event}")),
                Err(error @ HostError::Refused { status: 422, .. }) => refused = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(refused.unwrap_or(HostError::Unreachable("no answer".into())))
    }

    async fn label(&self, pull: &Pull, add: &str, prefix: &str) -> Result<String, HostError> {
        let labels = format!("repos/{}/issues/{}/labels", pull.repository, pull.number);
        let now = self
            .json(Method::POST, &labels, Some(json!({"labels": [add]})))
            .await?;
        let names = now.as_array().into_iter().flatten();
        let others = names
            .filter_map(|l| l["name"].as_str())
            .filter(|name| name.starts_with(prefix) && *name != add);
        for other in others {
            let mut url = self.url(&labels)?;
            if let Ok(mut path) = url.path_segments_mut() {
                path.push(other);
            }
            let request = with_headers(self.client.delete(url));
            let gone = send(self.authorized(&labels, request).await?).await;
            match gone {
                Ok(_) | Err(HostError::Refused { status: 404, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(format!("label {}", clean_line(add, 60)))
    }

    async fn merge(&self, pull: &Pull) -> Result<String, HostError> {
        let path = format!("repos/{}/pulls/{}/merge", pull.repository, pull.number);
        self.json(Method::PUT, &path, Some(json!({"sha": pull.head_sha})))
            .await?;
        Ok("merged".into())
    }

    /// A marker is only text: anybody can write it. What is found by it must be ours.
    async fn me(&self) -> Result<&Me, HostError> {
        let ask = || async {
            match self.json(Method::GET, "user", None).await {
                Ok(user) => Ok(user["login"]
                    .as_str()
                    .map_or(Me::App, |name| Me::User(name.to_owned()))),
                Err(HostError::Refused {
                    status: 401 | 403 | 404,
                    ..
                }) => Ok(Me::App),
                Err(error) => Err(error),
            }
        };
        self.me.get_or_try_init(ask).await
    }

    /// Ids of our entries of a list whose text has a marker, oldest first.
    async fn marked(&self, list: &str, marker: &str) -> Result<Vec<u64>, HostError> {
        let me = self.me().await?;
        let mut found = Vec::new();
        for page in 1..=PAGES {
            let path = format!("{list}?per_page=100&page={page}");
            let entries = self.json(Method::GET, &path, None).await?;
            let entries = entries.as_array().cloned().unwrap_or_default();
            let ours = |e: &&Value| {
                let is_mine = match me {
                    Me::User(name) => e["user"]["login"].as_str() == Some(name),
                    Me::App => e["user"]["type"] == "Bot",
                };
                is_mine && e["body"].as_str().is_some_and(|b| b.contains(marker))
            };
            found.extend(entries.iter().filter(ours).filter_map(|e| e["id"].as_u64()));
            if entries.len() < 100 {
                break;
            }
        }
        Ok(found)
    }

    pub(super) async fn json(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, HostError> {
        let reads = method == Method::GET;
        let known = self.answers.kept(path).filter(|_| reads);
        let mut request = self
            .request(method, path)
            .await?
            .header("accept", "application/vnd.github+json");
        if let Some(known) = &known {
            request = request.header("if-none-match", &known.tag);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = self.sent(path, request).await?;
        if response.status().as_u16() == 304 {
            let unasked = || HostError::Unreachable("it said 304 unasked".into());
            return known.map(|known| known.value).ok_or_else(unasked);
        }
        let tag = response.headers().get("etag");
        let tag = tag.and_then(|v| v.to_str().ok()).map(str::to_owned);
        let bytes = bytes(response, JSON).await?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        let value: Value =
            serde_json::from_slice(&bytes).map_err(|e| HostError::Unreachable(e.to_string()))?;
        if let Some(tag) = tag.filter(|_| reads) {
            self.answers.keep(path, &tag, &value, bytes.len());
        }
        Ok(value)
    }

    /// Sends a request that was made for a path; remembers a repository's new address, and drops a token of the
    /// app that is refused.
    pub(super) async fn sent(
        &self,
        path: &str,
        request: RequestBuilder,
    ) -> Result<Response, HostError> {
        let sent = send(request).await;
        match &sent {
            Ok(response) => self.answers.note_move(&self.api, path, response.url()),
            Err(HostError::Refused { status: 401, .. }) => {
                if let (Credentials::App(app), Some(repository)) =
                    (&self.credentials, repository_of(path))
                {
                    app.forget(repository).await;
                }
            }
            Err(_) => {}
        }
        sent
    }

    /// The app, where an app's tokens are used.
    pub(super) fn app(&self) -> Option<&Arc<App>> {
        match &self.credentials {
            Credentials::App(app) => Some(app),
            _ => None,
        }
    }

    pub(super) async fn request(
        &self,
        method: Method,
        path: &str,
    ) -> Result<RequestBuilder, HostError> {
        let request = self.plain_request(method, &self.answers.current(path))?;
        self.authorized(path, request).await
    }

    /// A request for a path, without credentials.
    pub(super) fn plain_request(
        &self,
        method: Method,
        path: &str,
    ) -> Result<RequestBuilder, HostError> {
        Ok(with_headers(self.client.request(method, self.url(path)?)))
    }

    /// With the credentials for a path.
    async fn authorized(
        &self,
        path: &str,
        request: RequestBuilder,
    ) -> Result<RequestBuilder, HostError> {
        match (&self.credentials, repository_of(path)) {
            (Credentials::Token(token), _) => Ok(request.bearer_auth(token)),
            (Credentials::App(app), Some(repository)) => {
                let token = self.app_token(app, repository).await?;
                Ok(request.bearer_auth(token))
            }
            (Credentials::None, _) | (Credentials::App(_), None) => Ok(request),
        }
    }

    fn url(&self, path: &str) -> Result<Url, HostError> {
        let text = format!("{}/{path}", self.api.as_str().trim_end_matches('/'));
        Url::parse(&text).map_err(|e| HostError::NotAsked(e.to_string()))
    }
}

fn with_headers(request: RequestBuilder) -> RequestBuilder {
    request
        .timeout(TIME)
        .header("x-github-api-version", "2022-11-28")
}

/// Sends a request. A repository that was renamed answers with its new address, which is asked instead: of the
/// same host, and the same method, as GitHub's documents want it.
pub(super) async fn send(request: RequestBuilder) -> Result<Response, HostError> {
    let (client, request) = request.build_split();
    let mut request = request.map_err(|e| broken(&e))?;
    let mut left = REDIRECTS;
    let response = loop {
        let again = request.try_clone();
        let response = client.execute(request).await.map_err(|e| broken(&e))?;
        let moved = matches!(response.status().as_u16(), 301 | 302 | 307 | 308);
        let to = response.headers().get("location");
        let to = to.and_then(|to| response.url().join(to.to_str().ok()?).ok());
        match (moved, to, again) {
            (true, Some(to), Some(mut next)) if left > 0 && to.origin() == next.url().origin() => {
                *next.url_mut() = to;
                request = next;
                left -= 1;
            }
            _ => break response,
        }
    };
    let status = response.status().as_u16();
    if (200..300).contains(&status) || status == 304 {
        return Ok(response);
    }
    let number = |name: &str| {
        let value = response.headers().get(name)?.to_str().ok()?;
        value.trim().parse::<u64>().ok()
    };
    let pause = number("retry-after").or_else(|| {
        let reset =
            number("x-ratelimit-reset").filter(|_| number("x-ratelimit-remaining") == Some(0))?;
        Some(reset.saturating_sub(jiff::Timestamp::now().as_second().unsigned_abs()))
    });
    let text = error_text(response).await;
    let said = serde_json::from_str::<Value>(&text)
        .ok()
        .and_then(|v| v["message"].as_str().map(str::to_owned))
        .unwrap_or(text);
    let message = clean_line(&said, 200);
    Err(match (status, pause) {
        (403 | 429, Some(after_s)) => HostError::Limited {
            after_s: after_s.clamp(1, 3_600),
            message,
        },
        (429, None) => HostError::Limited {
            after_s: PAUSE_S,
            message,
        },
        (403, None) if message.to_ascii_lowercase().contains("rate limit") => HostError::Limited {
            after_s: PAUSE_S,
            message,
        },
        _ => HostError::Refused { status, message },
    })
}

pub(super) async fn bytes(mut response: Response, most: usize) -> Result<Vec<u8>, HostError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| broken(&e))? {
        if bytes.len() + chunk.len() > most {
            return Err(HostError::TooLarge(most));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// A transport error without the address.
fn broken(error: &reqwest::Error) -> HostError {
    if error.is_timeout() {
        return HostError::Unreachable("it did not answer in time".into());
    }
    let mut message = "the connection broke".to_owned();
    let mut source: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(inner) = source {
        message = inner.to_string();
        source = inner.source();
    }
    HostError::Unreachable(clean_line(&message, 200))
}
