//! Versions and checksums as lock files write them: which is older, which is another.

/// `1.2.3`, `v1.2`, `^1.0.0-rc.1`: one version, no range of several.
pub(super) fn is_single(text: &str) -> bool {
    numbers(text).is_some_and(|(numbers, _)| numbers.len() > 1)
}

/// True when both are single versions and `new` comes before `old`. A shorter one (`1` beside `1.0.200`) is no
/// older one.
pub(super) fn is_older(new: &str, old: &str) -> bool {
    let (Some((new, new_pre)), Some((old, old_pre))) = (numbers(new), numbers(old)) else {
        return false;
    };
    let length = new.len().min(old.len());
    match new[..length].cmp(&old[..length]) {
        std::cmp::Ordering::Less => true,
        std::cmp::Ordering::Greater => false,
        std::cmp::Ordering::Equal => new.len() == old.len() && new_pre && !old_pre,
    }
}

/// Numbers of a single version, and whether it comes before its release.
fn numbers(text: &str) -> Option<(Vec<u64>, bool)> {
    let text = text.trim().trim_end_matches('\\').trim();
    let text = text.trim_start_matches(['v', '^', '~', '=']).trim();
    let text = text.split('(').next().unwrap_or(text).trim();
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (release, rest) = text.split_at(end);
    let numbers = release
        .split('.')
        .map(|part| part.parse::<u64>().ok())
        .collect::<Option<Vec<_>>>()?;
    Some((numbers, rest.starts_with('-')))
}

/// Two checksums of the same kind that differ. One of another kind (`sha1-`, `sha512-`, another prefix of a
/// cache's version) cannot be compared.
pub(super) fn is_other_checksum(a: &str, b: &str) -> bool {
    fn parts(text: &str) -> (&str, &str) {
        let at = text
            .find(['-', ':'])
            .or_else(|| text.find('/').filter(|at| *at < 8));
        at.map_or(("", text), |at| (&text[..at], &text[at + 1..]))
    }
    let ((kind_a, sum_a), (kind_b, sum_b)) = (parts(a), parts(b));
    kind_a == kind_b && sum_a.len() == sum_b.len() && sum_a != sum_b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_is_told_by_numbers_and_only_between_single_versions() {
        for (new, old) in [
            ("1.9.9", "1.10.0"),
            ("^1.0.0", "^2.0.0"),
            ("1.0.0-rc.1", "1.0.0"),
            ("3.0.1 \\", "3.0.3 \\"),
        ] {
            assert!(is_older(new, old), "{new} {old}");
        }
        for (new, old) in [
            ("1.10.0", "1.9.9"),
            ("1", "1.0.200"),
            (">=3.6", ">=3.6.0"),
            ("^0.4.0 || ^0.5.0", "^0.4.0"),
            ("3.0.0 \\", "3.0.0"),
            ("*", "1.0"),
        ] {
            assert!(!is_older(new, old), "{new} {old}");
        }
    }

    #[test]
    fn checksums_of_one_kind_are_compared() {
        assert!(is_other_checksum("sha512-aaaa", "sha512-bbbb"));
        assert!(!is_other_checksum("sha1-aaaa", "sha512-aaaa"));
        assert!(!is_other_checksum("10c0/aaaa", "8/bbbb"));
        assert!(is_other_checksum("10c0/aaaa", "10c0/bbbb"));
        assert!(is_other_checksum("ab12", "ab13"));
    }
}
