"use strict";
const {states, layers} = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const ROW = 24, UNKNOWN = 255;
const COLUMNS = {unit: "unit", state: "state", time: "", share: "firing", mean: "mean", score: "score"};
const EXPLAINED = {
  share: "The share of values on which the derivative was not 0, in the last quarter of the windows",
  mean: "The mean output, in the last quarter of the windows",
  score: "The dormant score: the mean size of the output, by that of the layer",
};
const SEVERITY = [3, 0, 1, 2, 4]; // by state: the dead come first
const view = {};
let shown = [], palette = [];

// ---- data -----------------------------------------------------------------------------------------------------------

const bytes = (text) => Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
for (const layer of layers) {
  for (const name of ["state", "firing", "slope", "from_start"]) layer[name] = bytes(layer[name]);
  layer.came_back = new Map(layer.came_back.map(([unit, ...steps]) => [unit, steps]));
  const firsts = layer.windows.map(([first]) => first);
  const end = layer.windows.at(-1)[1] + 1;
  layer.edges = [...firsts, end].map((step) => (step - firsts[0]) / (end - firsts[0]));
}
const share = (code) => code === UNKNOWN ? NaN : code / 254;
const percent = (number) => {
  if (!Number.isFinite(number)) return "–";
  if (number === 0 || number === 1) return `${100 * number}%`;
  return `${Math.min(Math.max(100 * number, 0.1), 99.9).toFixed(1)}%`;
};
const whole = (number) => number.toLocaleString("en");
const brief = (number) => {
  if (number === null) return "–";
  const isTiny = number !== 0 && Math.abs(number) < 0.001;
  return (isTiny ? number.toExponential(1) : String(Number(number.toPrecision(3)))).replaceAll("-", "−");
};

const isSilent = (layer, unit) => states[layer.state[unit]] === "alive" && layer.share[unit] === 0;

function fate(layer, unit) {
  const state = states[layer.state[unit]], back = layer.came_back.get(unit);
  let told = state;
  if (["dead", "saturated", "linear"].includes(state)) {
    told += layer.from_start[unit] ? " from the start" : ` since step ${layer.since[unit]}`;
  }
  if (isSilent(layer, unit)) told += ", though silent of late: too briefly to be called dead, by how often it fired before";
  return back ? `${told}; silent from step ${back[0]}, came back at step ${back[1]}` : told;
}

function listed(text) { // "3, 7-9" as a test for units
  const parts = text.split(",").map((part) => part.trim()).filter(Boolean);
  const bounds = parts.map((part) => part.match(/^(\d+)(?:\s*[-–]\s*(\d+))?$/)).filter(Boolean);
  return parts.length === 0 ? () => true : (unit) => bounds.some(([, low, high]) => unit >= low && unit <= (high ?? low));
}

// ---- the view -------------------------------------------------------------------------------------------------------

const dead = (layer) => layer.state.filter((state) => state === 1).length / layer.units;
const worst = layers.reduce((found, layer, number) => dead(layer) > dead(layers[found]) ? number : found, 0);

function read() {
  const given = new URLSearchParams(location.hash.slice(1));
  const number = (name) => given.has(name) && /^\d+$/.test(given.get(name)) ? Number(given.get(name)) : null;
  const layer = number("layer");
  view.layer = layer !== null && layer < layers.length ? layer : worst;
  const unit = number("unit");
  view.unit = unit !== null && unit < layers[view.layer].units ? unit : null;
  view.state = given.get("state") ?? "all";
  view.find = given.get("find") ?? "";
  const sort = given.get("sort") ?? "unit";
  view.down = sort.startsWith("-");
  view.sort = Object.hasOwn(COLUMNS, sort.replace("-", "")) ? sort.replace("-", "") : "unit";
  view.colour = given.get("colour") ?? (layers[view.layer].flat ? "firing" : "slope");
}

