//! Cloudflare's documents and the schema of ours.

use super::*;

#[test]
fn what_cloudflare_writes_is_checked_and_asked_as_strictly_as_it_is_imported() {
    let world = World::new();
    let account = r#"{ "result": [{ "id": "a", "name": "production", "type": "infrastructure",
        "target_criteria": [{ "port": 22, "protocol": "SSH", "target_attributes": { "hostname": ["web-1"] } }],
        "policies": [{ "id": "p", "name": "ann", "decision": "allow", "precedence": 1,
            "include": [{ "email": { "email": "ann@example.com" } }],
            "connection_rules": { "ssh": { "usernames": ["deploy"] } } }] }] }"#;
    world.write("account.json", account);
    let check = world.run(&["check", "--strict-cloudflare", "account.json"]);
    assert_eq!(check.code, 0, "{}", check.err);
    let decide = [
        "decide",
        "--strict-cloudflare",
        "--policy",
        "account.json",
        "--request",
        "request.toml",
    ];
    let decided = world.run(&decide);
    assert_eq!(decided.code, 0, "{}{}", decided.out, decided.err);
    world.write(
        "account.json",
        &account.replace(
            "\"email\": { \"email\": \"ann@example.com\" }",
            "\"ip\": { \"ip\": \"10.0.0.0/8\" }",
        ),
    );
    for arguments in [
        &["check", "--strict-cloudflare", "account.json"][..],
        &decide,
    ] {
        let refused = world.run(arguments);
        assert_eq!(refused.code, 3);
        assert!(
            refused.err.contains("account.json: line 4: policies[0].include[0].ip: infrastructure applications have no selector `ip`; use another selector, or import it without `--strict-cloudflare`"),
            "{}",
            refused.err
        );
    }
}

#[test]
fn the_schema_is_the_one_that_is_shipped() {
    let shipped =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/policy/schema/policy.schema.json");
    assert_eq!(
        World::new().run(&["schema"]).out,
        fs::read_to_string(shipped).unwrap()
    );
}

#[test]
fn what_cloudflare_writes_becomes_a_policy_that_checks() {
    let world = World::new();
    let account = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../crates/policy/tests/cloudflare/account.json");
    let account = account.to_str().unwrap();
    let imported = world.run(&["import-cloudflare", account]);
    assert_eq!(imported.code, 0, "{}", imported.err);
    assert!(
        imported
            .err
            .contains("targets of protocol `RDP` are left out"),
        "{}",
        imported.err
    );
    world.write("imported.toml", &imported.out);
    assert_eq!(world.run(&["check", "imported.toml"]).code, 0);
    let strict = world.run(&["import-cloudflare", "--strict-cloudflare", account]);
    assert_eq!(strict.code, 3);
    assert!(
        strict
            .err
            .contains("infrastructure applications have no decision `deny`"),
        "{}",
        strict.err
    );
}
