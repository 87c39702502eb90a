//! Reads manifests from files and folders: all of them or none.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Namespace, Secret},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    check::Checker,
    mistake::{Mistake, Mistakes},
    node::Node,
};
use crate::{
    api,
    kubernetes::{
        hub::Data,
        kind::{Kind, ObjectId},
    },
    policy::{ObjectName, Problem},
};

/// The namespace of what names none.
const NAMESPACE: &str = "default";
/// Bounds against what was not meant: a folder that holds itself, a disk image.
const DEEPEST: usize = 16;
const LARGEST: u64 = 8 << 20;
const MOST_FILES: usize = 10_000;

/// All that was read.
#[derive(Debug, Default)]
pub(super) struct Set {
    /// Objects of our kinds, with their defaults.
    pub objects: BTreeMap<ObjectId, Value>,
    /// What Secrets hold.
    pub secrets: HashMap<ObjectName, BTreeMap<String, ByteString>>,
    /// What ConfigMaps hold.
    pub config_maps: HashMap<ObjectName, BTreeMap<String, ByteString>>,
    /// The labels of namespaces.
    pub namespaces: HashMap<String, BTreeMap<String, String>>,
    /// Where each object stands.
    places: HashMap<String, (Arc<Path>, u64)>,
}

/// What tells that a file has changed.
pub(super) type Stamp = (PathBuf, Option<SystemTime>, u64);

/// The files that there are, in order.
///
/// # Errors
/// A path that is not there or cannot be read.
pub(super) fn find(paths: &[PathBuf]) -> Result<Vec<Stamp>, Mistakes> {
    let mut found = Vec::new();
    let mut mistakes = Vec::new();
    for path in paths {
        if let Err((at, error)) = walk(path, 0, &mut found) {
            mistakes.push(Mistake::of_file(&at, format!("cannot be read: {error}")));
        }
    }
    found.sort();
    found.dedup();
    if mistakes.is_empty() { Ok(found) } else { Err(Mistakes(mistakes)) }
}

fn walk(path: &Path, depth: usize, found: &mut Vec<Stamp>) -> Result<(), (PathBuf, std::io::Error)> {
    let failed = |error| (path.to_owned(), error);
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_dir() {
        let is_manifest = path.extension().is_some_and(|end| ["yaml", "yml", "json"].iter().any(|one| end == *one));
        // Who names a file means it, whatever it is called.
        if (is_manifest || depth == 0) && found.len() < MOST_FILES {
            found.push((path.to_owned(), metadata.modified().ok(), metadata.len()));
        }
        return Ok(());
    }
    if depth >= DEEPEST {
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // Kubernetes mounts a ConfigMap as links into hidden folders, and editors hide what they have not finished.
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        match walk(&entry.path(), depth + 1, found) {
            // Gone since the folder was read.
            Err((_, error)) if error.kind() == std::io::ErrorKind::NotFound => {}
            walked => walked?,
        }
    }
    Ok(())
}

/// Reads files.
///
/// # Errors
/// All that is wrong with any of them.
pub(super) fn read(files: &[Stamp], checker: &Checker) -> Result<Set, Mistakes> {
    let mut reader = Reader { checker, set: Set::default(), mistakes: Vec::new() };
    for (path, _, size) in files {
        let file: Arc<Path> = path.as_path().into();
        if *size > LARGEST {
            reader.mistakes.push(Mistake::of_file(&file, format!("is larger than {LARGEST} bytes: split it")));
            continue;
        }
        match fs::read_to_string(path) {
            Ok(text) => reader.file(&file, &text),
            Err(error) => reader.mistakes.push(Mistake::of_file(&file, format!("cannot be read: {error}"))),
        }
    }
    let Reader { set, mut mistakes, .. } = reader;
    if mistakes.is_empty() && set.objects.is_empty() {
        let file = files.first().map_or(Path::new("."), |(path, ..)| path);
        let message = "holds no manifest of usher.dev: give a file or folder that does";
        mistakes.push(Mistake::of_file(file, message));
    }
    if mistakes.is_empty() { Ok(set) } else { Err(Mistakes(mistakes)) }
}

