//! The standard objects that Sloe and common clients expect, with their usual fields.
//!
//! Fields whose values a real org works out (addresses as a whole, roll-ups, a member's response) are left out:
//! a field that is there but never right would be worse than none.

use super::{Field, Kind, Object, OnDelete, Reference};

/// Organization, Profile, User, Account, Contact, Lead, Campaign and CampaignMember.
pub(super) fn objects() -> Vec<Object> {
    vec![
        organization(),
        profile(),
        user(),
        account(),
        contact(),
        lead(),
        campaign(),
        campaign_member(),
    ]
}

fn text(name: &str, label: &str, length: usize) -> Field {
    Field::new(name, label, Kind::Text(length))
}

fn checkbox(name: &str, label: &str) -> Field {
    Field::new(name, label, Kind::Checkbox)
}

fn required(mut field: Field) -> Field {
    field.required = true;
    field
}

fn read_only(mut field: Field) -> Field {
    field.writable = false;
    field
}

/// An open list without a default.
fn picklist(name: &str, label: &str, values: &[&str]) -> Field {
    let values = values.iter().map(|v| ((*v).to_owned(), false)).collect();
    Field::new(name, label, Kind::Picklist { values, restricted: false })
}

/// The same with its first value as the default.
fn with_default(mut field: Field) -> Field {
    if let Kind::Picklist { values, .. } = &mut field.kind
        && let Some((_, default)) = values.first_mut()
    {
        *default = true;
    }
    field
}

/// A reference called `{relationship}Id`.
fn lookup(
    relationship: &str,
    label: &str,
    to: &str,
    children: Option<&str>,
    on_delete: OnDelete,
) -> Field {
    let reference = Reference {
        to: to.to_owned(),
        relationship: relationship.to_owned(),
        children: children.map(str::to_owned),
        on_delete,
    };
    Field::new(&format!("{relationship}Id"), label, Kind::Reference(reference))
}

/// Street to country, each field's name and label beginning so.
fn address(name: &str, label: &str) -> [Field; 5] {
    let field = |part: &str, words: &str, kind| {
        Field::new(&format!("{name}{part}"), format!("{label} {words}").trim(), kind)
    };
    [
        field("Street", "Street", Kind::LongText(255)),
        field("City", "City", Kind::Text(40)),
        field("State", "State/Province", Kind::Text(80)),
        field("PostalCode", "Zip/Postal Code", Kind::Text(20)),
        field("Country", "Country", Kind::Text(80)),
    ]
}

fn industry() -> Field {
    let values = [
        "Agriculture",
        "Education",
        "Finance",
        "Government",
        "Healthcare",
        "Manufacturing",
        "Not For Profit",
        "Technology",
        "Other",
    ];
    picklist("Industry", "Industry", &values)
}

fn source(name: &str, label: &str) -> Field {
    let values = ["Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Other"];
    picklist(name, label, &values)
}

fn rating(label: &str) -> Field {
    picklist("Rating", label, &["Hot", "Warm", "Cold"])
}

fn revenue() -> Field {
    Field::new("AnnualRevenue", "Annual Revenue", Kind::Currency(18, 0))
}

fn description(label: &str) -> Field {
    Field::new("Description", label, Kind::LongText(32_000))
}

/// Full, first and last name.
fn person() -> [Field; 4] {
    [
        picklist("Salutation", "Salutation", &["Mr.", "Ms.", "Mrs.", "Dr.", "Prof.", "Mx."]),
        read_only(Field::new("Name", "Full Name", Kind::FullName)),
        text("FirstName", "First Name", 40),
        required(text("LastName", "Last Name", 80)),
    ]
}

fn object(
    name: &str,
    prefix: &str,
    owned: bool,
    fields: impl IntoIterator<Item = Field>,
) -> Object {
    let label = if name == "CampaignMember" { "Campaign Member" } else { name };
    let mut object = Object::new(name, label, &format!("{label}s"), prefix);
    for field in fields {
        object.push_stored(field);
    }
    object.push_stamps(owned);
    object
}

fn organization() -> Object {
    let mut fields = vec![
        text("Name", "Name", 80),
        text("OrganizationType", "Edition", 40),
        text("InstanceName", "Instance Name", 5),
        checkbox("IsSandbox", "Is Sandbox"),
        text("NamespacePrefix", "Namespace Prefix", 15),
        Field::new("TrialExpirationDate", "Trial Expiration Date", Kind::DateTime),
        text("TimeZoneSidKey", "Time Zone", 40),
        text("LanguageLocaleKey", "Language", 40),
        text("DefaultLocaleSidKey", "Locale", 40),
        text("PrimaryContact", "Primary Contact", 80),
        Field::new("Phone", "Phone", Kind::Phone),
    ];
    fields.extend(address("", ""));
    let mut object = object("Organization", "00D", false, fields);
    object.writable = false;
    object
}

fn profile() -> Object {
    let fields = [
        required(text("Name", "Name", 255)),
        text("Description", "Description", 255),
        text("UserType", "User Type", 40),
    ];
    let mut object = object("Profile", "00e", false, fields);
    object.writable = false;
    object
}

