"""simple-salesforce, as its users have it, does to an org what integrations do.

python simple_salesforce.py URL CLIENT_ID CLIENT_SECRET KEY_FILE
The org is a fresh `sloe sim org` with the default seed, whose app also knows the key.
The first surprise ends it with a message and 1.
"""

import csv
import io
import sys
import traceback
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

# This file has the package's name, and would be found in its place.
sys.path.pop(0)

import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import SalesforceAuthenticationFailed, SalesforceError

URL, CLIENT_ID, CLIENT_SECRET, KEY_FILE = sys.argv[1:]
HOST = urlsplit(URL).netloc
DOMAIN = "meridian.my"
USER = "sloe@meridian.example"
EVENT = "systems-days"
ROWS = 450
# Every hundredth of them has a status that doesn't exist.
BAD = 4
GOOD = ROWS - BAD
OURS = "Sloe_Id__c LIKE 'py-bulk-%'"
ODD_NAME = 'Zoë "Zo", עמי 🎟\nsecond line'


class ToTheOrg(HTTPAdapter):
    """simple-salesforce speaks https only, and signs in at salesforce.com: this takes it to the org."""

    def send(self, request, **options):
        parts = urlsplit(request.url)
        if parts.netloc not in (HOST, f"{DOMAIN}.salesforce.com", "login.salesforce.com"):
            raise AssertionError(f"it called {parts.netloc}")
        request.url = URL + request.url.removeprefix(f"https://{parts.netloc}")
        return super().send(request, **options)


def session():
    made = requests.Session()
    made.mount("https://", ToTheOrg())
    return made


def signed_in(secret=CLIENT_SECRET):
    return Salesforce(consumer_key=CLIENT_ID, consumer_secret=secret, domain=DOMAIN, session=session())


def equal(found, expected):
    if found != expected:
        raise AssertionError(f"{found!r} instead of {expected!r}")


def refusal(call):
    """The error code that a call is refused with."""
    try:
        call()
    except SalesforceAuthenticationFailed as error:
        return error.code
    except SalesforceError as error:
        return error.content[0]["errorCode"]
    raise AssertionError("was not refused")


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


def log_in_by_client_credentials(sf):
    equal(sf.sf_instance, HOST)
    equal(sf.oauth2("userinfo")["organization_id"][:3], "00D")
    equal(sf.is_sandbox(), False)
    equal(refusal(lambda: signed_in("wrong")), "invalid_client")


def log_in_by_a_bare_access_token(sf):
    bare = Salesforce(instance_url=URL, session_id=sf.session_id, session=session())
    equal(bare.query("SELECT Id FROM Organization")["totalSize"], 1)
    bad = Salesforce(instance_url=URL, session_id="00D000000000001!nonsense", session=session())
    equal(refusal(lambda: bad.query("SELECT Id FROM Organization")), "INVALID_SESSION_ID")


def log_in_by_a_signed_assertion(sf):
    who = {"username": USER, "consumer_key": CLIENT_ID, "privatekey_file": KEY_FILE}
    jwt = Salesforce(**who, session=session())
    equal(jwt.oauth2("userinfo")["preferred_username"], USER)
    ghost = {**who, "username": "ghost@meridian.example"}
    equal(refusal(lambda: Salesforce(**ghost, session=session())), "invalid_grant")


def get_a_new_token_when_the_old_one_has_expired(sf):
    old = sf.session_id
    requests.delete(f"{URL}/__control/tokens", timeout=30).raise_for_status()
    bare = Salesforce(instance_url=URL, session_id=old, session=session())
    equal(refusal(bare.limits), "INVALID_SESSION_ID")
    equal(sf.query("SELECT Id FROM Organization")["totalSize"], 1)
    if sf.session_id == old:
        raise AssertionError("the token is still the old one")


