//! The `connect` helper: HTTP `CONNECT` with a token, then bytes both ways.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::tool::is_printable;

/// Where the token is looked for when no file is named.
pub const TOKEN_VARIABLE: &str = "PORTREEVE_TOKEN";

/// How long the proxy may take to be reached, and again to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// The longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 16 << 10;

/// How long `ssh` may go on writing after the proxy's side has ended.
const LINGER: Duration = Duration::from_secs(2);

/// How much is copied at a time, in bytes.
const COPY_BUFFER_BYTES: usize = 64 << 10;

/// Carry SSH through an HTTP CONNECT proxy that asks for a token.
#[derive(Debug, Parser)]
#[command(
    name = "connect",
    after_help = "\
Example, in ~/.ssh/config:
  Host *.example.com
    ProxyCommand connect --proxy proxy.example.com:8022 --token-file ~/.ssh/portreeve-token %h %p

Without --token-file the token is taken from the environment variable PORTREEVE_TOKEN; without
either none is sent."
)]
struct Arguments {
    /// The proxy's address
    #[arg(long, value_name = "HOST:PORT")]
    proxy: String,
    /// A file that holds the token and nothing else
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The target's host name or id (%h in ssh_config)
    host: String,
    /// The target's port (%p in ssh_config)
    port: u16,
}

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The token file cannot be read.
    #[error("cannot read the token file {}: {error}", file.display())]
    TokenFile {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// What was given as a token cannot be one.
    #[error(
        "the token has characters that no token has; it must be one line of letters, digits, `-` and `_`"
    )]
    BadToken,
    /// The host cannot stand in a request.
    #[error("`{0}` is not a host name")]
    BadHost(String),
    /// The proxy's address lacks a part.
    #[error(
        "`{0}` is not the address of a proxy; write HOST:PORT, such as `proxy.example.com:8022`"
    )]
    BadProxy(String),
    /// The proxy cannot be reached.
    #[error("cannot reach the proxy {proxy}: {error}")]
    Unreachable {
        /// Its address.
        proxy: String,
        /// Why.
        error: io::Error,
    },
    /// The proxy did not answer in time.
    #[error("the proxy {proxy} does not answer")]
    NoAnswer {
        /// Its address.
        proxy: String,
    },
    /// The answer is not one of HTTP.
    #[error("the proxy {proxy} does not answer in HTTP; is the port right?")]
    NotHttp {
        /// Its address.
        proxy: String,
    },
    /// The proxy says no.
    #[error("the proxy says {status}: {text}")]
    Refused {
        /// The status code and phrase.
        status: String,
        /// What it says about it.
        text: String,
    },
    /// The connection broke.
    #[error("the connection to the proxy broke: {0}")]
    Broken(#[from] io::Error),
}

/// The program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("connect: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(run(&arguments));
    // Reading standard input happens on a thread that cannot be interrupted.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("connect: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), ConnectError> {
    let token = token(arguments.token_file.as_deref())?;
    let (stream, first) = open(
        &arguments.proxy,
        &arguments.host,
        arguments.port,
        token.as_ref().map(|token| token.as_str()),
    )
    .await?;
    carry(stream, &first).await
}

/// The token of a file, or of the environment.
fn token(file: Option<&Path>) -> Result<Option<Zeroizing<String>>, ConnectError> {
    let text = match file {
        Some(file) => {
            let text = std::fs::read_to_string(file).map_err(|error| ConnectError::TokenFile {
                file: file.to_owned(),
                error,
            })?;
            Some(Zeroizing::new(text))
        }
        None => std::env::var(TOKEN_VARIABLE).ok().map(Zeroizing::new),
    };
    let Some(text) = text else {
        return Ok(None);
    };
    let token = text.trim();
    let good = |c: u8| c.is_ascii_alphanumeric() || b"-._~+/=".contains(&c);
    if token.is_empty() || !token.bytes().all(good) {
        return Err(ConnectError::BadToken);
    }
    Ok(Some(Zeroizing::new(token.to_owned())))
}

