//! Forms as browsers send them: bounded, from our own pages only, every fault
//! named.

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use super::answer::Failure;
use super::words;
use crate::error::Cause;
use crate::extract::whole;
use crate::state::AppState;

/// A form's fields in order.
#[derive(Clone, Debug, Default)]
pub struct SiteForm(pub Vec<(String, String)>);

impl SiteForm {
    /// The value of the first field called `name`.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The values of all fields called `name`.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Reads an encoded body.
    fn parse(body: &[u8]) -> Result<Self, Vec<String>> {
        let fields: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
        // The decoder puts this character where the bytes are no UTF-8.
        let broken = fields
            .iter()
            .any(|(key, value)| key.contains('\u{fffd}') || value.contains('\u{fffd}'));
        if broken { Err(vec!["The text is not valid UTF-8.".to_owned()]) } else { Ok(Self(fields)) }
    }
}

impl FromRequest<AppState> for SiteForm {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Failure> {
        let headers = request.headers();
        if !is_own(headers, state.settings.public_url.as_deref()) {
            return Err(Failure::new(Cause::CrossSite, words::cross_site(None)));
        }
        let media = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim();
        if !media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Failure::new(Cause::UnsupportedMediaType, words::wrong_media(None)));
        }
        let malformed = |faults| Failure::new(Cause::Malformed, words::bad_request(None, faults));
        let body = whole(request.into_body(), state).await.map_err(|cause| match cause {
            Cause::TooLarge => Failure::new(cause, words::too_large(None)),
            Cause::TooSlow => Failure::new(cause, words::too_slow(None)),
            _ => malformed(vec!["The form broke off.".to_owned()]),
        })?;
        Self::parse(&body).map_err(malformed)
    }
}

/// Whether a form comes from our own pages: browsers say so in
/// `Sec-Fetch-Site`, older ones in `Origin`; what says neither is no browser
/// that another site could misuse.
fn is_own(headers: &HeaderMap, public_url: Option<&str>) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, None) => true,
        (None, Some(origin)) => {
            let host = origin.split_once("://").map(|(_, host)| host);
            host.is_some() && (host == text("host") || public_url == Some(origin))
        }
    }
}

/// Parts of the address. One that is no UTF-8 leads nowhere.
#[derive(Clone, Debug)]
pub struct Address<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<AppState> for Address<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Failure> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(value)| Self(value)).map_err(|_| Failure::not_found())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use axum::http::{HeaderMap, HeaderName};

    use super::{SiteForm, is_own};

    fn own(pairs: &[(&'static str, &str)]) -> bool {
        let headers: HeaderMap = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        is_own(&headers, Some("https://tickets.example.org"))
    }

    #[test]
    fn forms_from_other_sites_are_refused() {
        assert!(own(&[("sec-fetch-site", "same-origin"), ("origin", "https://elsewhere.example")]));
        assert!(own(&[("origin", "https://tickets.example.org")]));
        assert!(own(&[("origin", "http://127.0.0.1:8080"), ("host", "127.0.0.1:8080")]));
        assert!(own(&[]));
        for other in ["cross-site", "same-site", ""] {
            assert!(!own(&[("sec-fetch-site", other)]), "{other}");
        }
        for other in
            ["https://evil.example", "null", "https://tickets.example.org.evil.example", ""]
        {
            assert!(!own(&[("origin", other), ("host", "tickets.example.org")]), "{other}");
        }
    }

    #[test]
    fn a_body_that_is_no_utf_8_is_refused() {
        assert!(SiteForm::parse(b"a=%ff").is_err());
        assert!(SiteForm::parse(b"a=\xff").is_err());
        assert_eq!(
            SiteForm::parse("a=%C3%A9&a=2&b".as_bytes()).unwrap().all("a").collect::<Vec<_>>(),
            ["é", "2"]
        );
    }
}
