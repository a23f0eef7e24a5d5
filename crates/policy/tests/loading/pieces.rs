//! A document is read in pieces, its applications one by one. However it is laid out, it says the same, and so do its problems.

use policy::PolicySet;

const GOOD: &str = include_str!("../bounds/every_field.toml");

/// The same document with headers that are not looked for, so that it is read whole.
fn in_one_piece(text: &str) -> String {
    let indented = text.replace("\n[[application]]", "\n [[application]]");
    match indented.strip_prefix("[[application]]") {
        Some(rest) => format!(" [[application]]{rest}"),
        None => indented,
    }
}

/// The whole set, or the problems without their columns.
fn outcome(result: Result<PolicySet, policy::LoadError>) -> String {
    match result {
        Ok(set) => without_columns(&format!("{set:?}")),
        Err(error) => error.to_string(),
    }
}

fn without_columns(text: &str) -> String {
    const COLUMN: &str = "column: Some(";
    let mut parts = text.split(COLUMN);
    let mut kept = parts.next().unwrap().to_owned();
    for part in parts {
        kept.push_str(part.trim_start_matches(|character: char| character.is_ascii_digit()));
    }
    kept
}

#[track_caller]
fn says_the_same(one: &str, other: &str) {
    let (one, other) = (PolicySet::from_toml(one), PolicySet::from_toml(other));
    assert_eq!(outcome(one), outcome(other));
}

const GROUP: &str = "[[rule_group]]\nname = \"g\"\ninclude = [{ email = \"ann@example.com\" }]\n";
const REUSABLE: &str = "[[policy]]\nname = \"r\"\naction = \"allow\"\nusernames = [\"deploy\"]\ninclude = [{ rule_group = \"g\" }]\n";

fn application(name: &str) -> String {
    format!(
        "[[application]]\nname = \"{name}\"\ntarget = {{ include = [{{ hostname = \"{name}\" }}] }}\n[[application.policy]]\nuse = \"r\"\n"
    )
}

#[test]
fn the_order_of_tables_does_not_matter() {
    let (a, b) = (application("a"), application("b"));
    let plain = format!("max_session = \"8h\"\n{GROUP}{REUSABLE}{a}{b}");
    PolicySet::from_toml(&plain).unwrap();
    for text in [
        format!("max_session = \"8h\"\n{a}{b}{REUSABLE}{GROUP}"),
        format!("max_session = \"8h\"\n{a}{GROUP}{b}{REUSABLE}"),
        format!(
            "max_session = \"8h\"\n{}",
            format!("{GROUP}{REUSABLE}{a}{b}").replace("[[application]]", "[[ application\t]]")
        ),
        format!("max_session = \"8h\"\n{GROUP}{REUSABLE}{a}{b}").replace('\n', "\r\n"),
        format!(
            "max_session = \"8h\"\n{}{GROUP}{REUSABLE}{b}",
            a.replace("[[application.policy]]\nuse = \"r\"\n", "")
        )
        .replace(
            "[[rule_group]]",
            "policy = [{ use = \"r\" }]\n[[rule_group]]",
        ),
        in_one_piece(&plain),
    ] {
        says_the_same(&plain, &text);
    }
}

#[test]
fn applications_that_are_taken_up_again_after_another_table_are_one() {
    let (a, b) = (application("a"), application("b"));
    let (head, policies) = b.split_at(b.find("[[application.policy]]").unwrap());
    says_the_same(
        &format!("{GROUP}{REUSABLE}{a}{b}"),
        &format!("{REUSABLE}{a}{head}{GROUP}{policies}"),
    );
}

#[test]
fn a_line_of_a_text_that_looks_like_a_header_is_none() {
    let text = format!(
        "{GROUP}{REUSABLE}{}",
        application("a").replace("\"a\"", "'''a\n[[application]]\n'''")
    );
    let error = PolicySet::from_toml(&text).unwrap_err().to_string();
    assert!(
        error.contains("application[0].name: a name has control characters"),
        "{error}"
    );
    says_the_same(
        &text,
        &in_one_piece(&text).replace("\n [[application]]\n'''", "\n[[application]]\n'''"),
    );
}

#[test]
fn applications_in_two_forms_are_a_repeated_key() {
    for other in [
        "application = []\n",
        "application = 1\n",
        "[application]\n",
        "[application.x]\n",
    ] {
        let text = format!("{other}{}", application("a"));
        let error = PolicySet::from_toml(&text).unwrap_err().to_string();
        assert!(error.contains("duplicate key"), "{other}: {error}");
        says_the_same(&text, &in_one_piece(&text));
        let quoted = other.replace("application", "\"application\"");
        says_the_same(&text, &format!("{quoted}{}", application("a")));
    }
}

#[test]
fn a_mutilated_document_has_the_same_problems_in_pieces_and_whole() {
    for (end, _) in GOOD.char_indices() {
        let cut = &GOOD[..end];
        says_the_same(cut, &in_one_piece(cut));
    }
    for index in 0..GOOD.len() {
        let mut bytes = GOOD.as_bytes().to_vec();
        bytes[index] ^= 1 << (index % 8);
        if let Ok(text) = String::from_utf8(bytes) {
            says_the_same(&text, &in_one_piece(&text));
        }
    }
}

#[test]
fn json_with_the_applications_first_or_last_says_the_same() {
    let groups = r#""rule_group": [{"name": "g", "include": [{"email": "ann@example.com"}]}]"#;
    let policies = r#""policy": [{"name": "r", "action": "allow", "usernames": ["deploy"], "include": [{"rule_group": "g"}]}]"#;
    let one = |name: &str| {
        format!(
            r#"{{"name": "{name}", "target": {{"include": [{{"hostname": "{name}"}}]}}, "policy": [{{"use": "r"}}]}}"#
        )
    };
    let list = format!("[{}, {}]", one("a"), one("\\u0062"));
    let load = |text: &str| outcome(PolicySet::from_json(text));
    let plain = load(&format!(
        "{{{groups}, {policies}, \"application\": {list}}}"
    ));
    assert!(plain.starts_with("PolicySet"), "{plain}");
    for text in [
        format!("{{\"application\": {list}, {groups}, {policies}}}"),
        format!("{{{policies}, \"applic\\u0061tion\" :\n{list} , {groups}}}"),
    ] {
        assert_eq!(load(&text), plain);
    }
    for (wrong, fault) in [
        (list.replace("}, {", "} {"), "a `,` or `]` is expected here"),
        (list.replace("}]}]", "}]}, ]"), "a value is expected here"),
        (
            list.replace("\"use\"", "\"use\": 1, \"use\""),
            "duplicate key",
        ),
        (
            list.replace("\"r\"}]}, ", "\"r\"}}, "),
            "a `,` or `]` is expected here",
        ),
        ("[1]".to_owned(), "a table is expected here, not a number"),
        ("[null]".to_owned(), "a list cannot hold `null`"),
        (list.replace("\"\\u0062\"", "b"), "a value is expected here"),
        (format!("{list}, \"application\": []"), "duplicate key"),
    ] {
        assert_ne!(wrong, list);
        let error = load(&format!(
            "{{{groups}, {policies}, \"application\": {wrong}}}"
        ));
        assert!(error.contains(fault), "{wrong}: {error}");
    }
}
