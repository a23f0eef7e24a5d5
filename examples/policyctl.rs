//! Asks, checks and compares access policies: see `policyctl --help`.

fn main() -> std::process::ExitCode {
    examples::policyctl::main()
}
