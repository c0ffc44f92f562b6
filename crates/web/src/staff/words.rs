//! What the console says on pages of one message.

use crate::site::view::message::MessagePage;

const GET_A_LINK: &str = "Run sloe staff link on the machine where Sloe runs; it prints an address that opens the console once, within 15 minutes. The demo prints one when it starts.";

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
        &["It was good for a short time only.", GET_A_LINK],
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

/// Whether a letter's code says that somebody deleted the record.
pub(super) fn is_deleted(code: &str) -> bool {
    code == "deleted-in-org"
}

/// What is asked before conflicts are left as the org has them.
pub(super) struct Leave {
    pub(super) title: &'static str,
    pub(super) label: String,
    pub(super) text: Vec<String>,
}

/// The question about `rows` of one `code`, or of any.
pub(super) fn leave(rows: &str, code: Option<&str>) -> Leave {
    const LAST: &str =
        "This can’t be undone here. The registrants’ orders and tickets stay as they are.";
    if code.is_none_or(is_deleted) {
        return Leave {
            title: "Leave deleted",
            label: format!("Leave {rows} deleted"),
            text: vec![
                "Somebody deleted these records in Salesforce while Sloe had something to tell them. Sloe never makes a deleted record again; it only keeps asking you what to do.".to_owned(),
                format!("If you leave them deleted, Sloe forgets that it asked. {LAST}"),
            ],
        };
    }
    Leave {
        title: "Leave as it is",
        label: format!("Leave {rows} as in Salesforce"),
        text: vec![
            "Somebody changed in Salesforce what Sloe keeps there, or Salesforce shows these records no more. Sloe keeps asking you who is right.".to_owned(),
            format!("If you leave them, Sloe takes what Salesforce has for right until their orders change. {LAST}"),
        ],
    }
}
