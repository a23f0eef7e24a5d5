//! The certificate: minted for one session, presented to its target.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};

use bytes::Bytes;
use policy::Feature;
use ssh_transport::{ClientAuth, SignRequest};
use sshcert::{Certificate, Extension, KeyId, Prepared, Principals, UserCertificate, Validity};

use super::Session;
use super::stage::{Denied, Login, Stage};
use crate::{Ca, Leg, Now, Output, Refusal, SigningRequest};

/// The certificate type of the session's key.
const CERTIFICATE_ALGORITHM: &str = "ssh-ed25519-cert-v01@openssh.com";

impl Session {
    /// The log stands: mint.
    pub(super) fn log_opened(&mut self, login: Login, now: Now) {
        let prepared = match self.prepare_certificate(&login, now) {
            Ok(prepared) => Box::new(prepared),
            Err(detail) => return self.refuse_login(login.attempt, Denied::by_signer(detail), now),
        };
        match &self.gateway.ca {
            Ca::Local(key) => match key.mint(*prepared) {
                Ok(certificate) => self.certified(login, certificate, now),
                Err(error) => {
                    self.refuse_login(login.attempt, Denied::by_signer(error.to_string()), now)
                }
            },
            Ca::Remote(_) => {
                self.outputs
                    .push_back(Output::SignCertificate(SigningRequest {
                        session: self.id,
                        to_be_signed: Bytes::copy_from_slice(prepared.to_be_signed()),
                        authority: Bytes::copy_from_slice(prepared.authority().blob()),
                    }));
                let deadline = now.mono.saturating_add(self.gateway.timeouts.signing);
                self.stage = Stage::Certificate {
                    login,
                    prepared,
                    deadline,
                };
            }
        }
    }

    /// One principal, three minutes, this session's key, and the extensions that the grant needs.
    fn prepare_certificate(&self, login: &Login, now: Now) -> Result<Prepared, String> {
        let user = self.user.as_deref().unwrap_or_default();
        let key = self
            .session_key
            .as_ref()
            .ok_or("the session's key is gone")?;
        let subject =
            ssh_key::PublicKey::from_bytes(&key.public_key_blob()).map_err(|e| e.to_string())?;
        let principals = Principals::one(user).map_err(|e| e.to_string())?;
        let validity =
            Validity::starting(now.unix, sshcert::DEFAULT_TTL, sshcert::DEFAULT_BACKDATE)
                .map_err(|e| e.to_string())?;
        let key_id = self.key_id(login).ok_or("the key id cannot be formed")?;
        let mut certificate = UserCertificate::new(subject, principals, validity)
            .serial(self.known.certificate_serial)
            .key_id(key_id);
        if login.grant.permissions.pty {
            certificate = certificate.extension(Extension::PermitPty);
        }
        if login.grant.constraints.agent_forwarding {
            certificate = certificate.extension(Extension::PermitAgentForwarding);
        }
        if login.grant.constraints.x11_forwarding {
            certificate = certificate.extension(Extension::PermitX11Forwarding);
        }
        let asks_for = login.grant.asks_for();
        let forwards = [
            Feature::LocalForward,
            Feature::Jump,
            Feature::RemoteForward,
            Feature::StreamLocal,
        ];
        if forwards.into_iter().any(|it| asks_for.contains(it)) {
            certificate = certificate.extension(Extension::PermitPortForwarding);
        }
        let nonce = self.certificate_nonce;
        certificate
            .prepare(self.gateway.ca.public(), nonce)
            .map_err(|e| e.to_string())
    }

    pub(super) fn key_id(&self, login: &Login) -> Option<KeyId> {
        KeyId::new(
            &self.subject.identity,
            &self.id.to_string(),
            &login.grant.policy,
        )
        .ok()
    }

    pub(super) fn certificate_signed(&mut self, signature: &[u8], now: Now) {
        if let Stage::Certificate {
            login, prepared, ..
        } = self.take_stage_if(|s| matches!(s, Stage::Certificate { .. }))
        {
            match prepared.complete(signature) {
                Ok(certificate) => self.certified(login, certificate, now),
                Err(error) => {
                    self.refuse_login(login.attempt, Denied::by_signer(error.to_string()), now)
                }
            }
        }
    }

    fn certified(&mut self, login: Login, certificate: Certificate, now: Now) {
        let deadline = now.mono.saturating_add(self.gateway.timeouts.target_login);
        self.stage = Stage::TargetLogin {
            login,
            unpresented: Some(Box::new(certificate)),
            deadline,
        };
        self.present_certificate(now);
    }

    pub(super) fn signing_failed(&mut self, now: Now) {
        if matches!(
            self.stage,
            Stage::Certificate { .. } | Stage::HostCertificates { .. }
        ) {
            self.refuse(Denied::by_signer("the signer did not sign".into()), now);
        }
    }

    /// Logs in to the target, as soon as there is a certificate and the target's key exchange is over.
    pub(super) fn present_certificate(&mut self, now: Now) {
        let Stage::TargetLogin { unpresented, .. } = &mut self.stage else {
            return;
        };
        let (true, Some(target), Some(user)) =
            (self.known.target_ready, &mut self.target, &self.user)
        else {
            return;
        };
        let Some(certificate) = unpresented.take() else {
            return;
        };
        let method = ClientAuth::PublicKey {
            algorithm: CERTIFICATE_ALGORITHM.into(),
            public_key: certificate.blob().to_vec(),
        };
        if let Err(error) = target.authenticate(user, method, now.mono) {
            self.leg_failed(Leg::Target, &error, now);
        }
    }

    /// Proves to the target that the session has the certificate's key.
    pub(super) fn sign_login(&mut self, request: SignRequest, now: Now) {
        let (Some(key), Some(target)) = (&self.session_key, &mut self.target) else {
            return;
        };
        let signature = key.sign(&request.data);
        if let Err(error) = target.signed(request.id, &signature, now.mono) {
            self.leg_failed(Leg::Target, &error, now);
        }
    }

    pub(super) fn certificate_rejected(&mut self, now: Now) {
        let denied = Denied {
            reason: Refusal::CertificateRejected,
            detail: "the target refused the certificate".into(),
            advice: format!(
                "the target does not let `{}` in with a certificate of this proxy; ask who runs it whether the \
                 user exists there and its sshd trusts the proxy's authority (TrustedUserCAKeys)",
                self.user.as_deref().unwrap_or_default()
            ),
        };
        self.refuse(denied, now);
    }
}
