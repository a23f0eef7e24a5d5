//! OCSF events (<https://schema.ocsf.io/>): SSH Activity 4007, Process Activity 1007, Network File Activity 6006.
//!
//! Every event of a session inside another has the outer one as `metadata.correlation_uid` and in `unmapped`; the outer session has an event
//! for each that began inside it, with that one's.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::{Value as Json, json};
use session_log::{Record, RecordView};

use super::Sink;
use crate::sshlog::SshlogError;
use crate::sshlog::output::NewFile;
use crate::tool::escape_json;

/// Version of the schema that the events name.
const SCHEMA: &str = "1.3.0";

pub(super) struct Ocsf {
    file: NewFile,
    /// The calendar at a log time.
    anchor: (u64, u64),
    user: Json,
    session: Json,
    source: Json,
    target: Json,
    /// The host that the processes run on.
    device: Json,
    /// When the session opened, as long as no event says so: where it is inside another stands behind.
    opening: Option<u64>,
    /// The session that this one is inside of, and the channel there.
    parent: Option<(String, u32)>,
    /// The command of each channel that has one, for the event of its end.
    commands: BTreeMap<u32, String>,
}

/// Most channels whose command is remembered; with more, that of the lowest is forgotten.
const MAX_COMMANDS: usize = 256;
/// `device.type_id` of a host of which nothing more is known.
const UNKNOWN_DEVICE: u32 = 0;
/// `file.type_id` of a regular file.
const REGULAR_FILE: u32 = 1;

fn metadata() -> Json {
    json!({"version": SCHEMA, "product": {"name": "portreeve", "vendor_name": "portreeve"}})
}

impl Ocsf {
    pub(super) fn new(file: NewFile) -> Ocsf {
        Ocsf {
            file,
            anchor: (0, 0),
            user: json!({}),
            session: json!({}),
            source: json!({}),
            target: json!({}),
            device: json!({"type_id": UNKNOWN_DEVICE}),
            opening: None,
            parent: None,
            commands: BTreeMap::new(),
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
            "time": anchor_ms.saturating_add(t_us.saturating_sub(anchor_us) / 1_000),
            "metadata": metadata(),
            "actor": {"user": self.user, "session": self.session},
        });
        if let (Some(event), Json::Object(more)) = (event.as_object_mut(), more) {
            event.extend(more);
        }
        if let Some((session, channel)) = &self.parent {
            link(
                &mut event,
                session,
                json!({"parent_session": session, "parent_channel": channel}),
            );
        }
        writeln!(self.file, "{}", escape_json(&event.to_string()))?;
        Ok(())
    }

    /// An event of the connection: classes 4007 and 6006.
    fn network(
        &mut self,
        t_us: u64,
        class: u32,
        activity: u32,
        more: Json,
    ) -> Result<(), SshlogError> {
        let mut all = json!({"src_endpoint": self.source, "dst_endpoint": self.target});
        if let (Some(all), Json::Object(more)) = (all.as_object_mut(), more) {
            all.extend(more);
        }
        self.event(t_us, class, activity, all)
    }

    /// Says that the session has opened, if nothing has yet.
    fn open(&mut self) -> Result<(), SshlogError> {
        match self.opening.take() {
            Some(t_us) => self.network(t_us, 4007, 1, json!({"protocol_ver": "2.0"})),
            None => Ok(()),
        }
    }

    /// A process on the target: class 1007. `part` tells those of a channel apart, since their numbers are not known.
    fn process(
        &mut self,
        view: &RecordView<'_>,
        activity: u32,
        (part, command): (&str, &str),
        exit_code: Option<u32>,
    ) -> Result<(), SshlogError> {
        let session = self.session.get("uid").and_then(Json::as_str);
        let uid = format!("{}/{}{part}", session.unwrap_or_default(), view.channel);
        let mut all = json!({"device": self.device, "process": {"uid": uid, "cmd_line": command}});
        if let (Some(all), Some(code)) = (all.as_object_mut(), exit_code) {
            all.insert("exit_code".into(), code.into());
        }
        self.event(view.t_us, 1007, activity, all)
    }

    /// The process of a channel begins.
    fn launch(&mut self, view: &RecordView<'_>, command: String) -> Result<(), SshlogError> {
        if self.commands.len() >= MAX_COMMANDS && !self.commands.contains_key(&view.channel) {
            self.commands.pop_first();
        }
        let launched = self.process(view, 1, ("", &command), None);
        self.commands.insert(view.channel, command);
        launched
    }
}

/// Ties an event to another session. What both sides of a tie say stands beside each other.
fn link(event: &mut Json, session: &str, unmapped: Json) {
    if let Some(metadata) = event["metadata"].as_object_mut() {
        metadata.entry("correlation_uid").or_insert(session.into());
    }
    match (event["unmapped"].as_object_mut(), unmapped) {
        (Some(there), Json::Object(more)) => there.extend(more),
        (_, unmapped) => event["unmapped"] = unmapped,
    }
}

impl Sink for Ocsf {
    fn take(&mut self, view: &RecordView<'_>) -> Result<(), SshlogError> {
        let belongs_to_opening = matches!(
            view.record,
            Record::ClockAnchor { .. } | Record::ParentSession { .. }
        );
        if !belongs_to_opening {
            self.open()?;
        }
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
                self.device = json!({"type_id": UNKNOWN_DEVICE, "hostname": meta.target_hostname, "ip": meta.target_addr});
                self.opening = Some(view.t_us);
                Ok(())
            }
            Record::ParentSession { session, channel } => {
                self.parent = Some(((*session).to_owned(), *channel));
                Ok(())
            }
            Record::InnerSession {
                session,
                host,
                port,
            } => {
                let mut more = json!({
                    "message": "a session inside this one",
                    "dst_endpoint": {"hostname": host, "port": port},
                    "metadata": metadata(),
                });
                let unmapped = json!({"inner_session": session, "inner_channel": view.channel});
                link(&mut more, session, unmapped);
                self.network(view.t_us, 4007, 1, more)
            }
            Record::End { reason } => {
                self.network(view.t_us, 4007, 2, json!({"status_detail": reason}))
            }
            Record::Refused { what, why, .. } => self.network(
                view.t_us,
                4007,
                5,
                json!({"message": what, "status_id": 2, "status_detail": why}),
            ),
            Record::Exec { command } => self.launch(view, text(command)),
            Record::Shell => self.launch(view, String::new()),
            // One of those that a shell runs: the channel goes on.
            Record::Command { text, .. } => {
                self.process(view, 1, (&format!("/{}", view.t_us), text), None)
            }
            Record::ExitStatus { code } => {
                let command = self.commands.remove(&view.channel).unwrap_or_default();
                self.process(view, 2, ("", &command), Some(*code))
            }
            Record::FileTransfer {
                from, path, bytes, ..
            } => {
                // 1 upload, 2 download.
                let activity = match from {
                    session_log::Side::Client => 1,
                    session_log::Side::Target => 2,
                };
                let path = text(path);
                let name = path.rsplit('/').next().unwrap_or_default();
                let file =
                    json!({"name": name, "type_id": REGULAR_FILE, "path": path, "size": bytes});
                self.network(view.t_us, 6006, activity, json!({"file": file}))
            }
            _ => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<(), SshlogError> {
        self.open()?;
        self.file.keep()
    }
}
