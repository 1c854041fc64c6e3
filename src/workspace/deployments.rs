//! What a public name at the gateway stands for: one model, a group of deployments, or `provider/model`.
//!
//! Why apart from `candidates`: an agent's run may be answered by any model that its route allows. A
//! program that names a model gets that model, or what somebody wrote down as its fallback.

use std::sync::Arc;

use super::groups::{Member, Strategy};
use super::models::{Model, ModelTable};

/// One model at one provider, as a name stands for it.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedDeployment {
    /// The name of the model in the table, or `provider/model`.
    pub name: String,
    /// The name by which its provider knows it.
    pub upstream_name: String,
    /// What the table says of it.
    pub model: Arc<Model>,
    /// Its share beside the others.
    pub weight: u32,
    /// Its place before the others.
    pub order: u32,
}

/// The deployments of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Tier {
    /// How one of them is chosen.
    pub strategy: Strategy,
    /// A conversation stays with its member.
    pub sticky: bool,
    /// The deployments.
    pub members: Vec<NamedDeployment>,
}

/// Fallbacks of fallbacks, at most.
const LONGEST_CHAIN: usize = 16;

impl ModelTable {
    /// What a name stands for: its own deployments first, then those of its written fallbacks in their
    /// order; none where there is no such name. The fallbacks of the built-in table are for agents only.
    pub fn tiers(&self, name: &str, fall_back: bool) -> Option<Vec<Tier>> {
        let mut tiers = vec![self.tier(name)?];
        let mut names = vec![name.to_owned()];
        let mut at = 0;
        while fall_back && self.from_workspace && at < names.len() && names.len() < LONGEST_CHAIN {
            for next in self.fallbacks.get(&names[at]).into_iter().flatten() {
                if !names.contains(next) && names.len() < LONGEST_CHAIN {
                    names.push(next.clone());
                    tiers.extend(self.tier(next));
                }
            }
            at += 1;
        }
        Some(tiers)
    }

    /// Every name that can be asked for, with the provider where there is one alone.
    pub fn public_names(&self) -> Vec<(String, String)> {
        let groups = self.groups.iter().map(|(name, group)| {
            let of = |m: &Member| self.models.get(&m.model).map(|m| m.provider.clone());
            let mut providers: Vec<String> = group.members.iter().filter_map(of).collect();
            providers.dedup();
            (name.clone(), providers.join(", "))
        });
        let single = |name: &&String| !name.ends_with("/*") && !self.groups.contains_key(*name);
        let models = self.models.keys().filter(single);
        let models = models.map(|name| (name.clone(), self.models[name].provider.clone()));
        groups.chain(models).collect()
    }

    fn tier(&self, name: &str) -> Option<Tier> {
        if let Some(group) = self.groups.get(name) {
            let members = group.members.iter().filter_map(|member| {
                let deployment = self.deployment(&member.model)?;
                Some(NamedDeployment {
                    weight: member.weight,
                    order: member.order,
                    ..deployment
                })
            });
            return Some(Tier {
                strategy: group.strategy,
                sticky: group.sticky,
                members: members.collect(),
            });
        }
        Some(Tier {
            strategy: Strategy::Order,
            sticky: false,
            members: vec![self.deployment(name)?],
        })
    }

    fn deployment(&self, name: &str) -> Option<NamedDeployment> {
        let of = |model: &Arc<Model>, upstream_name: &str| NamedDeployment {
            name: name.to_owned(),
            upstream_name: upstream_name.to_owned(),
            model: Arc::clone(model),
            weight: 1,
            order: 0,
        };
        if let Some(model) = self.models.get(name).filter(|_| !name.ends_with("/*")) {
            return Some(of(model, model.upstream_name.as_deref().unwrap_or(name)));
        }
        // `openai/gpt-x` where `openai/*` is described.
        let (prefix, rest) = name.split_once('/')?;
        let model = self.models.get(&format!("{prefix}/*"))?;
        let plain = |c: char| c.is_ascii_graphic();
        (!rest.is_empty() && rest.len() <= 200 && rest.chars().all(plain)).then(|| of(model, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> ModelTable {
        let text = r"
version: 1
providers: {local: {kind: chat, baseUrl: 'http://127.0.0.1:1/v1'}}
models:
  small: {provider: local, upstreamName: qwen-7b}
  big: {provider: local}
  'local/*': {provider: local}
groups:
  fast: {strategy: weighted, sticky: true, members: [{model: small, weight: 3}, {model: big, order: 1}]}
fallbacks: {small: [big, fast], big: [small]}
default: small
";
        let mut table: ModelTable = serde_yaml::from_str(text).unwrap();
        table.from_workspace = true;
        table
    }

    fn names(tiers: &[Tier]) -> Vec<Vec<&str>> {
        fn of(tier: &Tier) -> Vec<&str> {
            tier.members.iter().map(|m| &*m.upstream_name).collect()
        }
        tiers.iter().map(of).collect()
    }

    #[test]
    fn named_model_has_its_written_fallbacks_and_no_others() {
        let mut table = table();
        let tiers = table.tiers("small", true).unwrap();
        assert_eq!(
            names(&tiers),
            [vec!["qwen-7b"], vec!["big"], vec!["qwen-7b", "big"]]
        );
        assert_eq!(names(&table.tiers("small", false).unwrap()), [["qwen-7b"]]);
        table.from_workspace = false;
        assert_eq!(names(&table.tiers("small", true).unwrap()), [["qwen-7b"]]);
        assert!(table.tiers("nothing", true).is_none());
    }

    #[test]
    fn wildcard_names_any_model_of_its_provider() {
        let table = table();
        let tiers = table.tiers("local/some/model", true).unwrap();
        assert_eq!(names(&tiers), [["some/model"]]);
        for none in ["local/", "other/m", "local/*"] {
            let found = table.tiers(none, true);
            assert!(
                found.is_none_or(|t| t[0].members[0].upstream_name == "*"),
                "{none}"
            );
        }
        let public: Vec<String> = table.public_names().into_iter().map(|(n, _)| n).collect();
        assert_eq!(public, ["fast", "big", "small"]);
    }

    #[test]
    fn groups_keep_weight_and_order() {
        let tiers = table().tiers("fast", false).unwrap();
        assert_eq!(
            (tiers[0].strategy, tiers[0].sticky),
            (Strategy::Weighted, true)
        );
        let of: Vec<(u32, u32)> = tiers[0]
            .members
            .iter()
            .map(|m| (m.weight, m.order))
            .collect();
        assert_eq!(of, [(3, 0), (1, 1)]);
    }
}
