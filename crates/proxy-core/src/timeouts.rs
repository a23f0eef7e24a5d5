//! How long each step of a session may take: every time a setting, with a named constant as its default.

use core::time::Duration;

/// From the first byte to a login, the person's thoughts about a new host key included, 120 s: OpenSSH's `LoginGraceTime`.
pub const LOGIN_GRACE: Duration = Duration::from_secs(120);
/// For the driver to connect to the target, 10 s.
pub const CONNECT: Duration = Duration::from_secs(10);
/// For the target's key exchange, and again for its login, 30 s.
pub const TARGET_LOGIN: Duration = Duration::from_secs(30);
/// For either peer's part of a key exchange after the login, from its KEXINIT on, 10 min: what waits to be written before the proxy's part
/// takes minutes on a slow line. OpenSSH knows no such time and lets its alive messages go unanswered, if they are on.
pub const KEY_EXCHANGE: Duration = ssh_transport::REKEY_GRACE;
/// For the driver to say that a page of the log is written, 30 s: a disk that takes longer has failed.
pub const LOG: Duration = Duration::from_secs(30);
/// For whoever has the authority's key to sign, 30 s: an HSM that takes longer is gone.
pub const SIGNING: Duration = Duration::from_secs(30);
/// For another person to approve a login whose policy asks for that, 120 s: who is asked at once still looks.
pub const APPROVAL: Duration = Duration::from_secs(120);
/// For a client that was refused to read why and go, 5 s.
pub const FAREWELL: Duration = Duration::from_secs(5);

/// How long each step may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// [`LOGIN_GRACE`].
    pub login_grace: Duration,
    /// [`CONNECT`].
    pub connect: Duration,
    /// [`TARGET_LOGIN`].
    pub target_login: Duration,
    /// [`KEY_EXCHANGE`]. A peer that was asked and does not begin its part, or has not taken the proxy's part when the time is over, is one
    /// that does not read, and is waited for: a person may have stopped their `ssh`.
    pub key_exchange: Duration,
    /// [`LOG`].
    pub log: Duration,
    /// [`SIGNING`], with [`crate::Ca::Remote`].
    pub signing: Duration,
    /// [`APPROVAL`]. The login grace waits meanwhile.
    pub approval: Duration,
    /// [`FAREWELL`].
    pub farewell: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            login_grace: LOGIN_GRACE,
            connect: CONNECT,
            target_login: TARGET_LOGIN,
            key_exchange: KEY_EXCHANGE,
            log: LOG,
            signing: SIGNING,
            approval: APPROVAL,
            farewell: FAREWELL,
        }
    }
}

impl Timeouts {
    /// Every setting by its name: for who reads them from a file.
    pub fn settings(&mut self) -> [(&'static str, &mut Duration); 8] {
        [
            ("login_grace", &mut self.login_grace),
            ("connect", &mut self.connect),
            ("target_login", &mut self.target_login),
            ("key_exchange", &mut self.key_exchange),
            ("log", &mut self.log),
            ("signing", &mut self.signing),
            ("approval", &mut self.approval),
            ("farewell", &mut self.farewell),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_a_setting_of_its_name() {
        let mut timeouts = Timeouts::default();
        let settings = timeouts.settings().map(|(name, value)| (name, *value));
        let fields = alloc::format!("{timeouts:?}");
        for (name, value) in settings {
            assert!(fields.contains(&alloc::format!("{name}: {value:?}")));
        }
        assert_eq!(fields.matches(':').count(), settings.len());
    }
}
