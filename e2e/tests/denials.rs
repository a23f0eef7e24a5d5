//! What is not allowed: refused with words, recorded, and never passed on.

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use e2e::client::{Client, Door};
use e2e::foreign::{dbclient, plink};
use e2e::house::{House, by_both_ways, through_the_proxy, through_the_proxy_with};
use e2e::live::Live;
use e2e::need;
use e2e::process::{Finished, wait_until};
use e2e::proxy::{Listener, ProxyPlan};
use e2e::room::free_port;
use e2e::tools;

/// A door of the same proxy for somebody else: as another user, or through another listener.
fn door_of(house: &House, name: &str, listener: usize, user: &str) -> Door {
    Door::new(&house.room, name, house.proxy().ports[listener], user, &[])
}

/// The client was told why, with the request id of the event.
#[track_caller]
fn expect_denial(house: &House, refused: &Finished, reason: &str) {
    // PuTTY breaks long lines and marks where.
    let told = refused.err().replace("\n> ", "");
    assert!(told.contains("access denied: "), "{refused:?}");
    let denied = house
        .proxy()
        .wait_for_event(&format!("the one that is named in {refused:?}"), |event| {
            event.name() == "access.denied" && told.contains(event.session())
        });
    assert_eq!(denied.text("reason"), reason, "{denied:?}");
    assert_eq!(refused.out(), "");
    assert!(refused.took < Duration::from_secs(10), "{refused:?}");
}

#[test]
fn a_user_who_is_not_allowed_reads_why_and_the_target_is_not_asked() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let refused = door_of(house, "intruder", 0, "intruder")
            .ssh()
            .run("echo never")
            .expect_code(255);
        expect_denial(house, &refused, "policy");
        let denied = house.proxy().wait_for("access.denied");
        assert_eq!(denied.text("user"), "intruder");
        // The target's key was needed to talk to the client; nobody tried to log in there.
        assert!(
            !house.sshd.log().contains("userauth-request"),
            "{}",
            house.sshd.log()
        );
    });
}

#[test]
fn dropbear_and_putty_show_why_a_user_is_refused() {
    need!(
        "ssh",
        "sshd",
        "dbclient",
        "dropbearkey",
        "plink",
        "puttygen"
    );
    through_the_proxy(|house| {
        let refused = dbclient(house)
            .to("intruder@127.0.0.1")
            .run("echo never")
            .expect_failure();
        expect_denial(house, &refused, "policy");
        // PuTTY keeps such texts from commands, which may be scripts, and shows them where a person wants a shell.
        let refused = plink(house)
            .to("intruder@127.0.0.1")
            .run("")
            .expect_failure();
        expect_denial(house, &refused, "policy");
    });
}

#[test]
fn a_person_who_may_not_reach_a_target_reads_why_and_the_target_sees_no_connection() {
    need!("ssh", "sshd");
    through_the_proxy_with(
        |plan| plan.proxy.listeners.push(Listener::plain("mallory")),
        |house| {
            let user = &house.door.user;
            let refused = door_of(house, "mallory", 1, user)
                .ssh()
                .run("echo never")
                .expect_code(255);
            expect_denial(house, &refused, "policy");
            let denied = house.proxy().wait_for("access.denied");
            assert_eq!(denied.text("identity"), "mallory@example.com");
            assert_eq!(house.sshd.connections(), 0, "{}", house.sshd.log());
            assert_eq!(house.proxy().logs().len(), 0);
        },
    );
}

#[test]
fn putty_shows_why_a_target_is_refused() {
    need!("plink", "sshd", "ssh");
    through_the_proxy_with(
        |plan| plan.proxy.listeners.push(Listener::plain("mallory")),
        |house| {
            let port = house.proxy().ports[1].to_string();
            let plink = Client::plain(&house.door, "plink").args(&["-ssh", "-batch", "-P", &port]);
            let refused = plink
                .to(format!("{}@127.0.0.1", house.door.user))
                .run("echo never")
                .expect_failure();
            expect_denial(house, &refused, "policy");
            assert_eq!(house.sshd.connections(), 0);
        },
    );
}

