/** What people read about an update: a tone, what happened, what to do. */

const NOTHING_LOST =
  "Nothing is lost: Sloe looks for changes by itself and picks this one up within minutes.";

const TONES = {
  good: {
    theme: "slds-theme_success",
    icon: "utility:success",
    alternative: "Success"
  },
  warning: {
    theme: "slds-theme_warning",
    icon: "utility:warning",
    alternative: "Warning"
  },
  bad: {
    theme: "slds-theme_error",
    icon: "utility:error",
    alternative: "Error"
  }
};

function accepted(everything) {
  const what = everything
    ? "Changed events appear on the public pages one after the other."
    : "The public page shows the change within seconds.";
  return {
    tone: TONES.good,
    title: "Sloe has taken the update.",
    advice: what
  };
}

function refused(status) {
  if (status === 401) {
    return {
      tone: TONES.bad,
      title: "Sloe refused the update: the secret or the org is wrong.",
      advice: `${NOTHING_LOST} For next time, an admin enters the secret again and checks the org in the URL (installation guide, step 6).`
    };
  }
  return {
    tone: TONES.bad,
    title: `Sloe refused the update (HTTP ${status}).`,
    advice: `${NOTHING_LOST} For next time, an admin checks the URL of the Named Credential Sloe (installation guide, step 6).`
  };
}

function unreachable(status) {
  const title = status
    ? `Sloe cannot take updates right now (HTTP ${status}).`
    : "Sloe did not answer within 10 seconds.";
  return { tone: TONES.warning, title, advice: NOTHING_LOST };
}

function unconnected() {
  return {
    tone: TONES.bad,
    title: "Salesforce could not use the credential for Sloe.",
    advice: `${NOTHING_LOST} For next time, an admin enters the secret (installation guide, step 6) and gives you the permission set Sloe Organizer (step 7).`
  };
}

/** The words for an answer of the Apex class SloeUpdate. */
export function wordsFor({ outcome, status }, everything) {
  switch (outcome) {
    case "accepted":
      return accepted(everything);
    case "refused":
      return refused(status);
    case "unconnected":
      return unconnected();
    default:
      return unreachable(status);
  }
}

/** The words for a call that Salesforce itself did not carry out. */
export function wordsForError(error) {
  const said = error?.body?.message ?? error?.message;
  return {
    tone: TONES.bad,
    title: "Salesforce did not send the update.",
    advice: said ?? "Reload the page and try again."
  };
}
