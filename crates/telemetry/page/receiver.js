// What the receiver has taken and turned away; and what to do while nothing has come.

import { ask } from "./ask.js";
import { bytes, counted, h, time } from "./draw.js";

const REASONS = {
  path: "a path that is none of OTLP's: an endpoint is given without /v1/traces, unless it is one of a single signal",
  method: "it was no POST",
  "content-type": "a content type that is none of OTLP's",
  compression: "a compression other than gzip",
  malformed: "a body that is not what its content type says",
  "too-large": "a body that is too large",
  stalled: "a body that did not come in time",
  overloaded: "too much at once; it will be sent again",
  tls: "a TLS handshake: the endpoint says https, and this port speaks http",
  "not-http": "bytes that are no HTTP",
  origin: "a page of a website that is not named with --cors-origin, or another name for this machine",
};

/// What is listening, and what to set.
export async function empty(text) {
  const status = await ask("status");
  const endpoint = `http://${status.listening[0]}`;
  const taken = status.taken.length
    ? h("p", {}, "Others have come: ", status.taken.map((it) => `${counted(it.requests, "request")} of ${it.signal}`).join(", "), ".") : null;
  return h("div", { class: "empty" }, h("h2", {}, text), taken, refusal(status),
    h("p", {}, "Listening, for OTLP over HTTP and gRPC: ", status.listening.join(", ")),
    h("p", {}, "An app sends here with these variables:"),
    h("pre", { tabindex: "0" }, `OTEL_EXPORTER_OTLP_ENDPOINT=${endpoint}\nOTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf\n`
      + "OTEL_TRACES_EXPORTER=otlp\nOTEL_METRICS_EXPORTER=otlp\nOTEL_LOGS_EXPORTER=otlp"),
    h("p", { class: "soft" }, "Spans are sent some seconds after the request that they are of; metrics once a minute, unless told otherwise. "
      + (status.connections ? `Connections so far: ${status.connections}.` : "Nobody has connected yet.")));
}

function refusal(status) {
  const last = status.lastRefused;
  if (!last) return null;
  return h("p", { class: "failed" }, `Turned away at ${time(last.atUnixNano)}: ${REASONS[last.reason] ?? last.reason}. It was: ${last.detail}`);
}

export function receiver() {
  const element = h("section", { "aria-label": "Receiver" });
  return {
    element,
    async draw() {
      const status = await ask("status");
      const { kept, dropped } = status;
      const row = (name, value) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, value));
      element.replaceChildren(
        h("h2", {}, "Kept"),
        h("table", { class: "facts" }, h("tbody", {},
          row("Listening", status.listening.join(", ")), row("Services", status.services.join(", ") || "none"),
          row("Traces", `${kept.traces} of ${kept.spans} spans`), row("Log records", kept.logs), row("Points of metrics", kept.points),
          row("Memory", `${bytes(kept.bytes)} of ${bytes(kept.limit)}`),
          row("Dropped to make room", `${dropped.traces} traces, ${dropped.spans} spans, ${dropped.logs} log records, ${dropped.points} points`),
          row("Left out of requests", status.recordsRejected))),
        h("h2", {}, "Taken"),
        h("table", {}, h("tbody", {}, status.taken.map((it) => row(`${it.signal} over ${it.protocol}`, counted(it.requests, "request"))))),
        h("h2", {}, "Turned away"), refusal(status) ?? h("p", {}, "nothing"),
        h("table", {}, h("tbody", {}, status.refused.map((it) => row(REASONS[it.reason] ?? it.reason, counted(it.requests, "request"))))),
        h("p", {}, h("a", { href: "/api/v1/export", download: "session.jsonl" }, "Save all of it as OTLP JSON lines")));
    },
  };
}
