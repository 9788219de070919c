// Speech while it is spoken: blocks of samples go out over a WebSocket, the text so far comes back.

import { askForKey, currentKey, Failure } from "./shared.js";
import { asIntegers } from "./sound.js";

export class Live {
  /** Begin to tell a model what is said; `heard(text)` gets the text so far. Raises Failure when the service does not want to listen. */
  static async open(model, rate, heard, signal) {
    for (;;) {
      const found = new Live(model, rate, heard, signal);
      const wrong = await found.ready;
      if (!wrong) return found;
      const needs_key = wrong.status === 403 && /key/iu.test(wrong.message);
      if (!needs_key || !(await askForKey(currentKey() ? wrong.message : null))) throw new Failure(wrong.message);
    }
  }

  constructor(model, rate, heard, signal) {
    const address = new URL("v1/audio/live", document.baseURI);
    address.protocol = address.protocol.replace("http", "ws");
    this.socket = new WebSocket(address);
    signal.addEventListener("abort", () => this.socket.close());
    const key = currentKey();
    this.socket.onopen = () => this.#tell({ type: "start", model, sample_rate: rate, encoding: "pcm_s16le", ...(key ? { key } : {}) });
    this.ready = new Promise((begun) => {
      this.final = new Promise((resolve, reject) => {
        this.socket.onmessage = ({ data }) => {
          const said = JSON.parse(data);
          if (said.type === "ready") begun(null);
          else if (said.type === "partial") {
            begun(null);
            heard(said.text);
          } else if (said.type === "final") resolve(said);
          else if (said.type === "error") {
            begun(said);
            reject(new Failure(said.message));
          }
        };
        this.socket.onclose = () => {
          const message = "The service does not listen any more.";
          begun({ status: 0, message });
          reject(new Failure(message));
        };
      });
      this.final.catch(() => {}); // whoever waits for it hears of it
    });
  }

  #tell(message) {
    this.socket.send(JSON.stringify(message));
  }

  /** Say a block of samples. */
  say(samples) {
    if (this.socket.readyState === WebSocket.OPEN && samples.length) this.socket.send(asIntegers(samples));
  }

  /** All was said; the text with its words. */
  end() {
    if (this.socket.readyState === WebSocket.OPEN) this.#tell({ type: "end" });
    return this.final;
  }
}
