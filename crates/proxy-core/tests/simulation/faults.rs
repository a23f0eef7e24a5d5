//! Whatever people do: at every step of it, everything that can go wrong does.

use proxy_core::Leg;

use crate::nested::{self, Op as Inside};
use crate::play::flows;
use crate::play::session::{Answer, Fault, Law, Op, Question, perform};
use crate::play::shrink::failure;
use crate::sim::tree::Signer;

#[test]
fn every_question_of_every_flow_may_be_answered_with_no_or_never() {
    let mut faults = 0;
    for flow in flows::all() {
        let asked = perform(&flow.config, &flow.ops, None);
        for (question, count) in asked {
            for at in 0..count {
                for answer in [Answer::No, Answer::Nothing, Answer::Wrong] {
                    let has_wrong = matches!(question, Question::Sign | Question::Approve);
                    if answer == Answer::Wrong && !has_wrong {
                        continue;
                    }
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
        Op::Watch,
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

/// People who jump twice, do something at each level, and leave from the inside out.
fn jumping() -> Vec<Inside> {
    let mut ops = vec![Inside::Jump(0), Inside::Jump(1)];
    for level in 0..3 {
        ops.push(Inside::Shell(level));
        for leg in [Leg::Client, Leg::Target] {
            ops.push(Inside::Data(level, leg, 20_000));
        }
    }
    ops.extend([
        Inside::Wait(1000),
        Inside::Leave(1, Leg::Client),
        Inside::Data(1, Leg::Target, 100),
        Inside::Leave(0, Leg::Target),
        Inside::Data(0, Leg::Client, 100),
    ]);
    ops
}

/// What fails with this in front, and time for what never comes.
fn holds(fault: Inside) -> Option<String> {
    let mut ops = jumping();
    ops.insert(0, fault);
    for at in [ops.len(), 3, 2, 1] {
        ops.insert(at, Inside::Wait(40_000));
    }
    failure(|| drop(nested::replay(&nested::Config::plain(), &ops)))
}

#[test]
fn every_page_and_every_signature_of_sessions_inside_sessions_may_fail_or_never_come() {
    let (pages, signatures) = nested::count(&jumping());
    assert!(pages.iter().all(|count| *count > 5), "{pages:?}");
    assert_eq!(signatures, 3);
    let mut faults = Vec::new();
    for (level, count) in pages.into_iter().enumerate() {
        for page in 0..count {
            faults.push(Inside::DiskFailsAt(level, page));
            faults.push(Inside::DiskStallsAt(level, page));
        }
    }
    for at in 0..signatures {
        for signer in [Signer::Refuses, Signer::SaysNothing, Signer::IsAnother] {
            faults.push(Inside::Signs(at, signer));
        }
    }
    for fault in faults {
        if let Some(words) = holds(fault.clone()) {
            panic!("{fault:?}: {words}");
        }
    }
}

#[test]
fn anything_may_come_between_any_two_steps_of_who_jumps() {
    let events = [
        Inside::Dismiss(0),
        Inside::Dismiss(1),
        Inside::Dismiss(2),
        Inside::Shutdown,
        Inside::Rules(0),
        Inside::Rules(1),
        Inside::Rules(2),
        Inside::Silence,
        Inside::DiskFails(1),
        Inside::Close(Leg::Client),
        Inside::Close(Leg::Target),
        Inside::Leave(0, Leg::Client),
        Inside::Stall(0, Leg::Target),
    ];
    let flow = jumping();
    for at in 0..=flow.len() {
        for event in &events {
            let (before, after) = flow.split_at(at);
            let ops = [before, std::slice::from_ref(event), after].concat();
            let run = || drop(nested::replay(&nested::Config::plain(), &ops));
            if let Some(words) = failure(run) {
                panic!("{event:?} at {at}: {words}");
            }
        }
    }
}
