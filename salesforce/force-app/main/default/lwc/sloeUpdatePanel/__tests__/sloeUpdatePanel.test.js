import { createElement } from "lwc";
import updateAll from "@salesforce/apex/SloeUpdate.updateAll";
import updateEvent from "@salesforce/apex/SloeUpdate.updateEvent";
import SloeUpdatePanel from "c/sloeUpdatePanel";

jest.mock(
  "@salesforce/apex/SloeUpdate.updateAll",
  () => ({ default: jest.fn() }),
  {
    virtual: true
  }
);
jest.mock(
  "@salesforce/apex/SloeUpdate.updateEvent",
  () => ({ default: jest.fn() }),
  {
    virtual: true
  }
);

const EVENT = "a00Ws00000Ab1cdIAB";

/** A promise that ends when the test wants it to. */
function pending() {
  let settle;
  const promise = new Promise((resolve) => {
    settle = resolve;
  });
  return { promise, settle };
}

const rendered = () => new Promise(process.nextTick);

function show(properties) {
  const panel = createElement("c-sloe-update-panel", { is: SloeUpdatePanel });
  Object.assign(panel, properties);
  document.body.appendChild(panel);
  return panel;
}

const find = (panel, selector) => panel.shadowRoot.querySelector(selector);
const status = (panel) => find(panel, '[role="status"]');
const press = (panel) => find(panel, "lightning-button").click();

async function pressed(properties) {
  const panel = show(properties);
  press(panel);
  await rendered();
  await rendered();
  return panel;
}

afterEach(() => {
  document.body.replaceChildren();
  jest.resetAllMocks();
});

describe.each([
  ["one event", { recordId: EVENT }, updateEvent, updateAll],
  ["the whole org", { everything: true }, updateAll, updateEvent]
])("for %s", (_name, properties, asked, notAsked) => {
  it("says that Sloe has taken the update", async () => {
    asked.mockResolvedValue({ outcome: "accepted", status: 202 });
    const panel = await pressed(properties);
    expect(asked).toHaveBeenCalledTimes(1);
    expect(notAsked).not.toHaveBeenCalled();
    expect(status(panel).textContent).toContain("Sloe has taken the update.");
    expect(find(panel, ".slds-theme_success")).not.toBeNull();
    expect(find(panel, "lightning-icon").iconName).toBe("utility:success");
  });

  it("says what to do about a wrong secret or org", async () => {
    asked.mockResolvedValue({ outcome: "refused", status: 401 });
    const panel = await pressed(properties);
    expect(status(panel).textContent).toContain(
      "the secret or the org is wrong"
    );
    expect(status(panel).textContent).toContain("step 6");
    expect(find(panel, ".slds-theme_error")).not.toBeNull();
  });

  it("says that nothing is lost when Sloe does not answer", async () => {
    asked.mockResolvedValue({ outcome: "unreachable", status: null });
    const panel = await pressed(properties);
    expect(status(panel).textContent).toContain(
      "did not answer within 10 seconds"
    );
    expect(status(panel).textContent).toContain("Nothing is lost");
    expect(find(panel, ".slds-theme_warning")).not.toBeNull();
  });

  it("can be pressed again after an answer", async () => {
    asked.mockResolvedValueOnce({ outcome: "unreachable", status: 503 });
    asked.mockResolvedValueOnce({ outcome: "accepted", status: 202 });
    const panel = await pressed(properties);
    expect(status(panel).textContent).toContain("HTTP 503");
    expect(find(panel, "lightning-button").label).toBe("Update again");
    press(panel);
    await rendered();
    await rendered();
    expect(status(panel).textContent).toContain("Sloe has taken the update.");
    expect(status(panel).textContent).not.toContain("503");
  });

  it("shows a spinner while it waits, and asks once however often it is pressed", async () => {
    const answer = pending();
    asked.mockReturnValue(answer.promise);
    const panel = show(properties);
    const button = find(panel, "lightning-button");
    const live = status(panel);
    expect(find(panel, "lightning-spinner")).toBeNull();
    press(panel);
    await rendered();
    press(panel);
    await rendered();
    expect(find(panel, "lightning-spinner").alternativeText).toBe(
      "Waiting for Sloe's answer"
    );
    expect(asked).toHaveBeenCalledTimes(1);
    answer.settle({ outcome: "accepted", status: 202 });
    await rendered();
    await rendered();
    expect(find(panel, "lightning-spinner")).toBeNull();
    // The focus and the live region are where they were.
    expect(find(panel, "lightning-button")).toBe(button);
    expect(button.disabled).toBeFalsy();
    expect(status(panel)).toBe(live);
    expect(live.getAttribute("aria-live")).toBe("polite");
  });
});

it("names the event", async () => {
  updateEvent.mockResolvedValue({ outcome: "accepted", status: 202 });
  await pressed({ recordId: EVENT });
  expect(updateEvent).toHaveBeenCalledWith({ eventId: EVENT });
});

it("sends nothing while it does not know which event", async () => {
  const panel = await pressed({});
  expect(updateEvent).not.toHaveBeenCalled();
  expect(updateAll).not.toHaveBeenCalled();
  expect(status(panel).textContent).toBe("");
});

it("tells a refusal for another reason by its status", async () => {
  updateEvent.mockResolvedValue({ outcome: "refused", status: 404 });
  const panel = await pressed({ recordId: EVENT });
  expect(status(panel).textContent).toContain("HTTP 404");
  expect(status(panel).textContent).toContain("URL of the Named Credential");
});

it("says who can mend a missing credential", async () => {
  updateEvent.mockResolvedValue({ outcome: "unconnected", status: null });
  const panel = await pressed({ recordId: EVENT });
  expect(status(panel).textContent).toContain("permission set Sloe Organizer");
});

it("repeats what Salesforce says when it does not send the update", async () => {
  updateEvent.mockRejectedValue({
    body: { message: "You may not see this event." }
  });
  const panel = await pressed({ recordId: EVENT });
  expect(status(panel).textContent).toContain("You may not see this event.");
  expect(find(panel, ".slds-theme_error")).not.toBeNull();
});

it("tells its parent when the answer is there", async () => {
  const answered = jest.fn();
  updateEvent.mockResolvedValue({ outcome: "accepted", status: 202 });
  const panel = show({ recordId: EVENT });
  panel.addEventListener("answered", answered);
  await panel.start();
  expect(answered).toHaveBeenCalledTimes(1);
});
