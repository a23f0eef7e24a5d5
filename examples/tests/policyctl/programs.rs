//! `--json`, as programs read it.

use super::*;

/// The keys of an object, or of the first of a list.
fn keys(value: &Value) -> Vec<&str> {
    let one = value.get(0).unwrap_or(value);
    let mut keys: Vec<&str> = one
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

#[test]
fn what_programs_read_has_the_keys_that_the_help_names() {
    let world = World::new();
    let help = world.run(&["--help"]).out;
    let decide = [
        "decide",
        "--policy",
        "policy.toml",
        "--request",
        "request.toml",
    ];
    let expect = |value: &Value, wanted: &str| {
        let found = keys(value).join(" ");
        assert_eq!(found, wanted);
        for key in found.split(' ') {
            assert!(help.contains(key), "the help does not name {key}");
        }
    };
    let allowed = world.json(&decide);
    expect(
        &allowed,
        "application asks_for decision env exec idle_timeout_secs login_is_fresh max_channels max_login_age_secs max_session_secs policy pty recording shell subsystems",
    );
    let explained = world.json(&[&decide[..], &["--explain"]].concat());
    expect(&explained["explanation"], "governs_target name policies");
    expect(
        &explained["explanation"][0]["policies"],
        "action name outcome rules",
    );
    world.write("request.toml", &REQUEST.replace("\"deploy\"", "\"nobody\""));
    expect(
        &world.json(&decide),
        "advice application closest decision person_reads policy reason",
    );
    expect(&world.json(&["check", "policy.toml"]), "problems warnings");
    world.write("bad.toml", "polcy = 1");
    let bad = world.json(&["check", "bad.toml"]);
    expect(&bad, "problems unlisted");
    expect(&bad["problems"], "column file help line path what");
    let who = [
        "who-can",
        "--policy",
        "policy.toml",
        "--target",
        "gate",
        "--user",
        "root",
    ];
    let who = world.json(&who);
    expect(&who, "identities policies");
    expect(&who["policies"], "action application by_alias policy rules");
    let access = [
        "access",
        "--policy",
        "policy.toml",
        "--identity",
        "ann@example.com",
        "--identities",
        "people.toml",
    ];
    let access = world.json(&access);
    expect(&access, "application blocked_by users");
    expect(&access[0]["users"], "policy user");
    let everyone = POLICY.replace("{ email_domain = \"example.com\" }", "{ everyone = true }");
    world.write("odd.toml", &everyone);
    let lint = world.json(&["lint", "odd.toml"]);
    expect(&lint, "findings warnings");
    expect(&lint["findings"], "application lint operator policy what");
    world.write("less.toml", &POLICY.replace("\"root\"", "\"admin\""));
    let diff = [
        "diff",
        "policy.toml",
        "less.toml",
        "--identities",
        "people.toml",
    ];
    expect(&world.json(&diff), "change identity policy target user");
    let operator = "[[operator]]\nname = \"o\"\nmay = [\"list\"]\ninclude = [{ email = \"ann@example.com\" }]\ntarget = { include = [{ hostname = \"gate\" }] }\n";
    world.write("policy.toml", &format!("{POLICY}{operator}"));
    world.write("more.toml", POLICY);
    let diff = [
        "diff",
        "policy.toml",
        "more.toml",
        "--identities",
        "people.toml",
    ];
    expect(&world.json(&diff), "action change identity operator target");
    let operator = [
        "operator",
        "--policy",
        "policy.toml",
        "--request",
        "request.toml",
    ];
    expect(&world.json(&operator), "action operator");
    let who = [
        "who-operates",
        "--policy",
        "policy.toml",
        "--target",
        "gate",
        "--identities",
        "people.toml",
    ];
    let who = world.json(&who);
    expect(&who, "identities operators");
    expect(&who["operators"], "may operator rules");
    expect(&who["identities"], "identity may");
}
