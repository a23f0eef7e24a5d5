//! What happens next.

use proxy_core::Leg;

use super::super::choices::Choices;
use super::super::generate;
use super::{Answer, Law, Op, World};

impl World {
    pub(super) fn choose(&self, choices: &mut Choices<'_>) -> Op {
        let leg = if choices.chance(128) {
            Leg::Client
        } else {
            Leg::Target
        };
        let end = match leg {
            Leg::Client => Some(&self.person),
            Leg::Target => self.host.as_ref(),
        };
        let amount = choices.pick(&[1, 7, 100, 4000, 300_000]).unwrap_or(1);
        if !self.watch.has_begun() && choices.chance(245) {
            return Self::choose_before_login(leg, amount, choices);
        }
        match choices.below(128) {
            0..50 => match end.filter(|end| end.is_in) {
                Some(end) => {
                    let packet = generate::packet(&end.peer, self.config.mischief, choices);
                    Op::Say(leg, packet)
                }
                None => Op::Run,
            },
            50..65 => Op::Bring(leg, amount),
            65..80 => Op::Take(leg, amount),
            80..95 => Op::Page(!choices.chance(4)),
            95..97 => Op::Connect(!choices.chance(20)),
            97..99 => Op::Sign(Answer::choose(choices)),
            110 if choices.chance(60) => Op::Watch,
            111 if choices.chance(60) => Op::Approve(Answer::choose(choices)),
            99..101 => Op::Wait(choices.pick(&[1, 50, 1000, 6000, 40_000]).unwrap_or(1)),
            101 if choices.chance(60) => {
                Op::Wait(choices.pick(&[301_000, 301_000, 600_000]).unwrap_or(1))
            }
            102 if choices.chance(60) => Op::Rules(Law::choose(choices)),
            103 if choices.chance(12) => Op::Shutdown,
            109 if choices.chance(12) => Op::Dismiss,
            104 if choices.chance(40) => Op::Close(leg),
            105 | 106 => Op::Rekey(leg),
            108 if choices.chance(60) => Op::Flood(leg),
            107 if choices.chance(10 * self.config.mischief.min(2)) => {
                let len = choices.below(40);
                Op::Garbage(leg, choices.bytes(len))
            }
            _ => Op::Run,
        }
    }

    fn choose_before_login(leg: Leg, amount: usize, choices: &mut Choices<'_>) -> Op {
        match choices.below(64) {
            0..10 => Op::Bring(leg, amount),
            10..20 => Op::Take(leg, amount),
            20..30 => Op::Move,
            30..40 => Op::Page(!choices.chance(60)),
            40..50 => Op::Connect(!choices.chance(10)),
            50..55 => Op::Sign(Answer::choose(choices)),
            55..57 => Op::Approve(Answer::choose(choices)),
            57 => Op::Watch,
            58 if choices.chance(128) => Op::Wait(choices.pick(&[1, 6000, 31_000]).unwrap_or(1)),
            59 if choices.chance(40) => Op::Rules(Law::choose(choices)),
            60 if choices.chance(20) => Op::Shutdown,
            62 if choices.chance(20) => Op::Dismiss,
            61 if choices.chance(40) => Op::Close(leg),
            _ => Op::Move,
        }
    }
}

impl Answer {
    fn choose(choices: &mut Choices<'_>) -> Self {
        match choices.below(16) {
            0 => Self::No,
            1 => Self::Wrong,
            _ => Self::Yes,
        }
    }
}
