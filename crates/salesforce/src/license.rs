//! Reading the vendor's licenses from the org that has the License Management
//! App: number, status, org id and expiry of one package's rows, and nothing
//! else. Reading only: the app's rows can't be written by an integration.

use serde_json::{Map, Value};
use sloe_core::budget::Purpose;
use sloe_core::ids::{OrgId, SfId};
use sloe_core::license::{License, Status, end_of_day};
use sloe_core::time::Timestamp;

use crate::auth::Credentials;
use crate::client::{Client, Options, Request};
use crate::error::Error;
use crate::limits::Usage;
use crate::query::{address, quoted};
use crate::wire::Page;

/// Rows of one answer, at most: Salesforce's own page.
const PAGE: usize = 2_000;
const CALL: &str = "read licenses";

const STATUS: &str = "sfLma__License_Status__c";
const EXPIRATION: &str = "sfLma__Expiration__c";
const ORG: &str = "sfLma__Subscriber_Org_ID__c";

/// Whose licenses are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Package {
    /// By its id (`033…`), in its 18-character form.
    Id(SfId),
    /// By the name of its record in the source org. That org keeps no namespaces.
    Name(String),
}

impl std::str::FromStr for Package {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        match SfId::parse(text) {
            Ok(id) if id.as_str().starts_with("033") => Ok(Self::Id(id)),
            Ok(id) if id.as_str().starts_with("04t") => {
                Err(format!("{id} is the id of a package version; a package's begins with 033"))
            }
            _ if text.is_empty() => Err("name a package: its id (033…) or its name".to_owned()),
            _ => Ok(Self::Name(text.to_owned())),
        }
    }
}

impl std::fmt::Display for Package {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => f.write_str(id.as_str()),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl Package {
    fn condition(&self) -> String {
        match self {
            // The app may hold either form.
            Self::Id(id) => {
                let short = id.as_str().get(..15).unwrap_or_default();
                format!("sfLma__Package__r.sfLma__Package_ID__c IN ('{short}', '{id}')")
            }
            Self::Name(name) => format!("sfLma__Package__r.Name = {}", quoted(name)),
        }
    }
}

/// Where a row stands in the order of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Its `SystemModstamp`.
    pub stamp: Timestamp,
    /// Its id.
    pub id: SfId,
}

/// A license row as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LicenseRow {
    /// Its number; its id where it has none.
    pub number: String,
    /// Where it stands in the order of changes.
    pub position: Position,
    /// Whether it lies in the bin.
    pub deleted: bool,
    /// Whose it is and what it says, or what of it can't be understood.
    pub says: Result<(OrgId, License), String>,
}

/// One page of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LicensePage {
    /// In the order asked for.
    pub rows: Vec<LicenseRow>,
    /// Whether there are more after the last one.
    pub more: bool,
    /// The org's clock when it answered, to the second.
    pub as_of: Option<Timestamp>,
}

/// The org with the License Management App, read for one package.
#[derive(Clone)]
pub struct LicenseSource {
    client: Client,
    package: Package,
}

impl LicenseSource {
    /// A handle that calls nobody yet.
    ///
    /// # Errors
    /// [`Error::Settings`] when the address or the key can't be.
    pub fn new(
        credentials: Credentials,
        package: Package,
        options: Options,
    ) -> Result<Self, Error> {
        // A refresh that somebody waits for would come first, if this org were one of ours.
        let client = Client::new(credentials, options)?.for_purpose(Purpose::Poll);
        Ok(Self { client, package })
    }

    /// Which org it is. Logs in if need be, which is no API call.
    ///
    /// # Errors
    /// As any login.
    pub async fn org(&self) -> Result<OrgId, Error> {
        self.client.org().await
    }

    /// A page of all rows that are there, by id, after this one: one API call.
    ///
    /// # Errors
    /// As any call.
    pub async fn all(&self, after: Option<SfId>) -> Result<LicensePage, Error> {
        self.page(&all(&self.package, after), false).await
    }

    /// A page of the rows changed or deleted from `since` on, in the order of
    /// their changes, after this one: one API call.
    ///
    /// # Errors
    /// As any call.
    pub async fn changed(
        &self,
        since: Option<Timestamp>,
        after: Option<Position>,
    ) -> Result<LicensePage, Error> {
        self.page(&changed(&self.package, since, after), true).await
    }

    /// Calls used and allowed, as the last answer of the org told.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.client.meter.usage()
    }

    async fn page(&self, soql: &str, deleted_too: bool) -> Result<LicensePage, Error> {
        let answer = self.client.send(&Request::get(CALL, address(soql, deleted_too))).await?;
        let page: Page = answer.read()?;
        let more = !page.done || page.records.len() >= PAGE;
        let rows = page.records.iter().map(row).collect::<Result<Vec<_>, _>>()?;
        // Without a row there is nothing to go on after.
        let more = more && !rows.is_empty();
        Ok(LicensePage { rows, more, as_of: answer.date() })
    }
}

/// The fields that are read, and no other.
fn fields() -> String {
    format!("SELECT Id, Name, {STATUS}, {EXPIRATION}, {ORG}, SystemModstamp, IsDeleted")
}

fn all(package: &Package, after: Option<SfId>) -> String {
    let after = after.map(|id| format!(" AND Id > '{id}'")).unwrap_or_default();
    let condition = package.condition();
    format!("{} FROM sfLma__License__c WHERE {condition}{after} ORDER BY Id LIMIT {PAGE}", fields())
}

