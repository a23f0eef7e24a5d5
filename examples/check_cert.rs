//! Checks certificates as sshd does: see `check_cert --help`.

fn main() -> std::process::ExitCode {
    examples::check_cert::main()
}
