// Lines over a common axis, with a legend whose entries switch them off and on.

const DASHES = { "--": "5 3", ":": "1.5 2.5", "-.": "5 2 1.5 2" };
const MARKERS = {
  o: "M-2 0a2 2 0 1 0 4 0a2 2 0 1 0 -4 0Z", "^": "M-2.4 2L0 -2.4L2.4 2Z", s: "M-2 -2H2V2H-2Z",
  D: "M0 -2.6L2.6 0L0 2.6L-2.6 0Z", x: "M-2 -2L2 2M-2 2L2 -2",
};
const MOST_MARKERS = 80; // of a line in view; more would hide it
const OTHERS = "the others";

class Lines {
  constructor(data) {
    this.data = data;
    this.hidden = new Set();
    const named = data.lines.filter((line) => line.label);
    this.readable = named.length ? named : data.lines;
    const found = new Set(named.map((line) => this.entryOf(line)));
    this.entries = [...new Set([...data.legend, OTHERS])].filter((entry) => found.has(entry));
  }

  begin(frame) {
    if (this.entries.length < 2) return;
    const legend = htmlElement("div", { class: "legend" }, frame.figure);
    frame.readout.parentElement.after(legend);
    this.values = new Map(this.entries.map((entry) => [entry, this.addEntry(legend, entry, frame)]));
  }

  addEntry(legend, entry, frame) {
    const line = this.readable.find((one) => this.entryOf(one) === entry);
    const button = htmlElement("button", { type: "button", "aria-pressed": "true" }, legend);
    const swatch = svgElement("svg", { viewBox: "0 0 22 8", "aria-hidden": "true" }, button);
    drawStroke(swatch, line, "M0 4H22");
    if (line.marker) drawMarker(swatch, line, 11, 4);
    htmlElement("span", {}, button, entry);
    button.addEventListener("click", () => {
      if (!this.hidden.delete(entry)) this.hidden.add(entry);
      button.setAttribute("aria-pressed", String(!this.hidden.has(entry)));
      if (frame.reading && this.hidden.has(this.entryOf(frame.reading.line))) frame.reading = null;
      frame.draw();
    });
    return htmlElement("output", {}, button, "");
  }

  // Lines that the legend does not name are there to compare with, and share an entry.
  entryOf(line) {
    return !line.label || this.data.legend.includes(line.label) ? line.label : OTHERS;
  }

  visible(lines) {
    return lines.filter((line) => !this.hidden.has(this.entryOf(line)));
  }

  draw(frame) {
    for (const band of this.data.bands) drawBand(frame, band);
    for (const guide of this.data.guides) drawGuide(frame, guide);
    for (const line of this.visible(this.data.lines)) drawLine(frame, line);
    const taken = [];
    for (const note of this.data.notes) drawNote(frame, note, taken);
  }

  // Reading: a line and the number of one of its points.

  nearest(frame, x, y) {
    let found = null, least = Infinity;
    for (const line of this.visible(this.readable)) {
      const index = nearestInView(frame, line, x, y);
      if (index < 0) continue;
      const distance = Math.hypot(frame.x(line.x[index]) - x, frame.y(line.y[index]) - y);
      if (distance < least) [found, least] = [{ line, index }, distance];
    }
    return found;
  }

  step(frame, reading, across, down) {
    const lines = this.visible(this.readable).filter((line) => inView(frame, line).length);
    if (!lines.length) return null;
    if (!reading) return { line: lines[0], index: inView(frame, lines[0]).at(across < 0 ? -1 : 0) };
    const place = limit(lines.indexOf(reading.line) + down, 0, lines.length - 1);
    const line = lines[place], inside = inView(frame, line);
    if (down) {
      const [x, y] = this.place(frame, reading);
      return { line, index: nearestInView(frame, line, x, y) };
    }
    return { line, index: inside[limit(inside.indexOf(reading.index) + across, 0, inside.length - 1)] };
  }

  place(frame, { line, index }) {
    return [frame.x(line.x[index]), frame.y(line.y[index])];
  }

  tell(frame, { line, index }) {
    const { xlabel, ylabel, xticks } = this.data;
    const named = xticks && xticks.find(([value]) => value === line.x[index]);
    const x = named ? named[1] : shown(line.x[index]);
    return `${xlabel} ${x}: ${line.label || ylabel} ${shown(line.y[index])}`;
  }

  point(frame, reading) {
    if (this.values) this.fillLegend(reading);
    if (!reading) return;
    const { line } = reading, [x, y] = this.place(frame, reading);
    const { top, bottom } = frame.box;
    svgElement("path", { class: "cursor", d: `M${x} ${top}V${bottom}` }, frame.cursor);
    if (this.readable.length > 1) drawStroke(frame.cursor, line, pathOf(frame, line), 1.4);
    svgElement("circle", { class: "at", cx: x, cy: y, r: 3.5 }, frame.cursor);
  }

