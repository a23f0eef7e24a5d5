//! Logs of Cloudflare's `ssh-log-cli`: written, read by another program, and read back.

use std::fs;
use std::path::Path;
use std::process::Command;

use session_log::{
    CloudflareEvent, CloudflareMetadata, CloudflarePty, CloudflareReader, Identity, Record,
};

use crate::common;
use crate::lab::Lab;

type Packets = Vec<(u8, u32, u64, Vec<u8>)>;

fn lab() -> Lab {
    let lab = Lab::new();
    lab.good(&[
        "keygen",
        "--out",
        "@cf",
        "--kem",
        "x25519",
        "--format",
        "cloudflare",
    ]);
    lab
}

fn export(lab: &Lab, log: &str, out: &str) -> String {
    let to = [
        "export",
        "-i",
        "@key",
        "--to",
        "cloudflare",
        "--recipient",
        "@cf.pub",
        "--out",
    ];
    let (status, _, err) = lab.sshlog(&[&to[..], &[out, log]].concat());
    assert_eq!(status, 0, "{err}");
    err
}

fn import(lab: &Lab, log: &str, out: &str) -> (u8, String) {
    let from = [
        "import",
        "-i",
        "@cf",
        "--recipient",
        "@key.pub",
        "--sign-with",
        "@signer",
        "--out",
    ];
    let (status, _, err) = lab.sshlog(&[&from[..], &[out, log]].concat());
    (status, err)
}

fn read(lab: &Lab, name: &str) -> (CloudflareMetadata, Packets) {
    let key = fs::read_to_string(lab.path("cf")).unwrap();
    let mut reader = CloudflareReader::new(Identity::from_cloudflare(&key).unwrap()).unwrap();
    reader.push(&fs::read(lab.path(name)).unwrap()).unwrap();
    reader.finish().unwrap();
    let mut metadata = None;
    let mut packets = Vec::new();
    while let Some(event) = reader.poll() {
        match event {
            CloudflareEvent::Metadata(found) => metadata = Some(found),
            CloudflareEvent::Packet {
                source,
                code,
                elapsed_us,
                data,
            } => packets.push((source as u8, code, elapsed_us, data)),
            _ => {}
        }
    }
    (metadata.unwrap(), packets)
}

/// What two logs say, but for the key that each draws.
fn facts(metadata: &CloudflareMetadata) -> String {
    format!(
        "{} {} {:?} {:?}",
        metadata.started_at, metadata.data_size, metadata.pty, metadata.exit_data
    )
}

fn terminal_session() -> Vec<(u64, u32, Record<'static>)> {
    vec![
        (0, 0, Record::Annotation { text: "not there" }),
        (
            0,
            3,
            Record::Pty {
                term: "xterm-256color",
                columns: 120,
                rows: 40,
                pixel_width: 0,
                pixel_height: 0,
                modes: b"\x35\0\0\0\x01\x81\0\0\x96\0\0",
            },
        ),
        (10, 3, Record::Shell),
        (20, 3, Record::Input(b"ls\r")),
        (
            30,
            3,
            Record::Output(b"ls\r\n\x1b]52;c;ZXZpbA==\x07file\r\n"),
        ),
        (35, 4, Record::Output(b"another channel")),
        (40, 3, Record::Stderr(b"oops\n")),
        (5_000, 3, Record::ExitStatus { code: 7 }),
    ]
}

#[test]
fn a_session_with_a_terminal_goes_there_and_back_and_is_the_same() {
    let lab = lab();
    lab.put("log", &terminal_session());
    let said = export(&lab, "@log", "@there");
    assert!(said.contains("4 records were left out"), "{said}");
    let (metadata, packets) = read(&lab, "there");
    assert_eq!(
        (metadata.started_at, metadata.data_size),
        (1_800_000_000, 34)
    );
    let pty = metadata.pty.clone().unwrap();
    assert_eq!(
        (pty.term.as_deref(), pty.width, pty.height),
        (Some("xterm-256color"), 120, 40)
    );
    let modes = [("ECHO".to_owned(), 1), ("TTY_OP_OSPEED".to_owned(), 38_400)];
    assert_eq!(pty.modes, modes);
    let exit = metadata.exit_data.clone().unwrap();
    assert_eq!((exit.timestamp, exit.status), (1_800_000_005, Some(7)));
    assert_eq!(
        packets,
        [
            (0, 0, 20_000, b"ls\r".to_vec()),
            (
                1,
                0,
                30_000,
                b"ls\r\n\x1b]52;c;ZXZpbA==\x07file\r\n".to_vec()
            ),
            (1, 1, 40_000, b"oops\n".to_vec()),
        ]
    );
    let (status, said) = import(&lab, "@there", "@back");
    assert_eq!(status, 0, "{said}");
    assert!(
        said.contains("unsigned") && !said.contains("speaks of"),
        "{said}"
    );
    let records = lab.good(&["records", "-i", "@key", "--signers", "@signers", "@back"]);
    assert!(records.contains("xterm-256color") && records.contains("no signature"));
    export(&lab, "@back", "@again");
    let (metadata_again, packets_again) = read(&lab, "again");
    assert_eq!(facts(&metadata_again), facts(&metadata));
    assert_eq!(packets_again, packets);
    let mut other = terminal_session();
    other.truncate(2);
    lab.put("log", &other);
    export(&lab, "@log", "@no-exit");
    assert_eq!(
        read(&lab, "no-exit").0.exit_data,
        None,
        "nobody knows how it ended"
    );
}

