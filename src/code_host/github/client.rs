//! Asking GitHub's API: one client, redirects within the host alone, bounded answers, writes that may be done twice.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;
use url::Url;

use super::answers::{Answers, repository_of};
use super::app::App;
use super::delivery::{is_repository, is_sha};
use crate::code_host::{HostError, Pull, PullNow};
use crate::outbound::egress::{Lookup, Policy};
use crate::outbound::{Ways, client, error_text};
use crate::resilience::clock::lock;
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
    pub(super) client: Client,
    credentials: Credentials,
    /// What need not be sent again.
    answers: Answers,
    /// Whose token it is, once that was asked.
    me: tokio::sync::OnceCell<Me>,
    /// Repositories in which reviews of ours can be dismissed, once that was asked.
    pub(super) dismisses: std::sync::Mutex<std::collections::HashMap<String, bool>>,
    /// Pull requests that had no comment when they were read last, and where none was made since.
    pub(super) uncommented: std::sync::Mutex<std::collections::HashSet<(String, u64)>>,
}

/// Whose entries are ours.
#[derive(Debug, Clone)]
pub(super) enum Me {
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
            dismisses: std::sync::Mutex::default(),
            uncommented: std::sync::Mutex::default(),
        })
    }

    /// The pull request as it is now.
    ///
    /// # Errors
    /// As all asking.
    pub async fn pull(&self, pull: &Pull) -> Result<PullNow, HostError> {
        let path = format!("repos/{}/pulls/{}", pull.repository, pull.number);
        let now = self.json(Method::GET, &path, None).await?;
        let text = |place: &str| now.pointer(place).and_then(Value::as_str);
        let key = (pull.repository.clone(), pull.number);
        if now["comments"] == 0 {
            lock(&self.uncommented).insert(key);
        } else {
            lock(&self.uncommented).remove(&key);
        }
        let labels = now["labels"].as_array().map(|all| {
            let names = all.iter().filter_map(|l| l["name"].as_str());
            names.map(str::to_owned).collect()
        });
        Ok(PullNow {
            head_sha: text("/head/sha").unwrap_or_default().to_ascii_lowercase(),
            base: text("/base/ref").map(|name| clean_line(name, 200)),
            base_sha: now
                .pointer("/base/sha")
                .and_then(Value::as_str)
                .filter(|sha| is_sha(sha))
                .map(str::to_ascii_lowercase),
            updated: text("/updated_at").map(|at| clean_line(at, 40)),
            open: now["state"] == "open",
            draft: now["draft"] == true,
            labels,
            mergeable: now["mergeable_state"] == "clean",
            repository: text("/base/repo/full_name")
                .filter(|name| is_repository(name))
                .map(|name| {
                    let id = now.pointer("/base/repo/id").and_then(Value::as_u64);
                    (name.to_owned(), id)
                }),
        })
    }

    /// A marker is only text: anybody can write it. What is found by it must be ours.
    pub(super) async fn me(&self) -> Result<&Me, HostError> {
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

    /// The token is an app's, or a workflow's, which is one.
    pub(super) fn is_app(&self) -> bool {
        match &self.credentials {
            Credentials::Token(token) => token.starts_with("ghs_"),
            Credentials::App(_) => true,
            Credentials::None => false,
        }
    }

    /// Whether an entry was written with this token.
    pub(super) async fn is_mine(&self, entry: &Value) -> Result<bool, HostError> {
        Ok(match self.me().await? {
            Me::User(name) => entry["user"]["login"].as_str() == Some(name),
            Me::App => entry["user"]["type"] == "Bot",
        })
    }

    /// Ids of our entries of a list whose text has a marker, oldest first.
    pub(super) async fn marked(&self, list: &str, marker: &str) -> Result<Vec<u64>, HostError> {
        let mut found = Vec::new();
        for page in 1..=PAGES {
            let path = format!("{list}?per_page=100&page={page}");
            let entries = self.json(Method::GET, &path, None).await?;
            let entries = entries.as_array().cloned().unwrap_or_default();
            for entry in &entries {
                let has = entry["body"].as_str().is_some_and(|b| b.contains(marker));
                if has && self.is_mine(entry).await? {
                    found.extend(entry["id"].as_u64());
                }
            }
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

    /// Sends a request with the credentials for a repository, whatever its address is.
    pub(super) async fn send_for(
        &self,
        repository: &str,
        request: RequestBuilder,
    ) -> Result<Response, HostError> {
        let path = format!("repos/{repository}");
        send(self.authorized(&path, with_headers(request)).await?).await
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

    pub(super) fn url(&self, path: &str) -> Result<Url, HostError> {
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

/// The JSON of an answer; null where it is empty.
pub(super) async fn read_json(response: Response) -> Result<Value, HostError> {
    let bytes = bytes(response, JSON).await?;
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&bytes).map_err(|e| HostError::Unreachable(e.to_string()))
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
