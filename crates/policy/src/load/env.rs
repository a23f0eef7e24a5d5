//! Which environment variables a policy may let a client set.

use alloc::boxed::Box;
use alloc::format;

use super::reader::{Node, Quoted, Reader};
use crate::limits::MAX_NAME_BYTES;

/// An environment variable, or the beginning of one and a `*`.
pub(super) fn pattern(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Box<str>> {
    let text = reader.string(node)?;
    let stem = text.strip_suffix('*').unwrap_or(text);
    let is_name = !stem.is_empty()
        && text.len() <= MAX_NAME_BYTES
        && !stem.starts_with(|first: char| first.is_ascii_digit())
        && stem
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_name {
        reader.problem(
            node,
            format_args!("{} is no name of an environment variable", Quoted(text)),
            "write a name, or the beginning of names as in `LC_*`",
        );
        return None;
    }
    if let Some(forbidden) = NEVER_SET.iter().find(|forbidden| overlap(text, forbidden)) {
        let what = format!(
            "{} covers `{forbidden}`, which can make programs on the target run other code",
            Quoted(text)
        );
        reader.problem(
            node,
            what,
            "write only names that programs read as plain values",
        );
        return None;
    }
    Some(text.into())
}

/// Variables known to choose which code runs, or who a program thinks it runs for, or where a file is written. Programs invent
/// others, so this catches mistakes and is no proof; rule G3 of SPEC.md says the same list.
const NEVER_SET: [&str; 70] = [
    "BASH*",
    "BROWSER",
    "CDPATH",
    "DYLD_*",
    "EDITOR",
    "ENV",
    "EXINIT",
    "FCEDIT",
    "FPATH",
    "GCONV_PATH",
    "GIT_ALLOW_PROTOCOL",
    "GIT_ASKPASS",
    "GIT_COMMON_DIR",
    "GIT_CONFIG*",
    "GIT_DIR",
    "GIT_EDITOR",
    "GIT_EXEC_PATH",
    "GIT_EXTERNAL_DIFF",
    "GIT_PAGER",
    "GIT_PROTOCOL_FROM_USER",
    "GIT_PROXY_COMMAND",
    "GIT_SEQUENCE_EDITOR",
    "GIT_SSH*",
    "GIT_TEMPLATE_DIR",
    "GIT_TRACE*",
    "GIT_WORK_TREE",
    "GLIBC_TUNABLES",
    "GLOBIGNORE",
    "GVIMINIT",
    "HOME",
    "IFS",
    "INPUTRC",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "LD_*",
    "LESS*",
    "LOCPATH",
    "LOGNAME",
    "LUA_*",
    "MALLOC_*",
    "MANOPT",
    "MANPAGER",
    "NLSPATH",
    "NODE_*",
    "OPENSSL_*",
    "PAGER",
    "PATH",
    "PERL*",
    "PROMPT_COMMAND",
    "PS0",
    "PS1",
    "PS2",
    "PS4",
    "PYTHON*",
    "RUBY*",
    "SHELL",
    "SHELLOPTS",
    "SSH_*",
    "SUDO_*",
    "SYSTEMD_*",
    "TERMCAP",
    "TERMINFO*",
    "USER",
    "VIM",
    "VIMINIT",
    "VIMRUNTIME",
    "VISUAL",
    "XDG_*",
    "ZDOTDIR",
    "_JAVA_OPTIONS",
];

/// Whether one name could be covered by both patterns.
fn overlap(left: &str, right: &str) -> bool {
    match (left.strip_suffix('*'), right.strip_suffix('*')) {
        (None, None) => left == right,
        (Some(beginning), None) => right.starts_with(beginning),
        (None, Some(beginning)) => left.starts_with(beginning),
        (Some(one), Some(other)) => one.starts_with(other) || other.starts_with(one),
    }
}
