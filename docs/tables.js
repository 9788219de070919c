// A table that is wider than its place is shown row by row: the first cell as a heading, each other one behind the name of its column.
// Names come from the header, the page's own text, set as attributes that style.css shows. Without scripts such a table scrolls sideways.
function label(table) {
  const names = [...table.querySelectorAll("thead th")].map((cell) => cell.textContent.trim());
  for (const row of table.querySelectorAll("tbody tr")) {
    [...row.children].forEach((cell, place) => cell.setAttribute("data-column", names[place] || ""));
  }
}

function fit(table) {
  table.classList.remove("stacked");
  if (table.className === "") table.removeAttribute("class"); // an empty one, too, would keep the theme from drawing the table
  const frames = [table.closest(".md-typeset__scrollwrap") || table, table]; // what scrolls sideways: a frame of the theme, or the table itself
  if (frames.some((frame) => frame.scrollWidth > frame.clientWidth + 1)) table.classList.add("stacked");
}

const tables = [...document.querySelectorAll(".md-typeset table:not(.highlighttable)")];
tables.forEach(label);
let asked = 0;
function fitAll() {
  cancelAnimationFrame(asked);
  asked = requestAnimationFrame(() => tables.forEach(fit));
}
addEventListener("resize", fitAll);
addEventListener("load", fitAll);
fitAll();
