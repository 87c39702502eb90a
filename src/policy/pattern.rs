//! Patterns over strings: compiled once, matched often.

use std::borrow::Cow;

use regex_automata::meta;
use regex_syntax::hir::{Hir, Look, literal::Extractor};

use super::problem::{Path, Problems};
use crate::api::StringMatch;

/// The largest automaton one pattern may need, in bytes.
const SIZE_LIMIT: usize = 1 << 18;

/// A list of patterns, any of which may match.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    everything: bool,
    /// Sorted, for search by halves.
    exact: Vec<Box<str>>,
    prefixes: Vec<Box<str>>,
    automata: Vec<meta::Regex>,
    /// What every string that one of the automata matches begins with, in their order.
    stems: Vec<Box<str>>,
}

impl Patterns {
    /// Compiles a list; what does not compile is reported and left out.
    pub fn compile(list: &[StringMatch], path: &Path<'_>, problems: &mut Problems) -> Self {
        let mut patterns = Self::default();
        for (index, one) in list.iter().enumerate() {
            let (field, result) = match one {
                StringMatch::Exact(text) => {
                    patterns.exact.push(text.as_str().into());
                    continue;
                }
                StringMatch::Prefix(text) => {
                    patterns.prefixes.push(text.as_str().into());
                    continue;
                }
                StringMatch::Glob(text) => ("glob", patterns.add_glob(text)),
                StringMatch::Regex(text) => ("regex", patterns.add_regex(text)),
            };
            if let Err(message) = result {
                problems.add(&path.index(index).field(field), message);
            }
        }
        patterns.exact.sort_unstable();
        patterns
    }

    /// Whether one of the patterns matches the whole text.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.everything
            || self.exact.binary_search_by(|exact| (**exact).cmp(text)).is_ok()
            || self.prefixes.iter().any(|prefix| text.starts_with(&**prefix))
            || self.automata.iter().any(|automaton| automaton.is_match(text))
    }

    /// The texts that match exactly.
    pub fn exact(&self) -> impl Iterator<Item = &str> {
        self.exact.iter().map(|text| &**text)
    }

    /// What the other matching texts begin with: every one of them begins with one of these.
    pub fn stems(&self) -> impl Iterator<Item = &str> {
        let all = self.everything.then_some("");
        self.prefixes.iter().chain(&self.stems).map(|text| &**text).chain(all)
    }

    fn add_regex(&mut self, pattern: &str) -> Result<(), Cow<'static, str>> {
        let (automaton, stem) = regex(pattern)?;
        self.automata.push(automaton);
        self.stems.push(stem);
        Ok(())
    }

    fn add_glob(&mut self, glob: &str) -> Result<(), Cow<'static, str>> {
        let stem = &glob[..glob.find(['*', '?', '[', ']', '{', '}', '\\']).unwrap_or(glob.len())];
        match &glob[stem.len()..] {
            "" => self.exact.push(stem.into()),
            "*" if stem.is_empty() => self.everything = true,
            "*" => self.prefixes.push(stem.into()),
            _ => self.add_regex(&glob_to_regex(glob)?)?,
        }
        Ok(())
    }
}

/// Compiles a regex so that it must match the whole text, and finds what every text that it matches begins with.
///
/// The anchors are put around the parsed pattern and not around its text: `a|b` and `(?x) a # b` would escape them.
fn regex(pattern: &str) -> Result<(meta::Regex, Box<str>), Cow<'static, str>> {
    let hir = regex_syntax::Parser::new().parse(pattern).map_err(|error| {
        let (kind, at) = match &error {
            regex_syntax::Error::Parse(error) => (error.kind().to_string(), error.span().start.offset),
            regex_syntax::Error::Translate(error) => (error.kind().to_string(), error.span().start.offset),
            other => (other.to_string(), 0),
        };
        Cow::Owned(format!("does not compile: {kind}, at byte {at}; see the syntax of Rust's regex, which has no look-around and no back-references"))
    })?;
    let stem = stem(&hir);
    let anchored = Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]);
    let limits = meta::Config::new().nfa_size_limit(Some(SIZE_LIMIT)).hybrid_cache_capacity(SIZE_LIMIT);
    meta::Builder::new()
        .configure(limits)
        .build_from_hir(&anchored)
        .map(|automaton| (automaton, stem))
        .map_err(|_| Cow::Borrowed("is too large when compiled: use smaller repetitions or split it"))
}

