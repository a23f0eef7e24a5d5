//! OCSF events (<https://schema.ocsf.io/>): SSH Activity 4007, Process Activity 1007, Network File Activity 6006.

use std::fs::File;
use std::io::{BufWriter, Write};

use serde_json::{Value as Json, json};
use session_log::{Record, RecordView};

use super::Sink;
use crate::sshlog::SshlogError;
use crate::sshlog::json::escape;

/// Version of the schema that the events name.
const SCHEMA: &str = "1.3.0";

pub(super) struct Ocsf {
    file: BufWriter<File>,
    /// The calendar at a log time.
    anchor: (u64, u64),
    user: Json,
    session: Json,
    source: Json,
    target: Json,
}

impl Ocsf {
    pub(super) fn new(file: BufWriter<File>) -> Ocsf {
        Ocsf {
            file,
            anchor: (0, 0),
            user: json!({}),
            session: json!({}),
            source: json!({}),
            target: json!({}),
        }
    }

    fn event(
        &mut self,
        t_us: u64,
        class: u32,
        activity: u32,
        more: Json,
    ) -> Result<(), SshlogError> {
        let (anchor_us, anchor_ms) = self.anchor;
        let mut event = json!({
            "class_uid": class,
            "category_uid": class / 1_000,
            "activity_id": activity,
            "type_uid": class * 100 + activity,
            "severity_id": 1,
            "time": anchor_ms + t_us.saturating_sub(anchor_us) / 1_000,
            "metadata": {"version": SCHEMA, "product": {"name": "portreeve", "vendor_name": "portreeve"}},
            "actor": {"user": self.user, "session": self.session},
            "src_endpoint": self.source,
            "dst_endpoint": self.target,
        });
        if let (Some(event), Json::Object(more)) = (event.as_object_mut(), more) {
            event.extend(more);
        }
        writeln!(self.file, "{}", escape(&event.to_string()))?;
        Ok(())
    }
}

impl Sink for Ocsf {
    fn take(&mut self, view: &RecordView<'_>) -> Result<(), SshlogError> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match &view.record {
            Record::ClockAnchor { unix_ms } => {
                self.anchor = (view.t_us, *unix_ms);
                Ok(())
            }
            Record::SessionMeta(meta) => {
                self.user = json!({"name": meta.unix_user, "email_addr": meta.identity_email,
                    "groups": meta.groups.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()});
                self.session = json!({"uid": meta.session});
                self.source = json!({"ip": meta.client_addr});
                self.target = json!({"hostname": meta.target_hostname, "ip": meta.target_addr, "port": meta.target_port});
                self.event(view.t_us, 4007, 1, json!({"protocol_ver": "2.0"}))
            }
            Record::End { reason } => {
                self.event(view.t_us, 4007, 2, json!({"status_detail": reason}))
            }
            Record::Refused { what, why, .. } => self.event(
                view.t_us,
                4007,
                5,
                json!({"message": what, "status_id": 2, "status_detail": why}),
            ),
            Record::Exec { command } => self.event(
                view.t_us,
                1007,
                1,
                json!({"process": {"cmd_line": text(command)}}),
            ),
            Record::Command { text, .. } => {
                self.event(view.t_us, 1007, 1, json!({"process": {"cmd_line": text}}))
            }
            Record::ExitStatus { code } => {
                self.event(view.t_us, 1007, 2, json!({"exit_code": code}))
            }
            Record::FileTransfer {
                from, path, bytes, ..
            } => {
                // 1 upload, 2 download.
                let activity = match from {
                    session_log::Side::Client => 1,
                    session_log::Side::Target => 2,
                };
                self.event(
                    view.t_us,
                    6006,
                    activity,
                    json!({"file": {"path": text(path), "size": bytes}}),
                )
            }
            _ => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<(), SshlogError> {
        Ok(self.file.flush()?)
    }
}
