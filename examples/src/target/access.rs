//! Who may log in to the embedded target: the holder of a certificate, checked as `sshd` would.

use std::net::IpAddr;

use ipnet::IpNet;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Certificate, HashAlg, PublicKey};

/// What a certificate that was let in grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Permissions {
    /// `permit-pty` is among the extensions.
    pub(super) pty: bool,
    /// The only command that may run, whatever is asked for.
    pub(super) force_command: Option<String>,
}

/// Why a certificate was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("it is no user certificate")]
    NotAUserCertificate,
    #[error("it is expired, not valid yet, forged, or signed by another authority")]
    NotValid,
    #[error("its principals do not include the user")]
    WrongPrincipal,
    #[error("it is not for the client's address")]
    WrongAddress,
    #[error("it has a critical option that this server does not know")]
    UnknownCriticalOption,
}

/// Checks a certificate whose possession `russh` has already verified.
///
/// The order and the rules are those of OpenSSH's PROTOCOL.certkeys: a certificate without
/// principals is good for nobody, and a critical option that is not understood refuses.
pub(super) fn check(
    certificate: &Certificate,
    authority: &PublicKey,
    user: &str,
    client: IpAddr,
    now_unix: u64,
) -> Result<Permissions, Refusal> {
    if certificate.cert_type() != CertType::User {
        return Err(Refusal::NotAUserCertificate);
    }
    certificate
        .validate_at(now_unix, [&authority.fingerprint(HashAlg::Sha256)])
        .map_err(|_| Refusal::NotValid)?;
    if !certificate
        .valid_principals()
        .iter()
        .any(|principal| principal == user)
    {
        return Err(Refusal::WrongPrincipal);
    }
    let mut force_command = None;
    for (name, value) in &certificate.critical_options().0 {
        match name.as_str() {
            "force-command" => force_command = Some(value.clone()),
            "source-address" if !listed(value, client) => return Err(Refusal::WrongAddress),
            "source-address" => {}
            _ => return Err(Refusal::UnknownCriticalOption),
        }
    }
    Ok(Permissions {
        pty: certificate.extensions().0.contains_key("permit-pty"),
        force_command,
    })
}

/// Whether a comma-separated list of addresses and CIDR ranges holds an address.
fn listed(list: &str, address: IpAddr) -> bool {
    list.split(',').any(|entry| {
        let entry = entry.trim();
        entry
            .parse::<IpNet>()
            .map(|range| range.contains(&address))
            .or_else(|_| entry.parse::<IpAddr>().map(|one| one == address))
            .unwrap_or(false)
    })
}

#[cfg(test)]
mod tests {
    use russh::keys::PrivateKey;
    use russh::keys::ssh_key::certificate::Builder;
    use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};

    use super::*;

    const NOW: u64 = 1_900_000_000;
    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn key(seed: u8) -> PrivateKey {
        let pair = Ed25519Keypair::from_seed(&[seed; 32]);
        PrivateKey::new(KeypairData::from(pair), "").unwrap()
    }

    fn builder(principal: &str) -> Builder {
        let mut builder = Builder::new(
            vec![7; 16],
            key(2).public_key().key_data().clone(),
            NOW - 60,
            NOW + 180,
        )
        .unwrap();
        builder.valid_principal(principal).unwrap();
        builder
    }

    fn checked(builder: Builder) -> Result<Permissions, Refusal> {
        let certificate = builder.sign(&key(1)).unwrap();
        check(&certificate, key(1).public_key(), "alice", CLIENT, NOW)
    }

    #[test]
    fn a_certificate_for_the_user_is_let_in_with_what_it_permits() {
        let mut with_pty = builder("alice");
        with_pty.extension("permit-pty", "").unwrap();
        assert_eq!(
            checked(with_pty),
            Ok(Permissions {
                pty: true,
                force_command: None
            })
        );
        assert!(!checked(builder("alice")).unwrap().pty);
    }

    #[test]
    fn another_authority_another_user_and_another_time_are_refused() {
        let certificate = builder("alice").sign(&key(1)).unwrap();
        let with = |authority: u8, user: &str, now: u64| {
            check(&certificate, key(authority).public_key(), user, CLIENT, now)
        };
        assert!(with(1, "alice", NOW).is_ok());
        assert_eq!(with(3, "alice", NOW), Err(Refusal::NotValid));
        assert_eq!(with(1, "root", NOW), Err(Refusal::WrongPrincipal));
        assert_eq!(with(1, "alice", NOW + 180), Err(Refusal::NotValid));
        assert_eq!(with(1, "alice", NOW - 61), Err(Refusal::NotValid));
    }

    #[test]
    fn host_certificates_and_certificates_for_everyone_are_refused() {
        let mut host = builder("alice");
        host.cert_type(CertType::Host).unwrap();
        assert_eq!(checked(host), Err(Refusal::NotAUserCertificate));

        let mut everyone = Builder::new(
            vec![7; 16],
            key(2).public_key().key_data().clone(),
            NOW - 60,
            NOW + 180,
        )
        .unwrap();
        everyone.all_principals_valid().unwrap();
        assert_eq!(checked(everyone), Err(Refusal::WrongPrincipal));
    }

    #[test]
    fn critical_options_are_obeyed_or_refused() {
        for (list, expected) in [
            ("127.0.0.1", true),
            ("10.0.0.0/8,127.0.0.0/8", true),
            ("10.0.0.0/8", false),
            ("", false),
            ("nonsense", false),
        ] {
            let mut restricted = builder("alice");
            restricted.critical_option("source-address", list).unwrap();
            assert_eq!(checked(restricted).is_ok(), expected, "{list}");
        }
        let mut forced = builder("alice");
        forced.critical_option("force-command", "uptime").unwrap();
        assert_eq!(
            checked(forced).unwrap().force_command.as_deref(),
            Some("uptime")
        );
        let mut unknown = builder("alice");
        unknown.critical_option("verify-required", "").unwrap();
        assert_eq!(checked(unknown), Err(Refusal::UnknownCriticalOption));
    }
}
