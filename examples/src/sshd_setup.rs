//! The `sshd_setup` command: what a server needs to take certificates, and who could then log in as whom.

use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use sshcert::{
    Admission, AuthorizedPrincipals, CheckContext, LoginRule, Principals, PrincipalsSetting,
    SshdSetup, trusted_user_ca_keys,
};

use crate::tool::files::{read_text, write_public};
use crate::tool::time::unix_now;
use crate::tool::{self, ToolError, in_file, option, printable, read_authorities};

/// Print the lines for sshd_config and the files of a server, and say who could log in as whom.
#[derive(Debug, Parser)]
#[command(
    name = "sshd_setup",
    after_help = "\
Examples:
  sshd_setup --ca ca.pub
      the two lines, for certificates that name the user
  sshd_setup --ca ca.pub --how files --allow johndoe=jdoe@example.com,ops --allow root=ops --ask jdoe@example.com=johndoe
      a file of principals for each user, and the answer for one of them
  sshd_setup --ca ca.pub --how command --allow johndoe=jdoe@example.com
      the same without files, by `AuthorizedPrincipalsCommand /bin/echo`
  sshd_setup --principals-file /etc/ssh/auth_principals/johndoe --ask jdoe@example.com=johndoe --address 10.1.2.3
      a file that is there already
  sshd_setup --principals-command '/bin/echo %u@example.com' --ask jdoe@example.com=johndoe

