// The list of leads: searched as one types, and told of new leads, without losing one's place.

import {ask, take} from "./page.js";

const PAUSE = 250; // milliseconds without a key before a search, so that a word is one search
const BETWEEN = 30000; // milliseconds between two questions for new leads

export function watchSearch() {
  const form = document.querySelector("#search");
  if (!form) return;
  const found = document.querySelector("#found");
  let timer;
  let running;

  async function search() {
    running?.abort();
    running = new AbortController();
    const {signal} = running;
    document.querySelector("#list").classList.add("loading");
    const given = [...new FormData(form)].filter(([, text]) => text);
    const address = given.length ? `${form.action}?${new URLSearchParams(given)}` : form.action;
    try {
      show(await ask(address, {signal}));
    } catch {
      if (signal.aborted) return; // A newer search is under way.
      document.querySelector("#list").classList.remove("loading");
      tell("The service does not answer. Press Enter to search again.");
    }
  }

  function show({status, address, page}) {
    if (status !== 200 || !page.querySelector("#list")) return location.assign(address);
    history.replaceState(null, "", address);
    document.title = page.title;
    take(page, "#list");
    take(page, ".tabs");
    tell(page.querySelector("#found").textContent);
    for (const name of ["aria-invalid", "aria-describedby"]) {
      const value = page.querySelector("#q").getAttribute(name);
      if (value) form.q.setAttribute(name, value);
      else form.q.removeAttribute(name);
    }
  }

  /** Say how it went, also to those who do not see the list. */
  function tell(text) {
    if (found.textContent !== text) found.textContent = text;
  }

  form.q.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(search, PAUSE);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    search();
  });
}

/** From a lead, lead back to the very page of the list that it was opened from. */
export function keepPlace() {
  if (document.querySelector("#list")) {
    addEventListener("pagehide", () => sessionStorage.setItem("list", location.href));
    return;
  }
  const back = document.querySelector("#back");
  const place = new URL(sessionStorage.getItem("list") ?? location.href);
  const list = new URL(place);
  for (const edge of ["after", "before"]) list.searchParams.delete(edge);
  if (back?.href === list.href) back.href = place;
}

export function watchArrivals() {
  const arrivals = document.querySelector("#arrivals");
  if (!arrivals) return;
  setInterval(async () => {
    if (document.hidden) return;
    const address = `${location.pathname}/new?${new URLSearchParams({since: arrivals.dataset.since})}`;
    const {address: shown, page} = await ask(address).catch(() => ({}));
    if (page?.querySelector("#sign-in")) location.assign(shown); // The session is over, and so is the view of the list.
    const news = page?.querySelector("#arrivals");
    // Only what has changed is put in, or it would be read out every time.
    if (news && news.textContent !== arrivals.textContent) arrivals.replaceChildren(...news.childNodes);
  }, BETWEEN);
}
