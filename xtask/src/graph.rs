//! Which file uses which, read from paths in the source; circles of files, and arrows to a higher layer.
//!
//! What counts as an arrow: a path (`crate::a::b`, `super::b`, `bsm_review::c`) in code that is not a test. A
//! `mod` line and a re-export in a `mod.rs` or `lib.rs` only give a name, so they do not count; who uses the name
//! uses the file behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::{layers, source};

/// Files by module path: `console::view::runs` → `src/console/view/runs.rs`.
type Modules = BTreeMap<String, String>;
/// Names that a `mod.rs` or `lib.rs` gives to items of other files, by crate and module: name → path.
type Reexports = BTreeMap<(String, String), BTreeMap<String, String>>;
/// Arrows from a file to those that it uses.
pub type Graph = BTreeMap<String, BTreeSet<String>>;

/// One line per fault; prints the graph where that is wanted.
pub fn check(root: &Path, print: bool) -> Vec<String> {
    let files = source::files(root);
    let graph = read(root, &files);
    if print {
        print_graph(&graph);
    }
    faults(&graph)
}

fn print_graph(graph: &Graph) {
    let mut parts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (file, uses) in graph {
        let from = layers::part(file);
        let to = uses.iter().map(|u| layers::part(u)).filter(|u| *u != from);
        parts.entry(from).or_default().extend(to);
    }
    println!("parts");
    for (part, uses) in parts {
        println!(
            "  {part} -> {}",
            uses.into_iter().collect::<Vec<_>>().join(" ")
        );
    }
    println!(
        "faces that use what lies behind the seam (engine::protocol should have a type of its own)"
    );
    for (file, uses) in graph {
        for used in uses.iter().filter(|u| layers::is_behind_the_seam(file, u)) {
            println!("  {file} -> {used}");
        }
    }
    println!("files");
    for (file, uses) in graph {
        println!("  {file}");
        for used in uses {
            println!("    {used}");
        }
    }
}

fn faults(graph: &Graph) -> Vec<String> {
    let mut faults = Vec::new();
    for circle in circles(graph) {
        faults.push(format!("circle of files: {}", circle.join(" ")));
    }
    for (file, uses) in graph {
        for used in uses {
            match (layers::of(file), layers::of(used)) {
                (Some((from, below)), Some((to, above))) if to > from => {
                    faults.push(format!("upward: {file} ({below}) uses {used} ({above})"));
                }
                (None, _) => faults.push(format!("{file} is in no layer")),
                _ => {}
            }
        }
    }
    faults
}

/// Reads the arrows of all files.
fn read(root: &Path, files: &[String]) -> Graph {
    let mut crates: BTreeMap<String, Modules> = BTreeMap::new();
    for file in files {
        let (name, module) = place(file);
        crates.entry(name).or_default().insert(module, file.clone());
    }
    let texts: BTreeMap<&String, String> = files
        .iter()
        .map(|f| {
            (
                f,
                source::code(&std::fs::read_to_string(root.join(f)).unwrap_or_default()),
            )
        })
        .collect();
    let names = aliases(
        texts
            .get(&"src/lib.rs".to_owned())
            .map_or("", String::as_str),
    );
    let mut source = Source {
        crates,
        reexports: Reexports::new(),
    };
    for file in files.iter().filter(|f| is_facade(f)) {
        let given = reexported(source::without_tests(&texts[file]));
        source.reexports.insert(place(file), given);
    }
    let mut graph = Graph::new();
    for file in files.iter().filter(|f| !source::is_test(f)) {
        let (name, module) = place(file);
        let code = source::without_tests(&texts[file]);
        let uses = graph.entry(file.clone()).or_default();
        for path in paths(code, is_facade(file)) {
            let path = rename(&names, path);
            let Some(used) = source.resolve(&name, &module, &path, 0) else {
                continue;
            };
            if used != *file && !source::is_test(&used) {
                uses.insert(used);
            }
        }
    }
    graph
}

/// Names that the root gives to other packages and their modules: `crate::review` → `bsm_review`.
fn aliases(root: &str) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for line in root.split(';').map(str::trim) {
        let Some(tree) = line.strip_prefix("pub use ") else {
            continue;
        };
        if let Some((path, name)) = tree.split_once(" as ") {
            names.insert(format!("crate::{name}"), path.to_owned());
            continue;
        }
        let mut paths = Vec::new();
        expand("", tree, &mut paths);
        for path in paths {
            let name = path.rsplit("::").next().unwrap_or_default();
            names.insert(format!("crate::{name}"), path.clone());
        }
    }
    names
}

