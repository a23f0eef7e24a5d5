//! How problems and warnings are told (rule L6 of SPEC.md).

use policy::limits;

use super::{load, refused, warned, with_policy};

#[test]
fn a_good_document_has_neither_problems_nor_warnings() {
    let text =
        with_policy("name = \"p\"\naction = \"block\"\ninclude = [{ ip = \"192.0.2.0/24\" }]");
    warned(&text, &[]);
}

#[test]
fn the_document_of_the_specification_loads_without_warnings() {
    let text = include_str!("../../SPEC.md");
    let (_, rest) = text.split_once("```toml\n").unwrap();
    let (document, _) = rest.split_once("```").unwrap();
    warned(document, &[]);
}

#[test]
fn wrong_toml_is_reported_with_its_line() {
    let error = load("[[application]]\nname = \n").unwrap_err();
    assert_eq!(error.problems()[0].line, 2);
    let error = load("[[application]\nname = \"a\"").unwrap_err();
    assert_eq!(error.problems()[0].line, 1);
    assert!(error.to_string().contains("write TOML"), "{error}");
}

#[test]
fn rules_that_nobody_can_meet_warn_in_an_allow_and_are_problems_elsewhere() {
    let requires = [
        ("{ country = [\"US\", \"PT\"] }", "country"),
        ("{ country = \"US\" }, { country = \"PT\" }", "country"),
        (
            "{ email = [\"a@example.com\", \"b@example.com\"] }",
            "email",
        ),
        ("{ email_domain = [\"a.com\", \"b.com\"] }", "email_domain"),
        ("{ login_method = [\"okta\", \"github\"] }", "login_method"),
        ("{ service_token = [\"a\", \"b\"] }", "service_token"),
        ("{ ip = [\"10.0.0.0/8\", \"192.0.2.0/24\"] }", "ip"),
        ("{ ip = \"10.0.0.0/8\" }, { ip = \"2001:db8::/32\" }", "ip"),
    ];
    let help = "to ask for any of several, put them into a rule group and require that";
    for (rules, attribute) in requires {
        let what = format!(
            "it requires several different values of `{attribute}` at once, which nobody has"
        );
        let allow = format!(
            "name = \"p\"\naction = \"allow\"\ninclude = [{{ everyone = true }}]\nusernames = [\"a\"]\nrequire = [{rules}]"
        );
        warned(
            &with_policy(&allow),
            &[&format!("line 8: application[0].policy[0]: {what}; {help}")],
        );
        let block = format!(
            "name = \"p\"\naction = \"block\"\ninclude = [{{ everyone = true }}]\nrequire = [{rules}]"
        );
        refused(
            &with_policy(&block),
            &format!("line 8: application[0].policy[0]: {what}; {help}"),
        );
        let group = format!(
            "[[rule_group]]\nname = \"g\"\ninclude = [{{ everyone = true }}]\nrequire = [{rules}]\n"
        );
        refused(&group, &format!("line 1: rule_group[0]: {what}; {help}"));
    }
    for rules in [
        "{ country = [\"US\", \"us\"] }",
        "{ ip = [\"10.0.0.0/8\", \"10.1.0.0/16\"] }",
        "{ authentication_method = [\"hwk\", \"mfa\"] }",
    ] {
        let allow = format!(
            "name = \"p\"\naction = \"allow\"\ninclude = [{{ everyone = true }}]\nusernames = [\"a\"]\nrequire = [{rules}]"
        );
        warned(&with_policy(&allow), &[]);
    }
}

