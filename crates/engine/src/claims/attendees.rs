//! Attendees' details: checked as the org would check them, then sealed.

use sloe_core::catalog::{AttendeeForm, FieldRule};
use sloe_core::ids::{ClaimId, EventRef};
use sloe_store::api::Sealed;

use super::owner;
use crate::clock::World;
use crate::error::{Denied, Fault, Part};
use crate::seal::Key;
use crate::view::{Attendee, AttendeeInput};

/// The details of `inputs`, one per place, or every fault.
pub(super) fn check(
    form: &AttendeeForm,
    inputs: &[AttendeeInput],
) -> Result<Vec<Attendee>, Denied> {
    let mut faults = Vec::new();
    let attendees = (1_u16..)
        .zip(inputs)
        .map(|(place, input)| {
            let mut read = |part, text: &str, rule: &FieldRule, name: &str| {
                let text = text.trim();
                if let Err((code, message)) = check_text(text, rule, name) {
                    faults.push(Fault { place: Some(place), part, code, message });
                } else if part == Part::Email && !text.is_empty() && !is_email(text) {
                    let message = "Enter an e-mail address like name@example.org.".to_owned();
                    faults.push(Fault { place: Some(place), part, code: "email", message });
                }
                text.to_owned()
            };
            Attendee {
                first_name: read(
                    Part::FirstName,
                    &input.first_name,
                    &form.first_name,
                    "first name",
                ),
                last_name: read(Part::LastName, &input.last_name, &form.last_name, "last name"),
                email: read(Part::Email, &input.email, &form.email, "e-mail address"),
                invitee: None,
            }
        })
        .collect();
    if faults.is_empty() { Ok(attendees) } else { Err(Denied::Invalid(faults)) }
}

fn check_text(text: &str, rule: &FieldRule, name: &str) -> Result<(), (&'static str, String)> {
    if text.is_empty() && rule.required {
        return Err(("required", format!("Enter the {name}.")));
    }
    // Salesforce counts UTF-16 code units.
    if text.encode_utf16().count() > rule.max_length as usize {
        let message = format!("The {name} can have at most {} characters.", rule.max_length);
        return Err(("too-long", message));
    }
    if text.chars().any(char::is_control) {
        return Err(("characters", format!("The {name} has a character that can't be stored.")));
    }
    Ok(())
}

/// As strict as Salesforce's own check of an e-mail field is documented to
/// be, so that the org takes what the form took: one `@`, a dotted host,
/// plain characters.
fn is_email(text: &str) -> bool {
    let Some((local, host)) = text.split_once('@') else { return false };
    let plain = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let dots = |s: &str| !s.starts_with('.') && !s.ends_with('.') && !s.contains("..");
    let host_ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    !local.is_empty()
        && local.len() <= 64
        && local.chars().all(plain)
        && dots(local)
        && host.contains('.')
        && dots(host)
        && host.chars().all(host_ok)
        && !host.starts_with('-')
}

/// Seals the details of a claim's attendees; `None` stands for one that was erased.
pub(crate) fn seal(
    key: &Key,
    world: &dyn World,
    event: EventRef,
    claim: ClaimId,
    attendees: &[Option<Attendee>],
) -> Result<Sealed, Denied> {
    let plain = serde_json::to_vec(attendees).map(zeroize::Zeroizing::new);
    let body = plain.ok().and_then(|plain| key.seal(world, &owner(event, claim), &plain).ok());
    // Without randomness nothing can be sealed, so nothing is taken.
    let body = body.ok_or_else(Denied::not_now)?;
    Ok(Sealed { claim, body: Some(body) })
}

/// Opens what [`seal`] made.
pub(crate) fn open(
    key: &Key,
    event: EventRef,
    claim: ClaimId,
    body: &[u8],
) -> Option<Vec<Option<Attendee>>> {
    let plain = key.open(&owner(event, claim), body).ok()?;
    serde_json::from_slice(&plain).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_salesforce_would_refuse_are_refused_here() {
        for good in ["a@b.co", "first.last+tag@sub.example.org", "o'neil@example.ie"] {
            assert!(is_email(good), "{good}");
        }
        for bad in [
            "", "a", "a@b", "a@@b.co", "a b@c.de", "a@b..co", ".a@b.co", "ä@b.co", "a@-b.co",
            "a@b.co\n",
        ] {
            assert!(!is_email(bad), "{bad}");
        }
    }

    #[test]
    fn every_fault_of_every_attendee_is_named() {
        let inputs = [
            AttendeeInput {
                first_name: "Ada".into(),
                last_name: String::new(),
                email: "x".into(),
                ..AttendeeInput::default()
            },
            AttendeeInput {
                first_name: "x".repeat(41),
                last_name: "y\u{7}".into(),
                email: String::new(),
                ..AttendeeInput::default()
            },
        ];
        let Err(Denied::Invalid(faults)) = check(&AttendeeForm::default(), &inputs) else {
            unreachable!("faulty attendees were taken")
        };
        let named: Vec<_> = faults.iter().map(|f| (f.place, f.part, f.code)).collect();
        assert_eq!(
            named,
            [
                (Some(1), Part::LastName, "required"),
                (Some(1), Part::Email, "email"),
                (Some(2), Part::FirstName, "too-long"),
                (Some(2), Part::LastName, "characters"),
                (Some(2), Part::Email, "required"),
            ]
        );
    }
}
