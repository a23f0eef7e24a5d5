#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;

mod ca;
mod certificate;
mod check;
mod error;
mod host;
mod key_id;
mod krl;
mod options;
mod parse;
mod prepared;
mod principals;
mod profile;
mod public;
mod server;
mod user;
mod validity;
mod wire;

pub use ca::CaKey;
pub use certificate::Certificate;
pub use check::{
    CheckContext, Checked, EnforcedOption, check_host_certificate, check_user_certificate,
};
pub use error::{
    CaKeyError, KeyIdError, KrlError, LoginRefusal, MintError, OptionError, ParseError,
    PrincipalsError, PrincipalsFileError, Refusal, SetupError, SignError, ValidityError,
};
pub use host::HostCertificate;
pub use key_id::{KeyId, KeyIdParts, MAX_KEY_ID_BYTES};
pub use krl::{
    Issuer, KeyHash, Krl, KrlExtension, MAX_KRL_BYTES, MAX_SERIAL_RANGES, Revocation,
    RevokedCertificates,
};
pub use options::{
    CustomOption, Extension, MAX_FORCE_COMMAND_BYTES, MAX_OPTION_NAME_BYTES,
    MAX_OPTION_VALUE_BYTES, MAX_SOURCE_ADDRESSES,
};
pub use parse::{CertificateKind, MAX_CERTIFICATE_BYTES, Unverified};
pub use prepared::Prepared;
pub use principals::{MAX_PRINCIPAL_BYTES, MAX_PRINCIPALS, Principals};
pub use profile::Profile;
pub use public::{CaPublicKey, MAX_RSA_BITS, MIN_RSA_BITS};
pub use server::{
    Admission, AuthorizedPrincipals, LineOptions, Login, LoginRule, MAX_SERVER_FILE_BYTES,
    PrincipalsLine, PrincipalsSetting, SshdSetup, check_login, parse_trusted_user_ca_keys,
    trusted_user_ca_keys,
};
pub use user::UserCertificate;
pub use validity::{
    DEFAULT_BACKDATE, DEFAULT_TTL, HostValidity, MAX_BACKDATE, MAX_HOST_TTL, MAX_TTL, Validity,
};
