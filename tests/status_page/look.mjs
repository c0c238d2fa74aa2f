// Looks at a gateway's status page in headless Chromium: light, dark and narrow, well and unwell.
//
//     node tests/status_page/look.mjs [--out DIR] (PROGRAM | URL)
//
// A PROGRAM is the `backstop` to start, with the simulated providers that it brings along: the
// primary is then broken and mended, and the page has to show both without being loaded again. A
// URL is that of a page to look at as it is. Screenshots go to DIR, by default target/status_page.

import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Chromium } from "./chromium.mjs";
import { faint, nameless, overflow } from "./checks.mjs";

const VIEWS = [
  { name: "light", scheme: "light", width: 1280, height: 800 },
  { name: "dark", scheme: "dark", width: 1280, height: 800 },
  { name: "tablet", scheme: "light", width: 820, height: 1100 },
  { name: "narrow-light", scheme: "light", width: 360, height: 780 },
  { name: "narrow-dark", scheme: "dark", width: 360, height: 780 },
];

const wrong = [];

async function main() {
  const { out, subject } = options(process.argv.slice(2));
  mkdirSync(out, { recursive: true });
  const gateway = subject.startsWith("http") ? { url: subject } : await startGateway(subject);
  const browser = await Chromium.start();
  try {
    await open(browser, gateway.url);
    if (gateway.fault) await liveThroughAnOutage(browser, gateway, out);
    else await look(browser, out, "as-it-is");
  } finally {
    await browser.close();
    gateway.stop?.();
  }
  if (wrong.length > 0) {
    console.error(wrong.map((it) => `wrong: ${it}`).join("\n"));
    process.exit(1);
  }
  console.log(`nothing wrong; screenshots are in ${out}`);
}

function options(words) {
  const at = words.indexOf("--out");
  const out = at < 0 ? "target/status_page" : words.splice(at, 2)[1];
  if (words.length !== 1 || !out) {
    console.error("usage: node look.mjs [--out DIR] (PROGRAM | URL)");
    process.exit(2);
  }
  return { out, subject: words[0] };
}

async function open(browser, url) {
  for (const domain of ["Page", "Runtime", "Log", "Network", "Accessibility"]) {
    await browser.send(`${domain}.enable`);
  }
  browser.on("Network.requestWillBeSent", ({ request }) => {
    if (!request.url.startsWith(url) && !request.url.startsWith("data:")) {
      wrong.push(`the page asked for ${request.url}`);
    }
  });
  browser.on("Log.entryAdded", ({ entry }) => {
    if (entry.level === "error") wrong.push(`${entry.text} ${entry.url ?? ""}`);
  });
  browser.on("Runtime.exceptionThrown", ({ exceptionDetails: it }) => {
    wrong.push(it.exception?.description ?? it.text);
  });
  await browser.send("Page.navigate", { url });
  await browser.until(`document.getElementById("live")?.textContent === "live"`);
}

/** Takes a picture of the page in each view, and checks it there. */
async function look(browser, out, when) {
  for (const { name, scheme, width, height } of VIEWS) {
    await browser.send("Emulation.setEmulatedMedia", {
      features: [{ name: "prefers-color-scheme", value: scheme }],
    });
    const size = { width, height, deviceScaleFactor: 1, mobile: false };
    await browser.send("Emulation.setDeviceMetricsOverride", size);
    await browser.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");
    const where = `${when}, ${name}`;
    for (const what of await browser.value(overflow)) wrong.push(`${where}: too wide, ${what}`);
    for (const text of await browser.value(faint)) wrong.push(`${where}: too faint, ${text}`);
    for (const role of await nameless(browser)) wrong.push(`${where}: a nameless ${role}`);
    const { data } = await browser.send("Page.captureScreenshot", { captureBeyondViewport: true });
    writeFileSync(join(out, `${when}-${name}.png`), Buffer.from(data, "base64"));
  }
}

async function liveThroughAnOutage(browser, gateway, out) {
  const stateIs = (words) => browser.until(
    `document.querySelector(".candidate .state").textContent.startsWith("${words}")`);
  const loaded = await browser.value("performance.timeOrigin");
  await gateway.ask(20);
  await browser.until(`document.querySelector(".figures dd").textContent === "20"`);
  await look(browser, out, "well");
  await gateway.fault("overloaded");
  await gateway.ask(20);
  await stateIs("open");
  await look(browser, out, "outage");
  await gateway.fault(null);
  // The circuit is tried again by a call, and calls come all the time.
  const asking = setInterval(() => gateway.ask(1).catch(() => {}), 250);
  try {
    await stateIs("closed");
  } finally {
    clearInterval(asking);
  }
  await browser.value(`document.querySelector("details").open = true`);
  await browser.until(`document.querySelectorAll("details[open] li").length >= 3`);
  await look(browser, out, "mended");
  if ((await browser.value("performance.timeOrigin")) !== loaded) wrong.push("the page was loaded again");
}

async function startGateway(program) {
  const child = spawn(program, ["--listen", "127.0.0.1:0"], { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, RUST_LOG: "error" } });
  let said = "";
  await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", () => reject(new Error(`${program} is gone; it said: ${said}`)));
    child.stdout.on("data", (piece) => {
      said += piece;
      if (said.includes("listening on")) resolve();
    });
  });
  const url = `${said.match(/listening on (\S+)/)[1]}/`;
  const control = said.match(/PUT (\S+\/_\/fault)/)[1];
  const body = (stream) => JSON.stringify({
    model: "smart", stream, messages: [{ role: "user", content: "Hello!" }],
  });
  return {
    url,
    stop: () => child.kill(),
    async ask(times) {
      for (let i = 0; i < times; i++) {
        const headers = { "content-type": "application/json" };
        const options = { method: "POST", headers, body: body(i % 2 === 0) };
        await (await fetch(`${url}v1/chat/completions`, options)).text();
      }
    },
    async fault(fault) {
      const options = fault === null ? { method: "DELETE" } : { method: "PUT", body: fault };
      const response = await fetch(control, options);
      if (!response.ok) throw new Error(`the simulator answered ${response.status}`);
    },
  };
}

await main();
