//! From the first byte to the moment the client is let in.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use policy::{Denial, Grant, Revocation};
use session_log::{LogId, Record, SessionMeta};
use ssh_transport::{AuthAttempt, AuthMethod, Client, ClientConfig, Identification};
use sshcert::{KeyId, Principals};

use super::recorder::Recorder;
use super::stage::{Denied, Login, Relaying, Stage};
use super::standing::Standing;
use super::step_up::Done;
use super::{Held, IDENTIFICATION, IDENTIFICATION_OPENSSH, LOGIN_METHOD, Session};
use crate::event::{EventKind, millis};
use crate::relay::Relay;
use crate::rules::ENFORCED;
use crate::{ConnectFailure, Leg, Now, Output, Refusal, Target};

/// Where the machine around a session leads is its own word: it may answer for the target itself.
pub(super) fn check_way_to(target: &Target) -> Result<(), Denied> {
    if target.expects_host_key() || target.any_host_key_inside {
        return Ok(());
    }
    Err(Denied {
        reason: Refusal::NoKnownHostKey,
        detail: "neither host keys nor host authorities of the target are known".into(),
        advice: "this proxy does not know the host key of this machine, and so cannot tell it from another on the way through one; ask who runs the proxy to add it".into(),
    })
}

impl Session {
    /// May this identity reach this target at all?
    pub(super) fn decide_target(&mut self, now: Now) {
        let decided = self.decide(None, now).map(drop);
        let is_inside = self.inner.parent().is_some();
        let decided = decided.and_then(|()| match is_inside {
            true => check_way_to(&self.info.target),
            false => Ok(()),
        });
        if let Err(denied) = decided {
            self.refuse_target(denied, now);
        }
    }

    /// The client is told why as soon as it can understand.
    pub(super) fn refuse_target(&mut self, denied: Denied, now: Now) {
        self.tell_denied(&denied, now);
        self.stage = Stage::ClientIdentification {
            refused: Some(denied),
        };
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
        if matches!(self.stage, Stage::TargetAgain { .. }) {
            return self.target_connected_again(now);
        }
        if !matches!(self.stage, Stage::TargetConnection { .. }) {
            return;
        }
        // Taken once, as this stage is reached once.
        let Some(seed) = self.seeds.target_leg.take() else {
            return;
        };
        self.start_target_leg(*seed, now);
        let deadline = now.mono.saturating_add(self.gateway.timeouts.target_login);
        self.stage = Stage::TargetHostKey { deadline };
    }

