#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod cpu;
mod openssh;
mod ours;
mod plain;
mod with_russh;

use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Payload of a data packet: what OpenSSH sends.
const CHUNK_BYTES: usize = 32 * 1024;

/// What one way of sending cost.
struct Cost {
    cpu: Duration,
    wall: Duration,
}

fn main() {
    let mib: u64 = match std::env::args().nth(1).map(|text| text.parse()) {
        None => 4096,
        Some(Ok(mib)) if mib > 0 => mib,
        Some(_) => {
            eprintln!("usage: peers-transport [MIB]");
            std::process::exit(2);
        }
    };
    let bytes = mib * 1024 * 1024;
    println!("| {mib} MiB | CPU s/GB | to ours | MB/s | to ours |\n|---|---|---|---|---|");
    for cipher in ["aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"] {
        let ours = measure(|| ours::pump(cipher, bytes));
        print(cipher, "ssh-transport", bytes, &ours, &ours);
        print(
            cipher,
            "russh",
            bytes,
            &measure(|| with_russh::pump(cipher, bytes)),
            &ours,
        );
        if openssh::is_there() {
            print(
                cipher,
                "OpenSSH",
                bytes,
                &measure(|| openssh::pump(cipher, bytes)),
                &ours,
            );
        }
        print(
            cipher,
            "floor: TCP in clear",
            bytes,
            &measure(|| plain::pump(bytes)),
            &ours,
        );
    }
}

/// Runs `pump` to its end. Children that it has waited for count.
fn measure(pump: impl FnOnce()) -> Cost {
    let (cpu, wall) = (cpu::used(), Instant::now());
    pump();
    Cost {
        cpu: cpu::used() - cpu,
        wall: wall.elapsed(),
    }
}

fn print(cipher: &str, who: &str, bytes: u64, cost: &Cost, ours: &Cost) {
    let gb = bytes as f64 / 1e9;
    let (cpu, wall) = (cost.cpu.as_secs_f64(), cost.wall.as_secs_f64());
    println!(
        "| {}, {who} | {:.2} | {:.2} | {:.0} | {:.2} |",
        cipher.trim_end_matches("@openssh.com"),
        cpu / gb,
        cpu / ours.cpu.as_secs_f64().max(0.01),
        bytes as f64 / 1e6 / wall,
        ours.wall.as_secs_f64() / wall,
    );
}

/// Two ends of a TCP connection on loopback.
fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let near = TcpStream::connect(address).expect("a connection");
    let (far, _) = listener.accept().expect("a connection");
    for stream in [&near, &far] {
        stream.set_nodelay(true).expect("a TCP option");
    }
    (near, far)
}
