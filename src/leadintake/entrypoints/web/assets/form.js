// The form stays in place while it is sent: what was typed and chosen is there, whatever comes of it.

const find = (id) => document.getElementById(id);
const [form, resume, send, chosen, summary] = ["enquiry", "resume", "send", "chosen", "summary"].map(find);
const remove = chosen.lastChild;
const FIELDS = ["first_name", "last_name", "email", "resume"];
const title = document.title.replace(/^Error: /, "");
const KEPT = "What you typed and chose is still here.";
const AGAIN = "then send again: nothing is stored twice.";
const LONG = 20000; // milliseconds without an answer before it is said that one need not wait for it
// Not the browser's own check, which takes ada@localhost; the service knows better than either.
const ADDRESS = /^[^\s@]+@[^\s@]+\.[^\s@]+$/;
let request = null;
let slow;

const tell = (text) => { find("told").textContent = text; };

function inUnits(count, of = count) {
  const [size, unit] = of < 2 ** 20 ? [1024, "kB"] : [2 ** 20, "MB"];
  return count === of ? `${(of / size).toFixed(1)} ${unit}` : `${(count / size).toFixed(1)} of ${inUnits(of)}`;
}

function faultOf(name) {
  const field = find(name);
  const says = field.dataset;
  if (field !== resume) {
    const text = field.value.trim();
    if (!text) return says.missing;
    return says.noAddress && !ADDRESS.test(text) ? says.noAddress : "";
  }
  const [file] = field.files;
  if (!file) return says.missing;
  if (!field.accept.split(",").some((ending) => file.name.toLowerCase().endsWith(ending))) return says.wrongKind;
  if (file.size > says.most) return says.tooLarge;
  return file.size ? "" : says.empty;
}

const faults = (messageOf) => new Map(FIELDS.map((name) => [name, messageOf(name)]).filter(([, text]) => text));

const make = (tag, text, more) => Object.assign(document.createElement(tag), { textContent: text }, more);

function mark(name, message, role = null) {
  const field = find(name);
  const id = `${name}-wrong`;
  find(id)?.remove();
  if (message) field.before(make("p", message, { id, role, className: "wrong" }));
  field.ariaInvalid = message ? "true" : null;
  field.setAttribute("aria-describedby", `${name}-hint ${id}`);
}

function show(problem, wrong = new Map()) {
  for (const name of FIELDS) mark(name, wrong.get(name));
  find("problem").textContent = problem;
  find("problem").hidden = !problem;
  find("wrong").hidden = !wrong.size;
  find("wrong").replaceChildren(...[...wrong].map(([name, text]) => {
    const item = make("li", "");
    item.append(make("a", text, { href: `#${name}` }));
    return item;
  }));
  summary.hidden = !problem && !wrong.size;
  document.title = summary.hidden ? title : `Error: ${title}`;
  summary.focus();
}

function showChosen() {
  const [file] = resume.files;
  find("again")?.remove();
  chosen.hidden = !file;
  if (file) chosen.firstChild.replaceChildren(make("bdi", file.name), `, ${inUnits(file.size)}`);
  remove.textContent = file && `Remove ${file.name}`;
  mark("resume", file && faultOf("resume"), "alert");
}

function setBusy(isBusy) {
  find("sending").hidden = !isBusy;
  send.textContent = isBusy ? "Sending" : "Send";
  send.ariaDisabled = isBusy ? "true" : null;
}

function end(text) {
  clearTimeout(slow);
  request = null;
  setBusy(false);
  tell(text);
}

function start() {
  const bar = find("progress");
  let isHalf, isSent;
  request = new XMLHttpRequest();
  request.open("POST", form.action);
  request.responseType = "document";
  request.upload.onprogress = ({ loaded, total }) => {
    bar.value = loaded / total;
    find("bytes").textContent = inUnits(loaded, total);
    if (!isHalf && (isHalf = bar.value >= 0.5)) tell("Half of it is sent.");
  };
  request.upload.onload = () => {
    isSent = true;
    bar.removeAttribute("value");
    tell("All of it is sent. Waiting for the answer.");
    slow = setTimeout(() => tell(`The answer takes long. Wait for it, or cancel, ${AGAIN}`), LONG);
  };
  request.onload = answered;
  request.onerror = failed;
  request.onabort = () => {
    end(isSent ? `Cancelled, but it may have arrived. Look through it, ${AGAIN}` : `Cancelled. ${KEPT}`);
    send.focus();
  };
  show("");
  bar.value = 0;
  find("bytes").textContent = "";
  setBusy(true);
  tell("Sending.");
  request.send(new FormData(form));
}

function answered() {
  const { status, response, responseURL } = request;
  const again = response?.getElementById("enquiry");
  if (!again && status < 400) {
    location.assign(responseURL);
    return;
  }
  end("");
  if (!again) {
    show(`The answer could not be read (${status}). Wait a moment, ${AGAIN}`);
    return;
  }
  for (const name of ["submission", "notice"]) form.elements[name].value = again.elements[name].value;
  find("notice").replaceWith(response.getElementById("notice"));
  const messageOf = (name) => response.getElementById(`${name}-wrong`)?.textContent;
  show(response.getElementById("problem").textContent, faults(messageOf));
}

async function failed() {
  end("");
  try {
    await resume.files[0]?.slice(0, 1).arrayBuffer();
    show(`There was no answer. Check your connection, ${AGAIN}`);
  } catch {
    show("", new Map([["resume", "The file cannot be read any more. Choose it again."]]));
  }
}

form.noValidate = true;
form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (request) return;
  const wrong = faults(faultOf);
  if (wrong.size) show("", wrong);
  else start();
});
find("cancel").addEventListener("click", () => request?.abort());
resume.addEventListener("change", showChosen);
remove.addEventListener("click", () => {
  resume.value = "";
  showChosen();
  resume.focus();
});

// A file that is dropped beside its field would be opened in place of the page.
function onFiles(kind, act) {
  addEventListener(kind, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    form.classList.toggle("dragging", kind === "dragover");
    act?.(event.dataTransfer.files);
  });
}
onFiles("dragover");
onFiles("dragleave");
onFiles("drop", (files) => {
  if (files.length === 1) {
    resume.files = files;
    showChosen();
  } else {
    mark("resume", "Drop one file only.", "alert");
  }
});

addEventListener("offline", () => tell(`You are offline. ${KEPT}`));
addEventListener("online", () => tell(""));
addEventListener("beforeunload", (event) => request && request.readyState < 4 && event.preventDefault());
addEventListener("pageshow", (event) => event.persisted && end(""));
if (resume.files.length) showChosen();
