// Pictures as SVG. Text is always set as text, never as HTML.

const SVG_NAMES = ["svg", "g", "line", "rect", "circle", "text", "path", "polyline", "polygon", "title"];

function element(name, attributes = {}, ...children) {
  const made = SVG_NAMES.includes(name) ? document.createElementNS("http://www.w3.org/2000/svg", name)
                                        : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

const say = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const rounded = (number, digits = 2) => (Math.abs(number) < 0.5 * 10 ** -digits ? 0 : number).toFixed(digits);

const percent = (share) => `${rounded(100 * share, 1)} %`;

function picture(box, width, height, label, ...parts) {
  const look = {viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label};
  box.replaceChildren(element("svg", look, ...parts));
}

// For each row the column with the largest weight, in words
function described(rows, columns, weights) {
  return weights.map((row, t) => `${rows[t]} → ${columns[argmax(row)]} ${rounded(Math.max(...row))}`).join("; ");
}

const ruler = document.createElement("canvas").getContext("2d");
function width_of_text(text) {  // in a picture, bold
  ruler.font = `bold 15px ${getComputedStyle(document.documentElement).getPropertyValue("--course-font") || "sans-serif"}`;
  return ruler.measureText(text).width;
}

const longest = (words) => Math.max(0, ...words.map(width_of_text));
const width_of = (box, most) => Math.min(box.parentElement.clientWidth, most);
const label_at = (x, y, text, more = {}) => element("text", {x, y: y + 5, ...more}, text);
// A mouse chooses where it points. A finger, which would point and tap at once, only by its tap
const pointing = (choose, row) => ({
  onpointerenter: (event) => { if (event.pointerType === "mouse") choose(row); },
  onclick: () => choose(row), style: "cursor: pointer",
});
const bold_if = (is_chosen) => ({"text-anchor": "end", class: is_chosen ? "chosen" : ""});

// {rows, columns: words; weights [rows][columns]; truth: for each row its column, or null; chosen: a row; choose(row);
// words: how many columns are words, what is behind them is padding}
function draw_lines(box, {rows, columns, weights, truth, chosen, choose, label, words = columns.length}) {
  const ROW = 26, width = width_of(box, 460), left = width * 0.38, right = width * 0.62;
  const y = (i) => ROW * (i + 0.5) + 4;
  const line = (t, i, look) => element("line", {x1: left, x2: right, y1: y(t), y2: y(i), ...look});
  const parts = [];
  weights.forEach((row, t) => {
    if (chosen !== null && chosen !== t) return;
    row.forEach((weight, i) => {
      const on_padding = i >= words && weight > 0;
      if (weight < 0.01 && !on_padding) return;  // less cannot be seen
      const look = {class: on_padding ? "weight padding" : "weight", "stroke-width": 1 + 4 * weight,
        "stroke-opacity": on_padding ? Math.max(0.5, weight) : weight};
      parts.push(line(t, i, {...look, "data-row": t, "data-column": i}));
    });
    if (truth && truth[t] !== undefined) parts.push(line(t, truth[t], {class: "truth"}));
  });
  rows.forEach((word, t) => {
    parts.push(label_at(left - 8, y(t), word, {...bold_if(t === chosen), ...pointing(choose, t)}));
  });
  columns.forEach((word, i) => {
    const weight = weights[chosen]?.[i] ?? 0;
    parts.push(label_at(right + 8, y(i), word));
    if (weight >= 0.005)
      parts.push(label_at(width - 2, y(i), rounded(weight), {"text-anchor": "end", class: "number"}));
  });
  picture(box, width, ROW * Math.max(rows.length, columns.length) + 8, label, ...parts);
}

function draw_matrix(box, {rows, columns, weights, truth, chosen, choose, label}) {
  const left = 12 + longest(rows), top = 14 + longest(columns);
  const cell = Math.max(17, Math.min(30, (width_of(box, 620) - left - 4) / columns.length));
  const width = left + cell * columns.length, x = (i) => left + cell * i, y = (t) => top + cell * t;
  const square = (t, i, edge) => ({x: x(i) + edge, y: y(t) + edge, width: cell - 2 * edge, height: cell - 2 * edge});
  const upright = (i) => ({transform: `translate(${x(i + 0.5) + 4} ${top - 6}) rotate(-90)`});
  const parts = columns.map((word, i) => element("text", upright(i), word));
  rows.forEach((word, t) => {
    parts.push(label_at(left - 6, y(t + 0.5), word, bold_if(t === chosen)));
    weights[t].forEach((weight, i) => {
      const data = {"fill-opacity": weight, "data-row": t, "data-column": i};
      parts.push(element("rect", {...square(t, i, 0), class: "cell", ...data}));
      if (truth && truth[t] === i) parts.push(element("rect", {...square(t, i, 3), class: "truth"}));
    });
    const row = {x: 0, y: y(t), width, height: cell, class: t === chosen ? "row chosen" : "row"};
    parts.push(element("rect", {...row, ...pointing(choose, t)}));
  });
  picture(box, width + 2, y(rows.length) + 2, label, ...parts);
  box.previousElementSibling.hidden = box.scrollWidth <= box.clientWidth;
}

// lines: {name: {length: share}}, from 0 to 1; `at`: the length that is marked
function draw_curves(box, {lines, at, label, xlabel}) {
  const width = width_of(box, 460), left = 36, bottom = 150, middle = {"text-anchor": "middle"};
  const lengths = Object.keys(Object.values(lines)[0]).map(Number), low = lengths[0], high = lengths.at(-1);
  const x = (n) => left + ((width - left - 14) * (n - low)) / (high - low);
  const y = (share) => bottom - (bottom - 12) * share;
  const parts = [0, 0.5, 1].flatMap((share) => [
    element("line", {x1: left, x2: width - 14, y1: y(share), y2: y(share), class: "grid"}),
    label_at(left - 6, y(share), share, {"text-anchor": "end"}),
  ]);
  for (const n of lengths) if (n % 5 === 0) parts.push(label_at(x(n), bottom + 13, n, middle));
  parts.push(label_at((left + width) / 2, bottom + 31, xlabel, middle));
  parts.push(element("line", {x1: x(at), x2: x(at), y1: 12, y2: bottom, class: "at"}));
  Object.entries(lines).forEach(([name, shares], i) => {
    const points = Object.entries(shares).map(([n, share]) => `${x(n)},${y(share)}`).join(" ");
    parts.push(element("polyline", {points, class: `curve curve-${i}`}));
    if (at in shares) parts.push(element("circle", {cx: x(at), cy: y(shares[at]), r: 6, class: `dot-${i}`}));
    const [n, share] = Object.entries(shares)[i ? 9 : 16];  // the name stands above the lower line, below the upper one
    parts.push(i ? label_at(x(n) + 8, y(share) - 13, name) : label_at(x(n), y(share) + 17, name, {"text-anchor": "end"}));
  });
  picture(box, width, 190, label, ...parts);
}

// Lines and matrix of the same weights, and the chosen row in words; used by both translators
function show_weights(form, shown) {
  const {rows, columns, weights, chosen, places, latin} = shown;
  const part = (name) => form.querySelector(`[data-part=${name}]`);
  const label = described(rows, columns, weights);
  if (part("lines")) draw_lines(part("lines"), {...shown, label: `${WORDS.lines}: ${label}`});
  draw_matrix(part("matrix"), {...shown, label: `${WORDS.matrix}: ${label}`});
  let text = WORDS.point;
  if (chosen !== null && rows[chosen] !== undefined) {
    const best = argmax(weights[chosen]), weight = rounded(weights[chosen][best]);
    text = say(WORDS.looks_most, {row: rows[chosen], column: columns[best], weight});
    if (latin && rows[chosen] === latin[chosen]) text += ` ${say(WORDS.belongs, {column: columns[places[chosen]]})}`;
  }
  part("reading").textContent = text;
  announce(text);
}
