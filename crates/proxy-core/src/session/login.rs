//! From the first byte to the moment the client is let in.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use hostkey_derive::{Algorithm, Pins};
use policy::{Decision, Denial, Request};
use session_log::{LogId, Record, SessionMeta};
use ssh_transport::{
    AuthAttempt, AuthMethod, Client, ClientAuth, ClientConfig, HostKey, HostKeyAlgorithm,
    HostKeyQuestion, Identification, SignRequest,
};
use sshcert::{CheckContext, Extension, KeyId, Prepared, Principals, UserCertificate, Validity};

use super::recorder::Recorder;
use super::stage::{Denied, Login, Relaying, Stage};
use super::{Held, IDENTIFICATION, IDENTIFICATION_OPENSSH, LOGIN_METHOD, Session};
use crate::event::{EventKind, millis};
use crate::relay::Relay;
use crate::{Ca, ConnectFailure, EndReason, Leg, Now, Output, Refusal, SigningRequest};

/// How long a signer elsewhere may take.
const SIGNING_DEADLINE: Duration = Duration::from_secs(30);
/// The certificate type of the session's key.
const CERTIFICATE_ALGORITHM: &str = "ssh-ed25519-cert-v01@openssh.com";

impl Session {
    /// May this identity reach this target at all?
    pub(super) fn decide_target(&mut self, now: Now) {
        if let Decision::Deny(denial) = self.decide(None, now) {
            let denied = Denied::by_policy(&denial);
            self.event(
                EventKind::AccessDenied {
                    reason: denied.reason,
                    detail: denied.detail.clone(),
                },
                now,
            );
            self.stage = Stage::ClientIdentification {
                refused: Some(denied),
            };
        }
    }

    fn decide(&self, user: Option<&str>, now: Now) -> Decision {
        let request = Request {
            identity: &self.info.identity,
            device: &self.info.device,
            network: &self.info.network,
            target: &self.info.target.facts,
            user,
            now: now.unix,
        };
        policy::decide(&self.gateway.policy, &request)
    }

    /// The client speaks SSH: now the target is worth a connection.
    pub(super) fn client_identified(&mut self, ident: Identification, now: Now) {
        self.known.client_ident = Some(ident);
        let Stage::ClientIdentification { refused } = &mut self.stage else {
            return;
        };
        match refused.take() {
            Some(denied) => self.turn_away(&denied),
            None => {
                let deadline = now.mono.saturating_add(self.gateway.timeouts.connect);
                self.stage = Stage::TargetConnection { deadline };
                self.outputs.push_back(Output::ConnectTarget);
            }
        }
    }

    pub(super) fn target_connected(&mut self, now: Now) {
        if !matches!(self.stage, Stage::TargetConnection { .. }) {
            return;
        }
        let mirrors_openssh = self
            .known
            .client_ident
            .as_ref()
            .is_some_and(Identification::is_openssh);
        let identification = if mirrors_openssh {
            IDENTIFICATION_OPENSSH
        } else {
            IDENTIFICATION
        };
        let mut config = ClientConfig {
            identification: identification.into(),
            ..ClientConfig::default()
        };
        config.algorithms.host_keys = self.acceptable_host_keys();
        config.rekey = self.gateway.rekey.clone();
        // The person may think about a new host key for as long as the client leg waits; this leg has deadlines of its own.
        let timeouts = &self.gateway.timeouts;
        config.login_grace = timeouts.login_grace.saturating_add(timeouts.target_login);
        // Taken once, as this stage is reached once.
        let Some(seed) = self.seeds.target_leg.take() else {
            return;
        };
        self.target = Some(Client::new(Arc::new(config), *seed, now.mono));
        let deadline = now.mono.saturating_add(self.gateway.timeouts.target_login);
        self.stage = Stage::TargetHostKey { deadline };
    }

    /// In an order that never changes, so that the same key of a target with several is seen each time. Types that could
    /// not pass [`Self::check_host_key`] are left out: the target then shows one that can.
    fn acceptable_host_keys(&self) -> Vec<HostKeyAlgorithm> {
        let target = &self.info.target;
        let pinned = target.host_keys.as_ref().map(Pins::algorithm_names);
        // A certificate first, where one can be judged; its key derives the same keys as the bare one.
        let (certificates, keys): (Vec<_>, Vec<_>) = HostKeyAlgorithm::ALL
            .into_iter()
            .partition(|algorithm| algorithm.is_certificate());
        certificates
            .into_iter()
            .chain(keys)
            .filter(|algorithm| match &pinned {
                _ if algorithm.is_certificate() => !target.host_authorities.is_empty(),
                // Only authorities are configured: a plain key has none.
                None => target.host_authorities.is_empty(),
                Some(None) => true,
                Some(Some(names)) => names.contains(&algorithm.blob_type()),
            })
            .collect()
    }

