// Query, key and value by hand: the cells "lookup" and "variance" of lesson 1, with points that can be moved.

const KEYS = 32, QUERIES = 100;  // of the second part

{
  const form = forms.lookup, {temperature, points, power} = form.elements;
  const part = (name) => form.querySelector(`[data-part=${name}]`);
  const NAMES = WORDS.names;
  const initial_points = [lessons.lookup.query, ...lessons.lookup.keys, ...lessons.lookup.values];
  const PLANES = {keys: {range: 2, step: 0.1, shown: [0, 1, 2, 3]}, values: {range: 12, step: 0.5, shown: [4, 5, 6]}};

  // "1,0.2 1,0 …" in the address
  function read_points() {
    const pairs = points.value.split("_").map((pair) => pair.split(",").map(Number));
    return initial_points.map((start, i) => {
      const range = i < 4 ? PLANES.keys.range : PLANES.values.range;
      const found = pairs[i] ?? [];
      return start.map((number, axis) => (Number.isFinite(found[axis]) && points.value ? Math.max(-range, Math.min(range, found[axis])) : number));
    });
  }

  function move(i, x, y) {
    const {range, step} = i < 4 ? PLANES.keys : PLANES.values;
    const near = (number) => Math.max(-range, Math.min(range, Math.round(number / step) * step));
    const now = read_points();
    now[i] = [near(x), near(y)];
    points.value = now.map((pair) => pair.map((number) => +number.toFixed(2)).join(",")).join("_");
    changed();
  }

  // A plane whose points can be dragged, or moved with the arrow keys
  function draw_plane(box, {range, step, shown}, now, weights, result) {
    const size = Math.min(box.parentElement.clientWidth, 340), unit = size / (2 * range * 1.15);
    const x = (number) => size / 2 + number * unit, y = (number) => size / 2 - number * unit;
    const parts = [];
    for (let i = -range; i <= range; i += range / 2) {
      parts.push(element("line", {x1: x(i), x2: x(i), y1: 0, y2: size, class: i ? "grid" : "axis"}));
      parts.push(element("line", {y1: y(i), y2: y(i), x1: 0, x2: size, class: i ? "grid" : "axis"}));
      if (i) parts.push(element("text", {x: x(i), y: y(0) + 16, "text-anchor": "middle", class: "number"}, String(i)));
    }
    for (const i of shown) {
      const weight = i ? weights[(i - 1) % 3] : 1;
      const [cx, cy] = [x(now[i][0]), y(now[i][1])];
      if (i < 4) parts.push(element("line", {x1: x(0), y1: y(0), x2: cx, y2: cy, class: i ? "arrow key" : "arrow query"}));
      if (i >= 4) parts.push(element("line", {x1: x(result[0]), y1: y(result[1]), x2: cx, y2: cy, class: "weight",
        "stroke-opacity": weight, "stroke-width": 1 + 6 * weight}));
    }
    if (result) {
      const [cx, cy] = [x(result[0]), y(result[1])];
      parts.push(element("path", {d: `M ${cx} ${cy - 10} l 10 10 l -10 10 l -10 -10 z`, class: "result"}));
      parts.push(element("text", {x: cx + 13, y: cy - 8}, WORDS.result));
    }
    for (const i of shown) {
      const [cx, cy] = [x(now[i][0]), y(now[i][1])], [a, b] = now[i].map((number) => rounded(number, 1));
      const handle = element("g", {class: i ? (i < 4 ? "handle key" : "handle value") : "handle query", tabindex: 0, role: "slider",
        "aria-label": NAMES[i], "aria-valuemin": -range, "aria-valuemax": range, "aria-valuenow": a, "aria-valuetext": `x ${a}, y ${b}`,
        "data-point": i},
      element("circle", {cx, cy, r: 20, class: "touch"}), element("circle", {cx, cy, r: 9}),
      element("text", {x: cx + (cx > size * 0.75 ? -13 : 13), y: cy - 10, "text-anchor": cx > size * 0.75 ? "end" : "start"}, NAMES[i]));
      handle.addEventListener("keydown", (event) => {
        const by = {ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step]}[event.key];
        if (!by) return;
        event.preventDefault();
        move(i, now[i][0] + by[0], now[i][1] + by[1]);
      });
      parts.push(handle);
    }
    const focused = document.activeElement?.dataset?.point;
    if (!box.firstChild) {
      const svg = element("svg", {role: "group", "aria-label": box.previousElementSibling.textContent});
      let held = null;
      const place = (event) => {
        const {left, top, width} = svg.getBoundingClientRect(), side = +svg.dataset.size, scale = side / width;
        const per = side / (2 * range * 1.15);
        return [((event.clientX - left) * scale - side / 2) / per, (side / 2 - (event.clientY - top) * scale) / per];
      };
      svg.addEventListener("pointerdown", (event) => {
        const point = event.target.closest("[data-point]");
        if (!point) return;
        held = +point.dataset.point;
        svg.setPointerCapture(event.pointerId);
      });
      svg.addEventListener("pointermove", (event) => { if (held !== null) move(held, ...place(event)); });
      for (const name of ["pointerup", "pointercancel"]) svg.addEventListener(name, () => { held = null; });
      box.replaceChildren(svg);
    }
    const svg = box.firstChild;
    for (const [key, value] of Object.entries({viewBox: `0 0 ${size} ${size}`, width: size, height: size, "data-size": size})) svg.setAttribute(key, value);
    svg.replaceChildren(...parts);
    if (focused !== undefined) svg.querySelector(`[data-point="${focused}"]`)?.focus({preventScroll: true});
  }

  // 32 random keys, 100 random queries of this size: the same at every visit
  const scores_of = (d) => {
    const chance = random(d), vectors = (count) => Array.from({length: count}, () => Float64Array.from({length: d}, () => random_normal(chance)));
    const keys = vectors(KEYS);
    return vectors(QUERIES).map((query) => keys.map((key) => dot(query, key)));
  };
  const kept = {};

  function draw_weights(box, weights, label) {
    const width = Math.min(box.parentElement.clientWidth, 340), height = 120, bar = width / KEYS;
    picture(box, width, height, label, element("line", {x1: 0, x2: width, y1: height - 1, y2: height - 1, class: "axis"}),
      ...weights.map((weight, i) => element("rect", {x: i * bar + 1, width: bar - 2, y: height - 1 - weight * (height - 8),
        height: weight * (height - 8), class: "solid"})));
  }

  views.lookup = () => {
    const now = read_points(), [query, ...others] = now, keys = others.slice(0, 3), values = others.slice(3);
    const scores = keys.map((key) => dot(query, key));
    const weights = softmax(with_temperature(scores, +temperature.value));
    const result = [...weighted_sum(weights, values)];
    draw_plane(part("keys"), PLANES.keys, now, weights, null);
    draw_plane(part("values"), PLANES.values, now, weights, result);
    const head = element("tr", {}, element("td"), ...NAMES.slice(1, 4).map((name) => element("th", {scope: "col"}, name)));
    const row = (name, numbers) => element("tr", {}, element("th", {scope: "row"}, name), ...numbers.map((number) => element("td", {}, rounded(number))));
    part("table").replaceChildren(element("table", {}, head, row(WORDS.scores, scores),
      row(say(WORDS.by_temperature, {t: temperature.value}), with_temperature(scores, +temperature.value)), row(WORDS.weights, weights)));
    const text = say(WORDS.result_reads, {result: result.map((number) => rounded(number)).join(", "), best: NAMES[1 + argmax(weights)],
      weight: rounded(Math.max(...weights)), bits: rounded(entropy(weights))});
    part("reading").textContent = text;

    const d = 2 ** power.value;
    form.querySelector("output[data-of=power]").value = d;
    kept[d] ??= scores_of(d);
    for (const [name, divisor] of [["raw", 1], ["divided", Math.sqrt(d)]]) {
      const all = kept[d].map((row) => softmax(row.map((score) => score / divisor)));
      const bits = all.reduce((sum, row) => sum + entropy(row), 0) / all.length;
      const caption = say(WORDS[name], {d, bits: rounded(bits), largest: rounded(Math.max(...all[0]))});
      part(`${name}-caption`).textContent = caption;
      draw_weights(part(name), all[0], caption);
    }
    announce(text);
  };
}
