//! `sshlog replay`: screens as they were, jumps, and logs that are still being written.

use std::fs;
use std::io::{Read, Write as _};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use session_log::{Record, WriterPolicy};

use crate::common;
use crate::lab::{Lab, at, drain};

const PTY: Record<'static> = Record::Pty {
    term: "xterm",
    columns: 20,
    rows: 4,
    pixel_width: 0,
    pixel_height: 0,
    modes: &[],
};

/// Text, then a program that takes the whole screen, then text again.
fn session() -> Vec<(u64, u32, Record<'static>)> {
    vec![
        (0, 1, PTY),
        (1_000, 1, Record::Output(b"$ \x1b[1mvi\x1b[0m notes\r\n")),
        (1_500, 2, Record::Output(b"elsewhere\r\n")),
        (
            2_000,
            1,
            Record::Output(b"\x1b[?1049h\x1b[2J\x1b[H~full screen~\x1b[4;1Hstatus"),
        ),
        (2_500, 1, Record::Input(b":q\r")),
        (60_000, 1, Record::Output(b"\x1b[?1049l$ exit\r\n")),
    ]
}

/// What a program writes, read beside the test, so that a wait for it ends.
struct Shown {
    pieces: mpsc::Receiver<Vec<u8>>,
    seen: String,
}

/// Longer than any machine takes.
const PATIENCE: Duration = Duration::from_secs(60);

impl Shown {
    fn of(mut from: impl Read + Send + 'static) -> Shown {
        let (sender, pieces) = mpsc::channel();
        thread::spawn(move || {
            let mut piece = [0; 1_024];
            while let Ok(got @ 1..) = from.read(&mut piece) {
                if sender.send(piece[..got].to_vec()).is_err() {
                    return;
                }
            }
        });
        Shown {
            pieces,
            seen: String::new(),
        }
    }

    fn wait_for(&mut self, text: &str) {
        while !self.seen.contains(text) {
            match self.pieces.recv_timeout(PATIENCE) {
                Ok(piece) => self.seen.push_str(&String::from_utf8_lossy(&piece)),
                Err(error) => panic!("{error} after {:?}", self.seen),
            }
        }
    }

    /// All of it, once the program has ended.
    fn until_end(mut self) -> String {
        loop {
            match self.pieces.recv_timeout(PATIENCE) {
                Ok(piece) => self.seen.push_str(&String::from_utf8_lossy(&piece)),
                Err(mpsc::RecvTimeoutError::Disconnected) => return self.seen,
                Err(error) => panic!("{error} after {:?}", self.seen),
            }
        }
    }
}

fn lab() -> Lab {
    let lab = Lab::new();
    lab.put("log", &session());
    lab
}

#[test]
fn a_snapshot_is_the_screen_as_it_was_at_that_moment() {
    let lab = lab();
    let screen =
        |when: &str| lab.good(&["replay", "-i", "@key", "--snapshot", "--at", when, "@log"]);
    assert_eq!(screen("1s"), "$ vi notes\n");
    assert_eq!(screen("0.5"), "\n");
    assert_eq!(screen("30s"), "~full screen~\n\n\nstatus\n");
    assert_eq!(
        screen("2027-01-15T08:00:30Z"),
        "~full screen~\n\n\nstatus\n"
    );
    assert_eq!(screen("1m"), "$ vi notes\n$ exit\n");
    assert_eq!(
        lab.good(&["replay", "-i", "@key", "--snapshot", "@log"]),
        "$ vi notes\n$ exit\n"
    );
    let (_, out, err) = lab.sshlog(&["replay", "-i", "@key", "--snapshot", "--at", "2h", "@log"]);
    assert_eq!(out, "$ vi notes\n$ exit\n");
    assert!(err.contains("ends before the time of --at"), "{err}");
    assert!(err.contains("channel 1; there is output on 2 too"), "{err}");
    assert_eq!(
        lab.good(&[
            "replay",
            "-i",
            "@key",
            "--snapshot",
            "--channel",
            "2",
            "@log"
        ]),
        "elsewhere\n"
    );
}

#[test]
fn a_drawn_screen_begins_whole_and_then_only_what_changed_is_drawn() {
    let lab = lab();
    let out = lab.good(&[
        "replay", "-i", "@key", "--screen", "--speed", "0", "--at", "30s", "--input", "@log",
    ]);
    let (before, after) = out.split_once("\x1b[4;1H\x1b[?25h").unwrap_or((&out, ""));
    assert!(before.starts_with("\x1b[0m\x1b[2J\x1b[1;1H"), "{out:?}");
    assert!(before.contains("~full screen~"), "{out:?}");
    assert!(out.contains("$ \x1b[0;1mvi\x1b[0m notes"), "{out:?}");
    assert!(
        !out.contains("1049"),
        "the alternate screen is the emulator's: {out:?}"
    );
    assert!(after.len() < out.len());
    let out = lab.good(&[
        "replay", "-i", "@key", "--screen", "--speed", "0", "--input", "--until", "10s", "@log",
    ]);
    assert!(out.contains("typed: :q^M"), "{out:?}");
    assert!(!out.contains("exit"), "{out:?}");
}

