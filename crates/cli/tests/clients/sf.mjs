// The sf command line, as its users have it, does to an org what admins do.
// node sf.mjs URL CLIENT_ID CLIENT_SECRET KEY_FILE
// The org is a fresh `sloe sim org` with the default seed, whose app also knows the key.
// The first surprise ends it with a message and 1.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

// Unlike `import`, `require` also looks where NODE_PATH points.
const { resolve } = createRequire(import.meta.url);
const CLI = join(dirname(resolve("@salesforce/cli")), "../bin/run.js");

const [url, clientId, clientSecret, keyFile] = process.argv.slice(2);
const USER = "sloe@meridian.example";
const ATTENDEE = "Sloe_Attendee__c";
const OURS = "Sloe_Id__c LIKE 'sf-bulk-%'";
const PARENTS = "SELECT Event__r.Name, Name FROM Sloe_Item__c WHERE Name = 'Student pass'";
const ROWS = 450;
// Every hundredth of them has a status that doesn't exist.
const BAD = 4;
const GOOD = ROWS - BAD;
const ODD_NAME = 'Zoë "Zo", עמי 🎟';

const home = mkdtempSync(join(tmpdir(), "sloe-sf-"));
const environment = {
  ...process.env,
  HOME: home,
  // It would start another sf in the background, were one found.
  PATH: home,
  SF_AUTOUPDATE_DISABLE: "true",
  SF_DISABLE_LOG_FILE: "true",
  SF_DISABLE_TELEMETRY: "true",
  SF_SKIP_NEW_VERSION_CHECK: "true",
  SF_TARGET_ORG: "org",
  SF_USE_GENERIC_UNIX_KEYCHAIN: "true",
};
for (const name of ["XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"]) {
  delete environment[name];
}

/** Runs a command; answers what it prints. */
function run(words, more = {}) {
  const options = { cwd: home, encoding: "utf8", env: { ...environment, ...more } };
  return new Promise((done, failed) => {
    // How it ended stands in what it prints.
    execFile(process.execPath, [CLI, ...words], options, (error, stdout, stderr) => {
      if (stdout) done(stdout);
      else failed(new Error(`sf ${words.join(" ")}: ${error ?? "it printed nothing"}: ${stderr}`));
    });
  });
}

/** Runs a command that should do well; answers its result. */
async function sf(...words) {
  const answer = JSON.parse(await run([...words, "--json"]));
  assert.equal(answer.status, 0, JSON.stringify(answer));
  return answer.result;
}

/** Runs a command that should be refused; answers the name of the error. */
async function refusal(...words) {
  const answer = JSON.parse(await run([...words, "--json"]));
  assert.notEqual(answer.status, 0, JSON.stringify(answer));
  return answer.name;
}

const record = (verb, ...words) => sf("data", verb, "record", "--sobject", "Contact", ...words);
const query = (soql) => sf("data", "query", "--query", soql);

