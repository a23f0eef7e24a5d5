//! Terminal modes: by name in this format, encoded in SSH (RFC 4254 section 8).

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::CloudflarePty;

/// What a mode without a name is called, before its number.
const UNNAMED: &str = "OPCODE_";
/// From here on the length of an argument is not defined.
const FIRST_UNDEFINED: u8 = 160;
/// Most modes that are taken from an encoding: each at most once.
const MAX_MODES: usize = FIRST_UNDEFINED as usize - 1;

/// RFC 4254 section 8, and IUTF8 of RFC 8160.
#[rustfmt::skip]
const NAMES: [(u8, &str); 57] = [
    (1, "VINTR"), (2, "VQUIT"), (3, "VERASE"), (4, "VKILL"), (5, "VEOF"), (6, "VEOL"), (7, "VEOL2"), (8, "VSTART"), (9, "VSTOP"),
    (10, "VSUSP"), (11, "VDSUSP"), (12, "VREPRINT"), (13, "VWERASE"), (14, "VLNEXT"), (15, "VFLUSH"), (16, "VSWTCH"), (17, "VSTATUS"),
    (18, "VDISCARD"), (30, "IGNPAR"), (31, "PARMRK"), (32, "INPCK"), (33, "ISTRIP"), (34, "INLCR"), (35, "IGNCR"), (36, "ICRNL"),
    (37, "IUCLC"), (38, "IXON"), (39, "IXANY"), (40, "IXOFF"), (41, "IMAXBEL"), (42, "IUTF8"), (50, "ISIG"), (51, "ICANON"),
    (52, "XCASE"), (53, "ECHO"), (54, "ECHOE"), (55, "ECHOK"), (56, "ECHONL"), (57, "NOFLSH"), (58, "TOSTOP"), (59, "IEXTEN"),
    (60, "ECHOCTL"), (61, "ECHOKE"), (62, "PENDIN"), (70, "OPOST"), (71, "OLCUC"), (72, "ONLCR"), (73, "OCRNL"), (74, "ONOCR"),
    (75, "ONLRET"), (90, "CS7"), (91, "CS8"), (92, "PARENB"), (93, "PARODD"), (128, "TTY_OP_ISPEED"), (129, "TTY_OP_OSPEED"),
    (0, "TTY_OP_END"),
];

impl CloudflarePty {
    /// The modes as a `pty-req` encodes them, and how many have a name that SSH does not know. No modes give no bytes.
    #[must_use]
    pub fn encoded_modes(&self) -> (Vec<u8>, usize) {
        let mut encoded = Vec::new();
        let mut unknown = 0;
        for (name, value) in &self.modes {
            match opcode(name) {
                Some(opcode) => {
                    encoded.push(opcode);
                    encoded.extend_from_slice(&value.to_be_bytes());
                }
                None => unknown += 1,
            }
        }
        if !encoded.is_empty() {
            encoded.push(0);
        }
        (encoded, unknown)
    }

    /// Names and values of modes that a `pty-req` encodes. One that has no name is called by its number, `OPCODE_100`. What is cut is left out.
    #[must_use]
    pub fn decode_modes(encoded: &[u8]) -> Vec<(String, u32)> {
        let mut modes = Vec::new();
        let mut rest = encoded;
        while let Some(([opcode, value @ ..], tail)) = rest.split_first_chunk::<5>() {
            if *opcode == 0 || *opcode >= FIRST_UNDEFINED || modes.len() == MAX_MODES {
                break;
            }
            let name = NAMES.iter().find(|(number, _)| number == opcode);
            let name = match name {
                Some((_, name)) => (*name).to_string(),
                None => format!("{UNNAMED}{opcode}"),
            };
            modes.push((name, u32::from_be_bytes(*value)));
            rest = tail;
        }
        modes
    }
}

fn opcode(name: &str) -> Option<u8> {
    let named = NAMES.iter().find(|(_, known)| *known == name);
    let number = match named {
        Some((number, _)) => *number,
        None => name.strip_prefix(UNNAMED)?.parse().ok()?,
    };
    (1..FIRST_UNDEFINED).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pty(modes: &[(&str, u32)]) -> CloudflarePty {
        CloudflarePty {
            modes: modes
                .iter()
                .map(|(name, value)| (name.to_string(), *value))
                .collect(),
            ..CloudflarePty::default()
        }
    }

    #[test]
    fn modes_have_the_numbers_of_rfc_4254_and_come_back() {
        let pty = pty(&[("ECHO", 1), ("TTY_OP_OSPEED", 38_400), ("OPCODE_100", 7)]);
        let (encoded, unknown) = pty.encoded_modes();
        assert_eq!(encoded, b"\x35\0\0\0\x01\x81\0\0\x96\0\x64\0\0\0\x07\0");
        assert_eq!(unknown, 0);
        assert_eq!(CloudflarePty::decode_modes(&encoded), pty.modes);
        assert_eq!(CloudflarePty::decode_modes(&encoded[..12]).len(), 2);
    }

    #[test]
    fn what_is_no_mode_is_counted_or_passed_over() {
        let pty = pty(&[
            ("TTY_OP_END", 1),
            ("OPCODE_0", 1),
            ("OPCODE_160", 1),
            ("OPCODE_-1", 1),
            ("echo", 1),
        ]);
        assert_eq!(pty.encoded_modes(), (Vec::new(), 5));
        assert_eq!(CloudflarePty::decode_modes(b"\xa0\0\0\0\x01"), []);
        assert_eq!(CloudflarePty::decode_modes(b""), []);
        assert_eq!(CloudflarePty::decode_modes(&[1; 100_000]).len(), MAX_MODES);
    }
}
