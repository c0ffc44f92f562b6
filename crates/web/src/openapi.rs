//! `/openapi.json`: the API's description, made of the handlers' own
//! annotations and of the table of refusals.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Header, OpenApi, PathItem, Ref, ResponseBuilder};
use utoipa::{Modify, OpenApi as _};

use crate::api::{event, hold, order, registration};
use crate::error::{Cause, PROBLEM_JSON, ProblemDocument};
use crate::{health, hooks, problems};

/// What any request may be refused with.
const ANY: &[Cause] = &[Cause::TooManyRequests, Cause::NotAccepted, Cause::Internal];

/// What each operation may be refused with, beside [`ANY`].
const REFUSALS: &[(&str, &[Cause])] = &[
    ("list_events", event::list::REFUSALS),
    ("read_event", event::read::REFUSALS),
    ("read_availability", event::availability::REFUSALS),
    ("create_hold", hold::create::REFUSALS),
    ("release_hold", hold::release::REFUSALS),
    ("confirm_hold", hold::confirm::REFUSALS),
    ("create_registration", registration::create::REFUSALS),
    ("read_order", order::read::REFUSALS),
    ("cancel_order", order::cancel::REFUSALS),
    ("cancel_ticket", order::cancel::REFUSALS),
    ("refresh", hooks::REFUSALS),
    ("livez", &[]),
    ("readyz", &[Cause::NotReady]),
    ("metrics", &[Cause::Unauthorized, Cause::NotFound]),
    ("explain_problem", &[Cause::NotFound]),
    ("describe", &[]),
];

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Sloe",
        version = "1",
        description = "Events, seats and tickets of organizers who keep their events in Salesforce. Ids of holds and orders are capabilities: whoever has one may act on it, and one that is forged looks like one that does not exist. A request with an `Idempotency-Key` may be repeated: it is done once and answered alike. Every refusal is a problem document (RFC 9457) whose `type` is explained at its own address."
    ),
    servers((url = "/", description = "Here.")),
    paths(
        event::list::list,
        event::read::read,
        event::availability::read,
        hold::create::create,
        hold::release::release,
        hold::confirm::confirm,
        registration::create::create,
        order::read::read,
        order::cancel::all,
        order::cancel::one,
        hooks::refresh,
        health::livez,
        health::readyz,
        health::metrics_with_token,
        problems::explain,
        describe,
    ),
    components(schemas(ProblemDocument)),
    tags(
        (name = "events", description = "What the public may see."),
        (name = "holds", description = "Seats taken for a while."),
        (name = "registrations", description = "Hold and confirmation in one call."),
        (name = "orders", description = "Tickets, and giving them back."),
        (name = "hooks", description = "For Salesforce."),
        (name = "operation", description = "For whoever runs Sloe."),
    ),
    modifiers(&Refusals, &Secrets)
)]
struct Description;

/// Documents what each operation may be refused with.
struct Refusals;

impl Modify for Refusals {
    fn modify(&self, api: &mut OpenApi) {
        for operation in api.paths.paths.values_mut().flat_map(operations) {
            let id = operation.operation_id.as_deref().unwrap_or_default();
            let own = REFUSALS.iter().find(|(name, _)| *name == id).map_or(&[][..], |(_, own)| own);
            let mut by_status = BTreeMap::<u16, Vec<Cause>>::new();
            for cause in own.iter().chain(ANY) {
                by_status.entry(cause.entry().status.as_u16()).or_default().push(*cause);
            }
            for (status, causes) in by_status {
                let response = refusal(&causes);
                operation.responses.responses.insert(status.to_string(), response.into());
            }
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.delete].into_iter().flatten()
}

fn refusal(causes: &[Cause]) -> utoipa::openapi::Response {
    let told = |cause: &Cause| {
        let entry = cause.entry();
        format!("`{}`: {}.", entry.name, entry.title)
    };
    let described = causes.iter().map(told).collect::<Vec<_>>().join("\n\n");
    let schema = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let response = ResponseBuilder::new().description(described).content(PROBLEM_JSON, schema);
    let waits =
        [Cause::TooManyRequests, Cause::NotAccepted].iter().any(|cause| causes.contains(cause));
    if waits {
        let seconds = Header::new(
            utoipa::openapi::ObjectBuilder::new()
                .schema_type(utoipa::openapi::schema::Type::Integer)
                .description(Some("Seconds to wait.")),
        );
        response.header("Retry-After", seconds).build()
    } else {
        response.build()
    }
}

/// Names how callers prove who they are.
struct Secrets;

impl Modify for Secrets {
    fn modify(&self, api: &mut OpenApi) {
        let components = api.components.get_or_insert_default();
        let key =
            ApiKeyValue::with_description(hooks::SECRET, "Printed when the org is connected.");
        components.add_security_scheme("secret", SecurityScheme::ApiKey(ApiKey::Header(key)));
        let signature = ApiKeyValue::with_description(
            "webhook-signature",
            "Standard Webhooks: with `webhook-id` and `webhook-timestamp`, by the key printed beside the secret.",
        );
        let signature = SecurityScheme::ApiKey(ApiKey::Header(signature));
        components.add_security_scheme("signature", signature);
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
    }
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "operation", operation_id = "describe",
    responses((status = 200, description = "OpenAPI 3.1.", content_type = "application/json", body = Object))
)]
pub(crate) async fn describe() -> Response {
    static BODY: LazyLock<Bytes> = LazyLock::new(|| {
        let text = Description::openapi().to_pretty_json();
        Bytes::from(text.unwrap_or_default())
    });
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "public, max-age=300"),
    ];
    (headers, BODY.clone()).into_response()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::api::{hold, person};
    use serde_json::Value;

    fn description() -> Value {
        serde_json::to_value(Description::openapi()).unwrap()
    }

    fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value.as_str().filter(|_| name == "$ref") {
                        Some(reference) => found.push(reference),
                        None => references(value, found),
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let description = description();
        assert_eq!(description["openapi"], "3.1.0");
        let mut found = Vec::new();
        references(&description, &mut found);
        assert!(found.len() > 20, "{found:?}");
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(description.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn every_operation_has_its_row_of_refusals_and_its_own_name() {
        let mut api = Description::openapi();
        let mut ids: Vec<_> = api.paths.paths.values_mut().flat_map(operations).collect();
        let mut ids: Vec<_> = ids.iter_mut().map(|o| o.operation_id.take().unwrap()).collect();
        ids.sort();
        let mut rows: Vec<_> = REFUSALS.iter().map(|(id, _)| (*id).to_owned()).collect();
        rows.sort();
        assert_eq!(ids, rows);
    }

    #[test]
    fn requests_are_described_with_the_fields_that_are_read() {
        let description = description();
        for (schema, fields) in [
            ("HoldRequest", hold::create::HOLD_FIELDS),
            ("Line", hold::create::LINE_FIELDS),
            ("ConfirmRequest", person::LIST_FIELDS),
            ("RegistrationRequest", person::LIST_FIELDS),
            ("PlacedAttendee", person::PLACED_FIELDS),
            ("NewAttendee", person::CHOOSING_FIELDS),
            ("RefreshRequest", hooks::REFRESH_FIELDS),
        ] {
            let described = &description["components"]["schemas"][schema]["properties"];
            let mut described: Vec<_> = described.as_object().unwrap().keys().collect();
            let more = &description["components"]["schemas"][schema]["additionalProperties"];
            assert_eq!(*more, false, "{schema}");
            described.sort();
            let mut fields = fields.to_vec();
            fields.sort_unstable();
            assert_eq!(described, fields, "{schema}");
        }
    }
}
