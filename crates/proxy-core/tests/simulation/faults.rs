//! Whatever people do: at every step of it, everything that can go wrong does.

use proxy_core::Leg;

use crate::play::flows;
use crate::play::session::{Answer, Fault, Law, Op, perform};
use crate::play::shrink::failure;

#[test]
fn every_question_of_every_flow_may_be_answered_with_no_or_never() {
    let mut faults = 0;
    for flow in flows::all() {
        let asked = perform(&flow.config, &flow.ops, None);
        for (question, count) in asked {
            for at in 0..count {
                for answer in [Answer::No, Answer::Nothing] {
                    let fault = Fault {
                        question,
                        at,
                        answer,
                    };
                    let run = || drop(perform(&flow.config, &flow.ops, Some(fault)));
                    if let Some(words) = failure(run) {
                        panic!("{} with {fault:?}: {words}", flow.name);
                    }
                    faults += 1;
                }
            }
        }
    }
    assert!(faults > 200, "{faults} faults");
}

#[test]
fn anything_may_come_between_any_two_steps_of_every_flow() {
    let events = [
        Op::Close(Leg::Client),
        Op::Close(Leg::Target),
        Op::Shutdown,
        Op::Dismiss,
        Op::Rules(Law::Nothing),
        Op::Rules(Law::Same),
        Op::Rekey(Leg::Client),
        Op::Rekey(Leg::Target),
        Op::Wait(60_000),
        Op::Garbage(Leg::Client, vec![0xff; 64]),
        Op::Garbage(Leg::Target, vec![0xff; 64]),
    ];
    for flow in flows::all() {
        for at in 0..=flow.ops.len() {
            for event in &events {
                let (before, after) = flow.ops.split_at(at);
                // Once while all is quiet, and once with a page of the log on its way.
                for pause in [vec![Op::Run], vec![Op::Move]] {
                    let ops = [before, &pause, std::slice::from_ref(event), after].concat();
                    if let Some(words) = failure(|| drop(perform(&flow.config, &ops, None))) {
                        panic!(
                            "{} with {event:?} at {at} after {pause:?}: {words}",
                            flow.name
                        );
                    }
                }
            }
        }
    }
}
