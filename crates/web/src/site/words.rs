//! What Sloe tells registrants when it can't give them what they came for:
//! what happened, what it means, what to do. One function per situation, so
//! that the same situation is always told the same way.

use super::view::event_list::Status;
use super::view::message::{Again, MessagePage};
use super::view::{Band, Notice, NoticeKind, Org};

fn notice(kind: NoticeKind, heading: &str, text: impl Into<String>) -> Notice {
    Notice { kind, heading: heading.to_owned(), text: text.into() }
}

/// What the event's page says about how things stand; nothing while seats can
/// be taken.
#[must_use]
pub fn about_status(status: &Status, opens: Option<&str>) -> Option<Notice> {
    Some(match status {
        Status::Open(Band::SoldOut) => notice(
            NoticeKind::Warn,
            "This event is sold out",
            "Every seat is taken. Seats that are given back appear here at once, so it’s worth looking again.",
        ),
        Status::Open(_) => return None,
        Status::Soon(_) => soon(opens),
        Status::Closed => notice(
            NoticeKind::Info,
            "Registration is closed",
            "It’s too late to register here. If you already have a ticket, it stays valid. Ask the organizer if you need to come anyway.",
        ),
        Status::Over => notice(
            NoticeKind::Info,
            "This event is over",
            "Thanks to everyone who came. Have a look at what’s coming up next.",
        ),
        Status::Cancelled => notice(
            NoticeKind::Warn,
            "This event is cancelled",
            "The organizer has called it off. If you’re registered, there is nothing you need to do.",
        ),
        Status::Paused => paused(),
        Status::Payment => payment(),
    })
}

/// Registration begins later: `at` says when, if that is known.
#[must_use]
pub fn soon(at: Option<&str>) -> Notice {
    notice(
        NoticeKind::Info,
        "Registration isn’t open yet",
        at.map_or_else(
            || "The organizer hasn’t said yet when it opens. Come back soon.".to_owned(),
            |at| format!("It opens on {at}. Come back then, or reload this page."),
        ),
    )
}

/// The event was taken offline while somebody was registering.
#[must_use]
pub fn unpublished() -> Notice {
    notice(
        NoticeKind::Warn,
        "This event isn’t public any more",
        "The organizer has taken it offline, so nobody can register for it now. Tickets that exist stay readable.",
    )
}

/// What stands in the way, told on a page of its own; `label` and `href` say
/// where to go.
#[must_use]
pub fn told(org: Option<&Org>, said: &Notice, (label, href): (&str, &str)) -> MessagePage {
    MessagePage::new(org, "pause", &said.heading, &[&said.text, "Nothing was booked."])
        .link(label, href)
}

/// A form whose id was used with other contents.
#[must_use]
pub fn sent_before(org: Option<&Org>, event: &str) -> MessagePage {
    MessagePage::new(
        org,
        "info",
        "This form was sent before",
        &["It went through once already, with other details. We kept what came first. Look for your order in your mail, or start again from the event’s page."],
    )
    .link("Back to the event", event)
}

/// The event's stored data is damaged.
#[must_use]
pub fn out_of_order(org: Option<&Org>) -> MessagePage {
    MessagePage::new(
        org,
        "alert",
        "This event is out of order",
        &[
            "We found a fault in its data and stopped taking registrations for it, to be safe. Our staff have been told. Tickets that exist stay valid.",
        ],
    )
}

/// The org may not take registrations at the moment.
#[must_use]
pub fn paused() -> Notice {
    notice(
        NoticeKind::Info,
        "Registration is paused",
        "The organizer can’t take new registrations at the moment. Tickets you already have stay valid. Please try again later, or ask the organizer.",
    )
}

/// All tickets cost something, and payment isn't open.
#[must_use]
pub fn payment() -> Notice {
    notice(
        NoticeKind::Info,
        "Payment isn’t open yet",
        "These tickets have a price, and they can’t be paid for here yet. Ask the organizer how to register until then.",
    )
}

/// The order's event was called off.
#[must_use]
pub fn order_of_cancelled_event() -> Notice {
    notice(
        NoticeKind::Warn,
        "The organizer has cancelled this event",
        "It won’t take place, so please don’t travel. Your order stays here for your records; there is nothing you need to do.",
    )
}

