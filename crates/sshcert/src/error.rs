/// Why names cannot be principals of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrincipalsError {
    /// No name at all, which OpenSSH reads as "any name" in places.
    #[error("no principal was given")]
    None,
    /// More names than OpenSSH reads.
    #[error("more than {limit} principals")]
    TooMany {
        /// The most names allowed.
        limit: usize,
    },
    /// An empty name.
    #[error("principal is empty")]
    Empty,
    /// A name that is too long.
    #[error("principal of {got} bytes is over the limit of {limit}")]
    TooLong {
        /// The most bytes allowed.
        limit: usize,
        /// The bytes of the name.
        got: usize,
    },
    /// A character that some reader of certificates or logs gives a meaning: only visible ASCII but `, * ? ! "` is allowed.
    #[error("principal has a character at byte {at} that is not allowed")]
    Character {
        /// Where in the name, in bytes from 0.
        at: usize,
    },
    /// The same name twice.
    #[error("principal was given twice")]
    Duplicate,
}

/// Why a span of time cannot be the validity of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValidityError {
    /// Less than one second.
    #[error("certificate would be valid for less than a second")]
    TooShort,
    /// Longer than allowed.
    #[error("certificate would be valid for {got_secs} seconds: at most {limit_secs} are allowed")]
    TooLong {
        /// The most seconds allowed.
        limit_secs: u64,
        /// The seconds asked for.
        got_secs: u64,
    },
    /// Backdated by more than clocks differ.
    #[error(
        "certificate would be backdated by {got_secs} seconds: at most {limit_secs} are allowed"
    )]
    BackdatedTooFar {
        /// The most seconds allowed.
        limit_secs: u64,
        /// The seconds asked for.
        got_secs: u64,
    },
    /// The end is not after the start, or not a time that can be written.
    #[error("certificate would not end after it starts")]
    Reversed,
}

/// Why a text cannot be a key id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyIdError {
    /// A part of it is empty.
    #[error("part of the key id is empty")]
    Empty,
    /// Too long for a line of sshd's log.
    #[error("key id of {got} bytes is over the limit of {limit}")]
    TooLong {
        /// The most bytes allowed.
        limit: usize,
        /// The bytes it would have.
        got: usize,
    },
    /// A character other than visible ASCII.
    #[error("key id has a character at byte {at} that is not visible ASCII")]
    Character {
        /// Where in the text, in bytes from 0.
        at: usize,
    },
}

/// Why a critical option or extension cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionError {
    /// A custom name that is not `name@domain` in visible ASCII.
    #[error("custom option name is not of the form `name@domain`")]
    Name,
    /// A value over its limit.
    #[error("option value of {got} bytes is over the limit of {limit}")]
    TooLong {
        /// The most bytes allowed.
        limit: usize,
        /// The bytes that came.
        got: usize,
    },
    /// A value that is empty where that means something else to OpenSSH.
    #[error("option value is empty")]
    Empty,
    /// A NUL or another control character in a value.
    #[error("option value has a control character at byte {at}")]
    Character {
        /// Where in the value, in bytes from 0.
        at: usize,
    },
    /// More source addresses than allowed.
    #[error("more than {limit} source addresses")]
    TooMany {
        /// The most ranges allowed.
        limit: usize,
    },
    /// The same option was set twice.
    #[error("option was set twice")]
    Duplicate,
}

/// Why no certificate was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MintError {
    /// The principals are not usable.
    #[error(transparent)]
    Principals(#[from] PrincipalsError),
    /// The validity is not usable.
    #[error(transparent)]
    Validity(#[from] ValidityError),
    /// The key id is not usable.
    #[error(transparent)]
    KeyId(#[from] KeyIdError),
    /// An option or extension is not usable.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// The key to certify is of an algorithm, or an RSA size, that is not certified here; or is itself a certificate.
    #[error("subject key cannot be certified")]
    Subject,
    /// The authority or the certified key is of an algorithm outside the [`Profile`](crate::Profile) that was asked for.
    #[error("authority or subject key is outside the profile that was asked for")]
    Profile,
    /// The certificate would be longer than what is read back.
    #[error("certificate of {got} bytes is over the limit of {limit}")]
    TooLong {
        /// The most bytes allowed.
        limit: usize,
        /// The bytes it would have.
        got: usize,
    },
    /// The signature is not the authority's over exactly these bytes, in the algorithm that was asked for.
    #[error("signature is not the authority's over this certificate")]
    Signature,
}

/// Why a key cannot be used as an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CaKeyError {
    /// Not an OpenSSH key of the expected kind.
    #[error("not an OpenSSH key file")]
    Malformed,
    /// The private key is protected by a passphrase.
    #[error("authority key is protected by a passphrase: use one without, or an agent")]
    Encrypted,
    /// A certificate cannot certify.
    #[error("authority key is itself a certificate")]
    Certificate,
    /// An algorithm that authorities do not use here.
    #[error("authority key is neither Ed25519, ECDSA nor RSA")]
    Algorithm,
    /// An RSA key outside the sizes allowed.
    #[error("RSA authority key of {got} bits: {min} to {max} are needed")]
    RsaBits {
        /// The fewest bits allowed.
        min: u32,
        /// The most bits allowed.
        max: u32,
        /// The bits of this key.
        got: u32,
    },
    /// The private half does not belong to the public half.
    #[error("authority key's private half does not match its public half")]
    Inconsistent,
}

/// Why an authority did not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The certificate names another authority, or another signature algorithm.
    #[error("certificate was prepared for another authority")]
    OtherAuthority,
    /// The key failed to sign.
    #[error("authority key failed to sign")]
    Failed,
}