fn user() -> Object {
    let mut username = required(text("Username", "Username", 80));
    username.unique = true;
    let fields = [
        username,
        read_only(Field::new("Name", "Full Name", Kind::FullName)),
        text("FirstName", "First Name", 40),
        required(text("LastName", "Last Name", 80)),
        required(Field::new("Email", "Email", Kind::Email)),
        checkbox("IsActive", "Active"),
        text("Alias", "Alias", 8),
        text("TimeZoneSidKey", "Time Zone", 40),
        text("LocaleSidKey", "Locale", 40),
        text("EmailEncodingKey", "Email Encoding", 40),
        text("LanguageLocaleKey", "Language", 40),
        text("UserType", "User Type", 40),
        lookup("Profile", "Profile ID", "Profile", Some("Users"), OnDelete::Restrict),
        text("Title", "Title", 80),
        text("Department", "Department", 80),
        Field::new("Phone", "Phone", Kind::Phone),
    ];
    let mut object = object("User", "005", false, fields);
    object.writable = false;
    object
}

fn account() -> Object {
    let mut fields = vec![
        required(text("Name", "Account Name", 255)),
        picklist("Type", "Account Type", &["Prospect", "Customer", "Partner", "Other"]),
        lookup("Parent", "Parent Account ID", "Account", Some("ChildAccounts"), OnDelete::Clear),
        Field::new("Phone", "Account Phone", Kind::Phone),
        Field::new("Fax", "Account Fax", Kind::Phone),
        text("AccountNumber", "Account Number", 40),
        Field::new("Website", "Website", Kind::Url),
        industry(),
        revenue(),
        description("Account Description"),
        rating("Account Rating"),
        text("Site", "Account Site", 80),
        source("AccountSource", "Account Source"),
    ];
    fields.extend(address("Billing", "Billing"));
    fields.extend(address("Shipping", "Shipping"));
    object("Account", "001", true, fields)
}

fn contact() -> Object {
    let mut fields = Vec::from(person());
    fields.extend([
        // A real org deletes an account's contacts with it.
        lookup("Account", "Account ID", "Account", Some("Contacts"), OnDelete::Cascade),
        Field::new("Email", "Email", Kind::Email),
        Field::new("Phone", "Business Phone", Kind::Phone),
        Field::new("Fax", "Business Fax", Kind::Phone),
        Field::new("MobilePhone", "Mobile Phone", Kind::Phone),
        Field::new("HomePhone", "Home Phone", Kind::Phone),
        text("Title", "Title", 128),
        text("Department", "Department", 80),
        lookup("ReportsTo", "Reports To ID", "Contact", None, OnDelete::Clear),
        source("LeadSource", "Lead Source"),
        Field::new("Birthdate", "Birthdate", Kind::Date),
        description("Contact Description"),
        checkbox("HasOptedOutOfEmail", "Email Opt Out"),
        checkbox("DoNotCall", "Do Not Call"),
    ]);
    fields.extend(address("Mailing", "Mailing"));
    object("Contact", "003", true, fields)
}

fn lead() -> Object {
    let status = ["Open - Not Contacted", "Working - Contacted", "Closed - Converted"];
    let mut fields = Vec::from(person());
    fields.extend([
        required(text("Company", "Company", 255)),
        Field::new("Email", "Email", Kind::Email),
        Field::new("Phone", "Phone", Kind::Phone),
        Field::new("MobilePhone", "Mobile Phone", Kind::Phone),
        Field::new("Fax", "Fax", Kind::Phone),
        text("Title", "Title", 128),
        Field::new("Website", "Website", Kind::Url),
        with_default(picklist("Status", "Status", &status)),
        source("LeadSource", "Lead Source"),
        industry(),
        rating("Rating"),
        revenue(),
        description("Description"),
        checkbox("HasOptedOutOfEmail", "Email Opt Out"),
        checkbox("DoNotCall", "Do Not Call"),
    ]);
    fields.extend(address("", ""));
    object("Lead", "00Q", true, fields)
}

fn campaign() -> Object {
    let status = ["Planned", "In Progress", "Completed", "Aborted"];
    let types = ["Conference", "Webinar", "Trade Show", "Email", "Advertisement", "Other"];
    let money = |name: &str, label: &str| Field::new(name, label, Kind::Currency(18, 0));
    let fields = [
        required(text("Name", "Name", 80)),
        lookup("Parent", "Parent Campaign ID", "Campaign", Some("ChildCampaigns"), OnDelete::Clear),
        picklist("Type", "Type", &types),
        with_default(picklist("Status", "Status", &status)),
        Field::new("StartDate", "Start Date", Kind::Date),
        Field::new("EndDate", "End Date", Kind::Date),
        checkbox("IsActive", "Active"),
        money("ExpectedRevenue", "Expected Revenue"),
        money("BudgetedCost", "Budgeted Cost"),
        money("ActualCost", "Actual Cost"),
        Field::new("NumberSent", "Num Sent", Kind::Number(18, 0)),
        description("Description"),
    ];
    object("Campaign", "701", true, fields)
}

fn campaign_member() -> Object {
    let members = Some("CampaignMembers");
    let mut of =
        required(lookup("Campaign", "Campaign ID", "Campaign", members, OnDelete::Cascade));
    of.frozen = true;
    let mut fields = vec![of];
    for (who, label) in [("Lead", "Lead ID"), ("Contact", "Contact ID")] {
        let mut field = lookup(who, label, who, members, OnDelete::Cascade);
        field.frozen = true;
        fields.push(field);
    }
    fields.push(with_default(picklist("Status", "Status", &["Sent", "Responded"])));
    object("CampaignMember", "00v", false, fields)
}
