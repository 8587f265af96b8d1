// The page: which view is shown, and what keeps it current. Open a view's own file next: each gives an element and a function
// that draws it anew.

import { Lost, ask, begin } from "./ask.js";
import { bytes, counted, h } from "./draw.js";
import { logs } from "./logs.js";
import { metrics, routes } from "./metrics.js";
import { receiver } from "./receiver.js";
import { trace, traces } from "./traces.js";

const VIEWS = { traces, trace, logs, metrics, routes, receiver };
const main = document.getElementById("view");
const state = document.getElementById("state");
const pause = document.getElementById("pause");
let shown = null;
let paused = false;

/// `#/trace/ID?span=…` as a name, its argument and its parameters.
function address() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, argument = ""] = path.split("/");
  return { name: name in VIEWS ? name : "traces", argument, query: new URLSearchParams(query) };
}

function say(text, lost = false) {
  state.textContent = text;
  state.classList.toggle("lost", lost);
}

async function draw() {
  try {
    await shown?.draw();
  } catch (error) {
    if (error.name !== "AbortError") say(error.message, true);
  }
}

async function route() {
  const { name, argument, query } = address();
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.hash === `#/${name}` || (name === "trace" && link.hash === "#/traces");
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  // The same view with other parameters keeps what is scrolled and typed.
  if (shown?.name === name && shown.update?.(argument, query)) return draw();
  const go = (next) => { location.hash = `#/${name}${next.size ? "?" + next : ""}`; };
  shown = { name, ...VIEWS[name]({ argument, query, go }) };
  main.replaceChildren(shown.element);
  await draw();
}

async function tell() {
  const status = await ask("status");
  const { kept, dropped } = status;
  const gone = dropped.spans + dropped.logs + dropped.points;
  const refused = status.refused.reduce((sum, it) => sum + it.requests, 0);
  say(`${counted(kept.spans, "span")}, ${counted(kept.logs, "log")}, ${counted(kept.points, "point")} in ${bytes(kept.bytes)}`
    + (gone ? `; ${gone} dropped, the oldest` : "") + (refused ? `; refused requests: ${refused}` : ""));
  return status.last;
}

/// Waits for what is new, and draws what is shown anew; not faster than three times a second.
async function live() {
  let last = 0;
  for (;;) {
    try {
      const next = (await ask("wait", { after: last })).last;
      if (next !== last && !paused) await draw();
      last = next;
      await tell();
      await new Promise((done) => setTimeout(done, 300));
    } catch (error) {
      say(error.message, error instanceof Lost);
      await new Promise((done) => setTimeout(done, 3000));
    }
  }
}

pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", paused);
  pause.textContent = paused ? "Paused" : "Pause";
  if (!paused) draw();
});
addEventListener("hashchange", route);
addEventListener("keydown", (event) => {
  if (event.target.closest("input, select") || event.ctrlKey || event.metaKey || event.altKey) return;
  const view = { t: "traces", l: "logs", m: "metrics", r: "routes" }[event.key];
  if (view) location.hash = `#/${view}`;
  if (event.key === "/") {
    event.preventDefault();
    main.querySelector("input")?.focus();
  }
  if (event.key === "Escape" && address().name === "trace") history.back();
});

try {
  await begin();
  await tell();
  await route();
  live();
} catch (error) {
  say(error.message, true);
  main.replaceChildren(h("div", { class: "empty" }, h("h2", {}, "No session"), h("p", {}, error.message)));
}
