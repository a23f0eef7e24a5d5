//! The logs of a tree, as somebody with the key reads them while they grow.

use std::time::Duration;

use proxy_core::{Input, Leg, PerLeg, SessionId};
use session_log::{Event, Reader, ReaderConfig, Record};

use super::{Log, Tree, recipient};

impl Tree {
    /// Whether this page of it gets no answer.
    pub(super) fn is_stalled(&self, id: SessionId) -> bool {
        let pages = self.logs.get(&id).map_or(0, |log| log.pages);
        let mut stalls = self.log_stalls.iter();
        let begins = |(at, page): &(usize, usize)| *at == self.depths[&id] && *page <= pages;
        self.log_is_silent || (stalls.any(begins) && !self.forgotten.contains(&id))
    }

    pub fn answer_log(&mut self) {
        self.log_is_silent = false;
        self.answer_pages();
        self.run();
    }

    /// The disk has written what it was given so far.
    pub fn answer_pages(&mut self) {
        for (id, page) in std::mem::take(&mut self.unanswered) {
            self.write_log(id, &page);
        }
    }

    pub(super) fn write_log(&mut self, id: SessionId, page: &[u8]) {
        if self.forgotten.contains(&id) {
            return;
        }
        let level = self.depths[&id];
        let log = self.logs.entry(id).or_insert_with(|| Log {
            reader: Reader::new(ReaderConfig {
                identities: vec![recipient()],
                ..ReaderConfig::default()
            }),
            records: Vec::new(),
            recorded: PerLeg::default(),
            bytes: Vec::new(),
            last: Duration::ZERO,
            pages: 0,
        });
        let fails = self
            .log_fails
            .is_some_and(|(at, page)| at == level && page <= log.pages);
        log.pages += 1;
        if fails {
            return self.session.handle(Input::LogFailed(id), self.now);
        }
        log.bytes.extend_from_slice(page);
        log.reader.push(page);
        while let Some(event) = log.reader.poll() {
            if let Event::Record(view) = event {
                match view.record {
                    Record::Input(data) => log.recorded.client.extend_from_slice(data),
                    Record::Output(data) => log.recorded.target.extend_from_slice(data),
                    _ => {}
                }
                log.last = Duration::from_micros(view.t_us);
                log.records
                    .push(format!("{} {:?}", view.channel, view.record));
            }
        }
        self.session.handle(Input::LogWritten(id), self.now);
    }

    /// I2, at every single output and every level: what a peer has got is in the log that was written before.
    pub(super) fn check_recorded_before_released(&mut self) {
        for level in 0..self.levels.len() {
            let id = self.id_at(level);
            let it = &mut self.levels[level];
            for leg in [Leg::Client, Leg::Target] {
                let got = &it.data[leg.other()];
                let checked = std::mem::replace(&mut it.checked[leg], got.len());
                let log = id.and_then(|id| self.logs.get(&id));
                let recorded = log.map_or(&[][..], |log| &log.recorded[leg]);
                // Of a session in whose place another has begun, nothing new comes.
                if checked == got.len() {
                    continue;
                }
                assert!(
                    recorded.get(checked..got.len()) == Some(&got[checked..]),
                    "level {level}: data of the {leg:?} passed before it was recorded"
                );
            }
        }
    }

    /// The disk never tells of what it was given.
    pub fn forget_unanswered(&mut self) {
        let ids = self.unanswered.drain(..).map(|(id, _)| id);
        self.forgotten.extend(ids);
    }

    /// How many pages the log of a level has.
    pub fn pages(&self, level: usize) -> usize {
        let log = self.ids.get(level).and_then(|id| self.logs.get(id));
        log.map_or(0, |log| log.pages)
    }
}
