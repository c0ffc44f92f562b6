import { LightningElement, api } from "lwc";

/** Update as a card: on an event's page that event, on any other page the whole org. */
export default class SloeUpdate extends LightningElement {
  /** Salesforce sets it on record pages only. */
  @api recordId;

  get everything() {
    return !this.recordId;
  }
}