/// A path with the package's own name.
fn rename(names: &BTreeMap<String, String>, path: String) -> String {
    let parts: Vec<&str> = path.splitn(3, "::").collect();
    let head = parts.iter().take(2).copied().collect::<Vec<_>>().join("::");
    match names.get(&head) {
        Some(name) => [name.as_str()]
            .into_iter()
            .chain(parts.get(2).copied())
            .collect::<Vec<_>>()
            .join("::"),
        None => path,
    }
}

/// The crate's name as code has it, and the module's path in it.
fn place(file: &str) -> (String, String) {
    let (name, inner) = match file
        .strip_prefix("crates/")
        .and_then(|f| f.split_once("/src/"))
    {
        Some((name, inner)) => (name.replace('-', "_"), inner),
        None => ("bsm".to_owned(), file.strip_prefix("src/").unwrap_or(file)),
    };
    let inner = inner.strip_suffix(".rs").unwrap_or(inner);
    let inner = inner.strip_suffix("/mod").unwrap_or(inner);
    let inner = if inner == "lib" { "" } else { inner };
    (name, inner.replace('/', "::"))
}

/// Every path of the code that may name a module: `use` trees written out, and paths inside expressions.
fn paths(code: &str, is_facade: bool) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = String::with_capacity(code.len());
    let mut pieces = code.split_inclusive(';');
    for piece in &mut pieces {
        let trimmed = piece.trim_start();
        let statement = trimmed
            .rsplit(['}', '{'])
            .next()
            .map_or(trimmed, str::trim_start);
        let is_use = |t: &str| {
            let t = t.trim_start_matches("#[");
            t.starts_with("use ") || (t.starts_with("pub") && t.contains("use "))
        };
        if is_use(trimmed) {
            let public = trimmed.starts_with("pub");
            let tree = trimmed.split_once("use ").map_or("", |(_, tree)| tree);
            if !(public && is_facade) {
                expand("", tree.trim_end_matches(';'), &mut found);
            }
        } else if is_use(statement) && !statement.starts_with("pub") {
            let tree = statement.split_once("use ").map_or("", |(_, tree)| tree);
            expand("", tree.trim_end_matches(';'), &mut found);
            rest.push_str(piece);
        } else {
            rest.push_str(piece);
        }
    }
    found.extend(inline(&rest));
    found
}

/// Writes a `use` tree out.
fn expand(before: &str, tree: &str, found: &mut Vec<String>) {
    let tree = tree.trim();
    match tree.split_once('{') {
        Some((head, inner)) => {
            let inner = inner.strip_suffix('}').unwrap_or(inner);
            let before = format!("{before}{}", head.trim());
            let (mut depth, mut from) = (0, 0);
            for (at, c) in inner.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        expand(&before, &inner[from..at], found);
                        from = at + 1;
                    }
                    _ => {}
                }
            }
            expand(&before, &inner[from..], found);
        }
        None if !tree.is_empty() => {
            let name = tree.split(" as ").next().unwrap_or(tree).trim();
            let path = format!("{before}{name}");
            found.push(path.trim_end_matches("::self").to_owned());
        }
        None => {}
    }
}

/// Paths in expressions and types, that begin at the root or above.
fn inline(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    for (at, _) in code.match_indices("::") {
        let head: String = code[..at]
            .chars()
            .rev()
            .take_while(|c| is_name(*c))
            .collect();
        let head: String = head.chars().rev().collect();
        let begins_before = code[..at - head.len()].ends_with("::");
        if begins_before || head.is_empty() {
            continue;
        }
        let tail: String = code[at..]
            .chars()
            .take_while(|c| is_name(*c) || *c == ':')
            .collect();
        found.push(format!("{head}{}", tail.trim_end_matches(':')));
    }
    found
}

/// A file that gives names to its children.
fn is_facade(file: &str) -> bool {
    file.ends_with("/mod.rs") || file.ends_with("/lib.rs")
}

/// Names that a facade's `pub use` lines give.
fn reexported(code: &str) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for piece in code.split(';') {
        let statement = piece.rsplit(['}', '{']).next().unwrap_or(piece);
        let whole = if piece.trim_start().starts_with("pub") {
            piece
        } else {
            statement
        };
        let Some((head, tree)) = whole.trim_start().split_once("use ") else {
            continue;
        };
        if !head.starts_with("pub") || head.contains('=') {
            continue;
        }
        let mut paths = Vec::new();
        expand("", tree, &mut paths);
        for path in paths {
            let name = path.rsplit("::").next().unwrap_or_default().to_owned();
            names.insert(name, path);
        }
    }
    names
}

struct Source {
    crates: BTreeMap<String, Modules>,
    reexports: Reexports,
}

