//! Reading Markdown: what the tests of READMEs and docs/ look at.

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use std::collections::BTreeMap;
use std::ops::Range;

/// A fenced block of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeBlock {
    /// What stands behind the fence, such as `yaml`; empty when nothing does.
    pub language: String,
    /// The code.
    pub code: String,
    /// The line the block begins at, from 1.
    pub line: usize,
}

/// A link or a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it leads, as it is written.
    pub to: String,
    /// The line it stands at, from 1.
    pub line: usize,
}

/// A heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// 1 to 6.
    pub level: u8,
    /// Its text, without marks.
    pub text: String,
    /// What a link to it says after `#`, by the rules of GitHub.
    pub anchor: String,
}

fn events(markdown: &str) -> impl Iterator<Item = (Event<'_>, Range<usize>)> {
    Parser::new_ext(markdown, Options::ENABLE_TABLES).into_offset_iter()
}

fn line(markdown: &str, offset: usize) -> usize {
    markdown[..offset].matches('\n').count() + 1
}

/// The blocks of code, in order.
pub fn code_blocks(markdown: &str) -> Vec<CodeBlock> {
    let mut blocks: Vec<CodeBlock> = Vec::new();
    let mut inside = false;
    for (event, place) in events(markdown) {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                let line = line(markdown, place.start);
                blocks.push(CodeBlock { language: language.into_string(), code: String::new(), line });
                inside = true;
            }
            Event::End(TagEnd::CodeBlock) => inside = false,
            Event::Text(text) if inside => blocks.iter_mut().last().into_iter().for_each(|block| block.code += &text),
            _ => {}
        }
    }
    blocks
}

/// The links, in order.
pub fn links(markdown: &str) -> Vec<Link> {
    let link = |(event, place): (Event<'_>, Range<usize>)| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
            Some(Link { to: dest_url.into_string(), line: line(markdown, place.start) })
        }
        _ => None,
    };
    events(markdown).filter_map(link).collect()
}

/// The headings, in order.
pub fn headings(markdown: &str) -> Vec<Heading> {
    let mut headings: Vec<Heading> = Vec::new();
    let mut current: Option<(HeadingLevel, String)> = None;
    let mut used: BTreeMap<String, usize> = BTreeMap::new();
    for (event, _) in events(markdown) {
        match (event, &mut current) {
            (Event::Start(Tag::Heading { level, .. }), _) => current = Some((level, String::new())),
            (Event::Text(text) | Event::Code(text), Some((_, heading))) => heading.push_str(&text),
            (Event::End(TagEnd::Heading(_)), current) => {
                let Some((level, text)) = current.take() else { continue };
                let slug = slug(&text);
                let before = used.entry(slug.clone()).or_default();
                let anchor = if *before == 0 { slug } else { format!("{slug}-{before}") };
                *before += 1;
                headings.push(Heading { level: level as u8, text, anchor });
            }
            _ => {}
        }
    }
    headings
}

fn slug(text: &str) -> String {
    let kept = |c: char| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
        _ => None,
    };
    text.trim().to_lowercase().chars().filter_map(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# One, `two`\n\n[a](b.md#c) and\n![p](q.png)\n\n```yaml\na: 1\n\nb: 2\n```\n\n## One two\n\n    \
                        indented\n\n## One two\n\n```\n# no heading [x](y)\n```\n";

    #[test]
    fn blocks_links_and_headings_are_found_where_they_are() {
        let block = |language: &str, code: &str, line| CodeBlock { language: language.into(), code: code.into(), line };
        assert_eq!(code_blocks(PAGE), [block("yaml", "a: 1\n\nb: 2\n", 6), block("", "# no heading [x](y)\n", 18)]);
        let link = |to: &str, line| Link { to: to.into(), line };
        assert_eq!(links(PAGE), [link("b.md#c", 3), link("q.png", 4)]);
        let anchors: Vec<_> = headings(PAGE).into_iter().map(|heading| (heading.level, heading.anchor)).collect();
        assert_eq!(anchors, [(1, "one-two".to_owned()), (2, "one-two-1".to_owned()), (2, "one-two-2".to_owned())]);
    }
}