Exit status: 0 when everybody who was asked about could log in, 1 when somebody could not, 2 when it could not be told."
)]
struct Arguments {
    /// An authority to trust: its public key; may be given several times
    #[arg(long = "ca", value_name = "CAPUB")]
    authorities: Vec<PathBuf>,
    /// Where the server keeps the authorities' keys
    #[arg(long, value_name = "PATH", default_value = "/etc/ssh/portreeve_ca.pub")]
    path: String,
    /// How the server learns which principals may log in as whom
    #[arg(long, value_enum, default_value_t = How::User)]
    how: How,
    /// The folder of the files of principals, with `--how files`
    #[arg(long, value_name = "PATH", default_value = "/etc/ssh/auth_principals")]
    folder: String,
    /// Who may log in as a user; may be given several times
    #[arg(long = "allow", value_name = "USER=PRINCIPAL[,PRINCIPAL]…")]
    allowed: Vec<String>,
    /// Write the files below this folder instead of printing them; `/` writes them in their place
    #[arg(long, value_name = "FOLDER")]
    write: Option<PathBuf>,
    /// With --write, over files that are there and say something else
    #[arg(long, requires = "write")]
    force: bool,
    /// Could a certificate for this principal log in as this user? May be given several times
    #[arg(long = "ask", value_name = "PRINCIPAL=USER")]
    questions: Vec<String>,
    /// Ask about this AuthorizedPrincipalsFile instead
    #[arg(long, value_name = "FILE", conflicts_with = "authorities")]
    principals_file: Option<PathBuf>,
    /// Ask about this AuthorizedPrincipalsCommand instead: `/bin/echo` with words, %u for the user
    #[arg(long, value_name = "CMD", conflicts_with = "authorities")]
    principals_command: Option<String>,
    /// From where they would come, for lines with from="…"
    #[arg(long, value_name = "IP")]
    address: Option<IpAddr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum How {
    /// The user's own name is the principal
    User,
    /// A file for each user
    Files,
    /// A command that prints the one principal of each user
    Command,
}

/// The program.
pub fn main() -> ExitCode {
    tool::main("sshd_setup", run)
}

fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<bool, ToolError> {
    let allowed: Vec<(String, Principals)> = arguments
        .allowed
        .iter()
        .map(|text| allowance(text))
        .collect::<Result<_, _>>()?;
    let asks_about_a_server =
        arguments.principals_file.is_some() || arguments.principals_command.is_some();
    if !arguments.authorities.is_empty() {
        print_setup(arguments, &allowed, out)?;
    } else if !asks_about_a_server && arguments.questions.is_empty() {
        return Err(option(
            "--ca",
            "name the authority that the server is to trust",
        ));
    }
    let mut is_yes = true;
    for text in &arguments.questions {
        // A principal may have a `=` in it, a user may not.
        let (principal, user) = text.rsplit_once('=').ok_or_else(|| {
            let why = format!(
                "`{text}` is no question; write PRINCIPAL=USER, such as jdoe@example.com=johndoe"
            );
            option("--ask", why)
        })?;
        is_yes &= answer(arguments, &allowed, principal, user, out)?;
    }
    Ok(is_yes)
}

fn allowance(text: &str) -> Result<(String, Principals), ToolError> {
    let (user, principals) = text.split_once('=').ok_or_else(|| {
        let why =
            format!("`{text}` maps nobody; write USER=PRINCIPAL, such as johndoe=jdoe@example.com");
        option("--allow", why)
    })?;
    let principals = Principals::new(principals.split(','))
        .map_err(|error| option("--allow", format!("`{text}`: {error}")))?;
    Ok((user.to_owned(), principals))
}

fn print_setup(
    arguments: &Arguments,
    allowed: &[(String, Principals)],
    out: &mut dyn Write,
) -> Result<(), ToolError> {
    let authorities = read_authorities(&arguments.authorities)?;
    let setting = match arguments.how {
        How::User => PrincipalsSetting::UserName,
        How::Files => PrincipalsSetting::FileInFolder(arguments.folder.clone()),
        How::Command => PrincipalsSetting::EchoCommand,
    };
    let mut setup =
        SshdSetup::new(&arguments.path, setting).map_err(|error| option("--path", error))?;
    let mut files = vec![(arguments.path.clone(), trusted_user_ca_keys(&authorities))];
    for (user, principals) in allowed {
        let file = setup
            .map(user, principals)
            .map_err(|error| option("--allow", format!("`{user}`: {error}")))?;
        files.extend(file);
    }
    writeln!(out, "# sshd_config: Match blocks must stand at its end")?;
    out.write_all(setup.sshd_config().as_bytes())?;
    for (path, content) in files {
        match &arguments.write {
            Some(folder) => {
                let file = folder.join(path.trim_start_matches('/'));
                if let Some(parent) = file.parent() {
                    std::fs::create_dir_all(parent).map_err(|error| ToolError::Write {
                        file: parent.to_owned(),
                        error,
                    })?;
                }
                let may_go = |there: &[u8]| arguments.force || there == content.as_bytes();
                let otherwise =
                    "this is there already and says something else: --force writes over it";
                write_public(&file, content.as_bytes(), may_go, otherwise)?;
            }
            None => write!(out, "\n# {path}\n{content}")?,
        }
    }
    Ok(())
}

/// Whether one could log in, and by what or why not.
fn answer(
    arguments: &Arguments,
    allowed: &[(String, Principals)],
    principal: &str,
    user: &str,
    out: &mut dyn Write,
) -> Result<bool, ToolError> {
    let rule = rule(arguments, allowed, user)?;
    let mut context = CheckContext::new(user, unix_now());
    if let Some(address) = arguments.address {
        context = context.address(address);
    }
    let (who, whom) = (printable(principal), printable(user));
    match rule.find(&[principal], &context) {
        Ok(Admission::UserName) => {
            writeln!(out, "yes: {who} may log in as {whom}, whose name it is")?;
        }
        Ok(Admission::Line(line)) => writeln!(
            out,
            "yes: {who} may log in as {whom}, by line {} of the principals for it",
            line.number()
        )?,
        Err(why) => {
            writeln!(out, "no: {who} may not log in as {whom}: {why}")?;
            return Ok(false);
        }
    }
    Ok(true)
}

fn rule(
    arguments: &Arguments,
    allowed: &[(String, Principals)],
    user: &str,
) -> Result<LoginRule, ToolError> {
    let mut rule = LoginRule::user_name();
    if let Some(file) = &arguments.principals_file {
        let content =
            AuthorizedPrincipals::parse(&read_text(file)?).map_err(|error| in_file(file, error))?;
        rule = rule.principals_file(content);
    }
    if let Some(command) = &arguments.principals_command {
        let output = AuthorizedPrincipals::of_echo_command(command, user)
            .map_err(|error| option("--principals-command", error))?;
        rule = rule.principals_command(output);
    }
    let is_given = arguments.principals_file.is_some() || arguments.principals_command.is_some();
    if is_given || arguments.how == How::User {
        return Ok(rule);
    }
    let of_user = allowed.iter().find(|(name, _)| name == user);
    let list = of_user.map(|(_, principals)| AuthorizedPrincipals::of(principals));
    // Who is not mapped has no file, or a command that prints nothing.
    let list = list.unwrap_or_default();
    Ok(match arguments.how {
        How::Command => rule.principals_command(list),
        How::User | How::Files => rule.principals_file(list),
    })
}
