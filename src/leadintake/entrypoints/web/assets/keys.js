// The inbox by single keys. Whoever speaks to a computer, or hits keys by chance, can turn them off (WCAG 2.1.4).

const one = (selector) => document.querySelector(selector);

/** Move the focus along the leads of a list. */
function step(by) {
  const links = [...document.querySelectorAll(".leads .name a")];
  const here = links.indexOf(document.activeElement);
  const next = here < 0 && by < 0 ? links.length - 1 : here + by;
  links[next]?.focus();
}

/** Go to the search, so that what is typed takes the place of what is there; from a lead, go to the list. */
function toSearch() {
  const field = one("#q");
  if (!field) return one("#back")?.click();
  field.focus();
  field.select();
}

// Nobody can take back that a lead was reached out to, so that `e` leaves it to Enter.
const KEYS = {
  j: () => (one("#list") ? step(1) : one("#next")?.click()),
  k: () => (one("#list") ? step(-1) : one("#previous")?.click()),
  e: () => one("#reach-out button")?.focus(),
  "/": toSearch,
  "?": () => one("#keys")?.showModal(),
};

export function watchKeys() {
  const isOn = one("#keys-on");
  if (!isOn) return;
  isOn.checked = localStorage.getItem("keys") !== "off";
  isOn.addEventListener("change", () => localStorage.setItem("keys", isOn.checked ? "on" : "off"));
  one("#keys-open").hidden = false;
  one("#keys-open").addEventListener("click", () => one("#keys").showModal());

  document.addEventListener("keydown", (event) => {
    // A dialog that was just closed keeps the focus until the browser paints.
    const isTyping = event.target.closest("input, textarea, select, dialog[open]");
    if (isTyping || !isOn.checked || event.ctrlKey || event.metaKey || event.altKey || !(event.key in KEYS)) return;
    event.preventDefault();
    KEYS[event.key]();
  });
}