#[test]
fn a_stream_begins_and_ends_where_it_is_asked_to() {
    let lab = lab();
    let play = |more: &[&str]| {
        lab.good(
            &[
                &["replay", "-i", "@key", "--plain", "--speed", "0"],
                more,
                &["@log"],
            ]
            .concat(),
        )
    };
    assert_eq!(
        play(&["--at", "1200ms", "--until", "1.5s"]),
        "elsewhere\n\n"
    );
    assert_eq!(play(&["--at", "50s"]), "$ exit\n\n");
    assert_eq!(
        play(&["--at", "2.1", "--until", "3", "--input"]),
        "[typed :q^M]\n"
    );
    for wrong in ["soon", "-3s", ""] {
        let at = format!("--at={wrong}");
        let (status, _, err) = lab.sshlog(&["replay", "-i", "@key", &at, "@log"]);
        assert!(status == 2 && err.contains("such as 1h2m3s"), "{err}");
    }
}

#[test]
fn a_hostile_recording_reaches_neither_the_terminal_nor_the_memory() {
    let lab = Lab::new();
    let resize = |columns, rows| Record::Resize {
        columns,
        rows,
        pixel_width: 0,
        pixel_height: 0,
    };
    let mut flood = b"\x1b]0;".to_vec();
    flood.resize(900_000, b'A');
    let hostile: Vec<&[u8]> = vec![
        b"\x1b]52;c;ZXZpbA==\x07\x1b]0;title\x07\x1b[6n\x1b[c\x1bZ\x05",
        b"\x1b[8;60000;60000t\x1b[?1000h\x1b[?2004h",
        b"\xff\xfe\x80 \xe2\x80\xae evil \xc2\x9b6n",
        b"\x1b[999999999bx\x1b[2147483647;2147483647H",
        &flood,
    ];
    let mut records = vec![(0, 1, PTY), (1, 1, resize(u32::MAX, u32::MAX))];
    records.extend(
        hostile
            .iter()
            .zip(2..)
            .map(|(data, ms)| (ms, 1, Record::Output(data))),
    );
    records.extend((100..200).map(|ms| (ms, 1, resize(u32::MAX - ms as u32, 1 + ms as u32))));
    records.push((300, 1, resize(0, 0)));
    lab.put("log", &records);
    for form in ["--screen", "--snapshot", "--stream", "--plain"] {
        let (status, out, err) = lab.sshlog(&[
            "replay", "-i", "@key", "--speed", "0", form, "--input", "@log",
        ]);
        assert_eq!(status, 0, "{err}");
        for bad in [
            "\x1b]", "\x1bP", "[6n", "[c", "\x1bZ", "\u{5}", ";60000t", "1000h", "2004h", "\u{9b}",
            "\u{202e}", "title",
        ] {
            // What is left of a sequence whose first byte was no text is text.
            let text = out.replace("\u{fffd}6n", "");
            assert!(!text.contains(bad), "{form}: {bad:?}");
        }
        assert!(out.len() < 3_000_000, "{form}: {}", out.len());
        let said = err.contains("500 by 200 is the largest");
        assert_eq!(said, matches!(form, "--screen" | "--snapshot"), "{err}");
    }
}

#[test]
fn the_index_leads_to_a_late_time_and_the_screen_is_the_same() {
    let lab = Lab::new();
    let text: Vec<String> = (0..3_000).map(|n| format!("line {n}\r\n")).collect();
    let mut records = vec![(0, 1, PTY)];
    records.extend(
        (0..)
            .step_by(1_000)
            .zip(&text)
            .map(|(ms, line)| (ms, 1, Record::Output(line.as_bytes()))),
    );
    let policy = WriterPolicy {
        rotate_bytes: 200_000,
        ..WriterPolicy::default()
    };
    let log = lab.write(&records, policy);
    fs::write(lab.path("log"), &log).unwrap();
    fs::create_dir(lab.path("folder")).unwrap();
    for (number, segment) in lab.split(&log).iter().enumerate() {
        fs::write(lab.path(&format!("folder/{number}.sslg")), segment).unwrap();
    }
    let expected = "line 1998\nline 1999\nline 2000\n";
    for name in ["@log", "@folder"] {
        for when in ["2000s", "2027-01-15T08:33:20Z"] {
            let at = [
                "replay",
                "-i",
                "@key",
                "--signers",
                "@signers",
                "--snapshot",
                "--at",
                when,
            ];
            assert_eq!(lab.good(&[&at[..], &[name]].concat()), expected);
            let seek = [&at[..], &["--seek", name]].concat();
            let (status, out, err) = lab.sshlog(&seek);
            assert_eq!((status, out.as_str()), (1, expected), "{err}");
            assert!(err.contains("EXCERPT"), "{err}");
            let seek = [&at[..], &["--seek", "--allow", "excerpt", name]].concat();
            assert_eq!(lab.good(&seek), expected);
        }
    }
    fs::write(lab.path("log"), &log[..log.len() - 30]).unwrap();
    let (_, out, err) = lab.sshlog(&[
        "replay",
        "-i",
        "@key",
        "--snapshot",
        "--seek",
        "--at",
        "2000s",
        "@log",
    ]);
    assert_eq!(out, expected);
    assert!(err.contains("reading from the beginning"), "{err}");
}

