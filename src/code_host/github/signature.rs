//! Whose webhook it is: an HMAC over the bytes as they came, compared in constant time.
//!
//! Why the raw bytes: JSON that is read and written again is another text, and its signature another one.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// `sha256=<hex>` of a body, as GitHub sends it in `X-Hub-Signature-256`.
pub fn sign(secret: &str, body: &[u8]) -> String {
    let tag = tag(secret, body).finalize().into_bytes();
    format!("sha256={}", crate::state::hex(&tag))
}

/// Whether one of the secrets made this signature. An empty secret makes none.
pub fn verify(secrets: &[String], body: &[u8], signature: &[u8]) -> bool {
    let Some(claimed) = signature.strip_prefix(b"sha256=").and_then(unhex) else {
        return false;
    };
    // Each of them is tried, so that the time does not tell which one it was.
    let mut good = false;
    for secret in secrets.iter().filter(|s| !s.is_empty()) {
        good |= tag(secret, body).verify_slice(&claimed).is_ok();
    }
    good
}

fn tag(secret: &str, body: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "an HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(body);
    mac
}

/// Lower-case hex of 32 bytes; anything else is no signature.
fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    if text.len() != 64 {
        return None;
    }
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    text.chunks_exact(2)
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of GitHub's own documentation.
    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const SIGNATURE: &str =
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    #[test]
    fn the_published_example_and_nothing_near_it() {
        let secrets = vec![SECRET.to_owned()];
        assert_eq!(sign(SECRET, BODY), SIGNATURE);
        assert!(verify(&secrets, BODY, SIGNATURE.as_bytes()));
        assert!(!verify(&secrets, b"Hello, World", SIGNATURE.as_bytes()));
        let upper = SIGNATURE.to_ascii_uppercase();
        let digits = upper.replace("SHA256=", "sha256=");
        for bad in [
            "",
            "sha256=",
            upper.as_str(),
            digits.as_str(),
            "sha1=757107ea0eb2509fc211221cce984b8a37570b6d",
            &SIGNATURE[7..],
            &SIGNATURE[..70],
            "sha256=\u{661}57107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e1",
        ] {
            assert!(!verify(&secrets, BODY, bad.as_bytes()), "{bad}");
        }
        assert!(!verify(&secrets, BODY, &[0xff; 71]));
    }

    #[test]
    fn two_secrets_while_one_takes_the_others_place_and_never_an_empty_one() {
        let secrets = vec!["the next one".to_owned(), SECRET.to_owned()];
        assert!(verify(&secrets, BODY, SIGNATURE.as_bytes()));
        assert!(verify(
            &secrets,
            BODY,
            sign("the next one", BODY).as_bytes()
        ));
        let empty = sign("", BODY);
        assert!(!verify(&[String::new()], BODY, empty.as_bytes()));
        assert!(!verify(&[], BODY, empty.as_bytes()));
    }
}
