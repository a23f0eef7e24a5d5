//! What the configuration says of an identity reaches the policy's decision.

use e2e::client::Door;
use e2e::house::through_the_proxy_with;
use e2e::need;
use e2e::proxy::Listener;

/// A rule, an identity's line that meets it, and one that does not.
const FACTS: [(&str, &str, &str); 5] = [
    (
        "device_posture = \"disk encrypted\"",
        "posture = [\"disk encrypted\"]",
        "posture = [\"firewall on\"]",
    ),
    ("managed_device = true", "managed_device = true", ""),
    (
        "authentication_method = \"hwk\"",
        "amr = [\"hwk\"]",
        "amr = [\"pwd\"]",
    ),
    ("country = \"PT\"", "country = \"PT\"", "country = \"KP\""),
    (
        "group = { provider = \"corp\", name = \"ops\" }",
        "groups = [\"corp:ops\"]",
        "groups = [\"other:ops\"]",
    ),
];

#[test]
fn each_fact_of_an_identity_opens_the_door_that_asks_for_it_and_no_other_does() {
    need!("ssh", "sshd");
    through_the_proxy_with(
        |plan| {
            let mut policies = String::from(
                "[[application]]\nname = \"servers\"\ntarget = [{ port = \"any\", include = [{ tag = { env = \"any\" } }] }]\n",
            );
            plan.proxy
                .target_lines
                .push("tags = { env = \"any\" }".into());
            plan.proxy.listeners.clear();
            for (number, (rule, met, unmet)) in FACTS.into_iter().enumerate() {
                policies += &format!(
                    "[[application.policy]]\nname = \"p{number}\"\naction = \"allow\"\nusernames = [\"{{user}}\"]\n\
                     include = [{{ email = [\"met{number}@example.com\", \"unmet{number}@example.com\"] }}]\nrequire = [{{ {rule} }}]\n"
                );
                for (name, facts) in [("met", met), ("unmet", unmet)] {
                    let name = format!("{name}{number}");
                    plan.proxy.more_tables += &format!(
                        "[[identity]]\nname = \"{name}\"\nemail = \"{name}@example.com\"\n{facts}\n\n"
                    );
                    plan.proxy.listeners.push(Listener::plain(&name));
                }
            }
            plan.proxy.policy = policies;
        },
        |house| {
            let user = &house.door.user;
            for (number, (rule, ..)) in FACTS.into_iter().enumerate() {
                let enter = |name: &str, listener: usize| {
                    let port = house.proxy().ports[listener];
                    let door = Door::new(&house.room, &format!("{name}{number}"), port, user, &[]);
                    door.ssh().run("echo in")
                };
                let let_in = enter("met", 2 * number);
                assert_eq!(let_in.out(), "in\n", "{rule}: {let_in:?}");
                let refused = enter("unmet", 2 * number + 1).expect_code(255);
                assert!(
                    refused.err().contains("access denied: "),
                    "{rule}: {refused:?}"
                );
                assert_eq!(refused.out(), "");
            }
        },
    );
}
