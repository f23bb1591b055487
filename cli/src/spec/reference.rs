//! The reference of specs for people, `docs/spec.md`, made from the same schemas that editors are given.

use std::fmt::Write;

use serde_json::{Map, Value};

/// The page: a section for each spec, and in it one for each thing that has fields of its own.
pub fn page(specs: &[(&str, &str, Value)]) -> String {
    let mut page = String::from(
        "# Specs, field by field\n\n\
         Made from the types that read the specs; `longshore run --help` and `longshore service deploy --help` have the flags. What a\n\
         container is told is in [containers.md](containers.md). Unknown fields are refused, with the line they are in.\n",
    );
    for (title, example, schema) in specs {
        let _ = write!(page, "\n## {title}\n\n{example}\n");
        let definitions = schema.get("$defs").and_then(Value::as_object);
        section(&mut page, None, schema);
        let all = definitions.into_iter().flatten();
        for (name, definition) in all.filter(|(_, definition)| definition.get("properties").is_some()) {
            section(&mut page, Some(name), definition);
        }
        for (name, definition) in definitions.into_iter().flatten() {
            words(&mut page, name, definition);
        }
    }
    page
}

fn section(page: &mut String, name: Option<&str>, schema: &Value) {
    let Some(fields) = schema.get("properties").and_then(Value::as_object) else { return };
    let heading = name.map(|name| format!("\n### {}\n", plain(name))).unwrap_or_default();
    let _ = write!(page, "{heading}\n{}\n\n| field | what | how |\n|---|---|---|\n", described(schema));
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    for (field, schema) in fields {
        let needed = if required.contains(&field.as_str()) { " (always)" } else { "" };
        let _ = writeln!(page, "| `{field}`{needed} | {} | {} |", cell(&described(schema)), cell(&kind(schema)));
    }
}

/// A choice between words.
fn words(page: &mut String, name: &str, schema: &Value) {
    let choices = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let choices: Vec<(&str, String)> =
        choices.filter_map(|choice| Some((choice.get("const")?.as_str()?, described(choice)))).collect();
    if choices.is_empty() {
        return;
    }
    let _ = write!(page, "\n### {}\n\n{}\n\n| word | what |\n|---|---|\n", plain(name), described(schema));
    for (word, what) in choices {
        let _ = writeln!(page, "| `{word}` | {} |", cell(&what));
    }
}

fn described(schema: &Value) -> String {
    schema.get("description").and_then(Value::as_str).unwrap_or_default().replace('\n', " ")
}

/// What a value looks like.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        return link(name);
    }
    if let Some(several) = ["anyOf", "oneOf"].iter().find_map(|key| schema.get(*key)).and_then(Value::as_array) {
        let constant = |one: &Value| one.get("const").map(|word| format!("`{word}`"));
        let kinds: Vec<String> =
            several.iter().filter(|one| !is_null(one)).map(|one| constant(one).unwrap_or_else(|| kind(one))).collect();
        return kinds.join(", or ");
    }
    let types: Vec<&str> = match schema.get("type") {
        Some(Value::String(only)) => vec![only],
        Some(Value::Array(several)) => {
            several.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect()
        }
        _ => Vec::new(),
    };
    let kinds: Vec<String> = types.into_iter().map(|kind| of_type(kind, schema)).collect();
    kinds.join(" or ")
}

fn of_type(kind: &str, schema: &Value) -> String {
    match kind {
        "array" => format!("list of {}", schema.get("items").map_or("anything".to_owned(), self::kind)),
        "object" => match schema.get("additionalProperties") {
            Some(Value::Object(values)) => format!("names, each with {}", self::kind(&Value::Object(values.clone()))),
            _ => "fields".to_owned(),
        },
        "integer" | "number" => format!("{kind}{}", range(schema.as_object())),
        other => other.to_owned(),
    }
}

fn range(schema: Option<&Map<String, Value>>) -> String {
    let bound = |key: &str| schema?.get(key).map(ToString::to_string);
    match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) if most.len() < 10 => format!(", {least} to {most}"),
        (Some(least), _) => format!(", at least {least}"),
        _ => String::new(),
    }
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("null")
}

fn link(reference: &str) -> String {
    let name = reference.rsplit('/').next().unwrap_or(reference);
    match name {
        "Scalar" => "text".to_owned(),
        "FilesSchema" => "list of paths, or names, each with a path".to_owned(),
        name => format!("[{}](#{})", plain(name), plain(name).to_lowercase()),
    }
}

/// A type's name without what it has for our sake.
fn plain(name: &str) -> &str {
    name.strip_suffix("File").filter(|name| !name.is_empty()).unwrap_or(name)
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
