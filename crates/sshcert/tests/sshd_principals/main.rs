//! Who may log in as whom: a real sshd with files and commands of principals says what `check_login` says.

#![cfg(unix)]
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/present.rs"]
mod present;
#[path = "../common/raw.rs"]
mod raw;
#[path = "../common/sshd.rs"]
mod server;

mod files;

use std::fs;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::{ca, put};
use files::FILES;
use present::{Attempt, Holder, TOUCHED, VERIFIED, is_paramiko_there, present};
use raw::{Raw, option};
use server::Sshd;
use sshcert::{
    AuthorizedPrincipals, CheckContext, EnforcedOption, Extension, LoginRefusal, LoginRule,
    Principals, PrincipalsFileError, PrincipalsSetting, Refusal, SetupError, SshdSetup,
    check_login, parse_trusted_user_ca_keys, trusted_user_ca_keys,
};

const ENFORCED: [EnforcedOption; 2] =
    [EnforcedOption::ForceCommand, EnforcedOption::VerifyRequired];

#[expect(clippy::disallowed_methods, reason = "sshd looks at the real clock")]
fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

fn certificate(principals: &[&str], command: Option<&str>) -> Vec<u8> {
    let now = unix_now().as_secs();
    Raw {
        principals: principals.iter().map(|name| (*name).into()).collect(),
        after: now - 60,
        before: now + 3_600,
        critical: command
            .map(|command| option("force-command", Some(command)))
            .into_iter()
            .collect(),
        ..Raw::default()
    }
    .sign()
}

fn login(
    certificate: &[u8],
    rule: &LoginRule,
    user: &str,
    source: &str,
) -> Result<sshcert::Login, Refusal> {
    let context = CheckContext::new(user, unix_now())
        .address(source.parse::<IpAddr>().unwrap())
        .enforcing(&ENFORCED);
    check_login(certificate, &[ca(1).public().clone()], rule, &context)
}

#[test]
fn sshd_reads_files_of_principals_as_the_rule_does() {
    if !is_paramiko_there() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("principals");
    let further = format!("AuthorizedPrincipalsFile {}", path.display());
    let trusted = trusted_user_ca_keys(&[ca(1).public().clone()]);
    let Some(sshd) = Sshd::start(&trusted, &further) else {
        return;
    };
    let held = certificate(&["jdoe@example.com", "ops"], None);
    let forced = certificate(&["ops"], Some("true"));
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut attempt = |name: &str, certificate: &[u8], content: &str| {
        attempts.push(Attempt {
            name: name.into(),
            source: "127.0.0.1",
            certificate: certificate.into(),
            holder: Holder::PlainKey,
            files: vec![(path.clone(), content.into())],
        });
    };
    for (name, content, _) in FILES {
        attempt(name, &held, content);
    }
    let same = "command=\"true\" ops\n";
    let other = "command=\"false\" ops\n";
    attempt("the same command twice", &forced, same);
    attempt("two commands", &forced, other);
    let on_a_token = token_certificate();
    for (name, holder, ..) in VERIFYING {
        attempts.push(Attempt {
            name: name.into(),
            source: "127.0.0.1",
            certificate: if holder == Holder::PlainKey {
                held.clone()
            } else {
                on_a_token.clone()
            },
            holder,
            files: vec![(path.clone(), VERIFYING_LINE.into())],
        });
    }
    let verdicts = present(&sshd, &attempts);

    let rule = |content| {
        LoginRule::user_name().principals_file(AuthorizedPrincipals::parse(content).unwrap())
    };
    for (name, content, expected) in FILES {
        let here = login(&held, &rule(content), &sshd.user, "127.0.0.1");
        assert_eq!(
            (verdicts[name], here.is_ok()),
            (expected, expected),
            "{name}: {here:?}\n{}",
            sshd.log()
        );
    }
    assert!(verdicts["the same command twice"]);
    let here = login(&forced, &rule(same), &sshd.user, "127.0.0.1").unwrap();
    assert_eq!(here.force_command(), Some("true"));
    assert!(!verdicts["two commands"]);
    let here = login(&forced, &rule(other), &sshd.user, "127.0.0.1");
    assert_eq!(here.unwrap_err(), Refusal::Login(LoginRefusal::Commands));
    for (name, holder, by_sshd, by_rule) in VERIFYING {
        let certificate = match holder {
            Holder::PlainKey => &held,
            Holder::SecurityKey { .. } => &on_a_token,
        };
        let here =
            login(certificate, &rule(VERIFYING_LINE), &sshd.user, "127.0.0.1").is_ok_and(|login| {
                holder.satisfies(
                    login.permits(Extension::NoTouchRequired),
                    login.is_verification_required(),
                )
            });
        assert_eq!((verdicts[name], here), (by_sshd, by_rule), "{name}");
    }
}

