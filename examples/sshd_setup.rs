//! Prints what a server needs to take certificates: see `sshd_setup --help`.

fn main() -> std::process::ExitCode {
    examples::sshd_setup::main()
}
