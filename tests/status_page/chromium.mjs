// A headless Chromium, spoken to over a pipe: no port, and nothing to install beside it.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PATIENCE_MS = 30_000;

export class Chromium {
  #child;
  #profile = mkdtempSync(join(tmpdir(), "status-page-"));
  #next = 1;
  #waiting = new Map();
  #session;
  #listeners = [];

  static async start(program = process.env.CHROMIUM ?? "chromium") {
    const browser = new Chromium();
    const options = [
      "--headless=new", "--remote-debugging-pipe", `--user-data-dir=${browser.#profile}`,
      "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
      "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ];
    if (process.getuid?.() === 0) options.push("--no-sandbox");
    browser.#child = spawn(program, [...options, "about:blank"], {
      stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
    });
    browser.#child.on("error", (error) => browser.#fail(error));
    browser.#child.on("exit", () => browser.#fail(new Error("the browser is gone")));
    browser.#read(browser.#child.stdio[4]);
    const { targetInfos } = await browser.send("Target.getTargets");
    const { targetId } = targetInfos.find((it) => it.type === "page");
    const { sessionId } = await browser.send("Target.attachToTarget", { targetId, flatten: true });
    browser.#session = sessionId;
    return browser;
  }

  send(method, params = {}) {
    const id = this.#next++;
    const message = { id, method, params, sessionId: this.#session };
    this.#child.stdio[3].write(`${JSON.stringify(message)}\0`);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${method} takes too long`)), PATIENCE_MS);
      this.#waiting.set(id, { resolve, reject, timer });
    });
  }

  on(method, listener) {
    this.#listeners.push([method, listener]);
  }

  /** What `expression` is in the page. */
  async value(expression) {
    const options = { expression, returnByValue: true, awaitPromise: true };
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", options);
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? expression);
    return result.value;
  }

  /** Waits until `expression` is true in the page. */
  async until(expression) {
    const end = Date.now() + PATIENCE_MS;
    while (!(await this.value(expression))) {
      if (Date.now() > end) throw new Error(`never came true: ${expression}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async close() {
    const gone = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill();
    await gone;
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }

  #read(pipe) {
    let rest = "";
    pipe.setEncoding("utf8");
    pipe.on("data", (piece) => {
      const messages = (rest + piece).split("\0");
      rest = messages.pop();
      for (const message of messages) this.#take(JSON.parse(message));
    });
  }

  #take({ id, method, params, result, error }) {
    for (const [wanted, listener] of this.#listeners) {
      if (wanted === method) listener(params);
    }
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    if (error) waiting.reject(new Error(error.message));
    else waiting.resolve(result);
  }

  #fail(error) {
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(error);
    }
    this.#waiting.clear();
  }
}
