//! Whether the model that an answer names is the one that was asked.
//!
//! Why: a proxy or a local server may answer with another model than the one in the question. Its answer is
//! no evidence of what the wanted model thinks. Providers write their names differently, though: a name
//! without a version is answered with one (`gpt-4o` by `gpt-4o-2024-08-06`), and proxies put the maker before it.

/// True where both names mean the same model, as far as names can tell.
pub(super) fn is_same_model(asked: &str, answered: &str) -> bool {
    let (asked, answered) = (bare(asked), bare(answered));
    if asked == answered {
        return true;
    }
    let (asked_base, answered_base) = (without_version(&asked), without_version(&answered));
    if asked_base != answered_base {
        return false;
    }
    // A version that was asked for may be left out, but not be another one.
    asked_base == asked || is_moving(&asked) || answered_base == answered
}

/// In lower case, without its maker, and without a tag that names how it is served.
fn bare(name: &str) -> String {
    let name = name.trim().to_lowercase();
    let name = name.rsplit('/').next().unwrap_or_default();
    let name = ["latest", "free", "nitro", "floor", "online"]
        .iter()
        .find_map(|tag| name.strip_suffix(tag)?.strip_suffix(':'))
        .unwrap_or(name);
    name.replace('@', "-")
}

/// A name whose version the provider chooses.
fn is_moving(name: &str) -> bool {
    name.ends_with("-latest") || name.ends_with("-0")
}

/// Without what says only which version of a model it is: dates, `latest`, numbers of three digits and more.
fn without_version(name: &str) -> &str {
    let mut base = name;
    while let Some((before, last)) = base.rsplit_once('-') {
        let digits = last.bytes().all(|b| b.is_ascii_digit());
        let dated = digits && (last.len() >= 3 || ends_in_year(before) || last == "0");
        if !dated && last != "latest" {
            break;
        }
        base = before;
    }
    base
}

/// `…-2024` or `…-2024-08`, after which two digits are part of a date.
fn ends_in_year(text: &str) -> bool {
    let mut parts = text.rsplit('-');
    let year = |part: Option<&str>| {
        part.is_some_and(|p| {
            p.len() == 4 && p.starts_with("20") && p.bytes().all(|b| b.is_ascii_digit())
        })
    };
    year(parts.next()) || year(parts.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_model_under_the_names_that_providers_give_it_is_known() {
        for (asked, answered) in [
            ("gpt-4o", "gpt-4o-2024-08-06"),
            ("openai/gpt-4o", "gpt-4o-2024-08-06"),
            ("gpt-4", "gpt-4-0613"),
            ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022"),
            ("claude-sonnet-4-0", "claude-sonnet-4-20250514"),
            ("mistral-large-latest", "mistral-large-2411"),
            ("GPT-4o", "gpt-4o"),
            ("llama3", "llama3:latest"),
            ("meta/llama-3:free", "meta/llama-3"),
            ("gemini-1.5-pro", "gemini-1.5-pro-002"),
            ("gpt-4o-2024-08-06", "gpt-4o"),
            ("claude-3-opus@20240229", "claude-3-opus-20240229"),
        ] {
            assert!(is_same_model(asked, answered), "{asked} {answered}");
        }
    }

    #[test]
    fn other_model_size_or_version_is_another() {
        for (asked, answered) in [
            ("gpt-4o", "gpt-4o-mini"),
            ("gpt-4o-mini", "gpt-4o"),
            ("gpt-4", "gpt-4-turbo-2024-04-09"),
            ("gpt-4o-2024-08-06", "gpt-4o-2024-05-13"),
            ("claude-3-opus-latest", "claude-3-haiku-20240307"),
            ("llama3:70b", "llama3:8b"),
            ("qwen-72", "qwen-7"),
            ("m", "tiny-evil-1b"),
            ("m", ""),
        ] {
            assert!(!is_same_model(asked, answered), "{asked} {answered}");
        }
    }
}
