//! Reading files of sections and `name = value` lines: git, npm, pip and curl differ in details without weight.

/// One line of such a file.
pub(super) struct Setting {
    /// As written between the brackets, such as `http "https://example.com"`; empty before the first section.
    section: String,
    /// In lower case.
    pub(super) name: String,
    /// Without quotes around it.
    pub(super) value: String,
}

impl Setting {
    /// The first word of the section, in lower case.
    pub(super) fn section_kind(&self) -> &str {
        self.section.split([' ', '\t', '.']).next().unwrap_or("")
    }

    /// The setting's whole name as git writes it: `http.proxy`, `http.https://example.com.proxy`. User information is
    /// left out.
    pub(super) fn dotted(&self) -> String {
        match self.section.split_once('"') {
            Some((kind, rest)) => {
                let address = rest.trim_end_matches('"');
                let shown = match (address.split_once("://"), address.rsplit_once('@')) {
                    (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
                    _ => address.to_owned(),
                };
                format!("{}.{shown}.{}", kind.trim(), self.name)
            }
            None => format!("{}.{}", self.section, self.name),
        }
    }
}

/// The settings of a text, in order. curl's form without `=` is read too.
pub(super) fn settings(text: &str) -> Vec<Setting> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some((name, rest)) = line.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            let (kind, detail) = name.split_at(name.find(['"', ' ', '\t']).unwrap_or(name.len()));
            section = format!("{}{detail}", kind.to_ascii_lowercase());
            push(&section, rest.trim(), &mut found); // git allows a setting on the section's line
            continue;
        }
        push(&section, line, &mut found);
    }
    found
}

fn push(section: &str, line: &str, found: &mut Vec<Setting>) {
    let end = line.find(['=', ' ', '\t', ':']).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    if !name.is_empty() {
        let value = rest.trim_start_matches(['=', ' ', '\t', ':']).trim().trim_matches('"');
        let name = name.to_ascii_lowercase();
        found.push(Setting { section: section.to_owned(), name, value: value.to_owned() });
    }
}
