// The page begins here: which models there are decides which panes are shown.

import { $, ask, askForKey, currentKey, Failure, make } from "./shared.js";

const PANES = {
  translator: "Translate",
  summarizer: "Summarize",
  recorder: "Transcribe",
  forecaster: "Forecast",
};

function paneOf(model) {
  if (model.reads === "table") return "forecaster";
  if (model.reads === "sound") return "recorder";
  return model.task === "summarization" ? "summarizer" : "translator";
}

function showTabs(names) {
  const tabs = names.map((name) =>
    make("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": name }, PANES[name]),
  );
  const show = (chosen, focus = false) => {
    names.forEach((name, number) => {
      const is_chosen = name === chosen;
      tabs[number].setAttribute("aria-selected", String(is_chosen));
      tabs[number].tabIndex = is_chosen ? 0 : -1;
      $(name).hidden = !is_chosen;
      if (is_chosen && focus) tabs[number].focus();
    });
    history.replaceState(null, "", `${location.pathname}#${chosen}`);
    document.title = `${PANES[chosen]} – Antiphon`;
  };
  tabs.forEach((tab, number) => {
    tab.onclick = () => show(names[number]);
    tab.onkeydown = (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const next = event.key === "Home" ? 0 : event.key === "End" ? names.length - 1 : (number + step + names.length) % names.length;
      if (Number.isNaN(next)) return;
      event.preventDefault();
      show(names[next], true);
    };
  });
  $("tabs").replaceChildren(...tabs);
  $("tabs").hidden = names.length < 2;
  const wanted = location.hash.slice(1);
  show(names.includes(wanted) ? wanted : names[0]);
}

async function begin() {
  $("key-open").onclick = async () => (await askForKey()) && location.reload();
  $("key-open").hidden = !currentKey();
  const { data, limits } = await ask("v1/models");
  const by_pane = Map.groupBy ? Map.groupBy(data, paneOf) : new Map(Object.keys(PANES).map((name) => [name, data.filter((one) => paneOf(one) === name)]));
  const names = Object.keys(PANES).filter((name) => by_pane.get(name)?.length);
  if (!names.length) throw new Failure("The models that are served here have no place on this page; programs ask /v1/predict.");
  for (const name of names) (await import(`./${name}.js`)).start(by_pane.get(name), limits);
  showTabs(names);
  $("notice").hidden = true;
}

begin().catch((error) => {
  $("notice").classList.add("wrong");
  $("notice").textContent = error instanceof Failure ? error.message : `The page cannot begin: ${error.message}`;
});