const VERIFYING_LINE: &str = "verify-required,no-touch-required ops\n";

/// Who holds a certificate before that line, and whether sshd and the rule let them in: a plain key cannot verify anybody,
/// which sshd overlooks.
const VERIFYING: [(&str, Holder, bool, bool); 4] = [
    ("plain key", Holder::PlainKey, true, false),
    (
        "token, untouched",
        Holder::SecurityKey { flags: VERIFIED },
        false,
        false,
    ),
    (
        "token, not verified",
        Holder::SecurityKey { flags: TOUCHED },
        false,
        false,
    ),
    (
        "token, verified",
        Holder::SecurityKey {
            flags: TOUCHED | VERIFIED,
        },
        true,
        true,
    ),
];

/// For `ops`, and the key as that of a token.
fn token_certificate() -> Vec<u8> {
    let now = unix_now().as_secs();
    let mut raw = Raw {
        name: b"sk-ssh-ed25519-cert-v01@openssh.com".to_vec(),
        principals: vec![b"ops".to_vec()],
        after: now - 60,
        before: now + 3_600,
        ..Raw::default()
    };
    put(&mut raw.key, b"ssh:");
    raw.sign()
}

#[test]
fn generated_configuration_lets_in_whom_it_says_and_nobody_else() {
    if !is_paramiko_there() {
        return;
    }
    let authorities = [ca(1).public().clone()];
    let user = Principals::one("jdoe@example.com").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("principals");
    fs::create_dir(&folder).unwrap();
    let as_file = PrincipalsSetting::FileInFolder(folder.to_str().unwrap().into());
    for setting in [as_file, PrincipalsSetting::EchoCommand] {
        let me = std::process::Command::new("id")
            .arg("-un")
            .output()
            .unwrap();
        let me = String::from_utf8(me.stdout).unwrap().trim().to_string();
        let trusted = directory.path().join("ca.pub");
        fs::write(&trusted, trusted_user_ca_keys(&authorities)).unwrap();
        let mut setup = SshdSetup::new(trusted.to_str().unwrap(), setting.clone()).unwrap();
        if let Some((path, content)) = setup.map(&me, &user).unwrap() {
            fs::write(path, content).unwrap();
        }
        let Some(sshd) = Sshd::start("", &setup.sshd_config()) else {
            return;
        };
        // The file of the authorities is set twice, and sshd takes the first one.
        fs::write(
            sshd.path().join("ca.pub"),
            trusted_user_ca_keys(&authorities),
        )
        .unwrap();
        let attempt = |name: &str, principals: &[&str]| Attempt {
            name: name.into(),
            source: "127.0.0.1",
            certificate: certificate(principals, None),
            holder: Holder::PlainKey,
            files: Vec::new(),
        };
        let attempts = [
            attempt("mapped", &["jdoe@example.com"]),
            attempt("the user's name", &[&me]),
            attempt("another", &["asmith@example.com"]),
        ];
        let verdicts = present(&sshd, &attempts);
        assert!(verdicts["mapped"], "{setting:?}: {}", sshd.log());
        assert!(!verdicts["the user's name"] && !verdicts["another"]);

        let rule = match &setting {
            PrincipalsSetting::EchoCommand => LoginRule::user_name().principals_command(
                AuthorizedPrincipals::of_echo_command("/bin/echo jdoe@example.com", &me).unwrap(),
            ),
            _ => LoginRule::user_name().principals_file(AuthorizedPrincipals::of(&user)),
        };
        let here = |index: usize| {
            let attempt: &Attempt = &attempts[index];
            login(&attempt.certificate, &rule, &me, "127.0.0.1").map(|_| ())
        };
        assert_eq!(here(0), Ok(()));
        let not_listed = Err(Refusal::Login(LoginRefusal::NotListed));
        assert_eq!(here(1), not_listed);
        assert_eq!(here(2), not_listed);
    }
}

