// The page: one form for each view. What its controls hold is the state; it stands in the address behind "#".

const data = (id) => JSON.parse(document.getElementById(id).textContent);
const lessons = data("lessons"), WORDS = data("words");
const models = read_models(data("models"), lessons);
const SOURCE = document.documentElement.dataset.source;  // the language of the sentences
const grammar = new Grammar(lessons);
const LONGEST = 40;  // words of a sentence
const english_id = (word) => lessons.english_ids.indexOf(word);
const all_words = (text) => text.toLowerCase().split(/[^\p{L}<>]+/u).filter(Boolean);
const to_words = (text, longest = LONGEST) => all_words(text).slice(0, longest);

const all_forms = [...document.querySelectorAll("form[data-view]")];
const forms = Object.fromEntries(all_forms.map((form) => [form.dataset.view, form]));
const views = {};  // {name: redraw}; each view's script puts its own here
let shown = "";

// --- the state in the address ------------------------------------------------------------------------------------------

const controls = (form) => [...form.elements].filter((control) => control.name);
const initial = (control) => control.tagName === "SELECT"
  ? ([...control.options].find((option) => option.defaultSelected) ?? control.options[0]).value : control.defaultValue;

function state_of(form) {  // what differs from the beginning
  const state = new URLSearchParams({view: form.dataset.view});
  for (const control of controls(form)) {
    if (control.type === "checkbox") {
      if (control.checked !== control.defaultChecked) state.set(control.name, control.checked ? "on" : "off");
    } else if (control.value !== initial(control)) state.set(control.name, control.value);
  }
  return state;
}

function restore(form, state) {
  for (const control of controls(form)) {
    const value = state.get(control.name);
    if (control.type === "checkbox") control.checked = value === null ? control.defaultChecked : value === "on";
    else control.value = value === null ? initial(control) : value.slice(0, 400);
    if (control.type === "number" && !control.checkValidity()) control.value = initial(control);
    if (control.tagName === "SELECT" && control.selectedIndex < 0) control.value = initial(control);
  }
}

let storing;
function store() {  // not at every touch of a slider
  clearTimeout(storing);
  storing = setTimeout(() => history.replaceState(null, "", `#${state_of(forms[shown])}`), 200);
}

function show_address() {
  const state = new URLSearchParams(location.hash.slice(1));
  const name = Object.hasOwn(forms, state.get("view")) ? state.get("view") : Object.keys(forms)[0];
  if (state.size > 1) restore(forms[name], state);
  shown = name;
  for (const [other, form] of Object.entries(forms)) form.hidden = other !== name;
  for (const link of document.querySelectorAll("nav [data-view]")) {
    if (link.dataset.view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  redraw();
}

// --- what changed, on the screen and aloud -----------------------------------------------------------------------------

function redraw() {
  for (const output of forms[shown].querySelectorAll("output[data-of]"))
    output.value = forms[shown].elements[output.dataset.of].value;
  views[shown]();
  for (const field of forms[shown].querySelectorAll("textarea")) {  // as tall as its text
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight + field.offsetHeight - field.clientHeight}px`;
  }
}

function changed() {
  redraw();
  store();
}

let announcing;
function announce(text) {  // once, when the hand has come to rest
  clearTimeout(announcing);
  announcing = setTimeout(() => { document.getElementById("status").textContent = text; }, 800);
}

const unknown_words = (unknown) =>
  say(WORDS.unknown, {words: unknown.join(", "), n: grammar.words.length, first: unknown[0]});

function name_problem(form, text) {  // an alert: only when it is another one
  const box = form.querySelector("[data-part=problem]");
  if (box.textContent !== text) box.textContent = text;
}

let refocusing = false;  // a focus that is given back chooses nothing

// Buttons drawn anew: the one in that place keeps the focus
function replace_buttons(box, ...parts) {
  const buttons = () => [...box.querySelectorAll("button")];
  const at = buttons().indexOf(document.activeElement);
  box.replaceChildren(...parts);
  refocusing = true;
  if (at >= 0) (buttons()[at] ?? buttons().at(-1))?.focus({preventScroll: true});
  refocusing = false;
}

// A row of a matrix is chosen by pointing, tapping, or with the keyboard; `field` keeps it in the address
function chooser(field) {
  return (row) => {
    if (field.value === String(row)) return;
    field.value = String(row);
    changed();
  };
}

const chosen_of = (field, rows) => (field.value !== "" && +field.value < rows.length ? +field.value : null);

// A word as a button that chooses its row; pressed again it lets go
function choosing_button(parts, row, chosen, choose, look = "word") {
  return element("button", {type: "button", class: look, "aria-pressed": String(row === chosen),
    onclick: () => choose(row === chosen ? "" : row), onfocus: () => { if (!refocusing) choose(row); }}, ...parts);
}

function show_rows(form, rows, chosen, choose) {  // the words that look
  const buttons = rows.map((word, t) => choosing_button([word], t, chosen, choose));
  replace_buttons(form.querySelector("[data-part=rows]"), ...buttons);
}

// Words that may come next; where the first unknown word stands, if there is one. If none fits, all
function offered(words) {
  const at = words.findIndex((word) => !grammar.words.includes(word)), is_unknown = at >= 0;
  const before = is_unknown ? words.slice(0, at) : words;
  const fitting = grammar.words.filter((word) => words.length < LONGEST && grammar.is_beginning([...before, word]));
  const next = is_unknown && !fitting.length ? grammar.words : fitting;
  return next.map((word) => [word, [...before, word, ...(is_unknown ? words.slice(at + 1) : [])]]);
}

// Buttons that do nothing as long as there is no sentence
function enable(form, names, enabled) {
  for (const name of names) form.querySelector(`[data-do=${name}]`).disabled = !enabled;
}

// Words that may follow, to be picked; unknown ones are named
function pick_words(form, words) {
  const field = form.elements.sentence;
  const set = (left) => () => {
    field.value = left.join(" ");
    field.dispatchEvent(new Event("input", {bubbles: true}));
  };
  const button = (text, left, look) => element("button", {type: "button", onclick: set(left), ...look}, text);
  const unknown = grammar.unknown(words);
  replace_buttons(form.querySelector("[data-part=pick]"),
    ...offered(words).map(([word, left]) => button(word, left, {class: "word", lang: SOURCE})),
    ...(words.length ? [button(WORDS.take_back, words.slice(0, -1)), button(WORDS.clear, [])] : []));
  const too_long = all_words(field.value).length > LONGEST ? say(WORDS.too_long, {n: LONGEST}) : "";
  name_problem(form, unknown.length ? unknown_words(unknown) : words.length ? too_long : WORDS.empty);
  return words.length && !unknown.length;
}

function keep_state() {
  for (const form of all_forms) {
    form.addEventListener("input", changed);
    form.querySelector("textarea")?.addEventListener("keydown", (event) => {
      if (event.key === "Enter") event.preventDefault();  // one sentence, one line
    });
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(changed));
  }
  for (const link of document.querySelectorAll("[data-language]"))
    link.addEventListener("click", () => { link.hash = String(state_of(forms[shown])); });
  window.addEventListener("hashchange", show_address);
  window.addEventListener("resize", redraw);
  show_address();
}
