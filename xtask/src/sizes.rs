//! Functions above 100 lines and files above 500: too long to be read at once. Data tables are no functions.

use std::path::Path;

use crate::source;

/// Most lines of a function, its signature included.
const FUNCTION: usize = 100;
/// Most lines of a file.
const FILE: usize = 500;

/// One line per fault.
pub fn check(root: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    for file in source::files(root) {
        let text = std::fs::read_to_string(root.join(&file)).unwrap_or_default();
        let lines = text.lines().count();
        if lines > FILE {
            faults.push(format!("{file}: {lines} lines, at most {FILE}"));
        }
        if source::is_test(&file) {
            continue;
        }
        for (name, line, length) in functions(&source::code(&text)) {
            if length > FUNCTION {
                faults.push(format!(
                    "{file}:{line}: fn {name} has {length} lines, at most {FUNCTION}"
                ));
            }
        }
    }
    faults
}

/// Name, first line and number of lines of each function with a body.
fn functions(code: &str) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    let bytes = code.as_bytes();
    for (at, _) in code.match_indices("fn ") {
        if at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_') {
            continue;
        }
        let name: String = code[at + 3..]
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        if name.is_empty() {
            continue;
        }
        let (mut depth, mut end) = (0i32, None);
        for (n, byte) in bytes.iter().enumerate().skip(at) {
            match byte {
                b';' if depth == 0
                    && code[at..n].matches('[').count() == code[at..n].matches(']').count() =>
                {
                    break;
                }
                b'{' => depth += 1,
                b'}' => {
                    depth -= 1;
                    if depth == 0 {
                        end = Some(n);
                        break;
                    }
                }
                _ => {}
            }
        }
        if let Some(end) = end {
            let first = code[..at].matches('\n').count() + 1;
            found.push((name, first, code[at..end].matches('\n').count() + 1));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_measured_from_signature_to_brace() {
        let code = "trait T {\n    fn none(&self) -> [u8; 3];\n}\nfn one(\n    a: u8,\n) {\n    if a { }\n}\n";
        assert_eq!(functions(code), [("one".to_owned(), 4, 5)]);
    }
}