    pub(super) fn start_target_leg(&mut self, seed: [u8; 32], now: Now) {
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
            algorithms: self.info.target.algorithms.clone(),
            limits: self.limits.transport(),
            ..ClientConfig::default()
        };
        config.algorithms.host_keys = self.acceptable_host_keys();
        config.rekey = self.gateway.rekey.clone();
        // The person may think about a new host key for as long as the client leg waits; this leg has deadlines of its own.
        let timeouts = &self.gateway.timeouts;
        config.rekey_grace = timeouts.key_exchange;
        // So may whoever approves, where the target is not left meanwhile.
        let approval = match self.inner.parent() {
            Some(_) => timeouts.approval,
            None => Duration::ZERO,
        };
        config.login_grace = timeouts
            .login_grace
            .saturating_add(timeouts.target_login)
            .saturating_add(approval);
        self.target = Some(Client::new(Arc::new(config), seed, now.mono));
    }

    pub(super) fn target_unreachable(&mut self, failure: ConnectFailure, now: Now) {
        let is_awaited = match &self.stage {
            Stage::TargetConnection { .. } => true,
            Stage::TargetAgain { .. } => self.target.is_none(),
            _ => false,
        };
        if !is_awaited {
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

    /// May it be this Unix user? Asked once: the first `none` decides for the connection, or whatever comes first where the policy
    /// asks for a method besides.
    pub(super) fn login_attempted(&mut self, attempt: AuthAttempt, now: Now) {
        if matches!(self.stage, Stage::StepUp(_)) {
            return self.step_attempted(attempt, now);
        }
        if !matches!(self.stage, Stage::ClientLogin) {
            self.client.reject(attempt.id, &[LOGIN_METHOD], now.mono);
            return;
        }
        if !matches!(attempt.method, AuthMethod::None)
            && !self.steps_begin_with_a_method(&attempt.user, now)
        {
            self.tried_other_methods = true;
            self.client.banner(
                "This proxy knows you by how you reached it: log in without a key or password.\r\n",
            );
            self.client.reject(attempt.id, &[LOGIN_METHOD], now.mono);
            return;
        }
        let user: Arc<str> = attempt.user.as_str().into();
        self.user = Some(Arc::clone(&user));
        let denied = match Principals::one(&user) {
            Ok(_) => match self.grant_for(&user, now) {
                Ok(grant)
                    if !grant.login_is_fresh(&self.info.identity, self.connected, now.unix) =>
                {
                    Denied::by_age_of_login(&grant)
                }
                Ok(grant) if !grant.constraints.step_up.is_empty() => {
                    return self.step_up(attempt, grant, now);
                }
                Ok(grant) => {
                    let login = Login {
                        attempt: attempt.id,
                        grant,
                        done: Done::default(),
                    };
                    return self.login_allowed(login, now);
                }
                Err(denied) => denied,
            },
            Err(error) => Denied {
                reason: Refusal::BadUserName,
                detail: error.to_string(),
                advice: "this user name cannot be used; check what stands before the @".into(),
            },
        };
        self.refuse_login(attempt.id, denied, now);
    }

    pub(super) fn login_allowed(&mut self, login: Login, now: Now) {
        let kind = EventKind::AccessAllowed {
            application: Arc::clone(&login.grant.application),
            policy: Arc::clone(&login.grant.policy),
            rules: Arc::clone(&self.rules.version),
        };
        self.event(kind, now);
        if self.target.is_some() {
            self.open_log(login, now);
        } else {
            self.return_to_target(login, now);
        }
    }

    pub(super) fn open_log(&mut self, login: Login, now: Now) {
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
            .identity
            .iter()
            .flat_map(|identity| identity.offered())
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
        if let Some(parent) = self.inner.parent() {
            let record = Record::ParentSession {
                session: &parent.session.to_string(),
                channel: parent.channel,
            };
            recorder.record(0, &record);
        }
        let text = format!(
            "application `{}`, recording {}, rules `{}`",
            login.grant.application, login.grant.recording, self.rules.version
        );
        recorder.record(
            0,
            &Record::PolicyDecision {
                allowed: true,
                policy: &login.grant.policy,
                text: &text,
            },
        );
        login.done.record(recorder);
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
        let reevaluation = login.grant.constraints.reevaluation;
        self.stage = Stage::End(Box::new(Relaying {
            relay: Relay::with_limits(&login.grant, &self.limits),
            grant: login.grant,
            standing: Standing::allowed_by(&self.rules.version),
            started: now,
            last_activity: now.mono,
        }));
        self.plan_recheck(reevaluation, now);
    }
}

impl Denied {
    pub(super) fn by_policy(denial: &Denial) -> Self {
        Self {
            reason: Refusal::Policy,
            detail: denial.for_log().to_string(),
            advice: denial.for_person().to_string(),
        }
    }

    /// The policy lets in whoever logged in lately.
    pub(super) fn by_age_of_login(grant: &Grant) -> Self {
        let (limit, advice) = match grant.max_login_age.unwrap_or_default().as_secs() {
            0 => (
                "for this connection".into(),
                "this machine asks for a new login at every connection; connect again and log in",
            ),
            secs => (
                format!("no more than {secs} s before the connection"),
                "your login is too old for this machine; log in again, then reconnect",
            ),
        };
        Self {
            reason: Refusal::LoginTooOld,
            detail: format!("policy {:?} asks for a login {limit}", grant.policy),
            advice: advice.into(),
        }
    }

    pub(super) fn by_revocation(revocation: &Revocation) -> Self {
        Self {
            reason: Refusal::Revoked,
            detail: revocation.for_log(),
            advice: revocation.for_person().into(),
        }
    }

    /// The policy lets in, on conditions that nobody here would see to.
    pub(super) fn unenforceable(grant: &Grant) -> Self {
        let mut detail = format!("policy {:?} asks for what is not enforced:", grant.policy);
        for feature in grant.asks_for().without(ENFORCED).iter() {
            detail.push(' ');
            detail.push_str(feature.name());
        }
        Self {
            reason: Refusal::Policy,
            detail,
            advice: "this proxy cannot keep what the policy asks for; tell who runs it".into(),
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

    pub(super) fn by_signer(detail: String) -> Self {
        Self {
            reason: Refusal::SigningFailed,
            detail,
            advice: "no certificate could be signed for you; tell who runs this proxy".into(),
        }
    }
}
