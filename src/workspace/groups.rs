//! Groups of `agents/models.yaml`: one public name of the gateway for several deployments.

use serde::{Deserialize, Serialize};

/// How the members of a group are chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Strategy {
    /// As they are written; a later one is asked when those before it cannot answer.
    #[default]
    Order,
    /// At random, in the proportion of their weights.
    Weighted,
    /// The one that answered fastest of late.
    LeastLatency,
    /// The one with the fewest calls under way.
    LeastBusy,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Member {
    /// A model of the table.
    pub model: String,
    /// Its share beside the others, with the strategy `weighted`.
    #[serde(default = "one")]
    pub weight: u32,
    /// Members of a lower order are asked first, whatever the strategy.
    #[serde(default)]
    pub order: u32,
}

fn one() -> u32 {
    1
}

/// One public name for several deployments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Group {
    /// How a member is chosen.
    #[serde(default)]
    pub strategy: Strategy,
    /// A conversation stays with its member, so that the provider's prompt cache is of use.
    #[serde(default)]
    pub sticky: bool,
    /// Its members.
    pub members: Vec<Member>,
}
