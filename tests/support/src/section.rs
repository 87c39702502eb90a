//! Pages of which several commands write a section each.

use std::path::Path;

/// A section of a page.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// What marks it.
    pub name: &'static str,
    /// Who writes it.
    pub command: &'static str,
}

impl Section {
    /// Writes it into a page in the place of what stood there before, or at the end; the rest stays as it is. A page
    /// that is not there begins with this title.
    ///
    /// # Panics
    ///
    /// When the page cannot be written.
    pub fn write(&self, page: &Path, title: &str, text: &str) {
        let before = std::fs::read_to_string(page).unwrap_or_else(|_| format!("# {title}\n"));
        let after = self.put(&before, text);
        std::fs::write(page, after).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
    }

    fn put(&self, page: &str, text: &str) -> String {
        let Self { name, command } = self;
        let (begin, end) = (format!("<!-- {name}: written by {command} -->\n"), format!("<!-- {name}: end -->\n"));
        let section = format!("{begin}{}\n{end}", text.trim_end());
        match page.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1))) {
            Some((before, after)) => format!("{before}{section}{after}"),
            None => format!("{}\n\n{section}", page.trim_end()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_writes_its_own_section() {
        let (a, b) = (Section { name: "a", command: "make a" }, Section { name: "b", command: "make b" });
        let page = b.put(&a.put("# Page\n", "one\n"), "two");
        let both = "# Page\n\n<!-- a: written by make a -->\none\n<!-- a: end -->\n\n<!-- b: written by make b -->\ntwo\n\
                    <!-- b: end -->\n";
        assert_eq!(page, both);
        let again = b.put(&a.put(&page, "three"), "four");
        assert_eq!(again, both.replace("one", "three").replace("two", "four"));
    }
}