/// Why bytes are not a certificate of the form that PROTOCOL.certkeys gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Longer than any certificate that is read here.
    #[error("certificate of {got} bytes is over the limit of {limit}")]
    TooLong {
        /// The most bytes read.
        limit: usize,
        /// The bytes that came.
        got: usize,
    },
    /// A field is missing, runs past the end, is not text without NUL where text is due, or is followed by more bytes.
    #[error("certificate is malformed")]
    Malformed,
    /// Not a certificate, or of a key algorithm that is not known.
    #[error("not a certificate of a known algorithm")]
    Algorithm,
    /// Neither a user nor a host certificate.
    #[error("certificate is neither for users nor for hosts")]
    Kind,
    /// More principals than OpenSSH reads.
    #[error("certificate has more than {limit} principals")]
    TooManyPrincipals {
        /// The most names read.
        limit: usize,
    },
    /// Options or extensions are not in order of their names, or one appears twice.
    #[error("certificate options are out of order or repeated")]
    OptionOrder,
}

/// Why a presented certificate was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It cannot be read.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// A host certificate where one for users is due, or the other way round.
    #[error("certificate is of the wrong kind")]
    WrongKind,
    /// The certified key is of an algorithm or size that is not accepted.
    #[error("certified key is not acceptable")]
    Subject,
    /// The authority that it names is not trusted; an authority that is itself a certificate never is.
    #[error("certificate is not from a trusted authority")]
    UntrustedAuthority,
    /// The signature does not hold, or is in an algorithm that is not accepted (such as `ssh-rsa` with SHA-1).
    #[error("certificate signature does not hold")]
    Signature,
    /// The authority or the certified key is of an algorithm outside the [`Profile`](crate::Profile) that was asked for.
    #[error("certificate has an algorithm outside the profile that was asked for")]
    Profile,
    /// Not valid yet.
    #[error("certificate is valid from {valid_after}, and it is {now} (unix seconds)")]
    NotYetValid {
        /// When its validity starts, in unix seconds.
        valid_after: u64,
        /// The time of the check, in unix seconds.
        now: u64,
    },
    /// A revocation list says so.
    #[error("certificate is revoked by its {0}")]
    Revoked(crate::Revocation),
    /// Whether a revocation list revokes it cannot be told.
    #[error("whether the certificate is revoked cannot be told: {0}")]
    Revocation(KrlError),
    /// No longer valid.
    #[error("certificate expired at {valid_before}, and it is {now} (unix seconds)")]
    Expired {
        /// The first second at which it is not valid any more.
        valid_before: u64,
        /// The time of the check, in unix seconds.
        now: u64,
    },
    /// It names nobody, which must not mean everybody.
    #[error("certificate has no principals")]
    NoPrincipals,
    /// It is for others.
    #[error("name is not a principal of the certificate")]
    PrincipalNotListed,
    /// The server lets nobody in by its principals, or not in this way.
    #[error(transparent)]
    Login(#[from] LoginRefusal),
    /// A critical option that is not known, or that the caller did not say it enforces.
    #[error("certificate has a critical option that is not understood here")]
    CriticalOption,
    /// A critical option or extension whose value cannot be read.
    #[error("certificate has an option that cannot be read")]
    OptionValue,
    /// Presented from an address outside its `source-address`, or from an unknown one.
    #[error("certificate is not valid from this address")]
    SourceAddress,
    /// It requires user verification, which the certified key cannot give.
    #[error("certificate requires user verification that its key cannot give")]
    VerifyRequired,
}

