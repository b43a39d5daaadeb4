// Saves a reload and says what is going on. Every page works without it.
"use strict";

// A form is sent once, and its button says so; what takes long need not be waited for.
const LONG_MS = 10_000;
const sending = new Map();

const release = (form) => {
  const { button, says, timer } = sending.get(form);
  clearTimeout(timer);
  button.replaceChildren(...says);
  sending.delete(form);
};

const sayStillWorking = (form) => {
  const waiting = document.createElement("p");
  waiting.className = "waiting";
  const words = document.createElement("span");
  words.setAttribute("role", "status");
  const cancel = document.createElement("button");
  cancel.type = "button";
  cancel.className = "usa-button usa-button--outline";
  cancel.textContent = "Cancel";
  cancel.addEventListener("click", () => {
    window.stop();
    release(form);
    cancel.remove();
    words.textContent = "You stopped waiting. It may have arrived: look before you send it again.";
  });
  waiting.append(words, cancel);
  form.append(waiting);
  words.textContent = "Still working";
};

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.dataset.once) return;
  if (sending.has(form)) {
    event.preventDefault();
    return;
  }
  form.querySelector(".waiting")?.remove();
  const button = event.submitter ?? form.querySelector("button[type=submit]");
  const says = [...button.childNodes];
  button.textContent = form.dataset.once;
  sending.set(form, { button, says, timer: setTimeout(sayStillWorking, LONG_MS, form) });
});

// Back in the browser's history shows the page as it was left: its forms can be sent again.
window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of [...sending.keys()]) {
    release(form);
    form.querySelector(".waiting")?.remove();
  }
});

for (const button of document.querySelectorAll("button[data-prints]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

// The error above a form is what a screen reader begins with.
document.querySelector("[data-focus]")?.focus();

for (const button of document.querySelectorAll("button[data-shows]")) {
  const input = document.getElementById(button.dataset.shows);
  button.hidden = false;
  button.addEventListener("click", () => {
    const isShown = input.type === "text";
    input.type = isShown ? "password" : "text";
    button.textContent = isShown ? "Show password" : "Hide password";
    button.setAttribute("aria-pressed", String(!isShown));
  });
}

for (const input of document.querySelectorAll("[data-counts]")) {
  const output = document.getElementById(input.dataset.counts);
  const count = () => {
    const left = input.maxLength - input.value.length;
    output.textContent = `${left} ${left === 1 ? "character" : "characters"} left`;
  };
  input.addEventListener("input", count);
}

// The visit log stands still while it is being read (scrolled, text selected, a row open), or as its button says.
// Its status line is read out: it changes every ten seconds at most.
const SAID_EVERY_MS = 10_000;
const live = document.getElementById("live");
const pause = document.querySelector("button[data-pauses]");
const state = document.createElement("span");
const shows = document.createElement("a");
const liveSince = `Live since ${live?.dataset.since}`;
let saidAt = -Infinity;
let countedAt = -Infinity;
// What came since the rows that stand still were shown; null while none do.
let arrived = null;
let isPaused = false;

const isBeingRead = () =>
  isPaused ||
  window.scrollY > 200 ||
  !(document.getSelection()?.isCollapsed ?? true) ||
  document.querySelector("#visits details[open]") !== null ||
  document.activeElement?.closest("#visits, .filters") != null;

const isOver = (since) => performance.now() - since >= SAID_EVERY_MS;

const say = (words, count = 0) => {
  const show = count > 0 ? `Show ${count.toLocaleString("en-US")} new` : "";
  if (live === null || (state.textContent === words && shows.textContent === show)) return;
  if (!isOver(saidAt)) return;
  saidAt = performance.now();
  state.textContent = words;
  shows.textContent = show;
  shows.hidden = show === "";
};

const sayPaused = async () => {
  if (live === null || !isOver(saidAt) || !isOver(countedAt)) return;
  countedAt = performance.now();
  arrived ??= { count: 0, lastId: document.getElementById("visits").dataset.last };
  const before = arrived;
  const filters = new URL(shows.href).search;
  try {
    const answer = await fetch(`/visits/after/${before.lastId}${filters}`, {
      headers: { "HX-Request": "true" },
      signal: AbortSignal.timeout(SAID_EVERY_MS),
    });
    const found = await answer.json();
    if (arrived !== before) return;
    arrived = { count: before.count + found.count, lastId: found.last_id };
    say("Paused.", arrived.count);
  } catch {
    say("Not up to date. It tries again.", before.count);
  }
};

if (live !== null) {
  shows.href = live.dataset.shows;
  shows.hidden = true;
  state.textContent = liveSince;
  live.append(state, " ", shows);
  pause.hidden = false;
  pause.addEventListener("click", () => {
    isPaused = !isPaused;
    pause.textContent = isPaused ? "Resume" : "Pause";
  });
}

document.addEventListener("htmx:beforeRequest", (event) => {
  if (!event.target.hasAttribute("data-polls")) return;
  if (isBeingRead()) {
    event.preventDefault();
    sayPaused();
  } else {
    arrived = null;
    say(liveSince);
  }
});
// What was asked for before reading began is not shown in its place.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.target.hasAttribute("data-polls") && isBeingRead()) event.preventDefault();
});
for (const kind of ["htmx:responseError", "htmx:sendError"]) {
  document.addEventListener(kind, () => say("Not up to date. It tries again."));
}
