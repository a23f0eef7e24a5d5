//! Finding the few applications, policies and rules that a request can concern among the many that it cannot.
//!
//! The index only ever narrows: what it finds is looked at again, exactly, in the order of the document, and what it does not
//! find could not have matched. Two keys with one hash therefore cost a look and change no decision.

mod keys;
mod postings;

use alloc::vec::Vec;
use core::ops::Range;

use keys::{GroupKeys, PrefixLengths, application_keys, policy_keys, rule_keys, target_keys};
pub(crate) use postings::Candidates;
use postings::Postings;

use crate::facts::Facts;
use crate::request::Target;
use crate::rules::{Rule, RuleGroup, Rules};
use crate::set::{Application, Attached};

/// A list of at most this many is looked at whole: a handful of comparisons costs less than hashing.
const FEW: usize = 8;

/// The applications by target, and the policies by whom they are about.
#[derive(Debug, Default)]
pub(crate) struct Index {
    applications: Postings,
    /// Policies are numbered through, in the order of the document.
    policies: Postings,
    lengths: PrefixLengths,
    /// For each application, the numbers of its policies.
    numbers: Vec<Range<u32>>,
}

/// What of a set a request can concern.
pub(crate) enum Narrowed {
    /// These applications, by their place in the document.
    Applications(Candidates),
    /// The target fits many applications; the identity fits only these policies, by number.
    Policies(Candidates),
    Everything,
}

impl Narrowed {
    /// The applications by their place, in the order of the document, each with the policies picked from it if any were.
    pub(crate) fn picked<'c>(
        &'c self,
        index: &'c Index,
    ) -> impl Iterator<Item = (usize, Option<&'c [u32]>)> {
        let (applications, policies, all): (&[u32], &[u32], _) = match self {
            Self::Applications(few) => (few.as_slice(), &[], 0),
            Self::Policies(few) => (&[], few.as_slice(), 0),
            Self::Everything => (&[], &[], index.numbers.len()),
        };
        let home = |number: &u32| index.application_of(*number);
        let runs = policies.chunk_by(move |one, other| home(one) == home(other));
        applications
            .iter()
            .map(|number| (place(*number), None))
            .chain(runs.filter_map(move |run| Some((home(run.first()?), Some(run)))))
            .chain((0..all).map(|place| (place, None)))
    }

    /// The places of all applications that can be about the target, in the order of the document.
    pub(crate) fn applications(&self, index: &Index) -> impl Iterator<Item = usize> {
        let (few, all): (&[u32], _) = match self {
            Self::Applications(few) => (few.as_slice(), 0),
            Self::Policies(_) | Self::Everything => (&[], index.numbers.len()),
        };
        few.iter().map(|number| place(*number)).chain(0..all)
    }
}

/// An application with those of its policies that a request can concern.
#[derive(Clone, Copy)]
pub(crate) struct View<'s, 'c> {
    pub(crate) application: &'s Application,
    /// The number of the first policy.
    first: u32,
    /// The numbers of the policies, or all.
    picked: Option<&'c [u32]>,
}

impl<'s, 'c> View<'s, 'c> {
    /// The whole application.
    pub(crate) fn whole(application: &'s Application) -> Self {
        Self {
            application,
            first: 0,
            picked: None,
        }
    }

    /// The policies in the order of the document.
    pub(crate) fn policies(self) -> impl Iterator<Item = &'s Attached> {
        let all = match self.picked {
            Some(_) => &[],
            None => &*self.application.policies,
        };
        let picked = self.picked.unwrap_or_default().iter();
        let policies = &self.application.policies;
        picked
            .filter_map(move |number| policies.get(place(number.checked_sub(self.first)?)))
            .chain(all)
    }
}

impl Index {
    pub(crate) fn new(applications: &[Application], groups: &[RuleGroup]) -> Self {
        let mut numbers = Vec::with_capacity(applications.len());
        let mut next = 0_u32;
        for application in applications {
            let first = next;
            next = next.saturating_add(count(application.policies.len()));
            numbers.push(first..next);
        }
        let policies = applications
            .iter()
            .flat_map(|application| &application.policies);
        let mut group_keys = GroupKeys::new(groups);
        let own = policies.clone().map(|attached| &attached.policy.rules);
        let all = own.chain(groups.iter().map(|group| &group.rules));
        Self {
            lengths: PrefixLengths::of(all.flat_map(Rules::iter).map(|(_, rule)| rule)),
            applications: Postings::new(applications.iter().map(application_keys)),
            policies: Postings::new(
                policies.map(|attached| policy_keys(attached, &mut group_keys)),
            ),
            numbers,
        }
    }

    /// What of the whole set a request can concern.
    pub(crate) fn narrow(&self, facts: &Facts<'_>) -> Narrowed {
        let target = facts.request.target;
        if let Some(applications) = self.applications_about(target) {
            return Narrowed::Applications(applications);
        }
        let all = 0..self.numbers.last().map_or(0, |range| range.end);
        match self
            .policies
            .gather(all, |look| facts.each_key(&self.lengths, look))
        {
            Some(policies) => Narrowed::Policies(policies),
            None => Narrowed::Everything,
        }
    }

    /// The applications that can be about the target; nothing if they are many.
    fn applications_about(&self, target: &Target) -> Option<Candidates> {
        let all = 0..count(self.numbers.len());
        self.applications
            .gather(all, |look| target_keys(target, look))
    }

    /// Those policies of an application, by number, that a request can concern; nothing if it can concern all or many.
    pub(crate) fn pick(&self, application: usize, facts: &Facts<'_>) -> Option<Candidates> {
        let range = self.numbers.get(application)?;
        if range.len() <= FEW {
            return None;
        }
        self.policies
            .gather(range.clone(), |look| facts.each_key(&self.lengths, look))
    }

    /// An application with the policies picked from it.
    pub(crate) fn view<'s, 'c>(
        &self,
        applications: &'s [Application],
        application: usize,
        picked: Option<&'c [u32]>,
    ) -> Option<View<'s, 'c>> {
        Some(View {
            application: applications.get(application)?,
            first: self.numbers.get(application)?.start,
            picked,
        })
    }

    /// The place of the application that policy number `number` stands in.
    fn application_of(&self, number: u32) -> usize {
        self.numbers.partition_point(|range| range.end <= number)
    }
}

/// Finds the rules of one long `include` that a request can meet.
#[derive(Debug)]
pub(crate) struct RuleIndex {
    rules: Postings,
    lengths: PrefixLengths,
}

impl RuleIndex {
    /// An index if the list is long enough to need one. Rule groups are always looked at.
    pub(crate) fn new(rules: &[Rule]) -> Option<Self> {
        (rules.len() > FEW).then(|| Self {
            rules: Postings::new(rules.iter().map(rule_keys)),
            lengths: PrefixLengths::of(rules.iter()),
        })
    }

    /// The places of the rules that can match; nothing if they are many.
    pub(crate) fn pick(&self, rules: &[Rule], facts: &Facts<'_>) -> Option<Candidates> {
        self.rules.gather(0..count(rules.len()), |look| {
            facts.each_key(&self.lengths, look);
        })
    }
}

/// Documents have fewer than 2^32 bytes, so nothing in one is counted beyond that.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// A place in a list.
pub(crate) fn place(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
