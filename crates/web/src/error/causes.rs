//! The one table of everything Sloe may refuse: name, status, and what it
//! means to whoever asked. Problem documents, their pages under `/problems`
//! and the API's description are all made of it.

use axum::http::StatusCode;

/// What is known of a cause. Names are stable: programs branch on them.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Last part of the problem's `type`.
    pub name: &'static str,
    /// What the answer's status is.
    pub status: StatusCode,
    /// What happened, in a few words.
    pub title: &'static str,
    /// What that means for whoever asked.
    pub meaning: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

macro_rules! causes {
    ($($cause:ident $name:literal $status:ident $title:literal $meaning:literal $remedy:literal;)+) => {
        /// Why a request was refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Cause {
            $(#[doc = $title] $cause,)+
        }

        impl Cause {
            /// Every cause, by status.
            pub const ALL: &'static [Self] = &[$(Self::$cause),+];

            /// What the table says of it.
            #[must_use]
            pub fn entry(self) -> Entry {
                match self {
                    $(Self::$cause => Entry {
                        name: $name,
                        status: StatusCode::$status,
                        title: $title,
                        meaning: $meaning,
                        remedy: $remedy,
                    },)+
                }
            }
        }
    };
}

causes! {
    Malformed "malformed" BAD_REQUEST
        "The request can't be read"
        "Something about its form is broken, so nothing of it was looked at and nothing was done."
        "Mend what is named here and send it again.";
    Unauthorized "unauthorized" UNAUTHORIZED
        "The secret is missing or wrong"
        "Only callers that know the secret may ask this; whether the name in the address exists is not told."
        "Send the secret that was printed when the org was connected or the token set; who signs a call, signs it with the key that was printed beside it, anew for each try.";
    LicenseInactive "license-inactive" FORBIDDEN
        "Registration is paused for this organizer"
        "The organizer can't take new registrations at the moment. Orders and tickets stay valid, and open holds may still be confirmed."
        "Try later, or ask the organizer.";
    CrossSite "cross-site" FORBIDDEN
        "The form came from another site"
        "Forms are taken from Sloe's own pages only, so that no other site can act for a visitor. Nothing was done."
        "Open the event's page here and start from it.";
    NotFound "not-found" NOT_FOUND
        "There is nothing here"
        "No such address, event, hold, order or ticket is known. One that is forged looks the same."
        "Check that the id or link was copied whole.";
    Unpublished "unpublished" NOT_FOUND
        "The event is not public"
        "The organizer has not published it, or took it offline. Orders and tickets stay readable."
        "Ask the organizer if it should be public.";
    MethodNotAllowed "method-not-allowed" METHOD_NOT_ALLOWED
        "This address can't do that"
        "It exists, but not for this method; the `Allow` header lists those it has."
        "See the API's description at /openapi.json.";
    TooSlow "too-slow" REQUEST_TIMEOUT
        "The request took too long to arrive"
        "Its body did not come in time, so it was not read and nothing was done."
        "Send it again over a better connection.";
    SoldOut "sold-out" CONFLICT
        "Not enough seats are left"
        "At least one of the event, its ticket types or its sessions has fewer seats left than were asked for. Nothing was taken."
        "Choose among what `pools` says is left, or try again later: seats that are given back can be taken at once.";
    IdReused "id-reused" CONFLICT
        "The idempotency key was used for another request"
        "A key stands for one request for as long as what it made exists. This request differs from the one it came with first, so nothing was done."
        "Use a new key for a new request, or repeat the old one unchanged.";
    NotYetOpen "not-yet-open" CONFLICT
        "Registration is not open yet"
        "Seats can't be taken before the organizer opens registration."
        "Come back when it opens, at `opens_at`.";
    Closed "closed" CONFLICT
        "Registration has closed"
        "Seats can't be taken any more. Tickets that exist stay valid."
        "Ask the organizer.";
    Over "over" CONFLICT
        "The event is over"
        "It has ended, so seats can't be taken any more."
        "Look for another event of the organizer.";
    Cancelled "cancelled" CONFLICT
        "The event is cancelled"
        "The organizer has called it off, so seats can't be taken or confirmed."
        "There is nothing to do; ask the organizer if in doubt.";
    HoldReleased "hold-released" CONFLICT
        "The hold was given back"
        "Its seats were returned, by request or because another hold replaced it. Nothing was booked."
        "Take a new hold.";
    AlreadyConfirmed "already-confirmed" CONFLICT
        "The hold is an order already"
        "It was confirmed before, with another idempotency key or other details, and what was confirmed stands."
        "Read the order; to give seats back, cancel it.";
    NotConfirmed "not-confirmed" CONFLICT
        "This is not an order yet"
        "Only what was confirmed can be cancelled."
        "Confirm the hold, or release it.";
    HoldExpired "hold-expired" GONE
        "The hold has expired and its seats are gone"
        "Its time ran out, and meanwhile somebody else took at least one of its seats. Nothing was booked."
        "Take a new hold of what `pools` says is left.";
    TooLarge "too-large" PAYLOAD_TOO_LARGE
        "The request is too large"
        "A body may have 64 KiB at most; this one was not read, and nothing was done."
        "Send less at once.";
    UnsupportedMediaType "unsupported-media-type" UNSUPPORTED_MEDIA_TYPE
        "The body's type is not one that is taken here"
        "The API takes JSON, pages take forms. Nothing was done."
        "Send `Content-Type: application/json` to the API.";
    Invalid "invalid" UNPROCESSABLE_ENTITY
        "The request has faults"
        "It could be read, but not be met as it is. Nothing was done. `errors` names every fault with a JSON pointer to it."
        "Mend each of them and send it again.";
    TooManyRequests "too-many-requests" TOO_MANY_REQUESTS
        "Too many requests from this address"
        "More came from one network than is taken at once. Nothing was done."
        "Wait as long as `Retry-After` says, then go on more slowly.";
    Internal "internal" INTERNAL_SERVER_ERROR
        "Something broke on our side"
        "This is a fault of Sloe, not of the request. If the request was to change something, it may have done so."
        "Repeat it with the same idempotency key, which can't do it twice. If it keeps failing, tell the operator the `request_id`.";
    NotAccepted "not-accepted" SERVICE_UNAVAILABLE
        "The request can't be taken now"
        "Nothing was taken or changed by it."
        "Send it again after as long as `Retry-After` says.";
    OutcomeUnknown "outcome-unknown" SERVICE_UNAVAILABLE
        "It is not known yet how the request ended"
        "It may have been done or not: the answer of the store was lost or late."
        "Repeat it with the same idempotency key: the answer then tells, and nothing is done twice.";
    OutOfOrder "out-of-order" SERVICE_UNAVAILABLE
        "The event is out of order"
        "Its stored data is damaged, so nothing is decided on it until staff have seen to it. Other events are not concerned."
        "Try again later.";
    NotReady "not-ready" SERVICE_UNAVAILABLE
        "This node takes no requests now"
        "It is starting or stopping, its store does not answer yet, or its clock is wrong; `/readyz` says which. Nothing was done."
        "Ask another node, or this one again in a moment.";
}
