//! Which rooms of a server the objects of another namespace may govern.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Write,
    sync::Arc,
};

use kube::core::{Selector, SelectorExt};

use crate::{
    api::{self, NamespaceGrant, StringMatch},
    policy::{Grant, Path, Patterns, Problems, Reach},
};

/// Names that are written out in a message.
const SHOWN: usize = 5;

/// A pattern of rooms that an object wants to govern, as far as grants can be held against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// As it stands in the spec, for messages.
    shown: String,
    /// What every matching room begins with; where [`Self::exact`], the room.
    stem: String,
    exact: bool,
}

/// What `access` of a server says, compiled.
#[derive(Debug, Default)]
pub struct Access(Vec<Rule>);

/// One entry of it.
#[derive(Debug)]
struct Rule {
    name: String,
    who: Who,
    rooms: Patterns,
    /// Rooms that begin with one of these are granted all.
    prefixes: Vec<String>,
    max_priority: i32,
}

#[derive(Debug)]
enum Who {
    Names(BTreeSet<String>),
    Labels(Selector),
}

/// What is known of namespaces.
#[derive(Debug, Default)]
pub struct Namespaces {
    /// Their labels.
    pub labels: HashMap<String, BTreeMap<String, String>>,
    /// How complete that is.
    pub state: Known,
}

/// Whether something has been read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Known {
    /// Not yet.
    #[default]
    NotYet,
    /// It has, and is watched.
    Yes,
    /// It may not be, says the API server; who we are, by its words.
    Forbidden(String),
    /// This install is for some namespaces and has no right to anything that is not in one of them.
    Never,
}

/// What a namespace may do on a server.
#[derive(Clone, Debug)]
pub enum Coverage {
    /// It is the server's own.
    Home,
    /// These entries of `access` cover it.
    Granted {
        /// By place in the list.
        rules: Vec<usize>,
        /// The same as policies need them.
        grants: Arc<[Grant]>,
        /// What it may be granted at most, while labels of namespaces are not known.
        possible: Option<Arc<[Grant]>>,
    },
    /// No entry covers it.
    Nothing,
}

impl Claim {
    /// What a pattern claims.
    pub(super) fn of(pattern: &StringMatch) -> Self {
        let (word, text) = match pattern {
            StringMatch::Exact(text) => return Self { shown: text.clone(), stem: text.clone(), exact: true },
            StringMatch::Prefix(text) => ("prefix", text),
            StringMatch::Glob(text) => ("glob", text),
            StringMatch::Regex(text) => ("regex", text),
        };
        let stem = match pattern {
            StringMatch::Prefix(text) => text.as_str(),
            StringMatch::Glob(text) => stem(text),
            _ => "",
        };
        let exact = matches!(pattern, StringMatch::Glob(text) if stem.len() == text.len());
        Self { shown: format!("{word} {text}"), stem: stem.to_owned(), exact }
    }

    fn is_within(&self, rules: &[&Rule]) -> bool {
        rules.iter().any(|rule| {
            rule.prefixes.iter().any(|prefix| self.stem.starts_with(prefix.as_str()))
                || self.exact && rule.rooms.matches(&self.stem)
        })
    }
}

/// What all that a glob matches begins with.
fn stem(glob: &str) -> &str {
    &glob[..glob.find(['*', '?', '[', ']', '{', '}', '\\']).unwrap_or(glob.len())]
}

/// The prefix that a pattern is no more and no less than.
fn whole_prefix(pattern: &StringMatch) -> Option<String> {
    match pattern {
        StringMatch::Prefix(text) => Some(text.clone()),
        StringMatch::Glob(text) => text.strip_suffix('*').filter(|rest| stem(rest) == *rest).map(Into::into),
        StringMatch::Exact(_) | StringMatch::Regex(_) => None,
    }
}

impl Access {
    /// Compiles the list.
    pub(super) fn compile(list: &[api::Access], path: &Path<'_>, problems: &mut Problems) -> Self {
        let rules = list.iter().enumerate().map(|(index, entry)| {
            let path = path.index(index);
            let who = match &entry.namespaces {
                NamespaceGrant::Names(names) => Who::Names(names.iter().cloned().collect()),
                NamespaceGrant::Selector(labels) => match Selector::try_from(labels.clone()) {
                    Ok(selector) => Who::Labels(selector),
                    Err(error) => {
                        let namespaces = path.field("namespaces");
                        problems.add(&namespaces.field("selector"), format!("is no label selector: {error}"));
                        Who::Names(BTreeSet::new())
                    }
                },
            };
            Rule {
                name: entry.name.clone(),
                who,
                rooms: Patterns::compile(&entry.rooms, &path.field("rooms"), problems),
                prefixes: entry.rooms.iter().filter_map(whole_prefix).collect(),
                max_priority: entry.max_priority.unwrap_or(0),
            }
        });
        Self(rules.collect())
    }