/// The order's event isn't shown to the public any more.
#[must_use]
pub fn order_of_hidden_event() -> Notice {
    notice(
        NoticeKind::Info,
        "The event’s page is hidden at the moment",
        "The organizer has taken it offline. Your tickets are still valid unless the organizer tells you otherwise.",
    )
}

/// The order's event has ended.
#[must_use]
pub fn order_of_past_event() -> Notice {
    notice(
        NoticeKind::Info,
        "This event is over",
        "Thanks for being part of it. Your order stays here for your records.",
    )
}

/// No ticket of the order is valid: `by_organizer` if they cancelled the last ones.
#[must_use]
pub fn order_cancelled(by_organizer: bool) -> Notice {
    notice(
        NoticeKind::Info,
        "Its tickets aren’t valid any more",
        if by_organizer {
            "The organizer has cancelled them. Ask the organizer if you didn’t expect that."
        } else {
            "Nobody is expected to come. If you want to come after all, register again on the event’s page."
        },
    )
}

/// A ticket, or all, was cancelled just now.
#[must_use]
pub fn cancelled_now(all: bool) -> Notice {
    if all {
        notice(
            NoticeKind::Good,
            "Your registration is cancelled",
            "Thank you for telling us. Somebody else can have the seat now.",
        )
    } else {
        notice(
            NoticeKind::Good,
            "The ticket is cancelled",
            "Thank you for telling us. The other tickets of this order stay valid.",
        )
    }
}

/// An expired hold's seats were free and are held again.
#[must_use]
pub fn held_again() -> Notice {
    notice(
        NoticeKind::Good,
        "Your seats are held again",
        "The time was over, but nobody had taken them. The clock starts anew.",
    )
}

/// The seats were given back, by choice.
#[must_use]
pub fn released(org: &Org, event: &str) -> MessagePage {
    MessagePage::new(Some(org), "check", "Your seats are given back", &["Nothing was booked, and nothing was kept of what you typed. Changed your mind? Seats are still first come, first served."])
        .link("Back to the event", event)
}

/// The hold's time was over and some of its seats are gone. `gone` names them
/// with what is left; `event` is the event's page.
#[must_use]
pub fn hold_gone(org: &Org, event: &str, gone: Vec<String>) -> MessagePage {
    let mut page = MessagePage::new(
        Some(org),
        "hourglass",
        "Your seats are gone",
        &["The time to confirm was over, and somebody else took them meanwhile. Nothing was booked. This is what is missing:"],
    )
    .link("Choose again", event);
    page.list = gone;
    page
}

/// The hold is over: released, replaced or expired so long ago that nothing is
/// known of it.
#[must_use]
pub fn hold_over(org: &Org, event: &str) -> MessagePage {
    MessagePage::new(
        Some(org),
        "hourglass",
        "This selection is no longer held",
        &["It was given back, replaced by another one, or its time is over. Nothing was booked."],
    )
    .link("Choose again", event)
}

/// An event that doesn't exist, or isn't shown to the public.
#[must_use]
pub fn unknown_event(org: &Org) -> MessagePage {
    MessagePage::new(
        Some(org),
        "search",
        "We can’t find this event",
        &["The address may be mistyped, or the organizer has taken the page offline. If you have an order, its page and your tickets still work."],
    )
    .link("See all events", &format!("/{}", org.slug))
}

/// An address that leads nowhere: unknown org, hold or order, or any other.
#[must_use]
pub fn not_found() -> MessagePage {
    MessagePage::new(
        None,
        "search",
        "There is nothing at this address",
        &[
            "Please check it for typing errors. Links from a mail must be copied whole, to the last letter.",
        ],
    )
    .link("Go to the front page", "/")
}

/// The platform is too busy to decide; nothing was done.
#[must_use]
pub fn busy(org: Option<&Org>, again: Option<Again>) -> MessagePage {
    let mut page = MessagePage::new(
        org,
        "hourglass",
        "So many people at once",
        &[
            "We couldn’t get to your request in time. Nothing was booked, and you haven’t lost anything. Please try again in a moment.",
        ],
    );
    page.again = again;
    page
}

/// The store does not answer, or this node may not decide at present; nothing was done.
#[must_use]
pub fn not_now(org: Option<&Org>, again: Option<Again>) -> MessagePage {
    let mut page = MessagePage::new(
        org,
        "hourglass",
        "We can’t do this just now",
        &[
            "Something on our side doesn’t answer as it should. Nothing was booked or changed by this try, and what you booked before is safe. Please try again in a minute.",
        ],
    );
    page.again = again;
    page
}

