// The models of the lessons, with the notebooks' names: put the two side by side. A vector is an array of numbers and a
// text a list of vectors, so (batch, words, size) of the notebooks is here x[word][number]: one text, no batch.

const PAD = 0, START = 1, END = 2;

// --- numbers -----------------------------------------------------------------------------------------------------------

function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

const add = (a, b) => a.map((number, i) => number + b[i]);
const cat = (a, b) => Float64Array.from([...a, ...b]);
const argmax = (numbers) => numbers.reduce((best, number, i) => (number > numbers[best] ? i : best), 0);
const sigmoid = (number) => 1 / (1 + Math.exp(-number));

function softmax(scores) {
  const largest = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = scores.map((score) => Math.exp(score - largest));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / total);
}

function weighted_sum(weights, vectors) {
  const result = new Float64Array(vectors[0].length);
  vectors.forEach((vector, i) => vector.forEach((number, j) => { result[j] += weights[i] * number; }));
  return result;
}

// --- layers ------------------------------------------------------------------------------------------------------------

function linear({weight, bias}, x) {  // one vector
  const result = new Float64Array(weight.length);
  for (let i = 0; i < weight.length; i++) result[i] = dot(weight[i], x) + (bias ? bias[i] : 0);
  return result;
}

function layer_norm({weight, bias}, x, eps = 1e-5) {
  const mean = x.reduce((a, b) => a + b, 0) / x.length;
  const variance = x.reduce((sum, number) => sum + (number - mean) ** 2, 0) / x.length;
  return x.map((number, i) => ((number - mean) / Math.sqrt(variance + eps)) * weight[i] + bias[i]);
}

const gelu = (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));  // approximate="tanh"

function gru_cell(layer, x, state, which = "") {  // torch.nn.GRUCell; `which` names one of the cells of a torch.nn.GRU
  const of = (from) => ({weight: layer[`weight_${from}${which}`], bias: layer[`bias_${from}${which}`]});
  const input = linear(of("ih"), x), hidden = linear(of("hh"), state), size = state.length;
  return state.map((before, i) => {
    const reset = sigmoid(input[i] + hidden[i]);
    const keep = sigmoid(input[size + i] + hidden[size + i]);
    const fresh = Math.tanh(input[2 * size + i] + reset * hidden[2 * size + i]);
    return (1 - keep) * fresh + keep * before;
  });
}

// --- attention: lessons 1 and 2 ----------------------------------------------------------------------------------------

// query [targets][size], key and value [sources][size], mask [targets][sources]: true = may look
function dot_product_attention(query, key, value, mask = null) {
  const scores = query.map((q) => key.map((k) => dot(q, k) / Math.sqrt(k.length)));
  const masked = scores.map((row, t) => row.map((score, i) => (!mask || mask[t][i] ? score : -Infinity)));
  const weights = masked.map(softmax);
  return [weights.map((row) => weighted_sum(row, value)), weights];
}

const causal_mask = (tokens) => Array.from({length: tokens}, (_, t) => Array.from({length: tokens}, (_, i) => i <= t));

function split_heads(x, num_heads) {  // [tokens][hidden] → [heads][tokens][size]
  const size = x[0].length / num_heads;
  return Array.from({length: num_heads}, (_, head) => x.map((row) => row.subarray(head * size, (head + 1) * size)));
}

// x asks the source: self-attention its own text, cross-attention, in lesson 4, the English sentence. The cache holds keys
// and values of what was read before (lesson 4, section 4).
function multi_head_attention(layer, x, source, mask, num_heads, cache = {key: [], value: []}) {
  for (const row of source) {
    cache.key.push(linear(layer.key, row));
    cache.value.push(linear(layer.value, row));
  }
  const query = split_heads(x.map((row) => linear(layer.query, row)), num_heads);
  const key = split_heads(cache.key, num_heads), value = split_heads(cache.value, num_heads);
  const heads = query.map((q, head) => dot_product_attention(q, key[head], value[head], mask));
  const gathered = x.map((_, t) => heads.map(([found]) => found[t]).reduce(cat));
  return [gathered.map((row) => linear(layer.out, row)), heads.map(([, weights]) => weights)];
}

class AdditiveAttention {
  constructor(weights) { Object.assign(this, weights); }  // W, U, v

