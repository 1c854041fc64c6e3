//! Whom a request is sent to: the deployments of its name, in the order in which they are asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bsm_wire::Wire;
use url::Url;

use super::ForwardRequest;
use crate::model::provider::{Endpoint, ProviderRuntime};
use crate::model::request::SkippedCandidate;
use crate::resilience::policy::Target;
use crate::settings::Settings;
use crate::text::clean_line;
use crate::workspace::deployments::{NamedDeployment, Tier};
use crate::workspace::groups::Strategy;
use crate::workspace::models::{Model, ModelTable, NativeWire, Wanted};

/// A deployment that can be asked.
#[derive(Clone)]
pub(super) struct Deployed {
    pub(super) endpoint: Arc<Endpoint>,
    /// The name in the table.
    pub(super) name: String,
    /// The name by which the provider knows it.
    pub(super) upstream_name: String,
    pub(super) model: Arc<Model>,
    /// What the provider is asked in.
    pub(super) wire: Wire,
    pub(super) route: Url,
    /// Until the first content of a stream.
    pub(super) first: Duration,
    /// Between two pieces of it.
    pub(super) idle: Duration,
    /// For a whole answer.
    pub(super) whole: Duration,
}

/// Why nobody can be asked.
pub(super) enum NoTarget {
    /// There is no such name.
    Unknown(String),
    /// Those that there are cannot be asked.
    Skipped(Vec<SkippedCandidate>),
}

/// The deployments for a request, first to last.
pub(super) fn targets(
    table: &ModelTable,
    providers: &BTreeMap<String, ProviderRuntime>,
    settings: &Settings,
    request: &ForwardRequest,
    now: std::time::Instant,
) -> Result<Vec<Target<Deployed>>, NoTarget> {
    let fall_back = request.fall_back && settings.fallback.0;
    let tiers = match &request.model {
        Some(name) => table
            .tiers(name, fall_back)
            .ok_or_else(|| NoTarget::Unknown(clean_line(name, 100)))?,
        None => of_routes(table, settings),
    };
    let (mut targets, mut skips, mut seen) = (Vec::new(), Vec::new(), Vec::new());
    for tier in tiers {
        for member in ordered(tier, providers, request.conversation) {
            let place = (member.model.provider.clone(), member.upstream_name.clone());
            if seen.contains(&place) {
                continue;
            }
            match target(table, providers, settings, request, &member, now) {
                Ok(target) => targets.push(target),
                Err(reason) => skips.push(SkippedCandidate {
                    model: clean_line(&member.name, 60),
                    reason,
                }),
            }
            seen.push(place);
        }
    }
    if targets.is_empty() {
        return Err(NoTarget::Skipped(skips));
    }
    Ok(targets)
}

/// `auto`: any model that the route of conversations allows, and everybody's fallbacks.
fn of_routes(table: &ModelTable, settings: &Settings) -> Vec<Tier> {
    let wanted = Wanted {
        model: settings.default_model.as_deref(),
        task: "chat_response",
        complexity: "high",
        search: false,
        fall_back: settings.fallback.0,
        draw: 0,
    };
    let names = table.candidates(wanted);
    names
        .iter()
        .filter_map(|name| table.tiers(name, false))
        .flatten()
        .collect()
}

/// A tier's members in the order of its strategy.
fn ordered(
    tier: Tier,
    providers: &BTreeMap<String, ProviderRuntime>,
    conversation: u64,
) -> Vec<NamedDeployment> {
    let mut members = tier.members;
    let state = |m: &NamedDeployment| {
        let live = providers.get(&m.model.provider)?;
        Some(live.deployments.get(&m.upstream_name))
    };
    match tier.strategy {
        Strategy::Order => {}
        Strategy::Weighted => {
            let drawn = |m: &NamedDeployment| -(1.0 - fastrand::f64()).ln() / weight(m);
            sort_by(&mut members, drawn);
        }
        // Who has never answered is tried first: nothing is known against it.
        Strategy::LeastLatency => {
            sort_by(&mut members, |m| {
                state(m).map_or(0.0, |d| d.latency().as_secs_f64())
            });
        }
        Strategy::LeastBusy => {
            sort_by(&mut members, |m| {
                state(m).map_or(0.0, |d| f64::from(d.in_flight()))
            });
        }
    }
    if tier.sticky
        && let Some(own) = sticky(&members, conversation)
    {
        let own = members.remove(own);
        members.insert(0, own);
    }
    // Whatever the strategy, a lower order goes first; what is alike keeps its place.
    members.sort_by_key(|m| m.order);
    members
}

