//! `sshlog import`: a log of Cloudflare's `ssh-log-cli` as a session log.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use session_log::{
    CloudflareEvent, CloudflareExit, CloudflareMetadata, CloudflareReader, CloudflareSource, LogId,
    Now, Recipient, Record, Suite, Writer, WriterConfig, WriterPolicy,
};

use super::afterwards::{now, read_recipients};
use super::export::ERROR_ALERT;
use super::output::{NewFile, PRIVATE};
use super::progress::Prints;
use super::read::{read_identity, read_pieces};
use super::signing::{Signer, Signing};
use super::{SshlogError, seed};

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  sshlog import -i their-key --recipient auditor.pub --sign-with ~/.ssh/id_ed25519 --out session.sslg session.log

The original had no signature; whoever imports it signs. Exit status: 0 all of it was imported; 1 it is damaged or cut, and what stands before that
was imported, as a log that was aborted; 2 nothing could be.")]
pub(super) struct Arguments {
    /// The private key: base64, as `ssh-log-cli generate-key-pair` writes it, or one of `sshlog keygen --kem x25519`
    #[arg(short, long = "identity", value_name = "KEY")]
    identity: PathBuf,
    /// Who may read the imported log; may be given several times
    #[arg(long, value_name = "KEY.pub", required = true)]
    recipient: Vec<PathBuf>,
    #[command(flatten)]
    signing: Signing,
    /// Where to write the log
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The log of `ssh-log-cli`
    log: PathBuf,
}

/// The channel that everything of such a log stands on.
const CHANNEL: u32 = 1;
/// Longest session that an end is believed of.
const MAX_LENGTH: Duration = Duration::from_secs(366 * 86_400);

