//! What `sshlog` does when something is wrong: it says so, stops in time, and leaves no half file behind.

use std::fs;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use session_log::{Record, WriterPolicy};

use crate::common;
use crate::lab::{Lab, at, drain};

/// The names in the lab's folder.
fn names(lab: &Lab) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(lab.path("."))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn reading_ends_when_the_verdict_stands_also_where_the_bytes_never_end() {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        let lab = Lab::new();
        let zeros = [
            &["verify", "--signers", "@signers", "/dev/zero"][..],
            &["records", "-i", "@key", "/dev/zero"],
            &["replay", "-i", "@key", "/dev/zero"],
        ];
        for arguments in zeros {
            assert_eq!(lab.sshlog(arguments).0, 1, "{arguments:?}");
        }
        let prove = [
            "prove",
            "-i",
            "@key",
            "--frame",
            "2",
            "--out",
            "@proof",
            "/dev/zero",
        ];
        assert_eq!(lab.sshlog(&prove).0, 2);
        done.send(()).unwrap();
    });
    is_done
        .recv_timeout(Duration::from_secs(120))
        .expect("it goes on to read, or failed");
}

#[test]
fn a_command_that_fails_leaves_nothing_behind_and_can_be_tried_again() {
    let lab = Lab::new();
    lab.good(&["keygen", "--out", "@cf", "--kem", "x25519"]);
    fs::write(lab.path("taken.timing"), "").unwrap();
    fs::write(lab.path("empty"), "").unwrap();
    let before = names(&lab);
    let to = |format, key, out| ["export", "-i", key, "--to", format, "--out", out, "@log"];
    let recover = [
        "recover",
        "--sign-with",
        "@signer",
        "--recipient",
        "@key.pub",
        "--out",
        "@out",
    ];
    let rewrap = [
        "rewrap",
        "-i",
        "@key",
        "--sign-with",
        "@signer",
        "--out",
        "@out",
    ];
    let import = ["import", "-i", "@cf", "--out", "@out", "--sign-with"];
    let cases: Vec<(Vec<&str>, &str)> = vec![
        (to("raw", "@absent", "@out").to_vec(), "cannot read"),
        (
            to("typescript", "@key", "@taken").to_vec(),
            "nothing is overwritten",
        ),
        (
            [
                &to("cloudflare", "@key", "@out")[..],
                &["--recipient", "@signers"],
            ]
            .concat(),
            "signers",
        ),
        ([&recover[..], &["@empty"]].concat(), ""),
        (
            [&rewrap[..], &["--recipient", "@absent", "@log"]].concat(),
            "cannot read",
        ),
        (
            [&import[..], &["@absent", "--recipient", "@key.pub", "@log"]].concat(),
            "cannot read",
        ),
        (
            [&import[..], &["@signer", "--recipient", "@absent", "@log"]].concat(),
            "cannot read",
        ),
    ];
    for (arguments, why) in cases {
        let (status, out, err) = lab.sshlog(&arguments);
        assert_eq!((status, out.as_str()), (2, ""), "{arguments:?}: {err}");
        assert!(err.contains(why), "{arguments:?}: {err}");
        assert_eq!(names(&lab), before, "{arguments:?}");
    }
}

#[test]
fn what_is_read_twice_is_refused_from_standard_input_before_anything_is_read() {
    let lab = Lab::new();
    let sign = [
        "--sign-with",
        "@signer",
        "--recipient",
        "@key.pub",
        "--out",
        "@out",
        "-",
    ];
    for arguments in [
        [&["recover"][..], &sign].concat(),
        [&["rewrap", "-i", "@key"][..], &sign].concat(),
        vec!["replay", "-i", "@key", "--seek", "--at", "1s", "-"],
    ] {
        let (status, _, err) = lab.sshlog(&arguments);
        assert!(status == 2 && err.contains("as a file"), "{err}");
    }
}

#[test]
fn each_way_to_end_is_allowed_by_its_own_name() {
    let lab = Lab::new();
    let log = fs::read(lab.path("log")).unwrap();
    let mut writer = lab.writer(WriterPolicy::default());
    writer.record(1, &Record::Output(b"x"), at(0)).unwrap();
    writer.abort(at(1)).unwrap();
    let mut aborted = Vec::new();
    drain(&mut writer, &mut aborted);
    let cases = [
        ("truncated", &log[..log.len() - 100]),
        ("trailer-missing", &log[..log.len() - 24]),
        ("aborted", &aborted[..]),
    ];
    for (name, bytes) in cases {
        fs::write(lab.path("log"), bytes).unwrap();
        for (allowed, _) in cases {
            let verify = [
                "verify",
                "--signers",
                "@signers",
                "--allow",
                allowed,
                "@log",
            ];
            let status = lab.sshlog(&verify).0;
            assert_eq!(status, u8::from(name != allowed), "{name}, {allowed}");
        }
    }
}

#[test]
fn a_folder_has_the_segments_whose_names_are_numbers_and_any_many_of_them() {
    let lab = Lab::new();
    let segments = lab.split(&lab.in_segments(100, b"line\r\n", 4_096));
    assert!(segments.len() > 15, "{}", segments.len());
    fs::create_dir(lab.path("logs")).unwrap();
    for (number, segment) in segments.iter().enumerate() {
        fs::write(lab.path(&format!("logs/{number}.sslg")), segment).unwrap();
    }
    for other in ["+0", "00", "-1", "0x1", "0.0", "1 ", "4294967296"] {
        fs::write(lab.path(&format!("logs/{other}.sslg")), "no segment").unwrap();
    }
    fs::create_dir(lab.path(&format!("logs/{}.sslg", segments.len()))).unwrap();
    lab.good(&["verify", "--signers", "@signers", "@logs"]);
    let out = lab.good(&["replay", "-i", "@key", "--plain", "--speed", "0", "@logs"]);
    assert_eq!(out.matches("line").count(), 100);
    // Standard streams, the folder, the key, the log: far fewer files than segments.
    common::run(
        Command::new("sh")
            .args(["-c", "ulimit -n 12 && exec \"$@\"", "sh"])
            .arg(common::example("sshlog"))
            .arg("verify")
            .arg("--signers")
            .arg(lab.path("signers"))
            .arg(lab.path("logs")),
    );
}

#[test]
fn a_long_log_shows_how_far_it_is_on_a_terminal() {
    let lab = Lab::new();
    let Some(script) = common::tool("script") else {
        return;
    };
    let file = fs::File::create(lab.path("zeros")).unwrap();
    file.set_len(65 << 20).unwrap();
    let name = |name: &str| lab.path(name).display().to_string();
    let command = format!(
        "{} recover --sign-with {} --recipient {} --out {} {}",
        common::example("sshlog").display(),
        name("signer"),
        name("key.pub"),
        name("out"),
        name("zeros")
    );
    let output = Command::new(script)
        .args(["-q", "-c", &command, "/dev/null"])
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("] 100 %"), "{shown:?}");
}
