//! Stylesheet, script and icon: embedded, compressed once, named by the hash
//! of their content so that browsers may keep them for a year.

use std::io::Write as _;
use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};

use super::look::Look;

/// A year, and never asked again: another content has another name.
pub(super) const FOREVER: &str = "public, max-age=31536000, immutable";

/// A file that pages refer to.
#[derive(Debug)]
pub struct Asset {
    name: &'static str,
    content_type: &'static str,
    href: String,
    etag: HeaderValue,
    plain: Bytes,
    gzip: Bytes,
}

static ASSETS: LazyLock<[Asset; 5]> = LazyLock::new(|| {
    [
        // Sloe's own look first: the rules after it and an org's look override it.
        Asset::new(
            "site.css",
            "text/css; charset=utf-8",
            Look::default().stylesheet() + include_str!("../../assets/site.css"),
        ),
        Asset::new(
            "site.js",
            "text/javascript; charset=utf-8",
            include_str!("../../assets/site.js").to_owned(),
        ),
        Asset::new(
            "staff.css",
            "text/css; charset=utf-8",
            include_str!("../../assets/staff.css").to_owned(),
        ),
        Asset::new(
            "staff.js",
            "text/javascript; charset=utf-8",
            include_str!("../../assets/staff.js").to_owned(),
        ),
        Asset::new("sloe.svg", "image/svg+xml", include_str!("../../assets/sloe.svg").to_owned()),
    ]
});

impl Asset {
    fn new(name: &'static str, content_type: &'static str, text: String) -> Self {
        let plain = Bytes::from(text);
        let hash = content_hash(&plain);
        let (stem, extension) = name.split_once('.').unwrap_or((name, ""));
        Self {
            name,
            content_type,
            href: format!("/assets/{stem}-{hash}.{extension}"),
            etag: etag(&hash),
            gzip: gzip(&plain),
            plain,
        }
    }
}

/// A strong entity tag of a content hash.
pub(super) fn etag(hash: &str) -> HeaderValue {
    HeaderValue::try_from(format!("\"{hash}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Sixteen hex digits that change with `content`.
#[must_use]
pub fn content_hash(content: &[u8]) -> String {
    Sha256::digest(content)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `content` compressed as far as gzip goes. Empty on a failure, which writing
/// to memory has none of; an empty copy is never served.
#[must_use]
pub fn gzip(content: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).and_then(|()| encoder.finish()).map(Bytes::from).unwrap_or_default()
}

/// The address of the asset called `name`; empty if there is none, which the
/// tests of the pages would show.
#[must_use]
pub fn href(name: &str) -> &'static str {
    ASSETS.iter().find(|asset| asset.name == name).map_or("", |asset| asset.href.as_str())
}

/// The content of the asset called `name`.
#[must_use]
pub fn content(name: &str) -> Option<&'static [u8]> {
    ASSETS.iter().find(|asset| asset.name == name).map(|asset| &asset.plain[..])
}

/// `GET /assets/{file}`.
///
/// A name with another hash comes from a page of another release: it gets what
/// this one has, and is told not to keep it under that name.
pub async fn serve(Path(file): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = find(&file) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let ours = asset.href.strip_prefix("/assets/") == Some(file.as_str());
    let file = (&asset.etag, &asset.plain, &asset.gzip);
    respond_file(&headers, file, asset.content_type, if ours { FOREVER } else { "no-cache" })
}

fn find(file: &str) -> Option<&'static Asset> {
    let (name, extension) = file.rsplit_once('.')?;
    let stem = name.rsplit_once('-').map_or(name, |(stem, _)| stem);
    ASSETS.iter().find(|asset| asset.name.split_once('.') == Some((stem, extension)))
}

/// Headers of a page with those that every answer has: room for all of them at once.
const HEADERS: usize = 12;

