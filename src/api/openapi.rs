//! Routes with what is said of them: each is entered once, and `/openapi.json` is made of what was entered.
//!
//! Why a table of ours and no derive: most answers are put together from the picture, which no type of a
//! route describes; and a path that is served cannot be missing from the description.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::routing::{MethodRouter, delete, get, post};
use serde_json::{Map, Value, json};

use crate::api::state::Api;

/// Who is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guard {
    Open,
    Reader,
    Admin,
    Signed,
}

/// What is said of a route.
#[derive(Debug, Clone)]
pub(super) struct Doc {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    guard: Guard,
    listed: bool,
    body: Option<Value>,
    largest: Option<usize>,
    query: Vec<(&'static str, Value)>,
    answers: Vec<(u16, &'static str, Value)>,
}

/// Answers with JSON to everybody, until more is said.
pub(super) fn doc(summary: &'static str) -> Doc {
    Doc {
        method: "get",
        path: "",
        summary,
        guard: Guard::Open,
        listed: true,
        body: None,
        largest: None,
        query: Vec::new(),
        answers: Vec::new(),
    }
}

impl Doc {
    /// Spoken between our own programs, numbered apart: not in the description.
    pub(super) fn unlisted(mut self) -> Self {
        self.listed = false;
        self
    }

    /// For the owner's socket and the admin token.
    pub(super) fn admin(mut self) -> Self {
        self.guard = Guard::Admin;
        self
    }

    /// For this machine and the admin token.
    pub(super) fn reader(mut self) -> Self {
        self.guard = Guard::Reader;
        self
    }

    /// For those who know the webhooks' secret.
    pub(super) fn signed(mut self) -> Self {
        self.guard = Guard::Signed;
        self
    }

    /// It takes a JSON object with these properties, the first `needed` of which must be there.
    pub(super) fn body(mut self, needed: &[&str], properties: Value) -> Self {
        self.body = Some(json!({"type": "object", "required": needed, "properties": properties}));
        self
    }

    /// Its body may be as large as this, bytes.
    pub(super) fn largest(mut self, bytes: usize) -> Self {
        self.largest = Some(bytes);
        self
    }

    /// A parameter behind the question mark.
    pub(super) fn query(mut self, name: &'static str, schema: Value) -> Self {
        self.query.push((name, schema));
        self
    }

    /// An object with these properties, all of them there.
    pub(super) fn answers(mut self, status: u16, properties: Value) -> Self {
        let needed: Vec<&String> = properties
            .as_object()
            .map(|map| map.keys().collect())
            .unwrap_or_default();
        let schema = json!({"type": "object", "required": needed, "properties": properties});
        self.answers.push((status, "application/json", schema));
        self
    }

    /// An answer of another type.
    pub(super) fn sends(mut self, kind: &'static str) -> Self {
        self.answers.push((200, kind, json!({"type": "string"})));
        self
    }
}

/// Routes, and what is said of them.
pub(super) struct Routes {
    router: Router<Arc<Api>>,
    docs: Vec<Doc>,
}

impl Routes {
    pub(super) fn new() -> Self {
        Self {
            router: Router::new(),
            docs: Vec::new(),
        }
    }

    pub(super) fn get<H, T>(self, path: &'static str, handler: H, doc: Doc) -> Self
    where
        H: Handler<T, Arc<Api>>,
        T: 'static,
    {
        self.put(path, "get", get(handler), doc)
    }

    pub(super) fn post<H, T>(self, path: &'static str, handler: H, doc: Doc) -> Self
    where
        H: Handler<T, Arc<Api>>,
        T: 'static,
    {
        self.put(path, "post", post(handler), doc)
    }

    pub(super) fn delete<H, T>(self, path: &'static str, handler: H, doc: Doc) -> Self
    where
        H: Handler<T, Arc<Api>>,
        T: 'static,
    {
        self.put(path, "delete", delete(handler), doc)
    }

    fn put(
        mut self,
        path: &'static str,
        method: &'static str,
        mut route: MethodRouter<Arc<Api>>,
        mut doc: Doc,
    ) -> Self {
        if let Some(largest) = doc.largest {
            route = route.layer(DefaultBodyLimit::max(largest));
        }
        (doc.method, doc.path) = (method, path);
        self.router = self.router.route(path, route);
        self.docs.push(doc);
        self
    }

    /// Both.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.docs.extend(other.docs);
        self
    }

    /// The router, and the description.
    pub(super) fn parts(self) -> (Router<Arc<Api>>, Vec<Doc>) {
        (self.router, self.docs)
    }
}

/// OpenAPI 3.1 of these routes.
pub(super) fn openapi(docs: &[Doc]) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for doc in docs.iter().filter(|d| d.listed) {
        let path = doc.path.replace("{*", "{");
        let entry = paths.entry(path).or_insert_with(|| json!({}));
        if let Some(entry) = entry.as_object_mut() {
            entry.insert(doc.method.into(), operation(doc));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "BSM",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "An engine of language-model agents: runs, agents, caches, breakers, webhooks, and a gateway.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "adminToken": {"type": "apiKey", "in": "header", "name": "x-admin-token"},
                "bearer": {"type": "http", "scheme": "bearer"},
                "signature": {"type": "apiKey", "in": "header", "name": "x-hub-signature-256"},
            },
            "schemas": {
                "Error": {
                    "type": "object",
                    "required": ["error", "code", "correlationId"],
                    "properties": {
                        "error": {"type": "string"},
                        "code": {"type": "string"},
                        "correlationId": {"type": "string"},
                    },
                },
                "GatewayError": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {"error": {"type": ["object", "string"]}},
                },
            },
        },
    })
}

