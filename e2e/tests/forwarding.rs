//! Forwardings that a policy grants, with real clients: carried, recorded, counted, and without SSH inside.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

use e2e::house::{House, Plan, by_both_ways_with, through_the_proxy_with};
use e2e::live::Live;
use e2e::need;
use e2e::process::{PATIENCE, wait_until};
use e2e::proxy::ProxyPlan;
use e2e::records::Record;
use e2e::room::free_port;
use e2e::shared::Shared;
use e2e::sshd::{Sshd, SshdPlan};

const ANYWHERE_HERE: &str = "local_forward = [{ ip = \"127.0.0.0/8\", port = \"any\" }]";

fn granting(lines: &str) -> impl Fn(&mut Plan) {
    move |plan| plan.proxy.policy = ProxyPlan::policy_granting(lines)
}

/// A client that forwards a port of this machine to the one `there`, and that port. Somebody else may take a free port in between:
/// then it is another.
fn forwarding_to(there: u16, start: impl Fn(&str) -> Live) -> (Live, u16) {
    for _ in 0..5 {
        let here = free_port();
        let ssh = start(&format!("{here}:127.0.0.1:{there}"));
        if !ssh.heard().contains("cannot listen to port") {
            return (ssh, here);
        }
    }
    panic!("every port is taken")
}

/// Says everything back to whoever comes; its port.
fn echo() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut from = stream.try_clone().expect("a second handle");
                let _ = std::io::copy(&mut from, &mut &stream);
                let _ = stream.shutdown(Shutdown::Write);
            });
        }
    });
    port
}

/// The same at a socket.
fn echo_at(path: &Path) {
    let listener = UnixListener::bind(path).expect("a socket");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut from = stream.try_clone().expect("a second handle");
            let _ = std::io::copy(&mut from, &mut &stream);
            let _ = stream.shutdown(Shutdown::Write);
        }
    });
}

/// Sends bytes to an echo and gets all of them back.
fn expect_echo(
    mut to: impl Write + Send + 'static,
    mut from: impl Read,
    end: impl FnOnce() -> std::io::Result<()> + Send + 'static,
) {
    let bytes: Vec<u8> = (0..1_000_000_u32).flat_map(|n| n.to_le_bytes()).collect();
    let sent = bytes.clone();
    let sender = thread::spawn(move || {
        to.write_all(&sent).expect("a reader");
        end().expect("an open connection");
    });
    let mut got = Vec::new();
    from.read_to_end(&mut got).expect("an echo");
    sender.join().expect("the sender");
    assert!(
        got == bytes,
        "{} of {} bytes came back",
        got.len(),
        bytes.len()
    );
}

