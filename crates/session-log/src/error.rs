//! One error type per operation. No variant carries bytes of a peer, a file or a secret.

use thiserror::Error;

use crate::reader::Fault;

/// A writer could not be made.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CreateError {
    /// A log that nobody can read is refused.
    #[error("a log needs at least one recipient")]
    NoRecipients,
    /// More recipients than a segment holds.
    #[error("a log has at most {limit} recipients, {got} were given")]
    TooManyRecipients {
        /// The limit, [`crate::limits::MAX_STANZAS`].
        limit: usize,
        /// How many were given.
        got: usize,
    },
    /// A field of the policy is outside its range.
    #[error("writer policy: {0}")]
    Policy(&'static str),
    /// A recipient's public key could not be used.
    #[error("a recipient's public key cannot be used")]
    Recipient,
    /// A recipient's key is of a mechanism that the suite has not.
    #[error("suite 0x{suite:04x} takes no recipient with a `{kem}` key")]
    RecipientKem {
        /// The suite.
        suite: u16,
        /// The mechanism.
        kem: &'static str,
    },
    /// [`crate::Profile::Fips`] takes suites of FIPS-approved algorithms only.
    #[error("the FIPS profile takes the suites 0x0101 and 0x0102, not 0x{suite:04x}")]
    ProfileSuite {
        /// The suite.
        suite: u16,
    },
    /// [`crate::Profile::Fips`] takes no identity key of this algorithm.
    #[error("the FIPS profile takes an ECDSA key to sign with, not `{algorithm}`")]
    ProfileIdentity {
        /// The algorithm's name in SSH.
        algorithm: &'static str,
    },
    /// The signature that was asked for is not one.
    #[error("the opening signature: {0}")]
    Signature(#[source] SignError),
    /// The log that was to be recovered does not merely end early. [`crate::OnDamage::CutOff`] keeps what stands before.
    #[error("the log is damaged at byte {offset}: {fault}")]
    Damaged {
        /// Where, byte offset.
        offset: u64,
        /// What.
        fault: Fault,
    },
    /// The log that was to be recovered has its end.
    #[error("the log has its end; there is nothing to recover")]
    Ended,
    /// What was found of the broken log is not enough to stand on, or does not end where a new segment may follow.
    #[error("the log has no whole signed beginning")]
    NothingFound,
    /// The cryptographic library refused to work.
    #[error("the cryptographic library failed")]
    Crypto,
}

/// A record, a flush or an end could not be written.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// The log was finished, aborted, or an earlier call failed. Nothing can follow.
    #[error("the log is closed")]
    Closed,
    /// The record does not fit in one frame and is of a kind that cannot be split. The log goes on.
    #[error("the record has {got} bytes, the limit is {limit}")]
    RecordTooLarge {
        /// The limit, [`crate::limits::MAX_RECORD_BYTES`].
        limit: usize,
        /// The size of the encoded record, bytes.
        got: usize,
    },
    /// A text field is longer than a reader accepts. The log goes on.
    #[error("a text field has {got} bytes, the limit is {limit}")]
    TextTooLong {
        /// The limit, [`crate::limits::MAX_TEXT_BYTES`].
        limit: usize,
        /// Its length, bytes.
        got: usize,
    },
    /// A list field has more entries than a reader accepts. The log goes on.
    #[error("a list has {got} entries, the limit is {limit}")]
    ListTooLong {
        /// The limit, [`crate::limits::MAX_LIST_ENTRIES`].
        limit: usize,
        /// How many it has.
        got: usize,
    },
    /// [`crate::Record::Other`] holds a kind that has a variant of its own, or a body that is not one deterministic CBOR item.
    /// The log goes on.
    #[error("the record's body is not one deterministic CBOR item of an open kind")]
    MalformedBody,
    /// The recipients of a new segment do not suit the log. The log goes on for those so far.
    #[error("the recipients cannot be changed")]
    Recipients(#[source] CreateError),
    /// A new segment could not be opened. The log is closed.
    #[error("the next segment could not be opened")]
    Rotation(#[source] CreateError),
    /// The cryptographic library refused to work. The log is closed.
    #[error("the cryptographic library failed")]
    Crypto,
}

/// A signature that was asked for cannot be used.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignError {
    /// Not the signature blob of an agent, or of another algorithm.
    #[error("not a signature of a known algorithm")]
    Malformed,
    /// Not by the key that was asked, or over other data.
    #[error("it is not the asked key's signature over the data")]
    Wrong,
}

/// A key file could not be read.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyFileError {
    /// Longer than any key file.
    #[error("the key file has {got} bytes, the limit is {limit}")]
    TooLarge {
        /// The limit, [`crate::limits::MAX_KEY_FILE_BYTES`].
        limit: usize,
        /// Its length, bytes.
        got: usize,
    },
    /// No line that begins a key of the wanted sort.
    #[error("no `{expected}` block in the file")]
    NoBlock {
        /// The label that was looked for.
        expected: &'static str,
    },
    /// A private key where a public one belongs.
    #[error("this is a private key file; give the public file that ends in `.pub`")]
    PrivateNotPublic,
    /// A public key where a private one belongs.
    #[error("this is a public key file; give the private file, without `.pub`")]
    PublicNotPrivate,
    /// The block is cut, has another shape, or its checksum differs.
    #[error("the key block is damaged")]
    Damaged,
    /// A key file of a later version.
    #[error("key file version {got} is not known")]
    UnknownVersion {
        /// The version that was found.
        got: u8,
    },
    /// A KEM that this version has not.
    #[error("key encapsulation 0x{got:04x} is not known")]
    UnknownKem {
        /// The KEM's code point.
        got: u16,
    },
    /// Not an OpenSSH private key.
    #[error("not an OpenSSH private key")]
    NotOpenSsh,
    /// The OpenSSH private key has a passphrase.
    #[error("the OpenSSH private key has a passphrase; decrypt it first")]
    Encrypted,
    /// The OpenSSH private key is of an algorithm that signs no logs.
    #[error("the signing key is neither Ed25519 nor ECDSA P-256 or P-384")]
    WrongAlgorithm,
}

