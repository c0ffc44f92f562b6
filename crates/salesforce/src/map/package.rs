//! What Sloe's own package calls everything: the mapping of an org that has no other.

use std::collections::BTreeMap;

use super::keys::{self, ReadKey, WriteKey};
use super::{
    Column, ExternalRule, FigureNames, Mapping, ReadNames, StatusWords, Times, WriteNames,
};

impl Default for Mapping {
    /// Sloe's own package, without a namespace.
    fn default() -> Self {
        let child = |children| Some(("Event__c", children));
        Self {
            event: read("Sloe_Event__c", None, keys::EVENT),
            item: read("Sloe_Item__c", child("Items__r"), keys::ITEM),
            session: read("Sloe_Session__c", child("Sessions__r"), keys::SESSION),
            attendee: write("Sloe_Attendee__c", keys::ATTENDEE),
            session_attendee: WriteNames {
                parent: Some("Attendee__r".into()),
                masters: vec![Column::Attendee],
                ..write("Sloe_Session_Attendee__c", keys::SESSION_ATTENDEE)
            },
            times: Times::Utc,
        }
    }
}

/// An object that Sloe reads; a child has a lookup to the event, and a name there.
fn read(object: &str, child: Option<(&str, &str)>, keys: &[ReadKey]) -> ReadNames {
    ReadNames {
        object: object.into(),
        fields: keys.iter().map(|key| (key.field, key.package.into())).collect(),
        event: child.map(|(lookup, _)| lookup.into()),
        children: child.map(|(_, children)| children.into()),
        figures: FigureNames {
            sold: Some("Sold__c".into()),
            held: Some("Held__c".into()),
            remaining: Some("Remaining__c".into()),
        },
        values: BTreeMap::new(),
        fallback: BTreeMap::new(),
    }
}

fn write(object: &str, keys: &[WriteKey]) -> WriteNames {
    WriteNames {
        object: object.into(),
        key: "Sloe_Id__c".into(),
        version: Some("Sloe_Version__c".into()),
        columns: keys.iter().map(|key| (key.column, key.package.into())).collect(),
        parent: None,
        masters: Vec::new(),
        statuses: StatusWords::default(),
        external: ExternalRule::default(),
        constants: BTreeMap::new(),
        defaults: BTreeMap::new(),
    }
}
