//! Looks at the sessions of a running proxy, ends and watches them: see `sessionctl --help`.

fn main() -> std::process::ExitCode {
    examples::sessionctl::main()
}