#[test]
fn nobody_gets_in_by_their_own_name_where_a_command_maps_others() {
    if !is_paramiko_there() {
        return;
    }
    let mut setup = SshdSetup::new("/etc/ssh/ca.pub", PrincipalsSetting::EchoCommand).unwrap();
    let another = Principals::one("jdoe@example.com").unwrap();
    setup.map("somebody-else", &another).unwrap();
    let trusted = trusted_user_ca_keys(&[ca(1).public().clone()]);
    // Who runs the tests, which may be root, is mapped by nobody. sshd takes the first file of authorities, its own.
    let Some(sshd) = Sshd::start(&trusted, &setup.sshd_config()) else {
        return;
    };
    let names = [sshd.user.as_str(), "jdoe@example.com", ""];
    let attempts = names.map(|name| Attempt {
        name: name.into(),
        source: "127.0.0.1",
        certificate: certificate(&[name], None),
        holder: Holder::PlainKey,
        files: Vec::new(),
    });
    let verdicts = present(&sshd, &attempts);
    let printed = AuthorizedPrincipals::of_echo_command("/bin/echo", &sshd.user).unwrap();
    let rule = LoginRule::user_name().principals_command(printed);
    for attempt in &attempts {
        let here = login(&attempt.certificate, &rule, &sshd.user, "127.0.0.1");
        let not_listed = Refusal::Login(LoginRefusal::NotListed);
        assert_eq!(here.map(|_| ()), Err(not_listed), "{}", attempt.name);
        assert!(!verdicts[&attempt.name], "{}: {}", attempt.name, sshd.log());
    }
}

#[test]
fn what_a_line_demands_the_caller_must_promise_to_enforce() {
    let now = unix_now();
    let authorities = [ca(1).public().clone()];
    let on_a_token = token_certificate();
    let check = |options: &str, enforced: &[EnforcedOption]| {
        let list = AuthorizedPrincipals::parse(&format!("\n{options} ops\n")).unwrap();
        let rule = LoginRule::user_name().principals_file(list);
        let context = CheckContext::new("johndoe", now).enforcing(enforced);
        check_login(&on_a_token, &authorities, &rule, &context).map(|_| ())
    };
    let [command, verification] = ENFORCED;
    let not_enforced = Err(Refusal::Login(LoginRefusal::NotEnforced { line: 2 }));
    for (options, wanted, other) in [
        ("command=\"true\"", command, verification),
        ("verify-required", verification, command),
    ] {
        assert_eq!(check(options, &[]), not_enforced, "{options}");
        assert_eq!(check(options, &[other]), not_enforced, "{options}");
        assert_eq!(check(options, &[wanted]), Ok(()), "{options}");
    }
    // From where is not known.
    let elsewhere = Err(Refusal::Login(LoginRefusal::Address { line: 2 }));
    assert_eq!(check("from=\"*\"", &ENFORCED), elsewhere);
}

#[test]
fn rule_says_why_not_and_what_is_permitted() {
    let context = CheckContext::new("johndoe", unix_now()).address([10, 1, 2, 3].into());
    let find = |text: &str, names: &[&str]| {
        let list = AuthorizedPrincipals::parse(text).unwrap();
        let rule = LoginRule::user_name().principals_file(list);
        rule.find(names, &context).map(|_| ())
    };
    let by_name = LoginRule::user_name();
    assert!(by_name.find(&["a", "johndoe"], &context).is_ok());
    let refused = by_name.find(&["jdoe@example.com"], &context).map(|_| ());
    assert_eq!(refused, Err(LoginRefusal::NotTheUserName));
    assert_eq!(find("a\nb\n", &["c"]), Err(LoginRefusal::NotListed));
    let elsewhere = "\nfrom=\"192.0.2.0/24\" a\n";
    assert_eq!(
        find(elsewhere, &["a"]),
        Err(LoginRefusal::Address { line: 2 })
    );
    let expired = "expiry-time=\"20200101\" a\n";
    assert_eq!(
        find(expired, &["a"]),
        Err(LoginRefusal::Expired { line: 1 })
    );
    let authority = "cert-authority a\n";
    assert_eq!(
        find(authority, &["a"]),
        Err(LoginRefusal::ForAuthority { line: 1 })
    );

    // The file is asked first, then the command.
    let list = |text: &str| AuthorizedPrincipals::parse(text).unwrap();
    let both = LoginRule::user_name()
        .principals_file(list("from=\"192.0.2.1\" a\n"))
        .principals_command(list("a\nb\n"));
    let refused = both.find(&["a"], &context).map(|_| ());
    assert_eq!(refused, Err(LoginRefusal::Address { line: 1 }));
    assert!(both.find(&["b"], &context).is_ok());

    let blob = {
        let mut raw = Raw {
            name: b"sk-ssh-ed25519-cert-v01@openssh.com".to_vec(),
            principals: vec![b"a".to_vec()],
            ..Raw::default()
        };
        put(&mut raw.key, b"ssh:");
        raw.after = 0;
        raw.before = u64::MAX;
        raw.extensions = vec![
            option("no-touch-required", None),
            option("permit-port-forwarding", None),
            option("permit-pty", None),
        ];
        raw.sign()
    };
    let rule = LoginRule::user_name().principals_file(list(
        "restrict,port-forwarding,verify-required,command=\"x\" a\n",
    ));
    let login = login(&blob, &rule, "johndoe", "10.1.2.3").unwrap();
    assert!(login.permits(Extension::PermitPortForwarding));
    assert!(!login.permits(Extension::PermitPty));
    assert!(!login.permits(Extension::NoTouchRequired));
    assert!(!login.permits(Extension::PermitUserRc));
    assert!(login.is_verification_required());
    assert_eq!(login.force_command(), Some("x"));
    assert_eq!(login.line().unwrap().number(), 1);
}

