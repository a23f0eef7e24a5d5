//! Rule groups: their names, what they use, circles, and how much one decision costs with all of them unfolded.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::contradictions::{self, Contradiction};
use super::reader::{Fields, Node, Quoted, Reader, nearest};
use super::{rules, values};
use crate::limits::{MAX_DECISION_STEPS, MAX_GROUP_DEPTH};
use crate::rules::{Rule, RuleGroup, Rules};

pub(crate) const GROUP_FIELDS: &[&str] = &["exclude", "include", "name", "require"];

/// The names of the rule groups, by which rules refer to them.
pub(super) struct GroupNames {
    indices: BTreeMap<Box<str>, usize>,
    used: Vec<bool>,
}

/// Rule groups without circles.
pub(super) struct Groups {
    pub(super) groups: Vec<RuleGroup>,
    /// What each costs, unfolded.
    pub(super) steps: Vec<u64>,
}

impl GroupNames {
    pub(super) fn read(reader: &mut Reader<'_>, document: &Fields<'_>) -> Self {
        let mut names = Self {
            indices: BTreeMap::new(),
            used: Vec::new(),
        };
        let Some(list) = document.get("rule_group") else {
            return names;
        };
        for (index, item) in reader.array(&list).enumerate() {
            names.used.push(false);
            let Some(node) = item.field("name") else {
                continue;
            };
            let Some(name) = node.as_str() else { continue };
            if names.indices.contains_key(name) {
                let what = format!("there is another rule group {}", Quoted(name));
                reader.problem(&node, what, "write a name of its own");
            } else {
                names.indices.insert(name.into(), index);
            }
        }
        names
    }

    /// The index of a rule group, noting that it is used.
    pub(super) fn resolve(&mut self, reader: &mut Reader<'_>, node: &Node<'_>) -> Option<usize> {
        let name = reader.string(node)?;
        if let Some(index) = self.indices.get(name).copied() {
            if let Some(used) = self.used.get_mut(index) {
                *used = true;
            }
            return Some(index);
        }
        let known: Vec<&str> = self.indices.keys().map(|name| &**name).collect();
        let what = format!("there is no rule group {}", Quoted(name));
        match nearest(name, &known) {
            Some(near) => {
                let help = format!(
                    "write {}, or add a `[[rule_group]]` of that name",
                    Quoted(near)
                );
                reader.problem(node, what, help);
            }
            None => reader.problem(node, what, "add a `[[rule_group]]` of that name"),
        }
        None
    }

    /// The rule groups, unless something is wrong with one.
    pub(super) fn load(
        &mut self,
        reader: &mut Reader<'_>,
        document: &Fields<'_>,
    ) -> Option<Groups> {
        let list = document.get("rule_group");
        let items = list.as_ref().map_or_else(Vec::new, Node::items);
        let loaded: Vec<_> = items.iter().map(|item| group(reader, item, self)).collect();
        let groups = loaded.into_iter().collect::<Option<Vec<_>>>()?;
        let steps = unfold(reader, &items, &groups)?;
        Some(Groups { groups, steps })
    }

    pub(super) fn warn_unused(&self, reader: &mut Reader<'_>, document: &Fields<'_>) {
        let list = document.get("rule_group");
        let items = list.as_ref().map_or_else(Vec::new, Node::items);
        for (item, used) in items.iter().zip(&self.used) {
            if !used {
                let help = "use it in a rule, `{ rule_group = \"…\" }`, or remove it";
                reader.warn(item, "nothing uses this rule group", help);
            }
        }
    }
}

fn group(reader: &mut Reader<'_>, node: &Node<'_>, names: &mut GroupNames) -> Option<RuleGroup> {
    let fields = reader.table(node, GROUP_FIELDS)?;
    let name = reader.required(&fields, "name", "write a name, by which rules refer to it");
    let name = name.and_then(|node| values::name(reader, &node));
    let rules = rules::load(reader, &fields, names);
    // Of a group nobody can be in, an exclude would keep out nobody: this is never a harmless mistake.
    if let Some(Contradiction { what, help }) = contradictions::find(&rules) {
        reader.problem(node, what, help);
    }
    Some(RuleGroup {
        name: name?.into(),
        rules,
    })
}

