"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const diagram = document.getElementById("diagram");
const view = document.getElementById("view");
const find = (selector) => [...diagram.querySelectorAll(selector)];
const unitNodes = find(".unit");
const lineNodes = find("[data-connection]");
const pictures = unitNodes.map((node) => node.querySelector("image").getAttribute("href"));

// Zoom and pan: one transform inside the SVG's own coordinates, so that fitting is doing nothing.
const place = { zoom: 1, x: 0, y: 0 };
const LEAST = 0.5, MOST = 24;

function apply() {
  view.setAttribute("transform", `translate(${place.x} ${place.y}) scale(${place.zoom})`);
}

function inside(event) {
  return new DOMPoint(event.clientX, event.clientY).matrixTransform(diagram.getScreenCTM().inverse());
}

function zoomAt(point, factor) {
  const zoom = Math.min(Math.max(place.zoom * factor, LEAST), MOST);
  const change = zoom / place.zoom;
  place.x = point.x - change * (point.x - place.x);
  place.y = point.y - change * (point.y - place.y);
  place.zoom = zoom;
  apply();
}

function zoomMiddle(factor) {
  const box = diagram.viewBox.baseVal;
  zoomAt({ x: box.width / 2, y: box.height / 2 }, factor);
}

function fit() {
  Object.assign(place, { zoom: 1, x: 0, y: 0 });
  apply();
}

diagram.addEventListener("wheel", (event) => {
  event.preventDefault();
  const lines = event.deltaMode === 1 ? 16 : 1;
  zoomAt(inside(event), Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0016)));
}, { passive: false });

const pointers = new Map();
let moved = 0;

diagram.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  if (!pointers.size) moved = 0;
  pointers.set(event.pointerId, inside(event));
});
window.addEventListener("pointermove", (event) => {
  const before = pointers.get(event.pointerId);
  if (!before) return;
  const now = inside(event);
  const others = [...pointers].filter(([id]) => id !== event.pointerId).map(([, point]) => point);
  moved += Math.hypot(now.x - before.x, now.y - before.y);
  if (!others.length) {
    place.x += now.x - before.x;
    place.y += now.y - before.y;
    apply();
    diagram.classList.toggle("moving", moved > 4);
  } else {
    const other = others[0];
    const apart = (point) => Math.max(Math.hypot(point.x - other.x, point.y - other.y), 1);
    zoomAt(other, apart(now) / apart(before));
  }
  pointers.set(event.pointerId, now);
});
for (const end of ["pointerup", "pointercancel"]) {
  window.addEventListener(end, (event) => {
    pointers.delete(event.pointerId);
    diagram.classList.remove("moving");
  });
}

// What is pointed at or kept: a unit, with one of its connections, or a connection alone.
let kept = null;

function strongestOf(unit) {
  const own = connectionsOf(unit).sort((a, b) => data.connections[b].norm - data.connections[a].norm);
  const read = own.filter((number) => data.connections[number].target === unit);
  return (read.length ? read : own)[0];
}

function connectionsOf(unit) {
  return data.connections.flatMap((c, number) => (c.source === unit || c.target === unit ? [number] : []));
}

function highlight(focus) {
  diagram.classList.toggle("focused", focus !== null);
  const lines = new Set(), near = new Set(), on = new Set();
  if (focus) {
    const numbers = focus.unit === undefined ? [focus.connection] : connectionsOf(focus.unit);
    if (focus.unit !== undefined) on.add(focus.unit);
    for (const number of numbers) {
      lines.add(number);
      near.add(data.connections[number].source).add(data.connections[number].target);
    }
  }
  unitNodes.forEach((node, i) => {
    node.classList.toggle("on", on.has(i));
    node.classList.toggle("near", near.has(i));
  });
  for (const node of lineNodes) node.classList.toggle("on", lines.has(Number(node.dataset.connection)));
}

function show(focus) {
  highlight(focus);
  if (!focus) return;
  showUnit(focus.unit ?? data.connections[focus.connection].target);
  showSlice(focus.connection ?? strongestOf(focus.unit));
}