/// An `allowed_signers` file could not be read.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignersError {
    /// Longer than [`crate::limits::MAX_SIGNERS_FILE_BYTES`].
    #[error("the signers file has {got} bytes, the limit is {limit}")]
    TooLarge {
        /// The limit.
        limit: usize,
        /// Its length, bytes.
        got: usize,
    },
    /// No signer in the whole file.
    #[error("the signers file names nobody; a line is `name ssh-ed25519 AAAA…`")]
    Empty,
    /// A line without principals, key type and key.
    #[error("signers line {line}: expected `name ssh-ed25519 AAAA…`")]
    Line {
        /// The line, from 1.
        line: usize,
    },
    /// An option that is not supported.
    #[error("signers line {line}: the option `{option}` is not supported")]
    Option {
        /// The line, from 1.
        line: usize,
        /// The option's name.
        option: &'static str,
    },
    /// An option that nobody knows.
    #[error("signers line {line}: unknown option")]
    UnknownOption {
        /// The line, from 1.
        line: usize,
    },
    /// A key of another algorithm: such a line could never match, so it is an error rather than ignored.
    #[error("signers line {line}: only Ed25519, ECDSA P-256 and P-384 keys sign logs")]
    KeyType {
        /// The line, from 1.
        line: usize,
    },
    /// The key is not base64 or not an Ed25519 key.
    #[error("signers line {line}: the key is damaged")]
    Key {
        /// The line, from 1.
        line: usize,
    },
}

/// Further recipients could not be granted, or a sidecar not be read.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum GrantError {
    /// Not the header of a segment.
    #[error("not the header of a segment")]
    Header,
    /// The header is of another log than those before.
    #[error("the segments are of different logs")]
    OtherLog,
    /// The recipients do not suit the log.
    #[error(transparent)]
    Recipients(CreateError),
    /// None of the identities opens the segment.
    #[error("the log was made for none of these keys")]
    NoMatchingIdentity,
    /// Longer than any sidecar.
    #[error("the sidecar has {got} bytes, the limit is {limit}")]
    TooLarge {
        /// The limit, [`crate::limits::MAX_SIDECAR_BYTES`].
        limit: usize,
        /// Its length, bytes.
        got: usize,
    },
    /// Not a sidecar of this version.
    #[error("not a file of further recipients")]
    NoSidecar,
    /// The sidecar is malformed.
    #[error("the file of further recipients is malformed")]
    Malformed,
    /// Its signature does not fit.
    #[error("the signature over the further recipients is wrong")]
    Signature,
}

/// A time in a log could not be found.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SeekError {
    /// The log does not end with a trailer.
    #[error("the log has no index; read it from its beginning")]
    NoIndex,
    /// None of the identities is a recipient.
    #[error("the log was made for none of these keys")]
    NoMatchingIdentity,
    /// What a trailer or an index leads to is not there.
    #[error("the index leads elsewhere; read the log from its beginning")]
    Misled,
}

/// A frame could not be proven.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProveError {
    /// There is no such frame, or no signature covers it.
    #[error("no signature of the log covers such a frame")]
    NotCovered,
    /// It is not encrypted, or none of the identities opens it.
    #[error("the frame was not opened by any of these keys")]
    NotOpened,
}

/// A proof does not hold.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProofError {
    /// Longer than any proof.
    #[error("the proof has {got} bytes, the limit is {limit}")]
    TooLarge {
        /// The limit, [`crate::limits::MAX_PROOF_BYTES`].
        limit: usize,
        /// Its length, bytes.
        got: usize,
    },
    /// Not a proof of this version.
    #[error("not a proof")]
    Malformed,
    /// The signatures do not follow each other.
    #[error("the chain of signatures is broken")]
    Chain,
    /// A signature does not fit.
    #[error("a signature is wrong")]
    Signature,
    /// Nobody said to trust who signed.
    #[error("the signer is not trusted")]
    UntrustedSigner,
    /// The frame does not stand where the proof says.
    #[error("the signature does not cover the frame")]
    NotIncluded,
    /// The key does not open the frame.
    #[error("the key does not open the frame")]
    Key,
    /// What is in the frame is malformed.
    #[error("the frame content is malformed")]
    Content,
}

/// A log of `ssh-log-cli` could not be read or written.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloudflareError {
    /// Not an X25519 key.
    #[error("the key is not an X25519 key")]
    Key,
    /// A length beyond its limit.
    #[error("a part has {got} bytes, the limit is {limit}")]
    TooLarge {
        /// The limit.
        limit: usize,
        /// The length.
        got: usize,
    },
    /// The metadata is malformed.
    #[error("the metadata is malformed")]
    Metadata,
    /// A block was changed, moved, or made for another key.
    #[error("a block is not authentic, or was made for another key")]
    NotAuthentic,
    /// A packet is malformed.
    #[error("a packet is malformed")]
    Packet,
    /// The bytes end inside something.
    #[error("the log ends inside a part")]
    Truncated,
}

/// A record inside an authentic frame has not the shape of its kind.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the record is malformed")]
#[non_exhaustive]
pub struct RecordError;
