//! Whether a file is a whole image and nothing else, by its structure: PNG, JPEG, GIF, WebP.
//!
//! Why: under `review.assets: allow` an image counts as reviewed. What carries something behind its end, or
//! is no image, does not. The pixels are not decoded; every length and every end is checked.

/// Largest image that is looked at, bytes.
pub const LARGEST: u64 = 16 << 20;

/// A path that an image has.
pub fn is_named_image(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    [".png", ".jpg", ".jpeg", ".gif", ".webp"]
        .iter()
        .any(|end| lower.ends_with(end))
}

/// The bytes are one image from the first to the last.
pub fn is_whole_image(bytes: &[u8]) -> bool {
    png(bytes)
        .or_else(|| jpeg(bytes))
        .or_else(|| gif(bytes))
        .or_else(|| webp(bytes))
        == Some(true)
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let four: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(four)).ok()
}

/// `None`: no PNG at all.
fn png(bytes: &[u8]) -> Option<bool> {
    let mut at = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n").map(|_| 8)?;
    let mut first = true;
    loop {
        let chunk = (|| {
            let length = number(bytes, at)?;
            let kind = bytes.get(at + 4..at + 8)?;
            let end = at.checked_add(12)?.checked_add(length)?;
            let checked = bytes.get(at + 4..end - 4)?;
            let sum = number(bytes, end - 4)?;
            (crc32(checked) as usize == sum).then_some((kind, end))
        })();
        let Some((kind, end)) = chunk else {
            return Some(false);
        };
        if first && kind != b"IHDR" {
            return Some(false);
        }
        first = false;
        at = end;
        if kind == b"IEND" {
            return Some(at == bytes.len());
        }
    }
}

/// The checksum of a PNG's chunks (ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn jpeg(bytes: &[u8]) -> Option<bool> {
    bytes.strip_prefix(&[0xFF, 0xD8, 0xFF])?;
    let mut at = 2;
    let mut scanned = false;
    while let Some([0xFF, marker]) = bytes.get(at..at + 2) {
        match marker {
            0xD9 => return Some(scanned && at + 2 == bytes.len()),
            0xFF => at += 1,
            0x01 | 0xD0..=0xD7 => at += 2,
            _ => {
                let Some(length) = bytes.get(at + 2..at + 4) else {
                    return Some(false);
                };
                let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
                if length < 2 || at + 2 + length > bytes.len() {
                    return Some(false);
                }
                at += 2 + length;
                if *marker == 0xDA {
                    scanned = true;
                    // Coded data up to the next marker; FF 00 and restarts belong to it.
                    while at + 1 < bytes.len()
                        && (bytes[at] != 0xFF || matches!(bytes[at + 1], 0 | 0xD0..=0xD7))
                    {
                        at += 1;
                    }
                }
            }
        }
    }
    Some(false)
}

fn gif(bytes: &[u8]) -> Option<bool> {
    if !(bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a")) {
        return None;
    }
    let table = |flags: u8| {
        if flags & 0x80 == 0 {
            0
        } else {
            3usize << ((flags & 7) + 1)
        }
    };
    let Some(flags) = bytes.get(10) else {
        return Some(false);
    };
    let mut at = 13 + table(*flags);
    let blocks = |mut at: usize| {
        loop {
            match bytes.get(at)? {
                0 => return Some(at + 1),
                length => at += 1 + usize::from(*length),
            }
        }
    };
    loop {
        let next = match bytes.get(at) {
            Some(0x3B) => return Some(at + 1 == bytes.len()),
            Some(0x21) => blocks(at + 2),
            Some(0x2C) => bytes
                .get(at + 9)
                .and_then(|flags| blocks(at + 10 + table(*flags) + 1)),
            _ => None,
        };
        match next {
            Some(next) => at = next,
            None => return Some(false),
        }
    }
}

fn webp(bytes: &[u8]) -> Option<bool> {
    bytes.strip_prefix(b"RIFF")?;
    if bytes.get(8..12) != Some(b"WEBP") {
        return None;
    }
    let little = |at: usize| -> Option<usize> {
        let four: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(four)).ok()
    };
    if little(4)? + 8 != bytes.len() {
        return Some(false);
    }
    let mut at = 12;
    while at < bytes.len() {
        let known = matches!(
            bytes.get(at..at + 4),
            Some(b"VP8 " | b"VP8L" | b"VP8X" | b"ALPH" | b"ANIM" | b"ANMF" | b"ICCP")
        );
        let length = little(at + 4);
        match (known, length) {
            (true, Some(length)) => at += 8 + length + length % 2,
            _ => return Some(false),
        }
    }
    Some(at == bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small_png() -> Vec<u8> {
        let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
        for (kind, data) in [
            (b"IHDR", vec![0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0]),
            (b"IDAT", vec![0x78, 0x9c, 0x63, 0, 0, 0, 1, 0, 1]),
            (b"IEND", vec![]),
        ] {
            out.extend((data.len() as u32).to_be_bytes());
            let body = [kind.as_slice(), &data].concat();
            out.extend(&body);
            out.extend(crc32(&body).to_be_bytes());
        }
        out
    }

    #[test]
    fn whole_images_are_known_and_cut_or_longer_ones_are_not() {
        let gif = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0\x3b";
        let jpeg = [
            b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0".as_slice(),
            b"\xff\xda\0\x08\x01\x01\0\0\x3f\0abc\xff\0d\xff\xd9",
        ]
        .concat();
        let webp = [b"RIFF\x10\0\0\0WEBPVP8L\x04\0\0\0".as_slice(), b"abcd"].concat();
        for image in [small_png(), gif.to_vec(), jpeg, webp] {
            assert!(is_whole_image(&image), "{image:?}");
            for cut in 1..image.len() {
                assert!(!is_whole_image(&image[..cut]), "{cut}");
            }
            assert!(!is_whole_image(&[image.as_slice(), b"#!/bin/sh"].concat()));
        }
        let mut broken = small_png();
        broken[40] ^= 1;
        assert!(!is_whole_image(&broken));
        assert!(!is_whole_image(b"#!/bin/sh") && !is_whole_image(b""));
        assert!(is_named_image("a/B.PNG") && !is_named_image("a.svg"));
    }
}
