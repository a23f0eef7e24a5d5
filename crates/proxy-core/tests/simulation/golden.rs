//! The main flows as text: what each side says and gets, what the operator is told, and what the log says, in their order.
//!
//! `PORTREEVE_WRITE_GOLDEN=1` writes the files anew.

use std::path::Path;

use crate::play::flows;
use crate::play::session::transcript;

#[test]
fn every_flow_goes_as_its_transcript_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let is_writing = std::env::var_os("PORTREEVE_WRITE_GOLDEN").is_some();
    for flow in flows::all() {
        let file = folder.join(flow.name).with_extension("txt");
        let text = transcript(&flow.config, &flow.ops);
        if is_writing {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&file, &text).unwrap();
        }
        let golden = std::fs::read_to_string(&file).unwrap_or_default();
        let differs = text
            .lines()
            .zip(golden.lines())
            .position(|(is, was)| is != was);
        assert!(
            text == golden,
            "{} is not as its transcript from line {:?} on; PORTREEVE_WRITE_GOLDEN=1 writes it anew\n{text}",
            flow.name,
            differs.map(|line| line + 1)
        );
    }
}
