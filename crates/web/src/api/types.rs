//! What the API takes and answers, as it is written on the wire.

use serde::Serialize;
use sloe_core::ids::PublicId;
use sloe_core::money::Price;
use utoipa::ToSchema;

/// An event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Event {
    /// Its id: public, and the same for as long as the event exists.
    pub(crate) id: String,
    /// Last part of its page's address.
    pub(crate) slug: String,
    /// Its name.
    pub(crate) name: String,
    /// `scheduled` or `cancelled`.
    pub(crate) status: EventStatus,
    /// When it begins, in UTC.
    #[schema(format = DateTime)]
    pub(crate) starts_at: String,
    /// When it ends, in UTC.
    #[schema(format = DateTime)]
    pub(crate) ends_at: String,
    /// The IANA zone that its times are told in.
    #[schema(examples("Europe/Berlin"))]
    pub(crate) time_zone: String,
    /// Seats left of the event as a whole; null when unlimited.
    pub(crate) left: Option<u32>,
    /// Its ticket types, in the organizer's order.
    pub(crate) items: Vec<Item>,
    /// Its sessions, by time.
    pub(crate) sessions: Vec<Session>,
}

/// Whether an event takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EventStatus {
    /// It does.
    Scheduled,
    /// The organizer called it off.
    Cancelled,
}

/// A ticket type.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Item {
    /// Its id.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// Null is free.
    pub(crate) price: Option<Amount>,
    /// How many can be had, the event's own limit included; null when unlimited.
    pub(crate) left: Option<u32>,
}

/// A price.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Amount {
    /// A decimal with as many digits as the currency has.
    #[schema(examples("12.50"))]
    pub(crate) amount: String,
    /// ISO 4217.
    #[schema(examples("EUR"))]
    pub(crate) currency: String,
}

impl From<&Price> for Amount {
    fn from(price: &Price) -> Self {
        Self { amount: price.amount(), currency: price.currency.code().to_owned() }
    }
}

/// A session.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Session {
    /// Its id.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// When it begins, in UTC.
    #[schema(format = DateTime)]
    pub(crate) starts_at: String,
    /// When it ends, in UTC.
    #[schema(format = DateTime)]
    pub(crate) ends_at: String,
    /// Seats left; null when unlimited.
    pub(crate) left: Option<u32>,
}

/// A page of a list of events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventPage {
    /// Upcoming events by start.
    pub(crate) data: Vec<Event>,
    /// What to send as `after` for the next page; null on the last one.
    pub(crate) next: Option<String>,
}

/// What is left of an event, at most a second old.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Availability {
    /// Of the event as a whole; null when unlimited.
    pub(crate) left: Option<u32>,
    /// Of each ticket type.
    pub(crate) items: Vec<Left>,
    /// Of each session.
    pub(crate) sessions: Vec<Left>,
}

/// What is left of a ticket type or session.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Left {
    /// Which.
    pub(crate) id: String,
    /// Null when unlimited.
    pub(crate) left: Option<u32>,
}

/// Which seats to hold.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "read field by field, so that every fault can be named")]
#[serde(deny_unknown_fields)]
pub(crate) struct HoldRequest {
    /// What is wanted; at most 50 units together.
    #[schema(min_items = 1, max_items = 50)]
    lines: Vec<Line>,
}

/// Some units of one ticket type, all with the same sessions.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    /// Id of the ticket type.
    #[schema(value_type = String)]
    pub(crate) item: PublicId,
    /// How many.
    #[schema(minimum = 1, maximum = 50)]
    pub(crate) quantity: u16,
    /// Ids of the sessions that each unit takes part in.
    #[schema(value_type = Vec<String>, required = false, max_items = 16)]
    pub(crate) sessions: Vec<PublicId>,
}

/// A hold: seats taken for a while.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Hold {
    /// Its opaque id. Whoever has it may confirm or release the hold.
    pub(crate) id: String,
    /// When its seats go back, in UTC.
    #[schema(format = DateTime)]
    pub(crate) expires_at: String,
    /// One per unit.
    pub(crate) places: Vec<Place>,
}