function element(tag, properties, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function showUnit(unit) {
  const facts = data.units[unit];
  const who = document.getElementById("unit"), home = document.getElementById("wired");
  const part = facts.share ? `${facts.share} of the target's weights` : "the target";
  who.replaceChildren(
    element("img", { src: pictures[unit], alt: facts.name }),
    element("div", {}, element("h2", { textContent: facts.name }), element("p", { textContent: part })),
  );
  home.replaceChildren();
  const own = connectionsOf(unit).sort((a, b) => data.connections[b].norm - data.connections[a].norm);
  for (const [title, near, far] of [["Reads", "target", "source"], ["Acts on", "source", "target"]]) {
    const listed = own.filter((number) => data.connections[number][near] === unit);
    if (!listed.length) continue;
    const most = data.connections[listed[0]].norm;
    home.append(element("h3", { textContent: title }), element("ul", {}, ...listed.map((number) => {
      const c = data.connections[number];
      const bar = element("span", { className: `strength ${c.excites ? "excites" : "inhibits"}` });
      bar.style.width = `${100 * c.norm / most}%`;
      const button = element("button", { type: "button" },
        element("img", { className: "thumb", src: thumbnail(c), alt: "weights" }),
        element("img", { src: pictures[c[far]], alt: "" }),
        element("span", {}, data.units[c[far]].name, bar));
      button.dataset.slice = number;
      button.addEventListener("pointerenter", () => showSlice(number));
      button.addEventListener("focus", () => showSlice(number));
      return element("li", {}, button);
    })));
  }
}

// Colors of weights: the same five stops as everywhere, linear between them.
const stops = data.stops.map((stop) => [1, 3, 5].map((i) => parseInt(stop.slice(i, i + 2), 16)));

function color(weight, scale) {
  const at = (Math.min(Math.max(weight / scale, -1), 1) + 1) / 2 * (stops.length - 1);
  const i = Math.min(Math.floor(at), stops.length - 2);
  return stops[i].map((low, channel) => Math.round(low + (at - i) * (stops[i + 1][channel] - low)));
}

function thumbnail(c) {
  const canvas = element("canvas", { width: c.weights[0].length, height: c.weights.length });
  const pixels = new ImageData(canvas.width, canvas.height);
  c.weights.flat().forEach((weight, i) => pixels.data.set([...color(weight, c.scale), 255], 4 * i));
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas.toDataURL();
}

const digits = (value) => value.toPrecision(2).replace("-", "−");

function showSlice(number) {
  if (number === undefined) return;
  const c = data.connections[number];
  const home = document.getElementById("slice");
  home.hidden = false;
  home.dataset.connection = number;
  home.querySelector("h2").textContent = `${data.units[c.source].name} → ${data.units[c.target].name}`;
  const cells = document.getElementById("cells");
  const [height, width] = [c.weights.length, c.weights[0].length];
  const side = Math.min(360 / Math.max(height, width), 72);
  cells.setAttribute("viewBox", `${-(360 - width * side) / 2} 0 360 ${height * side}`);
  // Numbers share their decimals; those of tiny weights are in powers of ten.
  const power = c.scale < 1e-3 ? Math.floor(Math.log10(c.scale)) : 0;
  const decimals = Math.max((side > 45 ? 2 : 1) - Math.floor(Math.log10(c.scale / 10 ** power)), 0);
  const rounded = (weight) => (weight / 10 ** power).toFixed(decimals);
  const written = (weight) => Number(rounded(weight)) ? rounded(weight).replace("-", "−").replace("0.", ".") : "0";
  const longest = Math.max(...c.weights.flat().map((weight) => written(weight).length));
  const size = Math.min(side / 2.9, 0.94 * side / (0.66 * longest), 15);
  cells.replaceChildren(...c.weights.flatMap((row, i) => row.flatMap((weight, j) => {
    const rgb = color(weight, c.scale);
    const square = svg("rect", { x: j * side, y: i * side, width: side, height: side, fill: `rgb(${rgb})` });
    square.append(svg("title", {}, String(weight)));
    const dark = 0.3 * rgb[0] + 0.6 * rgb[1] + 0.1 * rgb[2] < 130;
    return size < 6 || weight === 0 ? [square] : [square, svg("text", {
      x: (j + 0.5) * side, y: (i + 0.5) * side, "font-size": size, style: `fill: ${dark ? "#ffffff" : "#333333"}`,
      "pointer-events": "none",
    }, written(weight))];
  })));
  document.getElementById("numbers").textContent =
    `norm ${digits(c.norm)}, sum ${digits(c.sum)}; colors from −${digits(c.scale)} to ${digits(c.scale)}` +
    (power ? `; numbers times 10^${power}` : "");
  for (const button of document.querySelectorAll("[data-slice]")) {
    button.classList.toggle("on", Number(button.dataset.slice) === number);
  }
}

function svg(tag, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

function keep(focus) {
  kept = focus;
  show(focus);
}

for (const [nodes, focus] of [
  [unitNodes, (node) => ({ unit: Number(node.dataset.unit) })],
  [lineNodes, (node) => ({ connection: Number(node.dataset.connection) })],
]) {
  for (const node of nodes) {
    node.addEventListener("pointerenter", () => pointers.size || show(focus(node)));
    node.addEventListener("pointerleave", () => pointers.size || highlight(kept));
    node.addEventListener("focus", () => show(focus(node)));
    node.addEventListener("blur", () => highlight(kept));
    node.addEventListener("click", (event) => {
      event.stopPropagation();
      if (moved < 5) keep(focus(node));
    });
  }
}
diagram.addEventListener("click", () => moved < 5 && keep(null));

document.getElementById("in").addEventListener("click", () => zoomMiddle(1.4));
document.getElementById("out").addEventListener("click", () => zoomMiddle(1 / 1.4));
document.getElementById("fit").addEventListener("click", fit);
document.getElementById("theme").addEventListener("click", () => {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark";
  document.documentElement.dataset.theme = dark ? "light" : "dark";
});

const keys = {
  "+": () => zoomMiddle(1.4), "=": () => zoomMiddle(1.4), "-": () => zoomMiddle(1 / 1.4),
  "0": fit, f: fit, Escape: () => keep(null),
  ArrowLeft: () => move(60, 0), ArrowRight: () => move(-60, 0), ArrowUp: () => move(0, 60), ArrowDown: () => move(0, -60),
};

function move(x, y) {
  place.x += x;
  place.y += y;
  apply();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("aside")) return;
  const unit = event.target.closest?.(".unit");
  if (unit && (event.key === "Enter" || event.key === " ")) keep({ unit: Number(unit.dataset.unit) });
  else if (keys[event.key]) keys[event.key]();
  else return;
  event.preventDefault();
});

showUnit(0);
showSlice(strongestOf(0));
