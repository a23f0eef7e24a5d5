//! A folder with keys and logs, and the command as its users call it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use examples::sshlog::run;
use session_log::{
    Event, LogId, Now, Reader, Recipient, Record, SigningIdentity, Suite, Writer, WriterConfig,
    WriterPolicy,
};

pub(crate) struct Lab {
    dir: tempfile::TempDir,
}

/// Grants the log of the lab to a late recipient, in sidecars.
pub(crate) const REWRAP: [&str; 9] = [
    "rewrap",
    "-i",
    "@key",
    "--recipient",
    "@late.pub",
    "--sign-with",
    "@signer",
    "--out",
    "@wraps",
];

impl Lab {
    /// A reader's key, a signer's key from ssh-keygen, and a log.
    pub(crate) fn new() -> Lab {
        let lab = Lab {
            dir: tempfile::tempdir().unwrap(),
        };
        lab.good(&["keygen", "--out", "@key"]);
        lab.good(&["keygen", "--out", "@late"]);
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(lab.path("signer"))
            .status()
            .unwrap();
        assert!(made.success());
        let public = fs::read_to_string(lab.path("signer.pub")).unwrap();
        fs::write(lab.path("signers"), format!("proxy@example {public}")).unwrap();
        fs::write(lab.path("log"), lab.log()).unwrap();
        lab
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Arguments that begin with `@` are files of the lab.
    pub(crate) fn sshlog(&self, arguments: &[&str]) -> (u8, String, String) {
        let whole = arguments
            .iter()
            .map(|argument| match argument.strip_prefix('@') {
                Some(name) => self.path(name).into_os_string(),
                None => (*argument).into(),
            });
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let status = run(
            std::iter::once("sshlog".into()).chain(whole),
            &mut out,
            &mut err,
        );
        (
            status,
            String::from_utf8(out).unwrap(),
            String::from_utf8(err).unwrap(),
        )
    }

    pub(crate) fn good(&self, arguments: &[&str]) -> String {
        let (status, out, err) = self.sshlog(arguments);
        assert_eq!(status, 0, "{arguments:?}: {err}");
        out
    }

    /// A short session.
    fn log(&self) -> Vec<u8> {
        let records = [
            Record::Pty {
                term: "xterm",
                columns: 100,
                rows: 30,
                pixel_width: 0,
                pixel_height: 0,
                modes: &[],
            },
            Record::Exec {
                command: b"cat secret-plan",
            },
            Record::Input(b"typed"),
            Record::Output("\x1b[31mhällo\x1b[0m \x1b]52;c;ZXZpbA==\x07done\r\n".as_bytes()),
            Record::ExitStatus { code: 0 },
        ];
        let timed: Vec<_> = (0..)
            .step_by(10)
            .zip(records)
            .map(|(ms, r)| (ms, 1, r))
            .collect();
        self.write(&timed, WriterPolicy::default())
    }

    /// A writer of a log for `key`, signed by `signer`, that began at 2027-01-15T08:00:00Z.
    pub(crate) fn writer(&self, policy: WriterPolicy) -> Writer {
        let public = fs::read_to_string(self.path("key.pub")).unwrap();
        let config = WriterConfig {
            suite: Suite::default(),
            recipients: vec![Recipient::from_text(&public).unwrap()],
            policy,
        };
        let private = fs::read_to_string(self.path("signer")).unwrap();
        let signer = SigningIdentity::from_openssh(&private).unwrap();
        Writer::create(&config, &signer, LogId([2; 16]), [3; 32], at(0)).unwrap()
    }

    /// A whole log of these: milliseconds, channel, record. Each is flushed.
    pub(crate) fn write(
        &self,
        records: &[(u64, u32, Record<'_>)],
        policy: WriterPolicy,
    ) -> Vec<u8> {
        let mut writer = self.writer(policy);
        let mut log = Vec::new();
        let mut last = 0;
        for (ms, channel, record) in records {
            writer.record(*channel, record, at(*ms)).unwrap();
            writer.flush(at(*ms)).unwrap();
            last = *ms;
            drain(&mut writer, &mut log);
        }
        writer.finish(at(last + 100)).unwrap();
        drain(&mut writer, &mut log);
        log
    }

    /// A log of so many lines on channel 1, ten milliseconds apart, in segments of this many bytes.
    pub(crate) fn in_segments(&self, lines: u64, line: &[u8], rotate_bytes: u64) -> Vec<u8> {
        let policy = WriterPolicy {
            rotate_bytes,
            ..WriterPolicy::default()
        };
        let lines: Vec<_> = (0..lines)
            .map(|n| (n * 10, 1, Record::Output(line)))
            .collect();
        self.write(&lines, policy)
    }

    /// The segments of a log, as the objects that it may be stored as.
    pub(crate) fn split(&self, log: &[u8]) -> Vec<Vec<u8>> {
        let mut reader = Reader::default();
        reader.push(log);
        reader.finish();
        let mut begins = Vec::new();
        while let Some(event) = reader.poll() {
            if let Event::Segment(segment) = event {
                begins.push(usize::try_from(segment.offset).unwrap());
            }
        }
        let ends = begins.iter().skip(1).copied().chain([log.len()]);
        begins
            .iter()
            .zip(ends)
            .map(|(begin, end)| log[*begin..end].to_vec())
            .collect()
    }

    /// Puts a log of these records into the file.
    pub(crate) fn put(&self, name: &str, records: &[(u64, u32, Record<'_>)]) {
        fs::write(
            self.path(name),
            self.write(records, WriterPolicy::default()),
        )
        .unwrap();
    }

    pub(crate) fn export(&self, to: &str) -> String {
        let out = format!("@{to}");
        self.good(&[
            "export",
            "-i",
            "@key",
            "--signers",
            "@signers",
            "--to",
            to,
            "--out",
            &out,
            "@log",
        ]);
        fs::read_to_string(self.path(to)).unwrap()
    }
}

/// A time of the logs' writer.
pub(crate) fn at(ms: u64) -> Now {
    Now {
        mono: Duration::from_millis(ms),
        unix: Duration::from_millis(1_800_000_000_000 + ms),
    }
}

pub(crate) fn drain(writer: &mut Writer, log: &mut Vec<u8>) {
    while let Some(bytes) = writer.take_output() {
        log.extend_from_slice(&bytes);
    }
}
