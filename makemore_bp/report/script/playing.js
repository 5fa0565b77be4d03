// The network in the page: what is typed, the next character, and words.

const WORDS = 24, BARS = 27, SEEDS = 2 ** 32;

class Playing {
  constructor(place, data) {
    this.network = readNetwork(data);
    this.part = (name) => place.querySelector(`[name="${name}"], [data-part="${name}"]`);
    place.hidden = false;
    for (const name of ["prefix", "temperature", "seed"]) {
      this.part(name).addEventListener("input", () => this.show());
    }
    this.part("fresh").addEventListener("click", () => this.freshSeed());
    this.part("bars").addEventListener("click", (event) => this.append(event.target.closest("button")));
    this.show();
  }

  freshSeed() {
    this.part("seed").value = Math.floor(Math.random() * SEEDS);
    this.show();
  }

  append(button) {
    if (!button) return;
    this.part("prefix").value += this.network.characters[button.value - 1];
    this.show();
  }

  show() {
    const typed = this.part("prefix").value, prefix = encoded(this.network, typed);
    const temperature = Number(this.part("temperature").value);
    this.part("degrees").textContent = temperature.toFixed(2);
    const unknown = prefix ? null : [...typed].find((character) => !this.network.ids.has(character));
    this.part("unknown").hidden = !unknown;
    this.part("unknown").textContent =
      `The words that this network learned from have no “${unknown}”. It knows: ` +
      this.network.labels.slice(1, 121).join(" ") + (this.network.size > 121 ? " …" : "");
    if (!prefix) return;
    this.showNext(typed, nextOf(this.network, prefix, temperature));
    this.showWords(prefix, temperature, Number(this.part("seed").value));
  }

  showNext(typed, probabilities) {
    this.part("what").textContent = typed ? `after “${typed}”` : "at the beginning of a word";
    const order = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
    const bars = order.slice(0, BARS).map((id) => this.bar(id, probabilities[id]));
    this.part("bars").replaceChildren(...bars);
    this.part("bars").style.setProperty("--most", probabilities[order[0]]);
    const rest = order.slice(BARS).reduce((sum, id) => sum + probabilities[id], 0);
    this.part("rest").hidden = order.length <= BARS;
    this.part("rest").textContent = `The other ${order.length - BARS} characters: ${percent(rest)}`;
  }

  bar(id, probability) {
    const item = document.createElement("li");
    const kind = id === BOUNDARY ? "span" : "button";
    const named = id === BOUNDARY ? "end" : this.network.labels[id];
    const bar = htmlElement(kind, { class: "probability" }, item);
    if (id !== BOUNDARY) Object.assign(bar, { type: "button", value: id });
    bar.style.setProperty("--p", probability);
    htmlElement("bdi", {}, bar, named);
    htmlElement("span", {}, bar, percent(probability));
    return item;
  }

  showWords(prefix, temperature, seed) {
    const uniform = sfc32(seed), items = [];
    for (let k = 0; k < WORDS; k++) {
      const ids = drawnWord(this.network, prefix, temperature, uniform);
      const item = document.createElement("li");
      htmlElement("bdi", {}, item, this.spelt(ids));
      items.push(item);
    }
    this.part("words").replaceChildren(...items);
  }

  spelt(ids) {
    if (!ids.length) return "(nothing)";
    const { characters, escapes } = this.network;
    return ids.map((id) => escapes[id] || characters[id - 1]).join("");
  }
}

// Two spellings may look alike, an accent of its own or none; the network knows that of its words.
function encoded(network, typed) {
  const forms = [typed, typed.normalize("NFC"), typed.normalize("NFD")];
  const known = forms.find((form) => [...form].every((character) => network.ids.has(character)));
  return known === undefined ? null : [...known].map((character) => network.ids.get(character));
}

const percent = (share) => `${(100 * share).toFixed(share < 0.00095 ? 2 : 1)} %`;