/// The port that the target chose for `ssh -R 0:127.0.0.1:HERE`.
fn chosen_port(ssh: &Live, here: u16) -> u16 {
    ssh.hear(&format!("for remote forward to 127.0.0.1:{here}"));
    let said = ssh.heard();
    let chosen = said
        .split("Allocated port ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    chosen.expect("a port").parse().expect("a number")
}

fn expect_tcp_echo(port: u16) {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the forwarded port");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let handle = || stream.try_clone().expect("a handle");
    expect_echo(handle(), handle(), move || stream.shutdown(Shutdown::Write));
}

fn expect_socket_echo(path: &Path) {
    let stream = UnixStream::connect(path).expect("the forwarded socket");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let handle = || stream.try_clone().expect("a handle");
    expect_echo(handle(), handle(), move || stream.shutdown(Shutdown::Write));
}

/// Ends a client and, through the proxy, looks at what was recorded of the one connection that it carried.
fn expect_carried(house: &House, mut ssh: Live, kind: &str) {
    if let Some(proxy) = &house.proxy {
        // Both sides close once both directions have ended.
        proxy.wait_for("channel.close");
    }
    ssh.signal(rustix::process::Signal::TERM);
    ssh.end(PATIENCE);
    let Some(proxy) = &house.proxy else { return };
    let records = proxy.records_of(proxy.wait_for("session.end").session());
    let one = |kind: &str| -> &Record {
        let mut all = records.iter().filter(|record| record.kind() == kind);
        let first = all
            .next()
            .unwrap_or_else(|| panic!("no {kind} in {records:?}"));
        assert!(all.next().is_none(), "two of {kind}");
        first
    };
    assert_eq!(one("forward_open").text("type"), kind);
    let end = one("forward_close");
    assert_eq!(
        (end.number("client_bytes"), end.number("target_bytes")),
        (4_000_000, 4_000_000)
    );
    for from in ["client", "target"] {
        let bytes: usize = records
            .iter()
            .filter(|record| record.kind() == "forward_data" && record.text("from") == from)
            .map(|record| record.data().len())
            .sum();
        assert_eq!(bytes, 4_000_000, "recorded from the {from}");
    }
}

#[test]
fn a_local_forwarding_carries_both_ways_and_is_recorded() {
    need!("ssh", "sshd");
    let there = echo();
    by_both_ways_with(granting(ANYWHERE_HERE), |house| {
        let (ssh, here) = forwarding_to(there, |forward| {
            let ssh = house.ssh().args(&["-v", "-N", "-L", forward]).live("");
            ssh.hear("Entering interactive session");
            ssh
        });
        expect_tcp_echo(here);
        expect_carried(house, ssh, "direct-tcpip");
    });
}

#[test]
fn a_destination_that_is_not_listed_is_refused_beside_one_that_is() {
    need!("ssh", "sshd");
    let (listed, other) = (echo(), echo());
    let lines = format!("local_forward = [{{ ip = \"127.0.0.1\", port = {listed} }}]");
    through_the_proxy_with(granting(&lines), |house| {
        let refused = house
            .ssh()
            .args(&["-W", &format!("127.0.0.1:{other}")])
            .feed("", b"never");
        assert_eq!(refused.expect_failure().out(), "");
        house
            .proxy()
            .expect_refusal(&format!("direct-tcpip to 127.0.0.1 {other}"));
        // The same by a name is another destination.
        house
            .ssh()
            .args(&["-W", &format!("localhost:{listed}")])
            .feed("", b"never")
            .expect_failure();
        let passed = house
            .ssh()
            .args(&["-W", &format!("127.0.0.1:{listed}")])
            .feed("", b"hello");
        assert_eq!(passed.expect_code(0).out(), "hello");
    });
}

#[test]
fn standard_input_is_carried_to_a_port() {
    need!("ssh", "sshd");
    let there = echo();
    by_both_ways_with(granting(ANYWHERE_HERE), |house| {
        let bytes: Vec<u8> = (0..300_000_u32).flat_map(|n| n.to_le_bytes()).collect();
        let echoed = house
            .ssh()
            .args(&["-W", &format!("127.0.0.1:{there}")])
            .feed("", &bytes);
        assert!(echoed.expect_code(0).stdout == bytes);
    });
}

#[test]
fn a_remote_forwarding_gets_the_port_that_the_target_chose() {
    need!("ssh", "sshd");
    let here = echo();
    let lines = "remote_forward = [{ host = \"localhost\", port = \"any\" }]";
    by_both_ways_with(granting(lines), |house| {
        let forward = format!("0:127.0.0.1:{here}");
        let ssh = house.ssh().args(&["-N", "-R", &forward]).live("");
        expect_tcp_echo(chosen_port(&ssh, here));
        expect_carried(house, ssh, "forwarded-tcpip");
        if let Some(proxy) = &house.proxy {
            proxy.wait_for("forward.listen");
        }
    });
}

#[test]
fn connections_come_back_from_whatever_address_a_remote_forwarding_names() {
    need!("ssh", "sshd");
    let here = echo();
    let lines = "remote_forward = [{ host = \"localhost\", port = \"any\" }, \
                 { ip = \"0.0.0.0/0\", port = \"any\" }, { ip = \"::/0\", port = \"any\" }]";
    through_the_proxy_with(granting(lines), |house| {
        for address in ["localhost", "127.0.0.1", "0.0.0.0", "*", ""] {
            let forward = format!("{address}:0:127.0.0.1:{here}");
            let ssh = house.ssh().args(&["-N", "-R", &forward]).live("");
            expect_tcp_echo(chosen_port(&ssh, here));
        }
    });
}

#[test]
fn a_remote_forwarding_that_is_cancelled_is_recorded_and_takes_no_more_connections() {
    need!("ssh", "sshd");
    let here = echo();
    let lines = "remote_forward = [{ host = \"localhost\", port = \"any\" }]";
    by_both_ways_with(granting(lines), |house| {
        let shared = Shared::start(house);
        let control = |what: &str, forward: &str| {
            let client = shared.client.clone();
            client.args(&["-O", what, "-R", forward]).run("")
        };
        // Somebody else may take a free port in between.
        let listening = (0..5).find_map(|_| {
            let there = free_port();
            let forward = format!("{there}:127.0.0.1:{here}");
            let asked = control("forward", &forward);
            (asked.code == Some(0)).then_some((there, forward))
        });
        let (there, forward) = listening.expect("a port");
        expect_tcp_echo(there);
        control("cancel", &forward).expect_code(0);
        let connect = || TcpStream::connect((Ipv4Addr::LOCALHOST, there));
        wait_until("nobody listens", PATIENCE, || connect().is_err());
        shared.client.run("echo still here").expect_code(0);
        drop(shared);
        let Some(proxy) = &house.proxy else { return };
        let records = proxy.records_of(proxy.wait_for("session.end").session());
        let asked = records.iter().filter(|it| it.kind() == "forward_request");
        let asked: Vec<_> = asked
            .filter(|it| it.number("port") == u64::from(there))
            .collect();
        let names: Vec<_> = asked.iter().map(|it| it.text("type")).collect();
        assert_eq!(names, ["tcpip-forward", "cancel-tcpip-forward"]);
        let opened = records.iter().filter(|it| it.kind() == "forward_open");
        assert_eq!(opened.count(), 1);
    });
}

#[test]
fn sockets_are_carried_in_both_directions() {
    need!("ssh", "sshd");
    for (option, kind) in [
        ("-L", "direct-streamlocal@openssh.com"),
        ("-R", "forwarded-streamlocal@openssh.com"),
    ] {
        let in_the_room = |plan: &mut Plan| {
            let room = plan.room.path("");
            let lines = format!("stream_local = [{room:?}]");
            plan.proxy.policy = ProxyPlan::policy_granting(&lines);
        };
        by_both_ways_with(in_the_room, |house| {
            let (near, far) = (house.path("near.sock"), house.path("far.sock"));
            echo_at(&far);
            let forward = format!("{}:{}", near.display(), far.display());
            let ssh = house.ssh().args(&["-v", "-N", option, &forward]).live("");
            ssh.hear("Entering interactive session");
            wait_until("the listener", PATIENCE, || near.exists());
            expect_socket_echo(&near);
            expect_carried(house, ssh, kind);
        });
    }
}

#[test]
fn ssh_to_a_server_that_the_proxy_does_not_know_is_cut_with_words_and_the_session_goes_on() {
    need!("ssh", "sshd");
    through_the_proxy_with(granting(ANYWHERE_HERE), |house| {
        let stranger = Sshd::start(&house.room, "stranger", &SshdPlan::default());
        let known = format!("UserKnownHostsFile={}", house.path("known_hosts").display());
        let cut = house
            .ssh()
            .args(&["-J", "target", "-p", &stranger.port.to_string()])
            .option(known)
            .to("someone@127.0.0.1")
            .run("echo never")
            .expect_code(255);
        assert_eq!(cut.out(), "");
        let denied = house.proxy().wait_for("access.denied");
        assert_eq!(denied.text("reason"), "unknown_target", "{denied:?}");
        assert!(cut.err().contains(denied.session()), "{cut:?}");
        let outer = house.proxy().wait_for("session.start");
        assert_eq!(denied.text("parent"), outer.session());

        let itself = TcpStream::connect((Ipv4Addr::LOCALHOST, stranger.port)).expect("the server");
        let mut identification = String::new();
        BufReader::new(itself)
            .read_line(&mut identification)
            .expect("its first words");
        let identification = identification.trim();
        let (mut ssh, here) = forwarding_to(stranger.port, |forward| {
            let ssh = house.ssh().args(&["-L", forward]).live("echo up; cat");
            ssh.hear("up");
            ssh
        });
        for hidden in ["SSH-2.0-hidden\r\n", "first a word\r\nSSH-2.0-hidden\r\n"] {
            let mut inner =
                TcpStream::connect((Ipv4Addr::LOCALHOST, here)).expect("the forwarded port");
            inner.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            inner.write_all(hidden.as_bytes()).expect("a connection");
            let mut got = Vec::new();
            // Ended or reset: either way nothing of the server's own words came through.
            let _ = inner.read_to_end(&mut got);
            let got = String::from_utf8_lossy(&got).into_owned();
            assert!(!got.contains("Invalid SSH identification"), "{got}");
            assert!(!got.contains(identification), "{got}");
        }
        ssh.say("still here\n");
        ssh.hear("still here");
    });
}
