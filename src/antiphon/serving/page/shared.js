// What all panes share: elements, requests to the service, the key, and work that takes its time.

const KEY = "antiphon-key";

/** The element of an id; a name that the page lacks is a mistake of ours. */
export function $(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`The page has no #${id}.`);
  return found;
}

/** An element with attributes and children, which are texts or elements. */
export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** Something went wrong that a sentence tells. */
export class Failure extends Error {}

/** What the service answers to a request, as JSON. Asks for the key where one is needed. */
export async function ask(path, body, signal) {
  const answer = await sent(path, body, signal);
  const found = parsed(await answer.text());
  if (found.error && !found.predictions) throw new Failure(found.error);
  return found;
}

/** Predictions as they come: `[index, prediction]`. */
export async function* predictions(body, signal) {
  const answer = await sent("v1/predict", { ...body, stream: true }, signal);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    text += value ?? "";
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const kind = /^event: (.*)$/m.exec(block)?.[1];
      const data = parsed(/^data: (.*)$/m.exec(block)?.[1] ?? "{}");
      if (kind === "done") return;
      if (kind === "error") throw new Failure(data.error);
      yield [data.index, data];
    }
    if (done) throw new Failure("The service has ended the connection before it had answered. Try again.");
  }
}

async function sent(path, body, signal) {
  for (;;) {
    const key = sessionStorage.getItem(KEY);
    const headers = key ? { Authorization: `Bearer ${key}` } : {};
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let answer;
    try {
      answer = await fetch(path, { method: body === undefined ? "GET" : "POST", headers, body: body && JSON.stringify(body), signal });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Failure("The service cannot be reached. Is it still running?");
    }
    if (answer.ok) return answer;
    const said = parsed(await answer.text()).error ?? `The service answered with status ${answer.status}.`;
    if (answer.status !== 403 || !(await askForKey(key ? said : null))) throw new Failure(said);
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return { error: "The service answered with something that is no JSON." };
  }
}

/** The key that requests have, if any. */
export const currentKey = () => sessionStorage.getItem(KEY);

let asking = null;

/** Show the dialog for the key; whether there is a new one. Requests that need it at the same time share one dialog. */
export function askForKey(wrong = null) {
  asking ??= new Promise((resolve) => {
    const dialog = $("key-dialog");
    $("key-why").textContent = wrong ?? "This service asks for a key. It is kept until you close this tab.";
    $("key-input").value = "";
    const close = (is_new) => {
      asking = null;
      dialog.close();
      resolve(is_new);
    };
    $("key-form").onsubmit = (event) => {
      event.preventDefault();
      sessionStorage.setItem(KEY, $("key-input").value.trim());
      $("key-open").hidden = false;
      close(true);
    };
    $("key-cancel").onclick = () => close(false);
    dialog.oncancel = (event) => {
      event.preventDefault();
      close(false);
    };
    dialog.showModal();
  });
  return asking;
}

/** The line below a pane that says what goes on, with its progress and its button to cancel. One thing goes on at a time. */
export class Work {
  constructor(pane) {
    this.status = $(`${pane}-status`);
    this.progress = $(`${pane}-progress`);
    this.cancel = $(`${pane}-cancel`);
    this.abort = null;
    this.cancel.onclick = () => {
      this.abort?.abort();
      this.say("Cancelled.");
    };
  }

  /** Do something that can be cancelled; what went wrong is told. Whatever went on before is given up. Whether it was done. */
  async run(what, action) {
    this.abort?.abort();
    const mine = (this.abort = new AbortController());
    this.say(what);
    this.step(null);
    this.cancel.hidden = false;
    try {
      await action(mine.signal);
      return !mine.signal.aborted;
    } catch (error) {
      if (mine === this.abort && error.name !== "AbortError") this.fail(error);
      return false;
    } finally {
      if (mine === this.abort) {
        this.abort = null;
        this.cancel.hidden = this.progress.hidden = true;
      }
    }
  }

  /** How much is done; null where nobody knows. */
  step(done, of = 1) {
    this.progress.hidden = false;
    if (done === null) this.progress.removeAttribute("value");
    else {
      this.progress.max = of;
      this.progress.value = done;
    }
  }

  say(text) {
    this.status.classList.remove("wrong");
    this.status.textContent = text;
  }

  fail(error) {
    this.status.classList.add("wrong");
    this.status.textContent = error instanceof Failure ? error.message : `Something went wrong in this page: ${error.message}`;
    if (!(error instanceof Failure)) console.error(error);
  }
}

/** Fill a list of models to choose from; `name` says how one is called. */
export function choose(select, models, name) {
  select.replaceChildren(...models.map((model) => make("option", { value: model.id }, name(model))));
  select.disabled = models.length < 2;
}

/** Copy a text, and say so on the button for a moment. */
export async function copy(button, text) {
  await navigator.clipboard.writeText(text);
  const label = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = label), 1500);
}

/** Let the user save a text as a file. */
export function download(name, text, type) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** A count with its noun. */
export const counted = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

/** The beginning of a text, for a sentence about it. */
export const shortened = (text) => (text.length > 60 ? `${text.slice(0, 57)} …` : text);

/** Fields for the columns that a model needs beside its text; a function that says what is in them. */
export function moreFields(place, columns) {
  const inputs = columns.map((name) => make("input", { type: "text", id: `${place.id}-${name}` }));
  place.replaceChildren(...columns.flatMap((name, number) => [make("label", { for: inputs[number].id }, name), inputs[number]]));
  place.hidden = !columns.length;
  return () => Object.fromEntries(columns.map((name, number) => [name, inputs[number].value]));
}
