//! Where the seed corpora come from, and the test that they still do and that every target survives its own.
//!
//! `WRITE_SEEDS=1 cargo test --lib` writes them anew; files that nothing here makes (findings) stay.

use std::fs;
use std::path::{Path, PathBuf};

use session_log::{Identity, Kem};

use crate::keyed::{mpint, string};
use crate::{log_reader, transport_client, transport_server};

type Target = (&'static str, fn(&[u8]));

const TARGETS: &[Target] = &[
    ("certificate", crate::certificate::run),
    ("host_key", crate::host_key::run),
    ("krl", crate::krl::run),
    ("log_cloudflare", crate::log_cloudflare::run),
    ("log_grant", crate::log_grant::run),
    ("log_keyfiles", crate::log_keyfiles::run),
    ("log_proof", crate::log_proof::run),
    ("log_reader", crate::log_reader::run),
    ("log_records", crate::log_records::run),
    ("log_sanitizer", crate::log_sanitizer::run),
    ("log_seek", crate::log_seek::run),
    ("log_writer", crate::log_writer::run),
    ("operations", crate::operations::run),
    ("policy_decision", crate::policy_decision::run),
    ("policy_document", crate::policy_document::run),
    ("relay", crate::relay::run),
    ("session", crate::session::run),
    ("transport_client", crate::transport_client::run),
    ("transport_group", crate::transport_group::run),
    ("transport_hostkeys", crate::transport_hostkeys::run),
    ("transport_keyed", crate::transport_keyed::run),
    ("transport_pair", crate::transport_pair::run),
    ("transport_server", crate::transport_server::run),
];

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("seeds")
        .join(target)
}

