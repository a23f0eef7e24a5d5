//! Fields, names, includes, circles (rules L1 to L3 of SPEC.md).

use super::{refused, refused_in_policy, refused_rule, with_policy};

#[test]
fn a_key_written_twice_is_a_problem() {
    refused_in_policy(
        "usernames = [\"root\"]",
        "line 12: duplicate key; write each key once in a table",
    );
}

#[test]
fn unknown_fields_are_problems_with_a_guess_at_what_was_meant() {
    refused_in_policy(
        "username = [\"root\"]",
        "line 12: application[0].policy[0].username: unknown field `username`; write `usernames`, or remove it",
    );
    refused_in_policy(
        "approval = true",
        "line 12: application[0].policy[0].approval: unknown field `approval`; remove it, or write one of `action`, \
         `allow_email_alias`, `approvers`, `commands`, `env`, `exclude`, `files`, `forward_recording`, `hidden_input`, `idle_timeout`, `include`, \
         `jump`, `local_forward`, `max_channels`, `max_login_age`, `max_session`, `missing_in_exclude`, `name`, `permit`, `recipients`, `recording`, \
         `reevaluate`, `remote_forward`, `require`, `step_up`, `stream_local`, `subsystems`, `usernames`, `when_lost`",
    );
    refused(
        "[[aplication]]\nname = \"a\"\n[[application]]\nname = \"a\"\ntarget = { include = [{ any_target = true }] }\n",
        "line 1: aplication: unknown field `aplication`; write `application`, or remove it",
    );
    refused(
        &with_policy("use = \"staff policy\"\nusernames = [\"root\"]\n[[policy]]\nname = \"staff policy\"\naction = \"allow\"\ninclude = [{ everyone = true }]\nusernames = [\"a\"]")
            .replace("[[application.policy]]\nname = \"uses", "[[application]]\nname = \"b\"\ntarget = { include = [{ any_target = true }] }\n[[application.policy]]\nname = \"uses"),
        "line 10: application[0].policy[0].usernames: unknown field `usernames`; remove it, or write one of `use`",
    );
}

#[test]
fn names_used_twice_are_problems() {
    refused(
        &with_policy(
            "name = \"uses the group\"\naction = \"block\"\ninclude = [{ everyone = true }]",
        ),
        "line 13: application[0].policy[1].name: this application already has a policy `uses the group`; write a name of its own, or remove the repetition",
    );
    let application =
        "[[application]]\nname = \"a\"\ntarget = { include = [{ any_target = true }] }\n";
    refused(
        &application.repeat(2),
        "line 5: application[1].name: there is another application `a`; write a name of its own",
    );
    let operator = "[[operator]]\nname = \"o\"\nmay = [\"list\"]\ninclude = [{ everyone = true }]\ntarget = { include = [{ any_target = true }] }\n";
    refused(
        &operator.repeat(2),
        "line 7: operator[1].name: there is another operator `o`; write a name of its own",
    );
    let group = "[[rule_group]]\nname = \"g\"\ninclude = [{ everyone = true }]\n";
    refused(
        &group.repeat(2),
        "line 5: rule_group[1].name: there is another rule group `g`; write a name of its own",
    );
    let policy = "[[policy]]\nname = \"p\"\naction = \"block\"\ninclude = [{ everyone = true }]\n";
    refused(
        &policy.repeat(2),
        "line 6: policy[1].name: there is another policy `p`; write a name of its own",
    );
    let twice = "policy = [{ use = \"p\" }, { use = \"p\" }]\n";
    refused(
        &format!("{application}{twice}{policy}"),
        "line 4: application[0].policy[1].use: this application already has a policy `p`; write a name of its own, or remove the repetition",
    );
}

#[test]
fn names_of_nothing_are_problems() {
    refused_rule(
        "{ rule_group = \"stuff\" }",
        "line 12: application[0].policy[0].require[0].rule_group: there is no rule group `stuff`; write `staff`, or add a `[[rule_group]]` of that name",
    );
    refused_rule(
        "{ rule_group = [\"staff\", \"something else\"] }",
        "line 12: application[0].policy[0].require[0].rule_group[1]: there is no rule group `something else`; add a `[[rule_group]]` of that name",
    );
    refused(
        &with_policy("use = \"p\""),
        "line 9: application[0].policy[0].use: there is no reusable policy `p`; add a `[[policy]]` of that name",
    );
}

