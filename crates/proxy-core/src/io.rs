//! What goes in and what comes out.

use alloc::boxed::Box;

use bytes::Bytes;

use crate::{
    AccessEvent, Approval, ApprovalRequest, Current, Leg, Operation, Seen, SessionId, WatchEnd,
    WatchId,
};

/// What the driver tells a session, with [`crate::Session::handle`].
#[derive(Debug)]
pub enum Input<'a> {
    /// This many bytes of the leg's peer were put at the front of [`crate::Session::read_buffer`].
    Received(Leg, usize),
    /// The leg's peer sends no more, or its connection broke.
    Closed(Leg),
    /// This many of the bytes of [`Output::Send`] were written to the leg's connection.
    Written(Leg, usize),
    /// [`Output::ConnectTarget`] succeeded.
    TargetConnected,
    /// [`Output::ConnectTarget`] did not succeed.
    TargetUnreachable(ConnectFailure),
    /// The oldest unanswered [`Output::Log`] of this session stands where logs are kept.
    LogWritten(SessionId),
    /// The oldest unanswered [`Output::Log`] of this session could not be written, wholly or in part.
    LogFailed(SessionId),
    /// The answer to [`Output::SignCertificate`] of this session: an SSH signature blob (`string algorithm, string signature`).
    Signed(SessionId, &'a [u8]),
    /// The signer refused, or cannot be reached.
    SigningFailed(SessionId),
    /// Somebody's answer to [`Output::AskApproval`]. One that comes too late, of somebody who may not answer, or about another session
    /// changes nothing.
    Approval(Approval),
    /// [`Output::AskApproval`] was not put to anybody, because too many questions of that person wait already. The login is refused.
    ApprovalNotAsked(SessionId),
    /// The rules or the facts have changed, or [`Output::Reevaluate`] asked for them. The session is decided about again, at whatever
    /// stage it is: nothing begins under rules older than the last that were brought, and what is no longer allowed ends with a message to the person.
    Reevaluate(Box<Current>),
    /// Somebody who runs the proxy acts on this session, or on one inside it. Whether they may was decided before.
    Operator(SessionId, Operation),
    /// The proxy is shutting down; the session ends with a message to the person.
    Shutdown,
}

/// Why the target could not be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ConnectFailure {
    /// The host answered that nothing listens there.
    #[error("connection refused")]
    Refused,
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// No route to the host or network.
    #[error("no route to the target")]
    NoRoute,
    /// The target's name has no address.
    #[error("its name cannot be resolved")]
    UnknownName,
    /// Anything else.
    #[error("the connection failed")]
    Other,
}

/// What a session wants done. Execute outputs strictly in order: that order is the guarantee that
/// nothing passes before it was recorded.
#[derive(Debug)]
pub enum Output {
    /// Tell the operator.
    Event(AccessEvent),
    /// Open a connection to the target of [`crate::ConnectionInfo`]; answer [`Input::TargetConnected`] or
    /// [`Input::TargetUnreachable`]. Where a policy keeps the person waiting before the login, it comes a second time, after the
    /// first connection was closed.
    ConnectTarget,
    /// Append to the log of this session, which is the connection's own or one inside it; answer [`Input::LogWritten`] or
    /// [`Input::LogFailed`]. Nothing passes before; deadlines, new rules and a shutdown may be brought meanwhile, and what then comes
    /// out waits for the page too, for as long as [`awaits_log`](crate::Session::awaits_log) says. The first page of a session makes its
    /// log; after the event that [is its last](crate::EventKind::is_last) none follows, and none that was given before is answered any more.
    Log(SessionId, Bytes),
    /// Have this signed by the certificate authority that it names; answer [`Input::Signed`] or [`Input::SigningFailed`].
    /// Only with [`crate::Ca::Remote`]; one question of a session is open at a time.
    SignCertificate(SigningRequest),
    /// Ask these people to approve; answer [`Input::Approval`] when one of them does,
    /// or [`Input::ApprovalNotAsked`] at once. Silence is refusal: the session sees to the
    /// time, and tells with `approval.given` or `approval.refused` that the question is no longer open.
    AskApproval(Box<ApprovalRequest>),
    /// It is time to decide again: answer [`Input::Reevaluate`] with the rules and facts as they are now. Without an answer within a second
    /// the session decides with those that it has.
    Reevaluate,
    /// Give this to who watches; the number is the channel's in the log, 0 where it is none of a channel. Never waits: a watcher who
    /// does not keep up is sent away, and the session told so with [`Operation::Unwatch`].
    Watched(WatchId, u32, Seen),
    /// The watching is over, or never began.
    WatchOver(WatchId, WatchEnd),
    /// Write to the leg's connection; report progress with [`Input::Written`].
    Send(Leg, Bytes),
    /// Close the leg's connection once everything sent was written, or its peer takes too long.
    Close(Leg),
}

/// What the certificate authority is asked to sign: exactly one certificate of one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningRequest {
    /// The session that asks: the connection's own or one inside it.
    pub session: SessionId,
    /// The bytes to sign.
    pub to_be_signed: Bytes,
    /// The SSH public key blob of the authority that must sign.
    pub authority: Bytes,
}
