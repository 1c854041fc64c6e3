//! Which models may answer a question, in which order, and why the others may not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::Role;
use super::provider::{Endpoint, ProviderRuntime};
use crate::model::prompt::Prompt;
use crate::model::request::{CompletionRequest, SkippedCandidate};
use crate::resilience::policy::Target;
use crate::settings::Settings;
use crate::text::clean_line;
use crate::workspace::models::{Model, ModelTable, OnRefusal, Structured, Wanted};

/// A candidate that can be asked.
#[derive(Clone)]
pub(super) struct Choice {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) name: String,
    pub(super) model: Arc<Model>,
    /// How far it can be held to a form.
    pub(super) structured: Structured,
    /// The question, cut to what this model can read.
    pub(super) prompt: Arc<Prompt>,
    /// Its tokens, estimated.
    pub(super) prompt_tokens: u32,
    pub(super) max_output_tokens: u32,
    /// After its refusal the next one is asked.
    pub(super) refusals_fall_back: bool,
}

/// The candidates for a question, first to last, and those that were passed over. What changes from one
/// moment to the next (breakers, limits, budgets) is asked when a candidate's turn comes.
pub(super) fn route(
    table: &ModelTable,
    providers: &BTreeMap<String, ProviderRuntime>,
    settings: &Settings,
    ask: &CompletionRequest,
    now: Instant,
) -> (Vec<Target<Choice>>, Vec<SkippedCandidate>) {
    let (mut targets, mut skips) = (Vec::new(), Vec::new());
    let wanted = Wanted {
        model: ask.wanted.as_deref().or(settings.default_model.as_deref()),
        task: &ask.task,
        complexity: &ask.complexity,
        search: ask.search,
        fall_back: settings.fallback.0,
        draw: draw(ask),
    };
    let mut whole: Option<(Arc<Prompt>, u32)> = None;
    let mut seen: Vec<String> = Vec::new();
    for name in table.candidates(wanted) {
        let name = in_place_of(table, settings, name);
        if seen.contains(&name) {
            continue;
        }
        seen.push(name.clone());
        let candidate = candidate(table, providers, ask, &name, now, &mut whole);
        match candidate {
            Ok(target) => targets.push(target),
            Err(reason) => skips.push(SkippedCandidate {
                model: clean_line(&name, 60),
                reason,
            }),
        }
    }
    (targets, skips)
}

fn candidate(
    table: &ModelTable,
    providers: &BTreeMap<String, ProviderRuntime>,
    ask: &CompletionRequest,
    name: &str,
    now: Instant,
    whole: &mut Option<(Arc<Prompt>, u32)>,
) -> Result<Target<Choice>, String> {
    let model = table
        .models
        .get(name)
        .ok_or("not described under models")?
        .clone();
    let live = providers
        .get(&model.provider)
        .ok_or_else(|| format!("provider {} is not there", clean_line(&model.provider, 40)))?;
    if let Some(obstacle) = live.obstacle(now) {
        return Err(obstacle);
    }
    let endpoint = Arc::clone(live.endpoint.as_ref().map_err(Clone::clone)?);
    let extras = &ask.extras;
    let structured = model.structured.unwrap_or(endpoint.wire.structured());
    let with_tools = !extras.tools.is_empty();
    if extras.passed_on && !endpoint.wire.has_form(&ask.format, structured, with_tools) {
        return Err("it cannot be held to the form that is wanted".into());
    }
    let max_output_tokens = model.max_output_tokens.min(ask.max_output_tokens);
    let room = model.context_tokens.saturating_sub(max_output_tokens);
    let (prompt, prompt_tokens) = whole
        .get_or_insert_with(|| {
            let prompt = ask.question.fit(u32::MAX);
            let tokens = prompt.tokens().saturating_add(extras.tokens());
            (Arc::new(prompt), tokens)
        })
        .clone();
    let talks_of_tools = prompt
        .messages
        .iter()
        .any(|m| m.role == Role::Tool || !m.calls.is_empty());
    if (with_tools || talks_of_tools) && !endpoint.wire.tools() {
        return Err("it takes no tools".into());
    }
    let (prompt, prompt_tokens) = if prompt_tokens <= room {
        (prompt, prompt_tokens)
    } else {
        let tools = extras.tokens();
        let cut = ask.question.fit(room.saturating_sub(tools));
        let tokens = cut.tokens().saturating_add(tools);
        if tokens > room {
            return Err(format!(
                "the prompt of about {tokens} tokens does not fit its {}",
                model.context_tokens
            ));
        }
        (Arc::new(cut), tokens)
    };
    Ok(Target {
        guards: live.guards_of(name),
        attempt_timeout: live.attempt_timeout,
        tokens: prompt_tokens.saturating_add(max_output_tokens),
        what: Choice {
            endpoint,
            name: name.to_owned(),
            model,
            structured,
            prompt,
            prompt_tokens,
            max_output_tokens,
            refusals_fall_back: table.on_refusal == OnRefusal::FallBack,
        },
    })
}

/// The model that the settings want in the place of every one that searches.
fn in_place_of(table: &ModelTable, settings: &Settings, name: String) -> String {
    let Some(wanted) = &settings.search.model else {
        return name;
    };
    let provider = table
        .models
        .get(&name)
        .and_then(|m| table.providers.get(&m.provider));
    let searches = provider
        .and_then(|p| super::wire::of(&p.kind))
        .is_some_and(super::wire::Wire::searches);
    if searches { wanted.clone() } else { name }
}

/// 0 to 99, the same for all questions of a run: its agents ask the same models.
fn draw(ask: &CompletionRequest) -> u8 {
    let whose = if ask.origin.run.is_empty() {
        &ask.origin.correlation
    } else {
        &ask.origin.run
    };
    let sum = whose.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    ((sum >> 32) % 100) as u8
}
