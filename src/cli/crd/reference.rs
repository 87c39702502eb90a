//! The reference of a kind, as Markdown from its CustomResourceDefinition: each field with its type, bounds and meaning.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

/// The fields of the type that stands in many places, and is described once.
const STRING_MATCH: [&str; 4] = ["exact", "glob", "prefix", "regex"];

/// The file of a definition's page, and the page.
pub(super) fn page(definition: &CustomResourceDefinition) -> serde_json::Result<(String, String)> {
    let definition = serde_json::to_value(definition)?;
    let names = &definition["spec"]["names"];
    let version = &definition["spec"]["versions"][0];
    let schema = &version["schema"]["openAPIV3Schema"];
    let kind = text(&names["kind"]);
    let mut page = Page::default();
    page.line(&format!("# {kind}"));
    page.line("<!-- Generated from crds/ by `make crds`: edit the doc comments in src/api. -->");
    page.line(text(&schema["description"]));
    let short = text(&names["shortNames"][0]);
    page.line(&format!(
        "`apiVersion: {}/{}`, `kind: {kind}`, namespaced. `kubectl get {}`, in short `{short}`; with the other kinds \
         `kubectl get usher`.",
        text(&definition["spec"]["group"]),
        text(&version["name"]),
        text(&names["plural"]),
    ));
    page.columns(&version["additionalPrinterColumns"]);
    for part in ["spec", "status"] {
        page.object(part, &schema["properties"][part]);
    }
    page.string_match();
    Ok((format!("{}.md", text(&names["singular"])), page.markdown))
}

#[derive(Default)]
struct Page {
    markdown: String,
    /// The schema of the type that is described at the end.
    string_match: Option<Value>,
}

impl Page {
    /// A paragraph or heading, and an empty line.
    fn line(&mut self, line: &str) {
        let gap = if self.markdown.is_empty() { "" } else { "\n" };
        self.markdown += &format!("{gap}{line}\n");
    }

    fn rows(&mut self, head: [&str; 3], rows: impl IntoIterator<Item = [String; 3]>) {
        self.line(&format!("| {} |\n|---|---|---|", head.join(" | ")));
        for row in rows {
            let row = row.map(|cell| cell.replace('|', "\\|").replace('\n', " "));
            self.markdown += &format!("| {} |\n", row.join(" | "));
        }
    }

    fn columns(&mut self, columns: &Value) {
        let shown = |column: &Value| {
            let wide = if column["priority"].as_u64().unwrap_or_default() > 0 { "with `-o wide`" } else { "always" };
            [text(&column["name"]).to_owned(), wide.to_owned(), format!("`{}`", text(&column["jsonPath"]))]
        };
        self.rows(["column", "shown", "from"], entries(columns).map(shown));
    }

    /// A section for the fields of an object, then one for each object in it.
    fn object(&mut self, path: &str, schema: &Value) {
        let depth = path.matches('.').count().min(3);
        self.line(&format!("{} {path}", "#".repeat(depth + 2)));
        if depth == 0 {
            self.line(text(&schema["description"]));
        }
        let required: Vec<_> = entries(&schema["required"]).map(text).collect();
        let fields: Vec<(&String, &Value)> = schema["properties"].as_object().into_iter().flatten().collect();
        let rows: Vec<_> = fields
            .iter()
            .map(|(name, field)| {
                let mut meaning = text(&field["description"]).to_owned();
                if let Some(default) = field.get("default") {
                    meaning += &format!(" Default: `{default}`.");
                }
                let star = if required.contains(&name.as_str()) { " (required)" } else { "" };
                [format!("`{name}`{star}"), self.type_of(&format!("{path}.{name}"), field), meaning]
            })
            .collect();
        self.rows(["field", "type", "meaning"], rows);
        self.rules(schema);
        for (name, field) in fields {
            let (path, inner) = innermost(format!("{path}.{name}"), field);
            self.rules_of_value(&path, inner);
            if inner.get("properties").is_some() && !is_string_match(inner) {
                self.object(&path, inner);
            }
        }
    }

