//! Connection-layer packets, made by hand.

pub fn string(bytes: &[u8]) -> Vec<u8> {
    let mut out = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    out.extend_from_slice(bytes);
    out
}

fn packet(number: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = vec![number];
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

pub fn global_request(name: &str, want_reply: bool, data: &[u8]) -> Vec<u8> {
    packet(
        80,
        &[&string(name.as_bytes()), &[u8::from(want_reply)], data],
    )
}

pub fn request_success() -> Vec<u8> {
    vec![81]
}

pub fn request_failure() -> Vec<u8> {
    vec![82]
}

pub fn open(kind: &str, sender: u32, window: u32, data: &[u8]) -> Vec<u8> {
    let numbers = [
        sender.to_be_bytes(),
        window.to_be_bytes(),
        32_768_u32.to_be_bytes(),
    ]
    .concat();
    packet(90, &[&string(kind.as_bytes()), &numbers, data])
}

/// With this window and longest packet.
pub fn open_sized(kind: &str, sender: u32, (window, max): (u32, u32), data: &[u8]) -> Vec<u8> {
    let numbers = [sender, window, max].map(u32::to_be_bytes).concat();
    packet(90, &[&string(kind.as_bytes()), &numbers, data])
}

/// With this window and longest packet.
pub fn confirm_sized(recipient: u32, sender: u32, (window, max): (u32, u32)) -> Vec<u8> {
    let numbers = [recipient, sender, window, max]
        .map(u32::to_be_bytes)
        .concat();
    packet(91, &[&numbers])
}

pub fn confirm(recipient: u32, sender: u32) -> Vec<u8> {
    let numbers = [recipient, sender, 2_097_152, 32_768]
        .map(u32::to_be_bytes)
        .concat();
    packet(91, &[&numbers])
}

pub fn open_failure(recipient: u32, reason: u32, text: &str) -> Vec<u8> {
    packet(
        92,
        &[
            &recipient.to_be_bytes(),
            &reason.to_be_bytes(),
            &string(text.as_bytes()),
            &string(b"en"),
        ],
    )
}

pub fn window_adjust(recipient: u32, bytes: u32) -> Vec<u8> {
    packet(93, &[&recipient.to_be_bytes(), &bytes.to_be_bytes()])
}

pub fn data(recipient: u32, bytes: &[u8]) -> Vec<u8> {
    packet(94, &[&recipient.to_be_bytes(), &string(bytes)])
}

pub fn extended_data(recipient: u32, code: u32, bytes: &[u8]) -> Vec<u8> {
    packet(
        95,
        &[
            &recipient.to_be_bytes(),
            &code.to_be_bytes(),
            &string(bytes),
        ],
    )
}

pub fn eof(recipient: u32) -> Vec<u8> {
    packet(96, &[&recipient.to_be_bytes()])
}

pub fn close(recipient: u32) -> Vec<u8> {
    packet(97, &[&recipient.to_be_bytes()])
}

pub fn request(recipient: u32, kind: &str, want_reply: bool, data: &[u8]) -> Vec<u8> {
    packet(
        98,
        &[
            &recipient.to_be_bytes(),
            &string(kind.as_bytes()),
            &[u8::from(want_reply)],
            data,
        ],
    )
}

pub fn success(recipient: u32) -> Vec<u8> {
    packet(99, &[&recipient.to_be_bytes()])
}

pub fn failure(recipient: u32) -> Vec<u8> {
    packet(100, &[&recipient.to_be_bytes()])
}

pub fn exit_status(recipient: u32, code: u32) -> Vec<u8> {
    request(recipient, "exit-status", false, &code.to_be_bytes())
}

pub fn host_port(host: &str, port: u32) -> Vec<u8> {
    [string(host.as_bytes()), port.to_be_bytes().to_vec()].concat()
}

/// `direct-tcpip` and `forwarded-tcpip`.
pub fn open_tcp(kind: &str, sender: u32, host: &str, port: u32) -> Vec<u8> {
    let data = [host_port(host, port), host_port("127.0.0.1", 50_000)].concat();
    open(kind, sender, 100_000, &data)
}

/// What `x11-req` says.
pub fn x11(single_connection: bool, cookie: &str) -> Vec<u8> {
    [
        vec![u8::from(single_connection)],
        string(b"MIT-MAGIC-COOKIE-1"),
        string(cookie.as_bytes()),
        vec![0; 4],
    ]
    .concat()
}

/// An `x11` channel.
pub fn open_x11(sender: u32) -> Vec<u8> {
    open("x11", sender, 100_000, &host_port("127.0.0.1", 6010))
}