fn operation(doc: &Doc) -> Value {
    let mut parameters: Vec<Value> = parameters(doc.path)
        .map(|name| {
            json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}})
        })
        .collect();
    for (name, schema) in &doc.query {
        parameters.push(json!({"name": name, "in": "query", "required": false, "schema": schema}));
    }
    let mut answers: Map<String, Value> = Map::new();
    for (status, kind, schema) in &doc.answers {
        let entry = answers
            .entry(status.to_string())
            .or_insert_with(|| json!({"description": "As asked.", "content": {}}));
        entry["content"][*kind] = json!({"schema": schema});
    }
    // A program that speaks one of the gateway's protocols reads its own shape of errors there.
    let shape = if doc.path.starts_with("/v1") {
        "#/components/schemas/GatewayError"
    } else {
        "#/components/schemas/Error"
    };
    for (status, what) in failures(doc) {
        answers.entry(status.to_owned()).or_insert_with(|| {
            json!({"description": what, "content": {"application/json": {"schema": {"$ref": shape}}}})
        });
    }
    let mut operation = json!({
        "summary": doc.summary,
        "operationId": operation_id(doc),
        "responses": answers,
    });
    if !parameters.is_empty() {
        operation["parameters"] = json!(parameters);
    }
    if let Some(body) = &doc.body {
        operation["requestBody"] =
            json!({"required": true, "content": {"application/json": {"schema": body}}});
    }
    let security = match doc.guard {
        Guard::Open => json!([]),
        Guard::Reader => json!([{}, {"adminToken": []}, {"bearer": []}]),
        Guard::Admin => json!([{"adminToken": []}, {"bearer": []}]),
        Guard::Signed => json!([{"signature": []}]),
    };
    operation["security"] = security;
    operation
}

/// What can go wrong with any route like it.
fn failures(doc: &Doc) -> Vec<(&'static str, &'static str)> {
    let mut all = vec![
        ("400", "The request cannot be used."),
        ("403", "It is not allowed here."),
        ("429", "Too many requests."),
        ("500", "A defect."),
        ("503", "Not now: see the code."),
    ];
    if doc.guard != Guard::Open {
        all.push(("401", "The token or the signature is missing or wrong."));
    }
    if doc.path.contains('{') || doc.body.is_some() {
        all.push(("404", "There is no such thing."));
    }
    if doc.body.is_some() {
        all.push(("413", "The body is too large."));
        all.push(("415", "The body is not sent as JSON."));
    }
    all
}

/// Names between braces.
fn parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| name.trim_start_matches('*'))
}

fn operation_id(doc: &Doc) -> String {
    let words = doc
        .path
        .split(['/', '-', '.'])
        .map(|w| w.trim_matches(['{', '}', '*']))
        .filter(|w| !w.is_empty());
    std::iter::once(doc.method)
        .chain(words)
        .collect::<Vec<_>>()
        .join("_")
}

/// Schemas that many routes have.
pub(super) fn text() -> Value {
    json!({"type": "string"})
}

pub(super) fn number() -> Value {
    json!({"type": "integer"})
}

pub(super) fn list() -> Value {
    json!({"type": "array"})
}

pub(super) fn object() -> Value {
    json!({"type": "object"})
}

pub(super) fn boolean() -> Value {
    json!({"type": "boolean"})
}