#[test]
fn a_log_that_is_being_written_is_followed_over_its_segments_to_its_end() {
    let lab = Lab::new();
    let mut writer = lab.writer(WriterPolicy {
        rotate_bytes: 4_096,
        ..WriterPolicy::default()
    });
    let mut file = fs::File::create(lab.path("log")).unwrap();
    let mut put = |writer: &mut session_log::Writer, torn: bool| {
        let mut bytes = Vec::new();
        drain(writer, &mut bytes);
        let (first, second) = bytes.split_at(if torn { bytes.len() / 2 } else { 0 });
        file.write_all(first).unwrap();
        file.flush().unwrap();
        file.write_all(second).unwrap();
    };
    writer
        .record(1, &Record::Output(b"first\r\n"), at(0))
        .unwrap();
    writer.flush(at(0)).unwrap();
    put(&mut writer, false);

    let mut sshlog = Command::new(common::example("sshlog"))
        .args(["replay", "--follow", "--plain", "-i"])
        .arg(lab.path("key"))
        .arg("--signers")
        .arg(lab.path("signers"))
        .arg(lab.path("log"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut shown = Shown::of(sshlog.stdout.take().unwrap());
    shown.wait_for("first");
    for n in 0..40u64 {
        let line = format!("line {n}\r\n");
        writer
            .record(1, &Record::Output(line.as_bytes()), at(n))
            .unwrap();
        writer.flush(at(n)).unwrap();
        put(&mut writer, n % 2 == 0);
    }
    shown.wait_for("line 39");
    writer.finish(at(100)).unwrap();
    put(&mut writer, true);
    let output = sshlog.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{err}");
    assert!(
        err.contains("complete") && err.contains("verified"),
        "{err}"
    );
}

#[test]
fn standard_input_is_followed_until_it_is_closed() {
    let lab = Lab::new();
    let log = fs::read(lab.path("log")).unwrap();
    let mut sshlog = Command::new(common::example("sshlog"))
        .args(["replay", "--follow", "--plain", "-i"])
        .arg(lab.path("key"))
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let shown = Shown::of(sshlog.stdout.take().unwrap());
    let mut stdin = sshlog.stdin.take().unwrap();
    stdin.write_all(&log[..log.len() - 400]).unwrap();
    drop(stdin);
    assert!(shown.until_end().contains("done"));
    let output = sshlog.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("TRUNCATED"), "{err}");
}

#[test]
fn following_is_left_with_an_interrupt_and_still_says_its_verdict() {
    let lab = Lab::new();
    let log = fs::read(lab.path("log")).unwrap();
    fs::write(lab.path("growing"), &log[..log.len() - 400]).unwrap();
    let mut sshlog = Command::new(common::example("sshlog"))
        .args(["replay", "--follow", "--screen", "-i"])
        .arg(lab.path("key"))
        .arg(lab.path("growing"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut shown = Shown::of(sshlog.stdout.take().unwrap());
    // The drawing comes after the handler is there.
    shown.wait_for("done");
    common::run(Command::new("kill").args(["-INT", &sshlog.id().to_string()]));
    let seen = shown.until_end();
    let output = sshlog.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("completeness  in progress"), "{err}");
    assert!(seen.ends_with("\r\n"), "the terminal is left in order");
}

#[test]
fn on_a_terminal_the_emulated_screen_is_drawn_in_the_room_that_there_is() {
    let lab = lab();
    let Some(script) = common::tool("script") else {
        return;
    };
    let command = format!(
        "stty cols 12 rows 3; {} replay --speed 0 -i {} {}",
        common::example("sshlog").display(),
        lab.path("key").display(),
        lab.path("log").display()
    );
    let output = common::run(Command::new(script).args(["-q", "-e", "-c", &command, "/dev/null"]));
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(
        shown.contains("\x1b[2J") && shown.contains("$ exit"),
        "{shown:?}"
    );
    assert!(
        shown.contains("was 20 by 4, larger than this terminal"),
        "{shown:?}"
    );
    assert!(
        !shown.contains("\x1b[4;1H") && !shown.contains("1049"),
        "{shown:?}"
    );
}
