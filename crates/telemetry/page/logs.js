// Log records, the youngest first.

import { ask } from "./ask.js";
import { List, filters, h, time } from "./draw.js";
import { empty } from "./receiver.js";

const FIELDS = [
  ["service", "Service"], ["severity", "At least", ["1", "5", "9", "13", "17", "21"]], ["text", "Text"], ["trace", "Trace"],
];
const NAMES = ["none", "trace", "debug", "info", "warn", "error", "fatal"];

export function severity(number) {
  return NAMES[Math.min(6, Math.ceil((number || 0) / 4))] ?? "none";
}

/// A record, with a link to its span.
export function logRow(it) {
  const name = severity(it.severity);
  const properties = it.traceId
    ? { href: `#/trace/${it.traceId}${it.spanId ? `?span=${it.spanId}` : ""}`, title: it.text } : { title: it.text, tabindex: "0" };
  const kind = ["error", "fatal"].includes(name) ? "failed" : name === "warn" ? "warn" : "soft";
  return h("a", properties,
    h("span", { class: "time" }, time(it.timeUnixNano)), " ", h("span", { class: `severity ${kind}` }, name), " ",
    h("span", { class: "grow" }, it.text));
}

export function logs({ query, go }) {
  const list = new List("Log records", (it) => {
    const row = logRow(it);
    row.insertBefore(h("span", { class: "service" }, it.service), row.lastChild);
    return row;
  });
  const form = filters(FIELDS, query, go);
  for (const option of form.querySelectorAll("select option")) {
    if (option.value) option.textContent = severity(Number(option.value));
  }
  const body = h("div", { class: "columns" }, h("div", {}, list.element));
  return {
    element: h("section", { class: "columns", "aria-label": "Logs" }, h("div", {}, form, body)),
    update(_, next) {
      query = next;
      return true;
    },
    async draw() {
      const asked = Object.fromEntries(FIELDS.map(([name]) => [name, query.get(name)]));
      const answer = await ask("logs", { ...asked, limit: 1000 });
      if (!answer.logs.length) {
        body.replaceChildren(query.size ? h("p", {}, "No record passes the filter.") : await empty("No log record has arrived yet."));
        return;
      }
      if (!body.contains(list.element)) body.replaceChildren(h("div", {}, list.element));
      list.set(answer.logs);
    },
  };
}
