//! Fields whose values the org works out: formulas over a record's own fields, and roll-ups over its details.

use std::collections::HashSet;

use super::{Field, Kind, Object, OnDelete, Schema};
use crate::org::formula::Formula;

/// How a field's value comes about.
#[derive(Clone, Debug)]
pub(crate) enum Computed {
    /// From other fields of the same record.
    Formula {
        /// As it was written.
        text: String,
        formula: Formula,
    },
    /// From the records of which this one is the master.
    RollUp(RollUp),
}

/// A summary of details.
#[derive(Clone, Debug)]
pub(crate) struct RollUp {
    /// The details' object.
    pub(crate) child: String,
    /// Their field that names the master.
    pub(crate) by: String,
    pub(crate) summary: Summary,
    /// What is summed up or compared; nothing where details are counted.
    pub(crate) of: Option<String>,
    /// Only details for which this is true.
    pub(crate) filter: Option<Formula>,
}

/// What is made of the details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Summary {
    Count,
    Sum,
    Min,
    Max,
}

impl Object {
    /// Whether any of its fields is worked out.
    pub(crate) fn computes(&self) -> bool {
        self.fields.iter().any(|field| field.computed.is_some())
    }
}

impl Schema {
    /// The roll-ups that count this object's records: (master's number, field's index).
    pub(crate) fn roll_ups(&self, child: usize) -> &[(usize, usize)] {
        self.roll_ups.get(child).map_or(&[], Vec::as_slice)
    }

    /// Finds all roll-ups.
    pub(super) fn find_roll_ups(&self) -> Vec<Vec<(usize, usize)>> {
        let mut found = vec![Vec::new(); self.objects.len()];
        for (master, object) in self.objects.iter().enumerate() {
            for (index, field) in object.fields.iter().enumerate() {
                if let Some(Computed::RollUp(roll_up)) = &field.computed
                    && let Some(list) = self.find(&roll_up.child).and_then(|c| found.get_mut(c))
                {
                    list.push((master, index));
                }
            }
        }
        found
    }

    /// Refuses fields that can't be worked out.
    pub(super) fn check_computed(&self) -> Result<(), String> {
        for object in &self.objects {
            for field in &object.fields {
                let checked = match &field.computed {
                    Some(Computed::RollUp(roll_up)) => self.check_roll_up(object, field, roll_up),
                    Some(Computed::Formula { formula, .. }) => check_formula(object, formula),
                    None => Ok(()),
                };
                checked.map_err(|e| format!("{}.{}: {e}", object.name, field.name))?;
            }
            check_order(object)?;
        }
        Ok(())
    }

    fn check_roll_up(&self, master: &Object, own: &Field, roll_up: &RollUp) -> Result<(), String> {
        let RollUp { child, by, summary, of, filter } = roll_up;
        let details = self.get(child).ok_or_else(|| format!("there is no object {child}"))?;
        let reference = details.field(by).and_then(Field::reference);
        if !reference.is_some_and(|r| r.to == master.name && r.on_delete == OnDelete::Cascade) {
            return Err(format!("{child}.{by} is no master-detail field to {}", master.name));
        }
        let is_number = |field: &Field| matches!(field.kind, Kind::Number(..) | Kind::Currency(..));
        match (of, summary) {
            (None, Summary::Count) => {}
            (Some(_), Summary::Count) => return Err("count takes no field".to_owned()),
            (None, _) => return Err("a field of the details is to be given".to_owned()),
            (Some(of), _) => {
                let of = details.field(of).ok_or_else(|| format!("{child} has no field {of}"))?;
                if *summary == Summary::Sum && !is_number(of) {
                    return Err(format!("{child}.{} is no number", of.name));
                }
            }
        }
        if matches!(summary, Summary::Count | Summary::Sum) && !is_number(own) {
            return Err("it has to be a number".to_owned());
        }
        filter.as_ref().map_or(Ok(()), |filter| check_formula(details, filter))
    }
}

fn check_formula(object: &Object, formula: &Formula) -> Result<(), String> {
    if let Some(name) = formula.fields().into_iter().find(|name| object.find(name).is_none()) {
        return Err(format!("{} has no field {name}", object.name));
    }
    if formula.looks_back() {
        return Err("ISNEW, ISCHANGED and PRIORVALUE are for validation rules".to_owned());
    }
    Ok(())
}

/// Refuses formulas that need each other.
fn check_order(object: &Object) -> Result<(), String> {
    let mut open: Vec<(&str, &Formula)> = Vec::new();
    open.extend(object.fields.iter().filter_map(|field| match &field.computed {
        Some(Computed::Formula { formula, .. }) => Some((field.name.as_str(), formula)),
        _ => None,
    }));
    while !open.is_empty() {
        let names: HashSet<String> =
            open.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        let before = open.len();
        open.retain(|(_, formula)| {
            formula.fields().iter().any(|name| names.contains(&name.to_ascii_lowercase()))
        });
        if let Some((name, _)) = open.first().filter(|_| open.len() == before) {
            return Err(format!("{}.{name}: its formula needs itself", object.name));
        }
    }
    Ok(())
}
