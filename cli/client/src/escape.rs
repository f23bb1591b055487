//! Text from elsewhere, made harmless for a terminal.
//!
//! Names, messages and logs come from containers and file systems and are hostile until shown otherwise: escape
//! sequences can retitle or rewrite a terminal, and bidirectional marks can make a name read as another one.

use std::fmt::Write;

/// One line: every control character, line ends included, and every invisible or direction-changing one is escaped.
pub fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push_text(&mut out, text, false);
    out
}

/// Several lines of bytes: as [`line()`], but line ends and tabs stay, and bytes that are not UTF-8 become `\xNN`.
pub fn block(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        push_text(&mut out, chunk.valid(), true);
        for byte in chunk.invalid() {
            // Writing into a String cannot fail.
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// One line of bytes, such as a file's name.
pub fn bytes_line(bytes: &[u8]) -> String {
    block(bytes).replace('\n', "\\n").replace('\t', "\\t")
}

/// A path for an error message.
pub fn path(path: &std::path::Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    bytes_line(path.as_os_str().as_bytes())
}

fn push_text(out: &mut String, text: &str, keep_lines: bool) {
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' | '\t' if keep_lines => out.push(c),
            // A line end as DOS writes it is one line end.
            '\r' if keep_lines && chars.peek() == Some(&'\n') => {}
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_ascii_control() => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c if c.is_control() || is_invisible(c) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
}

/// Characters that draw nothing but change how what is around them is read: bidirectional controls (Unicode UAX #9),
/// zero-width ones, separators, tags and the byte-order mark.
fn is_invisible(c: char) -> bool {
    matches!(
        u32::from(c),
        0x00AD | 0x061C | 0x180E | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0xFEFF | 0xFFF9..=0xFFFB
            | 0xE0000..=0xE007F
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_in_any_script_stays_as_it_is() {
        for text in ["photo 1.jpg", "日本語.txt", "naïve – ok", "👍"] {
            assert_eq!(line(text), text);
        }
    }

    #[test]
    fn escape_sequences_of_both_control_sets_are_defused() {
        assert_eq!(line("\u{1b}[2Jx\u{7f}"), "\\x1b[2Jx\\x7f");
        assert_eq!(line("\u{9b}31m"), "\\u{9b}31m");
    }

    #[test]
    fn direction_changes_and_invisible_characters_show() {
        assert_eq!(line("a\u{202e}gpj.exe"), "a\\u{202e}gpj.exe");
        assert_eq!(line("a\u{200b}b\u{feff}"), "a\\u{200b}b\\u{feff}");
    }

    #[test]
    fn a_line_never_has_a_line_end() {
        assert_eq!(line("a\nb\r\tc"), "a\\nb\\r\\tc");
    }

    #[test]
    fn a_block_keeps_lines_and_shows_bytes_that_are_no_text() {
        assert_eq!(block(b"a\r\n\tb\rc\xff\n"), "a\n\tb\\rc\\xff\n");
    }
}
