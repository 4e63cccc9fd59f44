// Pages by script: the same requests as links and forms make, and parts of the answers put in place of our own.

/** Ask for a page; resolves to {status, address, page}, rejects when no answer came. */
export function ask(address, {form, signal} = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(form ? "POST" : "GET", address);
    request.responseType = "document"; // Parsed without innerHTML, which Trusted Types forbid.
    request.addEventListener("load", () =>
      resolve({status: request.status, address: request.responseURL, page: request.responseXML}));
    for (const failure of ["error", "timeout", "abort"]) request.addEventListener(failure, () => reject(new Error(failure)));
    signal?.addEventListener("abort", () => request.abort());
    request.timeout = 30000;
    request.send(form ? new URLSearchParams(new FormData(form)) : null);
  });
}

/** Put the part of another page in place of ours, unless it is the same: it may be about to be clicked. */
export function take(page, selector) {
  const [mine, theirs] = [document, page].map((where) => where.querySelector(selector));
  if (!mine || !theirs || mine.isEqualNode(theirs)) return;
  mine.replaceWith(document.adoptNode(theirs));
  localise(document.querySelector(selector));
}

/** Show times as the reader's clock has them; the server writes UTC. */
export function localise(within) {
  const exact = new Intl.DateTimeFormat(undefined, {dateStyle: "medium", timeStyle: "short"});
  for (const time of within.querySelectorAll("time")) {
    const at = exact.format(new Date(time.dateTime));
    if ("kept" in time.dataset) time.closest("tr").title = `Received ${at}`;
    else time.textContent = at;
  }
}
