import { createElement } from "lwc";
import SloeUpdate from "c/sloeUpdate";

function panelOf(recordId) {
  const card = createElement("c-sloe-update", { is: SloeUpdate });
  card.recordId = recordId;
  document.body.appendChild(card);
  return card.shadowRoot.querySelector("c-sloe-update-panel");
}

afterEach(() => document.body.replaceChildren());

it("is for the event on an event's page", () => {
  const panel = panelOf("a00Ws00000Ab1cdIAB");
  expect(panel.recordId).toBe("a00Ws00000Ab1cdIAB");
  expect(panel.everything).toBe(false);
});

it("is for the whole org on an app page", () => {
  expect(panelOf(undefined).everything).toBe(true);
});
