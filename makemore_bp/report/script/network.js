// The trained network: from what stands before it to the next character, and whole words.
//
// The parameters are the run's own, in its precision. All arithmetic is JavaScript's, which is double
// precision, and sums are added in the order of their indices.

const ACTIVATIONS = { tanh: Math.tanh, relu: (value) => Math.max(0, value) };
const BOUNDARY = 0;

function readNetwork(data) {
  const parameters = {};
  for (const [name, text] of Object.entries(data.parameters)) {
    const raw = Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer;
    parameters[name] = Float64Array.from(
      data.dtype === "float64" ? new Float64Array(raw) : new Float32Array(raw));
  }
  // The boundary, which has number 0, stands for no character.
  const ids = new Map(data.characters.map((character, k) => [character, k + 1]));
  return { ...data, parameters, ids, size: data.characters.length + 1 };
}

// Layers, one function each; a matrix (rows, columns) is one array, row after row.

function embedded({ parameters: { C }, n_embd }, context) {
  return context.flatMap((id) => [...C.subarray(id * n_embd, (id + 1) * n_embd)]);
}

function linear(input, weight, bias) {
  const output = Float64Array.from(bias), columns = bias.length;
  for (let row = 0; row < input.length; row++) {
    const factor = input[row], begin = row * columns;
    for (let column = 0; column < columns; column++) output[column] += factor * weight[begin + column];
  }
  return output;
}

function normalised(hprebn, { bngain, bnbias, bnmean, bnvar }, eps) {
  return hprebn.map((value, k) =>
    bngain[k] / Math.sqrt(bnvar[k] + eps) * (value - bnmean[k]) + bnbias[k]);
}

function logitsOf(network, context) {
  const { W1, b1, W2, b2 } = network.parameters;
  const hprebn = linear(embedded(network, context), W1, b1);
  const h = normalised(hprebn, network.parameters, network.eps).map(ACTIVATIONS[network.activation]);
  return linear(h, W2, b2);
}

function softmax(logits, temperature) {
  const largest = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const counts = logits.map((logit) => Math.exp((logit - largest) / temperature));
  const total = counts.reduce((a, b) => a + b, 0);
  return counts.map((count) => count / total);
}

// Words

function nextOf(network, ids, temperature) {
  const before = [...new Array(network.block_size).fill(BOUNDARY), ...ids];
  return softmax(logitsOf(network, before.slice(-network.block_size)), temperature);
}

// The first number at which the running sum of the probabilities exceeds a number from 0 to 1.
function chosen(probabilities, uniform) {
  let sum = 0;
  for (let id = 0; id < probabilities.length; id++) {
    sum += probabilities[id];
    if (uniform < sum) return id;
  }
  return probabilities.length - 1; // rounding left the whole sum a little below 1
}

function drawnWord(network, prefix, temperature, uniform) {
  const ids = [...prefix];
  while (ids.length < network.longest) {
    const id = chosen(nextOf(network, ids, temperature), uniform());
    if (id === BOUNDARY) break;
    ids.push(id);
  }
  return ids;
}

// sfc32, Chris Doty-Humphrey's Small Fast Counting generator with 32-bit words (PractRand, 2010):
// numbers from 0 to below 1, in steps of 2**-32. Seeded as there: the seed in b, twelve rounds.
function sfc32(seed) {
  let a = 0, b = seed | 0, c = 0, counter = 1;
  const round = () => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
  for (let k = 0; k < 12; k++) round();
  return round;
}
