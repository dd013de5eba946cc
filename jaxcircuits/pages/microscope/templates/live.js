"use strict";
// Added to pages by `jaxcircuits serve`: a site that grows, and pictures of one's own.
(async () => {
  const OWN = "/-/";
  const { network, layer, unit } = document.body.dataset;
  const state = await (await fetch(`${OWN}state`)).json();

  function make(tag, text = "", attributes = {}) {
    const node = document.createElement(tag);
    if (text) node.textContent = text;
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  }

  // The site has grown: nothing moves under the reader's eyes, a button says so.
  let known = state.version;
  setInterval(async () => {
    try {
      const now = await (await fetch(`${OWN}state`)).json();
      if (now.version === known || document.getElementById("grown")) return;
      known = now.version;
      const button = make("button", "There is more now: show it", { id: "grown", type: "button" });
      button.addEventListener("click", () => location.reload());
      document.body.append(button);
    } catch { /* the server has ended */ }
  }, 4000);

  if (!network || !state.networks.includes(network)) return;

  async function ask(question, body) {
    const answer = await fetch(`${OWN}${question}/${encodeURIComponent(network)}`, {
      method: "POST", body: body instanceof Blob ? body : JSON.stringify(body),
    });
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.error);
    return found;
  }

  const panel = make("section", "", { id: "own", "aria-labelledby": "own-title" });
  const title = make("h2", "A picture of yours", { id: "own-title" });
  const label = make("label", "Choose a picture, or drop one anywhere: ", { for: "own-file" });
  const file = make("input", "", { id: "own-file", type: "file", accept: "image/*" });
  const said = make("p", "", { role: "status", class: "note", id: "own-said" });
  const shown = make("div", "", { class: "own-shown" });
  const picture = make("div", "", { class: "own-picture" });
  const told = make("div", "", { class: "own-told" });
  shown.append(picture, told);
  shown.hidden = true;
  const choose = make("p");
  choose.append(label, file);
  panel.append(title, choose, said, shown);
  document.querySelector(".heading").after(panel);

  const short = (value) => value === null ? "?" : Number(value.toPrecision(3)).toString();
  const kept = `look of ${network}`;

  function units(list) {
    const row = make("p", "", { class: "units" });
    const names = window.names;
    const base = document.getElementById("search").dataset.root;
    for (const [name, number, value, share] of list) {
      const entry = names.layers.find(([one]) => one === name);
      if (!entry) continue;
      const folder = `${base}/${entry[1].split("/").map(encodeURIComponent).join("/")}`;
      let place = 0;
      for (const [first, last] of entry[2]) {
        if (number > last) place += last - first + 1;
        else if (number >= first) place += number - first;
      }
      const link = make("a", "", { class: "unit", href: `${folder}/${number}.html` });
      const sheet = Math.floor(place / 256);
      const drawn = entry[3].includes(sheet);
      const thumb = make("span", drawn ? "" : String(number), { class: drawn ? "thumb" : "thumb none", "aria-hidden": "true" });
      if (drawn) {
        thumb.style.backgroundImage = `url("${folder}/drawings${sheet}.webp")`;
        thumb.style.setProperty("--x", place % 256 % 16);
        thumb.style.setProperty("--y", Math.floor(place % 256 / 16));
      }
      const percent = share === null ? short(value) : `${Math.round(100 * share)} %`;
      link.append(thumb, make("span", `${name}:${number}`, { class: "name" }), " ", make("span", percent, { class: "value" }));
      row.append(link);
    }
    return row;
  }

  function heated(heat, most) {
    const canvas = make("canvas", "", { class: "own-heat", "aria-hidden": "true" });
    canvas.width = heat[0].length;
    canvas.height = heat.length;
    const context = canvas.getContext("2d");
    const pixels = context.createImageData(canvas.width, canvas.height);
    heat.flat().forEach((value, i) => {
      pixels.data[4 * i + 3] = 200 * (1 - Math.sqrt(Math.min(Math.max(value / (most || 1), 0), 1)));
    });
    context.putImageData(pixels, 0, 0);
    return canvas;
  }

  function edits(look) {
    const box = make("div", "", { class: "own-edit" });
    const slider = make("input", "", { type: "range", min: "0", max: "3", step: "0.25", value: "1", id: "own-factor" });
    const words = make("label", "The unit answers ", { for: "own-factor" });
    const amount = make("output", "as it does", { for: "own-factor" });
    const silence = make("button", "Silence it", { type: "button" });
    const table = make("table", "", { class: "classes" });
    let latest = 0;
    async function edit() {
      const factor = Number(slider.value), turn = ++latest;
      amount.textContent = factor === 0 ? "nothing" : factor === 1 ? "as it does" : `${factor} times as much`;
      try {
        const { changes } = await ask("edit", { look, layer, unit: Number(unit), factor });
        if (turn !== latest) return;
        table.replaceChildren(...changes.map(([name, before, after]) => {
          const line = make("tr");
          const cell = make("td", `${short(before)} → ${short(after)}`);
          cell.className = after > before ? "excites" : "inhibits";
          line.append(make("th", name, { scope: "row" }), cell);
          return line;
        }));
        said.textContent = changes.length ? "" : "No logit changes.";
      } catch (error) { said.textContent = error.message; }
    }
    slider.addEventListener("input", edit);
    silence.addEventListener("click", () => { slider.value = 0; edit(); });
    box.append(words, amount, slider, silence, table);
    return box;
  }

  async function show(look) {
    picture.replaceChildren(make("img", "", { src: look.preview, alt: "your picture" }));
    told.replaceChildren();
    const classes = look.classes.map(([name, logit]) => `${name} (${short(logit)})`).join(", ");
    if (classes) told.append(make("p", `The network says: ${classes}.`));
    if (unit) {
      const found = await ask("unit", { look: look.look, layer, unit: Number(unit) });
      const share = found.share === null ? "" : `, ${Math.round(100 * found.share)} % of the largest on record`;
      told.prepend(make("p", `This unit answers ${short(found.value)}${share}.`));
      if (found.heat) picture.append(heated(found.heat, found.value));
      if (look.classes.length) told.append(edits(look.look));
    } else {
      for (const [name, list] of Object.entries(look.layers)) {
        if (layer && name !== layer) continue;
        const rows = list.map((row) => [name, ...row]);
        told.append(make("h3", layer ? "What fires here" : name), rows.length ? units(rows) : make("p", "nothing fires"));
      }
    }
    shown.hidden = false;
  }

  async function small(blob) {
    const image = await createImageBitmap(blob);
    const edge = Math.min(image.width, image.height), side = Math.min(edge, 320);
    const canvas = make("canvas");
    canvas.width = canvas.height = side;
    const left = (image.width - edge) / 2, top = (image.height - edge) / 2;
    canvas.getContext("2d").drawImage(image, left, top, edge, edge, 0, 0, side, side);
    return canvas.toDataURL("image/jpeg", 0.85);
  }

  async function look(blob) {
    said.textContent = "looking …";
    try {
      const found = await ask("look", blob);
      found.preview = await small(blob);
      try { sessionStorage.setItem(kept, JSON.stringify(found)); } catch { /* it is shown here only */ }
      said.textContent = "";
      await show(found);
      panel.scrollIntoView({ block: "nearest" });
    } catch (error) { said.textContent = error.message; }
  }

  file.addEventListener("change", () => file.files.length && look(file.files[0]));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) look(event.dataTransfer.files[0]);
  });

  const before = sessionStorage.getItem(kept);
  if (before) {
    try { await show(JSON.parse(before)); }
    catch { sessionStorage.removeItem(kept); shown.hidden = true; }
  }
})();
