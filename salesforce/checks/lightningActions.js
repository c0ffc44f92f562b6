/** Stands in for lightning/actions, which exists in an org only. */

export const CLOSE = "lightning__actionsclosescreen";

export class CloseActionScreenEvent extends CustomEvent {
  constructor() {
    super(CLOSE, { bubbles: true, composed: true });
  }
}