    /// What the API server checks beyond types and bounds.
    fn rules(&mut self, schema: &Value) {
        let messages: Vec<_> =
            entries(&schema["x-kubernetes-validations"]).map(|rule| format!("- {}", text(&rule["message"]))).collect();
        if !messages.is_empty() {
            self.line(&format!("The API server checks:\n\n{}", messages.join("\n")));
        }
    }

    fn rules_of_value(&mut self, path: &str, schema: &Value) {
        if schema.get("properties").is_none() && schema.get("x-kubernetes-validations").is_some() {
            let field = path.rsplit('.').next().unwrap_or(path);
            let messages = entries(&schema["x-kubernetes-validations"]).map(|rule| text(&rule["message"]));
            let list: Vec<_> = messages.map(|message| format!("- `{field}`: {message}")).collect();
            self.line(&list.join("\n"));
        }
    }

    fn type_of(&mut self, path: &str, schema: &Value) -> String {
        if is_string_match(schema) {
            self.string_match.get_or_insert_with(|| schema.clone());
            return "[StringMatch](#stringmatch)".to_owned();
        }
        let bounds = bounds(schema);
        match text(&schema["type"]) {
            "array" => {
                let inner = self.type_of(&format!("{path}[]"), &schema["items"]);
                let of = if text(&schema["x-kubernetes-list-type"]) == "set" { "set" } else { "list" };
                format!("{of}{bounds} of {inner}")
            }
            "object" if schema.get("properties").is_some() => format!("[object](#{})", anchor(path)),
            "object" => format!("map{bounds} to {}", self.type_of(path, &schema["additionalProperties"])),
            other => match schema.get("enum") {
                Some(values) => {
                    entries(values).map(|value| format!("`{}`", text(value))).collect::<Vec<_>>().join(", ")
                }
                None => format!("{other}{bounds}"),
            },
        }
    }

    fn string_match(&mut self) {
        let Some(schema) = self.string_match.take() else { return };
        self.line("## StringMatch");
        self.line(text(&schema["description"]));
        let fields = schema["properties"].as_object().into_iter().flatten();
        let row = |(name, field): (&String, &Value)| {
            let kind = format!("{}{}", text(&field["type"]), bounds(field));
            [format!("`{name}`"), kind, text(&field["description"]).to_owned()]
        };
        self.rows(["field", "type", "meaning"], fields.map(row));
    }
}

/// The path and schema of what a list holds, or a map.
fn innermost(path: String, schema: &Value) -> (String, &Value) {
    match (schema.get("items"), schema.get("additionalProperties")) {
        (Some(items), _) => innermost(format!("{path}[]"), items),
        (_, Some(values)) if values.is_object() => innermost(format!("{path}[*]"), values),
        _ => (path, schema),
    }
}

fn is_string_match(schema: &Value) -> bool {
    let names = schema["properties"].as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>());
    names.is_some_and(|names| names == STRING_MATCH)
}

/// The bounds of a value, in brackets.
fn bounds(schema: &Value) -> String {
    let pairs = [
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " entries"),
        ("minProperties", "maxProperties", " entries"),
    ];
    let number = |name: &str| schema[name].as_f64();
    let said = pairs.iter().filter_map(|(low, high, unit)| match (number(low), number(high)) {
        (Some(low), Some(high)) => Some(format!("{low} to {high}{unit}")),
        (Some(low), None) => Some(format!("at least {low}{unit}")),
        (None, Some(high)) => Some(format!("at most {high}{unit}")),
        (None, None) => None,
    });
    let pattern = schema["pattern"].as_str().map(|pattern| format!("`{pattern}`"));
    let said: Vec<_> = said.chain(pattern).collect();
    if said.is_empty() { String::new() } else { format!(" ({})", said.join(", ")) }
}

/// The anchor of the section of a path, by the rules of GitHub.
fn anchor(path: &str) -> String {
    path.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn entries(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
