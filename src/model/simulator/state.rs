//! How the simulator behaves and what it did.

use crate::model::simulator::faults::Behaviour;
use crate::model::simulator::faults::Faults;
use crate::model::simulator::faults::Switch;
use crate::resilience::clock::lock;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Mutex;

/// How the simulator begins.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatorSettings {
    /// The same seed and questions give the same answers, waits and faults.
    pub seed: u64,
    /// How everybody behaves.
    pub faults: Faults,
    /// What changes later.
    pub script: Vec<Switch>,
}

impl Default for SimulatorSettings {
    fn default() -> Self {
        Self {
            seed: 1,
            faults: Faults::default(),
            script: Vec::new(),
        }
    }
}

/// What became of the questions to one provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// Questions.
    pub asked: u64,
    /// Answered well.
    pub answered: u64,
    /// At this moment.
    pub under_way: u64,
    /// Most at once.
    pub most_under_way: u64,
    /// Faults, by name.
    pub faults: BTreeMap<String, u64>,
}

/// How it behaves and what it did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// How it behaves.
    pub behaviour: Behaviour,
    /// What it did, by provider.
    pub asked: BTreeMap<String, Asked>,
}

/// Questions whose repetitions are counted; beyond it they begin anew.
pub(crate) const REMEMBERED: usize = 100_000;

#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) told: Told,
    /// How often each question was asked.
    pub(crate) seen: HashMap<u64, u64>,
}

pub(crate) struct Shared {
    pub(crate) seed: u64,
    pub(crate) inner: Mutex<Inner>,
}

impl Shared {
    pub(crate) fn switch(&self, switch: &Switch) -> Result<(), String> {
        lock(&self.inner).told.behaviour.switch(switch)
    }

    pub(crate) fn told(&self) -> Told {
        lock(&self.inner).told.clone()
    }
}
