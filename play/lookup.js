// Query, key and value by hand: the cells "lookup" and "variance" of lesson 1, with points that can be moved.

const KEYS = 32, QUERIES = 100;  // of the second part

{
  const form = forms.lookup, {temperature, points, power} = form.elements;
  const part = (name) => form.querySelector(`[data-part=${name}]`);
  const NAMES = WORDS.names;
  const initial_points = [lessons.lookup.query, ...lessons.lookup.keys, ...lessons.lookup.values];
  const PLANES = {
    keys: {range: 2, step: 0.1, shown: [1, 2, 3, 0]},  // the last lies on top
    values: {range: 12, step: 0.5, shown: [4, 5, 6]},
  };

  const within = (number, range) => Math.max(-range, Math.min(range, number));
  const plane_of = (i) => (i < 4 ? PLANES.keys : PLANES.values);

  function read_points() {  // in the address: 1,0.2_1,0_0,1 …
    const pairs = points.value.split("_").map((pair) => pair.split(",").map(parseFloat));
    return initial_points.map((start, i) => start.map((number, axis) => {
      const found = pairs[i]?.[axis];
      return Number.isFinite(found) ? within(found, plane_of(i).range) : number;
    }));
  }

  function move(i, x, y) {
    const {range, step} = plane_of(i), now = read_points();
    now[i] = [x, y].map((number) => within(Math.round(number / step) * step, range));
    points.value = now.map((pair) => pair.map((number) => +number.toFixed(2)).join(",")).join("_");
    changed();
  }

  const size_of = (box) => Math.min(box.parentElement.clientWidth, 340);
  const unit_of = (size, range) => size / (2.3 * range);  // pixels for 1, with a margin

  // The SVG of a plane is made once, so that a drag goes on while its parts are drawn anew
  function make_plane(box, {range}) {
    const svg = element("svg", {role: "group", "aria-label": box.previousElementSibling.textContent});
    let held = null;
    const place = (event) => {
      const {left, top, width} = svg.getBoundingClientRect(), size = size_of(box), unit = unit_of(size, range);
      const pixels = (from) => (from * size) / width - size / 2;
      return [pixels(event.clientX - left) / unit, -pixels(event.clientY - top) / unit];
    };
    svg.addEventListener("pointerdown", (event) => {
      const point = event.target.closest("[data-point]");
      if (!point) return;
      held = +point.dataset.point;
      svg.setPointerCapture(event.pointerId);
    });
    svg.addEventListener("touchstart", (event) => {  // a finger on a point drags it, elsewhere it scrolls
      if (event.target.closest("[data-point]")) event.preventDefault();
    }, {passive: false});
    svg.addEventListener("pointermove", (event) => { if (held !== null) move(held, ...place(event)); });
    for (const name of ["pointerup", "pointercancel"]) svg.addEventListener(name, () => { held = null; });
    box.replaceChildren(svg);
    return svg;
  }

  // The name of a point beside it, at the first of four corners where it covers nothing of `taken`: [left, top, right, bottom]
  function name_at(text, cx, cy, size, taken) {
    const wide = width_of_text(text);
    const boxes = [[1, -15], [1, 15], [-1, -15], [-1, 15]].map(([side, down]) => {
      const left = side > 0 ? cx + 13 : cx - 13 - wide;
      return [left, cy + down - 9, left + wide, cy + down + 9];
    });
    const apart = (a, b) => a[2] <= b[0] || b[2] <= a[0] || a[3] <= b[1] || b[3] <= a[1];
    const inside = ([left, top, right, bottom]) => left >= 0 && top >= 0 && right <= size && bottom <= size;
    const free = boxes.find((box) => inside(box) && taken.every((other) => apart(box, other)))
      ?? boxes.find(inside) ?? boxes[0];
    taken.push(free);
    return label_at(free[0], free[1] + 9, text);
  }

  // A point that can be dragged, or moved with the arrow keys
  function handle(i, [a, b], cx, cy, name) {
    const {range, step} = plane_of(i), [x, y] = [rounded(a, 1), rounded(b, 1)];
    const kind = i ? (i < 4 ? "key" : "value") : "query";
    const group = element("g", {class: `handle ${kind}`, tabindex: 0, role: "slider", "data-point": i,
      "aria-label": NAMES[i], "aria-valuemin": -range, "aria-valuemax": range, "aria-valuenow": x,
      "aria-valuetext": `x ${x}, y ${y}`},
    element("circle", {cx, cy, r: 20, class: "touch"}), element("circle", {cx, cy, r: 9}), name);
    group.addEventListener("keydown", (event) => {
      const by = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]}[event.key];
      if (!by) return;
      event.preventDefault();
      move(i, a + by[0] * step, b + by[1] * step);
    });
    return group;
  }

  function draw_plane(box, plane, now, weights, result) {
    const {range, shown} = plane, size = size_of(box), unit = unit_of(size, range);
    const x = (number) => size / 2 + number * unit, y = (number) => size / 2 - number * unit;
    const line = ([x1, y1], [x2, y2], look) =>
      element("line", {x1: x(x1), y1: y(y1), x2: x(x2), y2: y(y2), ...look});
    const parts = [], edge = range * 1.15;
    for (let i = -range; i <= range; i += range / 2) {
      const look = {class: i ? "grid" : "axis"};
      parts.push(line([i, -edge], [i, edge], look), line([-edge, i], [edge, i], look));
      if (i) parts.push(label_at(x(i), y(0) + 11, i, {"text-anchor": "middle", class: "number"}));
    }
    for (const i of shown) {
      if (i < 4) parts.push(line([0, 0], now[i], {class: i ? "arrow key" : "arrow query"}));
      else {
        const weight = weights[i - 4];
        parts.push(line(result, now[i], {class: "weight", "stroke-opacity": weight, "stroke-width": 1 + 6 * weight}));
      }
    }
    const centre = (i) => [x(now[i][0]), y(now[i][1])];
    const around = ([cx, cy]) => [cx - 10, cy - 10, cx + 10, cy + 10];
    const taken = [...shown.map(centre), ...(result ? [[x(result[0]), y(result[1])]] : [])].map(around);
    const names = {};  // the query's comes first
    for (const i of [...shown].sort()) names[i] = name_at(NAMES[i], ...centre(i), size, taken);
    if (result) {
      const [cx, cy] = [x(result[0]), y(result[1])];
      parts.push(element("path", {d: `M ${cx} ${cy - 10} l 10 10 l -10 10 l -10 -10 z`, class: "result"}));
      parts.push(name_at(WORDS.result, cx, cy, size, taken));
    }
    parts.push(...shown.map((i) => handle(i, now[i], ...centre(i), names[i])));
    const svg = box.firstChild ?? make_plane(box, plane), focused = svg.contains(document.activeElement)
      && document.activeElement.dataset.point;
    for (const [key, value] of [["viewBox", `0 0 ${size} ${size}`], ["width", size], ["height", size]])
      svg.setAttribute(key, value);
    svg.replaceChildren(...parts);
    if (focused) svg.querySelector(`[data-point="${focused}"]`).focus({preventScroll: true});
  }

  // 32 random keys, 100 random queries of this size: the same at every visit
  const scores_of = (d) => {
    const chance = random(d), vector = () => Float64Array.from({length: d}, () => random_normal(chance));
    const keys = Array.from({length: KEYS}, vector), queries = Array.from({length: QUERIES}, vector);
    return queries.map((query) => keys.map((key) => dot(query, key)));
  };
  const kept = {};

  function draw_weights(box, weights, label) {
    const width = size_of(box), height = 120, bar = width / KEYS, tall = (weight) => weight * (height - 8);
    const bars = weights.map((weight, i) => element("rect", {x: i * bar + 1, width: bar - 2, class: "solid",
      y: height - 1 - tall(weight), height: tall(weight)}));
    const axis = element("line", {x1: 0, x2: width, y1: height - 1, y2: height - 1, class: "axis"});
    picture(box, width, height, label, axis, ...bars);
  }

  function show_scale() {
    const d = 2 ** power.value;
    form.querySelector("output[data-of=power]").value = d;
    kept[d] ??= scores_of(d);
    for (const [name, divisor] of [["raw", 1], ["divided", Math.sqrt(d)]]) {
      const all = kept[d].map((row) => softmax(with_temperature(row, divisor)));
      const bits = all.reduce((sum, row) => sum + entropy(row), 0) / all.length;
      const caption = say(WORDS[name], {bits: rounded(bits), largest: rounded(Math.max(...all[0]))});
      part(`${name}-caption`).textContent = caption;
      draw_weights(part(name), all[0], caption);
    }
  }

  function show_table(rows) {
    const cell = (number) => element("td", {}, rounded(number));
    const head = NAMES.slice(1, 4).map((name) => element("th", {scope: "col"}, name));
    const lines = rows.map(([name, numbers]) =>
      element("tr", {}, element("th", {scope: "row"}, name), ...numbers.map(cell)));
    part("table").replaceChildren(element("table", {}, element("tr", {}, element("td"), ...head), ...lines));
  }

  views.lookup = () => {
    const now = read_points(), query = now[0], keys = now.slice(1, 4), values = now.slice(4), t = temperature.value;
    const scores = keys.map((key) => dot(query, key)), divided = with_temperature(scores, +t);
    const weights = softmax(divided), result = [...weighted_sum(weights, values)];
    draw_plane(part("keys"), PLANES.keys, now, weights, null);
    draw_plane(part("values"), PLANES.values, now, weights, result);
    show_table([[WORDS.scores, scores], [say(WORDS.by_temperature, {t}), divided], [WORDS.weights, weights]]);
    const text = say(WORDS.result_reads, {result: result.map((number) => rounded(number)).join(", "),
      best: NAMES[1 + argmax(weights)], weight: rounded(Math.max(...weights)), bits: rounded(entropy(weights))});
    part("reading").textContent = text;
    show_scale();
    announce(text);
  };
}
