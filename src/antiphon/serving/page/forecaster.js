// The forecaster: a table in, a fan chart and a table out, for one series or for many.

import { $, ask, choose, counted, download, Failure, make, Work } from "./shared.js";
import { fan, intervalsOf, shown } from "./chart.js";
import { parsed, written } from "./csv.js";

const LIKELY = { time: /^(ds|date|time|datetime|timestamp|day|month|week|year|period)$/iu, id: /^(unique_id|id|series|name|item)$/iu, value: /^(y|value|target|sales|amount|count)$/iu };

const asNumber = (cell) => (cell === "" || /^(nan|null|na)$/iu.test(cell) ? null : Number(cell));

const listed = (texts) => new Intl.ListFormat("en").format(texts);

export function start(models, limits) {
  const work = new Work("forecaster");
  const area = $("forecaster-table"), picked = { time: $("forecaster-time"), value: $("forecaster-value"), id: $("forecaster-id") };
  let table = null, forecasts = []; // `{name, past, rows}` of each series
  choose($("forecaster-model"), models, (model) => `${model.id} (${counted(model.about.horizon, "step")} ahead)`);
  const model = () => models.find((one) => one.id === $("forecaster-model").value);
  const about = () => model().about;
  const targets = () => about().target ?? ["y"];

  function changed() {
    const { format, id, time } = about();
    area.placeholder = format === "wide" ? `${time},north,south\n2024-01,112,87\n2024-02,118,91\n…` : `${[...(id ? [id] : []), time, ...targets()].join(",")}\n${id ? "north," : ""}2024-01,112\n${id ? "north," : ""}2024-02,118\n…`;
    look();
  }

  /** Read the table, and find out which column is what. */
  function look() {
    table = null;
    $("forecaster-columns").hidden = true;
    if (!area.value.trim()) return $("forecaster-size").replaceChildren();
    try {
      table = parsed(area.value);
    } catch (error) {
      return ($("forecaster-size").textContent = error.message);
    }
    $("forecaster-size").textContent = `${counted(table.rows.length, "row")}, ${counted(table.columns.length, "column")}`;
    const is_long = about().format !== "wide";
    const usual = { time: about().time, value: targets()[0], id: about().id };
    const taken = new Set();
    for (const role of ["time", "id", "value"]) {
      const found = table.columns.find((name) => name === usual[role]) ?? table.columns.find((name) => LIKELY[role].test(name) && !taken.has(name));
      const rest = role === "value" ? table.columns.find((name) => !taken.has(name) && table.rows.every((row) => !Number.isNaN(asNumber(row[name])))) : undefined;
      const options = role === "id" ? [make("option", { value: "" }, "none: one series")] : [];
      picked[role].replaceChildren(...options, ...table.columns.map((name) => make("option", { value: name }, name)));
      picked[role].value = found ?? rest ?? (role === "id" ? "" : table.columns.find((name) => !taken.has(name)) ?? table.columns[0]);
      taken.add(picked[role].value);
      picked[role].parentElement.hidden = (role !== "time" && !is_long) || (role === "value" && targets().length > 1) || (role === "id" && !about().id);
    }
    $("forecaster-columns").hidden = false;
  }

  /** The rows as the model calls them, by series. */
  function series() {
    const { format, id, time, known = [], past = [], static: fixed = [] } = about(), columns = new Map([[time, picked.time.value]]);
    const numbers = format === "wide" ? table.columns.filter((name) => name !== picked.time.value) : [...targets(), ...past, ...known];
    numbers.forEach((name) => columns.set(name, format !== "wide" && targets().length === 1 && name === targets()[0] ? picked.value.value : name));
    fixed.forEach((name) => columns.set(name, name));
    const missing = [...columns.values()].find((name) => !table.columns.includes(name));
    if (missing !== undefined) throw new Failure(`The model needs a column ${missing}, which the table lacks.`);
    const found = new Map();
    table.rows.forEach((row, number) => {
      const record = {};
      for (const [name, column] of columns) {
        const value = numbers.includes(name) ? asNumber(row[column]) : row[column];
        if (Number.isNaN(value)) throw new Failure(`Row ${number + 1}: ${column} must be a number, but is “${row[column]}”.`);
        record[name] = fixed.includes(name) && value !== "" && !Number.isNaN(Number(value)) ? Number(value) : value;
      }
      if (id && format !== "wide") record[id] = picked.id.value ? row[picked.id.value] : "series";
      const name = id && format !== "wide" ? record[id] : "";
      if (!found.has(name)) found.set(name, []);
      found.get(name).push(record);
    });
    return found;
  }

  const forecast = () =>
    work.run("Forecasting …", async (signal) => {
      if (!table) throw new Failure(area.value.trim() ? $("forecaster-size").textContent : "There is no table yet. Paste one, or open a file.");
      const all = [...series()], cut = all.filter(([, rows]) => rows.length > limits.max_records);
      const groups = [];
      for (const [name, rows] of all.map(([name, rows]) => [name, rows.slice(-limits.max_records)])) {
        const group = groups.at(-1);
        if (group && group.rows.length + rows.length <= limits.max_records) {
          group.names.push(name);
          group.rows.push(...rows);
        } else groups.push({ names: [name], rows: [...rows] });
      }
      const found = [], wrong = [];
      let done = 0;
      for (const { names, rows } of groups) {
        const body = { model: model().id, inputs: rows };
        const { predictions } = await ask("v1/predict", body, signal);
        predictions.forEach((one, place) => (one.error ? wrong.push(one.error) : found.push(asSeries(one.prediction, all, names[place]))));
        work.step((done += names.length), all.length);
      }
      show(found.flat());
      const said = [`${counted(forecasts.length, "series", "series")} forecast ${counted(about().horizon, "step")} ahead.`];
      if (cut.length) said.push(`Of ${counted(cut.length, "series", "series")} the last ${limits.max_records} rows were read, the most of a request.`);
      if (wrong.length) work.fail(new Failure(`${counted(wrong.length, "series", "series")} could not be forecast: ${wrong[0]}`));
      else work.say(said.join(" "));
    });

  /** What is drawn of a prediction: one series for each target. */
  function asSeries(rows, all, name) {
    const { format, id, time } = about(), wide = format === "wide";
    const own = wide ? rows[0].unique_id : name;
    const past = (wide ? all[0][1] : all.find(([one]) => one === name)[1]).filter((row) => targets().some((target) => (wide ? row[own] : row[target]) !== null));
    return targets().map((target) => ({
      name: [own ?? "", ...(targets().length > 1 ? [target] : [])].filter((one) => one !== "" && one !== "series").join(" · ") || target,
      target,
      rows,
      columns: Object.keys(rows[0]).filter((column) => column === time || column === target || column.startsWith(`${target}-`)),
      past: past.map((row) => ({ time: String(row[time]), value: row[wide ? own : target] })),
      id: wide ? "unique_id" : id,
    }));
  }

  function show(found) {
    forecasts = found;
    $("forecaster-result").hidden = !found.length;
    $("forecaster-series").replaceChildren(...found.map(({ name }, number) => make("option", { value: number }, name)));
    $("forecaster-series").parentElement.hidden = found.length < 2;
    if (found.length) picture();
  }

  function picture() {
    const { name, target, rows, columns, past, id } = forecasts[$("forecaster-series").value || 0];
    const { time, season, horizon } = about();
    const intervals = intervalsOf(target, columns);
    const length = Math.max(3 * horizon, 2 * (season ?? 1), 24);
    $("forecaster-chart").setAttribute("aria-label", `Forecast of ${name}, step`);
    fan($("forecaster-chart"), { past: past.slice(-length), future: rows, target, time, intervals, told: (text) => ($("forecaster-point").textContent = text) });
    $("forecaster-legend").replaceChildren(
      make("span", { class: "key past" }, "what was"), make("span", { class: "key future" }, "forecast"),
      ...(intervals.length ? [make("span", { class: "key band" }, `where it is in ${listed(intervals.map(({ level }) => level))} of 100 cases`)] : []),
    );
    $("forecaster-caption").textContent = `Forecast of ${name}`;
    const heads = columns.filter((column) => column !== id);
    $("forecaster-heads").replaceChildren(...heads.map((column) => make("th", { scope: "col" }, column)));
    $("forecaster-rows").replaceChildren(
      ...rows.map((row) => make("tr", {}, ...heads.map((column) => (column === time ? make("th", { scope: "row" }, String(row[column])) : make("td", {}, shown(row[column])))))),
    );
  }

  area.addEventListener("input", look);
  area.addEventListener("keydown", (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && forecast());
  $("forecaster-go").onclick = forecast;
  $("forecaster-model").onchange = changed;
  $("forecaster-series").onchange = picture;
  $("forecaster-file").onchange = async ({ target }) => {
    if (!target.files.length) return;
    area.value = await target.files[0].text();
    target.value = "";
    look();
    forecast();
  };
  $("forecaster-csv").onclick = () => {
    const rows = [...new Set(forecasts.map((one) => one.rows))].flat();
    download("forecast.csv", written(Object.keys(rows[0]), rows), "text/csv");
  };
  new ResizeObserver(() => $("forecaster-result").hidden || !forecasts.length || picture()).observe($("forecaster-drawing"));
  changed();
}
