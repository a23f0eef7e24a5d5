//! Host certificates for the derived keys, so that a client which trusts the authority is never asked about a new host.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use ssh_transport::{HostKey, HostKeyAlgorithm};
use sshcert::{Certificate, HostCertificate, HostValidity, KeyId, Prepared, Principals};

use super::Session;
use super::stage::{CertifyingHost, Denied, Stage};
use crate::{Ca, Now, Output, Refusal, SigningRequest};

/// How long a host certificate lives. It is judged once, in the key exchange that it was made for, but by the clock of a
/// person's machine, which nobody keeps right.
const HOST_CERTIFICATE_TTL: Duration = Duration::from_secs(60 * 60);
/// How far its start is put into the past, for the same reason.
const HOST_CERTIFICATE_BACKDATE: Duration = Duration::from_secs(15 * 60);
/// Where SSH servers listen unless somebody says otherwise.
const DEFAULT_PORT: u16 = 22;

impl Session {
    /// Shows the client its host keys, certified first where there is an authority.
    pub(super) fn serve_client(&mut self, now: Now) -> Result<(), Denied> {
        let certificates = match self.host_ca() {
            None => Vec::new(),
            Some(Ca::Local(key)) => self
                .prepare_host_certificates(now)?
                .into_iter()
                .map(|prepared| key.mint(prepared).map_err(|e| denied(e.to_string())))
                .collect::<Result<_, _>>()?,
            Some(Ca::Remote(_)) => {
                let unsigned = self.prepare_host_certificates(now)?.into();
                self.stage = Stage::HostCertificates {
                    certifying: Box::new(CertifyingHost {
                        unsigned,
                        certificates: Vec::new(),
                    }),
                    deadline: now.mono.saturating_add(self.gateway.timeouts.signing),
                };
                self.ask_for_host_certificate();
                return Ok(());
            }
        };
        self.start_client(certificates, now)
    }

    /// The authority for this target. A key that nothing vouches for is not certified: a client that trusts the authority
    /// would not be warned when it changes.
    fn host_ca(&self) -> Option<&Ca> {
        let host_ca = self.gateway.host_ca.as_ref();
        host_ca.filter(|_| self.expects_host_key())
    }

    fn prepare_host_certificates(&self, now: Now) -> Result<Vec<Prepared>, Denied> {
        let (Some(ca), Some(identity)) = (self.host_ca(), &self.identity) else {
            return Ok(Vec::new());
        };
        let names = Principals::new(self.names_of_target()).map_err(|e| denied(e.to_string()))?;
        let validity =
            HostValidity::starting(now.unix, HOST_CERTIFICATE_TTL, HOST_CERTIFICATE_BACKDATE)
                .map_err(|e| denied(e.to_string()))?;
        let key_id = KeyId::from_text(&self.id.to_string()).map_err(|e| denied(e.to_string()))?;
        identity
            .offered()
            .iter()
            .map(|key| {
                HostCertificate::new(key.public_key().clone(), names.clone(), validity)
                    .serial(self.known.certificate_serial)
                    .key_id(key_id.clone())
                    .prepare(ca.public(), self.host_certificate_nonce)
                    .map_err(|e| denied(e.to_string()))
            })
            .collect()
    }

    /// What people type to reach the target: its host name, id and address, and `[name]:port`, which some clients look for.
    fn names_of_target(&self) -> Vec<String> {
        let facts = &self.info.target.facts;
        let mut names: Vec<String> = Vec::new();
        let address = facts.address.map(|address| address.to_string());
        for name in [Some(&facts.hostname), Some(&facts.id), address.as_ref()]
            .into_iter()
            .flatten()
        {
            let name = name.to_ascii_lowercase();
            let with_port =
                (facts.port != DEFAULT_PORT).then(|| format!("[{name}]:{}", facts.port));
            for name in [Some(name), with_port].into_iter().flatten() {
                if !name.is_empty() && !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names
    }

    fn ask_for_host_certificate(&mut self) {
        let Stage::HostCertificates { certifying, .. } = &self.stage else {
            return;
        };
        if let Some(prepared) = certifying.unsigned.front() {
            self.outputs
                .push_back(Output::SignCertificate(SigningRequest {
                    session: self.id,
                    to_be_signed: Bytes::copy_from_slice(prepared.to_be_signed()),
                    authority: Bytes::copy_from_slice(prepared.authority().blob()),
                }));
        }
    }

    /// The authority's answer to the oldest question.
    pub(super) fn host_certificate_signed(&mut self, signature: &[u8], now: Now) {
        let Stage::HostCertificates { certifying, .. } = &mut self.stage else {
            return;
        };
        let Some(prepared) = certifying.unsigned.pop_front() else {
            return;
        };
        let result = match prepared.complete(signature) {
            Ok(certificate) => {
                certifying.certificates.push(certificate);
                if !certifying.unsigned.is_empty() {
                    return self.ask_for_host_certificate();
                }
                let certificates = core::mem::take(&mut certifying.certificates);
                self.start_client(certificates, now)
            }
            Err(error) => Err(denied(error.to_string())),
        };
        if let Err(denied) = result {
            self.refuse(denied, now);
        }
    }

    /// Begins the client's key exchange.
    fn start_client(&mut self, certificates: Vec<Certificate>, now: Now) -> Result<(), Denied> {
        let keys = self.identity.iter().flat_map(|identity| identity.offered());
        let certified = certificates.iter().map(|certificate| {
            (
                HostKeyAlgorithm::from_name(&certificate.algorithm_name()),
                certificate.blob(),
            )
        });
        let bare = keys.map(|key| {
            (
                HostKeyAlgorithm::from_name(key.algorithm().name()),
                key.public_key_blob(),
            )
        });
        let offered: Vec<HostKey> = certified
            .chain(bare)
            .filter_map(|(algorithm, blob)| {
                Some(HostKey {
                    algorithm: algorithm?,
                    public_key: blob.to_vec(),
                })
            })
            .collect();
        self.stage = Stage::ClientLogin;
        self.client
            .start(&offered, now.mono)
            .map_err(|error| Denied {
                reason: Refusal::TargetProtocol,
                detail: error.to_string(),
                advice: "the target's host key cannot be used; ask who runs it".into(),
            })
    }
}

fn denied(detail: String) -> Denied {
    Denied {
        reason: Refusal::SigningFailed,
        detail: format!("host certificate: {detail}"),
        advice: "no certificate could be signed for the host; tell who runs this proxy".into(),
    }
}
