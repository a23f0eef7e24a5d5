//! The rows of the table: what is forced, how it is run, and how it is held against the minimum.

use std::collections::VecDeque;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use ssh_transport::{
    Algorithms, CipherAlgorithm, ClientConfig, HostKeyAlgorithm, KexAlgorithm, KeyExchange,
    MacAlgorithm, RekeyPolicy, ServerConfig,
};

use super::common::channel::{SessionServer, exec, pattern, serve};
use super::common::tools::{LIMIT, accept_within};
use super::common::{ClientEnd, ServerEnd, TestKey, accept_keys};
use super::keys;
use super::offers::Offers;

/// What must be in the tables.
const MINIMUM: &str = include_str!("minimum.txt");

/// Bytes of a command's output, and of its input where it has one.
pub(crate) const DATA_BYTES: usize = 400_000;

/// More than `ssh` takes without having to say something, which is when it looks whether keys are due.
const MORE_THAN_A_WINDOW: usize = 5 << 20;

/// Ours exchanges keys again after as many bytes.
const REKEY_BYTES: u64 = 150_000;

/// Times that a client is asked again which stayed when its channel was closed.
const TRIES: usize = 3;

/// Rows that run at once.
const WORKERS: usize = 3;

/// One connection: one algorithm of each kind, one of which is what the row is about.
#[derive(Debug, Clone, Copy)]
struct Row {
    about: Kind,
    kex: KexAlgorithm,
    host_key: HostKeyAlgorithm,
    cipher: CipherAlgorithm,
    mac: Option<MacAlgorithm>,
    login: HostKeyAlgorithm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Kex,
    HostKey,
    Cipher,
    Mac,
    Login,
    /// Only the peer exchanges keys again.
    Rekey,
}

impl Row {
    fn name(&self) -> String {
        match self.about {
            Kind::Kex => format!("key exchange {}", self.kex.name()),
            Kind::HostKey => format!("host key {}", self.host_key.name()),
            Kind::Cipher => format!("cipher {}", self.cipher.name()),
            Kind::Mac => format!("mac {}", self.mac.map_or("", MacAlgorithm::name)),
            Kind::Login => format!("login {}", self.login.name()),
            Kind::Rekey => "rekey by the peer".to_owned(),
        }
    }

    /// Bytes that a client gets.
    fn output_bytes(&self) -> usize {
        match self.about {
            Kind::Rekey => MORE_THAN_A_WINDOW,
            _ => DATA_BYTES,
        }
    }

    fn algorithms(&self) -> Algorithms {
        Algorithms {
            kex: vec![self.kex],
            host_keys: vec![self.host_key],
            user_keys: vec![self.login],
            ciphers: vec![self.cipher],
            // Some want a MAC in common that is not used.
            macs: self.mac.map_or(MacAlgorithm::ALL.to_vec(), |mac| vec![mac]),
        }
    }

    fn rekey(&self) -> RekeyPolicy {
        RekeyPolicy {
            max_bytes: if self.about == Kind::Rekey {
                u64::MAX
            } else {
                REKEY_BYTES
            },
            ..RekeyPolicy::default()
        }
    }

    fn client_config(&self) -> ClientConfig {
        ClientConfig {
            algorithms: self.algorithms(),
            rekey: self.rekey(),
            ..ClientConfig::default()
        }
    }

    fn server_config(&self) -> ServerConfig {
        ServerConfig {
            algorithms: self.algorithms(),
            rekey: self.rekey(),
            ..ServerConfig::default()
        }
    }

    /// How many times keys were exchanged, if what was forced was used each time.
    fn check(&self, exchanges: &[KeyExchange]) -> Result<usize, String> {
        for exchange in exchanges {
            let mac = self.mac.map(MacAlgorithm::name);
            let used = (
                exchange.kex_algorithm,
                exchange.host_key_algorithm,
                exchange.cipher_in,
                exchange.cipher_out,
                exchange.mac_in,
                exchange.mac_out,
            );
            let wanted = (
                self.kex,
                self.host_key,
                self.cipher.name(),
                self.cipher.name(),
                mac,
                mac,
            );
            if used != wanted {
                return Err(format!("used {used:?}, not {wanted:?}"));
            }
        }
        if exchanges.len() < 2 {
            Err("keys were exchanged only once".to_owned())
        } else {
            Ok(exchanges.len())
        }
    }
}

