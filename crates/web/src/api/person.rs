//! Attendees in requests: read field by field, with every fault named.

use sloe_core::catalog::Snapshot;
use sloe_core::ids::PublicId;
use sloe_core::limits::{MAX_PLACES, MAX_SESSIONS_PER_PLACE};
use sloe_engine::claims;
use sloe_engine::engine::Engine;
use sloe_engine::error::Part;
use sloe_engine::view::{AttendeeInput, Choice};

use crate::extract::{Fields, Json, Pointer, Reader};

pub(crate) const LIST_FIELDS: &[&str] = &["attendees"];
/// Fields of an attendee for a place of a hold.
pub(crate) const PLACED_FIELDS: &[&str] =
    &["place", "first_name", "last_name", "email", "invitation", "answers"];
/// Fields of an attendee with a choice of their own.
pub(crate) const CHOOSING_FIELDS: &[&str] =
    &["item", "sessions", "first_name", "last_name", "email", "invitation", "answers"];

/// What could be read of an attendee.
#[derive(Default)]
pub(crate) struct Draft {
    pub(crate) place: Option<u16>,
    pub(crate) item: Option<PublicId>,
    pub(crate) sessions: Vec<PublicId>,
    pub(crate) input: AttendeeInput,
}

/// The attendees of a request, each with the fields `known`.
pub(crate) fn attendees(read: &mut Reader, json: &Json<'_>, known: &[&str]) -> Vec<Draft> {
    let root = Pointer::Root;
    let Some(fields) = read.object(&root, json, LIST_FIELDS) else { return Vec::new() };
    let Some(value) = fields.required(read, "attendees") else { return Vec::new() };
    let at = root.field("attendees");
    let Some(list) = read.list(&at, value, MAX_PLACES) else { return Vec::new() };
    if list.is_empty() {
        read.fault(&at, "required", "Name at least one attendee.".to_owned());
    }
    let entries = list.iter().enumerate();
    entries.map(|(index, value)| attendee(read, &at.entry(index), value, known)).collect()
}

fn attendee(read: &mut Reader, at: &Pointer<'_>, value: &Json<'_>, known: &[&str]) -> Draft {
    let Some(fields) = read.object(at, value, known) else { return Draft::default() };
    let mut draft = Draft::default();
    if known.contains(&"place") {
        let most = u16::try_from(MAX_PLACES).unwrap_or(u16::MAX);
        draft.place = fields.number(read, "place", 1..=most);
    }
    if known.contains(&"item") {
        draft.item = fields.id(read, "item");
        draft.sessions = fields.ids(read, "sessions", MAX_SESSIONS_PER_PLACE);
    }
    draft.input = AttendeeInput {
        first_name: fields.text(read, "first_name"),
        last_name: fields.text(read, "last_name"),
        email: fields.text(read, "email"),
        invitation: fields.text(read, "invitation"),
    };
    answers(read, at, fields);
    draft
}

/// Events have no questions of their own yet, so there is nothing to answer.
fn answers(read: &mut Reader, at: &Pointer<'_>, fields: Fields<'_>) {
    if let Some(value) = fields.get("answers") {
        read.object(&at.field("answers"), value, &[]);
    }
}

/// Where in a list of attendees a fault is.
pub(crate) fn pointer(index: Option<usize>, part: Part) -> String {
    let field = match part {
        Part::Item => "/item",
        Part::Sessions => "/sessions",
        Part::FirstName => "/first_name",
        Part::LastName => "/last_name",
        Part::Email => "/email",
        Part::Invitation => "/invitation",
        Part::Selection | Part::Attendees => "",
    };
    index.map_or_else(|| "/attendees".to_owned(), |index| format!("/attendees/{index}{field}"))
}

/// Adds what is wrong with the details that could be read.
pub(crate) fn check_details(
    engine: &Engine,
    read: &mut Reader,
    snapshot: &Snapshot,
    drafts: &[Draft],
) {
    let inputs: Vec<_> = drafts.iter().map(|draft| draft.input.clone()).collect();
    for fault in engine.attendee_faults(snapshot, &inputs) {
        let index = fault.place.map(|place| usize::from(place) - 1);
        read.fault_of(&fault, |fault| pointer(index, fault.part));
    }
}

/// Adds what is wrong with the choices that could be read.
pub(crate) fn check_choices(read: &mut Reader, snapshot: &Snapshot, drafts: &[Draft]) {
    for (index, draft) in drafts.iter().enumerate() {
        let Some(item) = draft.item else { continue };
        let choice = Choice { item, sessions: draft.sessions.clone() };
        for fault in claims::choice_faults(snapshot, &[choice]) {
            read.fault_of(&fault, |fault| pointer(Some(index), fault.part));
        }
    }
}