def describe_the_org_and_an_object(sf):
    names = {found["name"] for found in sf.describe()["sobjects"]}
    wanted = {"Organization", "User", "Contact", "Lead", "Sloe_Event__c", "Sloe_Attendee__c"}
    equal(wanted - names, set())
    fields = {field["name"]: field for field in sf.Sloe_Attendee__c.describe()["fields"]}
    equal(fields["Sloe_Id__c"]["externalId"], True)
    equal(fields["Event__c"]["referenceTo"], ["Sloe_Event__c"])
    equal(fields["Event__c"]["relationshipName"], "Event__r")
    statuses = [entry["value"] for entry in fields["Registration_Status__c"]["picklistValues"]]
    equal(statuses, ["Registered", "Cancelled"])
    equal(sf.Contact.metadata()["objectDescribe"]["keyPrefix"], "003")
    equal(refusal(sf.Nothing__c.describe), "NOT_FOUND")


def create_read_update_and_delete(sf):
    made = sf.Contact.create({"FirstName": "Ada", "LastName": ODD_NAME})
    key = made["id"]
    equal((made["success"], key[:3]), (True, "003"))
    equal(sf.Contact.get(key)["LastName"], ODD_NAME)
    equal(sf.Contact.update(key, {"Title": "Countess"}), 204)
    equal(sf.Contact.get(key[:15])["Title"], "Countess")
    equal(sf.Contact.delete(key), 204)
    equal(refusal(lambda: sf.Contact.get(key)), "ENTITY_IS_DELETED")
    soql = f"SELECT IsDeleted FROM Contact WHERE Id = '{key}'"
    equal(sf.query(soql)["totalSize"], 0)
    equal(sf.query(soql, include_deleted=True)["records"][0]["IsDeleted"], True)
    equal(refusal(lambda: sf.Contact.create({"FirstName": "Ada"})), "REQUIRED_FIELD_MISSING")


def upsert_by_external_id(sf):
    where = "Sloe_Id__c/py%2Fone%20%C3%A4"
    one = {"Last_Name__c": "One", "Event__c": event(sf)}
    equal(sf.Sloe_Attendee__c.upsert(where, one), 201)
    equal(sf.Sloe_Attendee__c.upsert(where, {"Last_Name__c": "Uno"}), 200)
    found = sf.Sloe_Attendee__c.get(where)
    equal((found["Sloe_Id__c"], found["Last_Name__c"]), ("py/one ä", "Uno"))
    copy = {"Sloe_Id__c": "py/one ä", "Last_Name__c": "Two"}
    equal(refusal(lambda: sf.Sloe_Attendee__c.create(copy)), "DUPLICATE_VALUE")
    sf.Sloe_Attendee__c.delete(found["Id"])


def send_collections_with_a_row_that_fails(sf):
    people = [{"LastName": "One"}, {"FirstName": "Nobody"}, {"LastName": "Three"}]
    records = [{"attributes": {"type": "Contact"}, **person} for person in people]
    made = sf.restful("composite/sobjects", method="POST", json={"records": records})
    equal([row["success"] for row in made], [True, False, True])
    equal(made[1]["errors"][0]["statusCode"], "REQUIRED_FIELD_MISSING")
    equal(made[1]["errors"][0]["fields"], ["LastName"])
    whole = {"allOrNone": True, "records": records}
    none = sf.restful("composite/sobjects", method="POST", json=whole)
    equal([row["success"] for row in none], [False, False, False])
    keys = [made[0]["id"], made[2]["id"]]
    changes = [{"attributes": {"type": "Contact"}, "id": key, "Title": "Guest"} for key in keys]
    changed = sf.restful("composite/sobjects", method="PATCH", json={"records": changes})
    equal([row["success"] for row in changed], [True, True])
    equal(sf.query("SELECT COUNT() FROM Contact WHERE Title = 'Guest'")["totalSize"], 2)
    ids = {"ids": ",".join([*keys, keys[0]])}
    gone = sf.restful("composite/sobjects", params=ids, method="DELETE")
    equal([row["success"] for row in gone], [True, True, False])


