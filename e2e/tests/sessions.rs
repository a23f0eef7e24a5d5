//! What a person does all day: commands, shells, terminals, environment, signals and exit codes.
//!
//! Each scenario runs against plain `sshd` first, so that what is asked of the proxy is what OpenSSH does.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use e2e::house::{by_both_ways, through_the_proxy};
use e2e::live::Size;
use e2e::need;

#[test]
fn a_command_without_a_terminal_returns_its_output() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        let hello = house
            .ssh()
            .run("echo hello; test -t 0 || echo no terminal")
            .expect_code(0);
        assert_eq!(hello.out(), "hello\nno terminal\n");
        assert_eq!(hello.err(), "");
    });
}

#[test]
fn a_command_with_a_terminal_has_one_of_the_size_of_the_client() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        let mut ssh = house
            .ssh()
            .arg("-t")
            .terminal("tty; stty size; echo TERM is $TERM");
        ssh.hear("/dev/pts/");
        ssh.hear("30 90");
        ssh.hear("TERM is xterm");
        assert_eq!(ssh.end(Duration::from_secs(10)).code(), Some(0));
    });
}

#[test]
fn a_forced_terminal_without_a_local_one_works_too() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        let tty = house
            .ssh()
            .arg("-tt")
            .run("test -t 0 && test -t 1 && echo terminal; exit 9")
            .expect_code(9);
        assert!(tty.out().contains("terminal"), "{tty:?}");
    });
}

#[test]
fn a_shell_fed_by_a_pipe_runs_its_commands_and_returns_the_last_status() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        let shell = house
            .ssh()
            .arg("-T")
            .feed("", b"echo one\ncd /\npwd\nexit 5\n")
            .expect_code(5);
        assert!(shell.out().contains("one\n/\n"), "{shell:?}");
    });
}

#[test]
fn an_interactive_shell_echoes_runs_and_exits() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        let mut ssh = house.ssh().terminal("");
        ssh.expect_shell();
        ssh.say("echo $((6 * 7)) is the answer\n");
        ssh.hear("42 is the answer");
        ssh.say("exit 3\n");
        assert_eq!(ssh.end(Duration::from_secs(10)).code(), Some(3));
    });
}

#[test]
fn granted_environment_reaches_the_command() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        let seen = house
            .ssh()
            .env("LC_TIME", "C.UTF-8")
            .option("SendEnv=LC_TIME")
            .option("SetEnv=LC_TEST=blue")
            .run("echo $LC_TIME $LC_TEST")
            .expect_code(0);
        assert_eq!(seen.out(), "C.UTF-8 blue\n");
    });
}

#[test]
fn a_variable_that_is_not_utf8_passes_byte_for_byte() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        let seen = house
            .ssh()
            .env("LC_TEST", OsStr::from_bytes(b"caf\xe9 \xff"))
            .option("SendEnv=LC_TEST")
            .run("printf %s \"$LC_TEST\"")
            .expect_code(0);
        assert_eq!(seen.stdout, b"caf\xe9 \xff");
    });
}

#[test]
fn a_variable_that_was_not_granted_is_refused_and_recorded() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        // The target would take it: that it is absent is the doing of the proxy.
        let seen = house
            .ssh()
            .option("SetEnv=OTHER_SECRET=taken")
            .run("echo \"[$OTHER_SECRET]\"")
            .expect_code(0);
        assert_eq!(seen.out(), "[]\n");
        house.proxy().expect_refusal("env");
    });
}

#[test]
fn a_window_change_is_seen_by_the_remote_program() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        let mut ssh = house
            .ssh()
            .arg("-t")
            .terminal("while stty size; do sleep 0.1; done");
        ssh.hear("30 90");
        ssh.resize(Size {
            columns: 133,
            rows: 44,
        });
        ssh.hear("44 133");
        ssh.resize(Size {
            columns: 40,
            rows: 10,
        });
        ssh.hear("10 40");
        if let Some(proxy) = &house.proxy {
            proxy.wait_for_record("resize", |record| {
                record.number("columns") == 133 && record.number("rows") == 44
            });
            proxy.wait_for_record("resize", |record| {
                record.number("columns") == 40 && record.number("rows") == 10
            });
        }
        ssh.say("\x03");
    });
}

#[test]
fn control_c_interrupts_the_remote_command_and_not_the_session() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        let mut ssh = house.ssh().terminal("");
        ssh.expect_shell();
        ssh.say("sleep 300 || echo it was \"interrupted\"\n");
        std::thread::sleep(Duration::from_millis(300));
        ssh.say("\x03");
        ssh.say("echo still \"here\"\n");
        ssh.hear("still here");
        ssh.say("exit\n");
        ssh.end(Duration::from_secs(10));
    });
}

#[test]
fn a_break_is_delivered_and_recorded() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        let mut ssh = house.ssh().terminal("");
        ssh.expect_shell();
        ssh.say("~B");
        ssh.say("echo after the \"break\"\n");
        ssh.hear("after the break");
        if let Some(proxy) = &house.proxy {
            proxy.wait_for_record("break", |_| true);
        }
        ssh.say("exit\n");
        ssh.end(Duration::from_secs(10));
    });
}

#[test]
fn every_exit_status_comes_back_unchanged() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        for code in [0, 1, 2, 42, 126, 127, 143, 254, 255] {
            house.ssh().run(&format!("exit {code}")).expect_code(code);
        }
    });
}

#[test]
fn a_program_killed_by_a_signal_ends_as_it_does_without_the_proxy() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        for (signal, name) in [("TERM", "TERM"), ("KILL", "KILL"), ("SEGV", "SEGV")] {
            let killed = house
                .ssh()
                .run(&format!("echo before; kill -{signal} $$; sleep 5"))
                .expect_code(255);
            assert_eq!(killed.out(), "before\n");
            if let Some(proxy) = &house.proxy {
                let end = proxy.wait_for_event("an end by signal", |event| {
                    event.name() == "session.end" && event.json()["exit"]["signal"] == name
                });
                proxy.expect_record_of(end.session(), "exit_signal");
            }
        }
    });
}

#[test]
fn standard_error_stays_apart_from_standard_output() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        let both = house
            .ssh()
            .run("echo to out; echo to err >&2; echo more out")
            .expect_code(0);
        assert_eq!(both.out(), "to out\nmore out\n");
        assert_eq!(both.err(), "to err\n");
    });
}

#[test]
fn a_session_without_a_command_stays_open_until_the_client_goes() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        let mut ssh = house.ssh().args(&["-N", "-v"]).live("");
        ssh.hear("Authenticated to");
        std::thread::sleep(Duration::from_millis(500));
        assert!(ssh.is_running());
    });
}

#[test]
fn a_client_that_wants_compression_gets_a_session_without() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        assert_eq!(
            house.ssh().arg("-C").run("echo plain").expect_code(0).out(),
            "plain\n"
        );
    });
}
