// Saves a reload and says what is going on. Every page works without it.
"use strict";

// A form is sent once, and its button says so.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.dataset.once) return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  const button = event.submitter ?? form.querySelector("button[type=submit]");
  button.dataset.says = button.textContent;
  button.textContent = form.dataset.once;
});

// Back in the browser's history shows the page as it was left: its forms can be sent again.
window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    const button = form.querySelector("button[data-says]");
    button.textContent = button.dataset.says;
  }
});

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

// The visit log stands still while it is being read: scrolled, text selected, a row open.
const live = document.getElementById("live");
const isBeingRead = () =>
  window.scrollY > 200 ||
  !(document.getSelection()?.isCollapsed ?? true) ||
  document.querySelector("#visits details[open]") !== null ||
  document.activeElement?.closest("#visits, .filters") != null;
const say = (words) => {
  if (live && live.textContent !== words) live.textContent = words;
};
if (live?.hasAttribute("data-live")) say("Live");
document.addEventListener("htmx:beforeRequest", (event) => {
  if (!event.target.hasAttribute("data-polls")) return;
  if (isBeingRead()) {
    event.preventDefault();
    say("Paused while you read");
  } else {
    say("Live");
  }
});
for (const kind of ["htmx:responseError", "htmx:sendError"]) {
  document.addEventListener(kind, () => say("Not up to date. It tries again."));
}
