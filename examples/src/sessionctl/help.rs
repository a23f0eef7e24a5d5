//! What `--help` says besides, for each command.

pub(super) const ALL: &str = "\
Examples:
  sessionctl list                                         who is where, since when, and what they run
  sessionctl show 5f0c                                    all about one session
  sessionctl end 5f0c --reason \"kernel update at ten\"     the person reads the reason
  sessionctl end --identity ada@example.com --reason \"left the company\"
  sessionctl end --all --reason \"incident 4711\"
  sessionctl watch 5f0c                                   what the person sees, while they see it; Ctrl-C leaves
  sessionctl approvals                                    who waits to be let in, and why
  sessionctl approve 5f0c --note \"as agreed\"             or refuse; only one of those whom the policy names
  sessionctl drain --wait 10m                             nobody is let in any more; the proxy ends with its last session

Ids may be shortened as long as one session is meant. The proxy listens where `socket` of `[admin]` in its configuration says, knows
who asks by the user that runs this, and does what the `[[operator]]` entries of its policy allow. What is asked for, allowed or not,
is an access event; who watches or ends a session stands in its log.

With --json the answer is printed as it comes: a line {\"reply\":\"session\"|\"approval\"|\"answered\"|\"ended\"|\"seen\"|\"watch_over\"|\"draining\", …} for each
thing, and {\"reply\":\"done\"|\"refused\"|\"failed\", …} at the end.

Exit status: 0 it is done; 1 it is not allowed, there is no such session, or it cannot be done; 2 the command line is wrong, or no proxy answers.";

pub(super) const LIST: &str = "\
A line for each session that the policy lets you `list`, the oldest first, and after each session those inside it:
  SESSION   its id, shortened
  IDENTITY  who, as `end --identity` takes it
  USER      the Unix user, once there is one
  TARGET    where, as `end --target` takes it
  FROM      the client's address
  FOR       how long ago the connection began; `show` has the time
  IDLE      for how long nothing has passed
  IN/OUT    channel data from the client and from the target
  STATE     `arriving` until it is let in, `open`, or `ending`; `stuck` where it does not answer, since its disk does not: then this is
            what was known when it began. Besides, whether it is watched, and for one inside another (`ssh -J`), the other's id
  LAST      the last command or subsystem; only of sessions that you may `show`

A proxy that drains has left its socket to its successor and is asked at PATH.PID, with the number of its process, or at PATH.PID.2 and
so on where another with that number drains: each lists its own sessions. `list` there shows what is still to end.";

pub(super) const SHOW: &str = "\
One fact a line: who, with which device, from where, as which user, where to, since when, how much has passed, what runs.";

pub(super) const END: &str = "\
Examples:
  sessionctl end 5f0c --reason \"kernel update at ten\"
  sessionctl end --identity ada@example.com --reason \"left the company\"     as `list` shows her; upper and lower case are the same
  sessionctl end --device ada-laptop --reason \"stolen\"                      as `show` shows it
  sessionctl end --target web-1 --reason \"taken out of service\"             its id or host name
  sessionctl end --all --reason \"incident 4711\"

The person reads the reason, not who gave it; the log and the event have both. With a session those inside it end. Prints a line for each
session; one that does not answer, since its disk does not, is told and ends once it does. Where the policy lets you end only some of
those that are meant, these end, and the exit status is 1. It is, too, where some cannot be told, whom the message names, and where
connections that are not ended do not answer: sessions inside them are not looked at.";

pub(super) const APPROVALS: &str = "\
Two or three lines for each person who waits and whom the policy lets you answer: the id for `approve` and `refuse`, who wants to be whom
and where, their reason if the policy asks for one, how long they still wait, and who may answer.";

pub(super) const ANSWER: &str = "\
The person reads the id when they begin to wait, and `approvals` lists it. An answer counts if the policy names you among the approvers of
what they want, and they still wait. Nobody answers for themselves.";

pub(super) const DRAIN: &str = "\
Closes the listeners and leaves the socket to a successor: from then on this proxy is asked at PATH.PID, with the number of its process,
or at PATH.PID.2 and so on where another with that number drains.
Sessions go on for as long as was said, and are then ended with a message. It takes the right to `end` sessions of every target.";
