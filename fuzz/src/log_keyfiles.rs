//! Files that people hand to the log tools: identities, recipients, signers, signing keys.
//!
//! What is read is written back so that it reads the same.

use session_log::{Identity, Recipient, Signers, SigningIdentity};

use crate::input::text;

/// Reads `data` as each kind of file.
pub fn run(data: &[u8]) {
    let text = text(data);
    if let Ok(identity) = Identity::from_text(text) {
        let again = Identity::from_text(&identity.to_text()).expect("an identity reads back");
        assert_eq!(identity.key_id(), again.key_id());
        assert_eq!(identity.recipient(), again.recipient());
    }
    if let Ok(recipient) = Recipient::from_text(text) {
        let again = Recipient::from_text(&recipient.to_text()).expect("a recipient reads back");
        assert_eq!(recipient, again);
    }
    let _ = Signers::from_text(text);
    if let Ok(signer) = SigningIdentity::from_openssh(text) {
        let line = format!("somebody@example {}", signer.public_key_openssh());
        Signers::from_text(&line).expect("its public half is a signer");
    }
}
