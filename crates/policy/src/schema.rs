//! The JSON Schema of a policy document, made of the same lists of fields as the loader reads.

use alloc::format;
use alloc::string::String;

use crate::load::fields::{
    APPLICATION_FIELDS, CRITERION_FIELDS, DOCUMENT_FIELDS, GRANTABLE, GROUP_FIELDS,
    OPERATOR_FIELDS, POLICY_FIELDS, SELECTORS, TARGET_SELECTORS,
};
use crate::operator::OperatorAction;
use crate::window::DAYS;

/// The JSON Schema (draft 2020-12) of a policy document in JSON, and of one in TOML once it is parsed.
///
/// It describes shapes. What only the loader knows, such as names that nothing defines or limits, it does not.
#[must_use]
pub fn schema() -> String {
    let mut text = String::from(
        "{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n  \"title\": \"Portreeve access policy\",\n",
    );
    text.push_str(&format!("  {},\n", object(DOCUMENT_FIELDS, &[], document)));
    text.push_str("  \"$defs\": {\n");
    let definitions = [
        (
            "application",
            object(APPLICATION_FIELDS, &["name", "target"], application),
        ),
        (
            "criterion",
            object(CRITERION_FIELDS, &["include"], criterion),
        ),
        ("target_rule", one_of(TARGET_SELECTORS, target_rule)),
        (
            "policy",
            object(POLICY_FIELDS, &["action", "include", "name"], policy),
        ),
        (
            "rule_group",
            object(GROUP_FIELDS, &["include", "name"], policy),
        ),
        (
            "operator",
            object(
                OPERATOR_FIELDS,
                &["include", "may", "name", "target"],
                operator,
            ),
        ),
        ("rule", one_of(SELECTORS, rule)),
        (
            "duration",
            r#""type": "string", "pattern": "^[0-9]+[smhd]$""#.into(),
        ),
        (
            "name",
            r#""type": "string", "minLength": 1, "maxLength": 255"#.into(),
        ),
        ("names", several(r##"{ "$ref": "#/$defs/name" }"##)),
        (
            "port",
            r#""type": "integer", "minimum": 1, "maximum": 65535"#.into(),
        ),
        (
            "ports",
            format!(
                "\"anyOf\": [{{ \"const\": \"any\" }}, {{ {} }}]",
                several(&reference("port"))
            ),
        ),
        ("path", r#""type": "string", "pattern": "^/""#.into()),
        (
            "destination",
            object(&["host", "ip", "port"], &["port"], destination),
        ),
    ];
    for (index, (name, definition)) in definitions.iter().enumerate() {
        let comma = if index == 0 { "" } else { ",\n" };
        text.push_str(&format!("{comma}    \"{name}\": {{ {definition} }}"));
    }
    text.push_str("\n  }\n}\n");
    text
}

fn reference(name: &str) -> String {
    format!("{{ \"$ref\": \"#/$defs/{name}\" }}")
}

fn list(item: &str) -> String {
    format!("{{ \"type\": \"array\", \"items\": {item} }}")
}

fn filled(item: &str) -> String {
    format!("{{ \"type\": \"array\", \"items\": {item}, \"minItems\": 1 }}")
}

/// One value or several.
fn several(item: &str) -> String {
    format!("\"anyOf\": [{item}, {}]", filled(item))
}

fn words(words: &[&str]) -> String {
    let mut text = String::from("{ \"enum\": [");
    for (index, word) in words.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        text.push_str(&format!("{comma}\"{word}\""));
    }
    text + "] }"
}

/// A table of these fields.
fn object(fields: &[&str], required: &[&str], shape: fn(&str) -> String) -> String {
    let mut text = String::from("\"type\": \"object\", \"additionalProperties\": false");
    if !required.is_empty() {
        text.push_str(", \"required\": [");
        for (index, field) in required.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            text.push_str(&format!("{comma}\"{field}\""));
        }
        text.push(']');
    }
    text.push_str(", \"properties\": {");
    for (index, field) in fields.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        text.push_str(&format!("{comma} \"{field}\": {}", shape(field)));
    }
    text + " }"
}

/// A table of exactly one of these fields.
fn one_of(fields: &[&str], shape: fn(&str) -> String) -> String {
    let table = object(fields, &[], shape);
    format!("{table}, \"minProperties\": 1, \"maxProperties\": 1")
}

fn document(field: &str) -> String {
    match field {
        "application" => list(&reference("application")),
        "operator" => list(&reference("operator")),
        "policy" => list(&reference("policy")),
        "rule_group" => list(&reference("rule_group")),
        _ => reference("duration"),
    }
}