#[test]
fn echo_prints_its_words_on_one_line_and_other_commands_cannot_be_told() {
    let printed = |command: &str| AuthorizedPrincipals::of_echo_command(command, "johndoe");
    assert_eq!(printed("/bin/echo a").unwrap().to_text(), "a\n");
    assert_eq!(
        printed("/usr/bin/echo  %u@x").unwrap().to_text(),
        "johndoe@x\n"
    );
    assert_eq!(printed("/bin/echo 100%%").unwrap().to_text(), "100%\n");
    assert_eq!(printed("/bin/echo").unwrap().to_text(), "");
    // The first word stands where options do.
    assert_eq!(printed("/bin/echo a b").unwrap().unusable_lines(), [1]);
    for command in [
        "/bin/cat x",
        "/bin/echo \"a b\"",
        "/bin/echo %h",
        "/bin/echo -n a",
        "/bin/echoes a",
        "/bin/echo %",
        "echo a",
    ] {
        assert_eq!(
            printed(command),
            Err(PrincipalsFileError::Command),
            "{command}"
        );
    }
}

#[test]
fn files_read_back_and_what_means_something_else_is_not_written() {
    let names = Principals::new(["a", "jdoe@example.com"]).unwrap();
    let list = AuthorizedPrincipals::of(&names);
    assert_eq!(list.to_text(), "a\njdoe@example.com\n");
    assert_eq!(AuthorizedPrincipals::parse(&list.to_text()), Ok(list));
    let text = "from=\"10.0.0.0/8\",no-pty a\n";
    assert_eq!(AuthorizedPrincipals::parse(text).unwrap().to_text(), text);

    let authorities = [ca(1).public().clone(), ca(2).public().clone()];
    let file = format!("# ours\n\n{}", trusted_user_ca_keys(&authorities));
    assert_eq!(parse_trusted_user_ca_keys(&file), Ok(authorities.to_vec()));
    assert!(parse_trusted_user_ca_keys("nothing\n").is_err());

    for path in [
        "ca.pub",
        "",
        "/a b",
        "/a\nPermitRootLogin yes",
        "/a\"",
        "/%u",
        "/#",
    ] {
        let refused = SshdSetup::new(path, PrincipalsSetting::UserName);
        assert_eq!(refused, Err(SetupError::Path), "{path:?}");
    }
    let setup = |setting| SshdSetup::new("/etc/ssh/ca.pub", setting).unwrap();
    let mut by_name = setup(PrincipalsSetting::UserName);
    assert_eq!(by_name.map("a", &Principals::one("a").unwrap()), Ok(None));
    assert_eq!(by_name.map("b", &names), Err(SetupError::NotTheUserName));
    assert_eq!(
        by_name.sshd_config(),
        "PubkeyAuthentication yes\nTrustedUserCAKeys /etc/ssh/ca.pub\n"
    );
    let mut files = setup(PrincipalsSetting::FileInFolder(
        "/etc/ssh/principals/".into(),
    ));
    let written = files.map("a", &names).unwrap().unwrap();
    assert_eq!(
        written,
        (
            "/etc/ssh/principals/a".into(),
            "a\njdoe@example.com\n".into()
        )
    );
    assert_eq!(files.map("a", &names), Err(SetupError::UserTwice));
    for user in ["", "a b", "../root", "a,b", "*", "a%u", "a\nb", "a=b"] {
        assert!(files.map(user, &names).is_err(), "{user:?}");
    }
    let mut echo = setup(PrincipalsSetting::EchoCommand);
    assert_eq!(echo.map("a", &names), Err(SetupError::OnePrincipal));
    let sharp = Principals::one("a#b").unwrap();
    assert_eq!(echo.map("a", &sharp), Err(SetupError::PrincipalCharacter));
    assert_eq!(files.map("c", &sharp), Err(SetupError::PrincipalCharacter));
    assert_eq!(echo.map("a", &Principals::one("b").unwrap()), Ok(None));
    assert!(echo.sshd_config().ends_with(
        "AuthorizedPrincipalsCommand /bin/echo\nAuthorizedPrincipalsCommandUser nobody\nMatch User a\n    AuthorizedPrincipalsCommand /bin/echo b\n    AuthorizedPrincipalsCommandUser nobody\n"
    ));
}