const steps = {
  async "log in by an access token"() {
    const form = { grant_type: "client_credentials", client_id: clientId, client_secret: clientSecret };
    const body = new URLSearchParams(form);
    const answer = await fetch(`${url}/services/oauth2/token`, { method: "POST", body });
    const { access_token: token } = await answer.json();
    const login = ["org", "login", "access-token", "--no-prompt", "--instance-url", url, "--alias", "org"];
    const { status, result } = JSON.parse(await run([...login, "--json"], { SF_ACCESS_TOKEN: token }));
    assert.equal(status, 0);
    assert.match(result.orgId, /^00D/);
    assert.equal(result.username, USER);
  },

  async "log in by a signed assertion"() {
    const app = ["--client-id", clientId, "--jwt-key-file", keyFile, "--instance-url", url];
    const { orgId } = await sf("org", "login", "jwt", ...app, "--username", USER, "--alias", "org");
    assert.match(orgId, /^00D/);
  },

  async "describe the org and an object"() {
    // Each call takes about a second: what can goes side by side.
    const [names, { fields }] = await Promise.all([
      sf("sobject", "list", "--sobject", "all"),
      sf("sobject", "describe", "--sobject", ATTENDEE),
    ]);
    for (const name of ["Organization", "User", "Contact", "Lead", "Sloe_Event__c", ATTENDEE]) {
      assert.ok(names.includes(name), `${name} is not in ${names}`);
    }
    assert.equal(fields.find((field) => field.name === "Sloe_Id__c").externalId, true);
  },

  async "create, read, update, delete"() {
    const { id } = await record("create", "--values", `FirstName=Ada LastName='Lovelace, of Ockham'`);
    await record("update", "--record-id", id, "--values", "Title=Countess");
    const read = await record("get", "--where", "Title=Countess");
    assert.deepEqual([read.Id, read.LastName], [id, "Lovelace, of Ockham"]);
    await record("delete", "--record-id", id);
    const gone = await refusal("data", "get", "record", "--sobject", "Contact", "--record-id", id);
    assert.equal(gone, "ENTITY_IS_DELETED");
  },

  async "import a tree of records"() {
    const file = join(home, "tree.json");
    const node = (type, referenceId, fields) => ({ attributes: { type, referenceId }, ...fields });
    const contact = node("Contact", "contact", { LastName: "Leaf" });
    const account = node("Account", "account", { Name: "Tree", Contacts: { records: [contact] } });
    writeFileSync(file, JSON.stringify({ records: [account] }));
    const made = await sf("data", "import", "tree", "--files", file);
    assert.deepEqual(made.map(({ refId }) => refId), ["account", "contact"], JSON.stringify(made));
    const { records } = await query("SELECT Account.Name FROM Contact WHERE LastName = 'Leaf'");
    assert.equal(records[0].Account.Name, "Tree");
  },

  async "upsert in bulk, with rows that fail"() {
    const quoted = (text) => `"${text.replaceAll('"', '""')}"`;
    const lines = Array.from({ length: ROWS }, (_, i) => {
      const status = i % 100 === 50 ? "Undecided" : i % 3 === 0 ? "Cancelled" : "Registered";
      return `sf-bulk-${i},${quoted(i === 0 ? ODD_NAME : `Row ${i}`)},${status}\n`;
    });
    const file = join(home, "rows.csv");
    writeFileSync(file, `Sloe_Id__c,Last_Name__c,Registration_Status__c\n${lines.join("")}`);
    const upsert = ["data", "upsert", "bulk", "--sobject", ATTENDEE, "--file", file];
    const answer = JSON.parse(await run([...upsert, "--external-id", "Sloe_Id__c", "--wait", "2", "--json"]));
    assert.notEqual(answer.status, 0, "it does not tell that rows failed");
    const jobId = answer.data?.jobId ?? answer.result?.jobId;
    const results = await sf("data", "bulk", "results", "--job-id", jobId);
    assert.equal(results.status, "JobComplete");
    assert.deepEqual([results.processedRecords, results.failedRecords], [ROWS, BAD]);
    const failed = readFileSync(join(home, results.failedFilePath), "utf8");
    assert.equal(failed.match(/INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST:/g).length, BAD);
  },

  async "export in bulk"() {
    const file = join(home, "export.csv");
    const soql = `SELECT Sloe_Id__c, Last_Name__c FROM ${ATTENDEE} WHERE ${OURS}`;
    await sf("data", "export", "bulk", "--query", soql, "--output-file", file, "--wait", "2");
    const lines = readFileSync(file, "utf8").trim().split("\n");
    assert.equal(lines.length, GOOD + 1);
    assert.ok(lines.some((line) => line.includes('"Zoë ""Zo"", עמי 🎟"')), lines[1]);
  },

  async "query children, parents and sums"() {
    const [nested, counted, groups, table, malformed] = await Promise.all([
      query(
        "SELECT Name, (SELECT Name FROM Items__r ORDER BY Position__c) FROM Sloe_Event__c " +
          "WHERE Slug__c = 'systems-days'",
      ),
      query(`SELECT COUNT() FROM ${ATTENDEE} WHERE ${OURS}`),
      query(
        `SELECT Registration_Status__c status, COUNT(Id) amount FROM ${ATTENDEE} WHERE ${OURS} ` +
          "GROUP BY Registration_Status__c",
      ),
      // For a table the command line also asks which columns the query has.
      run(["data", "query", "--result-format", "csv", "--query", PARENTS]),
      refusal("data", "query", "--query", "SELECT FROM Contact"),
    ]);
    const [event] = nested.records;
    assert.deepEqual(event.Items__r.records.map((item) => item.Name), ["Conference pass", "Student pass"]);
    assert.equal(counted.totalSize, GOOD);
    const found = groups.records.map(({ status, amount }) => [status, amount]).sort();
    assert.deepEqual(found, [["Cancelled", 149], ["Registered", 297]]);
    assert.equal(table, `Event__r.Name,Name\n${event.Name},Student pass\n`);
    assert.equal(malformed, "MALFORMED_QUERY");
  },

  async "search"() {
    const { id } = await record("create", "--values", "LastName=Quillfeather");
    const search = ["data", "search", "--query"];
    const [found, every, malformed] = await Promise.all([
      sf(...search, "FIND {quill*} IN ALL FIELDS RETURNING Contact(Id,LastName)"),
      sf(...search, "FIND {quillfeather}"),
      refusal(...search, "FIND quillfeather"),
    ]);
    const read = ({ searchRecords }) => searchRecords.map((row) => [row.attributes.type, row.Id, row.LastName]);
    assert.deepEqual(read(found), [["Contact", id, "Quillfeather"]]);
    assert.deepEqual(read(every), [["Contact", id, undefined]]);
    assert.equal(malformed, "MALFORMED_SEARCH");
  },

  async "export a tree of records and import it again"() {
    const soql = "SELECT Name, (SELECT LastName FROM Contacts) FROM Account WHERE Name = 'Tree'";
    await sf("data", "export", "tree", "--query", soql, "--plan", "--output-dir", home);
    await sf("data", "import", "tree", "--plan", join(home, "Account-Contact-plan.json"));
    const { records } = await query("SELECT COUNT(Id) n FROM Contact WHERE Account.Name = 'Tree'");
    assert.equal(records[0].n, 2);
  },

  async "change and delete in bulk"() {
    const { records } = await query(`SELECT Id FROM ${ATTENDEE} WHERE ${OURS} ORDER BY Sloe_Id__c LIMIT 3`);
    const bulk = async (verb, head, cell) => {
      const file = join(home, `${verb}.csv`);
      writeFileSync(file, [head, ...records.map(({ Id }) => cell(Id)), ""].join("\n"));
      await sf("data", verb, "bulk", "--sobject", ATTENDEE, "--file", file, "--wait", "2");
    };
    const count = async (where) => (await query(`SELECT COUNT() FROM ${ATTENDEE} WHERE ${where}`)).totalSize;
    await bulk("update", "Id,Last_Name__c", (id) => `${id},Renamed`);
    assert.equal(await count("Last_Name__c = 'Renamed'"), 3);
    await bulk("delete", "Id", (id) => id);
    assert.equal(await count(OURS), GOOD - 3);
  },

  async "look around"() {
    const [org, counts, group, rest] = await Promise.all([
      sf("org", "display"),
      sf("org", "list", "sobject", "record-counts", "--sobject", ATTENDEE),
      query(
        `SELECT CALENDAR_YEAR(CreatedDate) year, COUNT(Id) n FROM ${ATTENDEE} WHERE ${OURS} ` +
          "GROUP BY ROLLUP(CALENDAR_YEAR(CreatedDate))",
      ),
      run(["api", "request", "rest", "/services/data/v62.0/recent?limit=1"]),
    ]);
    assert.deepEqual([org.username, org.connectedStatus], [USER, "Connected"]);
    assert.deepEqual(counts.map(({ name }) => name), [ATTENDEE]);
    const total = group.records.at(-1);
    assert.deepEqual([total.year, total.n], [null, GOOD - 3]);
    assert.equal(JSON.parse(rest).length, 1);
  },

  async "read the limits"() {
    const limits = await sf("org", "list", "limits");
    const calls = limits.find((limit) => limit.name === "DailyApiRequests");
    assert.ok(calls.max - calls.remaining > 20, JSON.stringify(calls));
  },
};

process.on("exit", () => rmSync(home, { recursive: true, force: true }));
for (const [name, step] of Object.entries(steps)) {
  try {
    await step();
  } catch (error) {
    console.error(`sf could not ${name}: ${error.stack ?? error}`);
    process.exit(1);
  }
  console.log(`sf: ${name}`);
}