fn application(field: &str) -> String {
    match field {
        "name" => reference("name"),
        "evaluation" => words(&["candidates", "first_match"]),
        "policy" => {
            let by_name = object(&["use"], &["use"], |_| reference("name"));
            list(&format!(
                "{{ \"anyOf\": [{}, {{ {by_name} }}] }}",
                reference("policy")
            ))
        }
        "target" => format!("{{ {} }}", several(&reference("criterion"))),
        _ => reference("duration"),
    }
}

fn operator(field: &str) -> String {
    match field {
        "name" => reference("name"),
        "may" => filled(&words(&OperatorAction::ALL.map(OperatorAction::name))),
        "target" => format!("{{ {} }}", several(&reference("criterion"))),
        "include" => filled(&reference("rule")),
        _ => list(&reference("rule")),
    }
}

fn criterion(field: &str) -> String {
    match field {
        "port" => reference("ports"),
        "include" => filled(&reference("target_rule")),
        _ => list(&reference("target_rule")),
    }
}

fn target_rule(field: &str) -> String {
    match field {
        "any_target" => "{ \"const\": true }".into(),
        "tag" => {
            let names = reference("names");
            format!(
                "{{ \"type\": \"object\", \"minProperties\": 1, \"maxProperties\": 1, \"additionalProperties\": {names} }}"
            )
        }
        _ => reference("names"),
    }
}

fn policy(field: &str) -> String {
    match field {
        "name" => reference("name"),
        "action" => words(&["allow", "block"]),
        "include" => filled(&reference("rule")),
        "exclude" | "require" => list(&reference("rule")),
        "missing_in_exclude" => words(&["denies", "ignored"]),
        "allow_email_alias" => "{ \"type\": \"boolean\" }".into(),
        "usernames" | "subsystems" | "env" => list(&reference("name")),
        "permit" => list(&words(GRANTABLE)),
        "max_channels" => "{ \"type\": \"integer\", \"minimum\": 1, \"maximum\": 1024 }".into(),
        "recording" => words(&["strict", "bounded", "metadata_only"]),
        "forward_recording" => words(&["full", "digest", "none"]),
        "hidden_input" => words(&["never", "sealed", "always"]),
        "step_up" => list(&words(&["security_key", "reason", "approval"])),
        "approvers" | "recipients" => reference("names"),
        "when_lost" => words(&["end", "report"]),
        "jump" | "local_forward" | "remote_forward" => list(&reference("destination")),
        "stream_local" => list(&reference("path")),
        "commands" => {
            let patterns =
                |_: &str| list("{ \"type\": \"string\", \"minLength\": 1, \"maxLength\": 4096 }");
            format!(
                "{{ {}, \"minProperties\": 1 }}",
                object(&["allow", "deny"], &[], patterns)
            )
        }
        "files" => {
            let rule = object(&["may", "path"], &["may", "path"], |field| match field {
                "path" => reference("path"),
                _ => format!("{{ {} }}", several(&words(&["upload", "download"]))),
            });
            list(&format!("{{ {rule} }}"))
        }
        _ => reference("duration"),
    }
}

fn rule(field: &str) -> String {
    match field {
        "everyone" | "any_service_token" | "managed_device" => "{ \"const\": true }".into(),
        "authenticated_within" => reference("duration"),
        "country" => format!(
            "{{ {} }}",
            several("{ \"type\": \"string\", \"minLength\": 2, \"maxLength\": 2 }")
        ),
        "group" => {
            let fields = &["name", "provider"];
            let group = object(fields, fields, |_| reference("name"));
            format!("{{ {} }}", several(&format!("{{ {group} }}")))
        }
        "device_posture" => {
            let check = object(&["check", "max_age"], &["check"], |field| match field {
                "check" => reference("name"),
                _ => reference("duration"),
            });
            let check = format!("{{ \"anyOf\": [{}, {{ {check} }}] }}", reference("name"));
            format!("{{ {} }}", several(&check))
        }
        "time" => {
            let window = object(
                &["days", "from", "to", "zone"],
                &["zone"],
                |field| match field {
                    "days" => format!("{{ {} }}", several(&words(&DAYS))),
                    "zone" => reference("name"),
                    _ => r#"{ "type": "string", "pattern": "^[0-2][0-9]:[0-5][0-9]$" }"#.into(),
                },
            );
            format!("{{ {} }}", several(&format!("{{ {window} }}")))
        }
        "date" => {
            let moment = |_: &str| r#"{ "type": "string", "format": "date-time" }"#.into();
            format!(
                "{{ {}, \"minProperties\": 1 }}",
                object(&["from", "until"], &[], moment)
            )
        }
        _ => reference("names"),
    }
}

fn destination(field: &str) -> String {
    match field {
        "port" => reference("ports"),
        _ => reference("name"),
    }
}
