//! The demo's mailbox: what its mail server received.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use super::answer::{Failure, private};
use super::form::Address;
use super::view::Shell;
use super::view::demo::{MailBrief, MailOpen, MailboxPage};
use crate::mailbox::ReceivedMail;
use crate::state::AppState;

/// Mail is somebody else's HTML: no script, nothing loaded, its own styles.
const MAIL_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox allow-popups",
);
/// The page around it shows it in a frame.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
     frame-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
);

fn mails(app: &AppState) -> Result<Vec<ReceivedMail>, Failure> {
    app.settings.mailbox.as_ref().map(|mailbox| (mailbox.0)()).ok_or_else(Failure::not_found)
}

fn mail(app: &AppState, number: u64) -> Result<ReceivedMail, Failure> {
    let found = mails(app)?.into_iter().find(|mail| mail.number == number);
    found.ok_or_else(Failure::not_found)
}

/// `GET /demo/mailbox`.
///
/// # Errors
/// There is no mailbox here.
pub async fn list(State(app): State<AppState>) -> Result<Response, Failure> {
    Ok(page(&mails(&app)?, None))
}

/// `GET /demo/mailbox/{mail}`.
///
/// # Errors
/// There is no such mail.
pub async fn open(
    State(app): State<AppState>,
    Address(number): Address<u64>,
) -> Result<Response, Failure> {
    let mail = mail(&app, number)?;
    Ok(page(&mails(&app)?, Some(mail)))
}

fn page(mails: &[ReceivedMail], open: Option<ReceivedMail>) -> Response {
    let title = match &open {
        Some(mail) => format!("{} · Demo mailbox", mail.subject),
        None => "Demo mailbox".to_owned(),
    };
    let page = MailboxPage {
        shell: Shell { title, ..Shell::default() },
        mails: mails.iter().map(brief).collect(),
        open: open.map(|mail| MailOpen {
            brief: brief(&mail),
            html: mail.html.is_some().then(|| format!("/demo/mailbox/{}/html", mail.number)),
            attachments: attachments(&mail),
            from: mail.from,
            text: mail.text,
        }),
    };
    let mut response = private(StatusCode::OK, &page);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, PAGE_POLICY);
    response
}

fn brief(mail: &ReceivedMail) -> MailBrief {
    MailBrief {
        href: format!("/demo/mailbox/{}", mail.number),
        to: mail.to.clone(),
        subject: mail.subject.clone(),
        time: mail.date.clone(),
    }
}

fn attachments(mail: &ReceivedMail) -> Vec<(String, String)> {
    let href = |index| format!("/demo/mailbox/{}/files/{index}", mail.number);
    let numbered = mail.attachments.iter().enumerate();
    numbered.map(|(index, (name, _))| (name.clone(), href(index))).collect()
}

/// `GET /demo/mailbox/{mail}/html`: the HTML part by itself, under its own policy.
///
/// # Errors
/// There is no such mail, or it has no such part.
pub async fn html(
    State(app): State<AppState>,
    Address(number): Address<u64>,
) -> Result<Response, Failure> {
    let html = mail(&app, number)?.html.ok_or_else(Failure::not_found)?;
    let mut response = Html(html).into_response();
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, MAIL_POLICY);
    Ok(response)
}

/// `GET /demo/mailbox/{mail}/files/{index}`: an attachment.
///
/// # Errors
/// There is no such mail, or it has no such attachment.
pub async fn file(
    State(app): State<AppState>,
    Address((number, index)): Address<(u64, usize)>,
) -> Result<Response, Failure> {
    let attachments = mail(&app, number)?.attachments;
    let (_, content) = attachments.into_iter().nth(index).ok_or_else(Failure::not_found)?;
    // Whatever it is, it is stored and never shown.
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment"),
    ];
    Ok((headers, content).into_response())
}