  forward(query, keys, values, mask) {
    const asked = linear(this.W, query);
    const hidden = keys.map((key) => add(asked, key).map(Math.tanh));
    const scores = hidden.map((row, i) => (mask[i] ? linear(this.v, row)[0] : -Infinity));
    const weights = softmax(scores);
    return [weighted_sum(weights, values), weights];  // context, weights
  }
}

// --- lesson 1: the recurrent translator --------------------------------------------------------------------------------

class Encoder {
  constructor(weights) { Object.assign(this, weights); }  // embedding, gru

  forward(source) {  // ids; padding is left out, its states are 0
    const words = source.filter((id) => id !== PAD).map((id) => this.embedding.weight[id]);
    const size = this.gru.weight_hh_l0[0].length;
    const read = (texts, which) => {
      let state = new Float64Array(size);
      return texts.map((word) => (state = gru_cell(this.gru, word, state, which)));
    };
    const forwards = read(words, "_l0"), backwards = read([...words].reverse(), "_l0_reverse").reverse();
    const states = source.map((_, i) => (i < words.length ? cat(forwards[i], backwards[i]) : new Float64Array(2 * size)));
    return [states, cat(forwards.at(-1), backwards[0])];
  }
}

class Decoder {
  constructor(weights) {  // embedding, cell, out, perhaps attention
    Object.assign(this, weights);
    this.attention = weights.attention && new AdditiveAttention(weights.attention);
  }

  forward(word, state, keys, states, mask, last) {
    let context = last, weights = null;
    if (this.attention) [context, weights] = this.attention.forward(state, keys, states, mask);
    state = gru_cell(this.cell, cat(this.embedding.weight[word], context), state);
    return [linear(this.out, cat(state, context)), state, weights];
  }
}

class Translator {
  constructor({encoder, decoder}) {
    this.encoder = new Encoder(encoder);
    this.decoder = new Decoder(decoder);
  }

  // logits [length][words] and weights [length][source] of the words that it writes itself
  forward(source, length, mask = source.map((id) => id !== PAD)) {
    const [states, last] = this.encoder.forward(source);
    const {attention} = this.decoder;
    const keys = attention && states.map((h) => linear(attention.U, h));  // the same at every step
    let state = last, word = START, logits, weights;
    const steps = [];
    for (let t = 0; t < length; t++) {
      [logits, state, weights] = this.decoder.forward(word, state, keys, states, mask, last);
      steps.push([logits, weights]);
      word = argmax(logits);
    }
    return [steps.map(([logits]) => logits), steps.map(([, weights]) => weights)];
  }
}

// --- lesson 4: the transformer -----------------------------------------------------------------------------------------

class PreNormBlock {
  constructor(weights, num_heads) { Object.assign(this, weights, {num_heads}); }

  feed_forward_of(x) {
    const {0: first, 2: second} = this.feed_forward;
    return x.map((row) => add(row, linear(second, linear(first, layer_norm(this.norm2, row)).map(gelu))));
  }

  forward(x, mask = null) {  // [tokens][hidden] → the same, and weights [heads][tokens][tokens]
    const normed = x.map((row) => layer_norm(this.norm1, row));
    const [gathered, weights] = multi_head_attention(this.attention, normed, normed, mask, this.num_heads);
    return [this.feed_forward_of(x.map((row, t) => add(row, gathered[t]))), weights];
  }
}

class DecoderBlock extends PreNormBlock {
  // x [1][hidden]: the newest word. Those before it are in the cache, and none behind it is there yet: no causal mask.
  forward(x, source, cache) {
    const normed = x.map((row) => layer_norm(this.norm1, row));
    const [own, self] = multi_head_attention(this.attention, normed, normed, null, this.num_heads, cache.self);
    x = x.map((row, t) => add(row, own[t]));
    const asking = x.map((row) => layer_norm(this.norm_cross, row));
    const [found, cross] = multi_head_attention(this.cross, asking, source, null, this.num_heads, cache.cross);
    return [this.feed_forward_of(x.map((row, t) => add(row, found[t]))), self, cross];
  }
}

class GPT {
  constructor({words, positions, blocks, norm}, num_heads) {
    Object.assign(this, {words, positions, norm});
    this.blocks = Object.values(blocks).map((weights) => new PreNormBlock(weights, num_heads));
  }

