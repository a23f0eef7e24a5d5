//! `[limits]`: how many connections there may be, and what a session may hold.

use proxy_core::Limits as SessionLimits;

use super::reader::{Reader, Table};
use crate::approvals::MAX_QUESTIONS;
use crate::audit_proxy::admission::{Limits, Rule};

/// The most of anything that is counted here.
const MOST: u64 = 1_000_000;

/// Both kinds of limits.
pub(super) struct AllLimits {
    pub(super) admission: Limits,
    pub(super) session: SessionLimits,
    /// Questions to approvers that one identity may have open.
    pub(super) open_questions: usize,
}

/// `[limits]` and the tables in it.
pub(super) fn limits<'d>(reader: &mut Reader<'d>, document: &Table<'d>) -> AllLimits {
    let mut limits = AllLimits {
        admission: Limits::default(),
        session: SessionLimits::default(),
        open_questions: MAX_QUESTIONS,
    };
    let known = [
        "max_connections",
        "max_unauthenticated",
        "source",
        "identity",
        "session",
    ];
    let Some(table) = reader.table(document, "limits", &known) else {
        return limits;
    };
    let admission = &mut limits.admission;
    count(
        reader,
        &table,
        "max_connections",
        &mut admission.connections,
    );
    let unauthenticated = &mut admission.unauthenticated;
    count(reader, &table, "max_unauthenticated", unauthenticated);
    let known = [
        "connections",
        "unauthenticated",
        "per_minute",
        "ipv4_prefix",
        "ipv6_prefix",
    ];
    if let Some(source) = reader.table(&table, "source", &known) {
        rule(reader, &source, &mut admission.source);
        let unauthenticated = &mut admission.source.unauthenticated;
        count(reader, &source, "unauthenticated", unauthenticated);
        prefix(
            reader,
            &source,
            "ipv4_prefix",
            32,
            &mut admission.ipv4_prefix,
        );
        prefix(
            reader,
            &source,
            "ipv6_prefix",
            128,
            &mut admission.ipv6_prefix,
        );
    }
    let known = ["connections", "per_minute", "open_questions"];
    if let Some(identity) = reader.table(&table, "identity", &known) {
        rule(reader, &identity, &mut admission.identity);
        let open_questions = &mut limits.open_questions;
        count(reader, &identity, "open_questions", open_questions);
    }
    session(reader, &table, &mut limits.session);
    limits
}

fn rule<'d>(reader: &mut Reader<'d>, table: &Table<'d>, rule: &mut Rule) {
    count(reader, table, "connections", &mut rule.connections);
    if let Some(number) = reader.number(table, "per_minute", 1..MOST + 1) {
        rule.per_minute = u32::try_from(number).unwrap_or(u32::MAX);
    }
}

fn count<'d>(reader: &mut Reader<'d>, table: &Table<'d>, name: &str, value: &mut usize) {
    if let Some(number) = reader.number(table, name, 1..MOST + 1) {
        *value = usize::try_from(number).unwrap_or(usize::MAX);
    }
}

fn prefix<'d>(reader: &mut Reader<'d>, table: &Table<'d>, name: &str, bits: u64, value: &mut u8) {
    if let Some(number) = reader.number(table, name, 1..bits + 1) {
        *value = u8::try_from(number).unwrap_or(u8::MAX);
    }
}

/// `[limits.session]`, whose fields are those of `proxy_core`.
fn session<'d>(reader: &mut Reader<'d>, limits: &Table<'d>, session: &mut SessionLimits) {
    let known: Vec<_> = session.settings().map(|(name, ..)| name).to_vec();
    let Some(table) = reader.table(limits, "session", &known) else {
        return;
    };
    for (name, value, bounds) in session.settings() {
        let bounds = *bounds.start() as u64..*bounds.end() as u64 + 1;
        if let Some(number) = reader.number(&table, name, bounds) {
            *value = usize::try_from(number).unwrap_or(usize::MAX);
        }
    }
}