  fillLegend(reading) {
    const at = reading && reading.line.x[reading.index];
    for (const [entry, value] of this.values) {
      const lines = this.visible(this.readable).filter((line) => this.entryOf(line) === entry);
      const own = reading && lines.includes(reading.line) ? reading.line : lines[0];
      value.textContent = reading && own ? shown(valueAt(own, at)) : "";
    }
  }

  heights([low, high]) {
    const values = this.visible(this.readable).flatMap((line) =>
      line.y.filter((y, k) => y !== null && line.x[k] >= low && line.x[k] <= high));
    if (!values.length) return null;
    const least = Math.min(...values), most = Math.max(...values);
    if (this.data.ylog) return [least / 1.05, most * 1.05];
    const margin = 0.06 * (most - least) || 0.05 * Math.abs(most) || 1;
    return [least - margin, most + margin];
  }
}

function inView(frame, line) {
  const [low, high] = frame.view.x, found = [];
  line.x.forEach((x, k) => { if (line.y[k] !== null && x >= low && x <= high) found.push(k); });
  return found;
}

function nearestInView(frame, line, x, y) {
  let found = -1, least = Infinity;
  for (const k of inView(frame, line)) {
    // Across first: what is asked for is the value at this x. Up decides between points above it.
    const distance = Math.abs(frame.x(line.x[k]) - x) + 1e-3 * Math.abs(frame.y(line.y[k]) - y);
    if (distance < least) [found, least] = [k, distance];
  }
  return found;
}

function valueAt(line, x) {
  let found = 0;
  line.x.forEach((value, k) => {
    if (line.y[k] !== null && Math.abs(value - x) < Math.abs(line.x[found] - x)) found = k;
  });
  return line.y[found];
}

const colour = (name) => `var(--${name})`;

function drawStroke(parent, line, d, thicker = 1) {
  if (!line.dash) return;
  const path = svgElement("path", { class: "line", d }, parent);
  path.style.stroke = colour(line.colour);
  path.style.strokeWidth = line.width * thicker;
  path.style.opacity = line.alpha;
  if (line.dash in DASHES) path.style.strokeDasharray = DASHES[line.dash];
}

function drawMarker(parent, line, x, y) {
  const mark = svgElement("path", { d: MARKERS[line.marker], transform: `translate(${x} ${y})` }, parent);
  mark.style.fill = line.marker === "x" ? "none" : colour(line.colour);
  mark.style.stroke = colour(line.colour);
  mark.style.opacity = line.alpha;
}

// A line goes on beyond the view, where the frame cuts it off; what is no number is a gap.
function pathOf(frame, line) {
  let pen = "M", path = "";
  line.x.forEach((x, k) => {
    if (line.y[k] === null) { pen = "M"; return; }
    path += `${pen}${frame.x(x).toFixed(2)} ${frame.y(line.y[k]).toFixed(2)}`;
    pen = "L";
  });
  return path;
}

function drawLine(frame, line) {
  const inside = inView(frame, line);
  drawStroke(frame.inside, line, pathOf(frame, line));
  const marker = line.marker || (line.x.length === 1 ? "o" : "");
  if (!marker || (line.dash && inside.length > MOST_MARKERS)) return;
  const every = Math.ceil(inside.length / MOST_MARKERS);
  for (const k of inside.filter((_, number) => number % every === 0)) {
    drawMarker(frame.inside, { ...line, marker }, frame.x(line.x[k]), frame.y(line.y[k]));
  }
}

function drawBand(frame, band) {
  const corners = band.points.map(([x, y]) => `${frame.x(x).toFixed(2)} ${frame.y(y).toFixed(2)}`);
  const path = svgElement("path", { d: `M${corners.join("L")}Z` }, frame.inside);
  path.style.fill = colour(band.colour);
  path.style.opacity = band.alpha;
}

function drawGuide(frame, guide) {
  const { left, right, top, bottom } = frame.box;
  const across = guide.y !== undefined;
  const d = across ? `M${left} ${frame.y(guide.y)}H${right}` : `M${frame.x(guide.x)} ${top}V${bottom}`;
  drawStroke(frame.inside, guide, d);
}

// A note stands at numbers of the axes, or at parts of their lengths, or at one of each; not upon
// another one.
function drawNote(frame, note, taken) {
  const { left, right, top, bottom } = frame.box;
  const x = note.xpart ? left + note.x * (right - left) : frame.x(note.x);
  const y = note.ypart ? bottom - note.y * (bottom - top) : frame.y(note.y);
  if (x < left - 1 || x > right + 1 || y < top - 1 || y > bottom + 1) return;
  const lines = note.text.split("\n"), width = 5.2 * Math.max(...lines.map((said) => said.length));
  const box = around([x + width / 2, y], width, 10 * lines.length);
  if (taken.some((other) => overlap(box, other))) return;
  taken.push(box);
  lines.forEach((said, k) => {
    const down = note.middle ? (k - (lines.length - 1) / 2) * 10 + 3 : k * 10;
    const text = svgText(said, x + note.dx, y - note.dy + down, { class: "note" }, frame.svg);
    text.style.fill = colour(note.colour);
  });
}
