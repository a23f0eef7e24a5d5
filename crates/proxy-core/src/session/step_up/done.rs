//! What was done, for the first page of the log.

use alloc::format;
use alloc::string::String;

use session_log::Record;

use super::super::recorder::Recorder;

/// By what the person got in, besides their name.
#[derive(Default)]
pub(in super::super) struct Done {
    pub(super) security_key: Option<ProvenKey>,
    pub(super) reason: Option<String>,
    pub(super) approval: Option<Approved>,
}

pub(super) struct ProvenKey {
    pub(super) fingerprint: String,
    pub(super) user_verified: bool,
    pub(super) counter: u32,
}

pub(super) struct Approved {
    pub(super) by: String,
    pub(super) note: String,
}

impl Done {
    pub(in super::super) fn record(&self, recorder: &mut Recorder) {
        if let Some(key) = &self.security_key {
            let text = format!(
                "security key {} was touched, {}; counter {}",
                key.fingerprint,
                if key.user_verified {
                    "and verified its user"
                } else {
                    "and did not verify its user"
                },
                key.counter
            );
            recorder.record(0, &Record::Annotation { text: &text });
        }
        if let Some(reason) = &self.reason {
            let text = format!("reason for access: {reason}");
            recorder.record(0, &Record::Annotation { text: &text });
        }
        if let Some(approval) = &self.approval {
            let record = Record::Operator {
                who: &approval.by,
                action: "approve",
                text: &approval.note,
            };
            recorder.record(0, &record);
        }
    }
}
