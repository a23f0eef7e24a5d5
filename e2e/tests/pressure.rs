//! Peers that do not read, and floods: memory stays under a ceiling, and the others go on.

use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::Duration;

use e2e::house::{House, Plan, through_the_proxy, through_the_proxy_with};
use e2e::need;
use e2e::proxy::SESSION_CEILING;
use e2e::samples::noise;

/// The most that the proxy holds while `time` passes, above what it held before.
fn growth_during(house: &House, before: u64, time: Duration) -> u64 {
    let most = house.proxy().most_resident_bytes_during(time);
    most.saturating_sub(before)
}

/// One session has been, so that what is loaded once is loaded.
fn warm(house: &House) -> u64 {
    house.ssh().run("true").expect_code(0);
    house.proxy().resident_bytes()
}

#[test]
fn a_client_that_stops_reading_stops_the_target_being_read() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let before = warm(house);
        let counter = house.path("counter");
        // What the target could write, in units of 64 KiB, stands in the counter.
        let flood = format!(
            "i=0; while head -c 65536 /dev/zero; do i=$((i+1)); echo $i > {}; done",
            counter.display()
        );
        let stuck = house.ssh().stalled(&flood);
        // SIGSTOP: not even the client's own buffers are read any more.
        thread::sleep(Duration::from_millis(500));
        stuck.signal(rustix::process::Signal::STOP);
        let growth = growth_during(house, before, Duration::from_secs(4));
        assert!(growth < SESSION_CEILING, "grew by {growth} bytes");
        let written = || std::fs::read_to_string(&counter).unwrap_or_default();
        let one = written();
        thread::sleep(Duration::from_millis(800));
        assert_eq!(one, written(), "the target still writes while nobody reads");
        let blocks: u64 = one.trim().parse().expect("a count");
        assert!(blocks * 65_536 < 64 << 20, "{blocks} blocks went nowhere");
        // Beside it everybody is served.
        assert_eq!(
            house.ssh().run("echo beside").expect_code(0).out(),
            "beside\n"
        );
        stuck.signal(rustix::process::Signal::CONT);
    });
}

#[test]
fn fifty_stalled_channels_of_one_connection_stay_under_the_ceiling_of_a_session() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let before = warm(house);
        let socket = format!("ControlPath={}", house.path("socket").display());
        let ssh = house.ssh().option(&socket);
        let _master = {
            let mut master = ssh.clone().arg("-M").live("echo up; cat");
            master.hear("up");
            master.say("x");
            master
        };
        let stalled: Vec<_> = (0..50).map(|_| ssh.stalled("yes")).collect();
        let growth = growth_during(house, before, Duration::from_secs(5));
        assert!(growth < SESSION_CEILING, "grew by {growth} bytes");
        assert_eq!(ssh.run("echo beside").expect_code(0).out(), "beside\n");
        drop(stalled);
    });
}

#[test]
fn three_hundred_megabytes_through_a_session_need_no_more_memory_than_one() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let before = warm(house);
        let mut flow = house.ssh().live(
            "head -c 300000000 /dev/zero | tr '\\0' x; head -c 20000000 /dev/zero >&2; echo done",
        );
        let mut most = 0;
        while flow.is_running() {
            most = most.max(house.proxy().resident_bytes());
            thread::sleep(Duration::from_millis(20));
        }
        let growth = most.saturating_sub(before);
        assert!(growth < SESSION_CEILING, "grew by {growth} bytes");
    });
}

#[test]
fn a_hundred_silent_clients_cost_the_target_nothing_and_the_proxy_little() {
    need!("ssh", "sshd");
    let many = |plan: &mut Plan| {
        let limits = &mut plan.proxy.limits;
        limits.push("source = { unauthenticated = 101 }".to_owned());
    };
    through_the_proxy_with(many, |house| {
        let before = warm(house);
        let connections = house.sshd.connections();
        let silent: Vec<_> = (0..100)
            .map(|_| {
                TcpStream::connect((Ipv4Addr::LOCALHOST, house.proxy().port))
                    .expect("the proxy's listener")
            })
            .collect();
        let growth = growth_during(house, before, Duration::from_secs(1));
        assert!(growth < 100 * (120 << 10), "grew by {growth} bytes");
        assert_eq!(house.sshd.connections(), connections);
        assert_eq!(
            house.ssh().run("echo beside").expect_code(0).out(),
            "beside\n"
        );
        drop(silent);
    });
}

#[test]
fn a_slow_reader_gets_every_byte() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let sent = noise(8 << 20);
        let file = house.room.write("sent", &sent);
        let slow = format!(
            "{} | (sleep 1; head -c 1000000; sleep 1; head -c 3000000; sleep 1; cat)",
            house.ssh().line(&format!("cat {}", file.display()))
        );
        let got = e2e::process::shell(&slow, Duration::from_secs(30)).expect_code(0);
        assert!(
            got.stdout == sent,
            "{} of {} bytes",
            got.stdout.len(),
            sent.len()
        );
    });
}

#[test]
fn no_file_stays_open_when_all_sessions_are_over() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let open = || {
            std::fs::read_dir(format!("/proc/{}/fd", house.proxy().id()))
                .expect("a running proxy")
                .count()
        };
        warm(house);
        e2e::process::wait_until("the first end", Duration::from_secs(10), || {
            house.proxy().events_named("session.end").len() == 1
        });
        thread::sleep(Duration::from_millis(300));
        let before = open();
        thread::scope(|scope| {
            for _ in 0..10 {
                scope.spawn(|| house.ssh().run("echo x").expect_code(0));
            }
        });
        // A connection lingers until its peer has closed too.
        e2e::process::wait_until("as few files as before", Duration::from_secs(10), || {
            open() <= before
        });
    });
}
