//! How a Rust project embeds the proxy: a whole session in memory, no socket. `cargo run --example embed`
//!
//! A real program takes `seed` and keys from a safe place, and its bytes from sockets (see `src/driver.rs`).

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use examples::peers::{Person, TargetHost};
use getrandom::{SysRng, rand_core::UnwrapErr};
use proxy_core::{Ca, ConnectionInfo, Gateway, Input, Leg, Now, Output, Rules, Session, Target};
use session_log::{Identity, Kem, SigningIdentity};

const NOW: Now = Now {
    mono: Duration::ZERO,
    unix: Duration::from_secs(1_800_000_000),
};
const POLICY: &str = r#"
    [[application]]
    name = "lab"
    target = { include = [{ hostname = "web-1" }] }
    [[application.policy]]
    name = "engineers"
    action = "allow"
    include = [{ email_domain = "example.com" }]
    usernames = ["deploy"]"#;

fn main() -> Result<(), Box<dyn Error>> {
    let ca = ssh_key::private::Ed25519Keypair::from_seed(&[1; 32]);
    let recipient = Identity::generate(Kem::XWing, &mut UnwrapErr(SysRng)).recipient();
    let rules = Arc::new(Rules::new(policy::PolicySet::from_toml(POLICY)?));
    let gateway = Gateway::new(
        hostkey_derive::AccountSecret::from_bytes(&[2; 32])?,
        Ca::Local(sshcert::CaKey::from_private_key(ca.into())?),
        vec![recipient],
        SigningIdentity::from_seed([3; 32]),
    );
    let ada = policy::Identity {
        email: Some("ada@example.com".into()),
        ..Default::default()
    };
    let web = Target::new(policy::Target {
        hostname: "web-1".into(),
        port: 22,
        ..Default::default()
    });
    let info = ConnectionInfo::new(ada, "198.51.100.7:50000".parse()?, web);
    let mut session = Session::new(Arc::new(gateway), rules, info, &[4; 32], NOW);
    let mut person = Person::new("deploy", "uname");
    let mut target: Option<TargetHost> = None;

    while !session.is_over() {
        while let Some(output) = session.poll_output() {
            match output {
                Output::Event(event) => println!("event   {}", serde_json::to_string(&event)?),
                Output::ConnectTarget => {
                    target = Some(TargetHost::new("Linux\n")?);
                    session.handle(Input::TargetConnected, NOW);
                }
                Output::Log(id, page) => {
                    println!("log     {} sealed bytes for {id}", page.len());
                    session.handle(Input::LogWritten(id), NOW);
                }
                Output::Send(leg, bytes) => {
                    match (leg, &mut target) {
                        (Leg::Target, Some(target)) => target.hear(&bytes)?,
                        _ => person.hear(&bytes)?,
                    }
                    session.handle(Input::Written(leg, bytes.len()), NOW);
                }
                // Nothing changes here, nobody watches, and the authority is no further away than this process.
                Output::AskApproval(_)
                | Output::Reevaluate
                | Output::SignCertificate(_)
                | Output::Watched(..)
                | Output::WatchOver(..)
                | Output::Close(_) => {}
            }
        }
        session.receive(Leg::Client, &person.say(), NOW);
        let from_target = target.as_mut().map(TargetHost::say).unwrap_or_default();
        session.receive(Leg::Target, &from_target, NOW);
    }
    Ok(())
}
