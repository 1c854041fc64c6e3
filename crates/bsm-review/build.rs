//! Reads the files of the built-in rule packs and writes them as one JSON text, for `src/packs.rs`. Adds to each pattern
//! for paths the words of which every match holds one.

#[path = "src/rule_toml.rs"]
mod rule_toml;

use std::error::Error;
use std::path::Path;
use std::{env, fs};

use regex_syntax::ParserBuilder;
use regex_syntax::hir::literal::{ExtractKind, Extractor};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let rules = Path::new("rules");
    println!("cargo::rerun-if-changed=rules");
    println!("cargo::rerun-if-changed=src/rule_toml.rs");
    let list = rule_toml::table(&fs::read_to_string(rules.join("packs.toml"))?)?;
    let list = serde_json::to_value(list)?;
    let mut packs = Vec::new();
    for pack in list["packs"].as_array().into_iter().flatten() {
        let (mut allowlists, mut of_pack) = (Vec::new(), Vec::new());
        for name in pack["files"].as_array().into_iter().flatten() {
            let name = name.as_str().ok_or("a file's name is no text")?;
            let text = fs::read_to_string(rules.join(name)).map_err(|e| format!("{name}: {e}"))?;
            let table = rule_toml::table(&text).map_err(|e| format!("{name}: {e}"))?;
            let mut file = serde_json::to_value(table)?;
            match file["allowlists"].take() {
                Value::Null => {}
                Value::Array(more) => allowlists.extend(more),
                one => allowlists.push(one),
            }
            if let one @ Value::Object(_) = file["allowlist"].take() {
                allowlists.push(one);
            }
            let rules = file["rules"].take();
            let Value::Array(mut rules) = rules else {
                return Err(format!("{name}: no rules").into());
            };
            for rule in &mut rules {
                if let Some(path) = rule["path"].as_str() {
                    rule["pathwords"] = json!(path_words(path));
                }
                rule.get_mut("allowlist").map(add_path_words);
                let lists = rule.get_mut("allowlists").and_then(Value::as_array_mut);
                lists.into_iter().flatten().for_each(add_path_words);
            }
            of_pack.extend(rules);
        }
        allowlists.iter_mut().for_each(add_path_words);
        packs.push(json!({
            "name": pack["name"],
            "secrets": pack["secrets"],
            "allowlists": allowlists,
            "rules": of_pack,
        }));
    }
    let out = Path::new(&env::var("OUT_DIR")?).join("packs.json");
    Ok(fs::write(out, serde_json::to_string(&packs)?)?)
}

fn add_path_words(list: &mut Value) {
    let paths = list.get("paths").and_then(Value::as_array);
    let words = paths.map(|paths| {
        let paths = paths.iter().filter_map(Value::as_str);
        paths.map(path_words).collect::<Vec<_>>()
    });
    if let Some(words) = words {
        list["pathwords"] = json!(words);
    }
}

/// Words in lower case of which every path holds one that the pattern matches; none: they are not known.
fn path_words(pattern: &str) -> Vec<String> {
    /// Bytes of the shortest word that is worth a look.
    const SHORTEST: usize = 3;
    // Words are looked for in lower case anyway, and each letter in two cases would be too many words.
    let pattern = pattern.replace("(?i)", "");
    let mut parser = ParserBuilder::new().unicode(false).utf8(false).build();
    let Ok(hir) = parser.parse(&pattern) else {
        return Vec::new();
    };
    let found = [ExtractKind::Suffix, ExtractKind::Prefix].map(|kind| {
        let found = Extractor::new().kind(kind).extract(&hir);
        let words = found.literals()?.iter().map(|literal| {
            let word = str::from_utf8(literal.as_bytes()).ok()?;
            (word.len() >= SHORTEST).then(|| word.to_ascii_lowercase())
        });
        words.collect::<Option<Vec<String>>>()
    });
    let words = found.into_iter().flatten().next();
    let mut words = words.unwrap_or_default();
    words.sort_unstable();
    words.dedup();
    words
}