  // scores [tokens][words] of what comes next, and weights [layers][heads][tokens][tokens]
  forward(ids, mask = causal_mask(ids.length)) {
    let x = ids.map((id, place) => add(this.words.weight[id], this.positions.weight[place])), weights;
    const layers = [];
    for (const block of this.blocks) {
      [x, weights] = block.forward(x, mask);
      layers.push(weights);
    }
    return [x.map((row) => linear(this.words, layer_norm(this.norm, row))), layers];
  }
}

function sinusoidal_positions(count, hidden_size) {
  return Array.from({length: count}, (_, position) => Float64Array.from({length: hidden_size}, (_, i) => {
    const angle = position * 10000 ** (-(i - (i % 2)) / hidden_size);
    return i % 2 ? Math.cos(angle) : Math.sin(angle);
  }));
}

class Transformer {
  constructor(weights, num_heads) {
    Object.assign(this, weights);  // english, latin, norm_encoder, norm_decoder, out
    this.encoder = Object.values(weights.encoder).map((block) => new PreNormBlock(block, num_heads));
    this.decoder = Object.values(weights.decoder).map((block) => new DecoderBlock(block, num_heads));
    this.positions = sinusoidal_positions(64, weights.english.weight[0].length);
  }

  enter(table, id, place, with_positions) {
    return with_positions ? add(table.weight[id], this.positions[place]) : table.weight[id];
  }

  encode(source, with_positions = true) {
    let x = source.map((id, place) => this.enter(this.english, id, place, with_positions)), weights;
    const layers = [];
    for (const block of this.encoder) {
      [x, weights] = block.forward(x);
      layers.push(weights);
    }
    return [x.map((row) => layer_norm(this.norm_encoder, row)), layers];
  }

  // logits [length][words] of the words that it writes itself; weights [layers][heads][rows][columns] of each kind
  forward(source, length, with_positions = true) {
    const [states, encoder] = this.encode(source, with_positions);
    const empty = () => ({key: [], value: []}), caches = this.decoder.map(() => ({self: empty(), cross: empty()}));
    const tables = () => this.decoder.map((block) => Array.from({length: block.num_heads}, () => []));
    const logits = [], self = tables(), cross = tables();
    for (let t = 0, word = START; t < length; t++) {
      let x = [this.enter(this.latin, word, t, with_positions)], own, asked;
      this.decoder.forEach((block, layer) => {
        [x, own, asked] = block.forward(x, t ? [] : states, caches[layer]);
        own.forEach(([row], head) => self[layer][head].push(Float64Array.from({length}, (_, i) => row[i] ?? 0)));
        asked.forEach(([row], head) => cross[layer][head].push(row));
      });
      logits.push(linear(this.out, layer_norm(this.norm_decoder, x[0])));
      word = argmax(logits[t]);
    }
    return [logits, {encoder, self, cross}];
  }
}

// --- the file of the weights: safetensors ------------------------------------------------------------------------------

function half_to_number(bits) {  // a 16-bit floating-point number (IEEE 754)
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}

// The models, from {plain: {encoder: {embedding: {weight: [rows][numbers]}, …
function read_models(base64, {num_heads}) {
  const bytes = Uint8Array.from(atob(base64), (sign) => sign.charCodeAt(0));
  const start = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const tensors = JSON.parse(new TextDecoder().decode(bytes.subarray(8, start)));
  const models = {};
  for (const [name, {shape, data_offsets: [from, to]}] of Object.entries(tensors)) {
    const numbers = Float64Array.from(new Uint16Array(bytes.slice(start + from, start + to).buffer), half_to_number);
    const [rows, size] = shape.length === 2 ? shape : [1, shape[0]];
    const table = Array.from({length: rows}, (_, i) => numbers.subarray(i * size, (i + 1) * size));
    const path = name.split("."), last = path.pop();
    const place = path.reduce((tree, part) => (tree[part] ??= {}), models);
    place[last] = shape.length === 2 ? table : numbers;
  }
  return {
    plain: new Translator(models.plain),
    attentive: new Translator(models.attentive),
    transformer: new Transformer(models.transformer, num_heads),
    writer: new GPT(models.writer, num_heads),
  };
}
