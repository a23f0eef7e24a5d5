//! From bytes. Every section of the format is known; what is not known is refused, as in OpenSSH, since it might revoke something.

use alloc::string::String;
use core::time::Duration;

use super::{
    FORMAT_VERSION, Krl, KrlExtension, MAGIC, MAX_BITMAP_BYTES, MAX_KRL_BYTES, RevokedCertificates,
    authority_blob, certificate_section, section,
};
use crate::KrlError;
use crate::wire::{Malformed, Reader};

impl Krl {
    /// Reads a list in the binary format (PROTOCOL.krl). Signatures on it are passed over, as in OpenSSH since 9.4, and not kept;
    /// extensions that need not be understood are kept, and revoke nothing.
    ///
    /// Whoever cannot read its list should refuse every certificate, as sshd does.
    ///
    /// # Errors
    /// [`KrlError`] for the first thing that is wrong; [`KrlError::NotAList`] when it is not in this format at all.
    pub fn parse(bytes: &[u8]) -> Result<Self, KrlError> {
        if bytes.len() > MAX_KRL_BYTES {
            return Err(KrlError::TooLong {
                limit: MAX_KRL_BYTES,
                got: bytes.len(),
            });
        }
        let body = bytes.strip_prefix(MAGIC).ok_or(KrlError::NotAList)?;
        let mut reader = Reader::new(body);
        let format = reader.u32()?;
        if format != FORMAT_VERSION {
            return Err(KrlError::FormatVersion { got: format });
        }
        let version = reader.u64()?;
        let generated = reader.u64()?;
        reader.u64()?; // flags: none is defined
        reader.string()?; // reserved
        let comment = String::from_utf8_lossy(c_string(reader.string()?)?).into_owned();
        let mut krl = Self::new(version, Duration::from_secs(generated));
        krl.comment = comment;
        let mut is_signed = false;
        while !reader.is_empty() {
            let kind = reader.byte()?;
            let body = reader.nested()?;
            if kind == section::SIGNATURE {
                // Two strings, of which the second stands behind the section.
                reader.string()?;
                is_signed = true;
            } else if is_signed {
                return Err(KrlError::Malformed);
            } else {
                krl.read_section(kind, body)?;
            }
        }
        Ok(krl)
    }

    fn read_section(&mut self, kind: u8, mut body: Reader<'_>) -> Result<(), KrlError> {
        match kind {
            section::CERTIFICATES => {
                let authority = match body.string()? {
                    [] => [].into(),
                    blob => authority_blob(blob)?,
                };
                body.string()?; // reserved
                self.change(authority, |revoked, room| {
                    while !body.is_empty() {
                        let kind = body.byte()?;
                        revoked.read_section(kind, body.nested()?, room)?;
                    }
                    Ok(())
                })?;
            }
            section::EXPLICIT_KEY => {
                while !body.is_empty() {
                    self.keys.insert(body.string()?.to_vec());
                }
            }
            section::FINGERPRINT_SHA1 => {
                while !body.is_empty() {
                    self.sha1.insert(hash(body.string()?)?);
                }
            }
            section::FINGERPRINT_SHA256 => {
                while !body.is_empty() {
                    self.sha256.insert(hash(body.string()?)?);
                }
            }
            section::EXTENSION => self.extensions.push(read_extension(body)?),
            got => return Err(KrlError::Section { got }),
        }
        Ok(())
    }
}

impl RevokedCertificates {
    fn read_section(
        &mut self,
        kind: u8,
        mut body: Reader<'_>,
        room: usize,
    ) -> Result<(), KrlError> {
        match kind {
            certificate_section::SERIAL_LIST => {
                while !body.is_empty() {
                    let serial = body.u64()?;
                    self.serials.insert(serial, serial, room)?;
                }
            }
            certificate_section::SERIAL_RANGE => {
                let (first, last) = (body.u64()?, body.u64()?);
                body.finish()?;
                self.serials.insert(first, last, room)?;
            }
            certificate_section::SERIAL_BITMAP => {
                let offset = body.u64()?;
                let bitmap = body.string()?;
                body.finish()?;
                self.read_bitmap(offset, bitmap, room)?;
            }
            certificate_section::KEY_ID => {
                while !body.is_empty() {
                    self.key_ids.insert(c_string(body.string()?)?.to_vec());
                }
            }
            certificate_section::EXTENSION => self.extensions.push(read_extension(body)?),
            got => return Err(KrlError::Section { got }),
        }
        Ok(())
    }

    /// A positive `mpint`, whose bit N stands for the serial number `offset + N`.
    fn read_bitmap(&mut self, offset: u64, mpint: &[u8], room: usize) -> Result<(), KrlError> {
        if mpint.first().is_some_and(|byte| *byte >= 0x80) {
            return Err(KrlError::Malformed);
        }
        let bytes = mpint.strip_prefix(&[0]).unwrap_or(mpint);
        if bytes.len() > MAX_BITMAP_BYTES {
            return Err(KrlError::Bitmap {
                limit: MAX_BITMAP_BYTES,
                got: bytes.len(),
            });
        }
        let at = |bit: u64| offset.checked_add(bit).ok_or(KrlError::Serials);
        let bits = bytes.iter().rev();
        let bits = bits.flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
        // Whole runs, so that a full bitmap is one range and not thousands.
        let mut run = None;
        for (bit, is_set) in (0u64..).zip(bits.chain([false])) {
            match (run, is_set) {
                (None, true) => run = Some(bit),
                (Some(first), false) => {
                    self.serials.insert(at(first)?, at(bit - 1)?, room)?;
                    run = None;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// One that need not be understood. None is defined yet.
fn read_extension(mut body: Reader<'_>) -> Result<KrlExtension, KrlError> {
    let name = body.string()?.to_vec();
    let is_critical = body.byte()? != 0;
    let contents = body.string()?.to_vec();
    body.finish()?;
    if is_critical {
        return Err(KrlError::CriticalExtension);
    }
    Ok(KrlExtension { name, contents })
}

/// Without NUL, but that OpenSSH lets one stand at the end.
fn c_string(bytes: &[u8]) -> Result<&[u8], KrlError> {
    let text = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    if text.contains(&0) {
        return Err(KrlError::Malformed);
    }
    Ok(text)
}

fn hash<const N: usize>(bytes: &[u8]) -> Result<[u8; N], KrlError> {
    bytes.try_into().map_err(|_| KrlError::Hash {
        expected: N,
        got: bytes.len(),
    })
}

impl From<Malformed> for KrlError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}
