// Sets up the proof of work: the widget does the rest, and puts its answer into
// the form. Without script a page says what else proves a person.
const widget = document.querySelector("altcha-widget");
globalThis.$altcha.algorithms.set("PBKDF2/SHA-256", () => new Worker(widget.dataset.worker));
globalThis.$altcha.i18n.set("en", {
  ...globalThis.$altcha.i18n.get("en"),
  label: "I am not a robot",
  verifying: "Checking. This takes a moment…",
  verified: "Checked",
  waitAlert: "Still checking. Please wait a moment.",
  error: "The check did not work. Try again, or log in and send your feedback without it.",
  expired: "The check is too old. Please tick again.",
});
globalThis.$altcha.defaults.set({
  hideFooter: true, hideLogo: true, humanInteractionSignature: false, workers: Math.min(4, navigator.hardwareConcurrency || 2),
});

// Whoever sends while it is still checking need not press twice.
const form = widget.closest("form");
let state = "", sender = null;
widget.addEventListener("statechange", (e) => {
  state = e.detail.state;
  if (state === "verifying" || !sender) return;
  const button = sender;
  sender = null;
  if (state === "verified") form.requestSubmit(button);
});
form.addEventListener("submit", (e) => {
  if (state !== "verifying") return;
  e.preventDefault();
  e.stopImmediatePropagation();
  sender = e.submitter;
}, true);