def send_a_composite_with_references(sf):
    base = f"/services/data/v{sf.sf_version}/sobjects/Contact"
    post = {"method": "POST", "url": base, "referenceId": "made", "body": {"LastName": "Composed"}}
    read = {"method": "GET", "url": base + "/@{made.id}", "referenceId": "read"}
    broken = {**post, "referenceId": "broken", "body": {}}

    def send(all_or_none, parts):
        body = {"allOrNone": all_or_none, "compositeRequest": parts}
        return sf.restful("composite", method="POST", json=body)["compositeResponse"]

    good = send(False, [post, read])
    equal([part["httpStatusCode"] for part in good], [201, 200])
    equal(good[1]["body"]["LastName"], "Composed")
    bad = send(True, [post, broken])
    codes = [part["body"][0]["errorCode"] for part in bad]
    equal(codes, ["PROCESSING_HALTED", "REQUIRED_FIELD_MISSING"])
    equal(sf.query("SELECT COUNT() FROM Contact WHERE LastName = 'Composed'")["totalSize"], 1)


def ingest_by_bulk_with_rows_that_fail(sf):
    def status(i):
        if i % 100 == 50:
            return "Undecided"
        return "Registered" if i % 3 else "Cancelled"

    its_event = event(sf)
    records = [
        {
            "Sloe_Id__c": f"py-bulk-{i}",
            "Last_Name__c": f"Row {i}" if i else ODD_NAME,
            "Event__c": its_event,
            "Registration_Status__c": status(i),
        }
        for i in range(ROWS)
    ]
    bulk = sf.bulk2.Sloe_Attendee__c
    [job] = bulk.upsert(records=records, external_id_field="Sloe_Id__c", wait=0)
    equal((job["numberRecordsProcessed"], job["numberRecordsFailed"]), (ROWS, BAD))
    done = rows_of(bulk.get_successful_records(job["job_id"]))
    equal({row["sf__Created"] for row in done}, {"true"})
    equal(len(done), GOOD)
    failed = rows_of(bulk.get_failed_records(job["job_id"]))
    equal({row["sf__Error"].split(":")[0] for row in failed}, {"INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"})
    equal([row["Registration_Status__c"] for row in failed], ["Undecided"] * BAD)
    equal(rows_of(bulk.get_unprocessed_records(job["job_id"])), [])


def query_by_bulk_page_by_page(sf):
    soql = f"SELECT Id, Last_Name__c, Event__r.Slug__c FROM Sloe_Attendee__c WHERE {OURS}"
    pages = [rows_of(page) for page in sf.bulk2.Sloe_Attendee__c.query(soql, max_records=200, wait=0)]
    equal([len(page) for page in pages], [200, 200, GOOD - 400])
    rows = [row for page in pages for row in page]
    equal(len({row["Id"] for row in rows}), GOOD)
    equal([row["Last_Name__c"] for row in rows].count(ODD_NAME), 1)
    equal({row["Event__r.Slug__c"] for row in rows}, {EVENT})


def query_page_by_page(sf):
    soql = f"SELECT Id FROM Sloe_Attendee__c WHERE {OURS} ORDER BY Sloe_Id__c"
    headers = {"Sforce-Query-Options": "batchSize=200"}
    page = sf.query(soql, headers=headers)
    sizes = [len(page["records"])]
    while not page["done"]:
        page = sf.query_more(page["nextRecordsUrl"], identifier_is_url=True, headers=headers)
        sizes.append(len(page["records"]))
    equal(sizes, [200, 200, GOOD - 400])
    everything = sf.query_all(soql, headers=headers)["records"]
    equal(len({row["Id"] for row in everything}), GOOD)


def query_children_parents_and_sums(sf):
    [found] = sf.query(
        "SELECT Name, (SELECT Name FROM Items__r ORDER BY Position__c), (SELECT Id FROM Sessions__r)"
        f" FROM Sloe_Event__c WHERE Slug__c = '{EVENT}'"
    )["records"]
    names = [item["Name"] for item in found["Items__r"]["records"]]
    equal(names, ["Conference pass", "Student pass"])
    equal(found["Sessions__r"]["totalSize"], 12)
    [item] = sf.query("SELECT Event__r.Name FROM Sloe_Item__c WHERE Name = 'Student pass'")["records"]
    equal(item["Event__r"]["Name"], found["Name"])
    equal(sf.query(f"SELECT COUNT() FROM Sloe_Attendee__c WHERE {OURS}")["totalSize"], GOOD)
    groups = sf.query(
        "SELECT Registration_Status__c status, COUNT(Id) amount, MAX(Sloe_Id__c) last FROM Sloe_Attendee__c"
        f" WHERE {OURS} GROUP BY Registration_Status__c"
    )["records"]
    found = sorted((group["status"], group["amount"], group["last"]) for group in groups)
    equal(found, [("Cancelled", 149, "py-bulk-99"), ("Registered", 297, "py-bulk-98")])
    equal(refusal(lambda: sf.query("SELECT FROM Contact")), "MALFORMED_QUERY")
    equal(refusal(lambda: sf.query("SELECT Nothing__c FROM Contact")), "INVALID_FIELD")