pub(super) fn run(
    arguments: &Arguments,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<bool, SshlogError> {
    let mut reader = CloudflareReader::new(read_identity(&arguments.identity)?)?;
    let mut import = Import {
        recipients: read_recipients(&arguments.recipient)?,
        signer: arguments.signing.signer()?,
        writer: None,
        file: NewFile::create(&arguments.out, PRIVATE)?,
        began: Duration::ZERO,
        last: Duration::ZERO,
        exit: None,
        data_size: 0,
        found_bytes: 0,
        packets: 0,
        unknown_modes: 0,
        unknown_codes: 0,
    };
    let mut failed = None;
    read_pieces(&arguments.log, Prints::AtTheEnd, |bytes| {
        failed = reader.push(bytes).err();
        while let Some(event) = reader.poll() {
            import.take(event)?;
        }
        Ok(failed.is_none())
    })?;
    let failed = failed.or_else(|| reader.finish().err());
    if let Some(error) = failed
        && import.packets == 0
    {
        return Err(SshlogError::NotImported {
            log: arguments.log.clone(),
            error,
        });
    }
    import.finish(failed)?;
    writeln!(
        out,
        "{}: {} packets imported",
        arguments.out.display(),
        import.packets
    )?;
    writeln!(
        err,
        "sshlog: the original is unsigned, and does not show when blocks are missing from its end"
    )?;
    import.tell(err)?;
    if reader.met_empty_block() {
        writeln!(
            err,
            "sshlog: it has a block without data, at which ssh-log-cli stops to read; what follows was imported"
        )?;
    }
    if let Some(error) = failed {
        writeln!(err, "sshlog: {}: {error}", arguments.log.display())?;
    }
    Ok(failed.is_none())
}

struct Import {
    recipients: Vec<Recipient>,
    signer: Signer,
    writer: Option<Writer>,
    file: NewFile,
    /// The calendar at the original's beginning.
    began: Duration,
    last: Duration,
    exit: Option<CloudflareExit>,
    /// How much data there is by the metadata, and how much was found, bytes.
    data_size: u64,
    found_bytes: u64,
    packets: u64,
    unknown_modes: usize,
    /// Packets of extended data that is not standard error.
    unknown_codes: u64,
}

impl Import {
    fn take(&mut self, event: CloudflareEvent) -> Result<(), SshlogError> {
        match event {
            CloudflareEvent::Metadata(metadata) => self.begin(&metadata)?,
            CloudflareEvent::Packet {
                source,
                code,
                elapsed_us,
                data,
            } => {
                self.packets += 1;
                self.found_bytes += data.len() as u64;
                let is_known = code == 0 || (code == 1 && source == CloudflareSource::Origin);
                self.unknown_codes += u64::from(!is_known);
                let record = match (source, code) {
                    (CloudflareSource::Client, _) => Record::Input(&data),
                    (CloudflareSource::Origin, 1) => Record::Stderr(&data),
                    (CloudflareSource::Origin, _) => Record::Output(&data),
                };
                self.record(Duration::from_micros(elapsed_us), &record)?;
            }
            _ => {}
        }
        self.drain()
    }

    fn begin(&mut self, metadata: &CloudflareMetadata) -> Result<(), SshlogError> {
        let config = WriterConfig {
            suite: Suite::default(),
            recipients: self.recipients.clone(),
            policy: WriterPolicy::default(),
        };
        let mut log_id = LogId([0; 16]);
        getrandom::fill(&mut log_id.0)?;
        self.began = Duration::from_secs(metadata.started_at);
        let at = self.at(Duration::ZERO);
        let opening = Writer::begin(&config, self.signer.public_key(), log_id, *seed()?, at)?;
        let answer = self.signer.answer(opening.request())?;
        self.writer = Some(opening.answer(&answer)?);
        let imported = format!(
            "imported at {} s since 1970 from an ssh-log-cli log, which had no signature",
            now().unix.as_secs()
        );
        self.record(Duration::ZERO, &Record::Annotation { text: &imported })?;
        if let Some(pty) = &metadata.pty {
            let (modes, unknown) = pty.encoded_modes();
            self.unknown_modes = unknown;
            self.record(
                Duration::ZERO,
                &Record::Pty {
                    term: pty.term.as_deref().unwrap_or_default(),
                    columns: pty.width,
                    rows: pty.height,
                    pixel_width: 0,
                    pixel_height: 0,
                    modes: &modes,
                },
            )?;
        }
        self.data_size = metadata.data_size;
        self.exit.clone_from(&metadata.exit_data);
        Ok(())
    }

    fn at(&self, elapsed: Duration) -> Now {
        Now {
            mono: elapsed,
            unix: self.began.saturating_add(elapsed),
        }
    }

    fn record(&mut self, elapsed: Duration, record: &Record<'_>) -> Result<(), SshlogError> {
        self.last = self.last.max(elapsed);
        let at = self.at(self.last);
        if let Some(writer) = &mut self.writer {
            writer.record(CHANNEL, record, at)?;
        }
        Ok(())
    }

    fn finish(&mut self, failed: Option<session_log::CloudflareError>) -> Result<(), SshlogError> {
        if let Some(exit) = self.exit.take() {
            self.end(&exit)?;
        }
        let last = self.last;
        if let Some(error) = failed {
            let text = error.to_string();
            self.record(
                last,
                &Record::Gap {
                    bytes: 0,
                    text: &text,
                },
            )?;
        }
        let at = self.at(last);
        if let Some(writer) = &mut self.writer {
            // What was not found of the original may not look as if it had never been there.
            match failed {
                Some(_) => writer.abort(at)?,
                None => writer.finish(at)?,
            }
        }
        self.drain()?;
        self.file.keep()
    }

    /// How the session ended, at the time that stands in the metadata.
    fn end(&mut self, exit: &CloudflareExit) -> Result<(), SshlogError> {
        let ended = Duration::from_secs(exit.timestamp).saturating_sub(self.began);
        let ended = ended.clamp(self.last, self.last.max(MAX_LENGTH));
        if let Some(code) = exit.status {
            self.record(ended, &Record::ExitStatus { code })?;
        }
        if exit.signal.is_some() || exit.core_dumped {
            let record = Record::ExitSignal {
                name: exit.signal.as_deref().unwrap_or_default(),
                core_dumped: exit.core_dumped,
                message: "",
                language: "",
            };
            self.record(ended, &record)?;
        }
        if let Some(text) = &exit.error_msg {
            let code = ERROR_ALERT;
            self.record(ended, &Record::Alert { code, text })?;
        }
        Ok(())
    }

    /// Says what of the original is not as it should be, or could not be kept.
    fn tell(&self, err: &mut dyn Write) -> Result<(), SshlogError> {
        if self.found_bytes != self.data_size {
            writeln!(
                err,
                "sshlog: its metadata speaks of {} bytes, and {} were found",
                self.data_size, self.found_bytes
            )?;
        }
        if self.unknown_modes > 0 {
            writeln!(
                err,
                "sshlog: {} terminal modes have names that SSH does not know, and were left out",
                self.unknown_modes
            )?;
        }
        if self.unknown_codes > 0 {
            writeln!(
                err,
                "sshlog: {} packets are of an unknown type of data, and were taken for ordinary input or output",
                self.unknown_codes
            )?;
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<(), SshlogError> {
        while let Some(bytes) = self.writer.as_mut().and_then(Writer::take_output) {
            self.file.write_all(&bytes)?;
        }
        Ok(())
    }
}
