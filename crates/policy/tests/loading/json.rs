//! The same document in JSON, RFC 8259.

use policy::PolicySet;

fn refused(text: &str, expected: &str) {
    let error = PolicySet::from_json(text).unwrap_err();
    assert_eq!(error.to_string(), expected, "{text}");
}

const HELP: &str = "write JSON: `{\"name\": \"text\", \"names\": [\"a\", \"b\"]}`";

#[test]
fn a_document_in_json_loads_as_in_toml() {
    let text = r#"{
        "application": [{
            "name": "a\u0020\ud83d\ude00 \"x\"", "evaluation": null,
            "target": {"port": 22, "include": [{"any_target": true}]},
            "policy": [{
                "name": "p", "action": "allow", "usernames": ["deploy"],
                "include": [{"email": ["ann@example.com"]}]
            }]
        }]
    }"#;
    let set = PolicySet::from_json(text).unwrap();
    assert!(set.warnings().is_empty(), "{:?}", set.warnings());
    let unknown = text.replace("\"action\"", "\"acton\"");
    let error = PolicySet::from_json(&unknown).unwrap_err().to_string();
    assert!(
        error.contains(
            "line 6: application[0].policy[0].acton: unknown field `acton`; write `action`"
        ),
        "{error}"
    );
}

#[test]
fn wrong_json_is_reported_with_its_line() {
    for (text, what) in [
        ("", "a value is expected here"),
        ("\n[]", "the document is no object"),
        ("\nnull", "the document is `null`"),
        ("\n{} {}", "there is more after the end of the document"),
        ("\n{\"a\" 1}", "a `:` is expected here"),
        ("\n{\"a\": 1 \"b\"}", "a `,` or `}` is expected here"),
        ("\n{\"a\": [1 2]}", "a `,` or `]` is expected here"),
        ("\n{\"a\": [1,]}", "a value is expected here"),
        ("\n{\"a\": [null]}", "a list cannot hold `null`"),
        ("\n{a: 1}", "a key in quotes is expected here"),
        ("\n{\"a\": 01}", "this is no number"),
        ("\n{\"a\": -}", "this is no number"),
        ("\n{\"a\": 1.}", "this is no number"),
        ("\n{\"a\": 1e}", "this is no number"),
        ("\n{\"a\": \"\\x\"}", "there is no such escape"),
        (
            "\n{\"a\": \"\\ud800\"}",
            "this escape is half of a character",
        ),
        (
            "\n{\"a\": \"\\u12g4\"}",
            "four hexadecimal digits are expected here",
        ),
        ("\n{\"a\": \"b}", "this text has no closing quote"),
        ("\n{\"a\": \"\t\"}", "a text has a control character"),
        ("\n{\"a\": tru}", "a value is expected here"),
    ] {
        let line = if text.is_empty() { 1 } else { 2 };
        refused(text, &format!("line {line}: {what}; {HELP}"));
    }
    for text in [
        "\n{\"a\": 1, \"a\": 2}",
        "\n{\"a\": null, \"a\": 2}",
        "\n{\"a\": 1, \"a\": null}",
    ] {
        refused(
            text,
            "line 2: duplicate key; write each key once in a table",
        );
    }
}

#[test]
fn json_that_nests_without_end_is_refused() {
    let deep = format!("{{\"a\": {}", "[".repeat(1_000_000));
    refused(&deep, &format!("line 1: values nest too deep; {HELP}"));
    let keys: Vec<String> = (0..1000)
        .map(|number| format!("\"k{number}\": null"))
        .collect();
    let many = format!("{{{}}}", keys.join(","));
    refused(
        &many,
        &format!("line 1: an object has more than 128 keys; {HELP}"),
    );
}
