// A fan chart as SVG: the past as a line, the forecast as another, and around it the intervals, one on the other, so that what is likelier is darker.

const SPACE = "http://www.w3.org/2000/svg";
const HEIGHT = 320, LEFT = 64, RIGHT = 14, TOP = 14, BOTTOM = 34;

function draw(tag, attributes, ...children) {
  const node = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const number = new Intl.NumberFormat("en", { maximumSignificantDigits: 5 });
export const shown = (value) => (Number.isFinite(value) ? number.format(value) : "–");

/** Round values between two others, for the lines of a grid. */
export function ticks(low, high, wanted = 5) {
  const rough = (high - low || Math.abs(high) || 1) / wanted, size = 10 ** Math.floor(Math.log10(rough));
  const step = size * [1, 2, 2.5, 5, 10].find((one) => one * size >= rough);
  const found = [];
  for (let place = Math.ceil(low / step); place * step <= high + step * 1e-9; place++) found.push(place * step);
  return found;
}

/** Intervals of a forecast's columns, the widest first: `{level, low, high}`. */
export function intervalsOf(target, columns) {
  const lows = columns.map((name) => name.startsWith(`${target}-lo-`) && name.slice(target.length + 4)).filter(Boolean);
  return lows.filter((level) => columns.includes(`${target}-hi-${level}`)).map((level) => ({ level, low: `${target}-lo-${level}`, high: `${target}-hi-${level}` })).sort((one, other) => other.level - one.level);
}

/**
 * Draw into an <svg> what was (`past`: `{time, value}`) and what will be (`future`: rows); `told(step)` hears of the step at the pointer or
 * the arrow keys.
 */
export function fan(svg, { past, future, target, time, intervals, told }) {
  const width = Math.max(280, svg.parentElement.clientWidth), steps = past.length + future.length;
  const values = [...past.map(({ value }) => value), ...future.flatMap((row) => [row[target], ...intervals.flatMap(({ low, high }) => [row[low], row[high]])])].filter(Number.isFinite);
  const [lowest, highest] = [Math.min(...values), Math.max(...values)], room = (highest - lowest || Math.abs(highest) || 1) * 0.05;
  const x = (step) => LEFT + ((width - LEFT - RIGHT) * step) / Math.max(1, steps - 1);
  const y = (value) => TOP + ((HEIGHT - TOP - BOTTOM) * (highest + room - value)) / (highest - lowest + 2 * room);
  const point = (step, value) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`;
  const grid = ticks(lowest - room, highest + room).flatMap((value) => [
    draw("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }),
    draw("text", { class: "label", x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, shown(value)),
  ]);
  const times = [...past.map((one) => one.time), ...future.map((row) => String(row[time]))];
  const every = Math.ceil(steps / Math.max(2, Math.floor((width - LEFT) / 110)));
  const dates = times.flatMap((label, step) => (step % every || x(step) > width - 34 ? [] : [draw("text", { class: "label", x: x(step), y: HEIGHT - 10, "text-anchor": step ? "middle" : "start" }, label)]));
  const join = past.length && Number.isFinite(past.at(-1).value) ? [[past.length - 1, past.at(-1).value]] : [];
  const bands = intervals.map(({ low, high }) => {
    const upper = [...join, ...future.map((row, step) => [past.length + step, row[high]])];
    const lower = [...join, ...future.map((row, step) => [past.length + step, row[low]])].reverse();
    return draw("polygon", { class: "band", points: [...upper, ...lower].map((one) => point(...one)).join(" ") });
  });
  const lines = [[]]; // the past has gaps where values are missing
  past.forEach(({ value }, step) => (Number.isFinite(value) ? lines.at(-1).push(point(step, value)) : lines.push([])));
  const cursor = draw("g", { class: "cursor", visibility: "hidden" }, draw("line", { y1: TOP, y2: HEIGHT - BOTTOM }), draw("circle", { r: 4.5 }));
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  svg.setAttribute("height", HEIGHT);
  svg.replaceChildren(
    ...grid, ...dates,
    draw("rect", { class: "ahead", x: x(Math.max(0, past.length - 1)), y: TOP, width: width - RIGHT - x(Math.max(0, past.length - 1)), height: HEIGHT - TOP - BOTTOM }),
    ...bands,
    ...lines.map((points) => draw("polyline", { class: "past", points: points.join(" ") })),
    draw("polyline", { class: "future", points: [...join, ...future.map((row, step) => [past.length + step, row[target]])].map((one) => point(...one)).join(" ") }),
    cursor,
  );

  let current = -1;
  const say = (step) => {
    current = Math.max(0, Math.min(future.length - 1, step));
    const row = future[current], place = x(past.length + current);
    cursor.setAttribute("visibility", "visible");
    cursor.firstChild.setAttribute("x1", place);
    cursor.firstChild.setAttribute("x2", place);
    cursor.lastChild.setAttribute("cx", place);
    cursor.lastChild.setAttribute("cy", y(row[target]));
    const ranges = intervals.slice(0, 2).map(({ level, low, high }) => `${level} %: ${shown(row[low])} to ${shown(row[high])}`);
    const text = [`${row[time]}: ${shown(row[target])}`, ...ranges].join("; ");
    svg.setAttribute("aria-valuenow", current + 1);
    svg.setAttribute("aria-valuetext", text);
    told(text);
  };
  svg.setAttribute("aria-valuemin", 1);
  svg.setAttribute("aria-valuemax", future.length);
  svg.onpointermove = ({ clientX }) => {
    const box = svg.getBoundingClientRect();
    const step = ((clientX - box.left) * (width / box.width) - LEFT) / ((width - LEFT - RIGHT) / Math.max(1, steps - 1));
    say(Math.round(step) - past.length);
  };
  svg.onkeydown = (event) => {
    const step = { ArrowRight: current + 1, ArrowUp: current + 1, ArrowLeft: current - 1, ArrowDown: current - 1, Home: 0, End: future.length - 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    say(step);
  };
  say(0);
}
