//! What the console says on pages of one message.

use crate::site::view::message::MessagePage;

const GET_A_LINK: &str = "Run sloe staff link on the machine where Sloe runs; it prints an address that opens the console once, within 15 minutes. The demo prints one when it starts, good for 12 hours.";

/// A page without an org.
fn page(icon: &'static str, heading: &str, text: &[&str]) -> MessagePage {
    MessagePage::new(None, icon, heading, text)
}

/// Nobody is signed in.
pub(super) fn outside() -> MessagePage {
    page("people", "This is for staff", &["You aren’t signed in.", GET_A_LINK])
}

/// The session has ended.
pub(super) fn session_over() -> MessagePage {
    page(
        "hourglass",
        "You are signed out",
        &[
            "A session ends 12 hours after its last use, a week after it began, or when you sign out.",
            GET_A_LINK,
        ],
    )
}

/// Somebody signed out.
pub(super) fn signed_out() -> MessagePage {
    page("check", "You are signed out", &["On every node, at once.", GET_A_LINK])
}

/// The link has been used.
pub(super) fn link_used() -> MessagePage {
    page(
        "hourglass",
        "This link was used already",
        &[
            "Each link signs in once. If it wasn’t you, somebody else has a session now: tell whoever runs this Sloe.",
            GET_A_LINK,
        ],
    )
}

/// The link's time is over.
pub(super) fn link_expired() -> MessagePage {
    page(
        "hourglass",
        "This link’s time is over",
        &["Nobody has signed in by it, and nobody can any more.", GET_A_LINK],
    )
}

/// There is no such link.
pub(super) fn link_unknown() -> MessagePage {
    page(
        "search",
        "This is no link of ours",
        &["It may have been copied in part, or be more than a day old.", GET_A_LINK],
    )
}

/// Too many wrong links or sessions.
pub(super) fn too_many_guesses() -> MessagePage {
    page(
        "hourglass",
        "Too many wrong links",
        &[
            "From your address came more links or sessions that aren’t ours than anybody mistypes. Wait ten minutes, then use a fresh link.",
        ],
    )
}

/// No such org.
pub(super) fn no_org() -> MessagePage {
    page("search", "No such org is connected", &["It may have another address now."])
        .link("All orgs", "/staff")
}

/// No such page.
pub(super) fn no_page() -> MessagePage {
    page("search", "There is no such page in the console", &["Start from all orgs."])
        .link("All orgs", "/staff")
}

/// What is asked can't be read or done now.
pub(super) fn not_now() -> MessagePage {
    page(
        "alert",
        "Sloe can’t say now",
        &["Its store does not answer, so this page would be a guess. Registrants see what is in memory. Look at the log and at the disk, then try again."],
    )
    .link("Try again", "/staff")
}

/// Nothing runs that could do it.
pub(super) fn no_worker() -> MessagePage {
    page(
        "hourglass",
        "No worker runs for this org here",
        &["Sloe may just have started. Nothing was done; try again in a moment."],
    )
    .link("All orgs", "/staff")
}

/// A form that doesn’t say what it should.
pub(super) fn bad_form(what: &str) -> MessagePage {
    page("alert", "This form can’t be read", &[what, "Nothing was done."])
        .link("All orgs", "/staff")
}