function go(change) {
  Object.assign(view, change);
  const text = new URLSearchParams({layer: view.layer});
  if (view.state !== "all") text.set("state", view.state);
  if (view.find) text.set("find", view.find);
  if (view.sort !== "unit" || view.down) text.set("sort", (view.down ? "-" : "") + view.sort);
  if (view.colour !== (layers[view.layer].flat ? "firing" : "slope")) text.set("colour", view.colour);
  if (view.unit !== null) text.set("unit", view.unit);
  history.replaceState(null, "", `#${text}`);
  draw();
}

function choose() {
  const layer = layers[view.layer], among = listed(view.find);
  const inState = (unit) => view.state === "all" || states[layer.state[unit]] === view.state
    || (view.state === "came back" && layer.came_back.has(unit));
  const value = {
    unit: (unit) => unit,
    state: (unit) => SEVERITY[layer.state[unit]] * 1e12 + layer.since[unit],
    share: (unit) => layer.share[unit] ?? Infinity,
    mean: (unit) => layer.mean[unit] ?? Infinity,
    score: (unit) => layer.score[unit] ?? Infinity,
  }[view.sort];
  shown = Array.from({length: layer.units}, (_, unit) => unit).filter((unit) => inState(unit) && among(unit));
  const sign = view.down ? -1 : 1;
  if (value) shown.sort((a, b) => sign * (value(a) - value(b)) || a - b);
}

// ---- drawing --------------------------------------------------------------------------------------------------------

function element(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function mixColours() { // what the style sheet says, now that it is light or dark
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).match(/[\da-f]{2}/gi).map((pair) => parseInt(pair, 16));
  const [low, high] = [colour("--low"), colour("--high")];
  palette = Array.from({length: 255}, (_, code) => low.map((from, i) => Math.round(from + (high[i] - from) * code / 254)));
  palette[0] = colour("--dead");
  palette[UNKNOWN] = colour("--line");
}

function strip(layer, unit) {
  const codes = layer[view.colour];
  const stops = layer.windows.map((_, i) => {
    const [left, right] = [layer.edges[i], layer.edges[i + 1]].map((edge) => `${(100 * edge).toFixed(2)}%`);
    return `rgb(${palette[codes[i * layer.units + unit]]}) ${left} ${right}`;
  });
  return `linear-gradient(90deg, ${stops.join(",")})`;
}

function drawLayer() {
  const layer = layers[view.layer], section = $("layer");
  section.hidden = false;
  section.querySelector("h2").textContent = layer.name;
  section.querySelector(".note").textContent = `${layer.function}, ${whole(layer.units)} units. ${layer.note}`;
  const count = (state) => layer.state.filter((each) => each === states.indexOf(state)).length;
  const filters = [["all", layer.units], ...states.map((state) => [state, count(state)]), ["came back", layer.came_back.size]];
  $("states").replaceChildren(...filters.filter(([name, number]) => number || name === "all").map(([name, number]) => {
    const button = element("button", `${name} ${whole(number)}`, {"aria-pressed": name === view.state, "data-state": name});
    button.onclick = () => go({state: name, unit: null});
    return button;
  }));
  if (document.activeElement !== $("find")) $("find").value = view.find;
  $("colour").value = view.colour;
  $("head").replaceChildren(...Object.entries(COLUMNS).map(([key, title]) => {
    const cell = element("div");
    if (key === "time") {
      cell.className = "time";
      cell.append(element("span", `step ${layer.windows[0][0]}`), element("span", layer.windows.at(-1)[1]));
      return cell;
    }
    const button = element("button", title, {"data-sort": key, title: EXPLAINED[key] ?? ""});
    if (key === view.sort) cell.setAttribute("aria-sort", view.down ? "descending" : "ascending");
    button.onclick = () => go({sort: key, down: key === view.sort && !view.down});
    cell.append(button);
    return cell;
  }));
  for (const row of document.querySelectorAll("#layers tbody tr")) {
    row.classList.toggle("chosen", Number(row.dataset.layer) === view.layer);
  }
}