    pub(super) fn target_unreachable(&mut self, failure: ConnectFailure, now: Now) {
        if !matches!(self.stage, Stage::TargetConnection { .. }) {
            return;
        }
        let hostname = &self.info.target.facts.hostname;
        let advice = format!(
            "`{hostname}` cannot be reached: {failure}; try again later or ask who runs it"
        );
        self.refuse(
            Denied {
                reason: Refusal::TargetUnreachable,
                detail: failure.to_string(),
                advice,
            },
            now,
        );
    }

    /// Checks the target's host key, and derives from it those the client is shown.
    pub(super) fn target_host_key(&mut self, question: HostKeyQuestion, now: Now) {
        let result = if self.known.target_host_key.is_empty() {
            self.trust_target(&question.public_key, now)
        } else if self.known.target_host_key == question.public_key {
            Ok(())
        } else {
            if let Some(target) = &mut self.target {
                target.reject_host_key(question.id);
            }
            self.host_key_changed(now);
            return;
        };
        let Some(target) = &mut self.target else {
            return;
        };
        match result {
            Ok(()) => {
                if let Err(error) = target.accept_host_key(question.id, now.mono) {
                    self.leg_failed(Leg::Target, &error, now);
                }
            }
            Err(denied) => {
                target.reject_host_key(question.id);
                self.refuse(denied, now);
            }
        }
    }

    fn trust_target(&mut self, presented: &[u8], now: Now) -> Result<(), Denied> {
        self.check_host_key(presented, now)?;
        let unusable = |detail: String| Denied {
            reason: Refusal::TargetProtocol,
            detail,
            advice: "the target's host key cannot be used; ask who runs it".into(),
        };
        for algorithm in [Algorithm::Ed25519, Algorithm::EcdsaP256] {
            let key = hostkey_derive::derive(&self.gateway.account_secret, presented, algorithm)
                .map_err(|error| unusable(error.to_string()))?;
            self.known.derived.push(key);
        }
        let offered: Vec<HostKey> = self
            .known
            .derived
            .iter()
            .filter_map(|key| {
                let algorithm = HostKeyAlgorithm::from_name(key.algorithm().name())?;
                Some(HostKey {
                    algorithm,
                    public_key: key.public_key_blob().to_vec(),
                })
            })
            .collect();
        self.known.target_host_key = presented.to_vec();
        self.stage = Stage::ClientLogin;
        self.client
            .start(&offered, now.mono)
            .map_err(|error| unusable(error.to_string()))
    }

    /// Pins and authorities: any one of them is enough; with neither, any key is taken.
    fn check_host_key(&self, presented: &[u8], now: Now) -> Result<(), Denied> {
        let target = &self.info.target;
        let pinned = target.host_keys.as_ref().map(|pins| pins.check(presented));
        if let Some(Ok(())) = pinned {
            return Ok(());
        }
        let certified = (!target.host_authorities.is_empty()).then(|| {
            let context = CheckContext::new(&target.facts.hostname, now.unix);
            sshcert::check_host_certificate(presented, &target.host_authorities, &context)
        });
        match (pinned, certified) {
            (None, None) | (_, Some(Ok(_))) => Ok(()),
            (Some(Err(mismatched)), _) => Err(self.host_key_mismatch(mismatched.to_string())),
            (_, Some(Err(refusal))) => Err(self.host_key_mismatch(refusal.to_string())),
            (Some(Ok(())), _) => Ok(()),
        }
    }

    pub(super) fn expects_host_key(&self) -> bool {
        let target = &self.info.target;
        target.host_keys.is_some() || !target.host_authorities.is_empty()
    }

    pub(super) fn host_key_mismatch(&self, detail: String) -> Denied {
        let hostname = &self.info.target.facts.hostname;
        Denied {
            reason: Refusal::HostKeyMismatch,
            detail,
            advice: format!(
                "`{hostname}` shows a host key that is not the expected one; do not go on, tell who runs it"
            ),
        }
    }

    pub(super) fn sign_exchange_hash(&mut self, request: SignRequest, now: Now) {
        let key = self
            .known
            .derived
            .iter()
            .find(|key| *key.public_key_blob() == *request.public_key);
        // The transport asks only for keys that it was started with.
        let Some(signature) = key.map(|key| key.sign(&request.data)) else {
            return;
        };
        if let Err(error) = self.client.signed(request.id, &signature, now.mono) {
            self.leg_failed(Leg::Client, &error, now);
        }
    }

