//! Salesforce's error codes, each with the HTTP status and the words it comes with.

/// One code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Code {
    pub(crate) code: &'static str,
    pub(crate) status: u16,
    pub(crate) message: &'static str,
}

const fn code(code: &'static str, status: u16, message: &'static str) -> Code {
    Code { code, status, message }
}

/// What an overloaded or maintained org answers.
pub(crate) const UNAVAILABLE: Code = code(
    "SERVER_UNAVAILABLE",
    503,
    "The server is temporarily unable to respond. Try again later.",
);

/// An unforeseen fault.
pub(crate) const UNKNOWN: Code = code("UNKNOWN_EXCEPTION", 500, "An unexpected error occurred.");
/// The day's allowance is used up.
pub(crate) const DAILY: Code = code("REQUEST_LIMIT_EXCEEDED", 403, "TotalRequests Limit exceeded.");
/// There is no such session, or no longer.
pub(crate) const SESSION: Code = code("INVALID_SESSION_ID", 401, "Session expired or invalid");
/// There is no such open result, or no longer.
pub(crate) const LOCATOR: Code = code("INVALID_QUERY_LOCATOR", 400, "invalid query locator");
/// An id that no record of the right kind has.
pub(crate) const NO_RECORD: Code =
    code("INVALID_CROSS_REFERENCE_KEY", 400, "invalid cross reference id");
/// Nothing lives at this address.
pub(crate) const NOT_FOUND: Code = code("NOT_FOUND", 404, "The requested resource does not exist");
/// The record is in the recycle bin.
pub(crate) const DELETED: Code = code("ENTITY_IS_DELETED", 404, "entity is deleted");
/// A body is wanted and none was sent.
pub(crate) const NO_BODY: Code = code(
    "JSON_PARSER_ERROR",
    400,
    "The HTTP entity body is required, but this request has no entity body.",
);

static CODES: [Code; 38] = [
    UNAVAILABLE,
    UNKNOWN,
    DAILY,
    code("API_DISABLED_FOR_ORG", 403, "API is not enabled for this Organization or Partner"),
    code("API_CURRENTLY_DISABLED", 403, "API is currently disabled."),
    code("INSUFFICIENT_ACCESS", 403, "insufficient access rights on object id"),
    code("INSUFFICIENT_ACCESS_OR_READONLY", 403, "insufficient access rights on object id"),
    code(
        "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY",
        400,
        "insufficient access rights on cross-reference id",
    ),
    SESSION,
    code(
        "UNABLE_TO_LOCK_ROW",
        400,
        "unable to obtain exclusive access to this record or 1 records",
    ),
    code(
        "DUPLICATE_VALUE",
        400,
        "duplicate value found: <unknown> duplicates value on record with id: <unknown>",
    ),
    code("DUPLICATES_DETECTED", 400, "Use one of these records?"),
    code("MALFORMED_QUERY", 400, "unexpected token: '<EOF>'"),
    code("INVALID_FIELD", 400, "No such column on entity"),
    code("INVALID_TYPE", 400, "sObject type is not supported."),
    code("QUERY_TIMEOUT", 400, "Your query request was running for too long."),
    LOCATOR,
    code(
        "REQUEST_RUNNING_TOO_LONG",
        400,
        "Your request was running for too long, and has been stopped.",
    ),
    code("REQUIRED_FIELD_MISSING", 400, "Required fields are missing: [Name]"),
    NO_BODY,
    code("MALFORMED_ID", 400, "malformed id"),
    code("STRING_TOO_LONG", 400, "data value too large"),
    code("FIELD_CUSTOM_VALIDATION_EXCEPTION", 400, "A validation rule of the org refuses this."),
    code(
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        400,
        "execution of BeforeInsert caused by a trigger of the org",
    ),
    NO_RECORD,
    code("STORAGE_LIMIT_EXCEEDED", 400, "storage limit exceeded"),
    code("LIMIT_EXCEEDED", 400, "You have exceeded a limit of the org."),
    code("TXN_SECURITY_METERING_ERROR", 400, "A transaction security policy refuses this."),
    NOT_FOUND,
    DELETED,
    code("METHOD_NOT_ALLOWED", 405, "HTTP Method not allowed."),
    code("UNSUPPORTED_API_VERSION", 410, "The API version is retired."),
    code("UNSUPPORTED_MEDIA_TYPE", 415, "Content type not supported"),
    code("invalid_grant", 400, "authentication failure"),
    code("invalid_client", 401, "invalid client credentials"),
    code("invalid_client_id", 400, "client identifier invalid"),
    code("inactive_org", 400, "organization is inactive or locked"),
    code("rate_limit_exceeded", 400, "number of login attempts has exceeded the limit"),
];

/// The code of this name.
pub(crate) fn find(name: &str) -> Option<&'static Code> {
    CODES.iter().find(|known| known.code == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_stands_once_and_with_the_status_of_an_error() {
        for (place, one) in CODES.iter().enumerate() {
            assert!((400..600).contains(&one.status), "{one:?}");
            assert!(CODES[..place].iter().all(|earlier| earlier.code != one.code), "{one:?}");
        }
    }
}
