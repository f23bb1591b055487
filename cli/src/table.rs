//! Columns for people: no lines, two blanks between.

use comfy_table::{ContentArrangement, Table, presets};
use longshore_client::escape;

/// Columns of characters where no terminal says how many it has.
const WIDTH: u16 = 80;

/// Rows under `headers`; every cell is escaped.
pub fn table<const N: usize>(headers: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(headers);
    for row in rows {
        table.add_row(row.map(|cell| escape::line(&cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// Columns in which a lot is said, on a terminal's width: the last one is wrapped, and each of its paragraphs begins a line.
pub fn wrapped<'a>(headers: [&str; 3], rows: impl IntoIterator<Item = ([&'a str; 2], Vec<String>)>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table
        .set_width(terminal_size::terminal_size().map_or(WIDTH, |(width, _)| width.0).clamp(40, 120))
        .set_header(headers);
    for (names, paragraphs) in rows {
        let paragraphs: Vec<String> = paragraphs.iter().map(|text| escape::line(text)).collect();
        let [name, word] = names.map(escape::line);
        table.add_row([name, word, paragraphs.join("\n")]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// Facts under one another: name and value.
pub fn facts(facts: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for (name, value) in facts.into_iter().filter(|(_, value)| !value.is_empty()) {
        table.add_row([format!("{name}:"), escape::line(&value)]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_cells_are_escaped() {
        let rows = [["a".to_owned(), "1".to_owned()], ["b\u{1b}\nc".to_owned(), "2".to_owned()]];
        assert_eq!(table(["NAME", "N"], rows), "NAME      N\na         1\nb\\x1b\\nc  2");
    }
}
