//! Ten callers at once, one load.
#![allow(clippy::allow_attributes, clippy::print_stdout, reason = "an example")]

use std::sync::Arc;
use std::time::Duration;

use bsm_base::clock::SystemClock;
use bsm_cache::{Cache, CacheSettings, Spec};

#[tokio::main]
async fn main() {
    let cache: Arc<Cache<String, String>> = Cache::new(
        Spec {
            name: "answers",
            settings: CacheSettings::default(),
            load_timeout: Duration::from_secs(5),
            weigh: |value| value.len() as u64,
            abandons: false,
            keeps: |_| true,
            life: |_| 1.0,
            is_negative: |_| false,
        },
        Arc::new(SystemClock),
    );
    let callers = (0..10).map(|_| {
        let cache = Arc::clone(&cache);
        tokio::spawn(async move {
            let load = |_| async { Ok("an answer".to_owned()) };
            cache.get("question", load).await.map(|(_, source)| source)
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        println!("{:?}", caller.await);
    }
    println!("loads: {}", cache.stats().loads);
}
