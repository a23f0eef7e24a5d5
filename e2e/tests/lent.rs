//! The client's agent and display in the hands of a real target: used as far as the policy grants it, and recorded.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use e2e::client::Client;
use e2e::foreign::{self, dbclient, plink};
use e2e::house::{House, Plan, by_both_ways_with, through_the_proxy_with};
use e2e::live::Live;
use e2e::need;
use e2e::process::{Input, PATIENCE, run, wait_until};
use e2e::proxy::ProxyPlan;
use e2e::records::Record;
use e2e::sshd::{Sshd, SshdPlan};
use e2e::tools;

const AGENT: &str = "permit = [\"shell\", \"exec\", \"pty\", \"agent_forwarding\"]";
const DISPLAY: &str = "permit = [\"shell\", \"exec\", \"pty\", \"x11_forwarding\"]";

fn granting(lines: &str) -> impl Fn(&mut Plan) {
    move |plan| plan.proxy.policy = ProxyPlan::policy_granting(lines)
}

/// A person's `ssh-agent`, ended when dropped.
struct Agent {
    socket: PathBuf,
    _process: Live,
}

impl Agent {
    /// With the keys of these names, which are made in the room.
    fn with(house: &House, names: &[&str]) -> Self {
        let socket = house.path("agent.sock");
        let mut command = Command::new(tools::path("ssh-agent"));
        let process = Live::piped(command.arg("-D").arg("-a").arg(&socket));
        wait_until("the agent", Duration::from_secs(10), || socket.exists());
        let agent = Self {
            socket,
            _process: process,
        };
        for name in names {
            let key = house.room.key(name, "ed25519");
            agent.ssh_add(&["-q", &key.to_string_lossy()]);
        }
        agent
    }

    fn ssh_add(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(tools::path("ssh-add"));
        command.args(arguments).env("SSH_AUTH_SOCK", &self.socket);
        run(&mut command, Input::Nothing, Duration::from_secs(20))
            .expect_code(0)
            .out()
    }

    /// The client, with this agent to lend.
    fn lent_by(&self, client: Client) -> Client {
        client.arg("-A").env("SSH_AUTH_SOCK", &self.socket)
    }

    /// `ssh -A`.
    fn ssh(&self, house: &House) -> Client {
        self.lent_by(house.ssh())
            .option("IdentityAgent=SSH_AUTH_SOCK")
    }
}

/// The requests to the agent in the log of the session that ends next: message, key, whether it was allowed.
fn requests(house: &House) -> Vec<(u64, String, bool)> {
    let end = house.proxy().wait_for("session.end");
    let records = house.proxy().records_of(end.session());
    let requests = records.iter().filter(|it| it.kind() == "agent_request");
    requests
        .map(|it| {
            let allowed = it.json()["allowed"].as_bool().expect("a decision");
            (
                it.number("message"),
                it.text("key_fingerprint").to_owned(),
                allowed,
            )
        })
        .collect()
}

/// `ssh` from the target to a server that takes the key `person`, as a command line for the target.
fn further(house: &House, server: &Sshd) -> String {
    format!(
        "{} -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
         -o IdentityFile=none -p {} {}@127.0.0.1 echo further",
        tools::path("ssh").display(),
        server.port,
        house.door.user
    )
}

#[test]
fn the_target_lists_keys_and_logs_in_further_with_the_lent_agent() {
    need!("ssh", "sshd", "ssh-agent", "ssh-add");
    by_both_ways_with(granting(AGENT), |house| {
        let agent = Agent::with(house, &["person", "other"]);
        let keys = agent.ssh_add(&["-l"]);
        let server = Sshd::start(
            &house.room,
            "further",
            &SshdPlan {
                lines: vec![format!(
                    "AuthorizedKeysFile {}",
                    house.path("person.pub").display()
                )],
                ..SshdPlan::default()
            },
        );
        let remote = format!(
            "{} -l && {}",
            tools::path("ssh-add").display(),
            further(house, &server)
        );
        let ended = agent.ssh(house).run(&remote).expect_code(0);
        assert_eq!(ended.out(), format!("{keys}further\n"), "{ended:?}");
        let Some(proxy) = &house.proxy else { return };
        let requests = requests(house);
        let person = keys.split(' ').nth(1).expect("a fingerprint");
        assert!(
            requests.contains(&(11, String::new(), true)),
            "{requests:?}"
        );
        let signatures: Vec<_> = requests.iter().filter(|it| it.0 == 13).collect();
        assert_eq!(signatures, [&(13, person.to_owned(), true)]);
        // OpenSSH would tie the connection to the server behind the target.
        assert!(
            requests.contains(&(27, String::new(), false)),
            "{requests:?}"
        );
        assert_eq!(proxy.wait_for("agent.signature").text("key"), person);
        proxy.wait_for("channel.agent");
    });
}

