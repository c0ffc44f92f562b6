// salesforce-pubsub-api-client, as its users have it, follows an org's change events.
// node pubsub.mjs URL CLIENT_ID CLIENT_SECRET KEY_FILE PUBSUB_URL
// The org is a fresh `sloe sim org` with the default seed, which serves HTTPS with a certificate of the tests' own:
// NODE_EXTRA_CA_CERTS names who vouches for it.
// The first surprise ends it with a message and 1.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

// Unlike `import`, `require` also looks where NODE_PATH points.
const required = createRequire(import.meta.url)("salesforce-pubsub-api-client");
const PubSubApiClient = required.default ?? required;

const [url, clientId, clientSecret, , pubsub] = process.argv.slice(2);
const TOPIC = "/data/Sloe_Event__ChangeEvent";
const ALL = "/data/ChangeEvents";
const silent = { debug() {}, info() {}, warn: console.warn, error: console.error };

async function signIn() {
  const body = new URLSearchParams({
    grant_type: "client_credentials",
    client_id: clientId,
    client_secret: clientSecret,
  });
  const answer = await fetch(`${url}/services/oauth2/token`, { method: "POST", body });
  assert.equal(answer.status, 200);
  return answer.json();
}

const session = await signIn();
const organizationId = session.id.split("/").at(-2);

/** One call of the REST API, as the client that `Sforce-Call-Options` names. */
async function rest(method, path, body) {
  const headers = {
    authorization: `Bearer ${session.access_token}`,
    "content-type": "application/json",
    "sforce-call-options": "client=pubsub-test",
  };
  const to = `${session.instance_url}/services/data/v62.0${path}`;
  const answer = await fetch(to, { method, headers, body: body && JSON.stringify(body) });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
  return answer.status === 204 ? undefined : answer.json();
}

async function client(accessToken = session.access_token) {
  const config = {
    authType: "user-supplied",
    accessToken,
    instanceUrl: session.instance_url,
    organizationId,
    pubSubEndpoint: new URL(pubsub).host,
    // The client trusts a list of its own, in which the tests' authority isn't.
    rejectUnauthorizedSsl: false,
  };
  const made = new PubSubApiClient(config, silent);
  await made.connect();
  return made;
}

/** What a subscription gives, one after the other. */
function follow(begin) {
  const ready = [];
  const waiting = [];
  begin((_, kind, data) => {
    if (kind !== "event" && kind !== "error") return;
    const one = kind === "event" ? { data } : { error: data };
    const next = waiting.shift();
    if (next) next(one);
    else ready.push(one);
  });
  const next = () => new Promise((found) => (ready.length ? found(ready.shift()) : waiting.push(found)));
  const event = async () => {
    const { data, error } = await next();
    if (error) throw error;
    return data;
  };
  return { event, next };
}

const soql = "SELECT Starts_At__c, Ends_At__c, Time_Zone__c FROM Sloe_Event__c LIMIT 1";
const found = await rest("GET", `/query?q=${encodeURIComponent(soql)}`);
const { Starts_At__c, Ends_At__c, Time_Zone__c } = found.records[0];
let id;
let replayId;

const steps = {
  async "receive a new record with its values"() {
    const open = await client();
    // Nobody knows when a subscription to what is new stands: so begin with all there is, which is nothing.
    const events = follow((callback) => open.subscribeFromEarliestEvent(TOPIC, callback, 100));
    const made = { Name: "Told", Capacity__c: 12, Starts_At__c, Ends_At__c, Time_Zone__c };
    ({ id } = await rest("POST", "/sobjects/Sloe_Event__c", made));
    const { payload, replayId: replay } = await events.event();
    replayId = replay;
    const header = payload.ChangeEventHeader;
    assert.equal(header.entityName, "Sloe_Event__c");
    assert.equal(header.changeType, "CREATE");
    assert.deepEqual(header.recordIds, [id]);
    assert.equal(header.changeOrigin, "com/salesforce/api/rest/62.0;client=pubsub-test");
    assert.equal(payload.Name, "Told");
    assert.equal(payload.Capacity__c, 12);
    assert.equal(Number(payload.Starts_At__c), Date.parse(Starts_At__c));
    assert.equal(payload.Summary__c, null);
    open.close();
  },

  async "go on after a replay id, with what an update changed"() {
    await rest("PATCH", `/sobjects/Sloe_Event__c/${id}`, { Name: "Told anew", Capacity__c: null });
    const open = await client();
    const events = follow((callback) => open.subscribeFromReplayId(ALL, callback, 100, replayId));
    const { payload, replayId: replay } = await events.event();
    assert.ok(replay > replayId, `${replay} follows ${replayId}`);
    const header = payload.ChangeEventHeader;
    assert.equal(header.changeType, "UPDATE");
    assert.deepEqual(header.nulledFields, ["Capacity__c"]);
    assert.ok(header.changedFields.includes("Name"), header.changedFields);
    assert.ok(header.changedFields.includes("Capacity__c"), header.changedFields);
    assert.ok(!header.changedFields.includes("Time_Zone__c"), header.changedFields);
    assert.equal(payload.Name, "Told anew");
    assert.equal(payload.Time_Zone__c, null, "what did not change is not told");
    await rest("DELETE", `/sobjects/Sloe_Event__c/${id}`);
    const { payload: deleted } = await events.event();
    assert.equal(deleted.ChangeEventHeader.changeType, "DELETE");
    open.close();
  },

  async "ask for as many as it wants, and for more"() {
    const open = await client();
    const events = follow((callback) => open.subscribeFromEarliestEvent(TOPIC, callback, 2));
    const kinds = [await events.event(), await events.event()].map(
      ({ payload }) => payload.ChangeEventHeader.changeType,
    );
    assert.deepEqual(kinds, ["CREATE", "UPDATE"]);
    open.requestAdditionalEvents(TOPIC, 1);
    assert.equal((await events.event()).payload.ChangeEventHeader.changeType, "DELETE");
    open.close();
  },

  async "be refused without a session, and with a replay id that is none"() {
    const stranger = await client("00D000000000001!nonsense");
    const none = follow((callback) => stranger.subscribe(TOPIC, callback, 1));
    const { error } = await none.next();
    assert.equal(error.code, 16, "UNAUTHENTICATED");
    const told = error.metadata.get("error-code");
    assert.deepEqual(told, ["sfdc.platform.eventbus.grpc.service.auth.error"]);
    stranger.close();
    const open = await client();
    const lost = follow((callback) => open.subscribeFromReplayId(TOPIC, callback, 1, 999_999_999));
    const refused = (await lost.next()).error;
    assert.equal(refused.code, 3, "INVALID_ARGUMENT");
    const why = refused.metadata.get("error-code");
    assert.deepEqual(why, ["sfdc.platform.eventbus.grpc.subscription.fetch.replayid.validation.failed"]);
    open.close();
  },
};

for (const [name, step] of Object.entries(steps)) {
  try {
    await step();
  } catch (error) {
    console.error(`the Pub/Sub client could not ${name}: ${error.stack ?? error}`);
    process.exit(1);
  }
  console.log(`the Pub/Sub client: ${name}`);
}
// The client's connections close in their own time.
process.exit(0);
