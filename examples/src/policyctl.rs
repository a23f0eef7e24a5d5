//! The `policyctl` command: checks policies, asks them, tests them and compares them.

mod ask;
mod documents;
mod operate;
mod output;
mod reports;
mod request;
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use documents::{Notation, PolicyctlError};
use output::Output;
use request::Action;

/// Check, ask, test and compare access policies.
#[derive(Debug, Parser)]
#[command(
    name = "policyctl",
    after_help = "\
Examples:
  policyctl check policy.toml                                     every problem, with its line and what to write instead
  policyctl decide --policy policy.toml --request request.toml --explain
  policyctl who-can --policy policy.toml --target web-1 --user root
  policyctl access --policy policy.toml --identity ann@example.com
  policyctl operator --policy policy.toml --request request.toml --action watch
  policyctl who-operates --policy policy.toml --target web-1      who may look at or end the sessions there
  policyctl diff old.toml new.toml --identities people.toml       who gains and who loses what
  policyctl test policy-tests/                                    decisions that must come out
  policyctl import-cloudflare apps.json policies.json > policy.toml

A policy is TOML, or JSON if its name ends in .json. A request has the tables [identity], [device], [network] and [target], a `user`, and `at`,
an RFC 3339 time (not written: now). Identities are [[person]] tables with the first three of these, targets are [[target]] tables.

With --json, a time is in seconds and what is not there is null:
  check       {problems, warnings}, or {problems, unlisted} where the policy does not load; each {file, line, column, path, what, help}
  decide      {decision: \"allow\", application, policy, shell, exec, pty, subsystems, env, max_channels, recording, max_session_secs, idle_timeout_secs,
              max_login_age_secs, asks_for, login_is_fresh}, or {decision: \"deny\", reason, application, policy, closest, advice, person_reads};
              with --explain also explanation, a list of {name, governs_target, policies: [{name, action, outcome, rules}]}
  who-can     {policies: [{application, policy, action, by_alias, rules: [{list, rule}]}], identities}
  access      [{application, users: [{user, policy}], blocked_by}]; with --targets [{target, user, policy}]
  operator    [{action, operator}]
  who-operates  {operators: [{operator, may, rules: [{list, rule}]}], identities: [{identity, may}]}
  lint        {warnings, findings: [{lint, application, policy, operator, what}]}
  diff        [{identity, change, user, target, policy}], and of operators {identity, change, action, target, operator}
  test        [{file, name, failure}]
A decision to allow with login_is_fresh false is one where the proxy asks the person to log in again.

Exit status: 0 all is well, the answer is yes, nothing changes; 1 the answer is no: denied, nobody, findings, a failed test, a change;
2 the command line is wrong or a file cannot be read; 3 a document has problems."
)]
struct Cli {
    /// Print JSON for programs instead of text for people
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Load a policy and tell every problem and warning
    Check {
        /// The policy
        file: PathBuf,
        /// The policy is what Cloudflare's API or Terraform prints; take only what Cloudflare documents for infrastructure applications
        #[arg(long)]
        strict_cloudflare: bool,
        /// A list of revocations to check as well
        #[arg(long, value_name = "FILE")]
        revocations: Option<PathBuf>,
    },
    /// Decide about one request
    Decide(DecideArguments),
    /// List the policies that have a say about a target and a user, and who is let in
    WhoCan(WhoCanArguments),
    /// List what an identity can reach, application by application
    Access(AccessArguments),
    /// Decide what the identity of a request may do about running sessions on its target
    Operator(OperatorArguments),
    /// List who may look at or act on the sessions on a target
    WhoOperates(WhoOperatesArguments),
    /// Tell what is probably not meant
    Lint {
        /// The policy
        file: PathBuf,
    },
    /// Tell who gains and who loses what when one policy takes the place of another
    Diff(DiffArguments),
    /// Run the cases of every test file in a folder
    Test {
        /// The folder, or one test file
        folder: PathBuf,
    },
    /// Print the JSON Schema of policies
    Schema,
    /// Turn what Cloudflare's API or `terraform show -json` prints into a policy
    ImportCloudflare(ImportArguments),
}