#[test]
fn the_target_changes_nothing_about_the_lent_agent() {
    need!("ssh", "sshd", "ssh-agent", "ssh-add", "ssh-keygen");
    through_the_proxy_with(granting(AGENT), |house| {
        let agent = Agent::with(house, &["person"]);
        let before = agent.ssh_add(&["-l"]);
        let mine = house.room.key("mine", "ed25519");
        let ssh_add = tools::path("ssh-add").display().to_string();
        for (arguments, message) in [
            (mine.to_string_lossy().into_owned(), 17),
            (format!("-t 60 {}", mine.display()), 25),
            (format!("-d {}", house.path("person.pub").display()), 18),
            ("-D".to_owned(), 19),
        ] {
            let remote = format!("{ssh_add} {arguments}; {ssh_add} -l");
            let ended = agent.ssh(house).run(&remote);
            assert_eq!(ended.out(), before, "{ended:?}");
            let what = format!("agent request {message}");
            house.proxy().wait_for_event(&what, |event| {
                event.name() == "channel.refused" && event.text("what") == what
            });
        }
        assert_eq!(agent.ssh_add(&["-l"]), before);
        assert!(requests(house).contains(&(17, String::new(), false)));
    });
}

#[test]
fn a_list_far_beyond_one_window_and_many_programs_at_once_get_their_answers() {
    need!("ssh", "sshd", "ssh-agent", "ssh-add", "ssh-keygen");
    by_both_ways_with(granting(AGENT), |house| {
        let agent = Agent::with(house, &[]);
        // A list of keys has their comments, of 1 KiB at most: 80 KiB, where OpenSSH opens a window of 64.
        let keys: Vec<String> = (0..76)
            .map(|n| house.path(&format!("k{n}")))
            .map(|path| {
                let mut keygen = Command::new(tools::path("ssh-keygen"));
                keygen.args([
                    "-q",
                    "-t",
                    "ed25519",
                    "-N",
                    "",
                    "-C",
                    &"x".repeat(1000),
                    "-f",
                ]);
                run(keygen.arg(&path), Input::Nothing, Duration::from_secs(20)).expect_code(0);
                path.to_string_lossy().into_owned()
            })
            .collect();
        let all: Vec<&str> = ["-q"]
            .into_iter()
            .chain(keys.iter().map(String::as_str))
            .collect();
        agent.ssh_add(&all);
        let keys = agent.ssh_add(&["-L"]);
        assert!(keys.len() > 80_000, "{}", keys.len());
        let ssh_add = tools::path("ssh-add").display().to_string();
        let listed = agent
            .ssh(house)
            .run(&format!("{ssh_add} -L"))
            .expect_code(0);
        assert!(listed.out() == keys, "{} bytes", listed.out().len());

        let many = format!(
            "for i in $(seq 20); do {ssh_add} -L | cksum & done; wait; {ssh_add} -L | cksum"
        );
        let ended = agent.ssh(house).run(&many).expect_code(0);
        let sums: Vec<String> = ended.out().lines().map(str::to_owned).collect();
        assert_eq!(sums.len(), 21, "{ended:?}");
        assert!(sums.iter().all(|it| it == &sums[0]), "{sums:?}");
    });
}

#[test]
fn dropbear_and_putty_lend_their_agent_too() {
    need!(
        "ssh",
        "sshd",
        "ssh-agent",
        "ssh-add",
        "dbclient",
        "dropbearkey",
        "plink",
        "puttygen"
    );
    through_the_proxy_with(granting(AGENT), |house| {
        let agent = Agent::with(house, &["person"]);
        let keys = agent.ssh_add(&["-l"]);
        let ssh_add = tools::path("ssh-add").display().to_string();
        for client in [dbclient(house), plink(house)] {
            let listed = agent.lent_by(client).run(&format!("{ssh_add} -l"));
            assert_eq!(listed.expect_code(0).out(), keys);
        }
    });
}

