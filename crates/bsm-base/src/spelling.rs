//! Words that are almost another word: typing errors, and names that are made to be mistaken.

/// Whether one letter more, less or other, or two neighbours exchanged, makes one of the other.
pub fn is_one_edit_away(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let same = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[same..], &b[same..]);
    let ends = a
        .iter()
        .rev()
        .zip(b.iter().rev())
        .take_while(|(x, y)| x == y)
        .count();
    let (a, b) = (&a[..a.len() - ends], &b[..b.len() - ends]);
    match (a, b) {
        ([_], [] | [_]) | ([], [_]) => true,
        ([first, second], [one, two]) => first == two && second == one,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_edit_makes_one_word_of_the_other() {
        for (a, b) in [
            ("token", "tokn"),
            ("token", "tokens"),
            ("token", "tokne"),
            ("token", "taken"),
        ] {
            assert!(is_one_edit_away(a, b) && is_one_edit_away(b, a), "{a} {b}");
        }
        for (a, b) in [("token", "token"), ("token", "tone"), ("token", "kotne")] {
            assert!(!is_one_edit_away(a, b), "{a} {b}");
        }
    }
}