/// Sloe is starting, stopping, or can't reach what it keeps everything in.
#[must_use]
pub fn not_ready() -> MessagePage {
    MessagePage::new(
        None,
        "hourglass",
        "We’ll be right back",
        &[
            "Registration is being started again and takes no requests just now. Nothing was booked by this request, and what you booked before is safe. Please try again in a minute.",
        ],
    )
}

/// Too many requests from one address.
#[must_use]
pub fn too_many(org: Option<&Org>) -> MessagePage {
    MessagePage::new(
        org,
        "hourglass",
        "A little slower, please",
        &[
            "More requests came from your network than we can take at once. Nothing was booked. Wait a minute, then go back and try again.",
        ],
    )
}

/// The answer of the store got lost: it may have happened or not. `again`
/// sends the same form with the same key, which can't book twice; without it
/// the page was only looked at, and what was sent before is in doubt.
#[must_use]
pub fn outcome_unknown(org: Option<&Org>, again: Option<Again>) -> MessagePage {
    let todo = if again.is_some() {
        "Please stay on this page. Checking again is safe: nothing is booked twice."
    } else {
        "Please reload this page in a moment. That is safe: nothing is booked twice."
    };
    let said = "Your request reached us, but we don’t know yet how it ended.";
    let mut page =
        MessagePage::new(org, "hourglass", "We are checking", &[&format!("{said} {todo}")]);
    page.again = again;
    page
}

/// A form that doesn't say what it should; `faults` in words.
#[must_use]
pub fn bad_request(org: Option<&Org>, faults: Vec<String>) -> MessagePage {
    let mut page = MessagePage::new(
        org,
        "alert",
        "We can’t read this request",
        &[
            "It doesn’t look like one of our forms. Nothing was booked. Go back, reload the page and try again.",
        ],
    );
    page.list = faults;
    page
}

/// A form sent from somewhere else.
#[must_use]
pub fn cross_site(org: Option<&Org>) -> MessagePage {
    MessagePage::new(
        org,
        "alert",
        "This form came from another site",
        &[
            "To protect you, we take forms only from our own pages. Nothing was booked. Open the event’s page here and try again.",
        ],
    )
    .link("Go to the front page", "/")
}

/// A body beyond the limit.
#[must_use]
pub fn too_large(org: Option<&Org>) -> MessagePage {
    MessagePage::new(
        org,
        "alert",
        "That was too much at once",
        &[
            "The form is far longer than a registration ever is. Nothing was booked. Go back and shorten what you typed.",
        ],
    )
}

/// A body that did not come in time.
#[must_use]
pub fn too_slow(org: Option<&Org>) -> MessagePage {
    MessagePage::new(
        org,
        "clock",
        "The form took too long to arrive",
        &["Nothing was booked. Go back and try again, over a better connection if you can."],
    )
}

/// A body that is no form.
#[must_use]
pub fn wrong_media(org: Option<&Org>) -> MessagePage {
    MessagePage::new(org, "alert", "We only take forms here", &["This address expects a form as a browser sends it. Nothing was booked. Programs use the API instead."])
        .link("API description", "/openapi.json")
}

/// A method that the address doesn't have.
#[must_use]
pub fn wrong_method() -> MessagePage {
    MessagePage::new(
        None,
        "alert",
        "This address can’t do that",
        &["It exists, but not for this kind of request. Start from the event’s page."],
    )
    .link("Go to the front page", "/")
}

/// A fault of ours.
#[must_use]
pub fn internal(request_id: &str) -> MessagePage {
    let mut page = MessagePage::new(
        None,
        "alert",
        "Something broke on our side",
        &[
            "This is our fault, not yours, and we have been told. Reload the page: if you sent a form, sending it again is safe.",
        ],
    );
    page.request_id = Some(request_id.to_owned());
    page
}

/// No seats are held by this browser.
#[must_use]
pub fn nothing_held(org: &Org, event: &str) -> MessagePage {
    MessagePage::new(
        Some(org),
        "info",
        "You aren’t holding seats for this event",
        &["Either the time to confirm is over, or you chose them in another browser. If you did, continue there."],
    )
    .link("Back to the event", event)
}