/// One place of a hold.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Place {
    /// From 1; an attendee names it.
    pub(crate) place: u16,
    /// Id of its ticket type.
    pub(crate) item: String,
    /// Ids of its sessions.
    pub(crate) sessions: Vec<String>,
}

/// Who comes.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "as above")]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfirmRequest {
    /// One for each place of the hold.
    #[schema(min_items = 1, max_items = 50)]
    attendees: Vec<PlacedAttendee>,
}

/// An attendee for a place of a hold.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "as above")]
#[serde(deny_unknown_fields)]
pub(crate) struct PlacedAttendee {
    /// Which place of the hold, from 1; each once.
    #[schema(minimum = 1, maximum = 50)]
    place: u16,
    /// Needed unless the organizer says otherwise.
    #[schema(required = false)]
    first_name: String,
    /// Needed unless the organizer says otherwise.
    #[schema(required = false)]
    last_name: String,
    /// Needed unless the organizer says otherwise.
    #[schema(required = false, format = Email)]
    email: String,
    /// Token of the invitation that led here, from its link.
    #[schema(required = false)]
    invitation: String,
    /// Answers to the organizer's own questions. Events have none yet.
    #[schema(required = false)]
    answers: Answers,
}

/// Who comes to what.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "as above")]
#[serde(deny_unknown_fields)]
pub(crate) struct RegistrationRequest {
    /// One for each ticket.
    #[schema(min_items = 1, max_items = 50)]
    attendees: Vec<NewAttendee>,
}

/// An attendee with what they want.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "as above")]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAttendee {
    /// Id of the ticket type.
    item: String,
    /// Ids of the sessions.
    #[schema(required = false, max_items = 16)]
    sessions: Vec<String>,
    /// Needed unless the organizer says otherwise.
    #[schema(required = false)]
    first_name: String,
    /// Needed unless the organizer says otherwise.
    #[schema(required = false)]
    last_name: String,
    /// Needed unless the organizer says otherwise.
    #[schema(required = false, format = Email)]
    email: String,
    /// Token of the invitation that led here, from its link.
    #[schema(required = false)]
    invitation: String,
    /// Answers to the organizer's own questions. Events have none yet.
    #[schema(required = false)]
    answers: Answers,
}

/// No question is known yet, so this is empty.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answers {}

/// An order, as its maker is told.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OrderMade {
    /// Its opaque id. Whoever has it may read and cancel the order.
    pub(crate) order: String,
    /// What people read out; no capability.
    #[schema(examples("7K3M-9QXZ"))]
    pub(crate) reference: String,
    /// Its page, with the tickets.
    pub(crate) url: String,
    /// One per attendee, by place.
    pub(crate) tickets: Vec<NewTicket>,
}

/// A ticket, as its maker is told.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NewTicket {
    /// Its number within the order, from 1.
    pub(crate) id: u16,
    /// What its QR code holds.
    pub(crate) code: String,
}

/// An order as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Order {
    /// Its opaque id.
    pub(crate) order: String,
    /// What people read out.
    #[schema(examples("7K3M-9QXZ"))]
    pub(crate) reference: String,
    /// Its page.
    pub(crate) url: String,
    /// Id of the event.
    pub(crate) event: String,
    /// `cancelled` once all tickets are.
    pub(crate) status: OrderStatus,
    /// One per attendee.
    pub(crate) tickets: Vec<Ticket>,
}

/// Whether an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OrderStatus {
    /// At least one ticket does.
    Confirmed,
    /// No ticket does.
    Cancelled,
}

/// One attendee's ticket.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ticket {
    /// Its number within the order, from 1.
    pub(crate) id: u16,
    /// What its QR code holds.
    pub(crate) code: String,
    /// Id of its ticket type.
    pub(crate) item: String,
    /// Ids of its sessions.
    pub(crate) sessions: Vec<String>,
    /// Null once the attendee's personal data was erased.
    pub(crate) first_name: Option<String>,
    /// The same.
    pub(crate) last_name: Option<String>,
    /// The same.
    pub(crate) email: Option<String>,
    /// Whether it was given back.
    pub(crate) cancelled: bool,
}
