use alloc::string::String;

use ssh_key::PublicKey;

use crate::{CaPublicKey, CertificateKind, Extension, Unverified};

/// A certificate that held, for the name, time and place it was checked for.
#[derive(Clone, Debug)]
pub struct Checked {
    certificate: Unverified,
    authority: CaPublicKey,
    force_command: Option<String>,
    verification_required: bool,
}

impl Checked {
    pub(super) fn new(
        certificate: Unverified,
        authority: CaPublicKey,
        force_command: Option<String>,
        verification_required: bool,
    ) -> Self {
        Self {
            certificate,
            authority,
            force_command,
            verification_required,
        }
    }

    /// The certified key: what the holder has to prove to have.
    #[must_use]
    pub fn subject(&self) -> &PublicKey {
        self.certificate.subject()
    }

    /// The authority that signed it.
    #[must_use]
    pub fn authority(&self) -> &CaPublicKey {
        &self.authority
    }

    /// Whether it is for users or hosts.
    #[must_use]
    pub fn kind(&self) -> CertificateKind {
        self.certificate.kind()
    }

    /// Its serial number.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.certificate.serial()
    }

    /// Its key id, as the authority wrote it, line breaks and terminal controls included.
    #[must_use]
    pub fn key_id(&self) -> &str {
        self.certificate.key_id()
    }

    /// All names it is for, the one it was checked for among them.
    #[must_use]
    pub fn principals(&self) -> &[String] {
        self.certificate.principals()
    }

    /// The first second at which it is not valid any more, in unix seconds.
    #[must_use]
    pub fn valid_before(&self) -> u64 {
        self.certificate.valid_before()
    }

    /// The command to run instead of whatever is asked for.
    #[must_use]
    pub fn force_command(&self) -> Option<&str> {
        self.force_command.as_deref()
    }

    /// Whether a signature without user verification must not be accepted.
    #[must_use]
    pub fn is_verification_required(&self) -> bool {
        self.verification_required
    }

    /// Whether it permits something. Always false for a host certificate.
    #[must_use]
    pub fn permits(&self, extension: Extension) -> bool {
        self.kind() == CertificateKind::User && self.extension_data(extension.name()).is_some()
    }

    /// The raw data of an extension of any name, if it is there.
    #[must_use]
    pub fn extension_data(&self, name: &str) -> Option<&[u8]> {
        let mut extensions = self.certificate.extensions().iter();
        extensions
            .find(|(known, _)| known == name)
            .map(|(_, data)| data.as_slice())
    }
}
