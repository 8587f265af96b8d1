// Traces: the list with its filters, and one of them as a waterfall.

import { ask, curl } from "./ask.js";
import { List, copy, counted, duration, facts, filters, h, milliseconds, plain, time } from "./draw.js";
import { logRow } from "./logs.js";
import { empty } from "./receiver.js";

const FIELDS = [
  ["service", "Service"], ["route", "Route or name"], ["outcome", "Outcome", ["failed", "fine"]],
  ["status", "HTTP status"], ["at-least", "At least (250ms)"], ["at-most", "At most"], ["attribute", "Attribute (key=value)"],
];

export function traces({ query, go }) {
  let pages = 1;
  let more = null;
  let busy = false;
  const list = new List("Traces", (it) => row(it));
  const body = h("div", { class: "columns" }, h("div", {}, list.element));
  const element = h("section", { class: "columns", "aria-label": "Traces" },
    h("div", {}, filters(FIELDS, query, go), body));
  list.atEnd = async () => {
    if (more === null || busy) return;
    busy = true;
    pages += 1;
    await view.draw();
    busy = false;
  };
  const view = {
    element,
    update(_, next) {
      query = next;
      pages = 1;
      return true;
    },
    async draw() {
      const rows = [];
      more = null;
      for (let page = 0; page < pages; page++) {
        const answer = await ask("traces", { ...parameters(query), limit: 1000, before: more });
        rows.push(...answer.traces);
        more = answer.before;
        if (more === null) break;
      }
      if (!rows.length) {
        body.replaceChildren(query.size
          ? h("p", { class: "empty" }, "No trace passes the filter.") : await empty("No trace has arrived yet."));
        return;
      }
      if (!body.contains(list.element)) body.replaceChildren(h("div", {}, list.element));
      list.set(rows);
    },
  };
  return view;
}

function parameters(query) {
  const found = {};
  for (const [name] of FIELDS) found[name] = query.getAll(name);
  return found;
}

function called(it) {
  return it.route ? `${it.method ?? ""} ${it.route}`.trim() : it.name;
}

function row(it) {
  const services = Object.keys(it.services);
  return h("a", { href: `#/trace/${it.traceId}` },
    h("span", { class: "time" }, time(it.startTimeUnixNano)),
    h("span", { class: "service" }, it.service),
    h("span", { class: "grow" }, called(it), it.whole ? null : h("span", { class: "warn" }, " (its first span has not arrived)")),
    it.failed ? h("span", { class: "badge failed" }, `${it.failed} failed`) : null,
    h("span", { class: it.status >= 500 ? "failed" : "soft" }, it.status ?? ""),
    h("span", { class: "number wide" }, counted(it.spans, "span")),
    services.length > 1 ? h("span", { class: "soft wide" }, `${services.length} services`) : null,
    h("span", { class: "number" }, duration(it.duration)));
}

const ODDITIES = {
  "missing-parent": "its parent has not arrived",
  "own-parent": "it says that it is its own parent",
  circle: "it is among its own ancestors",
  "same-id": "another span of the trace has its id",
  backwards: "it ended before it began",
  skewed: "its clock differs from its parent's; it is drawn where it must have been",
};