/// Every seed with its target and name.
fn seeds() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut seeds = Vec::new();
    let mut add =
        |target, name: &str, bytes: &[u8]| seeds.push((target, name.to_owned(), bytes.to_vec()));
    for (number, blob) in crate::certificate::genuine().iter().enumerate() {
        add("certificate", &format!("genuine-{number}"), blob);
        add("host_key", &format!("certificate-{number}"), blob);
    }
    add(
        "certificate",
        "key-id",
        b"identity=ann@example.com;session=5f3a;decision=rule%2012",
    );
    // Of three kinds in turn; the last ones go deeper.
    for number in [0, 1, 2, 3, 17, 20, 29] {
        let name = format!("run-{number}");
        add("operations", &name, &crate::operations::genuine(number));
    }
    for (number, list) in crate::krl::genuine().iter().enumerate() {
        add("krl", &format!("genuine-{number}"), list);
    }
    add(
        "krl",
        "principals",
        b"restrict,pty,command=\"a \\\"b\" jdoe@example.com\nfrom=\"10.*,!10.1.2.4\",expiry-time=\"20300101\" ops # x\n",
    );
    let ed25519 = [string(b"ssh-ed25519"), string(&[9; 32])].concat();
    let rsa = [
        string(b"ssh-rsa"),
        string(&[1, 0, 1]),
        string(&[[0].as_slice(), &[0xc1; 256]].concat()),
    ]
    .concat();
    add("host_key", "ed25519", &ed25519);
    add("host_key", "rsa", &rsa);
    add(
        "host_key",
        "secret",
        b"f86dde72575a4a0c6cb106738681a3e261f2db7e5b9ebbb7d6b7b5aabe93280e",
    );
    add(
        "host_key",
        "pin",
        b"SHA256:VAwc8GWnfGrDECKjmnx13V+HW4tQYlzRfJxFTdWnizM",
    );
    for (number, log) in log_reader::genuine_logs().iter().enumerate() {
        add("log_reader", &format!("genuine-{number}"), log);
        add(
            "log_seek",
            &format!("genuine-{number}"),
            &[&[9, 4], &log[..]].concat(),
        );
    }
    add(
        "log_cloudflare",
        "genuine",
        crate::log_cloudflare::genuine(),
    );
    add("log_grant", "genuine", crate::log_grant::genuine());
    add("log_proof", "genuine", crate::log_proof::genuine());
    let calls: Vec<u8> = (0..=255_u8).map(|byte| byte.wrapping_mul(89)).collect();
    for suite in 0..4 {
        add(
            "log_writer",
            &format!("suite-{suite}"),
            &[&[suite], &calls[..]].concat(),
        );
    }
    for kem in [Kem::XWing, Kem::X25519] {
        let mut rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::from_seed([8; 32]);
        let identity = Identity::generate(kem, &mut rng);
        add(
            "log_keyfiles",
            &format!("identity-{}", kem.name()),
            identity.to_text().as_bytes(),
        );
        add(
            "log_keyfiles",
            &format!("recipient-{}", kem.name()),
            identity.recipient().to_text().as_bytes(),
        );
    }
    let signer = format!(
        "# proxies\na@b namespaces=\"sslg1\" {}\n",
        log_reader::signer().public_key_openssh()
    );
    add("log_keyfiles", "signers", signer.as_bytes());
    let ca = ssh_key::PrivateKey::from(ssh_key::private::Ed25519Keypair::from_seed(&[1; 32]));
    let text = ca
        .to_openssh(ssh_key::LineEnding::LF)
        .expect("it has a text");
    add("log_keyfiles", "openssh", text.as_bytes());
    let record =
        |kind: u8, body: &[u8]| [&[1, 5, kind, 1, 0, 20, 0, body.len() as u8], body, &[1]].concat();
    let bodies: [&[u8]; 4] = [
        b"ls\r",
        b"file",
        "caf\u{e9}".as_bytes(),
        b"\xa2\x01\x02\x03\x82\x04\x05",
    ];
    let records: Vec<u8> = (0..12)
        .flat_map(|kind| bodies.iter().flat_map(move |body| record(kind, body)))
        .collect();
    add("log_records", "each-kind", &records);
    add(
        "log_sanitizer",
        "screen",
        b"\x1b[1;31mred\x1b[0m\x1b[2J\x1b[10;20H\x1b(0lqk\x1b(B\x1b7\x1b8\x1b[?1049h\xc3\xa9\r\n",
    );
    add(
        "log_sanitizer",
        "attack",
        b"a\x1b]52;c;cm0=\x07\x1bP$qm\x1b\\\x1b[6n\x1b[?1000h\xc2\x9d0;x\xc2\x9cb\xe2\x80\xae",
    );
    let choices: Vec<u8> = (0..=255)
        .cycle()
        .map(|byte: u8| byte.wrapping_mul(167))
        .take(2000)
        .collect();
    add("policy_decision", "choices", &choices);
    add("policy_document", "small", POLICY_SMALL.as_bytes());
    add("policy_document", "rules", POLICY_RULES.as_bytes());
    add(
        "transport_server",
        "genuine",
        &transport_server::genuine().bytes,
    );
    add(
        "transport_client",
        "genuine",
        &transport_client::genuine().bytes,
    );
    add(
        "transport_server",
        "http",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    );
    add(
        "transport_client",
        "notice",
        b"Authorized use only\r\nSSH-2.0-OpenSSH_9.2\r\n",
    );
    let host_key = crate::ends::host_key().public_key_blob();
    let host_keys = [host_key.as_slice(), &ed25519];
    add(
        "transport_hostkeys",
        "announcement",
        &ssh_transport::hostkeys::announcement(&host_keys),
    );
    add(
        "transport_hostkeys",
        "prove",
        &ssh_transport::hostkeys::prove_request(&host_keys),
    );
    add(
        "transport_hostkeys",
        "proof",
        crate::transport_hostkeys::genuine(),
    );
    for (name, mode, payloads) in keyed() {
        let body: Vec<u8> = payloads
            .iter()
            .flat_map(|payload| [&(payload.len() as u16).to_be_bytes(), &payload[..]].concat())
            .collect();
        add("transport_keyed", name, &[&mode, &body[..]].concat());
    }
    let messages = |role: u8, payloads: &[Vec<u8>]| {
        let sized = payloads
            .iter()
            .flat_map(|payload| [&(payload.len() as u16).to_be_bytes()[..], payload].concat());
        [role].into_iter().chain(sized).collect::<Vec<u8>>()
    };
    let sizes = [2048_u32, 3072, 8192].map(u32::to_be_bytes).concat();
    let request = [&[34][..], &sizes].concat();
    let init = [&[32][..], &mpint(&[0x5a; 380])].concat();
    add("transport_group", "server", &messages(1, &[request, init]));
    let group = [&[31][..], &mpint(&[0xff; 256]), &mpint(&[2])].concat();
    let own = crate::ends::host_key().public_key_blob();
    let signature = string(&[string(b"ssh-ed25519"), string(&[7; 64])].concat());
    let reply = [&[33][..], &string(&own), &mpint(&[0x5a; 256]), &signature].concat();
    add("transport_group", "client", &messages(0, &[group, reply]));
    add(
        "transport_pair",
        "busy",
        &[
            0, 0, 9, 0, 9, 0, 4, 0, 0, 2, 0, 9, 4, 1, 1, 0, 6, 0, 200, 7, 0, 200, 5, 2, 8, 0, 6,
            255, 255, 7, 255, 255, 9, 15, 0,
        ],
    );
    add(
        "transport_pair",
        "flipped",
        &[2, 255, 255, 255, 255, 0, 1, 0, 8, 1, 0, 40, 3, 6, 255, 255],
    );
    // A channel, its data both ways, and its end.
    let channel = [
        [0, 3, 0, 255, 0, 0, 0].as_slice(),
        &[1, 5, 0, 0, 0, 0, 0],
        &[0, 14, 0, 0, 1, 1, 2, b'i', b'd'],
        &[1, 12, 0, 0, 0, 0, 0],
        &[0, 8, 0, 0, 0, 0, 1, b'x'],
        &[1, 8, 0, 0, 0, 0, 1, b'y'],
        &[1, 14, 0, 0, 7, 0, 4, 0, 0, 0, 0],
        &[1, 10, 0, 0, 0, 0, 0],
        &[0, 11, 0, 0, 0, 0, 0],
        &[1, 11, 0, 0, 0, 0, 0],
    ];
    add("relay", "channel", &[&[0][..], &channel.concat()].concat());
    // The same in a session: an operation before each packet, and bytes that move behind it. Before its end comes more data from
    // both sides, a key exchange, and time.
    let operation = |packet: &[u8]| {
        let leg = if packet[0] == 0 { 0 } else { 0x80 };
        [&[leg], &packet[1..], &[5]].concat()
    };
    let (begin, end) = channel.split_at(6);
    let mut steps: Vec<u8> = begin.iter().flat_map(|packet| operation(packet)).collect();
    steps.extend([8, 16, 0, 5, 0x88, 8, 0, 5, 11, 5, 12, 60, 5]);
    steps.extend(end.iter().flat_map(|packet| operation(packet)));
    for (name, head) in [
        ("channel", [0, 0]),
        ("log-fails", [0, 4 * 3 + 3]),
        ("denied", [7, 0]),
        ("shut", [0xc0, 0]),
    ] {
        add("session", name, &[&head, &[5][..], &steps].concat());
    }
    // A connection that both sides begin as SSH does, and the outer session goes on.
    let jump = [
        [0, 4, 2, 255, 0, 0, 0].as_slice(),
        &[1, 5, 2, 0, 2, 0, 0],
        &[&[0, 8, 2, 0, 0, 0, 11][..], b"SSH-2.0-x\r\n"].concat(),
        &[&[1, 8, 2, 0, 0, 0, 11][..], b"SSH-2.0-y\r\n"].concat(),
    ];
    let jump: Vec<u8> = jump.iter().flat_map(|packet| operation(packet)).collect();
    for (name, head, operations) in [
        ("found-out", [0, 4], [&jump[..], &steps].concat()),
        ("jump", [0, 12], [&jump[..], &steps].concat()),
        ("approved", [0, 8], [&[14, 0, 7, 2, 5][..], &steps].concat()),
        (
            "not-approved",
            [0, 8],
            [&[14, 0, 7, 0x80 + 2, 5][..], &steps].concat(),
        ),
        ("watched", [0, 0], [&[14, 0, 5, 0, 5][..], &steps].concat()),
        ("dismissed", [0, 0], [&jump[..], &[14, 0, 4, 5]].concat()),
        ("revoked", [0, 12], [&jump[..], &[14, 0, 6, 5]].concat()),
    ] {
        add("session", name, &[&head, &[5][..], &operations].concat());
    }
    seeds
}