    /// The entries that select by labels, by name.
    pub(super) fn selecting(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|rule| matches!(rule.who, Who::Labels(_))).map(|rule| rule.name.as_str())
    }

    /// The entries that cover a namespace, by place in the list, and whether there may be more of them.
    pub(super) fn covering(&self, namespace: &str, namespaces: &Namespaces) -> (Vec<usize>, bool) {
        let none = BTreeMap::new();
        let mut maybe_more = false;
        let covers = |rule: &Rule| match &rule.who {
            Who::Names(names) => names.contains(namespace),
            Who::Labels(selector) => match &namespaces.state {
                Known::Yes => {
                    namespaces.labels.contains_key(namespace)
                        && selector.matches(namespaces.labels.get(namespace).unwrap_or(&none))
                }
                Known::NotYet => {
                    maybe_more = true;
                    false
                }
                Known::Forbidden(_) | Known::Never => false,
            },
        };
        let mut covers = covers;
        let covering = self.0.iter().enumerate().filter(|(_, rule)| covers(rule)).map(|(index, _)| index).collect();
        (covering, maybe_more)
    }

    /// What these entries grant.
    pub(super) fn grants(&self, rules: &[usize]) -> Arc<[Grant]> {
        let rules = rules.iter().filter_map(|index| self.0.get(*index));
        rules.map(|rule| Grant { rooms: rule.rooms.clone(), max_priority: rule.max_priority }).collect()
    }

    /// What entries grant that may turn out to cover a namespace once its labels are known, and those that do.
    pub(super) fn possible_grants(&self, rules: &[usize]) -> Arc<[Grant]> {
        let possible = self
            .0
            .iter()
            .enumerate()
            .filter(|(index, rule)| rules.contains(index) || matches!(rule.who, Who::Labels(_)));
        self.grants(&possible.map(|(index, _)| index).collect::<Vec<_>>())
    }

    /// What an object wants and entries do not grant, for its message: rooms, then priority.
    pub(super) fn limits(&self, rules: &[usize], claims: &[Claim], priority: i32) -> Vec<String> {
        let rules: Vec<&Rule> = rules.iter().filter_map(|index| self.0.get(*index)).collect();
        let mut notes = Vec::new();
        let beyond: Vec<&str> =
            claims.iter().filter(|claim| !claim.is_within(&rules)).map(|claim| claim.shown.as_str()).collect();
        let entries = || join(rules.iter().map(|rule| rule.name.as_str()));
        if !beyond.is_empty() {
            notes.push(format!(
                "It acts only in rooms that access of its server grants to this namespace (entries {}), which does not \
                 cover all of: {}.",
                entries(),
                join(beyond.into_iter())
            ));
        }
        if let Some(most) = rules.iter().map(|rule| rule.max_priority).max()
            && priority > most
        {
            notes.push(format!(
                "Priority {priority} counts as {most} at most, the maxPriority of its access (entries {}).",
                entries()
            ));
        }
        notes
    }

    /// The rooms among these that entries do not grant.
    pub(super) fn refused<'a>(&self, rules: &[usize], rooms: &'a [String]) -> Vec<&'a str> {
        let rules: Vec<&Rule> = rules.iter().filter_map(|index| self.0.get(*index)).collect();
        let granted = |room: &&str| rules.iter().any(|rule| rule.rooms.matches(room));
        rooms.iter().map(String::as_str).filter(|room| !granted(room)).collect()
    }

    /// Whether entries may grant any room of the claims: false only where it is certain that they do not.
    pub(super) fn may_reach(&self, rules: &[usize], claims: &[Claim]) -> bool {
        let rules: Vec<&Rule> = rules.iter().filter_map(|index| self.0.get(*index)).collect();
        claims.iter().any(|claim| !claim.exact || claim.is_within(&rules))
    }
}

impl Coverage {
    /// Where objects of the namespace may act for certain.
    pub(super) fn reach(&self) -> Option<Reach> {
        match self {
            Self::Home => Some(Reach::Home),
            Self::Granted { grants, rules, .. } => (!rules.is_empty()).then(|| Reach::Granted(Arc::clone(grants))),
            Self::Nothing => None,
        }
    }

    /// Where they may turn out to act, beyond what is certain.
    pub(super) fn possible(&self) -> Option<Reach> {
        match self {
            Self::Granted { possible, .. } => possible.clone().map(Reach::Granted),
            Self::Home | Self::Nothing => None,
        }
    }
}

/// Writes names out, the first few of many.
pub(super) fn join<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let mut text = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        let _ = write!(text, " and {} more", names.len() - SHOWN);
    }
    text
}
