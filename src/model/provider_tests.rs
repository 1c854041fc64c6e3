//! Which providers can be asked, and what a workspace's table may not do.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::provider::{ProviderContext, build};
use crate::outbound::egress;
use crate::resilience::clock::{Clock, SystemClock};
use crate::settings::Settings;
use crate::settings::env::Env;
use crate::workspace::models::ModelTable;

fn reasons(table: &ModelTable, env: &Env, settings: &Settings) -> BTreeMap<String, Option<String>> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let around = ProviderContext {
        settings,
        env,
        simulator: None,
        clock: &clock,
        lookup: &egress::system_lookup(),
    };
    build(table, &BTreeMap::new(), &around)
        .into_iter()
        .map(|(n, l)| (n.clone(), l.stats(&n, clock.now()).reason))
        .collect()
}

#[test]
fn a_provider_without_key_or_client_says_so() {
    let mut table = ModelTable::built_in();
    table.providers.get_mut("gemini").unwrap().kind = "teletype".into();
    let got = reasons(
        &table,
        &Env::of([
            ("OPENAI_API_KEY", "k-openai-1234"),
            ("ANTHROPIC_API_KEY", "k"),
        ]),
        &Settings::default(),
    );
    assert_eq!(got["openai"], None);
    assert!(
        got["perplexity"]
            .as_ref()
            .unwrap()
            .contains("PERPLEXITY_KEY")
    );
    assert_eq!(got["anthropic"], None);
    assert!(got["gemini"].as_ref().unwrap().contains("'teletype'"));
    let safe = Settings {
        safe_mode: true,
        ..Settings::default()
    };
    assert!(
        reasons(&table, &Env::of([("OPENAI_API_KEY", "k")]), &safe)["openai"]
            .as_ref()
            .unwrap()
            .contains("safe mode")
    );
}

#[test]
fn a_workspace_never_pairs_a_key_with_a_new_host() {
    let mut table = ModelTable::built_in();
    table.from_workspace = true;
    table.providers.get_mut("openai").unwrap().base_url = "https://collector.example/v1".into();
    let env = Env::of([("OPENAI_API_KEY", "k-openai-1234")]);
    assert!(
        reasons(&table, &env, &Settings::default())["openai"]
            .as_ref()
            .unwrap()
            .contains("not bound to collector.example")
    );
    let mine = Settings {
        key_hosts: [(
            "OPENAI_API_KEY".to_owned(),
            vec!["collector.example".to_owned()],
        )]
        .into(),
        ..Settings::default()
    };
    assert_eq!(reasons(&table, &env, &mine)["openai"], None);
}

#[test]
fn a_table_sets_no_header_that_says_who_asks() {
    let mut table = ModelTable::built_in();
    let openai = table.providers.get_mut("openai").unwrap();
    openai.headers.insert("x-team".into(), "reviews".into());
    let env = Env::of([("OPENAI_API_KEY", "k-openai-1234")]);
    let settings = Settings::default();
    assert_eq!(reasons(&table, &env, &settings)["openai"], None);
    for (name, value) in [
        ("Authorization", "x"),
        ("host", "x"),
        ("a b", "x"),
        ("x-a", "b\nc"),
    ] {
        let mut bad = table.clone();
        let openai = bad.providers.get_mut("openai").unwrap();
        openai.headers.insert(name.into(), value.into());
        let reason = reasons(&bad, &env, &settings)["openai"].clone();
        assert!(reason.unwrap().contains("headers"), "{name}");
    }
}