fn sort_by(members: &mut Vec<NamedDeployment>, value: impl Fn(&NamedDeployment) -> f64) {
    let mut all: Vec<(f64, NamedDeployment)> = members.drain(..).map(|m| (value(&m), m)).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    members.extend(all.into_iter().map(|(_, m)| m));
}

fn weight(member: &NamedDeployment) -> f64 {
    f64::from(member.weight).max(1e-6)
}

/// The member of the lowest order that a conversation belongs to: the same as long as the members are
/// (rendezvous hashing, in the proportion of the weights).
fn sticky(members: &[NamedDeployment], conversation: u64) -> Option<usize> {
    let lowest = members.iter().map(|m| m.order).min()?;
    let score = |m: &NamedDeployment| {
        let mut text = conversation.to_le_bytes().to_vec();
        text.extend_from_slice(m.name.as_bytes());
        let hash = xxhash_rust::xxh3::xxh3_64(&text);
        let unit = (hash >> 11) as f64 / (1_u64 << 53) as f64;
        -unit.max(f64::MIN_POSITIVE).ln() / weight(m)
    };
    let own = members
        .iter()
        .enumerate()
        .filter(|(_, m)| m.order == lowest);
    own.min_by(|(_, a), (_, b)| score(a).total_cmp(&score(b)))
        .map(|(at, _)| at)
}

fn target(
    table: &ModelTable,
    providers: &BTreeMap<String, ProviderRuntime>,
    settings: &Settings,
    request: &ForwardRequest,
    member: &NamedDeployment,
    now: std::time::Instant,
) -> Result<Target<Deployed>, String> {
    let name = &member.model.provider;
    let no_provider = || format!("provider {} is not there", clean_line(name, 40));
    let live = providers.get(name).ok_or_else(no_provider)?;
    if let Some(obstacle) = live.obstacle(now) {
        return Err(obstacle);
    }
    let provider = table.providers.get(name).ok_or_else(no_provider)?;
    let endpoint = Arc::clone(live.endpoint.as_ref().map_err(Clone::clone)?);
    let wire = upstream_wire(request.wire, provider.native_wires()).ok_or_else(|| {
        format!(
            "{} speaks no wire that {} can be put into",
            clean_line(name, 40),
            request.wire.as_str()
        )
    })?;
    let route = route(&endpoint.base_url, wire, request, &member.upstream_name)?;
    let written = |own: u64, default: u64, gateway: u64| {
        let own = table.from_workspace && own != default;
        (!own).then_some(gateway)
    };
    let standard = crate::workspace::models::Timeouts::default();
    let clocks = provider.timeouts;
    let of = |own: u64, default: u64, gateway: u64| {
        Duration::from_millis(written(own, default, gateway).unwrap_or(own).max(1))
    };
    let mut guards = live.guards_of(&member.upstream_name);
    guards.pool = Arc::clone(&live.gateway_pool);
    let sent = u32::try_from(request.body.len() / 4).unwrap_or(u32::MAX);
    let wanted = request
        .envelope
        .max_output_tokens
        .unwrap_or(u64::from(member.model.max_output_tokens));
    Ok(Target {
        guards,
        attempt_timeout: Duration::MAX,
        tokens: sent.saturating_add(u32::try_from(wanted).unwrap_or(u32::MAX)),
        what: Deployed {
            endpoint,
            name: member.name.clone(),
            upstream_name: member.upstream_name.clone(),
            model: Arc::clone(&member.model),
            wire,
            route,
            first: of(
                clocks.first_token_ms,
                standard.first_token_ms,
                settings.gateway.first_token_ms,
            ),
            idle: of(clocks.idle_ms, standard.idle_ms, settings.gateway.idle_ms),
            whole: Duration::from_millis(settings.gateway.whole_answer_ms.max(1)),
        },
    })
}

