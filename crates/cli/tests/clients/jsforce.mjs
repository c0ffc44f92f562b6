// jsforce, as its users have it, does to an org what integrations do.
// node jsforce.mjs URL CLIENT_ID CLIENT_SECRET KEY_FILE
// The org is a fresh `sloe sim org` with the default seed, whose app also knows the key.
// The first surprise ends it with a message and 1.
import assert from "node:assert/strict";
import { sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

// Unlike `import`, `require` also looks where NODE_PATH points.
const { Connection } = createRequire(import.meta.url)("jsforce");

const [url, clientId, clientSecret, keyFile] = process.argv.slice(2);
const USER = "sloe@meridian.example";
// That of the app in the default seed.
const REFRESH_TOKEN = "5Aep861.meridian.demo.refresh";
const EVENT = "systems-days";
const ATTENDEE = "Sloe_Attendee__c";
// In milliseconds. Bulk jobs of this size are done at once; by default jsforce asks once a second.
const POLLING = { pollInterval: 50, pollTimeout: 60_000 };
const ROWS = 450;
// Every hundredth of them has a status that doesn't exist.
const BAD = 4;
const GOOD = ROWS - BAD;
const OURS = "Sloe_Id__c LIKE 'js-bulk-%'";
const ODD_NAME = 'Zoë "Zo", עמי 🎟\nsecond line';

const grant = { grant_type: "client_credentials" };
const connection = (secret) =>
  new Connection({ instanceUrl: url, oauth2: { loginUrl: url, clientId, clientSecret: secret } });

/** The error code that a call is refused with. */
async function refusal(call) {
  try {
    await call();
  } catch (error) {
    return error.errorCode ?? error.name;
  }
  throw new Error("was not refused");
}

const conn = connection(clientSecret);
let eventId;

const steps = {
  async "log in by client credentials"() {
    const user = await conn.authorize(grant);
    assert.match(user.organizationId, /^00D/);
    assert.match(user.id, /^005/);
    assert.equal((await conn.identity()).organization_id, user.organizationId);
    assert.equal(await refusal(() => connection("wrong").authorize(grant)), "invalid_client");
  },

  async "log in by a bare access token"() {
    const bare = new Connection({ instanceUrl: url, accessToken: conn.accessToken });
    assert.equal((await bare.query("SELECT Id FROM Organization")).totalSize, 1);
    assert.equal((await bare.identity()).username, USER);
    const bad = new Connection({ instanceUrl: url, accessToken: "00D000000000001!nonsense" });
    assert.equal(await refusal(() => bad.query("SELECT Id FROM Organization")), "INVALID_SESSION_ID");
  },

  async "log in by a signed assertion"() {
    const encoded = (part) => Buffer.from(JSON.stringify(part)).toString("base64url");
    const exp = Math.floor(Date.now() / 1000) + 180;
    const claims = { iss: clientId, aud: "https://login.salesforce.com", exp };
    const unsigned = (sub) => `${encoded({ alg: "RS256" })}.${encoded({ ...claims, sub })}`;
    const text = unsigned(USER);
    const signature = sign("sha256", Buffer.from(text), readFileSync(keyFile)).toString("base64url");
    const bearer = { grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer" };
    const jwt = connection(undefined);
    await jwt.authorize({ ...bearer, assertion: `${text}.${signature}` });
    assert.equal((await jwt.identity()).username, USER);
    const forged = { ...bearer, assertion: `${unsigned("hanna@meridian.example")}.${signature}` };
    assert.equal(await refusal(() => connection(undefined).authorize(forged)), "invalid_grant");
  },

  async "get a new token when the old one has expired"() {
    let refreshed = 0;
    const refreshFn = (again, done) => {
      refreshed += 1;
      connection(clientSecret).oauth2.requestToken(grant).then(
        (token) => done(null, token.access_token),
        (error) => done(error),
      );
    };
    const old = new Connection({ instanceUrl: url, accessToken: conn.accessToken, refreshFn });
    await fetch(`${url}/__control/tokens`, { method: "DELETE" });
    assert.equal((await old.query("SELECT Id FROM Organization")).totalSize, 1);
    assert.equal(refreshed, 1);
    await conn.authorize(grant);
  },

  async "get a new token by a refresh token"() {
    const oauth2 = { loginUrl: url, clientId, clientSecret };
    const lasting = (refreshToken) =>
      new Connection({ instanceUrl: url, oauth2, accessToken: "00D!expired", refreshToken });
    const renewed = [];
    const good = lasting(REFRESH_TOKEN);
    good.on("refresh", (token) => renewed.push(token));
    assert.equal((await good.query("SELECT Id FROM Organization")).totalSize, 1);
    assert.deepEqual(renewed, [good.accessToken]);
    const bad = lasting("5Aep861.nobody");
    await assert.rejects(bad.query("SELECT Id FROM Organization"), /refresh session.*expired access\/refresh token/);
  },

  async "describe the org and an object"() {
    const names = (await conn.describeGlobal()).sobjects.map((object) => object.name);
    for (const name of ["Organization", "User", "Contact", "Lead", "Sloe_Event__c", ATTENDEE]) {
      assert.ok(names.includes(name), `${name} is not in ${names}`);
    }
    const { fields, keyPrefix } = await conn.describe(ATTENDEE);
    assert.equal(keyPrefix.length, 3);
    const field = (name) => fields.find((field) => field.name === name);
    assert.equal(field("Sloe_Id__c").externalId, true);
    assert.deepEqual(field("Event__c").referenceTo, ["Sloe_Event__c"]);
    assert.equal(field("Event__c").relationshipName, "Event__r");
    const statuses = field("Registration_Status__c").picklistValues.map((entry) => entry.value);
    assert.deepEqual(statuses, ["Registered", "Cancelled"]);
    assert.equal(await refusal(() => conn.describe("Nothing__c")), "NOT_FOUND");
  },

  async "create, read, update, delete"() {
    const contact = conn.sobject("Contact");
    const { id, success } = await contact.create({ FirstName: "Ada", LastName: ODD_NAME });
    assert.ok(success && id.startsWith("003"));
    assert.equal((await contact.retrieve(id)).LastName, ODD_NAME);
    await contact.update({ Id: id, Title: "Countess" });
    assert.equal((await contact.retrieve(id.slice(0, 15))).Title, "Countess");
    await contact.destroy(id);
    assert.equal(await refusal(() => contact.retrieve(id)), "ENTITY_IS_DELETED");
    const where = `SELECT IsDeleted FROM Contact WHERE Id = '${id}'`;
    assert.equal((await conn.query(where)).totalSize, 0);
    assert.equal((await conn.query(where, { scanAll: true })).records[0].IsDeleted, true);
    const nameless = contact.create({ FirstName: "Ada" });
    assert.equal(await refusal(() => nameless), "REQUIRED_FIELD_MISSING");
  },

  async "upsert by external id"() {
    const attendee = conn.sobject(ATTENDEE);
    const event = await conn.query(`SELECT Id FROM Sloe_Event__c WHERE Slug__c = '${EVENT}'`);
    eventId = event.records[0].Id;
    const one = { Sloe_Id__c: "js one ä", Last_Name__c: "One", Event__c: eventId };
    const first = await attendee.upsert(one, "Sloe_Id__c");
    assert.deepEqual([first.success, first.created], [true, true]);
    const again = await attendee.upsert({ ...one, Last_Name__c: "Uno" }, "Sloe_Id__c");
    assert.deepEqual([again.id, again.created], [first.id, false]);
    assert.equal((await attendee.retrieve(first.id)).Last_Name__c, "Uno");
    assert.equal(await refusal(() => attendee.create(one)), "DUPLICATE_VALUE");
    await attendee.destroy(first.id);
  },

  async "collections, with a row that fails"() {
    const people = [{ LastName: "One" }, { FirstName: "Nobody" }, { LastName: "Three" }];
    const made = await conn.create("Contact", people);
    assert.deepEqual(made.map((row) => row.success), [true, false, true]);
    assert.equal(made[1].errors[0].statusCode, "REQUIRED_FIELD_MISSING");
    assert.deepEqual(made[1].errors[0].fields, ["LastName"]);
    const none = await conn.create("Contact", people, { allOrNone: true });
    assert.deepEqual(none.map((row) => row.success), [false, false, false]);
    const ids = [made[0].id, made[2].id];
    const changed = await conn.update("Contact", ids.map((Id) => ({ Id, Title: "Guest" })));
    assert.ok(changed.every((row) => row.success));
    const guests = "SELECT COUNT() FROM Contact WHERE Title = 'Guest'";
    assert.equal((await conn.query(guests)).totalSize, 2);
    const rows = ["a", "b"].map((key) => ({ Sloe_Id__c: `js-${key}`, Last_Name__c: key }));
    const upserted = await conn.upsert(ATTENDEE, rows, "Sloe_Id__c");
    assert.deepEqual(upserted.map((row) => row.created), [true, true]);
    const gone = await conn.destroy("Contact", [...ids, made[0].id]);
    assert.deepEqual(gone.map((row) => row.success), [true, true, false]);
    await conn.destroy(ATTENDEE, upserted.map((row) => row.id));
  },

  async "composite, with references"() {
    const base = `/services/data/v${conn.version}`;
    const made = { LastName: "Composed" };
    const post = { method: "POST", url: `${base}/sobjects/Contact`, referenceId: "made", body: made };
    const read = { method: "GET", url: `${base}/sobjects/Contact/@{made.id}`, referenceId: "read" };
    const broken = { ...post, referenceId: "broken", body: {} };
    const send = async (allOrNone, compositeRequest) => {
      const answer = await conn.requestPost("/composite", { allOrNone, compositeRequest });
      return answer.compositeResponse;
    };
    const good = await send(false, [post, read]);
    assert.deepEqual(good.map((part) => part.httpStatusCode), [201, 200]);
    assert.equal(good[1].body.LastName, "Composed");
    const bad = await send(true, [post, broken]);
    assert.deepEqual(bad.map((part) => part.httpStatusCode), [400, 400]);
    assert.equal(bad[0].body[0].errorCode, "PROCESSING_HALTED");
    assert.equal(bad[1].body[0].errorCode, "REQUIRED_FIELD_MISSING");
    const count = "SELECT COUNT() FROM Contact WHERE LastName = 'Composed'";
    assert.equal((await conn.query(count)).totalSize, 1);
  },

  async "Bulk API 2.0 ingest, with rows that fail"() {
    const input = Array.from({ length: ROWS }, (_, i) => ({
      Sloe_Id__c: `js-bulk-${i}`,
      Last_Name__c: i === 0 ? ODD_NAME : `Row ${i}`,
      Event__c: eventId,
      Registration_Status__c: i % 100 === 50 ? "Undecided" : i % 3 === 0 ? "Cancelled" : "Registered",
    }));
    const job = { object: ATTENDEE, operation: "upsert", externalIdFieldName: "Sloe_Id__c" };
    const results = await conn.bulk2.loadAndWaitForResults({ ...job, input, ...POLLING });
    assert.equal(results.successfulResults.length, GOOD);
    assert.ok(results.successfulResults.every((row) => row.sf__Created === "true"));
    assert.equal(results.failedResults.length, BAD);
    for (const row of results.failedResults) {
      assert.match(row.sf__Error, /^INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST:/);
      assert.equal(row.Registration_Status__c, "Undecided");
    }
    assert.equal(results.unprocessedRecords.length, 0);
  },

  async "Bulk API 2.0 query"() {
    const soql = `SELECT Id, Last_Name__c, Event__r.Slug__c FROM ${ATTENDEE} WHERE ${OURS}`;
    const rows = await (await conn.bulk2.query(soql, POLLING)).toArray();
    assert.equal(rows.length, GOOD);
    assert.ok(rows.some((row) => row.Last_Name__c === ODD_NAME));
    assert.ok(rows.every((row) => row["Event__r.Slug__c"] === EVENT));
  },

  async "query page by page"() {
    const soql = `SELECT Id FROM ${ATTENDEE} WHERE ${OURS} ORDER BY Sloe_Id__c`;
    const headers = { "Sforce-Query-Options": "batchSize=200" };
    let page = await conn.query(soql, { headers });
    const ids = page.records.map((row) => row.Id);
    const sizes = [ids.length];
    while (!page.done) {
      page = await conn.queryMore(page.nextRecordsUrl, { headers });
      sizes.push(page.records.length);
      ids.push(...page.records.map((row) => row.Id));
    }
    assert.deepEqual(sizes, [200, 200, GOOD - 400]);
    assert.equal(new Set(ids).size, GOOD);
    const all = await conn.query(soql, { headers, autoFetch: true, maxFetch: 10_000 });
    assert.deepEqual(all.records.map((row) => row.Id), ids);
  },

  async "query children, parents and sums"() {
    const nested = await conn.query(
      "SELECT Name, (SELECT Name FROM Items__r ORDER BY Position__c), " +
        `(SELECT Id FROM Sessions__r) FROM Sloe_Event__c WHERE Slug__c = '${EVENT}'`,
    );
    const [event] = nested.records;
    assert.deepEqual(event.Items__r.records.map((item) => item.Name), ["Conference pass", "Student pass"]);
    assert.equal(event.Sessions__r.totalSize, 12);
    const item = await conn.query("SELECT Event__r.Name FROM Sloe_Item__c WHERE Name = 'Student pass'");
    assert.equal(item.records[0].Event__r.Name, event.Name);
    assert.equal((await conn.query(`SELECT COUNT() FROM ${ATTENDEE} WHERE ${OURS}`)).totalSize, GOOD);
    const groups = await conn.query(
      `SELECT Registration_Status__c status, COUNT(Id) rows, MAX(Sloe_Id__c) last FROM ${ATTENDEE} ` +
        `WHERE ${OURS} GROUP BY Registration_Status__c`,
    );
    const found = groups.records.map(({ status, rows, last }) => [status, rows, last]).sort();
    assert.deepEqual(found, [["Cancelled", 149, "js-bulk-99"], ["Registered", 297, "js-bulk-98"]]);
    assert.equal(await refusal(() => conn.query("SELECT FROM Contact")), "MALFORMED_QUERY");
    assert.equal(await refusal(() => conn.query("SELECT Nothing__c FROM Contact")), "INVALID_FIELD");
  },

  async "reckon with dates"() {
    const { records } = await conn.query(
      `SELECT CALENDAR_YEAR(CreatedDate) year, COUNT(Id) rows FROM ${ATTENDEE} WHERE ${OURS} ` +
        "AND DAY_ONLY(CreatedDate) >= YESTERDAY GROUP BY CALENDAR_YEAR(CreatedDate)",
    );
    assert.equal(records.reduce((sum, { rows }) => sum + rows, 0), GOOD);
    assert.ok(records.every(({ year }) => year > 2020), JSON.stringify(records));
  },

  async "search, and see what has changed"() {
    const account = await conn.sobject("Account").create({ Name: "Quill & Feather" });
    const people = ["Quillfeather", "Quillon"].map((LastName) => ({ LastName, AccountId: account.id }));
    const [{ id }, { id: other }] = await conn.sobject("Contact").create(people);
    const names = async (sosl) => (await conn.search(sosl)).searchRecords.map((row) => row.LastName ?? row.Name);
    const returning = "RETURNING Account(Name), Contact(LastName ORDER BY LastName LIMIT 5)";
    assert.deepEqual(await names(`FIND {quill*} IN NAME FIELDS ${returning}`), [
      "Quill & Feather", "Quillfeather", "Quillon",
    ]);
    assert.deepEqual(await names(`FIND {quill} ${returning}`), ["Quill & Feather"]);
    assert.equal(await refusal(() => conn.search("FIND quill")), "MALFORMED_SEARCH");
    const [found] = await conn.sobject("Account").find({ Id: account.id }, "Name")
      .include("Contacts").select("LastName").where({ LastName: { $like: "%feather" } }).end().execute();
    assert.deepEqual(found.Contacts.records.map((row) => row.LastName), ["Quillfeather"]);
    await conn.sobject("Contact").destroy(other);
    const [from, to] = [-3_600_000, 120_000].map((shift) => new Date(Date.now() + shift));
    assert.ok((await conn.sobject("Contact").updated(from, to)).ids.includes(id));
    const { deletedRecords } = await conn.sobject("Contact").deleted(from, to);
    assert.ok(deletedRecords.some((row) => row.id === other), JSON.stringify(deletedRecords));
    assert.equal((await conn.recent("Contact"))[0].Id, id);
  },

  async "read the limits"() {
    const { DailyApiRequests } = await conn.limits();
    const { used, limit } = conn.limitInfo.apiUsage;
    assert.equal(limit, DailyApiRequests.Max);
    assert.equal(limit - used, DailyApiRequests.Remaining);
    assert.ok(used > 20, `${used} calls`);
  },
};

for (const [name, step] of Object.entries(steps)) {
  try {
    await step();
  } catch (error) {
    console.error(`jsforce could not ${name}: ${error.stack ?? error}`);
    process.exit(1);
  }
  console.log(`jsforce: ${name}`);
}
