// What all pictures share: SVG elements, scales from numbers to places, ticks, numbers as text.

const SVG = "http://www.w3.org/2000/svg";

function svgElement(name, attributes, parent) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (parent) parent.append(made);
  return made;
}

function htmlElement(name, attributes, parent, text) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

function svgText(said, x, y, attributes, parent) {
  const made = svgElement("text", { x, y, ...attributes }, parent);
  made.textContent = said;
  return made;
}

const limit = (value, low, high) => Math.max(low, Math.min(high, value));

// A function from numbers between low and high to places between from and to, with its inverse.
function scale(logarithmic, [low, high], from, to) {
  const plain = logarithmic ? Math.log10 : (value) => value;
  const begin = plain(low), span = plain(high) - begin || 1;
  const place = (value) => from + (plain(value) - begin) / span * (to - from);
  place.inverse = (at) => {
    const value = begin + (at - from) / (to - from) * span;
    return logarithmic ? 10 ** value : value;
  };
  return place;
}

function ticks(logarithmic, [low, high], most) {
  const found = logarithmic ? logarithmicTicks(low, high) : [];
  return found.length > 2 ? found : linearTicks(low, high, most);
}

function linearTicks(low, high, most) {
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough * 0.999) * power;
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) found.push(k * step);
  return found;
}

function logarithmicTicks(low, high) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power++) {
    for (const factor of [1, 2, 5]) found.push(factor * 10 ** power);
  }
  const inside = found.filter((value) => value >= low && value <= high);
  const decades = inside.filter((value) => Number.isInteger(Math.round(Math.log10(value) * 1e6) / 1e6));
  return decades.length > 2 ? decades : inside;
}

// Five digits are more than a picture shows.
function shown(value) {
  if (!Number.isFinite(value)) return "not a number";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e10)) {
    return Number(value.toPrecision(4)).toExponential().replaceAll("-", "−");
  }
  const digits = Number.isInteger(value) ? 0 : limit(4 - Math.floor(Math.log10(size)), 0, 8);
  const said = value.toLocaleString("en-US", { maximumFractionDigits: digits });
  return said.replace("-", "−");
}

// A point of a pointer event in the units of an element's viewBox.
function pointIn(svg, event) {
  const seen = svg.getBoundingClientRect(), box = svg.viewBox.baseVal;
  return [(event.clientX - seen.left) * box.width / seen.width,
          (event.clientY - seen.top) * box.height / seen.height];
}
