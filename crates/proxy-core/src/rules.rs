//! What decides, and what is decided about.

use alloc::sync::Arc;

use policy::{Feature, Features, PolicySet, Revocations};

/// What sessions enforce of what a grant may ask for beyond channels. Load a policy with
/// [`refuse_beyond`](PolicySet::refuse_beyond) it; a session refuses a login whose grant asks for more.
pub const ENFORCED: Features = Features::NONE
    .with(Feature::Commands)
    .with(Feature::LocalForward)
    .with(Feature::Jump)
    .with(Feature::RemoteForward)
    .with(Feature::StreamLocal)
    .with(Feature::AgentForwarding)
    .with(Feature::X11Forwarding)
    .with(Feature::ForwardRecording)
    .with(Feature::Reevaluation)
    .with(Feature::LoginAge)
    .with(Feature::StepUp);

/// What decides who may do what. It never changes; share it in an [`Arc`], and when it is to change, give a whole new one to
/// new sessions ([`Session::new`](crate::Session::new)) and to those that live ([`Input::Reevaluate`](crate::Input::Reevaluate)).
#[derive(Debug, Clone)]
pub struct Rules {
    /// Who may do what.
    pub policy: Arc<PolicySet>,
    /// Whose access has ended, whatever the policy says.
    pub revocations: Arc<Revocations>,
    /// Names these rules in events and logs, for example by a hash of the documents. Empty where they have no name.
    pub version: Arc<str>,
}

impl Rules {
    /// These policies, nothing revoked, without a name.
    #[must_use]
    pub fn new(policy: impl Into<Arc<PolicySet>>) -> Self {
        Self {
            policy: policy.into(),
            revocations: Arc::default(),
            version: "".into(),
        }
    }
}

/// What there is to decide with at this moment: the answer to [`Output::Reevaluate`](crate::Output::Reevaluate), and what the driver
/// brings of its own accord whenever any of it has changed.
#[derive(Debug, Clone)]
pub struct Current {
    /// What decides.
    pub rules: Arc<Rules>,
    /// The person or service, as known now. What the session is called in events stays as it was.
    pub identity: policy::Identity,
    /// Their device, as checked last.
    pub device: policy::Device,
}