#[test]
fn a_block_above_an_allow_refuses_the_person() {
    need!("ssh", "sshd");
    let block = "[[application.policy]]\nname = \"leavers\"\naction = \"block\"\ninclude = [{ group = { provider = \"test\", name = \"staff\" } }]\n";
    through_the_proxy_with(
        |plan| {
            plan.proxy.policy = plan.proxy.policy.replacen(
                "[[application.policy]]",
                &format!("{block}\n[[application.policy]]"),
                1,
            )
        },
        |house| {
            let refused = house.ssh().run("echo never").expect_code(255);
            expect_denial(house, &refused, "policy");
            assert!(
                !refused.err().contains("leavers"),
                "the name of a policy was told: {refused:?}"
            );
            assert_eq!(house.sshd.connections(), 0);
        },
    );
}

#[test]
fn local_forwarding_is_refused_and_recorded() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let port = free_port();
        let mut ssh = house
            .ssh()
            .args(&["-v", "-N", "-L"])
            .arg(format!("{port}:127.0.0.1:{}", house.sshd.port))
            .live("");
        ssh.hear(&format!(
            "Local forwarding listening on 127.0.0.1 port {port}"
        ));
        ssh.hear("Entering interactive session");
        let mut through =
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the forwarded port");
        let mut got = Vec::new();
        // Closed or reset: either way there is nothing to read.
        let _ = through.read_to_end(&mut got);
        assert_eq!(got, b"");
        ssh.hear("open failed: administratively prohibited: port forwarding is not granted");
        house.proxy().expect_refusal("direct-tcpip");
        assert!(ssh.is_running(), "the session itself goes on");
        assert_eq!(house.sshd.connections(), 1);
    });
}

#[test]
fn local_forwarding_to_a_socket_is_refused_and_recorded() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let (here, there) = (house.path("here.sock"), house.path("there.sock"));
        let mut ssh = house
            .ssh()
            .args(&["-v", "-N", "-L"])
            .arg(format!("{}:{}", here.display(), there.display()))
            .live("");
        ssh.hear("Entering interactive session");
        let mut through = UnixStream::connect(here).expect("the forwarded socket");
        let mut got = Vec::new();
        // As above.
        let _ = through.read_to_end(&mut got);
        assert_eq!(got, b"");
        ssh.hear("open failed: administratively prohibited");
        house
            .proxy()
            .expect_refusal("direct-streamlocal@openssh.com");
        assert!(ssh.is_running());
    });
}

#[test]
fn remote_forwarding_is_refused_and_recorded() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        for (forward, kind) in [
            ("0:127.0.0.1:9".to_owned(), "tcpip-forward"),
            (format!("{}:127.0.0.1:9", free_port()), "tcpip-forward"),
            (
                format!("{}:127.0.0.1:9", house.path("far.sock").display()),
                "streamlocal-forward@openssh.com",
            ),
        ] {
            let ssh = house
                .ssh()
                .option("ExitOnForwardFailure=yes")
                .args(&["-N", "-R", &forward]);
            let refused = ssh.within(Duration::from_secs(15)).run("").expect_code(255);
            assert!(
                refused.err().contains("remote port forwarding failed"),
                "{refused:?}"
            );
            house.proxy().expect_refusal(kind);
        }
        // Without that option the session goes on, with a warning.
        let warned = house
            .ssh()
            .args(&["-R", "0:127.0.0.1:9"])
            .run("echo on")
            .expect_code(0);
        assert_eq!(warned.out(), "on\n");
        assert!(
            warned.err().contains("remote port forwarding failed"),
            "{warned:?}"
        );
    });
}