    /// May it be this Unix user? Asked once: the first `none` decides for the connection.
    pub(super) fn login_attempted(&mut self, attempt: AuthAttempt, now: Now) {
        if !matches!(self.stage, Stage::ClientLogin) {
            self.client.reject(attempt.id, &[LOGIN_METHOD], now.mono);
            return;
        }
        if !matches!(attempt.method, AuthMethod::None) {
            self.tried_other_methods = true;
            self.client.banner(
                "This proxy knows you by how you reached it: log in without a key or password.\r\n",
            );
            self.client.reject(attempt.id, &[LOGIN_METHOD], now.mono);
            return;
        }
        let user: Arc<str> = attempt.user.as_str().into();
        self.user = Some(Arc::clone(&user));
        let decision = match Principals::one(&user) {
            Ok(_) => self.decide(Some(&user), now),
            Err(error) => {
                let denied = Denied {
                    reason: Refusal::BadUserName,
                    detail: error.to_string(),
                    advice: "this user name cannot be used; check what stands before the @".into(),
                };
                return self.refuse_login(attempt.id, denied, now);
            }
        };
        match decision {
            Decision::Deny(denial) => {
                self.refuse_login(attempt.id, Denied::by_policy(&denial), now)
            }
            Decision::Allow(grant) => {
                let kind = EventKind::AccessAllowed {
                    application: Arc::clone(&grant.application),
                    policy: Arc::clone(&grant.policy),
                };
                self.event(kind, now);
                self.open_log(
                    Login {
                        attempt: attempt.id,
                        grant,
                    },
                    now,
                );
            }
        }
    }

    fn open_log(&mut self, login: Login, now: Now) {
        let Some(seed) = self.seeds.log.take() else {
            let denied = Denied::by_recorder("the log was opened before".into());
            return self.refuse_login(login.attempt, denied, now);
        };
        let created = Recorder::create(
            &self.gateway.log,
            &self.gateway.log_signer,
            LogId(*self.id.as_bytes()),
            *seed,
            now,
        );
        match created {
            Ok(mut recorder) => {
                self.record_meta(&mut recorder, &login, now);
                self.recorder = Some(recorder);
                self.stage = Stage::LogOpened(login);
            }
            Err(error) => {
                self.refuse_login(login.attempt, Denied::by_recorder(error.to_string()), now)
            }
        }
    }

    fn record_meta(&self, recorder: &mut Recorder, login: &Login, now: Now) {
        let (session, client_addr) = (self.id.to_string(), self.info.client_addr.to_string());
        let facts = &self.info.target.facts;
        let groups: Vec<String> = self
            .info
            .identity
            .groups
            .iter()
            .map(|group| format!("{}:{}", group.provider, group.name))
            .collect();
        let fingerprints: Vec<String> = self
            .known
            .derived
            .iter()
            .map(|key| key.fingerprint())
            .collect();
        let target_addr = facts
            .address
            .map(|address| address.to_string())
            .unwrap_or_default();
        let key_id = self.key_id(login);
        let meta = SessionMeta {
            session: &session,
            started_unix_ms: millis(now.unix),
            identity_email: &self.subject.identity,
            groups: groups.iter().map(String::as_str).collect(),
            client_addr: &client_addr,
            target_id: &facts.id,
            target_hostname: &facts.hostname,
            target_addr: &target_addr,
            target_port: facts.port,
            unix_user: self.user.as_deref().unwrap_or_default(),
            client_version: self
                .known
                .client_ident
                .as_ref()
                .map_or("", |ident| ident.as_str()),
            target_version: self
                .known
                .target_ident
                .as_ref()
                .map_or("", |ident| ident.as_str()),
            target_host_key_fingerprint: &self.target_fingerprint(),
            client_host_key_fingerprints: fingerprints.iter().map(String::as_str).collect(),
            client_algorithms: self.known.client_algorithms.as_deref().unwrap_or_default(),
            target_algorithms: self.known.target_algorithms.as_deref().unwrap_or_default(),
            certificate_serial: self.known.certificate_serial,
            certificate_key_id: key_id.as_ref().map(KeyId::as_str).unwrap_or_default(),
            policy: &login.grant.policy,
        };
        recorder.record(0, &Record::SessionMeta(meta));
        let text = format!(
            "application `{}`, recording {}",
            login.grant.application, login.grant.recording
        );
        recorder.record(
            0,
            &Record::PolicyDecision {
                allowed: true,
                policy: &login.grant.policy,
                text: &text,
            },
        );
    }

    fn target_fingerprint(&self) -> String {
        ssh_key::PublicKey::from_bytes(&self.known.target_host_key)
            .map(|key| key.fingerprint(ssh_key::HashAlg::Sha256).to_string())
            .unwrap_or_default()
    }

