import { readFileSync } from "node:fs";
import { wordsFor, wordsForError } from "../words";

const GUIDE = readFileSync("README.md", "utf8");

/** Every outcome that the Apex class has, with statuses that differ in words. */
const ANSWERS = [
  { outcome: "accepted", status: 202 },
  { outcome: "refused", status: 401 },
  { outcome: "refused", status: 404 },
  { outcome: "unreachable", status: null },
  { outcome: "unreachable", status: 503 },
  { outcome: "unconnected", status: null }
];

/** As the guide has it: without a full stop, and with more than one status. */
const row = ({ title }) =>
  `| ${title.replace(/(\d*\)|)\.$/, "$1").replace(/\)$/, "")}`;

it.each(ANSWERS)("the guide explains $outcome ($status)", (answer) => {
  expect(GUIDE).toContain(row(wordsFor(answer, false)));
  expect(GUIDE).toContain(row(wordsFor(answer, true)));
});

it("the guide explains a call that was not sent", () => {
  expect(GUIDE).toContain(row(wordsForError({})));
});

it("the steps that the words name are those of the guide", () => {
  const steps = (answer) => wordsFor(answer, false).advice.match(/step \d+/g);
  expect(steps(ANSWERS[1])).toEqual(["step 6"]);
  expect(steps(ANSWERS[5])).toEqual(["step 6", "step 7"]);
  expect(GUIDE).toContain("\n6. **Enter the URL and the secret.**");
  expect(GUIDE).toContain("\n7. **Let people in.**");
});
