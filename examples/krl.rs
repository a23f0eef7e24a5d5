//! Makes and queries key revocation lists: see `krl --help`.

fn main() -> std::process::ExitCode {
    examples::krl::main()
}
