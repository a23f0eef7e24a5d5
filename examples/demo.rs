//! The whole of Portreeve on loopback, in one command: see `examples/README.md`.

fn main() -> std::process::ExitCode {
    examples::demo::main()
}