def reckon_with_dates(sf):
    groups = sf.query(
        f"SELECT CALENDAR_YEAR(CreatedDate) year, COUNT(Id) amount FROM Sloe_Attendee__c WHERE {OURS}"
        " AND DAY_ONLY(CreatedDate) >= YESTERDAY GROUP BY CALENDAR_YEAR(CreatedDate)"
    )["records"]
    equal(sum(group["amount"] for group in groups), GOOD)


def search_for_words(sf):
    made = sf.Contact.create({"LastName": "Quillfeather", "Email": "ada@quill.example"})["id"]

    def ids(found):
        return [row["Id"] for row in found["searchRecords"]]

    equal(ids(sf.quick_search("Quillfeather")), [made])
    equal(ids(sf.search("FIND {quillfeath?r OR nobody} IN ALL FIELDS RETURNING Contact(Id), Lead")), [made])
    wanted = {"q": "quill", "in": "EMAIL", "sobjects": [{"name": "Contact", "fields": ["Id"]}]}
    equal(ids(sf.restful("parameterizedSearch", method="POST", json=wanted)), [made])
    wanted = {"q": "quill", "sobject": "Contact", "Contact.fields": "Id", "Contact.limit": 1}
    equal(ids(sf.restful("parameterizedSearch", params=wanted)), [made])
    equal(refusal(lambda: sf.search("FIND Quillfeather")), "MALFORMED_SEARCH")


def see_what_has_changed(sf):
    gone = sf.Contact.create({"LastName": "Gone"})["id"]
    sf.Contact.delete(gone)
    now = datetime.now(timezone.utc)
    span = (now - timedelta(hours=1), now + timedelta(minutes=2))
    equal(gone in [row["id"] for row in sf.Contact.deleted(*span)["deletedRecords"]], True)
    equal(gone in sf.Contact.updated(*span)["ids"], False)
    equal(len(sf.restful("recent", params={"limit": 1})), 1)
    items = sf.Contact.metadata()["recentItems"]
    equal({item["attributes"]["type"] for item in items}, {"Contact"})


def read_the_limits(sf):
    calls = sf.limits()["DailyApiRequests"]
    usage = sf.api_usage["api-usage"]
    equal(usage.total, calls["Max"])
    equal(usage.total - usage.used, calls["Remaining"])
    if usage.used <= 20:
        raise AssertionError(f"only {usage.used} calls were counted")


def event(sf):
    return sf.query(f"SELECT Id FROM Sloe_Event__c WHERE Slug__c = '{EVENT}'")["records"][0]["Id"]


STEPS = [
    log_in_by_client_credentials,
    log_in_by_a_bare_access_token,
    log_in_by_a_signed_assertion,
    get_a_new_token_when_the_old_one_has_expired,
    describe_the_org_and_an_object,
    create_read_update_and_delete,
    upsert_by_external_id,
    send_collections_with_a_row_that_fails,
    send_a_composite_with_references,
    ingest_by_bulk_with_rows_that_fail,
    query_by_bulk_page_by_page,
    query_page_by_page,
    query_children_parents_and_sums,
    reckon_with_dates,
    search_for_words,
    see_what_has_changed,
    read_the_limits,
]


def main():
    sf = signed_in()
    for step in STEPS:
        name = step.__name__.replace("_", " ")
        try:
            step(sf)
        except Exception:
            sys.exit(f"simple-salesforce could not {name}: {traceback.format_exc()}")
        print(f"simple-salesforce: {name}", flush=True)


main()