/// One row for each algorithm that both sides have. `host_keys` are those that our role has.
fn rows(offers: &Offers, host_keys: &[HostKeyAlgorithm], exchanges_again: bool) -> Vec<Row> {
    let kex = offers.common(&offers.kex, &KexAlgorithm::ALL, |a| a.name());
    let host_keys = offers.common(&offers.host_keys, host_keys, |a| a.name());
    let ciphers = offers.common(&offers.ciphers, &CipherAlgorithm::ALL, |a| a.name());
    let macs = offers.common(&offers.macs, &MacAlgorithm::ALL, |a| a.name());
    let logins = offers.common(&offers.logins, &HostKeyAlgorithm::KEYS, |a| a.name());
    let mac_of = |cipher: CipherAlgorithm| (!cipher.is_authenticated()).then(|| macs[0]);
    // A cheap one stands in for what a row is not about.
    let is_cheap = |kex: &&KexAlgorithm| **kex != KexAlgorithm::MlKem768X25519Sha256;
    let base = Row {
        about: Kind::Rekey,
        kex: *kex.iter().find(is_cheap).unwrap(),
        host_key: host_keys[0],
        cipher: ciphers[0],
        mac: mac_of(ciphers[0]),
        login: logins[0],
    };
    let mut rows = Vec::new();
    rows.extend(kex.into_iter().map(|kex| Row {
        about: Kind::Kex,
        kex,
        ..base
    }));
    rows.extend(host_keys.into_iter().map(|host_key| Row {
        about: Kind::HostKey,
        host_key,
        ..base
    }));
    rows.extend(ciphers.iter().map(|cipher| Row {
        about: Kind::Cipher,
        cipher: *cipher,
        mac: mac_of(*cipher),
        ..base
    }));
    if let Some(cipher) = ciphers
        .into_iter()
        .find(|cipher| !cipher.is_authenticated())
    {
        rows.extend(macs.into_iter().map(|mac| Row {
            about: Kind::Mac,
            cipher,
            mac: Some(mac),
            ..base
        }));
    }
    rows.extend(logins.into_iter().map(|login| Row {
        about: Kind::Login,
        login,
        ..base
    }));
    if exchanges_again {
        rows.push(base);
    }
    rows
}

/// A peer that connects to us.
pub(crate) trait ClientPeer: Sync {
    fn name(&self) -> &'static str;
    /// Whether it exchanges keys again by itself while [`DATA_BYTES`] come.
    fn exchanges_again(&self) -> bool;
    /// Whether it can do RSA.
    fn has_rsa(&self) -> bool {
        true
    }
    /// Has it connect as `alice` with this key, run this command, and give its output and status.
    fn run(
        &self,
        port: u16,
        host_key: &[u8],
        login: HostKeyAlgorithm,
        command: &str,
    ) -> Result<(Vec<u8>, u32), String>;
}

/// A peer that we connect to.
pub(crate) trait ServerPeer: Sync {
    fn name(&self) -> &'static str;
    /// As [`ClientPeer::exchanges_again`].
    fn exchanges_again(&self) -> bool;
    /// As [`ClientPeer::has_rsa`].
    fn has_rsa(&self) -> bool {
        true
    }
    /// Whether its connections share nothing that one could spoil for another.
    fn runs_at_once(&self) -> bool {
        true
    }
    fn user(&self) -> String {
        "alice".to_owned()
    }
    fn connect(&self) -> TcpStream;
}

pub(crate) fn check_client(peer: &dyn ClientPeer) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut offers = std::thread::scope(|scope| {
        // It fails when it has said what is asked for.
        scope.spawn(|| peer.run(port, &[], HostKeyAlgorithm::Ed25519, "true"));
        Offers::ask(accept_within(&listener, LIMIT))
    });
    if !peer.has_rsa() {
        offers.drop_rsa();
    }
    let rows = rows(&offers, &HostKeyAlgorithm::KEYS, peer.exchanges_again());
    let table = run_all(&rows, WORKERS, |row| {
        for _ in 0..TRIES {
            if let Some(exchanges) = check_one(peer, row)? {
                return Ok(exchanges);
            }
        }
        Err("it stays when its channel is closed".to_owned())
    });
    report(peer.name(), "client", &table);
}

