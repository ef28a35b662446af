// The grammar of lesson 1 and the recognizer of lesson 4. Its words and its pattern come from the lessons' cells.

class Grammar {
  constructor({NOUNS, ADJECTIVES, ENDINGS, TRANSITIVE, INTRANSITIVE, ADVERBS, CONJUNCTIONS, KINDS, SENTENCE}) {
    Object.assign(this, {NOUNS, ADJECTIVES, ENDINGS, ADVERBS, CONJUNCTIONS, KINDS});
    this.verbs = {...TRANSITIVE, ...INTRANSITIVE};
    this.words = Object.keys(KINDS);
    this.pattern = new RegExp(`^(?:${SENTENCE})$`);
  }

  kinds(words) {
    return words.map((word) => (Object.hasOwn(this.KINDS, word) ? this.KINDS[word] : "?")).join("");
  }

  is_right(words) {
    return this.pattern.test(this.kinds(words)) && words.every((word, i) => word !== words[i + 1]);
  }

  // whether a sentence can begin like this; one of six endings completes every beginning
  is_beginning(words) {
    const doubled = words.some((word, i) => word === words[i + 1]);
    const ends = ["", "i", "ni", "n", "dn", "dni"];
    return !doubled && ends.some((end) => this.pattern.test(this.kinds(words) + end));
  }

  unknown(words) {
    return [...new Set(words.filter((word) => !this.words.includes(word)))];
  }

  // [Latin words, the place of the English word that each translates], or null: no sentence of the grammar
  translation(words) {
    if (!this.is_right(words)) return null;
    const latin = [];
    let adjectives = [], verb = null;
    const close = () => { latin.push([this.verbs[words[verb]], verb]); };
    words.forEach((word, i) => {
      const kind = this.KINDS[word];
      if (kind === "d") adjectives = [];
      if (kind === "a") adjectives.push(i);
      if (kind === "n") {
        const is_object = verb === null ? 0 : 1;
        const gender = this.NOUNS[word][2];
        latin.push([this.NOUNS[word][is_object], i]);
        for (const at of adjectives) latin.push([this.ADJECTIVES[words[at]] + this.ENDINGS[gender][is_object], at]);
      }
      if (kind === "t" || kind === "i") verb = i;
      if (kind === "r") latin.push([this.ADVERBS[word], i]);
      if (kind === "c") {
        close();
        latin.push([this.CONJUNCTIONS[word], i]);
        verb = null;
      }
    });
    close();
    return [latin.map(([word]) => word), latin.map(([, place]) => place)];
  }
}

// --- choosing the next word: lesson 4, section 3 -----------------------------------------------------------------------

const with_temperature = (scores, temperature) => scores.map((score) => score / temperature);

function with_top_k(scores, k) {
  const smallest = [...scores].sort((a, b) => b - a)[k - 1];
  return scores.map((score) => (score < smallest ? -Infinity : score));
}

function with_top_p(scores, p) {  // as few words as together reach p; the one that reaches it is kept
  const weights = softmax(scores);
  let sum = 0;
  const kept = new Set();
  for (const i of [...weights.keys()].sort((a, b) => weights[b] - weights[a])) {
    if (sum < p) kept.add(i);
    sum += weights[i];
  }
  return scores.map((score, i) => (kept.has(i) ? score : -Infinity));
}

const probabilities = (scores, {temperature, k, p}) =>
  softmax(with_top_p(with_top_k(with_temperature(scores, temperature), k), p));

function draw(weights, number) {  // number: from 0 to 1, drawn by chance
  let sum = 0;
  for (const [i, weight] of weights.entries()) if ((sum += weight) > number) return i;
  return argmax(weights);
}

// Numbers that look drawn by chance and are the same for the same seed: mulberry32
function random(seed) {
  let state = (seed * 2654435761) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

function random_normal(chance) {  // Box and Muller
  return Math.sqrt(-2 * Math.log(1 - chance())) * Math.cos(2 * Math.PI * chance());
}

function entropy(weights) {  // in bits
  return -weights.reduce((sum, weight) => sum + (weight > 0 ? weight * Math.log2(weight) : 0), 0);
}