function drawList() {
  const layer = layers[view.layer], list = $("list");
  $("body").style.height = `min(32rem, 60vh, ${(Math.max(layer.units, 2) + 1) * ROW + 2}px)`;
  $("space").style.height = `${shown.length * ROW}px`;
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 5);
  const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 5);
  const rows = shown.slice(first, last).map((unit, place) => {
    const state = states[layer.state[unit]];
    const row = element("div", "", {
      class: "row", role: "option", "data-unit": unit, "aria-selected": unit === view.unit, title: fate(layer, unit),
    });
    row.style.top = `${(first + place) * ROW}px`;
    const bar = element("div", "", {class: "strip"});
    bar.style.background = strip(layer, unit);
    const word = isSilent(layer, unit) ? "silent" : state === "alive" && layer.came_back.has(unit) ? "came back" : state;
    const since = !["alive", "unseen"].includes(state) && !layer.from_start[unit] ? ` ${layer.since[unit]}` : "";
    row.append(
      element("span", unit), element("span", word + since, {class: `word ${state}`}), bar,
      element("span", percent(layer.share[unit] ?? NaN)), element("span", brief(layer.mean[unit])),
      element("span", brief(layer.score[unit])),
    );
    return row;
  });
  $("space").replaceChildren(...rows);
  if (shown.length === 0) $("space").append(element("p", "No unit is like this.", {id: "empty"}));
}

function drawMap() { // a pixel for each unit and window, then made as small as the place is
  const layer = layers[view.layer], map = $("map"), codes = layer[view.colour];
  const height = Math.max(1, Math.min(shown.length, 4096)), width = layer.windows.length;
  const all = new OffscreenCanvas(width, height), context = all.getContext("2d"), image = context.createImageData(width, height);
  for (let y = 0; y < height && shown.length; y++) {
    const unit = shown[Math.floor(y * shown.length / height)];
    for (let x = 0; x < width; x++) image.data.set([...palette[codes[x * layer.units + unit]], 255], 4 * (y * width + x));
  }
  context.putImageData(image, 0, 0);
  const density = window.devicePixelRatio;
  map.width = map.clientWidth * density;
  map.height = map.clientHeight * density;
  const target = map.getContext("2d");
  target.imageSmoothingEnabled = height > map.height;
  for (let x = 0; x < width && shown.length; x++) {
    const [left, right] = [layer.edges[x] * map.width, layer.edges[x + 1] * map.width];
    target.drawImage(all, x, 0, 1, height, left, 0, right - left, Math.min(map.height, shown.length * ROW * density));
  }
}

function drawUnit() {
  const layer = layers[view.layer], unit = view.unit, panel = $("unit");
  panel.hidden = unit === null;
  if (unit === null) return;
  const lines = Object.fromEntries(["firing", "slope"].map((name) => [
    name, layer.windows.map((_, i) => share(layer[name][i * layer.units + unit])),
  ]));
  lines.slope = lines.slope.map((root) => root * root);
  panel.querySelector("h3").textContent = `Unit ${unit} of layer ${layer.name}`;
  panel.querySelector("p").textContent = `${fate(layer, unit)}. In steps ${layer.recent[0]} to ${layer.recent[1]}: `
    + `fired on ${percent(layer.share[unit] ?? NaN)}, mean output ${brief(layer.mean[unit])}, `
    + `dormant score ${brief(layer.score[unit])}.`;
  drawChart(panel.querySelector("svg"), layer, lines);
  const row = (tag, cells) => {
    const made = element("tr");
    made.append(...cells.map((cell) => element(tag, cell)));
    return made;
  };
  panel.querySelector("thead").replaceChildren(row("th", ["steps", "samples", "firing", "largest slope"]));
  panel.querySelector("tbody").replaceChildren(...layer.windows.map(([first, last, samples], i) => row("td", [
    `${first}–${last}`, whole(samples), percent(lines.firing[i]), percent(lines.slope[i]),
  ])));
}

