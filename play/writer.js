// The writer of lesson 4: the next word's probabilities, and what comes of drawing from them.

const SHOWN = 12, MANY = 20;  // bars; sentences at a time

// scores of the next word behind `words`, and the weights of every layer and head
function next_word(words, masked) {
  const ids = [START, ...words.map(english_id)];
  const [scores, layers] = models.writer.forward(ids, masked ? undefined : null);
  return {scores: scores.at(-1), layers};
}

// One word, the same for the same seed and place; null: the sentence is at its end, or too long
function one_more(words, seed, how, masked) {
  if (words.length + 1 >= lessons.window) return null;
  const chance = random(seed * 64 + words.length);
  const id = draw(probabilities(next_word(words, masked).scores, how), chance());
  return lessons.english_ids[id];
}

function write_on(words, seed, how, masked) {
  const sentence = [...words];
  for (let word; (word = one_more(sentence, seed, how, masked)) && word !== "<end>";) sentence.push(word);
  return sentence;
}

{
  const form = forms.writer, {sentence, temperature, k, p, mask, seed, layer, head, word} = form.elements;
  const part = (name) => form.querySelector(`[data-part=${name}]`);
  const how = () => ({temperature: +temperature.value, k: +k.value, p: +p.value});
  const end = "<end>";
  const words_so_far = () => to_words(sentence.value, lessons.window - 1);
  const write = (words) => {
    sentence.value = words.join(" ");
    changed();
  };
  const act = (name, action) => form.querySelector(`[data-do=${name}]`).addEventListener("click", action);
  const open = (words) => words.at(-1) !== end && !grammar.unknown(words).length;

  act("one", () => {
    const words = words_so_far(), more = open(words) && one_more(words, +seed.value, how(), mask.checked);
    if (more) write([...words, more]);
  });
  act("on", () => {
    const words = words_so_far();
    if (open(words)) write([...write_on(words, +seed.value, how(), mask.checked), end]);
  });
  act("back", () => write(words_so_far().slice(0, -1)));
  act("anew", () => {
    seed.value = String((+seed.value % 9999) + 1);
    write([]);
  });

  let writing = 0;
  act("many", () => {
    const turn = ++writing, right = [];
    part("many").replaceChildren();
    const write_next = () => {
      if (turn !== writing) return;
      const words = write_on([], +seed.value + right.length, how(), mask.checked);
      right.push(grammar.is_right(words));
      part("many").append(element("li", {}, right.at(-1) ? "✓ " : "✗ ", words.join(" ")));
      part("share").textContent = say(WORDS.share, {right: right.filter(Boolean).length, all: right.length});
      if (right.length < MANY) setTimeout(write_next);
      else announce(part("share").textContent);
    };
    write_next();
  });
  for (const name of ["input", "reset"]) form.addEventListener(name, () => {  // written under other settings
    writing++;
    part("many").replaceChildren();
    part("share").textContent = "";
  });

  const choose = chooser(word);

  function verdict(words) {
    const ended = words.at(-1) === end, text = ended ? words.slice(0, -1) : words;
    const wrong = text.findIndex((_, i) => !grammar.is_beginning(text.slice(0, i + 1)));
    if (wrong >= 0) return say(WORDS.wrong_word, {word: text[wrong], n: wrong + 1});
    if (ended) return grammar.is_right(text) ? WORDS.right_sentence : WORDS.unfinished;
    return WORDS.right_so_far;
  }

  function draw_bars(words, scores) {
    const before = softmax(scores), after = probabilities(scores, how());
    const order = [...scores.keys()].sort((a, b) => scores[b] - scores[a]);
    const rows = order.slice(0, SHOWN).map((id) => {
      const name = lessons.english_ids[id];
      const fits = name === end ? grammar.is_right(words) : grammar.is_beginning([...words, name]);
      const label = say(WORDS.bar, {word: name, now: percent(after[id]), before: percent(before[id])})
        + (fits ? "" : ` ${WORDS.not_allowed}`);
      return element("button", {type: "button", class: after[id] ? "bar" : "bar out", "aria-label": label,
        disabled: name !== end && !grammar.words.includes(name), onclick: () => write([...words, name])},
      element("span", {class: "name", lang: SOURCE}, `${fits ? "" : "✗ "}${name}`),
      element("span", {class: "track"}, element("span", {class: "now", style: `width: ${100 * after[id]}%`}),
        element("span", {class: "before", style: `left: ${100 * before[id]}%`})),
      element("span", {class: "number"}, after[id] ? percent(after[id]) : WORDS.out));
    });
    const rest = order.slice(SHOWN).reduce((sum, id) => sum + after[id], 0);
    const others = element("p", {class: "rest"}, say(WORDS.others, {n: order.length - SHOWN, share: percent(rest)}));
    replace_buttons(part("bars"), ...rows, others);
  }

  let kept = {};
  views.writer = () => {
    const all = words_so_far(), ended = all.at(-1) === end, words = ended ? all.slice(0, -1) : all;
    const unknown = grammar.unknown(words), replace = ([word, left]) => element("button", {type: "button",
      class: "word", lang: SOURCE, onclick: () => write(left)}, word);
    replace_buttons(part("pick"), ...(unknown.length ? offered(words).map(replace) : []));
    enable(form, ["one", "on"], !ended && !unknown.length);
    enable(form, ["back"], all.length);
    name_problem(form, unknown.length ? unknown_words(unknown) : "");
    form.dataset.empty = unknown.length ? "yes" : "";
    if (unknown.length) return;
    part("verdict").textContent = verdict(all);
    const key = `${words} ${mask.checked}`;
    if (kept.key !== key) kept = {key, ...next_word(words, mask.checked)};
    if (ended) part("bars").replaceChildren(element("p", {}, WORDS.ended));
    else draw_bars(words, kept.scores);
    const rows = ["<start>", ...words], weights = head_of(kept.layers, layer.value, head.value);
    const chosen = chosen_of(word, rows);
    show_rows(form, rows, chosen, choose);
    show_weights(form, {rows, columns: rows, weights, chosen, choose, truth: null});
    announce(verdict(all));
  };
}
