//! Columns for people: as wide as their widest cell, nothing that a terminal obeys.

use super::sanitize;

/// Rows under a heading; cells are sanitized here and nowhere before.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(heading: &[&str]) -> Self {
        Self { rows: vec![heading.iter().map(|cell| cell.to_uppercase()).collect()] }
    }

    /// Adds a row; an empty cell becomes a dash.
    pub(super) fn row<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = T>) {
        let shown = |cell: T| match cell.as_ref() {
            "" => "-".to_owned(),
            text => sanitize::line(text),
        };
        self.rows.push(cells.into_iter().map(shown).collect());
    }

    /// The text, or a sentence when there are no rows.
    pub(super) fn render(&self, nothing: &str) -> String {
        if self.rows.len() < 2 {
            return format!("{nothing}\n");
        }
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Lines of `key: value`, aligned.
pub(super) fn pairs<'a>(lines: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let lines: Vec<_> = lines.into_iter().collect();
    let width = lines.iter().map(|(key, _)| key.len()).max().unwrap_or(0) + 1;
    lines.iter().fold(String::new(), |text, (key, value)| {
        text + &format!("{:width$} {}\n", format!("{key}:"), sanitize::line(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["name", "leases"]);
        table.row(["schlüssel", "2"]);
        table.row(["b\u{1b}", ""]);
        assert_eq!(table.render("none"), "NAME       LEASES\nschlüssel  2\nb\\u{1b}    -\n");
        assert_eq!(Table::new(&["name"]).render("no secrets"), "no secrets\n");
    }

    #[test]
    fn pairs_are_aligned() {
        assert_eq!(pairs([("a", "1".to_owned()), ("long", "2".to_owned())]), "a:    1\nlong: 2\n");
    }
}