#[test]
fn rule_groups_in_a_circle_are_problems() {
    refused(
        "[[rule_group]]\nname = \"a\"\ninclude = [{ rule_group = \"a\" }]\n",
        "line 1: rule_group[0]: rule groups go in a circle: `a` uses `a`; take one of these uses out",
    );
    let text = "[[rule_group]]\nname = \"outside\"\ninclude = [{ rule_group = \"a\" }]\n\
        [[rule_group]]\nname = \"a\"\ninclude = [{ everyone = true }]\nexclude = [{ rule_group = \"b\" }]\n\
        [[rule_group]]\nname = \"b\"\ninclude = [{ rule_group = [\"leaf\", \"c\"] }]\n\
        [[rule_group]]\nname = \"c\"\ninclude = [{ everyone = true }]\nrequire = [{ rule_group = \"a\" }]\n\
        [[rule_group]]\nname = \"leaf\"\ninclude = [{ everyone = true }]\n";
    refused(
        text,
        "line 4: rule_group[1]: rule groups go in a circle: `a` uses `b` uses `c` uses `a`; take one of these uses out",
    );
}

#[test]
fn includes_that_are_missing_or_empty_are_problems() {
    let help = "write whom it is about, as in `include = [{ email_domain = \"example.com\" }]`";
    refused_in_policy(
        "include = []",
        &format!(
            "line 12: application[0].policy[0].include: an empty `include` matches nobody; {help}"
        ),
    );
    refused(
        &with_policy("name = \"p\"\naction = \"block\""),
        &format!("line 8: application[0].policy[0]: `include` is missing; {help}"),
    );
    refused_in_policy(
        "include = [{ email = [] }]",
        "line 12: application[0].policy[0].include[0].email: an empty list matches nobody; write at least one value, or remove the rule",
    );
    refused_in_policy(
        "include = [{ rule_group = [] }]",
        "line 12: application[0].policy[0].include[0].rule_group: an empty list matches nobody; write at least one value, or remove the rule",
    );
    refused(
        "[[application]]\nname = \"a\"\ntarget = { port = 22 }\n",
        "line 3: application[0].target: an `include` that is missing or empty matches no target; \
         write which targets, as in `include = [{ hostname = \"db-1\" }]` or `include = [{ any_target = true }]`",
    );
    refused(
        "[[application]]\nname = \"a\"\ntarget = []\n",
        "line 3: application[0].target: an empty list matches no target; \
         write which targets, as in `include = [{ hostname = \"db-1\" }]` or `include = [{ any_target = true }]`",
    );
    refused(
        "[[application]]\nname = \"a\"\n",
        "line 1: application[0]: `target` is missing; write which, as in `target = [{ include = [{ tag = { env = \"prod\" } }] }]`",
    );
}

#[test]
fn an_allow_without_users_and_a_block_with_users_are_problems() {
    refused(
        &with_policy(
            "name = \"p\"\naction = \"allow\"\ninclude = [{ everyone = true }]\nusernames = []",
        ),
        "line 8: application[0].policy[0]: an allow policy without users lets nobody in; \
         write `usernames = [\"deploy\"]`, or `allow_email_alias = true` for the person's own",
    );
    for field in [
        "usernames = [\"root\"]",
        "allow_email_alias = true",
        "permit = [\"shell\"]",
        "subsystems = []",
        "env = []",
        "max_channels = 4",
        "recording = \"strict\"",
        "max_session = \"1h\"",
        "idle_timeout = \"1h\"",
    ] {
        let name = field.split_once(' ').unwrap().0;
        refused(
            &with_policy(&format!(
                "name = \"p\"\naction = \"block\"\ninclude = [{{ everyone = true }}]\n{field}"
            )),
            &format!(
                "line 12: application[0].policy[0].{name}: a block policy keeps out every user and grants nothing, \
                 so `{name}` means nothing; remove `{name}`"
            ),
        );
    }
}

#[test]
fn a_block_that_ignores_what_is_missing_is_a_problem() {
    let block = "name = \"p\"\naction = \"block\"\ninclude = [{ everyone = true }]\nexclude = [{ rule_group = \"staff\" }]";
    refused(
        &with_policy(&format!("{block}\nmissing_in_exclude = \"ignored\"")),
        "line 13: application[0].policy[0].missing_in_exclude: in a block policy `ignored` could only weaken the block; \
         remove `missing_in_exclude`",
    );
    super::load(&with_policy(&format!(
        "{block}\nmissing_in_exclude = \"denies\""
    )))
    .unwrap();
}
