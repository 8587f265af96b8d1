// Asks the receiver. The code stands in the address' fragment, which no server sees; it is exchanged for a cookie at once and
// taken out of the address, so that a link can be shared and nothing is left in the history.

export class Lost extends Error {}

export async function begin() {
  const found = /^#code=([0-9a-f]+)(.*)$/.exec(location.hash);
  if (!found) return;
  const [, code, rest] = found;
  history.replaceState(null, "", "#" + (rest.replace(/^&/, "") || "/traces"));
  const answer = await fetch("/api/v1/session", {
    method: "POST", headers: { "Content-Type": "text/plain" }, body: code,
  });
  if (!answer.ok) throw new Lost("the code in the address is not this receiver's");
}

export async function ask(path, parameters = {}, signal = undefined) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== "") query.append(name, one);
    }
  }
  const text = query.toString();
  let answer;
  try {
    answer = await fetch(`/api/v1/${path}${text ? "?" + text : ""}`, { signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Lost("the receiver does not answer; it has ended");
  }
  if (answer.status === 401) {
    throw new Lost("this browser has no session; open the address with the code that packlight has printed");
  }
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.error ?? value.message ?? `the receiver answers ${answer.status}`);
  return value;
}

/// The same question for a terminal.
export function curl(path) {
  return `curl -s -H "Authorization: Bearer $CODE" '${location.origin}/api/v1/${path}'`;
}
