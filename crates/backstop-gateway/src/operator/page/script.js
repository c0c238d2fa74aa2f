"use strict";

const EVERY_MS = 2000;
// How many minutes the picture may span: the least that holds all there is to see.
const SPANS = [5, 15, 30, 60];
// The picture's own units: one for each ten seconds, so that a short outage can be seen.
const WIDTH = 360, BARS = 40, STRIP = 48, HEIGHT = 58;

const STATES = {
  closed: ["well", "closed"],
  half_open: ["warn", "half-open, being probed"],
  open: ["bad", "open"],
  forced_open: ["bad", "held open by hand"],
  disabled: ["off", "not watched"],
  metrics_only: ["well", "counting only"],
};

const byId = (id) => document.getElementById(id);
const rows = new Map();
let last = 0;

function element(name, attributes = {}, ...children) {
  const svg = ["svg", "rect", "line", "title"].includes(name);
  const made = svg
    ? document.createElementNS("http://www.w3.org/2000/svg", name)
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Touches the page only where something is new, so that a selection or a focus stays.
function write(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

function duration(seconds) {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const hours = Math.floor(whole / 3600);
  if (hours < 48) return `${hours} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

function milliseconds(value) {
  if (value === null) return "–";
  if (value >= 1000) return `${(value / 1000).toFixed(value < 10000 ? 2 : 1)} s`;
  return value >= 10 ? `${Math.round(value)} ms` : `${value.toFixed(1)} ms`;
}

const title = (model) => model === "*" ? "Any model" : model;
const count = (value) => value.toLocaleString("en");
const plain = (label) => label.replaceAll("_", " ");

function percent(part) {
  if (part === 0) return "0 %";
  const value = part * 100;
  return value < 0.1 ? "< 0.1 %" : `${value.toFixed(value < 10 ? 1 : 0)} %`;
}

function standing(candidate) {
  if (!candidate.enabled) return ["off", "taken out by the operator"];
  if (!candidate.circuit) return ["well", "always there"];
  const { state, retry_after_ms: wait } = candidate.circuit;
  const [tone, words] = STATES[state] ?? ["warn", plain(state)];
  if (wait === null) return [tone, words];
  const left = duration(Math.ceil(wait / 1000));
  // What is closed and lets nothing through has been told by its provider when to come back.
  return state === "closed" ? ["warn", `held off, ${left} left`] : [tone, `${words}, ${left} left`];
}

class Row {
  constructor() {
    const figure = (name) => {
      const value = element("dd");
      this.figures.append(element("div", {}, element("dt", {}, name), value));
      return value;
    };
    this.turn = element("span", { class: "turn" });
    this.name = element("span");
    this.state = element("p", { class: "state" });
    this.figures = element("dl", { class: "figures" });
    this.served = figure("Answered");
    this.errors = figure("Failed");
    this.first = figure("First token p50 · p95");
    this.speed = figure("Tokens/s");
    this.kinds = element("p", { class: "kinds" });
    this.passed = element("p", { class: "passed" });
    this.svg = element("svg", {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img",
    });
    this.begin = element("span");
    this.peak = element("span");
    this.changes = element("ol");
    this.heading = element("summary");
    this.details = element("details", {}, this.heading, this.changes);
    this.item = element("li", { class: "candidate" },
      element("div", {}, element("h3", {}, this.turn, this.name), this.state),
      element("div", {}, this.figures, this.kinds, this.passed),
      element("div", { class: "picture" }, this.svg,
        element("div", { class: "axis", "aria-hidden": "true" },
          this.begin, this.peak, element("span", {}, "now")),
        this.details));
  }

  show(candidate, changes, turn, uptime) {
    const [tone, words] = standing(candidate);
    this.item.className = `candidate ${tone}`;
    write(this.turn, `${turn}`);
    write(this.name, candidate.name);
    write(this.state, words);
    write(this.served, count(candidate.served));
    const kinds = Object.entries(candidate.failed).sort((a, b) => b[1] - a[1]);
    const called = candidate.served > 0 || kinds.length > 0;
    write(this.errors, called ? percent(candidate.error_rate) : "–");
    const [p50, p95] = [candidate.first_token_p50_ms, candidate.first_token_p95_ms];
    write(this.first, p50 === null ? "–" : `${milliseconds(p50)} · ${milliseconds(p95)}`);
    const speed = candidate.tokens_per_second;
    write(this.speed, speed === null ? "–" : count(Math.round(speed)));
    write(this.kinds, kinds.map(([kind, times]) => `${count(times)} ${plain(kind)}`).join(" · "));
    const passed = candidate.passed_over;
    write(this.passed, passed === 0 ? "" : `${count(passed)} passed over without being asked`);
    this.draw(candidate, changes, uptime);
    this.list(changes);
  }

  draw(candidate, changes, uptime) {
    const span = SPANS.find((it) => it * 60 >= uptime) ?? SPANS.at(-1);
    // A gateway that has just started knows of fewer minutes than there are places for.
    const minutes = [...Array(span).fill([0, 0]), ...candidate.minutes].slice(-span);
    const most = Math.max(...minutes.map(([served, failed]) => served + failed));
    write(this.begin, `${span} min ago`);
    write(this.peak, most > 0 ? `at most ${count(most)} a minute` : "");
    const parts = [...bars(minutes, Math.max(most, 4)), element("line", {
      class: "base", x1: 0, x2: WIDTH, y1: BARS, y2: BARS, "vector-effect": "non-scaling-stroke",
    })];
    if (candidate.circuit) parts.push(...strip(candidate.circuit.state, changes, span * 60, uptime));
    const [answered, failed] = minutes.reduce(([a, b], [c, d]) => [a + c, b + d], [0, 0]);
    this.svg.setAttribute("aria-label", `The last ${span} minutes: ${count(answered)} answered, `
      + `${count(failed)} failed, ${changes.length} changes of the circuit.`);
    this.svg.replaceChildren(...parts);
  }

  list(changes) {
    this.details.hidden = changes.length === 0;
    const times = changes.length === 1 ? "1 change" : `${changes.length} changes`;
    write(this.heading, `${times} of the circuit`);
    if (!this.details.open) return;
    this.changes.replaceChildren(...changes.map((it) => {
      const wait = it.wait_ms === null ? "" : ` for ${duration(it.wait_ms / 1000)}`;
      return element("li", {},
        `${duration(it.seconds_ago)} ago: ${plain(it.from)} → ${plain(it.to)}${wait} (${it.cause})`);
    }));
  }
}

function* bars(minutes, most) {
  const width = WIDTH / minutes.length;
  for (const [index, [served, failed]] of minutes.entries()) {
    let y = BARS;
    for (const [kind, times] of [["served", served], ["failed", failed]]) {
      if (times === 0) continue;
      // Even one failure among thousands is to be seen.
      const height = Math.max((times / most) * (BARS - 2), 1.5);
      y -= height;
      yield element("rect", {
        class: kind, x: index * width + 0.5, y, width: width - 1, height,
      }, element("title", {}, `${minutes.length - 1 - index} min ago: ${served} answered, ${failed} failed`));
    }
  }
}

// The circuit's states, worked out backwards from the present one. The latest change comes first.
function* strip(state, changes, span, uptime) {
  const known = Math.min(uptime, span);
  const at = (ago) => WIDTH * (1 - Math.min(ago, span) / span);
  const piece = (state, from, to, words) => element("rect", {
    class: state, x: at(from), width: Math.max(at(to) - at(from), 1),
    y: STRIP, height: HEIGHT - STRIP - 1, "vector-effect": "non-scaling-stroke",
  }, element("title", {}, words));
  if (known < span) yield piece("before", span, known, "not yet started");
  const pieces = [];
  let until = 0;
  for (const it of changes) {
    const lasted = duration(it.seconds_ago - until);
    pieces.push(piece(state, it.seconds_ago, until, `${plain(state)} for ${lasted}: ${it.cause}`));
    [until, state] = [it.seconds_ago, it.from];
  }
  pieces.push(piece(state, Math.max(known, until), until, plain(state)));
  // What was short is drawn last, and so is not hidden by what was long.
  yield* pieces.sort((a, b) => b.getAttribute("width") - a.getAttribute("width"));
}

function showModels({ models, changes, uptime_seconds: uptime }) {
  const latest = changes.toReversed();
  const sections = models.map((model) => {
    const section = keyed(model.name, () => element("section", {},
      element("h2", {}, title(model.name)),
      element("p", { class: "quiet" }, "In an order made by hand."),
      element("ol", { class: "candidates" })));
    const items = model.candidates.map((candidate, index) => {
      const row = keyed(`${model.name}\n${candidate.name}`, () => new Row());
      const own = latest.filter((it) => it.candidate === candidate.circuit?.name);
      row.show(candidate, own, index + 1, uptime);
      return row.item;
    });
    section.querySelector("p").hidden = !model.reordered;
    replace(section.querySelector("ol"), items);
    return section;
  });
  replace(byId("models"), sections);
}

function keyed(key, make) {
  if (!rows.has(key)) rows.set(key, make());
  return rows.get(key);
}

function replace(parent, children) {
  const same = parent.children.length === children.length
    && children.every((child, index) => parent.children[index] === child);
  if (!same) parent.replaceChildren(...children);
}

function showSummary(models) {
  const unwell = new Map();
  let all = 0, worst = "well";
  for (const model of models) {
    const tones = model.candidates.map((it) => standing(it)[0]);
    all += tones.length;
    model.candidates.forEach((it, index) => {
      if (tones[index] === "bad" || tones[index] === "warn") unwell.set(it.name, tones[index]);
    });
    if (!tones.includes("well")) worst = "bad";
  }
  const names = [...unwell.keys()];
  let words = all === 0 ? "No models are configured." : "All candidates are taking calls.";
  if (names.length > 0) {
    if (worst === "well") worst = "warn";
    const some = names.length > 3 ? `${names.length} candidates` : names.join(", ");
    words = `Not in full use: ${some}.`;
  }
  if (worst === "bad") words = `A model has no candidate that is well. ${words}`;
  byId("summary").className = worst;
  write(byId("summary"), words);
  document.title = names.length > 0 ? `(${names.length}) Backstop` : "Backstop";
}

function showFailures(failures) {
  byId("no-failures").hidden = failures.length > 0;
  byId("failure-list").hidden = failures.length === 0;
  const body = byId("failure-list").querySelector("tbody");
  body.replaceChildren(...failures.map((it) => {
    const cells = [duration(it.seconds_ago), it.candidate, title(it.model), it.reason];
    return element("tr", {}, ...cells.map((text) => element("td", {}, text)));
  }));
}

function show(status) {
  write(byId("in-flight"), count(status.in_flight));
  write(byId("uptime"), duration(status.uptime_seconds));
  write(byId("version"), status.version);
  byId("refused").hidden = status.reload_error === null;
  write(byId("refusal"), status.reload_error ?? "");
  byId("waiting").hidden = status.waiting.length === 0;
  write(byId("waiting"), `Changed in the config, and in effect with the next start: ${status.waiting.join(", ")}.`);
  showSummary(status.models);
  showModels(status);
  showFailures(status.failures);
}

// Not relative to the page's own address, which may hold a name and the admin key: browsers fetch
// from no address that does.
const STATUS = new URL("status.json", location.origin + location.pathname);

async function refresh() {
  try {
    const response = await fetch(STATUS, { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!response.ok) throw new Error(`status ${response.status}`);
    show(await response.json());
    last = Date.now();
    byId("live").className = "";
    write(byId("live"), "live");
  } catch (error) {
    byId("live").className = "stale";
    const since = last === 0 ? "" : `, last seen ${duration((Date.now() - last) / 1000)} ago`;
    write(byId("live"), `out of reach${since}`);
    console.info(`Backstop can't be reached: ${error.message}`);
  }
}

// A page that nobody looks at asks for nothing.
async function run() {
  for (;;) {
    if (!document.hidden) await refresh();
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, EVERY_MS);
      if (document.hidden) {
        clearTimeout(timer);
        document.addEventListener("visibilitychange", resolve, { once: true });
      }
    });
  }
}

run();
