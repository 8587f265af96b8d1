// Metrics as charts, and the routes with their rate, errors and durations.

import { ask } from "./ask.js";
import { List, duration, h, milliseconds, plain } from "./draw.js";
import { empty } from "./receiver.js";

const COLOURS = ["#5b9bd5", "#e0a030", "#d05050", "#70a858"];

export function metrics({ query }) {
  let chosen = Number(query.get("series")) || null;
  const list = new List("Series", (it) => h("a", {
    href: `#/metrics?series=${it.series}`, "aria-current": it.series === chosen ? "true" : null,
  }, h("span", { class: "service" }, it.service), h("span", {}, it.name),
    h("span", { class: "grow soft" }, it.attributes.map((it) => `${it.key}=${plain(it.value)}`).join(" ")),
    h("span", { class: "soft wide" }, `${it.kind} ${it.unit}`), h("span", { class: "number" }, it.points)));
  const chart = h("div", { class: "chart", role: "img" });
  const about = h("div");
  const body = h("div", { class: "columns" }, h("div", {}, list.element));
  const element = h("section", { class: "columns", "aria-label": "Metrics" }, h("div", {}, about, chart, body));

  async function show(info) {
    const answer = await ask(`series/${info.series}`);
    const times = answer.samples.map((it) => milliseconds(it.timeUnixNano) / 1000);
    const isSpread = answer.samples.some((it) => it.spread);
    const lines = isSpread
      ? ["p50", "p95", "p99"].map((name) => [name, answer.samples.map((it) => it.spread?.[name] ?? null)])
      : info.kind === "counter"
        ? [["since the point before", answer.samples.map((it) => it.change)]]
        : [["value", answer.samples.map((it) => it.value)]];
    about.replaceChildren(h("h2", {}, `${info.name}${info.unit ? ` in ${info.unit}` : ""}`),
      h("p", { class: "soft" }, `${info.description} (${info.kind}${info.temporality ? `, ${info.temporality}` : ""}, ${info.points} points)`));
    const style = getComputedStyle(document.documentElement);
    const axis = { stroke: style.getPropertyValue("--soft"), grid: { stroke: style.getPropertyValue("--line"), width: 1 }, ticks: { width: 1 } };
    chart.replaceChildren();
    chart.setAttribute("aria-label", `${info.name} over time, the last value ${lines[0][1].at(-1) ?? "missing"}`);
    new uPlot({
      width: Math.max(300, chart.clientWidth), height: 240, axes: [axis, { ...axis, size: 70 }],
      series: [{}, ...lines.map(([label], at) => ({ label, stroke: COLOURS[at], points: { show: times.length < 60 } }))],
    }, [times, ...lines.map(([, values]) => values.map((it) => (typeof it === "number" ? it : null)))], chart);
    about.append(...exemplars(answer.metric));
  }

  return {
    element,
    update(_, next) {
      chosen = Number(next.get("series")) || null;
      return true;
    },
    async draw() {
      const all = (await ask("series")).series;
      if (!all.length) return body.replaceChildren(await empty("No metric has arrived yet."));
      if (!body.contains(list.element)) body.replaceChildren(h("div", {}, list.element));
      const info = all.find((it) => it.series === chosen) ?? all[0];
      chosen = info.series;
      list.set(all);
      await show(info);
    },
  };
}

/// Links to the traces of single measurements.
function exemplars(metric) {
  const data = metric.gauge ?? metric.sum ?? metric.histogram ?? metric.exponentialHistogram ?? {};
  const found = (data.dataPoints ?? []).flatMap((it) => it.exemplars ?? []).filter((it) => it.traceId);
  if (!found.length) return [];
  const link = (it) => h("a", { href: `#/trace/${it.traceId}?span=${it.spanId ?? ""}` }, String(it.asDouble ?? it.asInt));
  return [h("p", {}, "Traces of single measurements: ", ...found.slice(-10).flatMap((it) => [link(it), " "]))];
}

export function routes() {
  const body = h("tbody");
  const heads = ["Service", "Route", "Requests", "A second", "Failed", "p50", "p95", "p99", "Longest"];
  const table = h("table", {}, h("thead", {}, h("tr", {},
    heads.map((it, at) => h("th", { scope: "col", class: at > 1 ? "number" : null }, it)))), body);
  const element = h("section", { "aria-label": "Routes" }, table);
  return {
    element,
    async draw() {
      const all = (await ask("routes")).routes;
      if (!all.length) return element.replaceChildren(await empty("No request has been answered yet."));
      if (!element.contains(table)) element.replaceChildren(table);
      const number = (text, bad = false) => h("td", { class: `number${bad ? " failed" : ""}` }, text);
      body.replaceChildren(...all.sort((a, b) => b.count - a.count).map((it) => {
        const query = new URLSearchParams({ service: it.service, route: it.route });
        return h("tr", {}, h("td", {}, it.service),
          h("td", {}, h("a", { href: `#/traces?${query}` }, `${it.method ?? ""} ${it.route}`.trim())),
          number(it.count), number(it.rate === null ? "" : it.rate.toFixed(2)),
          number(it.failed ? `${it.failed} (${((it.failed / it.count) * 100).toFixed(1)} %)` : "0", it.failed > 0),
          number(duration(it.p50)), number(duration(it.p95)), number(duration(it.p99)), number(duration(it.longest)));
      }));
    },
  };
}
