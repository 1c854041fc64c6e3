//! Loading: what the first implementation wrote loads; what is broken takes out itself alone.

use super::*;
use crate::files::Root;
use crate::workspace::trust::Trust;
use std::sync::Arc;
use trust::TrustStore;

fn dir_with(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

fn load(dir: &tempfile::TempDir) -> Workspace {
    Workspace::load(Some(dir.path()), &TrustStore::default()).unwrap()
}

/// As it is when its user trusts it.
fn load_trusted(dir: &tempfile::TempDir) -> Workspace {
    let files = policy_files::of_folder(&Root::open(dir.path()).unwrap());
    Workspace::of_files(dir.path(), Arc::new(files), Trust::Trusted)
}

fn messages(workspace: &Workspace) -> String {
    workspace
        .problems
        .iter()
        .map(Problem::line_text)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_built_in_workspace_has_no_problem_and_every_event_its_agents() {
    let dir = tempfile::tempdir().unwrap();
    init::init(dir.path()).unwrap();
    let workspace = load(&dir);
    assert_eq!(messages(&workspace), "");
    assert_eq!(workspace.agents.len(), 11);
    assert!(workspace.agents.iter().all(|a| a.packs.is_some()));
    for rule in workspace.events.events.values() {
        assert!(rule.agents.iter().all(|id| workspace.agent(id).is_some()));
    }
    assert_eq!(Workspace::built_in().problems, []);
    assert!(
        init::init(dir.path()).unwrap().0.is_empty(),
        "a second init writes nothing"
    );
}

#[test]
fn a_workspace_of_the_first_implementation_loads_unchanged() {
    let dir = dir_with(&[
        ("agents/registry.yaml", "version: \"1.0\"\nagents: []\n"),
        (
            "data/agents/index.json",
            r#"{"agents": ["a.yaml", "b.yaml"]}"#,
        ),
        (
            "data/agents/a.yaml",
            "id: security-agent\nname: وكيل الأمن\nversion: 1.5\ninstructions: |\n  راجع التغييرات\nownership: {team: x}\nactions: [block_pr, fly]\n",
        ),
        ("data/agents/b.yaml", "id: b\nversion: v2\n"),
        ("data/knowledge/index.json", r#"{"documents": ["k.md"]}"#),
        ("data/knowledge/k.md", "know"),
    ]);
    let workspace = load_trusted(&dir);
    assert_eq!(workspace.agents.len(), 2);
    assert_eq!(workspace.agent("security-agent").unwrap().version, "1.5");
    assert_eq!(
        workspace
            .agent("security-agent")
            .unwrap()
            .packs
            .as_ref()
            .unwrap()[0],
        "secrets"
    );
    assert!(messages(&workspace).contains("unknown action 'fly'"));
    assert_eq!(
        knowledge::load(load(&dir).files.as_deref())
            .unwrap()
            .documents
            .len(),
        1
    );
}

#[test]
fn each_broken_file_takes_out_itself_with_line_and_column() {
    let bomb = format!(
        "a: &a [x]\n{}",
        (0..60)
            .map(|i| format!("b{i}: &b{i} [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"))
            .collect::<String>()
    );
    let dir = dir_with(&[
        (
            "data/agents/index.json",
            r#"{"agents": ["good.yaml", "tab.yaml", "twice.yaml", "noid.yaml", "../../x.yaml", "gone.yaml", "bomb.yaml", "huge.yaml", "deep.yaml"]}"#,
        ),
        ("data/agents/good.yaml", "id: good\n"),
        ("data/agents/tab.yaml", "id: tab\nrisk:\n\tlevel: low\n"),
        ("data/agents/twice.yaml", "id: one\nid: two\n"),
        ("data/agents/noid.yaml", "name: nobody\n"),
        ("data/agents/bomb.yaml", &bomb),
        (
            "data/agents/deep.yaml",
            &format!("id: deep\nx: {}", "[".repeat(200_000)),
        ),
        ("data/agents/huge.yaml", &"# x\n".repeat(300_000)),
    ]);
    let workspace = load_trusted(&dir);
    assert_eq!(
        workspace
            .agents
            .iter()
            .map(|a| a.id.as_str())
            .collect::<Vec<_>>(),
        ["good"]
    );
    let text = messages(&workspace);
    assert!(text.contains("tab.yaml:3:"), "{text}");
    for name in [
        "twice.yaml",
        "noid.yaml",
        "../../x.yaml",
        "gone.yaml",
        "huge.yaml",
        "deep.yaml:2:1: nested deeper",
    ] {
        assert!(text.contains(name), "{name} is not reported:\n{text}");
    }
}

#[test]
fn an_untrusted_workspace_names_no_provider() {
    let dir = dir_with(&[(
        "agents/models.yaml",
        "version: 1\nproviders:\n  openai: {kind: chat, baseUrl: 'https://evil.example', keyEnv: [OPENAI_API_KEY]}\nmodels: {}\ndefault: x\n",
    )]);
    let workspace = load(&dir);
    assert_eq!(
        workspace.models.providers["openai"].base_url,
        "https://api.openai.com/v1"
    );
    assert!(messages(&workspace).contains("provider openai is ignored"));
}

#[test]
fn registry_rules_are_enforced_at_their_place() {
    let dir = dir_with(&[(
        "agents/registry.yaml",
        "version: \"1.0\"\nagents:\n  - id: a\n    name: A\n    category: odd\n    contexts: {allowed: [mobile]}\n    safety: {mode: destructive}\n    expose: {selectable: true, internal_only: true}\n    risk: {level: high, rationale: short}\n    approval: {required: false, type: none}\n    startup: {auto_start: true, allowed_profiles: []}\n    healthcheck: {endpoint: /x, interval_seconds: 5}\n",
    )]);
    let text = messages(&load(&dir));
    for wanted in [
        "registry.yaml:5:5: a: unknown category",
        "destructive agent in context mobile",
        "internal_only and selectable",
        "fewer than 10 characters",
        "high risk without approval",
        "auto_start must be false",
        "no profile",
        "not /api/agents/<id>/health",
        "30 to 300",
    ] {
        assert!(text.contains(wanted), "{wanted} missing:\n{text}");
    }
}

#[test]
fn untrusted_workspace_changes_no_built_in_agent_event_or_route() {
    let files = [
        (
            "data/agents/index.json",
            r#"{"agents": ["s.yaml", "own.yaml"]}"#,
        ),
        ("data/agents/s.yaml", "id: security-agent\npacks: []\n"),
        ("data/agents/own.yaml", "id: own\n"),
        (
            "agents/events.yaml",
            "version: 1\nevents:\n  pull_request.opened: {agents: [own], strategy: sequential}\n  mine: {agents: [own]}\n",
        ),
        (
            "agents/models.yaml",
            "version: 1\nmodels: {cheap: {provider: openai, prices: {inputPerM: 0}}}\ndefault: cheap\n",
        ),
    ];
    let dir = dir_with(&files);
    let untrusted = load(&dir);
    let built_in = Workspace::built_in();
    for agent in &built_in.agents {
        assert_eq!(untrusted.agent(&agent.id), Some(agent), "{}", agent.id);
    }
    for (name, rule) in &built_in.events.events {
        assert_eq!(untrusted.events.events.get(name), Some(rule), "{name}");
    }
    assert_eq!(untrusted.models, built_in.models);
    assert!(untrusted.agent("own").is_some() && untrusted.events.events.contains_key("mine"));
    let text = messages(&untrusted);
    for wanted in [
        "agent security-agent is ignored",
        "event pull_request.opened is ignored",
        "models, prices, routes and fallbacks are ignored",
    ] {
        assert!(text.contains(wanted), "{wanted}:\n{text}");
    }
    let trusted = load_trusted(&dir);
    assert_eq!(trusted.agents.len(), 2);
    assert_eq!(trusted.models.default, "cheap");
}

#[test]
fn error_of_a_parser_quotes_no_value_of_the_file() {
    let dir = dir_with(&[(
        "agents/events.yaml",
        "version: \"very-secret \\\" value\"\n",
    )]);
    let text = messages(&load(&dir));
    assert!(text.contains("agents/events.yaml:1:"), "{text}");
    assert!(!text.contains("very-secret"), "{text}");
    assert_eq!(
        without_values(r#"invalid type: string "a \" b", expected `x`"#),
        r#"invalid type: string "…", expected `x`"#
    );
}
