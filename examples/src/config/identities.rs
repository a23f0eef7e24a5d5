//! `[[identity]]`: who may come, and by which token they are known.

use proxy_core::SecurityKey;

use super::Who;
use super::parts::text_or_empty;
use super::reader::{Reader, Table, quoted};
use crate::token::TokenHash;

/// An identity, with the hashes of its tokens.
pub(super) struct KnownIdentity {
    pub(super) who: Who,
    pub(super) tokens: Vec<TokenHash>,
}

pub(super) fn identities<'d>(reader: &mut Reader<'d>, document: &Table<'d>) -> Vec<KnownIdentity> {
    let known = [
        "name",
        "kind",
        "email",
        "groups",
        "amr",
        "login_method",
        "posture",
        "device",
        "managed_device",
        "country",
        "security_keys",
        "token_sha256",
    ];
    let mut identities: Vec<KnownIdentity> = Vec::new();
    let tables = reader.tables(document, "identity", &known);
    if tables.is_empty() {
        let help = "write at least one `[[identity]]` with `name` and `email`";
        reader.lacks(document, "[[identity]]", help);
    }
    for table in tables {
        let name = reader.needed_text(&table, "name", "write a name that no other identity has");
        if let Some((field, name)) = &name
            && identities.iter().any(|other| other.who.name == *name)
        {
            let what = format!("two identities are called {}", quoted(name));
            reader.problem(field, what, "write a name that no other identity has");
        }
        let tokens = tokens(reader, &table, &identities);
        let name = text_or_empty(name);
        let identity = identity(reader, &table, &name);
        let posture = reader.texts(&table, "posture");
        let security_keys = security_keys(reader, &table);
        let device = reader.optional_text(&table, "device");
        identities.push(KnownIdentity {
            who: Who {
                identity,
                device: device.map(|(_, text)| text.to_owned()),
                managed_device: reader.boolean(&table, "managed_device").unwrap_or(false),
                posture: posture
                    .into_iter()
                    .map(|(_, text)| text.to_owned())
                    .collect(),
                security_keys,
                name,
            },
            tokens,
        });
    }
    identities
}

fn identity<'d>(reader: &mut Reader<'d>, table: &Table<'d>, name: &str) -> policy::Identity {
    let kind = match reader.optional_text(table, "kind") {
        None | Some((_, "person")) => policy::IdentityKind::Person,
        Some((_, "service")) => policy::IdentityKind::ServiceToken {
            name: name.to_owned(),
        },
        Some((field, other)) => {
            let what = format!("unknown kind {}", quoted(other));
            reader.problem(&field, what, "write `\"person\"` or `\"service\"`");
            policy::IdentityKind::Person
        }
    };
    let email = reader.optional_text(table, "email");
    if let Some((field, text)) = &email
        && !is_email(text)
    {
        let what = format!("{} is no e-mail address", quoted(text));
        reader.problem(field, what, "write `name@example.com`");
    }
    let mut groups = Vec::new();
    for (field, text) in reader.texts(table, "groups") {
        match text.split_once(':') {
            Some((provider, name)) if !provider.is_empty() && !name.is_empty() => {
                groups.push(policy::Group {
                    provider: provider.to_owned(),
                    name: name.to_owned(),
                });
            }
            _ => reader.problem(
                &field,
                format!("{} does not say whose group it is", quoted(text)),
                "write `\"provider:group\"`, for example `\"okta:ops\"`",
            ),
        }
    }
    let country = reader.optional_text(table, "country");
    if let Some((field, text)) = &country
        && !(text.len() == 2 && text.bytes().all(|c| c.is_ascii_uppercase()))
    {
        let what = format!("{} is no country code", quoted(text));
        reader.problem(
            field,
            what,
            "write two capital letters, for example `\"PT\"`",
        );
    }
    policy::Identity {
        email: email.map(|(_, text)| text.to_owned()),
        subject: name.to_owned(),
        issuer: "configuration".to_owned(),
        kind,
        groups,
        authentication_methods: reader
            .texts(table, "amr")
            .into_iter()
            .map(|(_, text)| text.to_owned())
            .collect(),
        login_method: reader
            .optional_text(table, "login_method")
            .map(|(_, text)| text.to_owned()),
        authenticated_at: None,
        country: country.map(|(_, text)| text.to_owned()),
    }
}

fn tokens<'d>(
    reader: &mut Reader<'d>,
    table: &Table<'d>,
    others: &[KnownIdentity],
) -> Vec<TokenHash> {
    let mut tokens: Vec<TokenHash> = Vec::new();
    for (field, text) in reader.texts(table, "token_sha256") {
        let Some(hash) = TokenHash::from_hex(text) else {
            reader.problem(
                &field,
                "not the SHA-256 of a token",
                "write the 64 hexadecimal digits that `audit_proxy token` shows",
            );
            continue;
        };
        if tokens.contains(&hash) || others.iter().any(|other| other.tokens.contains(&hash)) {
            reader.problem(
                &field,
                "the same token twice",
                "make one token for each with `audit_proxy token`",
            );
        }
        tokens.push(hash);
    }
    tokens
}

fn security_keys<'d>(reader: &mut Reader<'d>, table: &Table<'d>) -> Vec<SecurityKey> {
    let mut keys: Vec<SecurityKey> = Vec::new();
    for (field, text) in reader.texts(table, "security_keys") {
        match SecurityKey::from_line(text) {
            Ok(key)
                if keys
                    .iter()
                    .any(|other| other.fingerprint() == key.fingerprint()) =>
            {
                let help = "write each key once, with `verify-required` or without";
                reader.problem(&field, "the same security key twice", help);
            }
            Ok(key) => keys.push(key),
            Err(error) => {
                let what = format!("{} is {error}", quoted(text));
                let help = "write the line of a `.pub` file that `ssh-keygen -t ed25519-sk` made, with `verify-required` before it if the key must verify its user";
                reader.problem(&field, what, help);
            }
        }
    }
    keys
}

/// A first look, so that a slip is found at load; the policy has the last word.
fn is_email(text: &str) -> bool {
    text.is_ascii()
        && text.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && domain.contains('.') && !domain.contains('@')
        })
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}
