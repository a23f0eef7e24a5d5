//! The proxy's socket, with a request and the lines of its answer.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::audit_proxy::admin::protocol::{MAX_LINE_BYTES, Reply, Request};
use crate::tool::{ToolError, option};

/// A request and its answer.
pub(super) struct Conversation {
    stream: BufReader<UnixStream>,
    line: Vec<u8>,
}

impl Conversation {
    pub(super) fn begin(socket: &Path, request: &Request) -> Result<Self, ToolError> {
        let unreachable = |error: io::Error| {
            let help = match error.kind() {
                io::ErrorKind::NotFound => "; name the `socket` of the proxy's `[admin]`",
                io::ErrorKind::ConnectionRefused => "; no proxy listens there",
                io::ErrorKind::PermissionDenied => "; run this as the user of the proxy",
                _ => "",
            };
            let why = format!("{}: {error}{help}", socket.display());
            option("--socket", why)
        };
        let mut stream = UnixStream::connect(socket).map_err(unreachable)?;
        let mut line = serde_json::to_vec(request).map_err(|error| option("--socket", error))?;
        line.push(b'\n');
        match stream.write_all(&line) {
            // Who is turned away may have been told why before this was written.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            written => written.map_err(unreachable)?,
        }
        Ok(Self {
            stream: BufReader::new(stream),
            line: Vec::new(),
        })
    }

    /// From now on [`next`](Self::next) fails with `WouldBlock` after this time, and can be called again.
    pub(super) fn wait_at_most(&self, time: Duration) -> io::Result<()> {
        self.stream.get_ref().set_read_timeout(Some(time))
    }

    /// The next line of the answer, and what it says where that is known; nothing at its end.
    pub(super) fn next(&mut self) -> io::Result<Option<(Vec<u8>, Option<Reply>)>> {
        // What came of a line before a wait was over is kept.
        let room = (MAX_LINE_BYTES + 1).saturating_sub(self.line.len()) as u64;
        match (&mut self.stream)
            .take(room)
            .read_until(b'\n', &mut self.line)
        {
            // The proxy has closed without having read all that was asked.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            read => {
                read?;
            }
        }
        if self.line.is_empty() {
            return Ok(None);
        }
        let line = std::mem::take(&mut self.line);
        if line.last() != Some(&b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let reply = serde_json::from_slice(&line).ok();
        Ok(Some((line, reply)))
    }
}
