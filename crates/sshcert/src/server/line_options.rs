//! Options of `authorized_keys` before a principal (sshd(8), "AUTHORIZED_KEYS FILE FORMAT").

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use core::net::IpAddr;

use super::from::is_match;
use super::values;
use crate::Extension;

/// The flags that stand for extensions of a certificate, without the `no-` that turns them off.
const FLAGS: [(&str, Extension); 5] = [
    ("port-forwarding", Extension::PermitPortForwarding),
    ("agent-forwarding", Extension::PermitAgentForwarding),
    ("x11-forwarding", Extension::PermitX11Forwarding),
    ("pty", Extension::PermitPty),
    ("user-rc", Extension::PermitUserRc),
];

/// Under which conditions a line of principals lets in, and to do what.
///
/// `environment`, `permitopen`, `permitlisten` and `tunnel` must be written as sshd wants them, and are then passed over: they do
/// not change who may log in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineOptions {
    text: String,
    denied: BTreeSet<Extension>,
    touch_not_required: bool,
    verify_required: bool,
    command: Option<String>,
    from: Option<String>,
    expires: Option<u64>,
    cert_authority: bool,
    principals: bool,
}

impl LineOptions {
    /// Reads options up to the first blank outside quotes. None when sshd would not take the line.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let mut options = Self::default();
        let mut rest = line;
        while !rest.is_empty() && !rest.starts_with([' ', '\t']) {
            rest = options.parse_one(rest)?;
            match rest.strip_prefix(',') {
                Some("") => return None,
                Some(after) => rest = after,
                None if rest.is_empty() || rest.starts_with([' ', '\t']) => {}
                None => return None,
            }
        }
        options.text = line.get(..line.len() - rest.len())?.to_string();
        Some(options)
    }

    /// Reads one option, and gives what stands behind it.
    fn parse_one<'a>(&mut self, text: &'a str) -> Option<&'a str> {
        let end = text.find(['=', ',', ' ', '\t']).unwrap_or(text.len());
        let (name, rest) = text.split_at_checked(end)?;
        let name = name.to_ascii_lowercase();
        if let Some(quoted) = rest.strip_prefix('=') {
            let (value, rest) = dequote(quoted)?;
            self.set(&name, value)?;
            return Some(rest);
        }
        self.set_flag(&name)?;
        Some(rest)
    }

    fn set(&mut self, name: &str, value: String) -> Option<()> {
        match name {
            "command" if self.command.is_none() => self.command = Some(value),
            "from" if self.from.is_none() => self.from = Some(value),
            "expiry-time" => {
                let time = parse_time(&value)?;
                self.expires = Some(self.expires.map_or(time, |known| known.min(time)));
            }
            // Only for a line with an authority's key, which this is not.
            "principals" if !self.principals => self.principals = true,
            "environment" if values::is_environment(&value) => {}
            "permitopen" if values::is_permitopen(&value) => {}
            "permitlisten" if values::is_permitlisten(&value) => {}
            "tunnel" if values::is_tunnel(&value) => {}
            _ => return None,
        }
        Some(())
    }

    fn set_flag(&mut self, name: &str) -> Option<()> {
        let (plain, is_off) = match name.strip_prefix("no-") {
            Some(plain) => (plain, true),
            None => (name, false),
        };
        if let Some((_, extension)) = FLAGS.iter().find(|(flag, _)| *flag == plain) {
            if is_off {
                self.denied.insert(*extension);
            } else {
                self.denied.remove(extension);
            }
            return Some(());
        }
        match (plain, is_off) {
            ("restrict", false) => self
                .denied
                .extend(FLAGS.iter().map(|(_, extension)| *extension)),
            ("cert-authority", false) => self.cert_authority = true,
            ("touch-required", _) => self.touch_not_required = is_off,
            ("verify-required", _) => self.verify_required = !is_off,
            _ => return None,
        }
        Some(())
    }

    /// The options as they stand in the line.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// `command="…"`: what runs instead of whatever is asked for.
    #[must_use]
    pub fn force_command(&self) -> Option<&str> {
        self.command.as_deref()
    }

    /// Whether the line leaves something to the certificate to permit.
    #[must_use]
    pub fn permits(&self, extension: Extension) -> bool {
        match extension {
            Extension::NoTouchRequired => self.touch_not_required,
            _ => !self.denied.contains(&extension),
        }
    }

    /// `verify-required`: a security key must verify its user.
    #[must_use]
    pub fn is_verification_required(&self) -> bool {
        self.verify_required
    }

    /// `from="…"`: from where, as patterns of addresses. Host names match nothing, as with sshd's `UseDNS no`.
    #[must_use]
    pub fn from(&self) -> Option<&str> {
        self.from.as_deref()
    }

    /// `expiry-time="…"` in unix seconds, read as UTC. sshd reads one without a `Z` in its own time zone.
    #[must_use]
    pub fn expires(&self) -> Option<u64> {
        self.expires
    }

    pub(super) fn is_for_an_authority(&self) -> bool {
        self.cert_authority || self.principals
    }

    pub(super) fn has_expired(&self, now: u64) -> bool {
        self.expires.is_some_and(|expires| expires < now)
    }

    pub(super) fn admits(&self, address: Option<IpAddr>) -> bool {
        match (&self.from, address) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(patterns), Some(address)) => is_match(patterns, address),
        }
    }
}

/// The content of a quoted string, in which `\"` is a quote, and what stands behind it.
fn dequote(text: &str) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix('"')?;
    let mut value = String::new();
    loop {
        let at = rest.find(['"', '\\'])?;
        let (before, after) = rest.split_at_checked(at)?;
        value.push_str(before);
        if let Some(behind) = after.strip_prefix('"') {
            return Some((value, behind));
        }
        match after.strip_prefix("\\\"") {
            Some(behind) => {
                value.push('"');
                rest = behind;
            }
            None => {
                value.push('\\');
                rest = after.strip_prefix('\\')?;
            }
        }
    }
}

/// `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, perhaps with a `Z` or `UTC`, in unix seconds. The first second is no time.
fn parse_time(text: &str) -> Option<u64> {
    let is_utc = |zone: &&str| zone.eq_ignore_ascii_case("UTC");
    let digits = match text.len().checked_sub(3).and_then(|at| text.get(at..)) {
        Some(zone) if is_utc(&zone) => text.get(..text.len() - 3)?,
        _ => text.strip_suffix(['Z', 'z']).unwrap_or(text),
    };
    if ![8, 12, 14].contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| digits.get(from..to).map_or(Some(0), |d| d.parse().ok());
    let (year, month, day): (u64, u64, u64) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(8, 10)?, number(10, 12)?, number(12, 14)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let time = ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    (time != 0).then_some(time)
}

/// Counts from March, so that the leap day is the last of its year.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days_to_month = (153 * month + 2) / 5;
    // 719468 days from 1 March of the year 0 to 1 January 1970.
    year * 365 + leap_days + days_to_month + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_since_1970() {
        for (text, expected) in [
            ("19700101", None),
            ("19700101000001", Some(1)),
            ("20000301", Some(951_868_800)),
            ("20240229Z", Some(1_709_164_800)),
            ("20240229utc", Some(1_709_164_800)),
            ("202402292359", Some(1_709_251_140)),
            ("20231114221320", Some(1_700_000_000)),
            ("2024", None),
            ("20241301", None),
            ("20240100", None),
            ("202402292460", None),
            ("tomorrow", None),
        ] {
            assert_eq!(parse_time(text), expected, "{text}");
        }
    }
}
