//! Taking something out of the console: to the clipboard through the terminal, or into a private file.

use std::io;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ratatui::buffer::Buffer;

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The picture as JSON.
    Json,
    /// The list on the screen as CSV.
    Csv,
    /// The screen as text.
    Text,
}

impl Form {
    /// All of them, with what they hold.
    pub const ALL: [(Self, &'static str); 3] = [
        (Self::Text, "the screen as text"),
        (Self::Csv, "the list on the screen as CSV"),
        (Self::Json, "the whole picture as JSON"),
    ];

    fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Text => "txt",
        }
    }
}

/// Longest text handed to a clipboard; many terminals take no more.
const CLIPBOARD_MOST: usize = 64 << 10;

/// The sequence that asks a terminal to take `text` into its clipboard (OSC 52).
pub fn clipboard(text: &str) -> Vec<u8> {
    let mut end = text.len().min(CLIPBOARD_MOST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("\x1b]52;c;{}\x07", STANDARD.encode(&text[..end])).into_bytes()
}

/// One field of CSV: quoted where needed, and never a formula to a spreadsheet.
fn field(text: &str) -> String {
    let text = crate::text::clean_line(text, 500);
    let text = if text.starts_with(['=', '+', '-', '@']) {
        format!("'{text}")
    } else {
        text
    };
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

/// A table as CSV.
pub fn csv(table: &[Vec<String>]) -> String {
    let mut out = String::new();
    for row in table {
        let fields: Vec<String> = row.iter().map(|f| field(f)).collect();
        out.push_str(&fields.join(","));
        out.push('\n');
    }
    out
}

/// A drawn screen as lines of text.
pub fn text(buffer: &Buffer) -> String {
    let area = buffer.area;
    let mut text = String::new();
    for y in 0..area.height {
        let mut line = String::new();
        let mut x = 0;
        while x < area.width {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            x += unicode_width::UnicodeWidthStr::width(symbol).max(1) as u16;
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Writes an export into `folder`, readable by its owner alone; its path.
///
/// # Errors
/// What the system said.
pub fn write(
    folder: &std::path::Path,
    form: Form,
    text: &str,
    wall_ms: i64,
) -> io::Result<PathBuf> {
    use std::io::Write as _;
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let at = jiff::Timestamp::from_millisecond(wall_ms).unwrap_or_default();
    let name = format!(
        "bsm-{}.{}",
        at.strftime("%Y%m%dT%H%M%S%.3fZ"),
        form.extension()
    );
    let path = folder.join(name);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    file.write_all(text.as_bytes())?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clipboard_gets_no_more_than_it_takes_and_no_half_character() {
        let sent = clipboard(&"ä".repeat(CLIPBOARD_MOST));
        assert!(sent.starts_with(b"\x1b]52;c;") && sent.ends_with(b"\x07"));
        let body = STANDARD.decode(&sent[7..sent.len() - 1]).unwrap();
        assert!(body.len() <= CLIPBOARD_MOST && String::from_utf8(body).is_ok());
    }

    #[test]
    fn csv_fields_are_quoted_and_are_no_formulas() {
        assert_eq!(field("a,b"), "\"a,b\"");
        assert_eq!(field("say \"x\""), "\"say \"\"x\"\"\"");
        assert_eq!(field("=HYPERLINK(1)"), "'=HYPERLINK(1)");
    }
}
