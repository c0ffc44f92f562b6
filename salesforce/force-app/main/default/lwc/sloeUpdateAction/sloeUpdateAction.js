import { LightningElement, api } from "lwc";
import { CloseActionScreenEvent } from "lightning/actions";

/** Update as an event's action: choosing it is the wish, so it asks at once. */
export default class SloeUpdateAction extends LightningElement {
  /** Salesforce sets it some time after the component is there. */
  @api recordId;

  hasStarted = false;

  renderedCallback() {
    if (this.recordId && !this.hasStarted) {
      this.hasStarted = true;
      this.refs.panel.start();
    }
  }

  /** The answer is read out by the panel; what is left to do is to close. */
  focusClose() {
    this.refs.close.focus();
  }

  close() {
    this.dispatchEvent(new CloseActionScreenEvent());
  }
}