/// The cookie of the display that the test pretends to be.
const REAL: [u8; 16] = [0xa5; 16];

/// What an X11 program says first, with this cookie.
fn greeting(cookie: &[u8]) -> Vec<u8> {
    [
        b"l\0\x0b\0\0\0\x12\0\x10\0\0\0MIT-MAGIC-COOKIE-1\0\0",
        cookie,
    ]
    .concat()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(digit).collect()
}

/// A display that takes one connection and answers what it is greeted with; its number.
fn display() -> (u16, thread::JoinHandle<Vec<u8>>) {
    let bound = (20..400).find_map(|number| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 6000 + number)).ok()?;
        Some((number, listener))
    });
    let (number, listener) = bound.expect("a free display");
    let thread = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a program");
        let mut got = vec![0; greeting(&REAL).len()];
        stream.read_exact(&mut got).expect("a greeting");
        stream.write_all(b"pixels").expect("a program that reads");
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        got
    });
    (number, thread)
}

#[test]
fn a_window_opens_at_the_client_and_no_cookie_stands_in_the_log() {
    need!("ssh", "sshd", "xauth");
    let plan = |plan: &mut Plan| {
        let kept = plan.room.path("target_xauthority");
        plan.sshd
            .lines
            .push(format!("SetEnv XAUTHORITY={}", kept.display()));
        granting(DISPLAY)(plan);
    };
    by_both_ways_with(plan, |house| {
        let (number, shown) = display();
        let known = house.path("client_xauthority");
        let mut xauth = Command::new(tools::path("xauth"));
        let name = format!("127.0.0.1:{number}");
        xauth
            .arg("-f")
            .arg(&known)
            .args(["add", &name, ".", &hex(&REAL)]);
        run(&mut xauth, Input::Nothing, Duration::from_secs(20)).expect_code(0);

        let mut ssh = house
            .ssh()
            .arg("-Y")
            .env("DISPLAY", &name)
            .env("XAUTHORITY", &known)
            .live("xauth list; echo \"display $DISPLAY and more\"; cat");
        ssh.hear(" and more");
        let heard = ssh.heard();
        let fake = heard
            .split("MIT-MAGIC-COOKIE-1  ")
            .nth(1)
            .and_then(|rest| rest.split_whitespace().next())
            .unwrap_or_else(|| panic!("no cookie in {heard}"));
        let fake = from_hex(fake);
        assert_ne!(fake, REAL, "the client makes one up");
        let there = heard
            .split("display localhost:")
            .nth(1)
            .and_then(|rest| rest.split('.').next())
            .and_then(|text| text.parse::<u16>().ok())
            .expect("a display");

        // A program of the target, for the target is this machine.
        let mut program =
            TcpStream::connect((Ipv4Addr::LOCALHOST, 6000 + there)).expect("a display");
        program.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        program.write_all(&greeting(&fake)).expect("a greeting");
        let mut got = [0; 6];
        program.read_exact(&mut got).expect("an answer");
        assert_eq!(&got, b"pixels");
        program.shutdown(Shutdown::Both).expect("an end");
        assert_eq!(shown.join().expect("the display"), greeting(&REAL));
        ssh.end_input();
        assert!(ssh.end(PATIENCE).success());

        let Some(proxy) = &house.proxy else { return };
        let records = proxy.records_of(proxy.wait_for("session.end").session());
        let asked = |it: &&Record| it.kind() == "x11";
        let asked = records.iter().find(asked).expect("the request");
        assert_eq!(asked.text("auth_protocol"), "MIT-MAGIC-COOKIE-1");
        let carried: Vec<u8> = records
            .iter()
            .filter(|it| it.kind() == "forward_data" && it.text("from") == "target")
            .flat_map(Record::data)
            .collect();
        assert_eq!(carried, greeting(&[0; 16]));
        // The terminal showed it, since it was asked to; nothing else did.
        for record in records.iter().filter(|it| it.kind() != "output") {
            assert!(!format!("{record:?}").contains(&hex(&fake)), "{record:?}");
        }
        let events = format!("{:?}", proxy.events());
        assert!(!events.contains(&hex(&fake)), "{events}");
        proxy.wait_for("channel.x11");
    });
}