    /// The log stands: mint.
    pub(super) fn log_opened(&mut self, login: Login, now: Now) {
        let prepared = match self.prepare_certificate(&login, now) {
            Ok(prepared) => Box::new(prepared),
            Err(detail) => return self.refuse_login(login.attempt, Denied::by_signer(detail), now),
        };
        match &self.gateway.ca {
            Ca::Local(key) => match key.sign(&prepared) {
                Ok(signature) => self.certify(login, *prepared, &signature, now),
                Err(error) => {
                    self.refuse_login(login.attempt, Denied::by_signer(error.to_string()), now)
                }
            },
            Ca::Remote(_) => {
                self.outputs
                    .push_back(Output::SignCertificate(SigningRequest {
                        to_be_signed: Bytes::copy_from_slice(prepared.to_be_signed()),
                        authority: Bytes::copy_from_slice(prepared.authority().blob()),
                    }));
                let deadline = now.mono.saturating_add(SIGNING_DEADLINE);
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
        let nonce = self.certificate_nonce;
        certificate
            .prepare(self.gateway.ca.public(), nonce)
            .map_err(|e| e.to_string())
    }

    fn key_id(&self, login: &Login) -> Option<KeyId> {
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
            self.certify(login, *prepared, signature, now);
        }
    }

    fn certify(&mut self, login: Login, prepared: Prepared, signature: &[u8], now: Now) {
        match prepared.complete(signature) {
            Ok(certificate) => {
                let deadline = now.mono.saturating_add(self.gateway.timeouts.target_login);
                self.stage = Stage::TargetLogin {
                    login,
                    unpresented: Some(Box::new(certificate)),
                    deadline,
                };
                self.present_certificate(now);
            }
            Err(error) => {
                self.refuse_login(login.attempt, Denied::by_signer(error.to_string()), now)
            }
        }
    }

    pub(super) fn signing_failed(&mut self, now: Now) {
        if matches!(self.stage, Stage::Certificate { .. }) {
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

    /// What the target says to whoever logs in goes on once it is recorded. Before the policy has allowed the user,
    /// the target has nothing to say to them.
    pub(super) fn target_banner(&mut self, text: String) {
        if let (Stage::TargetLogin { .. }, Some(recorder)) = (&self.stage, &mut self.recorder) {
            recorder.record(
                0,
                &Record::Annotation {
                    text: &format!("banner of the target: {text}"),
                },
            );
            self.held.push_back(Held::Banner(text));
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

    /// The target took the certificate: the client is let in, and packets pass.
    pub(super) fn target_accepted(&mut self, now: Now) {
        let Stage::TargetLogin { login, .. } =
            self.take_stage_if(|s| matches!(s, Stage::TargetLogin { .. }))
        else {
            return;
        };
        if let Err(error) = self.client.accept(login.attempt, now.mono) {
            self.stage = Stage::ClientLogin;
            return self.leg_failed(Leg::Client, &error, now);
        }
        self.session_key = None;
        let kind = EventKind::SessionStart {
            certificate_serial: self.known.certificate_serial,
            target_host_key: self.target_fingerprint(),
        };
        self.event(kind, now);
        self.stage = Stage::End(Box::new(Relaying {
            relay: Relay::new(Arc::clone(&login.grant.permissions)),
            grant: login.grant,
            started: now,
            last_activity: now.mono,
        }));
    }

    fn host_key_changed(&mut self, now: Now) {
        if matches!(self.stage, Stage::End(_)) {
            self.end(
                EndReason::HostKeyChanged,
                "the target showed another host key",
                now,
            );
        } else {
            self.refuse(
                Denied {
                    reason: Refusal::HostKeyMismatch,
                    detail: "the target showed another host key on rekey".into(),
                    advice: "the target changed its host key while you logged in; tell who runs it"
                        .into(),
                },
                now,
            );
        }
    }
}

impl Denied {
    fn by_policy(denial: &Denial) -> Self {
        Self {
            reason: Refusal::Policy,
            detail: denial.for_log().to_string(),
            advice: denial.for_person().to_string(),
        }
    }

    pub(super) fn by_recorder(detail: String) -> Self {
        Self {
            reason: Refusal::RecorderFailed,
            detail,
            advice: "this session cannot be recorded, so it cannot begin; tell who runs this proxy"
                .into(),
        }
    }

    fn by_signer(detail: String) -> Self {
        Self {
            reason: Refusal::SigningFailed,
            detail,
            advice: "no certificate could be signed for you; tell who runs this proxy".into(),
        }
    }
}