fn changed(package: &Package, since: Option<Timestamp>, after: Option<Position>) -> String {
    let place = match (after, since) {
        (Some(Position { stamp, id }), _) => {
            format!(" AND (SystemModstamp > {stamp} OR (SystemModstamp = {stamp} AND Id > '{id}'))")
        }
        (None, Some(since)) => format!(" AND SystemModstamp >= {since}"),
        (None, None) => String::new(),
    };
    format!(
        "{} FROM sfLma__License__c WHERE {}{place} ORDER BY SystemModstamp, Id LIMIT {PAGE}",
        fields(),
        package.condition()
    )
}

fn row(record: &Map<String, Value>) -> Result<LicenseRow, Error> {
    let text = |name: &str| record.get(name).and_then(Value::as_str).map(str::trim);
    let odd = |what: &str| Error::Malformed { call: CALL, what: format!("a row without {what}") };
    let id = text("Id").and_then(|id| SfId::parse(id).ok()).ok_or_else(|| odd("an id"))?;
    let stamp = text("SystemModstamp").and_then(Timestamp::parse).ok_or_else(|| odd("a stamp"))?;
    let number = text("Name").filter(|name| !name.is_empty()).unwrap_or(id.as_str()).to_owned();
    let deleted = record.get("IsDeleted").and_then(Value::as_bool).unwrap_or(false);
    let says = says(&number, text(STATUS), text(EXPIRATION), text(ORG));
    Ok(LicenseRow { number, position: Position { stamp, id }, deleted, says })
}

fn says(
    number: &str,
    status: Option<&str>,
    expiration: Option<&str>,
    org: Option<&str>,
) -> Result<(OrgId, License), String> {
    let status = status.unwrap_or_default();
    let status = Status::parse(status).ok_or_else(|| format!("{status:?} is no status"))?;
    let org = org.unwrap_or_default();
    let org = OrgId::parse(org).map_err(|error| format!("{org:?} is no org: {error}"))?;
    let expires_at = match expiration.filter(|text| !text.is_empty()) {
        None => None,
        Some(date) => Some(end_of_day(date).ok_or_else(|| format!("{date:?} is no date"))?),
    };
    Ok((org, License { number: number.to_owned(), status, expires_at }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn package() -> Package {
        "033000000000001".parse().unwrap()
    }

    #[test]
    fn only_the_fields_that_are_kept_are_asked_for() {
        let stamp = Timestamp::parse("2026-11-26T10:00:00Z").unwrap();
        let id = SfId::parse("a0L000000000001").unwrap();
        let first = changed(&package(), Some(stamp), None);
        assert_eq!(
            first,
            "SELECT Id, Name, sfLma__License_Status__c, sfLma__Expiration__c, \
             sfLma__Subscriber_Org_ID__c, SystemModstamp, IsDeleted FROM sfLma__License__c \
             WHERE sfLma__Package__r.sfLma__Package_ID__c IN ('033000000000001', \
             '033000000000001AAA') AND SystemModstamp >= 2026-11-26T10:00:00Z \
             ORDER BY SystemModstamp, Id LIMIT 2000"
        );
        let next = changed(&package(), Some(stamp), Some(Position { stamp, id }));
        let place = "(SystemModstamp > 2026-11-26T10:00:00Z OR (SystemModstamp = \
                     2026-11-26T10:00:00Z AND Id > 'a0L000000000001EAA'))";
        assert!(next.contains(place), "{next}");
        let everything = all(&Package::Name("Who's there".into()), Some(id));
        assert!(
            everything.contains("WHERE sfLma__Package__r.Name = 'Who\\'s there' AND Id > 'a0L")
        );
        for soql in [first, next, everything] {
            let fields = soql.split(" FROM ").next().unwrap();
            assert_eq!(fields.split(',').count(), 7, "{soql}");
        }
    }

    #[test]
    fn a_package_is_named_by_its_id_in_both_forms_or_by_its_name() {
        assert_eq!(package(), "033000000000001AAA".parse().unwrap());
        assert_eq!("Sloe".parse(), Ok(Package::Name("Sloe".into())));
        assert!("04t000000000001".parse::<Package>().unwrap_err().contains("begins with 033"));
        assert!(" ".parse::<Package>().is_err());
    }

    #[test]
    fn a_row_is_read_whole_or_says_what_it_lacks() {
        let good = json!({
            "attributes": {}, "Id": "a0L000000000001EAA", "Name": "L-00001", "IsDeleted": false,
            "sfLma__License_Status__c": "Trial", "sfLma__Expiration__c": "2027-01-31",
            "sfLma__Subscriber_Org_ID__c": "00D5g000000Test",
            "SystemModstamp": "2026-11-26T10:00:00.000+0000",
        });
        let read = row(good.as_object().unwrap()).unwrap();
        let (org, license) = read.says.unwrap();
        assert_eq!(org, OrgId::parse("00D5g000000TestEAC").unwrap());
        assert_eq!((license.number.as_str(), license.status), ("L-00001", Status::Trial));
        assert_eq!(license.expires_at, end_of_day("2027-01-31"));
        for (field, value, told) in [
            (STATUS, json!("Expired"), "\"Expired\" is no status"),
            (STATUS, json!(null), "\"\" is no status"),
            (EXPIRATION, json!("31.01.2027"), "is no date"),
            (ORG, json!("001000000000001"), "an org id begins with 00D"),
            (ORG, json!(null), "is no org"),
        ] {
            let mut bad = good.clone();
            bad[field] = value;
            let says = row(bad.as_object().unwrap()).unwrap().says.unwrap_err();
            assert!(says.contains(told), "{says}");
        }
        let mut bad = good;
        bad["SystemModstamp"] = json!(null);
        assert!(matches!(row(bad.as_object().unwrap()), Err(Error::Malformed { .. })));
    }
}
