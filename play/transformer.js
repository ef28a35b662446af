// The translator of lesson 4: a transformer, with the weights of every layer and head.

const mean_of_heads = (heads) => heads[0].map((row, t) => row.map((_, i) =>
  heads.reduce((sum, head) => sum + head[t][i], 0) / heads.length));

const head_of = (layers, layer, head) =>
  (head === "mean" ? mean_of_heads(layers[layer - 1]) : layers[layer - 1][head - 1]);

function transform(words, positions) {
  const [scores, layers] = models.transformer.forward(words.map(english_id), words.length + 1, positions);
  return {...until_end([scores, scores], lessons.latin_ids), layers};
}

{
  const form = forms.transformer, {sentence, kind, layer, head, positions, truth, word} = form.elements;
  sentence.addEventListener("input", () => { word.value = ""; });
  kind.addEventListener("input", () => { word.value = ""; });
  const choose = chooser(word);

  let kept = {};  // computed anew only if the sentence or its positions change
  views.transformer = () => {
    const words = to_words(sentence.value), known = pick_words(form, words);
    form.dataset.empty = known ? "" : "yes";
    if (!known) return;
    const key = `${words} ${positions.checked}`;
    if (kept.key !== key) kept = {key, ...transform(words, positions.checked)};
    const [latin, places] = grammar.translation(words) ?? [null, null];
    const asked = ["<start>", ...kept.words].slice(0, words.length + 1);  // what the decoder has read
    const columns = {cross: words, encoder: words, self: asked}[kind.value];
    const rows = {cross: [...kept.words, "<end>"].slice(0, asked.length), encoder: words, self: asked}[kind.value];
    const weights = head_of(kept.layers[kind.value], layer.value, head.value).slice(0, rows.length)
      .map((row) => row.slice(0, columns.length));
    const chosen = chosen_of(word, rows), is_cross = kind.value === "cross";
    replace_buttons(form.querySelector("[data-part=translations]"),
      translation_row(WORDS.transformer.title, kept.words, {truth: latin}),
      true_translation(words, latin));
    show_rows(form, rows, chosen, choose);
    truth.closest("label").hidden = !is_cross;
    const overlay = is_cross && truth.checked ? places : null;
    const true_words = is_cross ? latin : null;
    show_weights(form, {rows, columns, weights, chosen, choose, truth: overlay, places, latin: true_words});
  };
}
