//! The resilience core beside the best of the field, in one run.
//! `cargo run --release --manifest-path benches/rivals/Cargo.toml`

mod cache;
mod layers;
mod measure;
mod stack;

fn main() {
    let wanted = std::env::args().nth(1);
    let wants = |name: &str| wanted.as_deref().is_none_or(|w| w == name);
    if wants("layers") {
        layers::clock();
        layers::breaker();
        layers::bulkhead();
        layers::limiter();
    }
    if wants("cache") {
        cache::hits();
        cache::loads();
    }
    if wants("stack") {
        stack::success();
        stack::fail_fast();
    }
}
