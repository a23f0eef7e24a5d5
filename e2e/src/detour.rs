//! A way to the target that takes its time.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// A listener whose connections lead to the target only after a delay.
pub struct Detour {
    listener: TcpListener,
    /// Loopback port it listens on: connections wait from the start.
    pub port: u16,
}

impl Detour {
    /// Listens; nobody is led anywhere yet.
    ///
    /// # Panics
    ///
    /// When no port can be bound.
    pub fn open() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        Self { listener, port }
    }

    /// From now on each connection hears nothing for `delay`, and then talks with loopback port `to`.
    ///
    /// # Panics
    ///
    /// When the listener cannot be shared with the thread that serves it.
    pub fn lead(&self, to: u16, delay: Duration) {
        let listener = self.listener.try_clone().expect("a second handle");
        thread::spawn(move || {
            for inside in listener.incoming().flatten() {
                thread::spawn(move || {
                    thread::sleep(delay);
                    // A connection that fails is what its peers make of it.
                    let _ = join(inside, to);
                });
            }
        });
    }
}

/// Copies both ways until both sides have said all.
fn join(inside: TcpStream, to: u16) -> io::Result<()> {
    let outside = TcpStream::connect((Ipv4Addr::LOCALHOST, to))?;
    let (mut back_from, mut back_to) = (outside.try_clone()?, inside.try_clone()?);
    let back = thread::spawn(move || copy(&mut back_from, &mut back_to));
    let (mut from, mut to) = (inside, outside);
    copy(&mut from, &mut to)?;
    back.join().unwrap_or(Ok(()))
}

fn copy(from: &mut TcpStream, to: &mut TcpStream) -> io::Result<()> {
    io::copy(from, to)?;
    to.shutdown(std::net::Shutdown::Write)
}
