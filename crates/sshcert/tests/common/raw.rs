//! Certificates that nobody should have made, field by field.

#![allow(dead_code, reason = "each test file uses its part")]

use ed25519_dalek::Signer as _;
use sshcert::{CheckContext, Checked, EnforcedOption, Refusal, check_user_certificate};

use crate::common::{ED25519, NOW, ca, key, put, subject};

/// A certificate written field by field, so that every field can be wrong, and signed by whoever asks.
pub(crate) struct Raw {
    pub(crate) name: Vec<u8>,
    pub(crate) key: Vec<u8>,
    pub(crate) kind: u32,
    pub(crate) key_id: Vec<u8>,
    pub(crate) principals: Vec<Vec<u8>>,
    pub(crate) after: u64,
    pub(crate) before: u64,
    pub(crate) critical: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) extensions: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) reserved: Vec<u8>,
    pub(crate) authority: Option<Vec<u8>>,
    pub(crate) signature_name: Vec<u8>,
    pub(crate) tail: Vec<u8>,
}

impl Default for Raw {
    fn default() -> Self {
        let mut key = Vec::new();
        put(&mut key, &subject().key_data().ed25519().unwrap().0);
        Self {
            name: b"ssh-ed25519-cert-v01@openssh.com".to_vec(),
            key,
            kind: 1,
            key_id: b"id".to_vec(),
            principals: vec![b"deploy".to_vec()],
            after: NOW.as_secs() - 60,
            before: NOW.as_secs() + 60,
            critical: Vec::new(),
            extensions: Vec::new(),
            reserved: Vec::new(),
            authority: None,
            signature_name: b"ssh-ed25519".to_vec(),
            tail: Vec::new(),
        }
    }
}

impl Raw {
    pub(crate) fn sign(&self) -> Vec<u8> {
        let tuples = |options: &[(Vec<u8>, Vec<u8>)]| {
            let mut out = Vec::new();
            for (name, data) in options {
                put(&mut out, name);
                put(&mut out, data);
            }
            out
        };
        let mut names = Vec::new();
        for name in &self.principals {
            put(&mut names, name);
        }
        let mut out = Vec::new();
        put(&mut out, &self.name);
        put(&mut out, &[1; 32]);
        out.extend(&self.key);
        out.extend(3u64.to_be_bytes());
        out.extend(self.kind.to_be_bytes());
        put(&mut out, &self.key_id);
        put(&mut out, &names);
        out.extend(self.after.to_be_bytes());
        out.extend(self.before.to_be_bytes());
        put(&mut out, &tuples(&self.critical));
        put(&mut out, &tuples(&self.extensions));
        put(&mut out, &self.reserved);
        put(
            &mut out,
            self.authority.as_deref().unwrap_or(ca(1).public().blob()),
        );
        let private = key(1, ED25519);
        let private = private.key_data().ed25519().unwrap().private.clone();
        let signature = ed25519_dalek::SigningKey::from(&private).sign(&out);
        let mut blob = Vec::new();
        put(&mut blob, &self.signature_name);
        put(&mut blob, &signature.to_bytes());
        blob.extend(&self.tail);
        put(&mut out, &blob);
        out
    }

    pub(crate) fn check(&self) -> Result<Checked, Refusal> {
        check(&self.sign())
    }
}

pub(crate) const LOCAL: [u8; 4] = [10, 1, 2, 3];

pub(crate) fn check(blob: &[u8]) -> Result<Checked, Refusal> {
    let context = CheckContext::new("deploy", NOW)
        .address(LOCAL.into())
        .enforcing(&[EnforcedOption::ForceCommand, EnforcedOption::VerifyRequired]);
    check_user_certificate(
        blob,
        &[ca(2).public().clone(), ca(1).public().clone()],
        &context,
    )
}

pub(crate) fn option(name: &str, value: Option<&str>) -> (Vec<u8>, Vec<u8>) {
    let mut data = Vec::new();
    if let Some(value) = value {
        put(&mut data, value.as_bytes());
    }
    (name.into(), data)
}

pub(crate) fn critical(name: &str, value: Option<&str>) -> Raw {
    Raw {
        critical: vec![option(name, value)],
        ..Raw::default()
    }
}