/// What every text begins with that a pattern matches as a whole; maybe nothing.
fn stem(hir: &Hir) -> Box<str> {
    let beginnings = Extractor::new().extract(hir);
    let common = beginnings.longest_common_prefix().unwrap_or_default();
    // What texts have in common may end within a character.
    common.utf8_chunks().next().map(|chunk| chunk.valid()).unwrap_or_default().into()
}

/// Translates a glob to a regex over characters.
fn glob_to_regex(glob: &str) -> Result<String, Cow<'static, str>> {
    let mut regex = String::from("(?s)");
    let mut depth = 0_u32;
    let mut characters = glob.chars();
    while let Some(character) = characters.next() {
        match character {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '[' => class(&mut characters, &mut regex)?,
            '{' => {
                depth += 1;
                regex.push_str("(?:");
            }
            '}' if depth > 0 => {
                depth -= 1;
                regex.push(')');
            }
            ',' if depth > 0 => regex.push('|'),
            ']' | '}' => {
                return Err(format!(
                    "has a {character} that nothing opened: write \\{character} for the character itself"
                )
                .into());
            }
            '\\' => {
                let escaped = characters.next().ok_or("ends in a backslash: write \\\\ for the character itself")?;
                push_literal(&mut regex, escaped);
            }
            literal => push_literal(&mut regex, literal),
        }
    }
    if depth > 0 {
        return Err("has a { that nothing closes: close it with }, or write \\{ for the character itself".into());
    }
    Ok(regex)
}

