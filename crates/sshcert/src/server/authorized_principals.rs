use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{LineOptions, MAX_SERVER_FILE_BYTES};
use crate::{CheckContext, LoginRefusal, Principals, PrincipalsFileError};

/// The content of an `AuthorizedPrincipalsFile`, or what an `AuthorizedPrincipalsCommand` prints: a principal a line, behind
/// options of `authorized_keys`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthorizedPrincipals {
    lines: Vec<PrincipalsLine>,
    /// The numbers of the lines that sshd passes over because their options are wrong.
    unusable: Vec<usize>,
}

/// A line of [`AuthorizedPrincipals`] that can let somebody in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrincipalsLine {
    number: usize,
    principal: String,
    options: LineOptions,
}

impl AuthorizedPrincipals {
    /// Reads it as sshd does. Lines whose options are wrong let nobody in: [`unusable_lines`](Self::unusable_lines) names them.
    ///
    /// # Errors
    /// [`PrincipalsFileError::TooLong`] above [`MAX_SERVER_FILE_BYTES`].
    pub fn parse(text: &str) -> Result<Self, PrincipalsFileError> {
        if text.len() > MAX_SERVER_FILE_BYTES {
            return Err(PrincipalsFileError::TooLong {
                limit: MAX_SERVER_FILE_BYTES,
                got: text.len(),
            });
        }
        let mut parsed = Self::default();
        for (index, line) in text.split('\n').enumerate() {
            let number = index + 1;
            // A `#` begins a comment wherever it stands, even between quotes; sshd reads no line beyond a NUL.
            let line = line.split(['#', '\0']).next().unwrap_or_default();
            let line = line.trim_matches([' ', '\t', '\n']);
            if line.is_empty() {
                continue;
            }
            match PrincipalsLine::parse(number, line) {
                Some(line) => parsed.lines.push(line),
                None => parsed.unusable.push(number),
            }
        }
        Ok(parsed)
    }

    /// A list of these names, without options.
    #[must_use]
    pub fn of(principals: &Principals) -> Self {
        let lines = principals.as_slice().iter().enumerate();
        Self {
            lines: lines
                .map(|(index, name)| PrincipalsLine {
                    number: index + 1,
                    principal: name.clone(),
                    options: LineOptions::default(),
                })
                .collect(),
            unusable: Vec::new(),
        }
    }

    /// What `AuthorizedPrincipalsCommand /bin/echo ARGUMENTS` prints for a user: the arguments on one line, `%u` for the user.
    ///
    /// So more than one argument is one principal behind options, which they hardly are: sshd lets nobody in by such a line.
    ///
    /// # Errors
    /// [`PrincipalsFileError::Command`] when it is not `/bin/echo`, or has quotes or tokens other than `%u` and `%%`.
    pub fn of_echo_command(command: &str, user: &str) -> Result<Self, PrincipalsFileError> {
        let arguments = command
            .strip_prefix("/bin/echo")
            .or_else(|| command.strip_prefix("/usr/bin/echo"))
            .filter(|arguments| arguments.is_empty() || arguments.starts_with(' '))
            .ok_or(PrincipalsFileError::Command)?
            .trim_start_matches(' ');
        if arguments.contains(['"', '\'', '\\']) || arguments.starts_with('-') {
            return Err(PrincipalsFileError::Command);
        }
        let words: Vec<&str> = arguments.split_ascii_whitespace().collect();
        let mut output = String::new();
        let mut characters = words.join(" ").chars().collect::<Vec<_>>().into_iter();
        while let Some(character) = characters.next() {
            match (character, character == '%') {
                (_, false) => output.push(character),
                _ => match characters.next() {
                    Some('u') => output.push_str(user),
                    Some('%') => output.push('%'),
                    _ => return Err(PrincipalsFileError::Command),
                },
            }
        }
        Self::parse(&output)
    }

    /// The text of the file, each line with its options.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            let options = line.options.text();
            if !options.is_empty() {
                text.push_str(options);
                text.push(' ');
            }
            text.push_str(&line.principal);
            text.push('\n');
        }
        text
    }

    /// The lines that can let somebody in, in order.
    #[must_use]
    pub fn lines(&self) -> &[PrincipalsLine] {
        &self.lines
    }

    /// The numbers, from 1, of the lines that let nobody in because their options are wrong.
    #[must_use]
    pub fn unusable_lines(&self) -> &[usize] {
        &self.unusable
    }

    /// The first line that lists one of these names. Names are compared byte for byte.
    pub(super) fn find<S: AsRef<str>>(&self, principals: &[S]) -> Option<&PrincipalsLine> {
        let lists = |line: &&PrincipalsLine| {
            let mut names = principals.iter();
            names.any(|name| name.as_ref() == line.principal)
        };
        self.lines.iter().find(lists)
    }
}

impl PrincipalsLine {
    /// A trimmed line that is not empty: the last word is the principal, what stands before it are options.
    fn parse(number: usize, line: &str) -> Option<Self> {
        // sshd looks for the last space, and for a tab only where there is no space.
        let split = line.rfind(' ').or_else(|| line.rfind('\t'));
        let (options, principal) = match split {
            Some(at) => (line, line.get(at..)?.trim_start_matches([' ', '\t'])),
            None => ("", line),
        };
        Some(Self {
            number,
            principal: principal.to_string(),
            options: LineOptions::parse(options)?,
        })
    }

    /// Where it stands, from 1.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// The name that it lets in.
    #[must_use]
    pub fn principal(&self) -> &str {
        &self.principal
    }

    /// Under which conditions, and to do what.
    #[must_use]
    pub fn options(&self) -> &LineOptions {
        &self.options
    }

    pub(super) fn check(&self, context: &CheckContext<'_>) -> Result<(), LoginRefusal> {
        let line = self.number;
        if self.options.is_for_an_authority() {
            return Err(LoginRefusal::ForAuthority { line });
        }
        if self.options.has_expired(context.now_unix().as_secs()) {
            return Err(LoginRefusal::Expired { line });
        }
        if !self.options.admits(context.from()) {
            return Err(LoginRefusal::Address { line });
        }
        Ok(())
    }
}
