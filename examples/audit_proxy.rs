//! The proxy as a program: see `examples/README.md`.

fn main() -> std::process::ExitCode {
    examples::audit_proxy::main()
}