/// The digest of these bytes by `sha256sum`.
fn sha256sum(bytes: &[u8]) -> String {
    let mut command = Command::new(tools::path("sha256sum"));
    let ended = run(&mut command, Input::Bytes(bytes), Duration::from_secs(20)).expect_code(0);
    ended.out().split(' ').next().expect("a digest").to_owned()
}

#[test]
fn the_log_has_the_digests_of_what_a_connection_carried_and_not_the_bytes() {
    need!("ssh", "sshd", "sha256sum");
    for (mode, has_digest) in [("digest", true), ("none", false)] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let asked: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        let answer: Vec<u8> = (0..200_000_u32).flat_map(u32::to_be_bytes).collect();
        let said = answer.clone();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut got = Vec::new();
            stream.read_to_end(&mut got).expect("an end");
            stream.write_all(&said).expect("a reader");
            got
        });
        let lines = format!(
            "local_forward = [{{ ip = \"127.0.0.1\", port = {port} }}]\nforward_recording = \"{mode}\""
        );
        through_the_proxy_with(granting(&lines), |house| {
            let to = format!("127.0.0.1:{port}");
            let ended = house.ssh().args(&["-W", &to]).feed("", &asked);
            assert!(ended.expect_code(0).stdout == answer);
            let end = house.proxy().wait_for("session.end");
            let records = house.proxy().records_of(end.session());
            let of = |kind: &'static str| records.iter().filter(move |it| it.kind() == kind);
            let digests: Vec<_> = of("forward_digest")
                .map(|it| (digest(it, "client_sha256"), digest(it, "target_sha256")))
                .collect();
            let wanted = (sha256sum(&asked), sha256sum(&answer));
            assert_eq!(digests, Vec::from_iter(has_digest.then_some(wanted)));
            assert!(of("forward_data").all(|it| it.data().is_empty()));
            let counted: u64 = of("forward_data").map(|it| it.number("bytes")).sum();
            assert_eq!(counted, 2_000_000);
            let close = of("forward_close").next().expect("a sum");
            assert_eq!(close.number("client_bytes"), 1_200_000);
            assert_eq!(close.number("target_bytes"), 800_000);
        });
        assert!(server.join().expect("the server") == asked);
    }
}

/// A digest of a record, in hexadecimal.
fn digest(record: &Record, field: &str) -> String {
    hex(&record.bytes(field))
}

#[test]
fn where_the_target_shows_no_windows_and_lends_no_agent_the_person_is_told_as_ever() {
    need!(
        "ssh",
        "sshd",
        "ssh-agent",
        "ssh-add",
        "xauth",
        "plink",
        "puttygen"
    );
    let plan = |plan: &mut Plan| {
        plan.sshd.lines.push("X11Forwarding no".to_owned());
        plan.sshd.lines.push("AllowAgentForwarding no".to_owned());
        foreign::plan(plan);
        granting("permit = [\"shell\", \"exec\", \"agent_forwarding\", \"x11_forwarding\"]")(plan);
    };
    by_both_ways_with(plan, |house| {
        let agent = Agent::with(house, &["person"]);
        let ssh = agent.ssh(house).arg("-Y").env("DISPLAY", "127.0.0.1:77");
        let ended = ssh.run("echo \"display<$DISPLAY> agent<$SSH_AUTH_SOCK>\"");
        let told = "X11 forwarding request failed";
        assert!(ended.err().contains(told), "{ended:?}");
        assert_eq!(ended.expect_code(0).out(), "display<> agent<>\n");
        // PuTTY's wants to know of the agent, too.
        let ended = agent.lent_by(plink(house)).arg("-v").run("echo in");
        let told = "Agent forwarding refused";
        assert!(ended.err().contains(told), "{ended:?}");
        assert_eq!(ended.expect_code(0).out(), "in\n");

        let Some(proxy) = &house.proxy else { return };
        let end = proxy.wait_for("session.end");
        let records = proxy.records_of(end.session());
        let answers = records.iter().filter(|it| it.kind() == "reply");
        let answers: Vec<_> = answers.map(|it| it.json()["ok"].as_bool()).collect();
        assert!(answers.contains(&Some(false)), "{answers:?}");
        assert!(proxy.events_named("channel.forward").is_empty());
    });
}
