//! `GET /api/v1/orgs/{org}/events`.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use futures::future::try_join_all;
use sloe_core::time::Timestamp;
use sloe_engine::view::Listing;

use super::{event, left_of};
use crate::api::{answer, types};
use crate::error::{Cause, FieldFault, Place, Problem};
use crate::extract::Token;
use crate::state::AppState;

/// Events on a page, at most and unless told otherwise.
const MAX_PAGE: usize = 100;
const PAGE: usize = 50;

pub(crate) const REFUSALS: &[Cause] = &[Cause::NotFound, Cause::Invalid];

/// An org's upcoming public events by start.
#[utoipa::path(
    get, path = "/api/v1/orgs/{org}/events", tag = "events", operation_id = "list_events",
    params(
        ("org" = String, Path, description = "Slug of the org."),
        ("limit" = Option<u8>, Query, minimum = 1, maximum = 100, description = "Events on a page; 50 unless told otherwise."),
        ("after" = Option<String>, Query, description = "`next` of the page before."),
    ),
    responses((status = 200, description = "A page of events.", body = types::EventPage))
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Token(slug): Token,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let org = state.engine.registry().by_slug(&slug).ok_or(Cause::NotFound)?;
    let page = Page::read(query.as_deref().unwrap_or_default())?;
    let now = state.engine.now();
    let mut listings = state.engine.events(&org);
    listings.retain(|l| l.published && l.ends_at > now && page.begins_before(l));
    let more = listings.len() > page.limit;
    listings.truncate(page.limit);
    let next = listings.last().filter(|_| more).map(|last| cursor(last));
    let data = try_join_all(listings.iter().map(|listing| async {
        let (_, snapshot) = state.engine.event(listing.id)?;
        let left = left_of(&state.engine, &snapshot).await?;
        Ok::<_, Problem>(event(&snapshot, &left))
    }));
    Ok(answer(types::EventPage { data: data.await?, next }))
}

/// Which part of a list.
#[derive(Debug, PartialEq, Eq)]
struct Page {
    limit: usize,
    after: Option<(Timestamp, String)>,
}

impl Page {
    fn read(query: &str) -> Result<Self, Problem> {
        let mut page = Self { limit: PAGE, after: None };
        let mut seen = Vec::new();
        let mut faults = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let told = match &*name {
                _ if seen.contains(&name) => Err(("twice", "This parameter stands twice.")),
                "limit" => value.parse().ok().filter(|n| (1..=MAX_PAGE).contains(n)).map_or(
                    Err(("range", "The limit must be a whole number from 1 to 100.")),
                    |limit| {
                        page.limit = limit;
                        Ok(())
                    },
                ),
                "after" => read_cursor(&value).map_or(
                    Err(("cursor", "This is not `next` of a page before.")),
                    |after| {
                        page.after = Some(after);
                        Ok(())
                    },
                ),
                _ => Err(("unknown-parameter", "Known parameters are limit and after.")),
            };
            if let Err((code, message)) = told {
                let at = Place::Parameter(name.clone().into_owned());
                faults.push(FieldFault { at, code, message: message.to_owned() });
            }
            seen.push(name);
        }
        if faults.is_empty() { Ok(page) } else { Err(Problem::invalid(faults)) }
    }

    /// Whether the page begins before this event.
    fn begins_before(&self, listing: &Listing) -> bool {
        let place = (listing.starts_at, listing.slug.as_str());
        self.after.as_ref().is_none_or(|(at, slug)| (*at, slug.as_str()) < place)
    }
}

/// A place in the order of the list, so that an event that vanishes between
/// two pages does not lose it.
fn cursor(last: &Listing) -> String {
    format!("{}.{}", last.starts_at.0, last.slug)
}

fn read_cursor(text: &str) -> Option<(Timestamp, String)> {
    let (at, slug) = text.split_once('.')?;
    Some((Timestamp(at.parse().ok()?), slug.to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_fault_of_a_query_is_named() {
        let problem = Page::read("limit=101&after=x&limit=2&colour=blue").unwrap_err();
        let codes: Vec<_> = problem.faults().iter().map(|fault| fault.code).collect();
        assert_eq!(codes, ["range", "cursor", "twice", "unknown-parameter"]);
        let page = Page::read("limit=2&after=1700000000000.a-talk").unwrap();
        let after = Some((Timestamp(1_700_000_000_000), "a-talk".to_owned()));
        assert_eq!(page, Page { limit: 2, after });
        assert_eq!(Page::read("").unwrap(), Page { limit: 50, after: None });
    }
}