impl Source {
    /// The file that a path in a module leads to.
    fn resolve(&self, name: &str, module: &str, path: &str, depth: u8) -> Option<String> {
        let parts: Vec<&str> = path.split("::").map(str::trim).collect();
        let mut base: Vec<&str> = module.split("::").filter(|p| !p.is_empty()).collect();
        let (owner, mut rest) = match parts[0] {
            "crate" => {
                base.clear();
                (name, &parts[1..])
            }
            "self" => (name, &parts[1..]),
            "super" => (name, &parts[..]),
            other if self.crates.contains_key(other) && (other != name || name == "bsm") => {
                base.clear();
                (other, &parts[1..])
            }
            _ => (name, &parts[..]),
        };
        while rest.first() == Some(&"super") {
            base.pop();
            rest = &rest[1..];
        }
        let modules = self.crates.get(owner)?;
        let relative = !matches!(parts[0], "crate" | "self" | "super") && owner == name;
        let mut at = base.join("::");
        let mut used = 0;
        for part in rest {
            let next = if at.is_empty() {
                (*part).to_owned()
            } else {
                format!("{at}::{part}")
            };
            if !modules.contains_key(&next) {
                break;
            }
            at = next;
            used += 1;
        }
        // A name without a module in it is a local one.
        if relative && used == 0 {
            return None;
        }
        let given = self.reexports.get(&(owner.to_owned(), at.clone()));
        if let Some(path) = rest.get(used).and_then(|item| given?.get(*item))
            && depth < 4
            && let Some(file) = self.resolve(owner, &at, path, depth + 1)
        {
            return Some(file);
        }
        modules.get(&at).cloned()
    }
}

/// Groups of files that use each other, directly or not.
fn circles(graph: &Graph) -> Vec<Vec<String>> {
    let mut state = Tarjan {
        graph,
        number: BTreeMap::new(),
        low: BTreeMap::new(),
        stack: Vec::new(),
        found: Vec::new(),
    };
    for file in graph.keys() {
        if !state.number.contains_key(file.as_str()) {
            state.visit(file);
        }
    }
    state.found
}

struct Tarjan<'a> {
    graph: &'a Graph,
    number: BTreeMap<&'a str, usize>,
    low: BTreeMap<&'a str, usize>,
    stack: Vec<&'a str>,
    found: Vec<Vec<String>>,
}

impl<'a> Tarjan<'a> {
    fn visit(&mut self, file: &'a str) {
        let number = self.number.len();
        self.number.insert(file, number);
        self.low.insert(file, number);
        self.stack.push(file);
        for used in self.graph.get(file).into_iter().flatten() {
            if !self.number.contains_key(used.as_str()) {
                self.visit(used);
                let low = self.low[used.as_str()].min(self.low[file]);
                self.low.insert(file, low);
            } else if self.stack.contains(&used.as_str()) {
                let low = self.number[used.as_str()].min(self.low[file]);
                self.low.insert(file, low);
            }
        }
        if self.low[file] == number {
            let from = self.stack.iter().position(|f| *f == file).unwrap_or(0);
            let circle = self.stack.split_off(from);
            if circle.len() > 1 {
                let mut circle: Vec<String> = circle.into_iter().map(str::to_owned).collect();
                circle.sort();
                self.found.push(circle);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(arrows: &[(&str, &str)]) -> Graph {
        let mut graph = Graph::new();
        for (from, to) in arrows {
            graph
                .entry((*from).into())
                .or_default()
                .insert((*to).into());
            graph.entry((*to).into()).or_default();
        }
        graph
    }

    #[test]
    fn faults_circle_and_upward_arrow_are_found() {
        let circle = graph(&[
            ("src/journal/a.rs", "src/journal/b.rs"),
            ("src/journal/b.rs", "src/journal/a.rs"),
        ]);
        assert!(faults(&circle)[0].starts_with("circle"));
        let upward = graph(&[("src/journal/a.rs", "src/engine/b.rs")]);
        assert!(faults(&upward)[0].starts_with("upward"));
        assert!(layers::is_behind_the_seam(
            "src/console/a.rs",
            "src/journal/b.rs"
        ));
        assert!(!layers::is_behind_the_seam(
            "src/console/a.rs",
            "src/engine/protocol/query.rs"
        ));
    }

    #[test]
    fn paths_use_trees_and_expressions_are_written_out() {
        let code = "use crate::a::{self, b::{C, D as E}};\npub use f::G;\nfn x() { super::h::i(); Self::y() }";
        let found = paths(code, true);
        for path in [
            "crate::a",
            "crate::a::b::C",
            "crate::a::b::D",
            "super::h::i",
        ] {
            assert!(found.iter().any(|p| p == path), "{path} in {found:?}");
        }
        assert!(
            !found.iter().any(|p| p == "f::G"),
            "a re-export of a facade"
        );
    }
}
