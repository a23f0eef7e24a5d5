//! The JSON Schema is the one that is shipped, and knows the fields that the loader knows.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

fn shipped() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/policy.schema.json");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_shipped_schema_is_the_generated_one() {
    // `policyctl schema > crates/policy/schema/policy.schema.json` brings it up to date.
    assert_eq!(shipped(), policy::schema());
}

/// Whether `value` has the shape, by the few words of JSON Schema that this one uses.
fn fits(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let fail = |what: &str| Err(format!("{what}: {value} against {schema}"));
    let mut known: BTreeSet<&str> = schema
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let mut word = |name: &'static str| {
        known.remove(name);
        schema.get(name)
    };
    if let Some(reference) = word("$ref") {
        let name = reference
            .as_str()
            .unwrap()
            .strip_prefix("#/$defs/")
            .unwrap();
        fits(root, &root["$defs"][name], value)?;
    }
    if let Some(all) = word("anyOf") {
        let any = all
            .as_array()
            .unwrap()
            .iter()
            .any(|one| fits(root, one, value).is_ok());
        if !any {
            return fail("none fits");
        }
    }
    if word("const").is_some_and(|wanted| wanted != value)
        || word("enum").is_some_and(|all| !all.as_array().unwrap().contains(value))
    {
        return fail("another value");
    }
    if let Some(kind) = word("type") {
        let is = match kind.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64(),
            other => panic!("{other}"),
        };
        if !is {
            return fail("another type");
        }
    }
    let (properties, closed, required) = (
        word("properties"),
        word("additionalProperties"),
        word("required"),
    );
    if let Some(table) = value.as_object() {
        for (key, inner) in table {
            match (properties.and_then(|all| all.get(key)), closed) {
                (Some(schema), _) => fits(root, schema, inner)?,
                (None, Some(Value::Bool(false))) => return fail(&format!("unknown {key}")),
                (None, Some(schema)) => fits(root, schema, inner)?,
                (None, None) => {}
            }
        }
        let missing = required.and_then(|all| {
            all.as_array()
                .unwrap()
                .iter()
                .find(|key| !table.contains_key(key.as_str().unwrap()))
        });
        if missing.is_some() {
            return fail("a field is missing");
        }
    }
    if let Some(items) = word("items") {
        for item in value.as_array().into_iter().flatten() {
            fits(root, items, item)?;
        }
    }
    let size = value
        .as_array()
        .map(Vec::len)
        .or(value.as_object().map(|it| it.len()))
        .or(value.as_str().map(str::len));
    let size = size.unwrap_or(0) as u64;
    for (least, most) in [
        ("minItems", "maxItems"),
        ("minProperties", "maxProperties"),
        ("minLength", "maxLength"),
    ] {
        if word(least).is_some_and(|least| size < least.as_u64().unwrap())
            || word(most).is_some_and(|most| size > most.as_u64().unwrap())
        {
            return fail("another size");
        }
    }
    if word("minimum").is_some_and(|least| value.as_i64() < least.as_i64())
        || word("maximum").is_some_and(|most| value.as_i64() > most.as_i64())
    {
        return fail("out of range");
    }
    for note in ["$schema", "$defs", "title", "pattern", "format"] {
        known.remove(note);
    }
    assert!(known.is_empty(), "words that nothing checks: {known:?}");
    Ok(())
}

fn document(toml: &str) -> Value {
    serde_json::to_value(toml::from_str::<toml::Value>(toml).unwrap()).unwrap()
}

#[test]
fn documents_that_load_have_the_shape_and_stay_documents_in_json() {
    let schema: Value = serde_json::from_str(&shipped()).unwrap();
    let specification = include_str!("../SPEC.md");
    let (_, rest) = specification.split_once("```toml\n").unwrap();
    let mut documents = vec![
        include_str!("bounds/every_field.toml").to_owned(),
        rest.split_once("```").unwrap().0.to_owned(),
    ];
    for entry in
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")).unwrap()
    {
        let file: toml::Table = std::fs::read_to_string(entry.unwrap().path())
            .unwrap()
            .parse()
            .unwrap();
        documents.push(file["policy"].as_str().unwrap().to_owned());
    }
    for toml in documents {
        let value = document(&toml);
        fits(&schema, &schema, &value).unwrap_or_else(|error| panic!("{error}"));
        let json = serde_json::to_string_pretty(&value).unwrap();
        policy::PolicySet::from_json(&json).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn documents_of_another_shape_have_not_the_shape() {
    let schema: Value = serde_json::from_str(&shipped()).unwrap();
    let good = include_str!("bounds/every_field.toml");
    for (from, to) in [
        ("action = \"block\"", "action = \"deny\""),
        ("max_channels = 16", "max_channels = 0"),
        ("max_channels = 16", "max_chanels = 16"),
        (
            "[{ country = [\"KP\"] }, { service_token = \"old\" }]",
            "[]",
        ),
        ("{ managed_device = true }", "{ managed_device = false }"),
        (
            "{ managed_device = true }",
            "{ managed_device = true, everyone = true }",
        ),
        ("usernames = [\"root\", \"deploy\"]", "usernames = \"root\""),
        ("may = [\"upload\", \"download\"]", "may = []"),
        (
            "may = [\"list\", \"show\", \"end\", \"watch\", \"approve\"]",
            "may = []",
        ),
        ("may = [\"list\",", "may = [\"join\","),
        (
            "forward_recording = \"digest\"",
            "forward_recording = \"sha256\"",
        ),
    ] {
        let changed = good.replace(from, to);
        assert_ne!(changed, good);
        assert!(fits(&schema, &schema, &document(&changed)).is_err(), "{to}");
        assert!(policy::PolicySet::from_toml(&changed).is_err(), "{to}");
    }
}
