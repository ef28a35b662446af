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

// {rows, columns: words; weights [rows][columns]; truth: for each row its column, or null; chosen: a row; choose(row)}
function draw_lines(box, {rows, columns, weights, truth, chosen, choose, label}) {
  const ROW = 26, width = Math.min(box.parentElement.clientWidth, 460), left = width * 0.38, right = width * 0.62;
  const y = (i) => ROW * (i + 0.5) + 4;
  const parts = [];
  weights.forEach((row, t) => {
    if (chosen !== null && chosen !== t) return;
    row.forEach((weight, i) => {
      if (weight < 0.01) return;  // less cannot be seen
      parts.push(element("line", {x1: left, x2: right, y1: y(t), y2: y(i), class: "weight", "stroke-opacity": weight,
        "stroke-width": 1 + 4 * weight, "data-row": t, "data-column": i}));
    });
    if (truth && truth[t] !== undefined)
      parts.push(element("line", {x1: left, x2: right, y1: y(t), y2: y(truth[t]), class: "truth"}));
  });
  rows.forEach((word, t) => parts.push(element("text",
    {x: left - 8, y: y(t) + 5, "text-anchor": "end", class: t === chosen ? "chosen" : "", ...pointing(choose, t)}, word)));
  columns.forEach((word, i) => {
    parts.push(element("text", {x: right + 8, y: y(i) + 5}, word));
    const weight = chosen === null ? 0 : weights[chosen]?.[i] ?? 0;
    if (weight >= 0.005)
      parts.push(element("text", {x: width - 2, y: y(i) + 5, "text-anchor": "end", class: "number"}, rounded(weight)));
  });
  picture(box, width, ROW * Math.max(rows.length, columns.length) + 8, label, ...parts);
}

const pointing = (choose, row) => ({onmouseenter: () => choose(row), onclick: () => choose(row), style: "cursor: pointer"});

function draw_matrix(box, {rows, columns, weights, truth, chosen, choose, label}) {
  const left = 12 + 8 * Math.max(...rows.map((word) => word.length)), top = 14 + 8.5 * Math.max(...columns.map((word) => word.length));
  const room = (Math.min(box.parentElement.clientWidth, 620) - left - 4) / columns.length;
  const cell = Math.max(17, Math.min(30, room));
  const parts = columns.map((word, i) => element("text",
    {transform: `translate(${left + cell * (i + 0.5) + 4} ${top - 6}) rotate(-90)`}, word));
  rows.forEach((word, t) => {
    const y = top + cell * t;
    parts.push(element("text", {x: left - 6, y: y + cell / 2 + 5, "text-anchor": "end", class: t === chosen ? "chosen" : ""}, word));
    weights[t].forEach((weight, i) => {
      const place = {x: left + cell * i, y, width: cell, height: cell};
      parts.push(element("rect", {...place, class: "cell", "fill-opacity": weight, "data-row": t, "data-column": i}));
      if (truth && truth[t] === i)
        parts.push(element("rect", {x: place.x + 3, y: y + 3, width: cell - 6, height: cell - 6, class: "truth"}));
    });
    const row = {x: 0, y, width: left + cell * columns.length, height: cell, class: t === chosen ? "row chosen" : "row"};
    parts.push(element("rect", {...row, ...pointing(choose, t)}));
  });
  picture(box, left + cell * columns.length + 2, top + cell * rows.length + 2, label, ...parts);
}

// lines: {name: {length: share}}, from 0 to 1; `at`: the length that is marked
function draw_curves(box, {lines, at, label, xlabel}) {
  const width = Math.min(box.parentElement.clientWidth, 460), height = 190, left = 36, bottom = 150;
  const lengths = Object.keys(Object.values(lines)[0]).map(Number), low = lengths[0], high = lengths.at(-1);
  const x = (n) => left + ((width - left - 14) * (n - low)) / (high - low), y = (share) => bottom - (bottom - 12) * share;
  const parts = [0, 0.5, 1].flatMap((share) => [
    element("line", {x1: left, x2: width - 14, y1: y(share), y2: y(share), class: "grid"}),
    element("text", {x: left - 6, y: y(share) + 5, "text-anchor": "end"}, String(share))]);
  for (const n of [5, 10, 15, 20, 25, 30]) parts.push(element("text", {x: x(n), y: bottom + 18, "text-anchor": "middle"}, String(n)));
  parts.push(element("text", {x: (left + width) / 2, y: bottom + 36, "text-anchor": "middle"}, xlabel));
  parts.push(element("line", {x1: x(at), x2: x(at), y1: 12, y2: bottom, class: "at"}));
  Object.entries(lines).forEach(([name, shares], i) => {
    const points = Object.entries(shares).map(([n, share]) => `${x(n)},${y(share)}`).join(" ");
    parts.push(element("polyline", {points, class: `curve curve-${i}`}));
    if (at in shares) parts.push(element("circle", {cx: x(at), cy: y(shares[at]), r: 6, class: `dot dot-${i}`}));
    const [n, share] = Object.entries(shares)[i ? 9 : 14];
    parts.push(element("text", {x: x(n) + (i ? 8 : -30), y: y(share) + (i ? -8 : 20), class: `name name-${i}`}, name));
  });
  picture(box, width, height, label, ...parts);
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
    const best = argmax(weights[chosen]);
    text = say(WORDS.looks_most, {row: rows[chosen], column: columns[best], weight: rounded(weights[chosen][best])});
    if (latin && rows[chosen] === latin[chosen]) text += ` ${say(WORDS.belongs, {column: columns[places[chosen]]})}`;
  }
  part("reading").textContent = text;
  announce(text);
}
