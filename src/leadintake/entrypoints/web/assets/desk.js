// What the inbox does by itself, and by the keyboard. All of it works without scripts too, only with more clicks.

import {localise} from "./page.js";
import {watchKeys} from "./keys.js";
import {watchNotes} from "./notes.js";
import {keepPlace, watchArrivals, watchSearch} from "./list.js";

const ONCE = 5000; // milliseconds in which a second click sends nothing

// A page that the browser kept is not shown again after signing out.
addEventListener("pageshow", (event) => event.persisted && location.reload());

addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
  setTimeout(() => delete form.dataset.sent, ONCE); // What was stopped on its way can be sent again.
});

// Where one was is nobody else's business.
document.querySelector("#sign-out")?.addEventListener("submit", () => sessionStorage.clear());

localise(document);
watchKeys();
watchNotes();
watchSearch();
keepPlace();
watchArrivals();