/// What a provider is asked in: the client's own wire where it speaks it, else one that it can be put into.
fn upstream_wire(client: Wire, native: &[NativeWire]) -> Option<Wire> {
    let speaks = |wire: NativeWire| native.contains(&wire);
    let own = match client {
        Wire::Chat => NativeWire::Chat,
        Wire::Completions => NativeWire::Completions,
        Wire::Embeddings => NativeWire::Embeddings,
        Wire::Responses => NativeWire::Responses,
        Wire::Messages | Wire::CountTokens => NativeWire::Messages,
        Wire::Gemini | Wire::GeminiCount => NativeWire::Gemini,
    };
    if speaks(own) {
        return Some(client);
    }
    let candidates: &[(NativeWire, Wire)] = match client {
        Wire::Chat => &[(NativeWire::Messages, Wire::Messages)],
        Wire::Messages => &[(NativeWire::Chat, Wire::Chat)],
        Wire::Responses => &[
            (NativeWire::Chat, Wire::Chat),
            (NativeWire::Messages, Wire::Messages),
        ],
        _ => &[],
    };
    let found = candidates.iter().find(|(native, _)| speaks(*native));
    found.map(|(_, wire)| *wire)
}

/// The address beneath a provider's base.
fn route(base: &Url, wire: Wire, request: &ForwardRequest, model: &str) -> Result<Url, String> {
    let base = base.as_str().trim_end_matches('/');
    let path = match wire {
        Wire::Chat => "chat/completions".to_owned(),
        Wire::Completions => "completions".to_owned(),
        Wire::Embeddings => "embeddings".to_owned(),
        Wire::Responses => "responses".to_owned(),
        Wire::Messages => "messages".to_owned(),
        Wire::CountTokens => "messages/count_tokens".to_owned(),
        Wire::Gemini | Wire::GeminiCount => {
            let verb = match (wire, request.streams) {
                (Wire::GeminiCount, _) => "countTokens",
                (_, true) => "streamGenerateContent",
                _ => "generateContent",
            };
            format!("models/{model}:{verb}")
        }
    };
    // Gemini's own routes stand beside its OpenAI-compatible ones.
    let base = match wire {
        Wire::Gemini | Wire::GeminiCount => base.strip_suffix("/openai").unwrap_or(base),
        _ => base,
    };
    let mut url = Url::parse(&format!("{base}/{path}")).map_err(|e| format!("its address: {e}"))?;
    url.set_query(request.query.as_deref().filter(|_| wire == request.wire));
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, weight: u32, order: u32) -> NamedDeployment {
        let model: Model = serde_yaml::from_str("provider: p").unwrap();
        NamedDeployment {
            name: name.into(),
            upstream_name: name.into(),
            model: Arc::new(model),
            weight,
            order,
        }
    }

    fn first(strategy: Strategy, sticky: bool, conversation: u64) -> String {
        let tier = Tier {
            strategy,
            sticky,
            members: vec![member("a", 3, 0), member("b", 1, 0), member("late", 99, 1)],
        };
        let all = ordered(tier, &BTreeMap::new(), conversation);
        assert_eq!((all.len(), all[2].name.as_str()), (3, "late"));
        all[0].name.clone()
    }

    #[test]
    fn members_are_chosen_in_the_proportion_of_their_weights() {
        let chosen = |sticky: bool| {
            let firsts = (0..4_000).map(|n| first(Strategy::Weighted, sticky, n));
            firsts.filter(|name| name == "a").count()
        };
        assert!((2_800..3_200).contains(&chosen(false)), "{}", chosen(false));
        assert!((2_800..3_200).contains(&chosen(true)), "{}", chosen(true));
    }

    #[test]
    fn sticky_conversation_keeps_its_member() {
        for conversation in 0..50 {
            let once = first(Strategy::Weighted, true, conversation);
            assert!((0..20).all(|_| first(Strategy::Weighted, true, conversation) == once));
        }
        assert_eq!(first(Strategy::Order, false, 1), "a");
    }

    #[test]
    fn own_wire_is_preferred_and_others_only_where_they_can_be_translated() {
        use NativeWire as N;
        assert_eq!(
            upstream_wire(Wire::Messages, &[N::Chat, N::Messages]),
            Some(Wire::Messages)
        );
        assert_eq!(upstream_wire(Wire::Messages, &[N::Chat]), Some(Wire::Chat));
        assert_eq!(
            upstream_wire(Wire::Responses, &[N::Messages]),
            Some(Wire::Messages)
        );
        assert_eq!(upstream_wire(Wire::Gemini, &[N::Chat]), None);
        assert_eq!(upstream_wire(Wire::Embeddings, &[N::Messages]), None);
        assert_eq!(
            upstream_wire(Wire::CountTokens, &[N::Messages]),
            Some(Wire::CountTokens)
        );
    }
}
