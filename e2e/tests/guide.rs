//! The guide in `examples/README.md`, done as it is written.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use e2e::live::Live;
use e2e::need;
use e2e::process::{Finished, Input, isolate, run, wait_until};
use e2e::room::{Room, current_user, free_port};
use e2e::sshd::{Sshd, SshdPlan};
use e2e::tools;

/// The guide, and what stands in a test for what it takes of a machine.
struct Guide {
    text: String,
    replacements: Vec<(String, String)>,
    room: Room,
}

impl Guide {
    /// The commands of a step, one text for each block.
    fn step(&self, number: usize) -> Vec<String> {
        let start = self.text.find(&format!("**{number}. ")).expect("the step");
        let rest = &self.text[start + 2..];
        let end = rest
            .find(&format!("**{}. ", number + 1))
            .or_else(|| rest.find("\n## "))
            .expect("its end");
        let blocks = rest[..end].split("```sh\n").skip(1);
        blocks
            .map(|block| self.replaced(block.split("```").next().expect("a closed block")))
            .collect()
    }

    fn replaced(&self, block: &str) -> String {
        self.replacements
            .iter()
            .fold(block.to_owned(), |block, (from, to)| {
                block.replace(from, to)
            })
    }

    fn command(&self, script: &str) -> Command {
        let mut command = Command::new("bash");
        isolate(&mut command);
        let own = tools::own("audit_proxy");
        let own = own.parent().and_then(Path::to_str).expect("a path");
        let path = std::env::var("PATH").expect("a search path");
        command
            .env("HOME", self.room.folder())
            .env("PATH", format!("{own}:{path}:/usr/sbin"));
        // As every login sets it.
        command.env("USER", current_user());
        command.args(["-c", script]);
        command
    }

    #[track_caller]
    fn follow(&self, script: &str) -> Finished {
        run(
            &mut self.command(script),
            Input::Bytes(b"echo logged in as $(id -un)\n"),
            Duration::from_secs(20),
        )
    }
}

#[test]
fn the_five_minutes_of_the_guide_work_as_written() {
    need!("ssh", "sshd", "ssh-keyscan", "bash");
    let room = Room::new();
    // The only differences: a server of the test's own, ports that are free, and an `ssh` that keeps to itself.
    let [plain, connect] = [free_port(), free_port()];
    let known_hosts = room.path("known_hosts");
    let config = room.write(
        "ssh_config",
        format!(
            "UserKnownHostsFile {}\nStrictHostKeyChecking accept-new\nIdentityAgent none\nIdentityFile none\nBatchMode yes\nUser {}\n",
            known_hosts.display(),
            current_user()
        ),
    );
    let mut guide = Guide {
        text: fs::read_to_string(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../examples/README.md"
        ))
        .expect("the guide"),
        replacements: vec![
            ("2222".to_owned(), plain.to_string()),
            ("8022".to_owned(), connect.to_string()),
            ("ssh -".to_owned(), format!("ssh -F {} -", config.display())),
        ],
        room,
    };

    let init = guide.step(1).concat();
    let init = init
        .lines()
        .find(|line| line.starts_with("audit_proxy init"))
        .expect("the starter folder");
    guide.follow(init).expect_code(0);
    let folder = guide.room.path("portreeve");
    let plan = SshdPlan {
        trusts: Some(folder.join("ca.pub")),
        ..SshdPlan::default()
    };
    let sshd = Sshd::start(&guide.room, "server", &plan);
    let trust = guide.step(2).concat();
    assert!(
        trust.contains("TrustedUserCAKeys") && trust.contains("~/portreeve/ca.pub"),
        "{trust}"
    );
    for name in ["proxy.toml", "policy.toml"] {
        let text = fs::read_to_string(folder.join(name)).expect("a starter file");
        let text = text.replace("port = 22\n", &format!("port = {}\n", sshd.port));
        let text = text.replace("port = 22,", &format!("port = {},", sshd.port));
        let text = text
            .replace(":2222", &format!(":{plain}"))
            .replace(":8022", &format!(":{connect}"));
        fs::write(folder.join(name), text).expect("a starter file");
    }
    guide.replacements.push((
        "-t ed25519 127.0.0.1".to_owned(),
        format!("-t ed25519 -p {} 127.0.0.1", sshd.port),
    ));
    guide.replacements.push((
        "%h %p\" server-1".to_owned(),
        format!("%h %p\" -p {} server-1", sshd.port),
    ));

    guide.follow(&guide.step(3).concat()).expect_code(0);
    let pinned = fs::read_to_string(folder.join("proxy.toml")).expect("the configuration");
    assert!(
        pinned.contains(&format!("host_keys = [\"{}\"]", sshd.host_key("ed25519"))),
        "{pinned}"
    );
    guide.follow(&guide.step(4).concat()).expect_code(0);

    let background = guide.step(5).concat();
    let mut proxy = Live::piped(&mut guide.command(&format!(
        "{background}\nread stop; {}\nwait",
        guide.step(8).concat()
    )));
    wait_until("the listeners", Duration::from_secs(10), || {
        proxy.heard().matches("listening").count() >= 2
    });

    let logins = guide.step(6);
    let [by_plain, by_connect, denied] = &logins[..] else {
        panic!("three logins: {logins:#?}")
    };
    for login in [by_plain, by_connect] {
        let shell = guide.follow(login).expect_code(0);
        assert!(
            shell
                .out()
                .contains(&format!("logged in as {}", current_user())),
            "{shell:?}"
        );
    }
    let denied = guide.follow(denied).expect_code(255);
    assert!(denied.err().contains("access denied"), "{denied:?}");

    let events = folder.join("events.jsonl");
    wait_until("the ends", Duration::from_secs(10), || {
        fs::read_to_string(&events).is_ok_and(|events| events.matches("session.end").count() == 2)
    });
    let read = guide
        .follow(&format!("set -e\n{}", guide.step(7).concat()))
        .expect_code(0);
    assert!(
        read.out().contains("complete") && read.out().contains("logged in as"),
        "{read:?}"
    );

    proxy.say("now\n");
    proxy.end(Duration::from_secs(15));
}