#[derive(Debug, Args)]
struct DecideArguments {
    /// The policy
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The request
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// The policy is what Cloudflare's API or Terraform prints; take only what Cloudflare documents for infrastructure applications
    #[arg(long)]
    strict_cloudflare: bool,
    /// A list of revocations, which comes before the policy
    #[arg(long, value_name = "FILE")]
    revocations: Option<PathBuf>,
    /// Tell what every rule said
    #[arg(long)]
    explain: bool,
}

#[derive(Debug, Args)]
struct WhoCanArguments {
    /// The policy
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The target's id or host name
    #[arg(long, value_name = "ID")]
    target: String,
    /// The user; without one, any
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// What the targets are; without it, the id is all that is known
    #[arg(long, value_name = "FILE")]
    targets: Option<PathBuf>,
    /// People to ask the policy about
    #[arg(long, value_name = "FILE")]
    identities: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct AccessArguments {
    /// The policy
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The e-mail address
    #[arg(long, value_name = "EMAIL")]
    identity: String,
    /// What is known of people; without it, the address is all
    #[arg(long, value_name = "FILE")]
    identities: Option<PathBuf>,
    /// Targets to ask the policy about
    #[arg(long, value_name = "FILE")]
    targets: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct OperatorArguments {
    /// The policy
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The request; its user is not asked about
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// The action: list, show, end, watch or approve; without one, each of them
    #[arg(long, value_name = "ACTION")]
    action: Option<Action>,
    /// A list of revocations, which comes before the policy
    #[arg(long, value_name = "FILE")]
    revocations: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct WhoOperatesArguments {
    /// The policy
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The target's id or host name
    #[arg(long, value_name = "ID")]
    target: String,
    /// The action: list, show, end, watch or approve; without one, any of them
    #[arg(long, value_name = "ACTION")]
    action: Option<Action>,
    /// What the targets are; without it, the id is all that is known
    #[arg(long, value_name = "FILE")]
    targets: Option<PathBuf>,
    /// People to ask the policy about
    #[arg(long, value_name = "FILE")]
    identities: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct DiffArguments {
    /// The policy before
    old: PathBuf,
    /// The policy after
    new: PathBuf,
    /// The people to ask about
    #[arg(long, value_name = "FILE")]
    identities: PathBuf,
    /// The targets to ask about; without it, some are made up from what both policies name
    #[arg(long, value_name = "FILE")]
    targets: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ImportArguments {
    /// What the API or Terraform printed
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Take only what Cloudflare documents for infrastructure applications
    #[arg(long)]
    strict_cloudflare: bool,
}

/// Runs the command line.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut output = Output::new(cli.json);
    let answer = run(&cli.command, &mut output);
    match answer.and_then(|answer| output.finish().map(|()| answer)) {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Err(PolicyctlError::BrokenPipe) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("policyctl: {error}");
            ExitCode::from(if error.is_about_a_document() { 3 } else { 2 })
        }
    }
}

/// What the exit status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
}

impl From<bool> for Answer {
    fn from(is_yes: bool) -> Self {
        if is_yes { Self::Yes } else { Self::No }
    }
}

fn run(command: &Command, output: &mut Output) -> Result<Answer, PolicyctlError> {
    match command {
        Command::Check {
            file,
            strict_cloudflare,
            revocations,
        } => {
            let notation = Notation::new(*strict_cloudflare);
            reports::check(file, notation, revocations.as_deref(), output)
        }
        Command::Decide(arguments) => ask::decide(arguments, output),
        Command::WhoCan(arguments) => ask::who_can(arguments, output),
        Command::Access(arguments) => ask::access(arguments, output),
        Command::Operator(arguments) => operate::operator(arguments, output),
        Command::WhoOperates(arguments) => operate::who_operates(arguments, output),
        Command::Lint { file } => reports::lint(file, output),
        Command::Diff(arguments) => reports::diff(arguments, output),
        Command::Test { folder } => tests::run(folder, output),
        Command::Schema => {
            output.raw(&policy::schema());
            Ok(Answer::Yes)
        }
        Command::ImportCloudflare(arguments) => reports::import(arguments, output),
    }
}
