// Elements, and how numbers are written. Texts become text nodes and nothing else: what an app says of itself is never markup.

export function h(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((it) => it !== null && it !== undefined && it !== false));
  return element;
}

export function duration(nanoseconds) {
  if (nanoseconds >= 60e9) return `${(nanoseconds / 60e9).toFixed(1)} min`;
  if (nanoseconds >= 1e9) return `${(nanoseconds / 1e9).toFixed(2)} s`;
  if (nanoseconds >= 1e6) return `${(nanoseconds / 1e6).toFixed(1)} ms`;
  if (nanoseconds >= 1e3) return `${(nanoseconds / 1e3).toFixed(0)} µs`;
  return `${nanoseconds} ns`;
}

export function milliseconds(text) {
  return Number(BigInt(text) / 1000n) / 1000;
}

/// In the browser's time zone.
export function time(text) {
  const date = new Date(milliseconds(text));
  if (Number.isNaN(date.valueOf()) || text === "0") return "no time";
  const clock = date.toLocaleTimeString([], { hour12: false });
  return `${clock}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

/// `1 span`, `2 spans`.
export function counted(count, what) {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

export function bytes(count) {
  return count >= 1e6 ? `${(count / 1e6).toFixed(1)} MB` : `${(count / 1e3).toFixed(0)} kB`;
}

/// A value of OTLP's JSON as text.
export function plain(value) {
  if (!value) return "";
  if ("stringValue" in value) return value.stringValue;
  if ("arrayValue" in value) return `[${(value.arrayValue.values ?? []).map(plain).join(", ")}]`;
  if ("kvlistValue" in value) {
    return `{${(value.kvlistValue.values ?? []).map((it) => `${it.key}: ${plain(it.value)}`).join(", ")}}`;
  }
  return String(Object.values(value)[0] ?? "");
}

export function facts(attributes) {
  if (!attributes?.length) return h("p", { class: "soft" }, "none");
  const row = (it) => h("tr", {}, h("th", { scope: "row" }, it.key), h("td", {}, plain(it.value)));
  return h("table", { class: "facts" }, h("tbody", {}, attributes.map(row)));
}

export function copy(label, text) {
  const button = h("button", { type: "button" }, label);
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text());
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = label), 1500);
  });
  return button;
}

/// A list of which only the rows in sight are there: a hundred thousand cost what thirty do.
export class List {
  constructor(label, draw, height = 28) {
    this.rows = [];
    this.draw = draw;
    this.height = height;
    this.space = h("div", { class: "space", role: "list", "aria-label": label });
    this.element = h("div", { class: "list", tabindex: "0" }, this.space);
    this.element.addEventListener("scroll", () => this.show());
    this.element.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.show()).observe(this.element);
  }

  set(rows) {
    this.rows = rows;
    this.space.style.height = `${rows.length * this.height}px`;
    this.show();
  }

  show() {
    const first = Math.max(0, Math.floor(this.element.scrollTop / this.height) - 5);
    const last = Math.min(this.rows.length, first + Math.ceil(this.element.clientHeight / this.height) + 10);
    const focused = this.space.contains(document.activeElement) ? document.activeElement.dataset.at : null;
    this.space.replaceChildren();
    for (let at = first; at < last; at++) {
      const row = this.draw(this.rows[at], at);
      row.classList.add("row");
      row.dataset.at = at;
      row.style.top = `${at * this.height}px`;
      this.space.append(h("div", { role: "listitem" }, row));
      if (focused === String(at)) row.focus({ preventScroll: true });
    }
    if (this.rows.length && last === this.rows.length && this.atEnd) this.atEnd();
  }

  key(event) {
    const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const current = Number(document.activeElement?.dataset?.at ?? -1);
    const next = Math.max(0, Math.min(this.rows.length - 1, current + step));
    const top = next * this.height;
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    if (top + this.height > this.element.scrollTop + this.element.clientHeight) {
      this.element.scrollTop = top + this.height - this.element.clientHeight;
    }
    this.show();
    this.space.querySelector(`[data-at="${next}"]`)?.focus({ preventScroll: true });
  }
}

/// Fields whose values stand in the address.
export function filters(fields, query, changed) {
  const form = h("form", { role: "search" });
  for (const [name, label, options] of fields) {
    const value = query.get(name) ?? "";
    const option = (it) => h("option", { value: it, selected: it === value }, it || "any");
    const input = options
      ? h("select", { name }, ["", ...options].map(option))
      : h("input", { name, value, autocomplete: "off", spellcheck: "false" });
    form.append(h("label", {}, label, input));
  }
  form.append(h("button", {}, "Filter"));
  const read = (event) => {
    event.preventDefault();
    const next = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value) next.append(name, value);
    changed(next);
  };
  form.addEventListener("submit", read);
  form.addEventListener("change", read);
  return form;
}