/// Connects to the proxy and asks for a target; gives the connection and what came after the answer.
///
/// # Errors
/// When the proxy cannot be reached, does not answer, or refuses.
pub async fn open(
    proxy: &str,
    host: &str,
    port: u16,
    token: Option<&str>,
) -> Result<(TcpStream, Vec<u8>), ConnectError> {
    let good = |c: u8| c.is_ascii_alphanumeric() || b".-_:".contains(&c);
    if host.is_empty() || !host.bytes().all(good) {
        return Err(ConnectError::BadHost(host.to_owned()));
    }
    if !is_host_and_port(proxy) {
        return Err(ConnectError::BadProxy(proxy.to_owned()));
    }
    let authority = if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    };
    let mut request = Zeroizing::new(format!(
        "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n"
    ));
    if let Some(token) = token {
        request.push_str("Proxy-Authorization: Bearer ");
        request.push_str(token);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");

    let no_answer = || ConnectError::NoAnswer {
        proxy: proxy.to_owned(),
    };
    let mut stream = timeout(ANSWER_LIMIT, TcpStream::connect(proxy))
        .await
        .map_err(|_| no_answer())?
        .map_err(|error| ConnectError::Unreachable {
            proxy: proxy.to_owned(),
            error,
        })?;
    stream.set_nodelay(true)?;
    stream.write_all(request.as_bytes()).await?;
    let first = timeout(ANSWER_LIMIT, answer(&mut stream, proxy))
        .await
        .map_err(|_| no_answer())??;
    Ok((stream, first))
}

/// An IPv6 address has colons of its own, and brackets to tell them apart.
fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let bracketed = host.starts_with('[') && host.ends_with(']');
        !host.is_empty() && (bracketed || !host.contains(':')) && port.parse::<u16>().is_ok()
    })
}

/// Reads the proxy's answer; gives what came behind it.
async fn answer(stream: &mut TcpStream, proxy: &str) -> Result<Vec<u8>, ConnectError> {
    let not_http = || ConnectError::NotHttp {
        proxy: proxy.to_owned(),
    };
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        let expected = b"HTTP/1.";
        let prefix = bytes.len().min(expected.len());
        if bytes.get(..prefix) != expected.get(..prefix) || bytes.len() > MAX_ANSWER_BYTES {
            return Err(not_http());
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(not_http());
        }
    };
    let body = bytes.split_off(end + 4);
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let status = head.lines().next().and_then(|line| line.split_once(' '));
    let Some((_, status)) = status else {
        return Err(not_http());
    };
    if status.starts_with("200") {
        return Ok(body);
    }
    let mut body = body;
    let mut rest = stream.take(MAX_ANSWER_BYTES as u64);
    // What is not there any more is not worth a second error.
    let _ = rest.read_to_end(&mut body).await;
    Err(ConnectError::Refused {
        status: printable(status),
        text: printable(String::from_utf8_lossy(&body).trim()),
    })
}

/// Text from elsewhere, without what could move a terminal's cursor.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if is_printable(c) { c } else { ' ' })
        .collect()
}

/// Copies standard input to the proxy and back, until the proxy's side ends.
async fn carry(stream: TcpStream, first: &[u8]) -> Result<(), ConnectError> {
    let (mut from_proxy, mut to_proxy) = stream.into_split();
    let upwards = tokio::spawn(async move {
        let mut stdin = tokio::io::stdin();
        // When either end is gone the proxy's side ends too, and that is where it is told.
        if copy(&mut stdin, &mut to_proxy).await.is_err() {
            let _ = copy(&mut stdin, &mut tokio::io::sink()).await;
        }
        let _ = to_proxy.shutdown().await;
    });
    let mut stdout = tokio::io::stdout();
    stdout.write_all(first).await?;
    stdout.flush().await?;
    let result = copy(&mut from_proxy, &mut stdout).await;
    // An `ssh` that finds nobody to write to ends before it reads the proxy's last words.
    let _ = timeout(LINGER, upwards).await;
    result.map_err(ConnectError::from)
}

/// Copies to the end, writing on whatever has come before waiting for more.
async fn copy(
    from: &mut (impl tokio::io::AsyncRead + Unpin),
    to: &mut (impl tokio::io::AsyncWrite + Unpin),
) -> io::Result<()> {
    let mut buffer = vec![0; COPY_BUFFER_BYTES];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        to.write_all(buffer.get(..count).unwrap_or_default())
            .await?;
        to.flush().await?;
    }
}
