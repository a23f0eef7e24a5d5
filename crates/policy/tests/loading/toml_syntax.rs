//! Which texts are TOML: the judge is the `toml` crate.

use policy::PolicySet;
use proptest::prelude::*;

/// Whether the loader takes `text` for TOML, whatever it thinks of what it says.
fn is_toml(text: &str) -> bool {
    let Err(error) = PolicySet::from_toml(text) else {
        return true;
    };
    let is_syntax =
        |help: &str| help.starts_with("write TOML") || help == "write each key once in a table";
    !error
        .problems()
        .iter()
        .any(|problem| is_syntax(&problem.help))
}

fn judged(text: &str) {
    let judge = text.parse::<toml::Table>();
    assert_eq!(is_toml(text), judge.is_ok(), "{text:?}: {judge:?}");
}

/// As `judged`, but for dates and fractions: no field takes one, so a wrong one may be refused as of the wrong type.
fn judged_but_for_dates(text: &str) {
    match text.parse::<toml::Table>() {
        Ok(_) => assert!(is_toml(text), "{text:?}"),
        Err(error) => assert!(PolicySet::from_toml(text).is_err(), "{text:?}: {error}"),
    }
}

#[test]
fn tables_that_are_put_together_from_several_places_are_told_from_those_written_twice() {
    let lines = [
        "a = 1",
        "a.b = 1",
        "a.c = 1",
        "a.b.c = 1",
        "a = { b = 1 }",
        "a = { b.c = 1, b.d = 2 }",
        "a = []",
        "a = [{ b = 1 }]",
        "[a]",
        "[a.b]",
        "[a.b.c]",
        "[[a]]",
        "[[a.b]]",
        "[[a.b.c]]",
        "b = 1",
        "b.c = 1",
        "c.d = 1",
        "[b]",
        "\"a\" = 1",
        "['a']",
    ];
    for one in lines {
        judged(one);
        for other in lines {
            judged(&format!("{one}\n{other}\n"));
            for third in lines {
                judged(&format!("{one}\n{other}\n{third}\n"));
            }
        }
    }
}

#[test]
fn values_of_all_kinds_are_told_from_what_is_none() {
    for value in [
        "1",
        "-1",
        "+1",
        "01",
        "0x1f",
        "0o17",
        "0b11",
        "1_000",
        "1__0",
        "1.5",
        "1e3",
        "1.",
        ".5",
        "inf",
        "-nan",
        "true",
        "True",
        "1979-05-27",
        "1979-05-27T07:32:00Z",
        "07:32:00",
        "1979-05-27 07:32:00",
        "\"a\"",
        "'a'",
        "\"\"\"\na\"\"\"",
        "'''a'''",
        "\"\\u00e9\"",
        "\"\\q\"",
        "\"a",
        "'a",
        "[1, 2,]",
        "[1 2]",
        "[1, [2]]",
        "{}",
        "{ a = 1 }",
        "{ a = 1, }",
        "{ a = 1 b = 2 }",
        "{ a = 1, a = 2 }",
        "",
    ] {
        judged_but_for_dates(&format!("key = {value}\n"));
        judged_but_for_dates(&format!("key = [{value}]\n"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn texts_with_a_slip_are_judged_alike(at in any::<prop::sample::Index>(), length in 0_usize..6, put in "[\\[\\]{}=.,#\"'a-c1\n ]{0,3}") {
        const GOOD: &str = include_str!("../bounds/every_field.toml");
        let from = at.index(GOOD.len());
        let to = (from + length).min(GOOD.len());
        if GOOD.is_char_boundary(from) && GOOD.is_char_boundary(to) {
            judged_but_for_dates(&format!("{}{put}{}", &GOOD[..from], &GOOD[to..]));
        }
    }
}
