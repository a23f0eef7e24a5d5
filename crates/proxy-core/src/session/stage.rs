//! Where a session stands, named for what it awaits.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use policy::Grant;
use ssh_transport::AuthId;
use sshcert::{Certificate, Prepared};

use super::standing::Standing;
use super::step_up::{Done, SteppingUp};
use crate::relay::Relay;
use crate::{EndReason, Now, Refusal, SessionId};

pub(super) enum Stage {
    /// The client's identification line.
    ClientIdentification {
        /// The policy has refused already; the client is told as soon as it can understand.
        refused: Option<Denied>,
    },
    /// The driver's answer to `ConnectTarget`.
    TargetConnection { deadline: Duration },
    /// The target's host key, before the client sees any.
    TargetHostKey { deadline: Duration },
    /// The host authority's signatures, before the client sees a host key.
    HostCertificates {
        certifying: Box<CertifyingHost>,
        deadline: Duration,
    },
    /// The client's key exchange and its wish to log in.
    ClientLogin,
    /// What the policy asks for besides a name, or another person's approval.
    StepUp(Box<SteppingUp>),
    /// The target's key exchange, for which it was connected to once more.
    TargetAgain { login: Login, deadline: Duration },
    /// The log's first page.
    LogOpened(Login),
    /// The certificate authority's signature.
    Certificate {
        login: Login,
        prepared: Box<Prepared>,
        deadline: Duration,
    },
    /// The target's word on the certificate, presented as soon as its key exchange is over.
    TargetLogin {
        login: Login,
        unpresented: Option<Box<Certificate>>,
        deadline: Duration,
    },
    /// Nothing but the end: packets pass.
    End(Box<Relaying>),
    /// The end of a refused client, which reads why.
    Farewell { deadline: Duration },
    /// The log's last page.
    LogClosed(Box<Ending>),
    /// Nothing more.
    Over,
}

/// Host certificates in the making.
pub(super) struct CertifyingHost {
    /// The first is with the authority.
    pub(super) unsigned: VecDeque<Prepared>,
    pub(super) certificates: Vec<Certificate>,
}

/// A client whose login the policy allowed, and which waits for an answer.
pub(super) struct Login {
    pub(super) attempt: AuthId,
    pub(super) grant: Grant,
    pub(super) done: Done,
}

/// A session in full swing.
pub(super) struct Relaying {
    pub(super) relay: Relay,
    pub(super) grant: Grant,
    pub(super) standing: Standing,
    pub(super) started: Now,
    pub(super) last_activity: Duration,
}

/// A session whose last words are being written.
pub(super) struct Ending {
    pub(super) relaying: Relaying,
    pub(super) reason: EndReason,
    pub(super) detail: String,
    /// What the person reads.
    pub(super) farewell: String,
    /// The log got its last page, or will have.
    pub(super) log_complete: bool,
    /// Its last pages have [`LAST_PAGES`](super::LAST_PAGES), and no more with each that is written.
    pub(super) is_hurried: bool,
}

/// Why a connection goes no further.
pub(super) struct Denied {
    pub(super) reason: Refusal,
    /// For the operator.
    pub(super) detail: String,
    /// For the person: what it means and what they can do.
    pub(super) advice: String,
}

impl Denied {
    /// What the person reads who asked under this name.
    pub(super) fn message(&self, id: SessionId) -> String {
        format!("access denied: {} (request {id})", self.advice)
    }
}