export function trace({ argument, query }) {
  let tree = null;
  let chosen = query.get("span");
  const title = h("h2", {}, "Trace");
  const details = h("aside", { "aria-label": "Span" });
  const list = new List("Spans", (it) => span(it));
  const element = h("section", { class: "columns", "aria-label": "Trace" },
    h("div", {}, title, h("div", { class: "tools" },
      copy("Copy as JSON", () => JSON.stringify(tree, null, 2)), copy("Copy as curl", () => curl(`traces/${argument}`)),
      h("a", { href: `#/logs?trace=${argument}` }, "Logs of this trace")), list.element), details);

  function span(it) {
    const offset = Number(BigInt(it.startTimeUnixNano) - BigInt(tree.startTimeUnixNano));
    const whole = Math.max(1, tree.duration);
    const bar = h("i", { class: it.failed ? "bad" : "" });
    bar.style.left = `${Math.min(99.5, Math.max(0, (offset / whole) * 100))}%`;
    bar.style.width = `${Math.min(100, (it.duration / whole) * 100)}%`;
    const name = h("span", { class: `grow${it.failed ? " failed" : ""}` }, it.span.name || "(no name)",
      h("span", { class: "soft" }, ` ${tree.sources[it.source].service}`),
      it.oddities.length ? h("span", { class: "warn", title: it.oddities.map((it) => ODDITIES[it.kind]).join("; ") }, " ⚠") : null);
    name.style.paddingLeft = `${Math.min(it.depth, 30) * 14}px`;
    return h("a", {
      href: `#/trace/${argument}?span=${it.span.spanId}`, "aria-current": it.span.spanId === chosen ? "true" : null,
    }, name, h("span", { class: "number" }, duration(it.duration)), h("span", { class: "bars", "aria-hidden": "true" }, bar));
  }

  async function show() {
    const it = tree.rows.find((it) => it.span.spanId === chosen) ?? tree.rows[0];
    const source = tree.sources[it.source];
    const answer = await ask("logs", { trace: argument, span: it.span.spanId, limit: 200 });
    const kinds = ["unspecified", "internal", "server", "client", "producer", "consumer"];
    details.replaceChildren(
      h("h2", {}, it.span.name || "(no name)"),
      h("p", { class: "soft" }, `${source.service}, ${kinds[it.span.kind ?? 0] ?? it.span.kind}, ${time(it.span.startTimeUnixNano ?? "0")}, ${duration(it.duration)}`),
      it.span.status?.code === 2 ? h("p", { class: "failed" }, `failed ${it.span.status.message ?? ""}`) : "",
      ...it.oddities.map((it) => h("p", { class: "warn" }, ODDITIES[it.kind])),
      h("h3", {}, "Attributes"), facts(it.span.attributes),
      ...(it.span.events ?? []).flatMap((event) => happened(event, it)),
      ...(it.span.links?.length ? [h("h3", {}, "Links"), ...it.span.links.map(link)] : []),
      h("h3", {}, "Logs"),
      answer.logs.length ? h("div", {}, answer.logs.reverse().map(logRow)) : h("p", { class: "soft" }, "none of this span"),
      h("h3", {}, "Process"), facts(source.resource.attributes),
      h("h3", {}, "Library"), h("p", {}, `${source.scope.name ?? ""} ${source.scope.version ?? ""}`),
      copy("Copy span as JSON", () => JSON.stringify(it.span, null, 2)),
    );
  }

  return {
    element,
    update(next, query) {
      if (next !== argument || !tree) return false;
      chosen = query.get("span");
      return true;
    },
    async draw() {
      tree = await ask(`traces/${argument}`);
      title.textContent = `${tree.rows[0].span.name || argument}: ${counted(tree.rows.length, "span")} in ${duration(tree.duration)}`;
      list.set(tree.rows);
      await show();
    },
  };
}

function happened(event, row) {
  const find = (key) => plain(event.attributes?.find((it) => it.key === key)?.value);
  const at = milliseconds(event.timeUnixNano ?? "0") - milliseconds(row.span.startTimeUnixNano ?? "0");
  const stack = find("exception.stacktrace");
  const rest = (event.attributes ?? []).filter((it) => it.key !== "exception.stacktrace");
  return [
    h("h3", {}, `${event.name} after ${duration(Math.round(at * 1e6))}`),
    facts(rest), stack ? h("pre", { tabindex: "0" }, stack) : "",
  ];
}

function link(it) {
  return h("p", {}, h("a", { href: `#/trace/${it.traceId}?span=${it.spanId}` }, `${it.traceId} / ${it.spanId}`), facts(it.attributes));
}