/// A name, what stands in front, and payloads.
type Conversation = (&'static str, [u8; 2], Vec<Vec<u8>>);

/// What a peer that knows the keys may say first.
fn keyed() -> Vec<Conversation> {
    let service = |number: u8| [&[number][..], &string(b"ssh-userauth")].concat();
    let login = |method: &[u8]| {
        [
            &[50][..],
            &string(b"deploy"),
            &string(b"ssh-connection"),
            method,
        ]
        .concat()
    };
    let blob = crate::ends::host_key().public_key_blob();
    let key = |signed: &[u8]| {
        [
            &string(b"publickey")[..],
            &signed[..1],
            &string(b"ssh-ed25519"),
            &string(&blob),
            &signed[1..],
        ]
        .concat()
    };
    let signature = string(&[string(b"ssh-ed25519"), string(&[7; 64])].concat());
    let ext_info = [
        &[7, 0, 0, 0, 1][..],
        &string(b"server-sig-algs"),
        &string(b"ssh-ed25519,rsa-sha2-256"),
    ]
    .concat();
    let ping = [&[192][..], &string(b"ping")].concat();
    let open = [
        &[90][..],
        &string(b"session"),
        &[0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 128, 0],
    ]
    .concat();
    let goodbye = [&[1, 0, 0, 0, 11][..], &string(b"bye"), &string(b"")].concat();
    let banner = [&[53][..], &string(b"hello\n"), &string(b"")].concat();
    let failure = [&[51][..], &string(b"publickey,password"), &[0]].concat();
    let none = login(&string(b"none"));
    let interactive = [string(b"keyboard-interactive"), string(b""), string(b"pam")];
    let responses = [&[61, 0, 0, 0, 2][..], &string(b"no"), &string(b"yes")].concat();
    vec![
        (
            "server-prompted",
            // Two prompts, and yes to the first attempt.
            [1, 2],
            vec![
                service(5),
                login(&interactive.concat()),
                responses,
                open.clone(),
            ],
        ),
        (
            "server-none",
            [1, 0xff],
            vec![
                ext_info.clone(),
                service(5),
                none,
                ping.clone(),
                open.clone(),
                goodbye.clone(),
            ],
        ),
        (
            "server-key",
            [1, 0xfe],
            vec![
                service(5),
                login(&key(&[0])),
                login(&key(&[&[1], &signature[..]].concat())),
                vec![2, 0, 0, 0, 0],
            ],
        ),
        (
            "client",
            [0, 0],
            vec![
                ext_info,
                service(6),
                banner,
                failure.clone(),
                vec![52],
                ping.clone(),
                open,
                goodbye,
            ],
        ),
        (
            "client-key",
            [0, 1],
            vec![service(6), failure, vec![52], ping],
        ),
    ]
}

const POLICY_SMALL: &str = r#"
[[application]]
name = "lab"
target = { include = [{ hostname = "web-1" }] }
[[application.policy]]
name = "engineers"
action = "allow"
include = [{ email_domain = "example.com" }]
usernames = ["deploy"]
"#;

const POLICY_RULES: &str = r#"
[[group]]
name = "ops"
include = [{ identity_provider_group = { provider = "okta", name = "ops" } }]
[[application]]
name = "prod"
target = { include = [{ tag = { env = "prod" } }], exclude = [{ port = 2222 }] }
[[application.policy]]
name = "lobby"
action = "block"
include = [{ ip = "192.0.2.0/24" }, { country = "PT" }]
[[application.policy]]
name = "ops"
action = "allow"
include = [{ group = "ops" }, { everyone = true }]
require = [{ authentication_method = "hwk" }, { managed_device = true }]
exclude = [{ email = "intern@example.com" }]
usernames = ["deploy"]
allow_email_alias = true
permit = ["shell", "exec", "pty"]
max_session = "8h"
"#;

#[test]
fn seeds_are_what_this_file_makes() {
    for (target, name, bytes) in seeds() {
        let path = folder(target).join(&name);
        if std::env::var_os("WRITE_SEEDS").is_some() {
            fs::create_dir_all(folder(target)).unwrap();
            fs::write(&path, &bytes).unwrap();
        }
        let stored = fs::read(&path).unwrap_or_default();
        assert!(
            stored == bytes,
            "{target}/{name} is another: run `WRITE_SEEDS=1 cargo test --lib`"
        );
    }
}

#[test]
fn every_target_has_a_program_and_survives_its_seeds_and_findings() {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets");
    assert_eq!(fs::read_dir(programs).unwrap().count(), TARGETS.len());
    for &(name, run) in TARGETS {
        run(b"");
        let files =
            fs::read_dir(folder(name)).unwrap_or_else(|error| panic!("seeds of {name}: {error}"));
        for file in files {
            let path = file.unwrap().path();
            println!("{}", path.display());
            run(&fs::read(path).unwrap());
        }
    }
}

fn seed(target: &str, name: &str) -> Vec<u8> {
    fs::read(folder(target).join(name)).unwrap()
}

#[test]
fn seeds_lead_where_they_should() {
    let session = |name| crate::session::play(&seed("session", name));
    let channel = session("channel");
    assert_eq!(channel.starts, 1);
    assert!(
        channel.data_bytes.client > 1_000 && channel.data_bytes.target >= 1,
        "{channel:?}"
    );
    let failed = session("log-fails");
    assert!(
        failed.starts == 1 && failed.data_bytes.client == 0,
        "{failed:?}"
    );
    let withdrawn = session("withdrawn");
    assert_eq!((withdrawn.starts, withdrawn.ends), (1, 1));
    let gone = session("withdrawn-while-the-log-is-slow");
    assert_eq!((gone.starts, gone.ends), (1, 1));
    assert_eq!(gone.data_bytes.client, channel.data_bytes.client);
    assert_eq!([session("denied").starts, session("shut").starts], [0, 0]);
    for name in ["jump", "found-out", "revoked"] {
        let jump = session(name);
        assert_eq!((jump.starts, jump.inside), (1, 1), "{name}: {jump:?}");
    }
    let approved = session("approved");
    assert!(approved.was_approved && approved.starts == 1 && approved.data_bytes.target >= 1);
    assert_eq!(session("not-approved").starts, 0);
    assert!(session("watched").watched > 1);
    for name in ["dismissed", "revoked"] {
        assert_eq!(session(name).ends, 1, "{name}");
    }
    let deep = |name| crate::operations::goes_deep(&seed("operations", name));
    assert!(["run-17", "run-20", "run-29"].into_iter().any(deep));
    session_log::Sidecar::parse(&seed("log_grant", "genuine")).expect("a good sidecar");
    let packets = crate::log_cloudflare::packets_of(&seed("log_cloudflare", "genuine"));
    assert_eq!(packets, 4);
    for (name, is_proof) in [("announcement", false), ("prove", false), ("proof", true)] {
        let seed = seed("transport_hostkeys", name);
        assert_eq!(crate::transport_hostkeys::play(&seed), is_proof, "{name}");
    }
    for name in [
        "server-none",
        "server-prompted",
        "client",
        "client-key",
        "ssh",
        "dbclient",
        "sshd",
    ] {
        assert!(
            crate::transport_keyed::play(&seed("transport_keyed", name)),
            "{name}"
        );
    }
    for capture in transport_server::captures() {
        assert!(
            !capture.payloads.is_empty(),
            "the machines say other things now: run `WRITE_SEEDS=1 cargo test -p ssh-transport --test captures` above"
        );
    }
    assert!(
        !crate::transport_keyed::play(&seed("transport_keyed", "server-key")),
        "a signature that nobody made"
    );
}
