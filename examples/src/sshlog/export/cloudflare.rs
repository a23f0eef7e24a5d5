//! The format of Cloudflare's `ssh-log-cli`: one channel's data, its terminal and its end, sealed to one X25519 key.

use std::io::Write;

use session_log::{
    CloudflareExit, CloudflareMetadata, CloudflarePty, CloudflareSource, CloudflareWriter, Event,
    Recipient, Record, RecordView,
};

use super::{Format, Sink};
use crate::sshlog::output::NewFile;
use crate::sshlog::{SshlogError, seed};

/// The alert that stands for the `error_msg` of such a log.
pub(crate) const ERROR_ALERT: &str = "ssh-log-cli.error";

/// What stands in front of such a log, and is known only when all of it was read.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) channel: Option<u32>,
    pub(super) metadata: CloudflareMetadata,
    /// Records that the format has no place for.
    pub(super) left_out: u64,
}

impl Facts {
    pub(super) fn take(&mut self, event: &Event<'_>) {
        match event {
            Event::Segment(segment) if segment.number == 0 => {
                self.metadata.started_at = segment.created_unix_ms / 1_000;
            }
            Event::Record(view) => self.record(view),
            _ => {}
        }
    }

    fn record(&mut self, view: &RecordView<'_>) {
        if Format::Cloudflare.chooses(&view.record) {
            self.channel.get_or_insert(view.channel);
        }
        if self.channel != Some(view.channel) {
            self.left_out += 1;
            return;
        }
        match &view.record {
            Record::Input(data) | Record::Output(data) | Record::Stderr(data) => {
                self.metadata.data_size += data.len() as u64;
            }
            Record::Pty {
                term,
                columns,
                rows,
                modes,
                ..
            } => {
                self.metadata.pty = Some(CloudflarePty {
                    term: (!term.is_empty()).then(|| (*term).to_owned()),
                    width: *columns,
                    height: *rows,
                    modes: CloudflarePty::decode_modes(modes),
                });
            }
            Record::ExitStatus { code } => self.exit(view).status = Some(*code),
            Record::ExitSignal {
                name,
                core_dumped,
                message,
                ..
            } => {
                let exit = self.exit(view);
                exit.signal = (!name.is_empty()).then(|| (*name).to_owned());
                exit.core_dumped = *core_dumped;
                if !message.is_empty() {
                    exit.error_msg = Some((*message).to_owned());
                }
            }
            Record::Alert { code, text } if *code == ERROR_ALERT => {
                self.exit(view).error_msg = Some((*text).to_owned());
            }
            _ => self.left_out += 1,
        }
    }

    fn exit(&mut self, view: &RecordView<'_>) -> &mut CloudflareExit {
        let timestamp = self
            .metadata
            .started_at
            .saturating_add(view.t_us / 1_000_000);
        let exit = self.metadata.exit_data.get_or_insert_default();
        exit.timestamp = timestamp;
        exit
    }
}

pub(super) struct Cloudflare {
    file: NewFile,
    writer: CloudflareWriter,
}

impl Cloudflare {
    pub(super) fn new(
        mut file: NewFile,
        recipient: &Recipient,
        metadata: CloudflareMetadata,
    ) -> Result<Cloudflare, SshlogError> {
        let (writer, head) = CloudflareWriter::begin(recipient, metadata, *seed()?)?;
        file.write_all(&head)?;
        Ok(Cloudflare { file, writer })
    }
}

impl Sink for Cloudflare {
    fn take(&mut self, view: &RecordView<'_>) -> Result<(), SshlogError> {
        let (source, code, data) = match view.record {
            Record::Input(data) => (CloudflareSource::Client, 0, data),
            Record::Output(data) => (CloudflareSource::Origin, 0, data),
            // Extended data of type 1 (RFC 4254 section 5.2).
            Record::Stderr(data) => (CloudflareSource::Origin, 1, data),
            _ => return Ok(()),
        };
        let mut block = Vec::new();
        self.writer
            .packet(source, code, view.t_us, data, &mut block)?;
        Ok(self.file.write_all(&block)?)
    }

    fn finish(&mut self) -> Result<(), SshlogError> {
        self.file.keep()
    }
}