#[test]
fn a_command_without_a_terminal_that_died_goes_there_and_back_and_is_the_same() {
    let lab = lab();
    let long = vec![b'x'; 600_000];
    lab.put(
        "log",
        &[
            (0, 1, Record::Exec { command: b"make" }),
            (1, 1, Record::Output(&long)),
            (2, 1, Record::Output(&long)),
            (
                3_000,
                1,
                Record::ExitSignal {
                    name: "SEGV",
                    core_dumped: true,
                    message: "segmentation fault",
                    language: "",
                },
            ),
        ],
    );
    export(&lab, "@log", "@there");
    let (metadata, packets) = read(&lab, "there");
    assert_eq!((&metadata.pty, metadata.data_size), (&None, 1_200_000));
    let exit = metadata.exit_data.clone().unwrap();
    assert_eq!(
        (exit.signal.as_deref(), exit.core_dumped, exit.status),
        (Some("SEGV"), true, None)
    );
    assert_eq!(exit.error_msg.as_deref(), Some("segmentation fault"));
    assert_eq!(import(&lab, "@there", "@back").0, 0);
    export(&lab, "@back", "@again");
    let (metadata_again, packets_again) = read(&lab, "again");
    assert_eq!(facts(&metadata_again), facts(&metadata));
    // How long data is cut differs, and not what there is.
    let joined = |packets: Packets| packets.into_iter().flat_map(|packet| packet.3).count();
    assert_eq!(
        (joined(packets), joined(packets_again)),
        (1_200_000, 1_200_000)
    );
}

#[test]
fn what_is_odd_or_cut_is_said() {
    let lab = lab();
    let recipient = fs::read_to_string(lab.path("cf.pub")).unwrap();
    let recipient = session_log::Recipient::from_cloudflare(&recipient).unwrap();
    let mut metadata = CloudflareMetadata::default();
    metadata.started_at = 1_800_000_000;
    metadata.data_size = 9;
    metadata.pty = Some(CloudflarePty {
        modes: vec![("ECHO".to_owned(), 1), ("EVIL\u{1b}[31m".to_owned(), 1)],
        ..CloudflarePty::default()
    });
    let (mut writer, mut bytes) =
        session_log::CloudflareWriter::begin(&recipient, metadata, [9; 32]).unwrap();
    for (code, data) in [(0, &b"fine"[..]), (7, b"odd")] {
        let origin = session_log::CloudflareSource::Origin;
        writer.packet(origin, code, 5, data, &mut bytes).unwrap();
    }
    fs::write(lab.path("odd"), &bytes).unwrap();
    let (status, said) = import(&lab, "@odd", "@imported");
    assert_eq!(status, 0, "{said}");
    for part in [
        "speaks of 9 bytes, and 7 were found",
        "1 terminal modes",
        "1 packets are of an unknown type",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains('\u{1b}'));
    fs::write(lab.path("cut"), &bytes[..bytes.len() - 2]).unwrap();
    let (status, said) = import(&lab, "@cut", "@imported-cut");
    assert!(
        status == 1 && said.contains("ends inside") && said.contains("and 4 were found"),
        "{said}"
    );
    let verify = ["verify", "--signers", "@signers", "@imported-cut"];
    let (status, out, _) = lab.sshlog(&verify);
    assert!(status == 1 && out.contains("ABORTED"), "{out}");
    let records = lab.good(&[
        "records",
        "-i",
        "@key",
        "--signers",
        "@signers",
        "--allow",
        "aborted",
        "@imported-cut",
    ]);
    assert!(
        records.contains("\"kind\":\"gap\"") && records.contains("fine"),
        "{records}"
    );
}