#[test]
fn suspicious_documents_load_with_warnings() {
    warned(
        "",
        &[
            "line 1: there is no application, so everybody is denied everything; add an `[[application]]`",
        ],
    );
    warned(
        "[[application]]\nname = \"a\"\ntarget = { include = [{ any_target = true }] }\n\
         [[policy]]\nname = \"p\"\naction = \"block\"\ninclude = [{ everyone = true }]\n\
         [[rule_group]]\nname = \"g\"\ninclude = [{ everyone = true }]\n",
        &[
            "line 1: application[0]: an application without policies denies everybody; add an `[[application.policy]]`, or `policy = [{ use = \"…\" }]`",
            "line 4: policy[0]: no application uses this policy; add it to an application, `policy = [{ use = \"…\" }]`, or remove it",
            "line 8: rule_group[0]: nothing uses this rule group; use it in a rule, `{ rule_group = \"…\" }`, or remove it",
        ],
    );
    warned(
        &with_policy(
            "name = \"p\"\naction = \"block\"\ninclude = [{ authentication_method = \"MFA\" }]",
        ),
        &[
            "line 11: application[0].policy[0].include[0].authentication_method: `MFA` is no authentication method that RFC 8176 knows; \
           write `mfa`, `hwk`, `otp` or another of its names, if your identity provider reports them",
        ],
    );
}

#[test]
fn all_problems_are_listed_in_the_order_of_their_lines() {
    let text = with_policy(
        "name = \"p\"\naction = \"allow\"\nusernames = [\"*\"]\ninclude = [{ ip = \"x\" }, { country = \"PRT\" }]\npermit = [\"x11\"]",
    );
    let error = load(&text).unwrap_err();
    let lines: Vec<_> = error
        .problems()
        .iter()
        .map(|problem| problem.line)
        .collect();
    assert_eq!(lines, [11, 12, 12, 13]);
    assert_eq!(error.to_string().lines().count(), 4);
    assert_eq!(error.unlisted(), 0);
    assert_eq!(
        error.problems()[0].path,
        "application[0].policy[0].usernames[0]"
    );
    assert_eq!(error.problems()[0].column, Some(14));
}

#[test]
fn columns_count_characters() {
    let error = load("max_session = \"ä\" # ä\nidle_timeout = \"\"").unwrap_err();
    assert_eq!(error.problems()[0].column, Some(15));
    let error = load("ä = 1").unwrap_err();
    assert_eq!(
        (error.problems()[0].line, error.problems()[0].column),
        (1, Some(1))
    );
}

#[test]
fn no_more_problems_are_listed_than_the_limit() {
    let names: Vec<_> = (0..limits::MAX_PROBLEMS + 7).map(|_| "\"*\"").collect();
    let text = with_policy(&format!(
        "name = \"p\"\naction = \"allow\"\ninclude = [{{ everyone = true }}]\nusernames = [{}]",
        names.join(",")
    ));
    let error = load(&text).unwrap_err();
    assert_eq!(
        (error.problems().len(), error.unlisted()),
        (limits::MAX_PROBLEMS, 7)
    );
    assert!(error.to_string().ends_with("\nand 7 more"));
}

#[test]
fn what_a_message_quotes_is_short_and_harmless() {
    let text = format!("max_session = \"\\u001b]52;c;{}\"", "x".repeat(10_000));
    let message = load(&text).unwrap_err().to_string();
    assert!(
        !message.contains('\u{1b}') && message.len() < 300,
        "{message}"
    );
}

#[test]
fn excluding_everyone_warns_in_an_allow_and_is_a_problem_in_a_block() {
    let what = "line 8: application[0].policy[0]: it excludes everyone; \
        write in `exclude` only those who are an exception";
    let rules = "include = [{ email_domain = \"example.com\" }]\nexclude = [{ everyone = true }]";
    let allow = format!("name = \"p\"\naction = \"allow\"\nusernames = [\"a\"]\n{rules}");
    warned(&with_policy(&allow), &[what]);
    refused(
        &with_policy(&format!("name = \"p\"\naction = \"block\"\n{rules}")),
        what,
    );
}

#[test]
fn a_guess_is_made_up_to_two_slips() {
    let message = |field: &str| load(&format!("{field} = \"1h\"")).unwrap_err().to_string();
    assert!(message("idle_timeuot").contains("write `idle_timeout`"));
    assert!(message("Idle-Timeout").contains("write `idle_timeout`"));
    assert!(!message("idle_timuots").contains("write `idle_timeout`,"));
}
