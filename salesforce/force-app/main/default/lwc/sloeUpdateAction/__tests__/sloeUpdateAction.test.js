import { createElement } from "lwc";
import updateEvent from "@salesforce/apex/SloeUpdate.updateEvent";
import SloeUpdateAction from "c/sloeUpdateAction";
import { CLOSE } from "lightning/actions";

jest.mock(
  "@salesforce/apex/SloeUpdate.updateEvent",
  () => ({ default: jest.fn() }),
  {
    virtual: true
  }
);

const EVENT = "a00Ws00000Ab1cdIAB";
const rendered = () => new Promise(process.nextTick);

function open() {
  const action = createElement("c-sloe-update-action", {
    is: SloeUpdateAction
  });
  document.body.appendChild(action);
  return action;
}

const closeButton = (action) =>
  action.shadowRoot.querySelector('[slot="footer"] lightning-button');

afterEach(() => {
  document.body.replaceChildren();
  jest.resetAllMocks();
});

it("asks once, as soon as it knows the event", async () => {
  updateEvent.mockResolvedValue({ outcome: "accepted", status: 202 });
  const action = open();
  await rendered();
  expect(updateEvent).not.toHaveBeenCalled();
  action.recordId = EVENT;
  await rendered();
  await rendered();
  expect(updateEvent).toHaveBeenCalledTimes(1);
  expect(updateEvent).toHaveBeenCalledWith({ eventId: EVENT });
});

it.each([
  ["accepted", 202],
  ["refused", 401],
  ["unreachable", null]
])(
  "moves the focus to Close once the answer is %s",
  async (outcome, status) => {
    updateEvent.mockResolvedValue({ outcome, status });
    const action = open();
    const focus = jest.spyOn(closeButton(action), "focus");
    action.recordId = EVENT;
    await rendered();
    await rendered();
    await rendered();
    expect(focus).toHaveBeenCalledTimes(1);
  }
);

it("closes when Close is pressed", () => {
  const action = open();
  const closed = jest.fn();
  action.addEventListener(CLOSE, closed);
  closeButton(action).click();
  expect(closed).toHaveBeenCalledTimes(1);
});
