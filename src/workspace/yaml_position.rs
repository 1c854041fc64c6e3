//! Where in a YAML file something stands, for messages about what parses but is wrong.
//!
//! Why by text: the parser gives places for syntax only. The search follows list items and keys by
//! indentation; where it cannot follow, it names the line of what encloses it.

/// Line and column, both from 1.
pub type Place = Option<(u32, u32)>;

/// The place of the `index`-th item of the list under the top-level key `list`, and in it of `key`
/// (dotted for nested ones).
pub fn in_item(text: &str, list: &str, index: usize, key: &str) -> Place {
    let lines: Vec<&str> = text.lines().collect();
    let top = lines
        .iter()
        .position(|l| l.trim_end() == format!("{list}:") || l.starts_with(&format!("{list}: ")))?;
    let mut items = lines
        .iter()
        .enumerate()
        .skip(top + 1)
        .filter(|(_, l)| l.trim_start().starts_with("- "));
    let indent = items.clone().next().map(|(_, l)| indent(l))?;
    let mut starts = items
        .by_ref()
        .filter(|(_, l)| self::indent(l) == indent)
        .map(|(at, _)| at);
    let start = starts.nth(index)?;
    let end = starts.next().unwrap_or(lines.len());
    Some(key_in(&lines, start, end, key).unwrap_or((number(start), indent as u32 + 1)))
}

/// The place of a dotted key anywhere in the file (first match of each part after the one before).
pub fn key(text: &str, key: &str) -> Place {
    let lines: Vec<&str> = text.lines().collect();
    key_in(&lines, 0, lines.len(), key)
}

fn key_in(lines: &[&str], start: usize, end: usize, key: &str) -> Place {
    let mut from = start;
    let mut found = None;
    for part in key.split('.') {
        let hit = (from..end).find_map(|at| column_of(lines[at], part).map(|column| (at, column)));
        let Some((at, column)) = hit else { break };
        found = Some((number(at), column));
        from = at;
    }
    found
}

/// The column of `key:` in a line, in block or flow style.
fn column_of(line: &str, key: &str) -> Option<u32> {
    let mut from = 0;
    while let Some(at) = line.get(from..)?.find(key).map(|at| at + from) {
        let before = line[..at].chars().next_back();
        let after = &line[at + key.len()..];
        let starts = before.is_none_or(|c| matches!(c, ' ' | '{' | ',' | '"' | '\'' | '-'));
        if starts && after.trim_start_matches(['"', '\'']).starts_with(':') {
            return Some(line[..at].chars().count() as u32 + 1);
        }
        from = at + key.len();
    }
    None
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn number(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "version: \"1.0\"\nagents:\n  - id: a\n    risk: {level: low}\n  - id: b\n    risk:\n      level: odd\n    contexts:\n      allowed:\n        - chat\n";

    #[test]
    fn finds_keys_in_block_and_flow_style() {
        assert_eq!(in_item(TEXT, "agents", 0, "risk.level"), Some((4, 12)));
        assert_eq!(in_item(TEXT, "agents", 1, "risk.level"), Some((7, 7)));
        assert_eq!(in_item(TEXT, "agents", 1, "nothing"), Some((5, 3)));
        assert_eq!(in_item(TEXT, "agents", 2, "id"), None);
        assert_eq!(key(TEXT, "version"), Some((1, 1)));
    }
}
