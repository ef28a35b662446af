// The translator of lesson 1: with attention and with one vector.

// Until its end mark: words and, if there are any, weights
function until_end([logits, weights], names) {
  const ids = logits.map(argmax), end = ids.includes(END) ? ids.indexOf(END) : ids.length;
  return {words: ids.slice(0, end).map((id) => names[id]), weights: weights.slice(0, end)};
}

function translate(model, words, padding, unmasked) {
  const source = [...words.map(english_id), ...Array(padding).fill(PAD)];
  const mask = source.map((id) => unmasked || id !== PAD);
  return until_end(model.forward(source, words.length + 1, mask), lessons.latin_ids);
}

// One translation: each word; behind a wrong one the true one; what is missing at the end of a `whole` one.
// `choose`, if given, makes the words buttons.
function translation_row(name, written, {truth = null, chosen = null, choose = null, whole = true, note = ""} = {}) {
  const words = written.map((word, t) => {
    const wrong = truth && word !== truth[t];
    const parts = wrong ? [word, element("small", {}, ` ✗ ${truth[t] ?? "–"}`)] : [word];
    const look = `word${wrong ? " wrong" : ""}`;
    return choose ? choosing_button(parts, t, chosen, choose, look) : element("span", {class: look}, ...parts);
  });
  const right = truth && written.filter((word, t) => word === truth[t]).length;
  const share = truth ? say(WORDS.right, {right, all: truth.length}) : "";
  if (truth && whole)
    for (const word of truth.slice(written.length))
      words.push(element("span", {class: "word wrong"}, "–", element("small", {}, ` ✗ ${word}`)));
  return element("div", {class: "translation"}, element("p", {class: "name"}, name, " ", element("span", {}, note, share)),
    element("div", {class: "row", lang: "la"}, ...words));
}

// The true translation, or why there is none
function true_translation(words, latin) {
  if (latin) return translation_row(WORDS.true_translation, latin);
  return element("p", {}, grammar.is_beginning(words) ? WORDS.no_sentence_yet : WORDS.no_sentence);
}

{
  const form = forms.translator, {sentence, count, padding, unmasked, truth, word, written} = form.elements;
  const part = (name) => form.querySelector(`[data-part=${name}]`);
  let turn = 0, playing;

  const take_sentence = () => {
    const some = lessons.sentences[count.value];
    sentence.value = some[turn % some.length];
    word.value = written.value = "";
  };
  count.addEventListener("input", take_sentence);
  const act = (name, action) => form.querySelector(`[data-do=${name}]`).addEventListener("click", () => {
    clearInterval(playing);
    action();
    changed();
  });
  act("another", () => { turn += 1; take_sentence(); });
  let last = {};
  const step = () => {
    const next = written.value === "" || +written.value >= last.words.length ? 1 : +written.value + 1;
    written.value = String(next);
    word.value = String(next - 1);
  };
  act("next", step);
  act("play", () => {
    written.value = "0";
    word.value = "";
    playing = setInterval(() => {
      step();
      if (+written.value >= last.words.length) {
        clearInterval(playing);
        written.value = word.value = "";
      }
      changed();
    }, 400);
  });
  sentence.addEventListener("input", () => { word.value = written.value = ""; });

  const choose = chooser(word);

  function show_curves(n) {
    const {attentive, plain} = lessons.measured.accuracy;
    const label = say(WORDS.curves_label, {n, attentive: attentive[n] ?? "–", plain: plain[n] ?? "–"});
    const lines = {[WORDS.attentive]: attentive, [WORDS.plain]: plain};
    draw_curves(part("curves"), {lines, at: n, xlabel: WORDS.length_axis, label});
  }

  views.translator = () => {
    const words = to_words(sentence.value), known = pick_words(form, words);
    form.dataset.empty = known ? "" : "yes";
    enable(form, ["next", "play"], known);
    count.value = words.length;  // within its limits
    part("count").value = words.length;
    if (!known) return;
    show_curves(+count.value);
    const [latin, places] = grammar.translation(words) ?? [null, null];
    const attentive = last = translate(models.attentive, words, +padding.value, unmasked.checked);
    const plain = translate(models.plain, words, +padding.value, unmasked.checked);
    const upto = written.value === "" ? LONGEST : +written.value || 0;
    const rows = attentive.words.slice(0, upto), weights = attentive.weights.slice(0, upto);
    const chosen = chosen_of(word, rows), whole = upto >= Math.max(attentive.words.length, plain.words.length);
    const note = say(WORDS.in_numbers, {n: models.plain.encoder.forward([START])[1].length}) + " ";
    replace_buttons(part("translations"),
      translation_row(WORDS.attentive, rows, {truth: latin, chosen, choose, whole}),
      translation_row(WORDS.plain, plain.words.slice(0, upto), {truth: latin, whole, note}),
      true_translation(words, latin));
    const on_padding = attentive.weights.flatMap((row) => [...row.slice(words.length)]).reduce((a, b) => a + b, 0);
    const share = percent(on_padding / (attentive.weights.length || 1));
    const sentences = [say(WORDS.padding_share, {share}), ...(unmasked.checked ? [WORDS.padding_survives] : [])];
    part("padding-share").textContent = +padding.value ? sentences.join(" ") : "";
    const columns = [...words, ...Array(+padding.value).fill("<pad>")];
    show_weights(form, {rows, columns, weights, chosen, choose, truth: truth.checked ? places : null, places, latin,
      words: words.length});
  };
}