#[test]
fn an_import_of_which_nothing_can_be_read_leaves_no_log() {
    let lab = lab();
    export(&lab, "@log", "@there");
    let whole = fs::read(lab.path("there")).unwrap();
    lab.good(&[
        "keygen",
        "--out",
        "@other",
        "--kem",
        "x25519",
        "--format",
        "cloudflare",
    ]);
    let cases = [
        ("other", whole.clone()),
        ("cf", whole[..40].to_vec()),
        ("cf", b"no log".to_vec()),
    ];
    for (key, bytes) in cases {
        fs::write(lab.path("original"), bytes).unwrap();
        let key = format!("@{key}");
        let (status, out, err) = lab.sshlog(&[
            "import",
            "-i",
            &key,
            "--recipient",
            "@key.pub",
            "--sign-with",
            "@signer",
            "--out",
            "@imported",
            "@original",
        ]);
        assert_eq!((status, out.as_str()), (2, ""), "{err}");
        assert!(err.contains("nothing was imported"), "{err}");
        assert!(!lab.path("imported").exists());
    }
}

#[test]
fn an_export_needs_an_x25519_key_and_a_file() {
    let lab = lab();
    let to = ["export", "-i", "@key", "--to", "cloudflare", "--out", "@x"];
    let (status, _, err) = lab.sshlog(&[&to[..], &["@log"]].concat());
    assert!(
        status == 2 && err.contains("--recipient <KEY.pub>"),
        "{err}"
    );
    let (status, _, err) = lab.sshlog(&[&to[..], &["--recipient", "@key.pub", "@log"]].concat());
    assert!(status == 2 && err.contains("X25519"), "{err}");
    let (status, _, err) = lab.sshlog(&[&to[..], &["--recipient", "@cf.pub", "-"]].concat());
    assert!(status == 2 && err.contains("as a file"), "{err}");
}

/// Decrypts a log with the key schedule of RFC 9180 and prints its packets: nothing of ours but the X25519 step and the labels.
const JUDGE: &str = r#"
import base64, json, struct, sys
sys.path.insert(0, sys.argv[1])
from hpke_base import ChaCha20Poly1305, Labeled, PrivateKey, X25519
key = PrivateKey(X25519, base64.b64decode(open(sys.argv[2]).read()))
log = open(sys.argv[3], "rb").read()
def chunks(data):
    while data:
        (length,) = struct.unpack(">I", data[:4])
        assert len(data) >= 4 + length
        yield data[4:4 + length]
        data = data[4 + length:]
metadata, *blocks = chunks(log)
metadata = json.loads(base64.b64decode(metadata))
labeled = Labeled(1, b"HPKE" + struct.pack(">HHH", X25519, 1, 3))
secret = labeled.extract(key.decapsulate(bytes.fromhex(metadata["encapsulated_key"])), b"secret", b"")
context = b"\0" + labeled.extract(b"", b"psk_id_hash", b"") + labeled.extract(b"", b"info_hash", b"")
aead = ChaCha20Poly1305(labeled.expand(secret, b"key", context, 32))
nonce = int.from_bytes(labeled.expand(secret, b"base_nonce", context, 12), "big")
plain = [aead.decrypt((nonce ^ n).to_bytes(12, "big"), block, b"") for n, block in enumerate(blocks)]
assert all(plain), "ssh-log-cli takes an empty block for the end"
print(metadata["started_at"], metadata["data_size"], metadata["pty"]["modes"], metadata["exit_data"]["status"])
for packet in chunks(b"".join(plain)):
    print(*struct.unpack(">BIQ", packet[:13]), packet[13:])
"#;

#[test]
fn a_program_of_its_own_reads_what_was_written() {
    let lab = lab();
    lab.put("log", &terminal_session());
    export(&lab, "@log", "@there");
    let Some(python) = common::tool("python3") else {
        return;
    };
    let has = Command::new(&python)
        .args([
            "-c",
            "import cryptography.hazmat.primitives.asymmetric.mlkem",
        ])
        .output()
        .unwrap();
    if !has.status.success() {
        common::skip("python3 has no recent module cryptography");
        return;
    }
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/session-log/reference");
    let output = common::run(
        Command::new(python)
            .args(["-B", "-c", JUDGE])
            .arg(reference)
            .arg(lab.path("cf"))
            .arg(lab.path("there")),
    );
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "1800000000 34 [['ECHO', 1], ['TTY_OP_OSPEED', 38400]] 7\n\
         0 0 20000 b'ls\\r'\n\
         1 0 30000 b'ls\\r\\n\\x1b]52;c;ZXZpbA==\\x07file\\r\\n'\n\
         1 1 40000 b'oops\\n'\n"
    );
}
