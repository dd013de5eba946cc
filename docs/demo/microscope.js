"use strict";
// On every page: light or dark, search as one types, a random unit, keys. Without it all pages can be read and walked.
(() => {
  const root = document.documentElement;
  const memory = {
    get(name) { try { return localStorage.getItem(name); } catch { return null; } },
    set(name, value) { try { localStorage.setItem(name, value); } catch { /* private windows keep nothing */ } },
  };
  const chosen = memory.get("theme");
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;

  document.addEventListener("DOMContentLoaded", () => {
    const find = (id) => document.getElementById(id);
    const go = (address) => { location.href = address; };
    const follow = (relation) => {
      const link = document.querySelector(relation);
      if (link) go(link.href);
      return Boolean(link);
    };

    find("theme").addEventListener("click", () => {
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
      memory.set("theme", root.dataset.theme);
    });
    find("help").addEventListener("click", () => find("keys").showModal());

    const heat = find("heat");
    if (heat) {
      heat.checked = memory.get("heat") !== "off";
      heat.addEventListener("change", () => memory.set("heat", heat.checked ? "on" : "off"));
    }

    // Search.
    const names = window.names;
    const box = find("search");
    const list = find("found");
    const base = box ? box.dataset.root : "";
    const prefix = base && !base.endsWith("/") ? `${base}/` : base;
    const escape = (part) => part.split("/").map(encodeURIComponent).join("/");
    const unitAddress = (layer, unit) => `${prefix}${escape(layer[1])}/${unit}.html`;
    const layerAddress = (layer) => `${prefix}${escape(layer[1])}/index.html`;
    const holds = (layer, unit) => layer[2].some(([first, last]) => first <= unit && unit <= last);
    const MOST = 40;

    function found(text) {
      const wanted = text.trim().toLowerCase();
      if (!wanted || !names) return [];
      const results = [];
      const add = (kind, name, address) => { if (results.length < MOST) results.push({ kind, name, address }); };
      // `4b 18`, `mixed4b:18`, `18`: part of a layer's name, and a unit's number.
      const [, part, number] = wanted.match(/^(.*?)[\s:/#]*(\d*)$/) || [, wanted, ""];
      const exact = names.layers.filter((layer) => layer[0].toLowerCase() === part.trim());
      const partly = names.layers.filter((layer) => layer[0].toLowerCase().includes(part.trim()) && !exact.includes(layer));
      if (number) {
        for (const layer of [...exact, ...partly]) {
          if (holds(layer, Number(number))) add("unit", `${layer[0]}:${Number(number)}`, unitAddress(layer, Number(number)));
        }
      }
      for (const layer of names.layers) {
        if (layer[0].toLowerCase().includes(wanted)) add("layer", layer[0], layerAddress(layer));
      }
      const byName = new Map(names.layers.map((layer) => [layer[0], layer]));
      for (const [layer, family, units] of names.families) {
        if (family.toLowerCase().includes(wanted)) {
          const address = `${layerAddress(byName.get(layer))}#family=${encodeURIComponent(family)}`;
          add(`family, ${units.length} units of ${layer}`, family, address);
        }
      }
      names.classes.forEach((label, i) => {
        if (label.toLowerCase().includes(wanted)) add("class", label, `${prefix}classes.html#class${i}`);
      });
      return results;
    }

    let results = [];
    let current = -1;
    function show(text) {
      results = found(text);
      current = results.length ? 0 : -1;
      list.replaceChildren(...results.map((result, i) => {
        const item = document.createElement("li");
        item.id = `found${i}`;
        item.setAttribute("role", "option");
        item.append(result.name, " ");
        const kind = document.createElement("span");
        kind.textContent = result.kind;
        item.append(kind);
        item.addEventListener("pointerdown", (event) => event.preventDefault());
        item.addEventListener("click", () => go(result.address));
        return item;
      }));
      if (!results.length && text.trim()) {
        const item = document.createElement("li");
        item.className = "nothing";
        item.setAttribute("role", "option");
        item.setAttribute("aria-disabled", "true");
        item.textContent = "nothing of that name";
        list.append(item);
      }
      list.hidden = !list.children.length;
      box.setAttribute("aria-expanded", String(!list.hidden));
      mark();
    }
    function mark() {
      [...list.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === current)));
      if (current >= 0) {
        box.setAttribute("aria-activedescendant", `found${current}`);
        list.children[current].scrollIntoView({ block: "nearest" });
      } else box.removeAttribute("aria-activedescendant");
    }
    function close() {
      list.hidden = true;
      box.setAttribute("aria-expanded", "false");
      box.removeAttribute("aria-activedescendant");
    }
    if (box) {
      box.addEventListener("input", () => show(box.value));
      box.addEventListener("focus", () => box.value && show(box.value));
      box.addEventListener("blur", close);
      box.addEventListener("keydown", (event) => {
        if (event.key === "ArrowDown" || event.key === "ArrowUp") {
          event.preventDefault();
          if (list.hidden) show(box.value);
          else if (results.length) {
            current = (current + (event.key === "ArrowDown" ? 1 : results.length - 1)) % results.length;
            mark();
          }
        } else if (event.key === "Enter" && current >= 0 && !list.hidden) go(results[current].address);
        else if (event.key === "Escape") {
          if (list.hidden) box.blur();
          else close();
        }
      });
    }

    function random() {
      const total = names.layers.reduce((sum, layer) => sum + layer[2].reduce((n, [a, b]) => n + b - a + 1, 0), 0);
      let place = Math.floor(Math.random() * total);
      for (const layer of names.layers) {
        for (const [first, last] of layer[2]) {
          if (place <= last - first) return unitAddress(layer, first + place);
          place -= last - first + 1;
        }
      }
      return "";
    }
    const lot = find("random");
    if (lot) lot.addEventListener("click", () => names && names.layers.length && go(random()));

    // Keys, unless one writes or a dialog is open.
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      const writes = event.target.closest("input:not([type=checkbox]), select, textarea, dialog");
      if (writes) return;
      const scrolls = event.target.closest("[role=region], pre");
      const beside = [...document.querySelectorAll(".beside a")];
      const step = (key) => beside.find((link) => link.title.includes(key));
      let done = true;
      switch (event.key) {
        case "/": if (box) box.focus(); break;
        case "?": find("keys").showModal(); break;
        case "r": case "R": if (lot) lot.click(); break;
        case "h": case "H": if (heat) heat.click(); break;
        case "u": case "U": done = follow("[rel=up]"); break;
        case "ArrowUp":
          done = !scrolls && window.scrollY <= 0 && follow("[rel=up]");
          break;
        case "ArrowLeft": case "ArrowRight": {
          const link = scrolls ? null : step(event.key === "ArrowLeft" ? "←" : "→");
          if (link) go(link.href);
          else done = false;
          break;
        }
        default: done = false;
      }
      if (done) event.preventDefault();
    });
  });
})();
