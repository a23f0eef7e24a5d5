//! Messages by hand.

/// Writes a message.
#[derive(Clone, Default)]
pub struct Message(Vec<u8>);

impl Message {
    pub fn bare() -> Self {
        Self::default()
    }

    pub fn new(number: u8) -> Self {
        Self(vec![number])
    }

    pub fn byte(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub fn word(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub fn raw(mut self, value: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(value.as_ref());
        self
    }

    pub fn string(self, value: impl AsRef<[u8]>) -> Self {
        let len = u32::try_from(value.as_ref().len()).unwrap();
        self.word(len).raw(value)
    }

    pub fn mpint(self, magnitude: &[u8]) -> Self {
        let digits: Vec<u8> = magnitude.iter().copied().skip_while(|b| *b == 0).collect();
        if digits.first().is_some_and(|b| b & 0x80 != 0) {
            self.string([vec![0], digits].concat())
        } else {
            self.string(digits)
        }
    }

    pub fn done(self) -> Vec<u8> {
        self.0
    }
}

/// Reads a message; panics where it is not as expected.
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    pub fn take(&mut self, len: usize) -> &'a [u8] {
        let (head, tail) = self.0.split_at(len);
        self.0 = tail;
        head
    }

    pub fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    pub fn word(&mut self) -> u32 {
        u32::from_be_bytes(self.take(4).try_into().unwrap())
    }

    pub fn string(&mut self) -> &'a [u8] {
        let len = self.word() as usize;
        self.take(len)
    }

    pub fn text(&mut self) -> &'a str {
        std::str::from_utf8(self.string()).unwrap()
    }
}

/// A packet in clear, as before the first NEWKEYS.
pub fn clear_packet(payload: &[u8]) -> Vec<u8> {
    let mut padding = 8 - (5 + payload.len()) % 8;
    if padding < 4 {
        padding += 8;
    }
    let length = u32::try_from(1 + payload.len() + padding).unwrap();
    let mut packet = length.to_be_bytes().to_vec();
    packet.push(u8::try_from(padding).unwrap());
    packet.extend_from_slice(payload);
    packet.resize(packet.len() + padding, 0);
    packet
}

/// The payloads of packets in clear, up to what is not complete.
pub fn clear_payloads(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    while bytes.len() > 5 {
        let length = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
        let padding = usize::from(bytes[4]);
        if bytes.len() < 4 + length {
            break;
        }
        payloads.push(bytes[5..4 + length - padding].to_vec());
        bytes = &bytes[4 + length..];
    }
    payloads
}