/// The cost of each group with the groups in it unfolded, from the innermost outwards.
fn unfold(reader: &mut Reader<'_>, items: &[Node<'_>], groups: &[RuleGroup]) -> Option<Vec<u64>> {
    let uses: Vec<Vec<usize>> = groups
        .iter()
        .map(|group| references(&group.rules))
        .collect();
    let mut used_by: Vec<Vec<usize>> = alloc::vec![Vec::new(); groups.len()];
    let mut open: Vec<usize> = uses.iter().map(Vec::len).collect();
    for (user, used) in uses.iter().enumerate() {
        for index in used {
            if let Some(users) = used_by.get_mut(*index) {
                users.push(user);
            }
        }
    }
    let mut steps = alloc::vec![0; groups.len()];
    let mut depths = alloc::vec![0_usize; groups.len()];
    let mut ready: VecDeque<usize> = (0..groups.len())
        .filter(|index| open.get(*index) == Some(&0))
        .collect();
    let mut done = 0_usize;
    while let Some(index) = ready.pop_front() {
        done = done.saturating_add(1);
        let cost = groups
            .get(index)
            .map_or(0, |group| cost(&group.rules, &steps));
        let inner = uses
            .get(index)
            .into_iter()
            .flatten()
            .filter_map(|used| depths.get(*used))
            .max();
        let depth = inner.map_or(1, |inner| inner.saturating_add(1));
        if let (Some(steps), Some(slot)) = (steps.get_mut(index), depths.get_mut(index)) {
            *steps = cost;
            *slot = depth;
        }
        for user in used_by.get(index).into_iter().flatten() {
            if let Some(open) = open.get_mut(*user) {
                *open = open.saturating_sub(1);
                if *open == 0 {
                    ready.push_back(*user);
                }
            }
        }
    }
    if done < groups.len() {
        report_circle(reader, items, groups, &uses, &open);
        return None;
    }
    let (deepest, depth) = depths
        .iter()
        .enumerate()
        .max_by_key(|(_, depth)| **depth)
        .unwrap_or((0, &0));
    if *depth > MAX_GROUP_DEPTH {
        if let Some(item) = items.get(deepest) {
            let what = format!("rule groups are nested {depth} deep, more than {MAX_GROUP_DEPTH}");
            reader.problem(item, what, "name the innermost groups directly");
        }
        return None;
    }
    Some(steps)
}

/// The groups that the rules name, once for each time.
fn references(rules: &Rules) -> Vec<usize> {
    let named = rules.iter().filter_map(|(_, rule)| match rule {
        Rule::Groups(indices) => Some(indices.iter().copied()),
        Rule::Selector(_) => None,
    });
    named.flatten().collect()
}

/// The rules and values of `rules`, unfolded.
fn cost(rules: &Rules, steps: &[u64]) -> u64 {
    let costs = rules.iter().map(|(_, rule)| match rule {
        Rule::Selector(selector) => selector.steps(),
        Rule::Groups(indices) => indices
            .iter()
            .filter_map(|index| steps.get(*index))
            .fold(0, |sum: u64, cost| sum.saturating_add(*cost)),
    });
    costs.fold(0, |sum: u64, cost| {
        sum.saturating_add(cost).saturating_add(1)
    })
}

/// Names one circle: every group that is still open uses another open one, so following them comes back to where it was.
fn report_circle(
    reader: &mut Reader<'_>,
    items: &[Node<'_>],
    groups: &[RuleGroup],
    uses: &[Vec<usize>],
    open: &[usize],
) {
    const MAX_SHOWN: usize = 8;
    let is_open = |index: &usize| open.get(*index).is_some_and(|count| *count > 0);
    let Some(mut at) = (0..groups.len()).find(is_open) else {
        return;
    };
    let mut way: Vec<usize> = Vec::new();
    let mut visited = BTreeSet::new();
    while visited.insert(at) {
        way.push(at);
        let Some(next) = uses
            .get(at)
            .into_iter()
            .flatten()
            .copied()
            .find(|index| is_open(index))
        else {
            return;
        };
        at = next;
    }
    let circle: Vec<usize> = way
        .into_iter()
        .skip_while(|index| *index != at)
        .chain([at])
        .collect();
    let mut names = String::new();
    for group in circle
        .iter()
        .take(MAX_SHOWN)
        .filter_map(|index| groups.get(*index))
    {
        let separator = if names.is_empty() { "" } else { " uses " };
        names = format!("{names}{separator}{}", Quoted(&group.name));
    }
    if circle.len() > MAX_SHOWN {
        names.push_str(" and so on");
    }
    if let Some(item) = items.get(at) {
        reader.problem(
            item,
            format!("rule groups go in a circle: {names}"),
            "take one of these uses out",
        );
    }
}

/// Refuses a document whose worst decision would cost too much.
pub(super) fn check_steps<'r>(
    reader: &mut Reader<'_>,
    document: &Fields<'_>,
    steps: &[u64],
    all: impl Iterator<Item = &'r Rules>,
) {
    let total = all.fold(0, |sum: u64, rules| sum.saturating_add(cost(rules, steps)));
    if total > MAX_DECISION_STEPS {
        let what = format!(
            "one decision may have to look at {total} rules and values, more than {MAX_DECISION_STEPS}"
        );
        reader.problem(
            &document.node(),
            what,
            "write long lists as groups of your identity provider, and nest rule groups less",
        );
    }
}