/// Translates what follows a `[`, up to and with its `]`.
fn class(characters: &mut std::str::Chars<'_>, regex: &mut String) -> Result<(), Cow<'static, str>> {
    const OPEN: &str = "has a [ that nothing closes: close it with ], or write \\[ for the character itself";
    let mut members = Vec::new();
    let mut negated = false;
    loop {
        match characters.next().ok_or(OPEN)? {
            '!' | '^' if members.is_empty() && !negated => negated = true,
            ']' if members.is_empty() => return Err("has an empty class []: name at least one character".into()),
            ']' => break,
            '\\' => members.push((characters.next().ok_or(OPEN)?, true)),
            other => members.push((other, false)),
        }
    }
    regex.push_str(if negated { "[^" } else { "[" });
    let mut rest = members.as_slice();
    while let [(first, _), after @ ..] = rest {
        push_literal(regex, *first);
        rest = after;
        if let [('-', false), (last, _), after @ ..] = rest {
            if first > last {
                return Err(format!("has a range {first}-{last} that runs backwards: write {last}-{first}").into());
            }
            regex.push('-');
            push_literal(regex, *last);
            rest = after;
        }
    }
    regex.push(']');
    Ok(())
}

fn push_literal(regex: &mut String, literal: char) {
    regex.push_str(&regex_syntax::escape(literal.encode_utf8(&mut [0; 4])));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(pattern: StringMatch) -> Result<Patterns, String> {
        let mut problems = Problems::default();
        let patterns = Patterns::compile(&[pattern], &Path::root("rooms"), &mut problems);
        problems.into_result().map(|()| patterns).map_err(|problems| problems[0].to_string())
    }

    fn glob_matches(glob: &str, text: &str) -> bool {
        compiled(StringMatch::Glob(glob.into())).expect("compiles").matches(text)
    }

    fn regex_matches(regex: &str, text: &str) -> bool {
        compiled(StringMatch::Regex(regex.into())).expect("compiles").matches(text)
    }

    #[test]
    fn globs_match_whole_texts_by_characters() {
        for (glob, yes, no) in [
            ("*", vec!["", "a", "a\nb", "ü"], vec![]),
            ("a*", vec!["a", "ab", "a\n"], vec!["", "ba"]),
            ("a?c", vec!["abc", "aüc", "a\nc", "a🎥c"], vec!["ac", "abbc"]),
            ("[a-c]x", vec!["ax", "cx"], vec!["dx", "x", "abx"]),
            ("[!a-c]x", vec!["dx", "üx"], vec!["ax"]),
            ("[^a]", vec!["b", "^"], vec!["a"]),
            ("[a\\-z]", vec!["a", "-", "z"], vec!["b"]),
            ("[.*]", vec![".", "*"], vec!["a"]),
            ("{a,b}-{1,2*}", vec!["a-1", "b-2xyz"], vec!["a-3", "a,b-1"]),
            ("{a,{b,c}d}", vec!["a", "bd", "cd"], vec!["b", "ad"]),
            ("a.b+(c)|d$", vec!["a.b+(c)|d$"], vec!["axb+(c)|d$", "d"]),
            ("\\*\\\\", vec!["*\\"], vec!["a\\"]),
            ("a,b", vec!["a,b"], vec!["a"]),
            ("room", vec!["room"], vec!["rooms", "Room"]),
        ] {
            for text in yes {
                assert!(glob_matches(glob, text), "{glob} should match {text:?}");
            }
            for text in no {
                assert!(!glob_matches(glob, text), "{glob} should not match {text:?}");
            }
        }
    }

    #[test]
    fn malformed_patterns_say_where_and_what_to_do() {
        for (glob, message) in [
            ("[a", "close it with ]"),
            ("a]", "that nothing opened"),
            ("{a", "close it with }"),
            ("a}", "that nothing opened"),
            ("[]", "empty class"),
            ("[z-a]", "write a-z"),
            ("a\\", "ends in a backslash"),
        ] {
            let error = compiled(StringMatch::Glob(glob.into())).expect_err(glob);
            assert!(error.starts_with("rooms[0].glob") && error.contains(message), "{error}");
        }
        let error = compiled(StringMatch::Regex("a(".into())).expect_err("open group");
        assert!(error.starts_with("rooms[0].regex") && error.contains("at byte 1"), "{error}");
        let error = compiled(StringMatch::Regex("(?:a{1000}){1000}".into())).expect_err("huge");
        assert!(error.contains("too large"), "{error}");
    }

    #[test]
    fn a_regex_cannot_escape_its_anchors() {
        assert!(regex_matches("a|b", "b"));
        assert!(!regex_matches("a|b", "ba"));
        assert!(regex_matches("a|ab", "ab"));
        assert!(regex_matches("(?x) a b # comment", "ab"));
        assert!(!regex_matches("(?m)^a$", "a\nb"));
        assert!(compiled(StringMatch::Regex("a)|(b".into())).is_err());
    }

    #[test]
    fn every_matching_text_is_exact_or_begins_with_a_stem() {
        let stems = |pattern: StringMatch| -> (Vec<String>, Vec<String>) {
            let patterns = compiled(pattern).expect("compiles");
            (patterns.exact().map(Into::into).collect(), patterns.stems().map(Into::into).collect())
        };
        assert_eq!(stems(StringMatch::Glob("team-*-x".into())), (vec![], vec!["team-".to_owned()]));
        assert_eq!(stems(StringMatch::Glob("team-*".into())), (vec![], vec!["team-".to_owned()]));
        assert_eq!(stems(StringMatch::Glob("team".into())), (vec!["team".to_owned()], vec![]));
        assert_eq!(stems(StringMatch::Glob("*".into())), (vec![], vec![String::new()]));
        assert_eq!(stems(StringMatch::Glob("{ab,ac}?".into())), (vec![], vec!["a".to_owned()]));
        assert_eq!(stems(StringMatch::Regex("team-[a-z]+".into())), (vec![], vec!["team-".to_owned()]));
        assert_eq!(stems(StringMatch::Regex("team|other".into())), (vec![], vec![String::new()]));
        assert_eq!(stems(StringMatch::Regex("(?i)team".into())), (vec![], vec![String::new()]));
        // ä and å share their first byte.
        assert_eq!(stems(StringMatch::Regex("xä.*|xå.*".into())), (vec![], vec!["x".to_owned()]));
        assert_eq!(stems(StringMatch::Prefix("team".into())), (vec![], vec!["team".to_owned()]));
    }
}
