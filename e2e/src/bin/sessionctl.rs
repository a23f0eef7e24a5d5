//! The example `sessionctl`, built as a binary of this package so that its tests can run it.

use std::process::ExitCode;

fn main() -> ExitCode {
    examples::sessionctl::main()
}
