//! `sshlog import`: a log of Cloudflare's `ssh-log-cli` as a session log.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use session_log::{
    CloudflareEvent, CloudflareMetadata, CloudflareReader, CloudflareSource, Identity, LogId, Now,
    Record, Suite, Writer, WriterConfig, WriterPolicy,
};
use zeroize::Zeroizing;

use super::afterwards::{now, read_recipients, read_signer};
use super::keygen::create;
use super::read::{read_pieces, read_text};
use super::{SshlogError, seed};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The private key: base64, as `ssh-log-cli generate-key-pair` writes it, or one of `sshlog keygen --kem x25519`
    #[arg(short, long = "identity", value_name = "KEY")]
    identity: PathBuf,
    /// Who may read the imported log; may be given several times
    #[arg(long, value_name = "KEY.pub", required = true)]
    recipient: Vec<PathBuf>,
    /// The OpenSSH private key of whoever imports. The original had no signature
    #[arg(long, value_name = "KEY")]
    sign_with: PathBuf,
    /// Where to write the log
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The log of `ssh-log-cli`
    log: PathBuf,
}

/// The channel that everything of such a log stands on.
const CHANNEL: u32 = 1;

pub(super) fn run(
    arguments: &Arguments,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<bool, SshlogError> {
    let text = Zeroizing::new(read_text(&arguments.identity)?);
    let identity = Identity::from_cloudflare(&text)
        .or_else(|_| Identity::from_text(&text))
        .map_err(|error| SshlogError::Key {
            file: arguments.identity.clone(),
            error,
        })?;
    let mut reader = CloudflareReader::new(identity)?;
    let mut import = Import {
        writer: None,
        file: create(&arguments.out, 0o600, &[])?,
        began: Duration::ZERO,
        last: Duration::ZERO,
        exit: Vec::new(),
        packets: 0,
    };
    let mut failed = None;
    read_pieces(&arguments.log, |bytes| {
        failed = reader.push(bytes).err();
        while let Some(event) = reader.poll() {
            import.take(arguments, event)?;
        }
        Ok(failed.is_none())
    })?;
    let failed = failed.or_else(|| reader.finish().err());
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
    writer: Option<Writer>,
    file: std::fs::File,
    /// The calendar at the original's beginning.
    began: Duration,
    last: Duration,
    exit: Vec<(Option<u32>, Option<String>, bool)>,
    packets: u64,
}

impl Import {
    fn take(&mut self, arguments: &Arguments, event: CloudflareEvent) -> Result<(), SshlogError> {
        match event {
            CloudflareEvent::Metadata(metadata) => self.begin(arguments, &metadata)?,
            CloudflareEvent::Packet {
                source,
                code,
                elapsed_us,
                data,
            } => {
                self.packets += 1;
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

    fn begin(
        &mut self,
        arguments: &Arguments,
        metadata: &CloudflareMetadata,
    ) -> Result<(), SshlogError> {
        let config = WriterConfig {
            suite: Suite::default(),
            recipients: read_recipients(&arguments.recipient)?,
            policy: WriterPolicy::default(),
        };
        let signer = read_signer(&arguments.sign_with)?;
        let mut log_id = LogId([0; 16]);
        getrandom::fill(&mut log_id.0)?;
        self.began = Duration::from_secs(metadata.started_at);
        let at = self.at(Duration::ZERO);
        self.writer = Some(Writer::create(&config, &signer, log_id, *seed()?, at)?);
        let imported = format!(
            "imported at {} s since 1970 from an ssh-log-cli log, which had no signature",
            now().unix.as_secs()
        );
        self.record(Duration::ZERO, &Record::Annotation { text: &imported })?;
        if let Some(pty) = &metadata.pty {
            self.record(
                Duration::ZERO,
                &Record::Pty {
                    term: pty.term.as_deref().unwrap_or_default(),
                    columns: pty.width,
                    rows: pty.height,
                    pixel_width: 0,
                    pixel_height: 0,
                    modes: &[],
                },
            )?;
        }
        if let Some(exit) = &metadata.exit_data {
            self.exit
                .push((exit.status, exit.signal.clone(), exit.core_dumped));
        }
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
        let last = self.last;
        for (status, signal, core_dumped) in std::mem::take(&mut self.exit) {
            if let Some(code) = status {
                self.record(last, &Record::ExitStatus { code })?;
            }
            if let Some(name) = signal {
                let record = Record::ExitSignal {
                    name: &name,
                    core_dumped,
                    message: "",
                    language: "",
                };
                self.record(last, &record)?;
            }
        }
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
            writer.finish(at)?;
        }
        self.drain()
    }

    fn drain(&mut self) -> Result<(), SshlogError> {
        while let Some(bytes) = self.writer.as_mut().and_then(Writer::take_output) {
            self.file.write_all(&bytes)?;
        }
        Ok(())
    }
}
