"use strict";
(() => {
  const numbers = JSON.parse(document.getElementById("data").textContent);
  const panels = [...document.querySelectorAll(".panel")];
  const names = panels.map((panel) => panel.dataset.name);
  const boxes = new Map([...document.querySelectorAll(".box")]
    .map((box) => [box.getAttribute("href").slice(3), box]));
  const edges = [...document.querySelectorAll(".edge")];
  const next = document.getElementById("next"), back = document.getElementById("back");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 59.99rem)");
  const CHANNELS = { light: [[255, 255, 255], [0, 84, 147], [190, 66, 0]],
                     dark: [[22, 24, 29], [110, 190, 250], [255, 150, 90]] };
  const decoded = new Map();
  let chosen = -1, paper = false;

  function unpack(text, bytes) {
    const raw = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    return bytes === 8 ? new Float64Array(raw.buffer) : new Float32Array(raw.buffer);
  }

  function values(name) {
    if (!decoded.has(name)) {
      const given = numbers[name], truth = unpack(given.truth, given.bytes);
      const found = { truth };
      if (given.own) {
        found.own = given.own === "same" ? truth : unpack(given.own, given.bytes);
        found.difference = found.own.map((value, k) =>
          Object.is(value, truth[k]) ? 0 : value - truth[k]);
      }
      decoded.set(name, found);
    }
    return decoded.get(name);
  }

  function largest(array) {
    let most = 0;
    for (const value of array) if (Number.isFinite(value)) most = Math.max(most, Math.abs(value));
    return most;
  }

  // Black for what is no number; colour grows with the square root, so that small entries show.
  function paint(canvas, array, rows, columns, scale) {
    const [none, negative, positive] = CHANNELS[dark.matches && !paper ? "dark" : "light"];
    canvas.width = columns;
    canvas.height = rows;
    const context = canvas.getContext("2d"), image = context.createImageData(columns, rows);
    for (let k = 0; k < rows * columns; k++) {
      const value = array[k], known = Number.isFinite(value);
      const part = scale ? Math.sqrt(Math.min(1, Math.abs(value) / scale)) : 0;
      const full = value < 0 ? negative : positive;
      for (let c = 0; c < 3; c++)
        image.data[4 * k + c] = known ? none[c] + (full[c] - none[c]) * part : 128;
      image.data[4 * k + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }

  function shape(canvas, rows, columns) {
    const width = canvas.clientWidth || 300;
    const height = Math.max(14, Math.min(360, width * rows / columns));
    canvas.style.height = `${rows === 1 ? 28 : height}px`;
  }

  const show = (value) => Number.isFinite(value) ? Number(value.toPrecision(6)).toString()
    : String(value);

  function draw(panel) {
    const name = panel.dataset.name, given = numbers[name], found = values(name);
    const [rows, columns] = given.shown;
    const common = largest(found.truth) || largest(found.own || []);
    for (const canvas of panel.querySelectorAll("canvas")) {
      const array = found[canvas.dataset.kind];
      const scale = canvas.dataset.kind === "difference" ? largest(array) : common;
      paint(canvas, array, rows, columns, scale);
      shape(canvas, rows, columns);
      const range = canvas.parentElement.querySelector(".range");
      const most = largest(array);
      range.textContent = most ? `up to ±${Number(most.toPrecision(3))}` : "all zero";
    }
    const crop = panel.querySelector(".crop");
    crop.hidden = rows === given.rows && columns === given.columns;
    crop.textContent = `Shown are the first ${rows} of ${given.rows} rows and the first ` +
      `${columns} of ${given.columns} columns.`;
  }

  function where(given, row, column) {
    const shape = given.shape;
    if (shape.length < 2) return `[${column}]`;
    const index = [row];
    let rest = column;
    for (let k = 1; k < shape.length; k++) {
      const below = shape.slice(k + 1).reduce((a, b) => a * b, 1);
      index.push(Math.floor(rest / below));
      rest %= below;
    }
    return `[${index.join(", ")}]`;
  }

  function read(panel, row, column) {
    const name = panel.dataset.name, given = numbers[name], found = values(name);
    const k = row * given.shown[1] + column;
    const own = found.own
      ? `   yours ${show(found.own[k])}   difference ${show(found.difference[k])}` : "";
    panel.querySelector(".readout").textContent =
      `d${name}${where(given, row, column)}\ntrue ${show(found.truth[k])}${own}`;
    for (const canvas of panel.querySelectorAll("canvas")) mark(panel, canvas, row, column);
  }

  function mark(panel, canvas, row, column) {
    const given = numbers[panel.dataset.name], [rows, columns] = given.shown;
    const array = values(panel.dataset.name)[canvas.dataset.kind];
    const found = values(panel.dataset.name);
    const common = largest(found.truth) || largest(found.own || []);
    paint(canvas, array, rows, columns,
      canvas.dataset.kind === "difference" ? largest(array) : common);
    const context = canvas.getContext("2d");
    context.fillStyle = dark.matches ? "rgba(255,255,255,.28)" : "rgba(0,0,0,.22)";
    if (rows > 1) context.fillRect(0, row, columns, 1);
    context.fillRect(column, 0, 1, rows);
  }

  function cursor(panel) {
    let row = 0, column = 0;
    const limit = (value, size) => Math.max(0, Math.min(size - 1, value));
    for (const canvas of panel.querySelectorAll("canvas")) {
      const point = (event) => {
        const box = canvas.getBoundingClientRect(), [rows, columns] = numbers[panel.dataset.name].shown;
        row = limit(Math.floor((event.clientY - box.top) / box.height * rows), rows);
        column = limit(Math.floor((event.clientX - box.left) / box.width * columns), columns);
        read(panel, row, column);
      };
      canvas.addEventListener("pointermove", point);
      canvas.addEventListener("pointerdown", point);
      canvas.addEventListener("focus", () => read(panel, row, column));
      canvas.addEventListener("keydown", (event) => {
        const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
        if (!(event.key in step)) return;
        const [rows, columns] = numbers[panel.dataset.name].shown;
        row = limit(row + step[event.key][0], rows);
        column = limit(column + step[event.key][1], columns);
        read(panel, row, column);
        event.preventDefault();
        event.stopPropagation();
      });
    }
  }

  function choose(place, move = true) {
    chosen = Math.max(0, Math.min(panels.length - 1, place));
    const name = names[chosen];
    panels.forEach((panel, k) => panel.classList.toggle("chosen", k === chosen));
    names.forEach((other, k) => boxes.get(other)?.classList.toggle("ahead", k > chosen));
    for (const [other, box] of boxes) {
      if (other === name) box.setAttribute("aria-current", "true");
      else box.removeAttribute("aria-current");
    }
    for (const edge of edges) {
      edge.classList.toggle("chosen", edge.dataset.to === name);
      edge.classList.toggle("ahead", names.indexOf(edge.dataset.to) > chosen);
    }
    back.disabled = chosen === 0;
    next.disabled = chosen === panels.length - 1;
    document.getElementById("where").textContent = `${chosen + 1} of ${panels.length}`;
    draw(panels[chosen]);
    if (!move) return;
    try { history.replaceState(null, "", `#d-${name}`); } catch { /* a page inside another page */ }
    const box = boxes.get(name);
    if (narrow.matches) document.querySelector(".panels").scrollIntoView({ block: "start" });
    else if (box) box.scrollIntoView({ block: "nearest" });
    document.querySelector(".panels").scrollTop = 0;
  }

  function named(hash) {
    return names.indexOf(decodeURIComponent(hash).replace(/^#d-/, ""));
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#d-"]');
    if (!link) return;
    const place = named(link.getAttribute("href"));
    if (place < 0) return;
    event.preventDefault();
    choose(place);
    if (!link.classList.contains("box")) panels[chosen].focus({ preventScroll: true });
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const steps = { ArrowDown: 1, ArrowRight: 1, n: 1, ArrowUp: -1, ArrowLeft: -1, b: -1 };
    const onBox = document.activeElement && document.activeElement.classList.contains("box");
    if (event.key in steps) choose(chosen + steps[event.key]);
    else if (event.key === "Home" && onBox) choose(0);
    else if (event.key === "End" && onBox) choose(panels.length - 1);
    else if (event.key === "d") {
      const details = panels[chosen].querySelector("details");
      if (details) details.open = !details.open;
      return;
    } else return;
    event.preventDefault();
    if (onBox && boxes.get(names[chosen])) boxes.get(names[chosen]).focus({ preventScroll: true });
  });

  function redraw() {
    for (const panel of panels) if (panel.offsetParent !== null || paper) draw(panel);
  }

  next.addEventListener("click", () => choose(chosen + 1));
  back.addEventListener("click", () => choose(chosen - 1));
  addEventListener("hashchange", () => { if (named(location.hash) >= 0) choose(named(location.hash)); });
  addEventListener("resize", () => redraw());
  addEventListener("beforeprint", () => { paper = true; redraw(); });
  addEventListener("afterprint", () => { paper = false; redraw(); });
  dark.addEventListener("change", redraw);
  panels.forEach(cursor);
  document.body.classList.add("script");
  document.querySelector(".buttons").hidden = false;
  const blamed = panels.findIndex((p) => p.matches(".wrong, .shape"));
  const asked = named(location.hash);
  choose(asked >= 0 ? asked : Math.max(0, blamed), false);
})();
