// Tables as texts: comma, semicolon or tab between values, quotes around those that hold one.

import { Failure } from "./shared.js";

/** The rows of a table as objects, with the names of its columns. Raises Failure for what is none. */
export function parsed(text) {
  const body = text.replace(/^\ufeff/u, "").trimEnd(), head = body.split(/\r?\n/u, 1)[0];
  const separator = [",", ";", "\t"].reduce((best, one) => (head.split(one).length > head.split(best).length ? one : best));
  const [columns, ...rows] = cellsOf(body, separator).filter((cells) => cells.length > 1 || cells[0] !== "");
  if (!columns || !rows.length) throw new Failure("A table needs a line with the names of its columns, and rows below it.");
  const names = columns.map((name) => name.trim());
  const twice = names.find((name, place) => names.indexOf(name) !== place);
  if (twice !== undefined) throw new Failure(`The table has two columns called ${twice || "nothing"}.`);
  rows.forEach((cells, number) => {
    if (cells.length !== names.length) throw new Failure(`Row ${number + 1} has ${cells.length} values, but the table has ${names.length} columns.`);
  });
  const decimals = separator === ";" ? (cell) => cell.replace(/^(-?\d+),(\d+)$/u, "$1.$2") : (cell) => cell;
  return { columns: names, rows: rows.map((cells) => Object.fromEntries(names.map((name, place) => [name, decimals(cells[place].trim())]))) };
}

function cellsOf(text, separator) {
  const rows = [[]];
  let cell = "", is_quoted = false;
  for (let place = 0; place < text.length; place++) {
    const letter = text[place];
    if (is_quoted) {
      if (letter !== '"') cell += letter;
      else if (text[place + 1] === '"') cell += text[++place];
      else is_quoted = false;
    } else if (letter === '"' && cell === "") is_quoted = true;
    else if (letter === separator || letter === "\n") {
      rows.at(-1).push(cell);
      cell = "";
      if (letter === "\n") rows.push([]);
    } else if (letter !== "\r") cell += letter;
  }
  if (is_quoted) throw new Failure("A quote in the table is not closed.");
  rows.at(-1).push(cell);
  return rows;
}

const quoted = (value) => (/[",\r\n]/u.test(value) ? `"${value.replaceAll('"', '""')}"` : value);

/** Rows as a table with commas. */
export function written(columns, rows) {
  return [columns, ...rows.map((row) => columns.map((name) => row[name] ?? ""))].map((cells) => cells.map((cell) => quoted(String(cell))).join(",")).join("\n") + "\n";
}