/// One connection with what a row forces: how many times keys were exchanged, or nothing of a client that heard all, closed its
/// channel and did not leave. `dbclient` does so when CLOSE comes while it still has output to write: it looks whether a channel is left only when
/// the next packet comes.
fn check_one(peer: &dyn ClientPeer, row: &Row) -> Result<Option<usize>, String> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let key = TestKey::of(row.host_key);
    let blob = key.blob.clone();
    let config = row.server_config();
    let server = std::thread::spawn(move || {
        let stream = accept_within(&listener, LIMIT);
        let mut end = ServerEnd::new(config, 5, vec![key]);
        end.judge = accept_keys;
        let mut session = SessionServer::default();
        let result = serve(stream, &mut end, &mut session);
        (end, session, result)
    });
    let wanted = row.output_bytes();
    let said = peer.run(port, &blob, row.login, &format!("send {wanted}"));
    if said.is_err() {
        // Where it never came, nobody else does.
        let _ = TcpStream::connect(("127.0.0.1", port));
    }
    let (end, session, result) = server
        .join()
        .map_err(|_| "the server panicked".to_owned())?;
    if session.has_stayed {
        return Ok(None);
    }
    let (output, status) = said.map_err(|error| format!("{error}; our side: {result:?}"))?;
    result.map_err(|error| error.to_string())?;
    let is_whole = output.len() == wanted
        && output
            .iter()
            .enumerate()
            .all(|(i, byte)| *byte == pattern(wanted - i));
    if !is_whole || status != 0 {
        return Err(format!("{} bytes and status {status}", output.len()));
    }
    if end.verified_keys() != 1 {
        return Err("it came in without a key".to_owned());
    }
    row.check(&end.exchanges).map(Some)
}

pub(crate) fn check_server(peer: &dyn ServerPeer) {
    let mut offers = Offers::ask(peer.connect());
    // What it takes of users it says to who has exchanged keys with it.
    let host_keys = [&HostKeyAlgorithm::KEYS[..], &[HostKeyAlgorithm::RsaSha1]].concat();
    let first = rows(&offers, &host_keys, false)[0];
    let mut end = ClientEnd::new(first.client_config(), 6, keys::login(first.login));
    end.user = peer.user();
    exec(peer.connect(), &mut end, "true", b"");
    if let Some(logins) = end.machine.server_sig_algs() {
        offers.logins = logins.split(',').map(str::to_owned).collect();
    }
    if !peer.has_rsa() {
        offers.drop_rsa();
    }
    let data: Vec<u8> = (0..DATA_BYTES).map(pattern).collect();
    let rows = rows(&offers, &host_keys, peer.exchanges_again());
    let workers = if peer.runs_at_once() { WORKERS } else { 1 };
    let table = run_all(&rows, workers, |row| {
        let mut end = ClientEnd::new(row.client_config(), 6, keys::login(row.login));
        end.user = peer.user();
        let stream = peer.connect();
        let outcome = catch_unwind(AssertUnwindSafe(|| exec(stream, &mut end, "cat", &data)));
        let outcome =
            outcome.map_err(|panic| panic.downcast_ref::<String>().cloned().unwrap_or_default())?;
        if outcome.refused {
            return Err(format!("refused, {:?} would do", end.failures));
        }
        if outcome.stdout != data || outcome.status != Some(0) {
            return Err(format!(
                "{} bytes and status {:?}",
                outcome.stdout.len(),
                outcome.status
            ));
        }
        row.check(&end.exchanges)
    });
    report(peer.name(), "server", &table);
}

type Table = Vec<(String, Result<usize, String>)>;

/// Runs the rows, a few at once, and gives them in their order.
fn run_all(
    rows: &[Row],
    workers: usize,
    run: impl Fn(&Row) -> Result<usize, String> + Sync,
) -> Table {
    let waiting = Mutex::new(rows.iter().enumerate().collect::<VecDeque<_>>());
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((number, row)) = { waiting.lock().unwrap().pop_front() } {
                    let result = run(row);
                    done.lock().unwrap().push((number, row.name(), result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(number, ..)| *number);
    done.into_iter()
        .map(|(_, name, result)| (name, result))
        .collect()
}

/// Prints the table and holds it against the minimum.
fn report(peer: &str, role: &str, table: &Table) {
    let mut text = format!("\n| {peer} as {role} | key exchanges |\n|---|---|\n");
    for (name, result) in table {
        let shown = result
            .as_ref()
            .map_or_else(|error| format!("**{error}**"), usize::to_string);
        text += &format!("| {name} | {shown} |\n");
    }
    // Past the test harness, which swallows what a passing test prints.
    std::io::stdout().write_all(text.as_bytes()).unwrap();
    let failed: Vec<_> = table.iter().filter(|(_, result)| result.is_err()).collect();
    assert!(failed.is_empty(), "{peer} as {role}: {failed:#?}");
    let heading = format!("{peer} as {role}:");
    let mut minimum = MINIMUM
        .lines()
        .skip_while(|line| *line != heading)
        .skip(1)
        .take_while(|line| !line.is_empty())
        .peekable();
    assert!(minimum.peek().is_some(), "no minimum for {peer} as {role}");
    for line in minimum {
        let is_there = table.iter().any(|(name, _)| name == line.trim());
        assert!(is_there, "{peer} as {role} lacks {line}");
    }
}