#[test]
fn agent_forwarding_is_refused_and_recorded() {
    need!("ssh", "sshd", "ssh-agent");
    by_both_ways(|house| {
        let socket = house.path("agent.sock");
        let _agent = Live::piped(
            Command::new(tools::path("ssh-agent"))
                .arg("-D")
                .arg("-a")
                .arg(&socket),
        );
        wait_until("the agent", Duration::from_secs(10), || socket.exists());
        let ssh = house
            .ssh()
            .arg("-A")
            .env("SSH_AUTH_SOCK", &socket)
            .option("IdentityAgent=SSH_AUTH_SOCK");
        let ended = ssh.run("echo \"agent at [$SSH_AUTH_SOCK]\"").expect_code(0);
        let Some(proxy) = &house.proxy else {
            assert!(ended.out().contains("agent at [/"), "{ended:?}");
            return;
        };
        assert_eq!(ended.out(), "agent at []\n");
        proxy.expect_refusal("auth-agent-req@openssh.com");
    });
}

#[test]
fn x11_forwarding_is_refused_and_recorded() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let ended = house
            .ssh()
            .arg("-Y")
            .env("DISPLAY", "127.0.0.1:99")
            .run("echo \"[$DISPLAY]\"")
            .expect_code(0);
        assert_eq!(ended.out(), "[]\n");
        assert!(
            ended.err().contains("X11 forwarding request failed"),
            "{ended:?}"
        );
        house.proxy().expect_refusal("x11-req");
    });
}

#[test]
fn jumping_through_the_target_is_refused_and_recorded() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let jump = house
            .ssh()
            .args(&["-J", "target", "-p", &house.sshd.port.to_string(), "-o"]);
        let known = format!("UserKnownHostsFile={}", house.path("known_hosts").display());
        let refused = jump
            .arg(known)
            .to("someone@127.0.0.1")
            .run("echo never")
            .expect_code(255);
        assert!(
            refused.err().contains("stdio forwarding failed"),
            "{refused:?}"
        );
        assert!(
            refused.err().contains("port forwarding is not granted"),
            "{refused:?}"
        );
        house.proxy().expect_refusal("direct-tcpip");
        assert_eq!(house.sshd.connections(), 1);
    });
}

#[test]
fn carrying_standard_input_to_another_port_is_refused_and_recorded() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let refused = house
            .ssh()
            .arg("-W")
            .arg(format!("127.0.0.1:{}", house.sshd.port))
            .feed("", b"SSH-2.0-x\r\n");
        let refused = refused.expect_code(255);
        assert_eq!(refused.out(), "");
        house.proxy().expect_refusal("direct-tcpip");
    });
}

fn granting(permit: &'static str) -> impl Fn(&mut e2e::house::Plan) {
    move |plan| plan.proxy.policy = ProxyPlan::policy_granting(permit)
}

#[test]
fn a_shell_that_is_not_granted_is_refused() {
    need!("ssh", "sshd");
    through_the_proxy_with(granting("permit = [\"exec\"]"), |house| {
        let refused = house
            .ssh()
            .arg("-T")
            .feed("", b"echo never\n")
            .expect_failure();
        assert!(
            refused.err().contains("shell request failed"),
            "{refused:?}"
        );
        assert_eq!(refused.out(), "");
        house.proxy().expect_refusal("shell");
        assert_eq!(house.ssh().run("echo exec").expect_code(0).out(), "exec\n");
    });
}

#[test]
fn a_command_that_is_not_granted_is_refused_with_and_without_a_terminal() {
    need!("ssh", "sshd", "scp");
    through_the_proxy_with(granting("permit = [\"shell\", \"pty\"]"), |house| {
        let file = house.path("never");
        for client in [house.ssh(), house.ssh().arg("-tt")] {
            let refused = client
                .run(&format!("touch {}", file.display()))
                .expect_failure();
            assert!(refused.err().contains("exec request failed"), "{refused:?}");
        }
        house.proxy().expect_refusal("exec");
        // A modern scp asks for the subsystem, an old one for a command.
        for scp in [
            Client::openssh(&house.door, "scp"),
            Client::openssh(&house.door, "scp").arg("-O"),
        ] {
            scp.to("/etc/hostname")
                .run(&format!("target:{}", file.display()))
                .expect_failure();
        }
        assert!(!file.exists());
    });
}