/// Answers with a file in the form the client takes, or 304. What kind of file
/// it is and how long it keeps, the caller adds.
pub(crate) fn respond(
    headers: &HeaderMap,
    etag: &HeaderValue,
    plain: &Bytes,
    gzip: &Bytes,
) -> Response {
    let has = etag.to_str().is_ok_and(|etag| matches(headers, etag));
    let zipped = !has && !gzip.is_empty() && takes_gzip(headers);
    let body = match (has, zipped) {
        (true, _) => Body::empty(),
        (false, true) => Body::from(gzip.clone()),
        (false, false) => Body::from(plain.clone()),
    };
    let mut response = Response::new(body);
    if has {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let out = response.headers_mut();
    out.reserve(HEADERS);
    out.insert(header::ETAG, etag.clone());
    out.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if zipped {
        out.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// The same for a file of `content_type` that keeps for as long as `cache` says.
pub(super) fn respond_file(
    headers: &HeaderMap,
    file: (&HeaderValue, &Bytes, &Bytes),
    content_type: &'static str,
    cache: &'static str,
) -> Response {
    let (etag, plain, gzip) = file;
    let mut response = respond(headers, etag, plain, gzip);
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    response
}

/// Whether the client already has what `etag` names.
pub(super) fn matches(headers: &HeaderMap, etag: &str) -> bool {
    headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(
        |value| {
            value.split(',').map(str::trim).any(|have| {
                have == "*"
                    || have.strip_prefix("W/").unwrap_or(have)
                        == etag.strip_prefix("W/").unwrap_or(etag)
            })
        },
    )
}

/// Whether the client accepts gzip (RFC 9110 §12.5.3; `gzip;q=0` refuses it).
fn takes_gzip(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).any(
        |value| {
            value.split(',').any(|part| {
                let mut words = part.split(';').map(str::trim);
                words.next().is_some_and(|coding| coding.eq_ignore_ascii_case("gzip"))
                    && !words.any(|word| {
                        word.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0_f32))
                    })
            })
        },
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use axum::extract::Path;
    use axum::http::{HeaderMap, StatusCode, header};

    use super::{content, href, serve};

    async fn get(file: &str, headers: &[(header::HeaderName, &str)]) -> axum::response::Response {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect::<HeaderMap>();
        serve(Path(file.to_owned()), headers).await
    }

    #[tokio::test]
    async fn an_asset_is_kept_for_a_year_under_its_hash_and_not_under_another() {
        let ours = href("site.css").strip_prefix("/assets/").unwrap();
        let response = get(ours, &[]).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.headers()[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
        assert!(response.headers().get(header::CONTENT_ENCODING).is_none());
        let old = get("site-0123456789abcdef.css", &[]).await;
        assert_eq!(
            (old.status(), old.headers()[header::CACHE_CONTROL].to_str().unwrap()),
            (StatusCode::OK, "no-cache")
        );
        assert_eq!(get("nothing.css", &[]).await.status(), StatusCode::NOT_FOUND);
        assert_eq!(get("../site.css", &[]).await.status(), StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn a_client_gets_gzip_only_if_it_takes_it_and_nothing_if_it_has_it() {
        let ours = href("site.js").strip_prefix("/assets/").unwrap();
        let zipped = get(ours, &[(header::ACCEPT_ENCODING, "br, gzip;q=0.8")]).await;
        assert_eq!(zipped.headers()[header::CONTENT_ENCODING], "gzip");
        assert!(
            get(ours, &[(header::ACCEPT_ENCODING, "gzip;q=0")])
                .await
                .headers()
                .get(header::CONTENT_ENCODING)
                .is_none()
        );
        let etag = zipped.headers()[header::ETAG].to_str().unwrap().to_owned();
        assert_eq!(
            get(ours, &[(header::IF_NONE_MATCH, &etag)]).await.status(),
            StatusCode::NOT_MODIFIED
        );
    }

    #[test]
    fn stylesheet_and_script_stay_small() {
        assert!(content("site.css").unwrap().len() < 32_000);
        assert!(content("site.js").unwrap().len() < 12_000);
    }
}
