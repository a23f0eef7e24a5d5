//! The floor: no SSH at all.

use std::io::{Read as _, Write as _};
use std::thread;

use crate::{CHUNK_BYTES, connection};

pub(crate) fn pump(bytes: u64) {
    let (mut near, mut far) = connection();
    let sender = thread::spawn(move || {
        let chunk = vec![0; CHUNK_BYTES];
        for _ in 0..bytes / CHUNK_BYTES as u64 {
            far.write_all(&chunk).expect("a reader");
        }
    });
    let (mut buffer, mut received) = (vec![0; 8 * CHUNK_BYTES], 0);
    while received < bytes {
        let read = near.read(&mut buffer).expect("a writer");
        assert!(read > 0, "ended after {received} bytes");
        received += read as u64;
    }
    sender.join().expect("it is done");
}
