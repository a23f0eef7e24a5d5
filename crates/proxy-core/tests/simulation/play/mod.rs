//! A world in which anything may happen: peers that say what they like, a model of what may pass, and operations that can be played
//! again, one by one.

#![allow(dead_code, reason = "tests and fuzz target use their parts")]

pub mod choices;
pub mod ends;
pub mod flows;
mod generate;
pub mod grants;
mod noted;
mod oracle;
mod peer;
pub mod relay;
pub mod session;
pub mod shrink;
mod wire;
