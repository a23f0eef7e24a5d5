//! Derives host keys: see `derive_host_key --help`.

fn main() -> std::process::ExitCode {
    examples::derive_host_key::main()
}
