//! Whether a channel request may pass: the grant's word, the direction RFC 4254 gives it, and its place on the channel.

use policy::{Constraints, Permissions};

use super::channel::Program;
use super::wire::ChannelRequest;
use crate::Leg;

/// Why a request goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    /// The grant does not name it.
    ByPolicy {
        /// For the person, behind "does not allow"; nothing where clients say it themselves or ask for much by habit.
        told: Option<&'static str>,
    },
    /// Nobody may do this.
    ByRule(&'static str),
}

impl Denied {
    /// For the log and the operator.
    pub(super) const fn why(self) -> &'static str {
        match self {
            Self::ByPolicy { .. } => "the policy does not grant it",
            Self::ByRule(why) => why,
        }
    }
}

/// Whether a request may pass on a channel where `program` is what runs.
pub(super) fn decide(
    (permissions, constraints): (&Permissions, &Constraints),
    program: Program,
    from: Leg,
    request: &ChannelRequest<'_>,
) -> Result<(), Denied> {
    use ChannelRequest as R;
    let or_told = |yes: bool, what| granted(yes, Some(what));
    match (from, request) {
        (_, R::EndOfWrite | R::Keepalive) => Ok(()),
        (_, R::Unprintable) => Err(Denied::ByRule("a name in it is not printable")),
        (_, R::Unknown) => Err(Denied::ByRule("not a known channel request")),
        (Leg::Client, _) if comes_late(program, request) => {
            Err(Denied::ByRule("a program was started on this channel"))
        }
        (Leg::Client, R::Pty { .. }) => or_told(permissions.pty, "a terminal"),
        (Leg::Client, R::WindowChange { .. }) => granted(permissions.pty, None),
        (Leg::Client, R::Env { name, .. }) => {
            if !is_plain_name(name) {
                return Err(Denied::ByRule("not a plain name of a variable"));
            }
            granted(permissions.allows_env(name), None)
        }
        (Leg::Client, R::Shell) => or_told(permissions.shell, "a shell"),
        (Leg::Client, R::Exec { command }) if command.contains(&0) => {
            // Servers differ in what they take a zero byte for: some run what is before it.
            Err(Denied::ByRule("a zero byte in the command"))
        }
        (Leg::Client, R::Exec { command }) => {
            or_told(permissions.exec, "commands")?;
            or_told(constraints.allows_command(command), "this command")?;
            let names_it = names_the_sftp_server(command);
            or_told(!names_it || permissions.allows_subsystem("sftp"), "sftp")
        }
        (Leg::Client, R::Subsystem { name }) => {
            or_told(permissions.allows_subsystem(name), "this subsystem")
        }
        (Leg::Client, R::Signal { .. } | R::Break { .. } | R::WindowTuning) => Ok(()),
        (Leg::Client, R::AgentForwarding) => {
            or_told(constraints.agent_forwarding, "agent forwarding")
        }
        // `ssh -X` says so itself, and `ForwardX11` is switched on for good in many configurations.
        (Leg::Client, R::X11Forwarding { .. }) => granted(constraints.x11_forwarding, None),
        (Leg::Target, R::ExitStatus { .. } | R::ExitSignal { .. } | R::XonXoff) => Ok(()),
        _ => Err(Denied::ByRule("not a request of this direction")),
    }
}

fn granted(yes: bool, told: Option<&'static str>) -> Result<(), Denied> {
    if yes {
        Ok(())
    } else {
        Err(Denied::ByPolicy { told })
    }
}

/// What prepares or starts a program is nothing to a channel that has one, and would stand in the log as though it had
/// an effect.
const fn comes_late(program: Program, request: &ChannelRequest<'_>) -> bool {
    use ChannelRequest as R;
    let before_it = request.starts_a_program()
        || matches!(
            request,
            R::Pty { .. } | R::Env { .. } | R::AgentForwarding | R::X11Forwarding { .. }
        );
    matches!(program, Program::Started) && before_it
}

/// Letters, digits and `_`: a beginning that the policy grants is not to carry a `=` or a line break along.
fn is_plain_name(name: &[u8]) -> bool {
    name.iter()
        .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

/// Whether the command names the program behind the subsystem `sftp`, anywhere and by whatever path: PuTTY's last resort is
/// a line of shell that looks for it in several places. Whoever hides the name from this is a matter of `commands`.
fn names_the_sftp_server(command: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    command
        .split(|byte| !is_part(byte))
        .any(|word| matches!(word, b"sftp-server" | b"internal-sftp"))
}

#[cfg(test)]
mod tests {
    use super::names_the_sftp_server;

    #[test]
    fn the_sftp_server_is_found_by_any_path_and_not_in_other_names() {
        for command in [
            "sftp-server",
            "/usr/lib/openssh/sftp-server -l INFO",
            "exec /usr/libexec/sftp-server",
            "test -x /usr/lib/sftp-server && exec /usr/lib/sftp-server\nexec sftp-server",
            "sh -c 'sftp-server'",
            "internal-sftp",
        ] {
            assert!(names_the_sftp_server(command.as_bytes()), "{command}");
        }
        for command in ["", "sftp", "my-sftp-server", "sftp-server.log", "uptime"] {
            assert!(!names_the_sftp_server(command.as_bytes()), "{command}");
        }
    }
}
