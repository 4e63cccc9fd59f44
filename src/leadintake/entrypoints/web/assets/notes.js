// Notes that save themselves. What cannot be saved stays in its field, with a word on what to do.

import {ask, localise, take} from "./page.js";

const PAUSE = 1000; // milliseconds without a key before saving
const AGAIN = 10000; // milliseconds before what failed is tried again

export function watchNotes() {
  const form = document.querySelector("#notes form");
  if (!form) return;
  const text = form.notes;
  const state = document.querySelector("#notes-state");
  const isInConflict = () => document.querySelector("#notes-wrong") !== null; // Then only its author saves it.
  let saved = isInConflict() ? null : text.value;
  let hasFailed = false;
  let timer;
  let running;

  /** Save what is not saved yet; resolves once that is over, well or not. */
  function save() {
    clearTimeout(timer);
    if (isInConflict() || text.value === saved) return running;
    running ??= send().finally(() => (running = undefined));
    return running;
  }

  async function send() {
    const sent = text.value;
    state.classList.remove("wrong");
    state.textContent = "Saving ...";
    const {status, page} = await ask(form.action, {form}).catch(() => ({}));
    hasFailed = status !== 200;
    state.classList.toggle("wrong", hasFailed);
    if (status === 200) {
      saved = sent;
      form.seen.value = page.querySelector("#notes [name=seen]").value;
      state.textContent = "Saved.";
      showNews(page);
      if (text.value !== saved) later();
    } else if (status === 401) {
      state.textContent = "Not saved: you are signed out. Press “Save notes” to sign in; nothing is lost.";
    } else if (page?.querySelector("#notes-wrong")) {
      showTheirs(page);
    } else if (status >= 400 && status < 500) {
      state.textContent = `Not saved: ${page?.querySelector("h1")?.textContent}. Copy what you wrote before you leave.`;
    } else {
      state.textContent = "Not saved: the service does not answer. It is tried again.";
      timer = setTimeout(save, AGAIN);
    }
  }

  /** What else has happened to the lead is shown too, except where the reader is just now. */
  function showNews(page) {
    for (const part of ["#head", "#answer", "#timeline", "#notes-printed"]) {
      if (!document.querySelector(part).contains(document.activeElement)) take(page, part);
    }
  }

  /** Somebody changed the notes meanwhile: show that above the field, and leave the field as it is. */
  function showTheirs(page) {
    form.before(document.adoptNode(page.querySelector("#notes-wrong")));
    localise(document.querySelector("#notes-wrong"));
    form.seen.value = page.querySelector("#notes [name=seen]").value;
    form.querySelector("button").replaceWith(...[...page.querySelectorAll("#notes form button")].map((button) => document.adoptNode(button)));
    text.setAttribute("aria-describedby", "notes-hint notes-wrong");
    state.textContent = "";
  }

  function later() {
    clearTimeout(timer);
    timer = setTimeout(save, PAUSE);
  }

  /** Whoever goes on at once waits until all is saved; where that fails, the browser asks before it leaves. */
  async function hold(event) {
    const link = event.target.closest("a[href]");
    if (link?.closest("#notes-wrong")) saved = text.value; // "Let yours go."
    const isLeaving = event.type === "submit" ? event.target !== form : link && !event.ctrlKey && !event.metaKey && !event.shiftKey;
    if (!isLeaving || event.defaultPrevented || hasFailed || isInConflict() || text.value === saved) return;
    event.preventDefault();
    while (!hasFailed && !isInConflict() && text.value !== saved) await save();
    if (text.value !== saved) return;
    if (link) link.click();
    else event.target.requestSubmit(event.submitter);
  }

  text.addEventListener("input", () => {
    hasFailed = false;
    state.textContent = "";
    later();
  });
  text.addEventListener("blur", (event) => form.contains(event.relatedTarget) || save());
  form.addEventListener("submit", () => {
    clearTimeout(timer);
    saved = text.value;
  });
  document.addEventListener("click", hold);
  document.addEventListener("submit", hold);
  addEventListener("beforeunload", (event) => text.value !== saved && event.preventDefault());
}
