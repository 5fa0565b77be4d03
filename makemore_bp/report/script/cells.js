// A picture of cells, whose numbers are read one by one. The picture stays as it was drawn; only
// the cell that is read is framed.

const READ_HINT = matchMedia("(pointer: coarse)").matches ? "Touch to read." : "Point or arrow keys to read.";

class Cells {
  constructor(figure, data) {
    Object.assign(this, { data, svg: figure.querySelector("svg"), cell: null });
    const { width, height } = this.svg.viewBox.baseVal, [left, bottom, across, up] = data.box;
    this.box = { left: left * width, top: (1 - bottom - up) * height,
                 width: across * width, height: up * height };
    this.svg.setAttribute("tabindex", 0);
    this.svg.setAttribute("role", "application");
    this.svg.setAttribute("class", "live");
    this.mark = svgElement("rect", { class: "cell" }, this.svg);
    this.readout = htmlElement("p", { class: "readout hint", "aria-live": "polite" }, figure);
    this.svg.after(this.readout);
    this.listen();
    this.read(null);
  }

  listen() {
    const point = (event) => this.readAt(pointIn(this.svg, event));
    this.svg.addEventListener("pointermove", point);
    this.svg.addEventListener("pointerdown", point);
    this.svg.addEventListener("keydown", (event) => this.key(event));
  }

  readAt([x, y]) {
    const { rows, columns } = this.data, { left, top, width, height } = this.box;
    const column = Math.floor((x - left) / width * columns), row = Math.floor((y - top) / height * rows);
    const inside = column >= 0 && column < columns && row >= 0 && row < rows;
    this.read(inside ? [row, column] : null);
  }

  key(event) {
    const steps = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };
    if (event.key === "Escape") this.read(null);
    else if (event.key in steps) {
      const [down, across] = steps[event.key], [row, column] = this.cell || [-down, -across];
      this.read([limit(row + down, 0, this.data.rows - 1),
                 limit(column + across, 0, this.data.columns - 1)]);
    } else return;
    event.preventDefault();
  }

  read(cell) {
    this.cell = cell;
    this.readout.classList.toggle("hint", !cell);
    this.readout.textContent = cell ? this.tell(...cell) : READ_HINT;
    const { rows, columns } = this.data, { left, top, width, height } = this.box;
    const [row, column] = cell || [0, 0];
    const place = { x: left + column / columns * width, y: top + row / rows * height,
                    width: width / columns, height: height / rows };
    for (const [key, value] of Object.entries(place)) this.mark.setAttribute(key, value);
    this.mark.style.display = cell ? "" : "none";
  }

  tell(row, column) {
    const { xlabel, ylabel, xnames, ynames, values, columns } = this.data;
    const name = (names, k) => (names ? names[k] : k);
    const value = shown(values[row * columns + column]);
    return `${ylabel} ${name(ynames, row)}, ${xlabel} ${name(xnames, column)}: ${value}`;
  }
}
