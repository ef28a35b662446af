function (box, data) {
  const {queries, keys, weights, words, drawing: [ROW, SPAN, BLUE]} = data;
  // colours of JupyterLab's theme, of the course's pages, or of the browser
  const [INK, PAPER, LINE] = ["var(--jp-content-font-color1, CanvasText)", "var(--jp-layout-color0, Canvas)",
                              `var(--jp-brand-color1, ${BLUE})`];
  const say = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const y = (i) => ROW * (i + 0.5) + 5;
  // as wide as the words need, so that they stay large where there is little room
  const FONT = "18px sans-serif", ruler = document.createElement("canvas").getContext("2d");
  ruler.font = FONT;
  const width = (texts) => Math.max(...texts.map((text) => ruler.measureText(text).width));
  const LEFT = width(queries) + 16, RIGHT = LEFT + SPAN, WIDTH = RIGHT + width([...keys, "0.00"]) + width(["0.00"]) + 24;
  const add = (parent, name, attributes, text) => {
    const html = ["div", "label", "span", "select", "option"].includes(name);
    const part = html ? document.createElement(name)
                      : document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) part.setAttribute(key, attributes[key]);
    if (text !== undefined) part.textContent = text;  // never as HTML
    return parent.appendChild(part);
  };
  box.querySelector("img").remove();
  box.style.cssText += `; color-scheme: light dark; color: ${INK}; background: ${PAPER}`;
  const bar = add(box, "div", {style: "font: 15px sans-serif; padding: 4px"});
  bar.addEventListener("keydown", (event) => event.stopPropagation());  // arrows choose; they turn no slide
  const choose = (name, count, first) => {
    const label = add(bar, "label", {style: "margin-right: 16px"}, words[name] + " ");
    const look = `font-size: 15px; color: ${INK}; background: ${PAPER}`;
    const select = add(label, "select", {"data-choose": name, style: look});
    for (let i = 1; i <= count; i++) add(select, "option", {value: i}, i);
    select.value = first;
    if (count === 1) label.style.display = "none";  // nothing to choose
    select.addEventListener("change", draw);
    return select;
  };
  const layer = choose("layer", weights.length, data.layer);
  const head = choose("head", weights[0].length, data.head);
  add(bar, "span", {}, words.hint);
  const height = ROW * Math.max(queries.length, keys.length) + 10;
  const svg = add(box, "svg", {viewBox: `0 0 ${WIDTH} ${height}`, width: "100%", role: "group",
    style: `max-width: ${Math.ceil(WIDTH)}px; fill: ${INK}; font: ${FONT}`});
  const lines = add(svg, "g", {});
  const values = keys.map((word, j) => {
    add(svg, "text", {x: RIGHT + 8, y: y(j) + 6, "data-key": j}, word);
    return add(svg, "text", {x: WIDTH - 6, y: y(j) + 6, "data-value": j, "text-anchor": "end"}, "");
  });
  queries.forEach((word, i) => {
    const text = add(svg, "text", {x: LEFT - 8, y: y(i) + 6, "text-anchor": "end", tabindex: 0, role: "img",
      "data-query": i, style: "cursor: pointer"}, word);
    for (const event of ["mouseenter", "focus"]) text.addEventListener(event, () => point(i));
    for (const event of ["mouseleave", "blur"]) text.addEventListener(event, () => point(null));
  });
  function point(chosen) {
    for (const line of lines.children) {
      const on = chosen === null || +line.dataset.query === chosen;
      line.setAttribute("visibility", on ? "visible" : "hidden");
    }
    const row = chosen === null ? null : weights[layer.value - 1][head.value - 1][chosen];
    values.forEach((value, j) => { value.textContent = row && row[j] >= 5 ? (row[j] / 1000).toFixed(2) : ""; });
  }
  function draw() {
    lines.replaceChildren();
    svg.setAttribute("aria-label", say(words.name, {layer: layer.value, head: head.value}));
    weights[layer.value - 1][head.value - 1].forEach((row, i) => row.forEach((weight, j) => {
      if (weight < 10) return;  // less than 0.01 cannot be seen
      add(lines, "line", {x1: LEFT, x2: RIGHT, y1: y(i), y2: y(j), style: `stroke: ${LINE}`, "stroke-opacity": weight / 1000,
        "stroke-width": 1 + weight / 250, "data-query": i, "data-key": j, "data-weight": weight});
    }));
    svg.querySelectorAll("[data-query][role]").forEach((text, i) => {
      const row = weights[layer.value - 1][head.value - 1][i];
      const best = row.indexOf(Math.max(...row));
      const weight = (row[best] / 1000).toFixed(2);
      text.setAttribute("aria-label", say(words.looks, {query: queries[i], key: keys[best], weight}));
    });
  }
  draw();
}
