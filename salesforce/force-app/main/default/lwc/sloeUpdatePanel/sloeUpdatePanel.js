import { LightningElement, api } from "lwc";
import updateAll from "@salesforce/apex/SloeUpdate.updateAll";
import updateEvent from "@salesforce/apex/SloeUpdate.updateEvent";
import { wordsFor, wordsForError } from "./words";

/** The button, the wait and the answer: for one event, or for all of the org. */
export default class SloeUpdatePanel extends LightningElement {
  /** The event. Without it nothing is sent, unless `everything` is set. */
  @api recordId;
  /** Every event of the org instead of one. */
  @api everything = false;

  isWaiting = false;
  words;

  /** Asks Sloe, unless it is being asked already; tells when it has answered. */
  @api
  async start() {
    if (this.isWaiting || !(this.everything || this.recordId)) {
      return;
    }
    this.isWaiting = true;
    this.words = undefined;
    try {
      const answer = this.everything
        ? await updateAll()
        : await updateEvent({ eventId: this.recordId });
      this.words = wordsFor(answer, this.everything);
    } catch (error) {
      this.words = wordsForError(error);
    }
    this.isWaiting = false;
    this.dispatchEvent(new CustomEvent("answered"));
  }

  get purpose() {
    return this.everything
      ? "Brings what changed in this org to the public pages of all events."
      : "Brings what changed here to the public page of this event.";
  }

  get label() {
    if (this.words) {
      return "Update again";
    }
    return this.everything ? "Update all events" : "Update this event";
  }

  get theme() {
    return `slds-scoped-notification slds-media slds-media_center ${this.words.tone.theme}`;
  }
}
