// A picture with two axes: its frame, its view, and how pointer, touch and keyboard change the view.
//
// The marks are another object's, which draws them (draw), finds the nearest to a place (nearest),
// goes from one to the next (step) and says what is read there (tell).

const WIDTH = 374, RIGHT = 10, TOP = 8, BOTTOM = 34;
const DRAGGED = 6; // units; a shorter drag is a click
const HINT = matchMedia("(pointer: coarse)").matches
  ? "Touch to read, two fingers to zoom."
  : "Point or arrow keys to read, drag or + to zoom.";

class Frame {
  constructor(figure, data, marks) {
    Object.assign(this, { data, marks, figure, reading: null, fingers: new Map() });
    this.height = data.height;
    const label = figure.querySelector("svg").getAttribute("aria-label");
    this.svg = svgElement("svg", {
      viewBox: `0 0 ${WIDTH} ${this.height}`, tabindex: 0, role: "application", class: "live",
      "aria-roledescription": "picture with values to read", "aria-label": label,
    });
    figure.querySelector("svg").replaceWith(this.svg);
    this.addControls();
    marks.begin(this);
    this.listen();
    this.reset();
  }

  addControls() {
    const bar = htmlElement("div", { class: "bar" }, this.figure);
    this.svg.after(bar);
    this.readout = htmlElement("p", { class: "readout", "aria-live": "polite" }, bar, HINT);
    this.whole = htmlElement("button", { type: "button", class: "small", hidden: "" }, bar, "Show all");
    this.whole.addEventListener("click", () => { this.reset(); this.svg.focus(); });
  }

  listen() {
    const on = (name, handler) => this.svg.addEventListener(name, handler.bind(this));
    on("pointerdown", this.down);
    on("pointermove", this.move);
    on("pointerup", this.up);
    on("pointercancel", this.cancel);
    on("pointerleave", (event) => { if (event.pointerType === "mouse") this.read(null); });
    on("dblclick", this.reset);
    on("keydown", this.key);
  }

  // Views

  reset() {
    this.look(this.data.xlim, this.data.ylim);
  }

  // Nothing lies beyond the whole picture's ends, so a view never does.
  look(across, y) {
    const x = across.map((value) => limit(value, ...this.data.xlim));
    this.view = { x, y };
    this.whole.hidden = String([x, y]) === String([this.data.xlim, this.data.ylim]);
    this.draw();
  }

  zoomInto([x1, y1], [x2, y2]) {
    const across = [x1, x2].sort((a, b) => a - b).map((at) => this.x.inverse(at));
    const flat = Math.abs(y2 - y1) < 3 * DRAGGED;
    const up = [y1, y2].sort((a, b) => b - a).map((at) => this.y.inverse(at));
    this.look(across, flat ? this.marks.heights(across) || this.view.y : up);
  }

  zoomBy(factor) {
    const around = this.reading ? this.marks.place(this, this.reading) : [];
    const resized = (to, ends, at = (to(ends[0]) + to(ends[1])) / 2) =>
      ends.map((end) => to.inverse(at + (to(end) - at) * factor));
    const across = resized(this.x, this.view.x, around[0]);
    this.look(across, this.marks.heights(across) || resized(this.y, this.view.y, around[1]));
  }

  // What is drawn

  draw() {
    const { data, view } = this;
    this.svg.replaceChildren();
    this.ylabels = this.labels(data.yticks, ticks(data.ylog, view.y, 5), view.y);
    const widest = Math.max(...this.ylabels.map(([, said]) => said.length), 1);
    this.box = { left: 25 + 5.8 * widest, right: WIDTH - (data.margin || RIGHT), top: TOP,
                 bottom: this.height - BOTTOM };
    this.x = scale(data.xlog, view.x, this.box.left, this.box.right);
    this.y = scale(data.ylog, view.y, this.box.bottom, this.box.top);
    this.axes();
    this.inside = svgElement("g", { "clip-path": `url(#clip-${data.name})` }, this.svg);
    this.marks.draw(this);
    this.cursor = svgElement("g", { "clip-path": `url(#clip-${data.name})` }, this.svg);
    this.read(this.reading);
  }

  labels(given, computed, [low, high]) {
    const all = given || computed.map((value) => [value, shown(Number(value.toPrecision(10)))]);
    return all.filter(([value]) => value >= low && value <= high);
  }

