// Points with names that do not lie upon each other, and the nearest neighbours of each.

const KINDS = ["boundary", "vowel", "other"];
const LETTER = 11, SMALL_LETTER = 8; // units of type; small from MANY names on
const MANY = 60, CROWD = 150; // lines to names farther off would cover a crowd

class Points {
  constructor(data) {
    this.data = data;
    this.size = data.labels.length > MANY ? SMALL_LETTER : LETTER;
  }

  begin(frame) {
    const legend = htmlElement("div", { class: "legend" }, frame.figure);
    frame.readout.parentElement.after(legend);
    for (const kind of KINDS.filter((one) => this.data.kinds.includes(one))) {
      const entry = htmlElement("span", {}, legend);
      const swatch = svgElement("svg", { viewBox: "0 0 12 8", "aria-hidden": "true" }, entry);
      drawDot(swatch, kind, 6, 4);
      htmlElement("span", {}, entry, kind);
    }
  }

  draw(frame) {
    const inside = this.inView(frame);
    const size = inside.length > CROWD ? 0.6 : 1;
    for (const k of inside) drawDot(frame.inside, this.data.kinds[k], ...this.at(frame, k), size);
    const taken = inside.map((k) => around(this.at(frame, k), 4, 4));
    for (const k of inside) this.name(frame, k, taken, inside.length > CROWD);
  }

  // A name takes the first free place near its point. Where there is none it is left out until
  // somebody points there or zooms in.
  name(frame, k, taken, inCrowd) {
    const [x, y] = this.at(frame, k);
    const text = svgText(this.data.labels[k], 0, 0, { class: `letter ${this.data.kinds[k]}` }, null);
    text.style.fontSize = `${this.size}px`;
    frame.inside.append(text);
    const width = Math.max(text.getComputedTextLength(), 4) + 2, height = this.size + 1;
    const free = places(x, y, width, height, inCrowd ? 1 : 4).find((at) => {
      const box = around(at, width, height);
      return within(box, frame.box) && !taken.some((other) => overlap(box, other));
    });
    if (!free) { text.remove(); return; }
    taken.push(around(free, width, height));
    text.setAttribute("x", free[0]);
    text.setAttribute("y", free[1]);
    if (Math.hypot(free[0] - x, free[1] - y) > height + 4) leader(frame, [x, y], free);
  }

  at(frame, k) {
    return [frame.x(this.data.x[k]), frame.y(this.data.y[k])];
  }

  inView(frame) {
    const [left, right] = frame.view.x, [low, high] = frame.view.y;
    return this.data.labels.map((_, k) => k).filter((k) =>
      this.data.x[k] >= left && this.data.x[k] <= right && this.data.y[k] >= low && this.data.y[k] <= high);
  }

  nearest(frame, x, y) {
    let found = null, least = Infinity;
    for (const k of this.inView(frame)) {
      const [px, py] = this.at(frame, k), distance = Math.hypot(px - x, py - y);
      if (distance < least) [found, least] = [{ k }, distance];
    }
    return found;
  }

  step(frame, reading, across, down) {
    const inside = this.inView(frame);
    if (!inside.length) return null;
    const along = down ? this.data.y.map((y) => -y) : this.data.x;
    inside.sort((a, b) => along[a] - along[b]);
    if (!reading) return { k: inside[0] };
    return { k: inside[limit(inside.indexOf(reading.k) + across + down, 0, inside.length - 1)] };
  }

  place(frame, { k }) {
    return this.at(frame, k);
  }

  heights() {
    return null;
  }

  tell(frame, { k }) {
    const near = this.data.near[k].map(([other, distance]) =>
      `${this.data.labels[other]} (${shown(distance)})`);
    return `${this.data.labels[k]}, nearest: ${near.join(", ")}`;
  }

  point(frame, reading) {
    if (!reading) return;
    const here = this.at(frame, reading.k);
    for (const [other] of this.data.near[reading.k]) {
      const [x, y] = this.at(frame, other);
      svgElement("path", { class: "cursor", d: `M${here.join(" ")}L${x} ${y}` }, frame.cursor);
      svgElement("circle", { class: "at near", cx: x, cy: y, r: 6 }, frame.cursor);
    }
    svgElement("circle", { class: "at", cx: here[0], cy: here[1], r: 6 }, frame.cursor);
    const said = { class: "letter read", x: here[0], y: here[1] - 12 };
    svgText(this.data.labels[reading.k], here[0], here[1] - 12, said, frame.cursor);
  }
}

function drawDot(parent, kind, x, y, size = 1) {
  const shapes = { vowel: MARKERS.s, boundary: MARKERS.D, other: MARKERS.o };
  const transform = `translate(${x} ${y}) scale(${size})`;
  svgElement("path", { class: `dot ${kind}`, d: shapes[kind], transform }, parent);
}

// Places for the middle of a name: beside, above and below its point, then in wider circles.
function places(x, y, width, height, rings) {
  const found = [];
  for (let ring = 0; ring < rings; ring++) {
    const across = width / 2 + 4 + ring * 7, up = height / 2 + 3 + ring * 7;
    for (let k = 0; k < 8 + 4 * ring; k++) {
      const angle = 2 * Math.PI * k / (8 + 4 * ring);
      found.push([x + across * Math.cos(angle), y - up * Math.sin(angle)]);
    }
  }
  return found;
}

const around = ([x, y], width, height) =>
  ({ left: x - width / 2, right: x + width / 2, top: y - height / 2, bottom: y + height / 2 });
const overlap = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
const within = (a, b) =>
  a.left >= b.left && a.right <= b.right && a.top >= b.top && a.bottom <= b.bottom;

function leader(frame, [x1, y1], [x2, y2]) {
  svgElement("path", { class: "leader", d: `M${x1} ${y1}L${x2} ${y2}` }, frame.inside);
}