#[test]
fn a_terminal_that_is_not_granted_is_refused() {
    need!("ssh", "sshd");
    through_the_proxy_with(granting("permit = [\"exec\", \"shell\"]"), |house| {
        // A client that was told to have one gives up; one that would merely like one goes on without.
        house.ssh().arg("-tt").run("echo never").expect_code(255);
        let mut ssh = house.ssh().terminal("");
        ssh.hear("PTY allocation request failed");
        ssh.say("test -t 0 || echo there is no \"terminal\"; exit\n");
        ssh.hear("there is no terminal");
        assert_eq!(ssh.end(Duration::from_secs(10)).code(), Some(0));
        house.proxy().expect_refusal("pty");
    });
}

#[test]
fn a_subsystem_that_is_not_granted_is_refused() {
    need!("ssh", "sshd", "sftp");
    through_the_proxy_with(
        granting("permit = [\"exec\", \"shell\", \"pty\"]"),
        |house| {
            let batch = house.room.write("batch", "ls /\n");
            let refused = Client::openssh(&house.door, "sftp")
                .arg("-b")
                .arg(batch)
                .run("")
                .expect_failure();
            assert!(
                refused.err().contains("subsystem request failed"),
                "{refused:?}"
            );
            assert!(!refused.out().contains("/etc"), "{refused:?}");
            house.proxy().expect_refusal("subsystem");
        },
    );
}

#[test]
fn one_channel_more_than_granted_is_refused_while_the_others_go_on() {
    need!("ssh", "sshd");
    through_the_proxy_with(granting("max_channels = 2"), |house| {
        let socket = format!("ControlPath={}", house.path("socket").display());
        let ssh = house.ssh().option(&socket);
        let mut first = ssh.clone().arg("-M").live("echo first is up; cat");
        first.hear("first is up");
        let mut second = ssh.live("echo second is up; cat");
        second.hear("second is up");
        // A client of a connection that takes no more may open one of its own; this one must not.
        let third = ssh
            .clone()
            .option("ProxyCommand=false")
            .run("echo third")
            .expect_failure();
        assert!(!third.out().contains("third"), "{third:?}");
        for live in [&mut second, &mut first] {
            live.say("still here\n");
            live.hear("still here");
            live.end_input();
            assert_eq!(live.end(Duration::from_secs(10)).code(), Some(0));
        }
        house.proxy().expect_refusal("channel session");
    });
}

#[test]
fn a_session_longer_than_the_policy_allows_ends_with_words() {
    need!("ssh", "sshd");
    through_the_proxy_with(granting("max_session = \"2s\""), |house| {
        let cut = house
            .ssh()
            .within(Duration::from_secs(20))
            .run("echo begun; sleep 60")
            .expect_code(255);
        assert_eq!(cut.out(), "begun\n");
        assert!(cut.err().contains("maximum length"), "{cut:?}");
        assert_eq!(
            house.proxy().wait_for("session.end").text("reason"),
            "max_session"
        );
    });
}

#[test]
fn a_session_idle_for_longer_than_the_policy_allows_ends_with_words() {
    need!("ssh", "sshd");
    through_the_proxy_with(granting("idle_timeout = \"2s\""), |house| {
        // What happens keeps it alive: four seconds of it, then silence.
        let busy = "for i in 1 2 3 4; do echo tick $i; sleep 1; done; sleep 60";
        let cut = house
            .ssh()
            .within(Duration::from_secs(20))
            .run(busy)
            .expect_code(255);
        assert!(cut.out().ends_with("tick 4\n"), "{cut:?}");
        assert!(cut.err().contains("nothing happened"), "{cut:?}");
        assert_eq!(
            house.proxy().wait_for("session.end").text("reason"),
            "idle_timeout"
        );
    });
}

#[test]
fn a_key_of_the_client_is_not_asked_for() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        // Neither offered to the proxy nor to the target: the certificate alone logs in.
        let key = house.room.key("personal", "ed25519");
        let ended = house
            .ssh()
            .args(&["-v", "-i"])
            .arg(&key)
            .run("true")
            .expect_code(0);
        assert!(ended.err().contains("using \"none\""), "{ended:?}");
        let personal = fs::read_to_string(key.with_extension("pub")).expect("a public key");
        let blob = personal.split_whitespace().nth(1).expect("a key");
        assert!(!house.sshd.log().contains(blob));
    });
}