  axes() {
    const { left, right, top, bottom } = this.box;
    const clip = svgElement("clipPath", { id: `clip-${this.data.name}` }, this.svg);
    svgElement("rect", { x: left, y: top, width: right - left, height: bottom - top }, clip);
    for (const [value, said] of this.ylabels) {
      const y = this.y(value);
      svgElement("path", { class: "grid", d: `M${left} ${y}H${right}` }, this.svg);
      svgText(said, left - 5, y, { class: "tick end" }, this.svg);
    }
    this.acrossLabels();
    svgElement("path", { class: "axis", d: `M${left} ${top}V${bottom}H${right}` }, this.svg);
    svgText(this.data.xlabel, (left + right) / 2, this.height - 6, { class: "name" }, this.svg);
    const turned = `rotate(-90) translate(${-(top + bottom) / 2} 11)`;
    svgText(this.data.ylabel, 0, 0, { class: "name", transform: turned }, this.svg);
  }

  acrossLabels() {
    const { top, bottom } = this.box;
    const found = this.labels(this.data.xticks, ticks(this.data.xlog, this.view.x, 5), this.view.x);
    let free = -Infinity; // where the next label may begin
    for (const [value, said] of found) {
      const x = this.x(value), half = 2.9 * said.length + 3;
      svgElement("path", { class: "grid", d: `M${x} ${top}V${bottom}` }, this.svg);
      if (x - half < free) continue;
      const end = x + half > WIDTH ? " end" : "";
      svgText(said, end ? WIDTH - 1 : x, bottom + 12, { class: `tick across${end}` }, this.svg);
      free = x + half;
    }
  }

  // What is read

  read(reading) {
    this.reading = reading;
    this.cursor.replaceChildren();
    this.readout.textContent = reading ? this.marks.tell(this, reading) : HINT;
    this.readout.classList.toggle("hint", !reading);
    this.marks.point(this, reading);
  }

  readAt([x, y]) {
    this.read(this.marks.nearest(this, x, y));
  }

  key(event) {
    const steps = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1],
                    Home: [-Infinity, 0], End: [Infinity, 0] };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in steps) this.read(this.marks.step(this, this.reading, ...steps[event.key]));
    else if (event.key === "+" || event.key === "=") this.zoomBy(1 / 2);
    else if (event.key === "-") this.zoomBy(2);
    else if (event.key === "Escape") { this.read(null); this.reset(); } else return;
    event.preventDefault();
  }

  // Pointers: a mouse reads as it moves and zooms into what it drags over; one finger reads, two
  // hold the numbers below them and so zoom. Scrolling the page stays the finger's own.

  down(event) {
    const at = pointIn(this.svg, event);
    this.fingers.set(event.pointerId, at);
    if (event.pointerType !== "touch") this.svg.setPointerCapture(event.pointerId);
    if (this.fingers.size === 2) this.held = this.heldNumbers();
    else this.begun = this.within(at);
    this.readAt(at);
  }

  move(event) {
    const at = pointIn(this.svg, event);
    if (this.fingers.has(event.pointerId)) this.fingers.set(event.pointerId, at);
    if (this.fingers.size === 2) this.pinch();
    else if (this.isDragging(event)) this.select(this.begun, at);
    else this.readAt(at);
  }

  isDragging(event) {
    return event.pointerType !== "touch" && this.fingers.has(event.pointerId);
  }

  up(event) {
    const at = pointIn(this.svg, event), dragged = this.isDragging(event);
    this.cancel(event);
    if (dragged && Math.abs(at[0] - this.begun[0]) > DRAGGED) this.zoomInto(this.begun, this.within(at));
    else this.readAt(at);
  }

  cancel(event) {
    this.fingers.delete(event.pointerId);
  }

  within([x, y]) {
    const { left, right, top, bottom } = this.box;
    return [limit(x, left, right), limit(y, top, bottom)];
  }

  select(from, to) {
    const [x, y] = this.within(to), flat = Math.abs(y - from[1]) < 3 * DRAGGED;
    this.cursor.replaceChildren();
    svgElement("rect", {
      class: "selection", x: Math.min(x, from[0]), width: Math.abs(x - from[0]),
      y: flat ? this.box.top : Math.min(y, from[1]),
      height: flat ? this.box.bottom - this.box.top : Math.abs(y - from[1]),
    }, this.cursor);
  }

  heldNumbers() {
    return [...this.fingers.values()].map(([x]) => this.x.inverse(x));
  }

  pinch() {
    const [[first], [second]] = [...this.fingers.values()];
    if (Math.abs(first - second) < 2 * DRAGGED) return;
    const plain = this.data.xlog ? Math.log10 : (value) => value;
    const [a, b] = this.held.map(plain), unit = (b - a) / (second - first);
    const ends = [this.box.left, this.box.right].map((end) => a + (end - first) * unit);
    const across = ends.map((value) => this.data.xlog ? 10 ** value : value);
    if (across[0] < across[1]) this.look(across, this.marks.heights(across) || this.view.y);
  }
}