function drawChart(svg, layer, lines) {
  const make = (tag, attributes, text = "") => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.textContent = text;
    return made;
  };
  const width = svg.clientWidth || 800, height = svg.clientHeight || 208, left = 44, right = width - 8, top = 22, bottom = height - 22;
  const x = (edge) => left + (right - left) * edge, y = (number) => bottom - (bottom - top) * number;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const parts = [0, 0.5, 1].flatMap((number) => [
    make("line", {class: "axis", x1: left, x2: right, y1: y(number), y2: y(number)}),
    make("text", {x: left - 6, y: y(number) + 4, "text-anchor": "end"}, `${100 * number}%`),
  ]);
  parts.push(make("text", {x: left, y: height - 5}, `step ${layer.windows[0][0]}`));
  parts.push(make("text", {x: right, y: height - 5, "text-anchor": "end"}, layer.windows.at(-1)[1]));
  parts.push(make("text", {class: "firing", x: left, y: 13}, "share of firing"));
  parts.push(make("text", {class: "slope", x: left + 110, y: 13}, "largest slope, as a share of the function's"));
  lines.firing.forEach((number, i) => {
    const [from, to] = [x(layer.edges[i]), x(layer.edges[i + 1])];
    if (number === 0) parts.push(make("rect", {class: "silent", x: from, width: to - from, y: top, height: bottom - top}));
  });
  for (const [name, numbers] of Object.entries(lines)) {
    let path = "", on = false;
    numbers.forEach((number, i) => {
      if (Number.isFinite(number)) {
        path += `${on ? "L" : "M"}${x(layer.edges[i]).toFixed(1)},${y(number).toFixed(1)}H${x(layer.edges[i + 1]).toFixed(1)}`;
      }
      on = Number.isFinite(number);
    });
    parts.push(make("path", {class: name, d: path}));
  }
  svg.replaceChildren(...parts);
}

function draw() {
  choose();
  drawLayer();
  drawList();
  drawMap();
  drawUnit();
}

function showUnit(place) { // scroll so that a unit of the list can be seen
  const list = $("list"), above = place * ROW;
  if (above < list.scrollTop || above + 2 * ROW > list.scrollTop + list.clientHeight) { // the heading takes a row
    list.scrollTop = above - list.clientHeight / 2;
  }
}

// ---- what people do -------------------------------------------------------------------------------------------------

function listen() {
  $("list").onscroll = drawList;
  $("list").onclick = (event) => {
    const row = event.target.closest(".row");
    if (row) go({unit: Number(row.dataset.unit)});
  };
  $("list").onkeydown = (event) => {
    const by = {ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15}[event.key];
    if (!by || !shown.length) return;
    event.preventDefault();
    const place = Math.min(Math.max(shown.indexOf(view.unit) + by, 0), shown.length - 1);
    showUnit(place);
    go({unit: shown[place]});
  };
  $("map").onclick = (event) => {
    const height = Math.min($("map").clientHeight, shown.length * ROW);
    showUnit(Math.min(Math.floor(event.offsetY / height * shown.length), shown.length - 1));
  };
  $("find").oninput = () => go({find: $("find").value, unit: null});
  $("colour").onchange = () => go({colour: $("colour").value});
  for (const row of document.querySelectorAll("#layers tbody tr")) {
    row.onclick = () => {
      location.hash = `layer=${row.dataset.layer}`;
      $("layer").scrollIntoView();
    };
  }
  document.querySelectorAll("#layers thead button").forEach((button, column) => {
    button.onclick = () => {
      const head = button.parentElement, down = head.getAttribute("aria-sort") === "ascending";
      for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const body = document.querySelector("#layers tbody"), value = (row) => row.children[column].dataset.value;
      const order = (a, b) => isNaN(value(a)) ? value(a).localeCompare(value(b)) : value(a) - value(b);
      body.replaceChildren(...[...body.children].sort((a, b) => (down ? -1 : 1) * order(a, b)));
    };
  });
  window.onhashchange = () => { read(); $("list").scrollTop = 0; draw(); showUnit(Math.max(0, shown.indexOf(view.unit))); };
  window.onresize = draw;
  matchMedia("(prefers-color-scheme: dark)").onchange = () => { mixColours(); draw(); };
}

if (layers.length) {
  mixColours();
  read();
  listen();
  draw();
  showUnit(Math.max(0, shown.indexOf(view.unit)));
}
