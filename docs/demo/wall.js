"use strict";
// A layer's wall: sorted and filtered; what is chosen is in the address, so that it can be sent to someone.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const form = document.getElementById("controls");
  const wall = document.getElementById("wall");
  const rows = document.getElementById("family-rows");
  const count = document.getElementById("count");
  const control = (id) => document.getElementById(id);
  const tiles = new Map([...wall.children].map((tile, i) => [data.units[i], tile]));
  const place = new Map(data.units.map((unit, i) => [unit, i]));
  const vectors = data.likeness && Int8Array.from(atob(data.likeness.vectors), (c) => c.charCodeAt(0));
  const fields = ["numbers", "family", "sort", "to", "descending", "measure", "least", "most", "rows", "size"]
    .map(control).filter(Boolean);
  const defaults = Object.fromEntries(fields.map((field) => [field.id, value(field)]));

  function value(field) { return field.type === "checkbox" ? (field.checked ? "1" : "") : field.value; }
  function set(field, text) {
    if (field.type === "checkbox") field.checked = Boolean(text);
    else field.value = text;
  }

  // `0-15, 20` -> a test of numbers; null where all are meant.
  function ranges(text) {
    const spans = [...text.matchAll(/(\d+)\s*(?:[-–]\s*(\d+))?/g)].map(([, a, b]) => [Number(a), Number(b ?? a)]);
    return spans.length ? (unit) => spans.some(([a, b]) => a <= unit && unit <= b) : null;
  }

  function likeness(unit) {
    const n = data.likeness.dimensions, start = place.get(unit) * n;
    return data.units.map((_, i) => {
      let sum = 0;
      for (let k = 0; k < n; k++) sum += vectors[i * n + k] * vectors[start + k];
      return sum / 16129;
    });
  }

  function scores() {
    const by = control("sort").value;
    if (by === "number") return data.units;
    if (by !== "likeness") return data.measures[by];
    const unit = Number(control("to").value);
    return place.has(unit) && control("to").value !== "" ? likeness(unit) : null;
  }

  function chosen() {
    const byNumber = ranges(control("numbers").value);
    const family = control("family") && control("family").value;
    const members = family ? new Set(data.families[family]) : null;
    const measure = control("measure") && data.measures[control("measure").value];
    const least = measure && control("least").value !== "" ? Number(control("least").value) : null;
    const most = measure && control("most").value !== "" ? Number(control("most").value) : null;
    return data.units.filter((unit, i) => {
      if (byNumber && !byNumber(unit)) return false;
      if (members && !members.has(unit)) return false;
      if (least === null && most === null) return true;
      const number = measure[i];
      return number !== null && (least === null || number >= least) && (most === null || number <= most);
    });
  }

  function sorted(units) {
    const by = scores();
    if (!by) return units;
    const sign = control("descending").checked ? -1 : 1;
    const of = (unit) => by[place.get(unit)];
    // What is unknown comes last, either way.
    return units.slice().sort((a, b) => {
      const x = of(a), y = of(b);
      if (x === null || y === null) return (x === null) - (y === null) || a - b;
      return sign * (x - y) || a - b;
    });
  }

  function show() {
    const likely = control("sort").value === "likeness";
    if (control("to-label")) control("to-label").hidden = !likely;
    wall.style.setProperty("--s", `${control("size").value}px`);
    rows.style.setProperty("--s", `${control("size").value}px`);
    const units = sorted(chosen());
    const shown = new Set(units);
    const asRows = control("rows") && control("rows").checked;
    wall.hidden = Boolean(asRows);
    rows.hidden = !asRows;
    if (asRows) {
      const place = new Map(units.map((unit, i) => [unit, i]));
      rows.replaceChildren(...Object.entries(data.families).flatMap(([name, members]) => {
        const present = members.filter((unit) => shown.has(unit)).sort((a, b) => place.get(a) - place.get(b));
        if (!present.length) return [];
        const title = document.createElement("h3");
        title.textContent = `${name} (${present.length})`;
        const list = document.createElement("ul");
        list.className = "wall";
        list.style.setProperty("--s", `${control("size").value}px`);
        list.setAttribute("aria-label", name);
        for (const unit of present) {
          const tile = tiles.get(unit).cloneNode(true);
          tile.hidden = false;
          list.append(tile);
        }
        return [title, list];
      }));
    } else {
      for (const [unit, tile] of tiles) tile.hidden = !shown.has(unit);
      const order = [...units.map((unit) => tiles.get(unit)), ...[...tiles.keys()].filter((u) => !shown.has(u)).map((u) => tiles.get(u))];
      if (order.some((tile, i) => tile !== wall.children[i])) wall.replaceChildren(...order);
    }
    const all = data.units.length;
    count.textContent = units.length === all ? `${all} units` : `${units.length} of ${all} units`;
    if (likely && !scores()) count.textContent += "; say which unit they are to be like";
  }

  function write() {
    const parts = fields.filter((field) => value(field) !== defaults[field.id])
      .map((field) => `${field.id}=${encodeURIComponent(value(field))}`);
    history.replaceState(null, "", parts.length ? `#${parts.join("&")}` : location.pathname + location.search);
  }

  function read() {
    const wanted = new URLSearchParams(location.hash.slice(1));
    for (const field of fields) set(field, wanted.has(field.id) ? wanted.get(field.id) : defaults[field.id]);
    show();
  }

  form.hidden = false;
  control("more").open = matchMedia("(min-width: 40rem)").matches || location.hash.length > 1;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", (event) => {
    // Most of a measure, and the most alike, are looked for first.
    if (event.target.id === "sort") control("descending").checked = event.target.value !== "number";
    show();
    write();
  });
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    for (const field of fields) set(field, defaults[field.id]);
    show();
    write();
  });
  window.addEventListener("hashchange", read);
  read();
})();
