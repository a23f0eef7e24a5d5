//! Mints certificates: see `mint_cert --help`.

fn main() -> std::process::ExitCode {
    examples::mint_cert::main()
}
