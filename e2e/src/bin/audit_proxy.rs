//! The example `audit_proxy`, built as a binary of this package so that its tests can run it.

use std::process::ExitCode;

fn main() -> ExitCode {
    examples::audit_proxy::main()
}