struct Reader<'a> {
    checker: &'a Checker,
    set: Set,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    fn file(&mut self, file: &Arc<Path>, text: &str) {
        match serde_saphyr::from_multiple::<Node>(text) {
            Ok(documents) => documents.iter().for_each(|document| self.document(file, document)),
            Err(error) => {
                let line = error.location().map(|location| location.line());
                // Without the excerpt: it would show a Secret's lines as well.
                let message = format!("is not YAML: {}", error.without_snippet());
                self.mistakes.push(Mistake { line, ..Mistake::of_file(file, message) });
            }
        }
    }

    fn document(&mut self, file: &Arc<Path>, node: &Node) {
        let version = node.text("apiVersion").unwrap_or_default();
        let kind = node.text("kind").unwrap_or_default();
        let (group, rest) = version.split_once('/').unwrap_or(("", version));
        match (version, kind) {
            ("", _) | (_, "") => {
                let message = "is no manifest of Kubernetes: it needs apiVersion and kind";
                self.mistakes.push(Mistake { line: Some(node.line), ..Mistake::of_file(file, message) });
            }
            ("v1", "List") => {
                let items = node.get("items").map(Node::items).unwrap_or_default();
                items.iter().for_each(|item| self.document(file, item));
            }
            ("v1", "Secret") => {
                if let Some((name, secret)) = self.core::<Secret>(file, node) {
                    let texts = secret.string_data.unwrap_or_default().into_iter();
                    let texts = texts.map(|(key, text)| (key, ByteString(text.into_bytes())));
                    let data = secret.data.unwrap_or_default().into_iter().chain(texts).collect();
                    self.set.secrets.insert(name, data);
                }
            }
            ("v1", "ConfigMap") => {
                if let Some((name, map)) = self.core::<ConfigMap>(file, node) {
                    self.set.config_maps.insert(name, map.into_data());
                }
            }
            ("v1", "Namespace") => {
                if let Some((name, namespace)) = self.core::<Namespace>(file, node) {
                    let labels = namespace.metadata.labels.unwrap_or_default();
                    self.set.namespaces.insert(name.name.to_string(), labels);
                }
            }
            _ if group == api::GROUP => self.object(file, node, rest, kind),
            // Whatever else a folder for a cluster holds is not ours.
            _ => tracing::debug!(file = %file.display(), version, kind, "not a kind for us"),
        }
    }

    /// An object of Kubernetes' own. What serde says of it may quote what it holds, so that it is not told.
    fn core<K: DeserializeOwned>(&mut self, file: &Arc<Path>, node: &Node) -> Option<(ObjectName, K)> {
        let kind = node.text("kind").unwrap_or_default();
        let name = self.name(file, node, kind)?;
        match serde_json::from_value(node.value()) {
            Ok(object) => Some((name, object)),
            Err(_) => {
                let message = "does not have the fields of its kind: values under data of a Secret are base64, those \
                               under stringData, and all of a ConfigMap, are text";
                self.add(file, node, &format!("{kind} {name}"), "", message);
                None
            }
        }
    }

    fn object(&mut self, file: &Arc<Path>, node: &Node, version: &str, kind: &str) {
        let Some(known) = Kind::ALL.into_iter().find(|known| known.name() == kind) else {
            let kinds = Kind::ALL.map(Kind::name).join(", ");
            return self.add(file, node, kind, "kind", &format!("unknown kind {kind}; of usher.dev there are {kinds}"));
        };
        if version != api::VERSION {
            let message = format!("unknown version {version}; there is {}/{}", api::GROUP, api::VERSION);
            return self.add(file, node, kind, "apiVersion", &message);
        }
        let Some(name) = self.name(file, node, kind) else { return };
        let mut value = node.value();
        // The operator's, as in a cluster, where an apply does not touch it.
        value.as_object_mut().and_then(|fields| fields.remove("status"));
        let id = ObjectId { kind: known, name };
        match self.checker.check(&value) {
            Ok(object) => drop(self.set.objects.insert(id, object)),
            Err(problems) => {
                for Problem { field, message } in problems {
                    self.add(file, node, &id.to_string(), &field, &message);
                }
            }
        }
    }

    /// The name of an object that is good and that no other object has.
    fn name(&mut self, file: &Arc<Path>, node: &Node, kind: &str) -> Option<ObjectName> {
        let metadata = node.get("metadata");
        let text = |key: &str| metadata.and_then(|metadata| metadata.text(key));
        let Some(name) = text("name") else {
            self.add(file, node, kind, "metadata.name", "Required value");
            return None;
        };
        let namespace = if kind == "Namespace" { "" } else { text("namespace").unwrap_or(NAMESPACE) };
        for (field, text, most) in [("metadata.name", name, 253), ("metadata.namespace", namespace, 63)] {
            if !text.is_empty() && !is_name(text, most) {
                let message =
                    format!("{text:?} must be lower case letters, digits, '-' and '.', at most {most} of them");
                self.add(file, node, kind, field, &message);
                return None;
            }
        }
        let place = (Arc::clone(file), node.line);
        let shown = format!("{kind} {namespace}/{name}");
        if let Some((other, line)) = self.set.places.insert(shown.clone(), place) {
            let message = format!("is in {}:{line} too: remove one of the two", other.display());
            self.add(file, node, &shown, "", &message);
            return None;
        }
        Some(ObjectName::new(namespace, name))
    }

    fn add(&mut self, file: &Arc<Path>, node: &Node, object: &str, field: &str, message: &str) {
        self.mistakes.push(Mistake {
            file: file.to_path_buf(),
            line: Some(node.line_of(field)),
            object: Some(object.to_owned()),
            field: Some(field.to_owned()).filter(|field| !field.is_empty()),
            message: message.to_owned(),
        });
    }
}

/// Whether a text is a name as Kubernetes wants it (RFC 1123, subdomain).
fn is_name(text: &str, most: usize) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() <= most
        && text.starts_with(inner)
        && text.ends_with(inner)
        && text.chars().all(|c| inner(c) || c == '-' || c == '.')
}
