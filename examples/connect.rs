//! Carries SSH through the HTTP `CONNECT` of `audit_proxy`: a helper for `ProxyCommand`.

fn main() -> std::process::ExitCode {
    examples::connect::main()
}