/// Why a key revocation list cannot be read or extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KrlError {
    /// It does not start as lists in the binary format do. It may be a text of keys, one a line.
    #[error("not a key revocation list")]
    NotAList,
    /// Longer than any list that is read here.
    #[error("key revocation list of {got} bytes is over the limit of {limit}")]
    TooLong {
        /// The most bytes read.
        limit: usize,
        /// The bytes that came.
        got: usize,
    },
    /// Of another version of the format.
    #[error("key revocation list is of format {got}, and only 1 is known")]
    FormatVersion {
        /// The version it names.
        got: u32,
    },
    /// A field is missing, runs past the end, or is followed by more bytes.
    #[error("key revocation list is malformed")]
    Malformed,
    /// A section of a type that is not known, and might revoke something.
    #[error("key revocation list has a section of unknown type {got}")]
    Section {
        /// The type.
        got: u8,
    },
    /// An extension that must be understood, and is not.
    #[error("key revocation list has a critical extension that is not understood here")]
    CriticalExtension,
    /// The authority of a section on certificates is no key of a known algorithm.
    #[error("key revocation list names an authority that is no key")]
    Authority,
    /// A hash of the wrong length.
    #[error("key revocation list has a hash of {got} bytes where {expected} are due")]
    Hash {
        /// The bytes of this kind of hash.
        expected: usize,
        /// The bytes that came.
        got: usize,
    },
    /// A bitmap longer than OpenSSH reads.
    #[error("key revocation list has a bitmap of {got} bytes: at most {limit} are read")]
    Bitmap {
        /// The most bytes read.
        limit: usize,
        /// The bytes that came.
        got: usize,
    },
    /// A range of serial numbers that is empty, has 0 in it or goes past the last number.
    #[error("serial numbers run from 1 up, first to last")]
    Serials,
    /// More separate ranges of serial numbers than are kept, of all authorities together.
    #[error("more than {limit} separate ranges of serial numbers")]
    TooManySerials {
        /// The most ranges kept.
        limit: usize,
    },
    /// A key id that cannot stand in a list.
    #[error("key id has a NUL in it")]
    KeyId,
    /// A key that cannot be written.
    #[error("key has no blob by which it could be revoked")]
    Key,
    /// Neither a key nor a certificate, or of an algorithm that is not known.
    #[error(
        "neither a key nor a certificate of a known algorithm: whether it is revoked cannot be told"
    )]
    Unreadable,
    /// Not `SHA256:…`.
    #[error("fingerprint is not of the form `SHA256:…`")]
    Fingerprint,
    /// A line of a key list that is no public key.
    #[error("line {line} is no public key")]
    KeyLine {
        /// Which one, from 1.
        line: usize,
    },
}

/// Why a server does not let principals log in as a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoginRefusal {
    /// Without a list of principals, only one that is the user's name lets in.
    #[error("user name is not one of the principals, and the server has no other list of them")]
    NotTheUserName,
    /// Neither the file nor the command lists one of them for this user.
    #[error("server lists none of the principals for this user")]
    NotListed,
    /// The line that lists one is only for connections from elsewhere, or it is not known from where this one comes.
    #[error("line {line} of the server's principals is not for this address")]
    Address {
        /// Its number, from 1.
        line: usize,
    },
    /// The line that lists one has expired.
    #[error("line {line} of the server's principals has expired")]
    Expired {
        /// Its number, from 1.
        line: usize,
    },
    /// The line that lists one has an option that belongs to an authority's key.
    #[error(
        "line {line} of the server's principals has an option for authorities, which refuses everybody"
    )]
    ForAuthority {
        /// Its number, from 1.
        line: usize,
    },
    /// The line that lists one has an option that the caller did not say it enforces.
    #[error(
        "line {line} of the server's principals has an option that is not enforced by who asks"
    )]
    NotEnforced {
        /// Its number, from 1.
        line: usize,
    },
    /// Certificate and line force different commands.
    #[error("certificate and server force different commands")]
    Commands,
}

/// Why a list of principals cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrincipalsFileError {
    /// Longer than any that is read here.
    #[error("list of principals of {got} bytes is over the limit of {limit}")]
    TooLong {
        /// The most bytes read.
        limit: usize,
        /// The bytes that came.
        got: usize,
    },
    /// What another command prints cannot be told.
    #[error(
        "command is not `/bin/echo` with plain words, `%u` and `%%`: what it prints cannot be told"
    )]
    Command,
}

/// Why a server's configuration cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// A path that `sshd_config` would read as something else.
    #[error("path is not absolute, or has blanks, quotes, `%`, `#` or a backslash")]
    Path,
    /// A name that no user has.
    #[error("user name cannot be one: {0}")]
    User(PrincipalsError),
    /// A character in a user's name that paths or `sshd_config` give a meaning.
    #[error("user name has a slash, a quote, `%`, `#`, `=` or a backslash")]
    UserCharacter,
    /// A user who was mapped before: sshd would take one of the two, and nobody would notice which.
    #[error("user was mapped before: name all principals at once")]
    UserTwice,
    /// A character in a principal that the server's files or commands give a meaning.
    #[error("principal has a character that cannot stand in the server's configuration")]
    PrincipalCharacter,
    /// Other principals than the user's name need a file or a command.
    #[error("principals other than the user's own name need files or commands")]
    NotTheUserName,
    /// `/bin/echo` prints one line, so one principal.
    #[error("command can print one principal for a user: use files for more")]
    OnePrincipal,
}
