//! Keys, verification and replay of session logs: see `sshlog --help`.

fn main() -> std::process::ExitCode {
    examples::sshlog::main()
}
