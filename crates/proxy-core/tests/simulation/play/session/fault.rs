//! One thing that goes wrong in a script in which all else goes well.

/// What a driver is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// To write a page of the log.
    Page,
    Connect,
    Sign,
    /// Another person, whether somebody may come in.
    Approve,
}

/// What it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Yes,
    No,
    /// Something that is no answer: a signature of somebody else, an approval of who asks.
    Wrong,
    /// Never anything.
    Nothing,
}

/// This question, so many before it having been answered with yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub question: Question,
    pub at: usize,
    pub answer: Answer,
}

impl Question {
    pub const ALL: [Self; 4] = [Self::Page, Self::Connect, Self::Sign, Self::Approve];
}
