import { colour, fit, frame, h, listen, number, s, slider } from "./base.js";

const HEIGHT = 260, BOX_HEIGHT = 46;

export function compute(op, x) {
  if (op === "+") return x[0] + x[1];
  if (op === "-") return x[0] - x[1];
  if (op === "*") return x[0] * x[1];
  if (op === "relu") return Math.max(0, x[0]);
  return op === "tanh" ? Math.tanh(x[0]) : (1 + Math.tanh(x[0] / 2)) / 2;
}

export function localDerivatives(op, x, out) {
  if (op === "+" || op === "-") return [1, op === "+" ? 1 : -1];
  if (op === "*") return [x[1], x[0]];
  if (op === "relu") return [x[0] > 0 ? 1 : 0];
  return op === "tanh" ? [1 - out * out] : [out * (1 - out)];
}

export const lastStep = (nodes) => 2 * nodes.filter((n) => n[1]).length + 1;

// What is known after some steps; see state_at in backprop_graph.py.
export function stateAt(nodes, leaves, step) {
  const operations = nodes.filter((n) => n[1]), root = nodes[nodes.length - 1][0];
  const values = { ...leaves }, grads = {}, edges = {};
  let current = "";
  for (const [name, op, inputs] of operations.slice(0, step)) {
    values[name] = compute(op, inputs.map((i) => values[i]));
    current = name;
  }
  if (step > operations.length) {
    grads[root] = 1;
    current = root;
  }
  const back = Math.max(0, step - operations.length - 1);
  for (const [name, op, inputs] of [...operations].reverse().slice(0, back)) {
    const derivatives = localDerivatives(op, inputs.map((i) => values[i]), values[name]);
    inputs.forEach((source, place) => {
      const sent = derivatives[place] * (grads[name] ?? 0);
      edges[`${source}>${name}>${place}`] = sent;
      grads[source] = (grads[source] ?? 0) + sent;
    });
    current = name;
  }
  return { values, grads, edges, current };
}

export function formula([name, op, inputs]) {
  if (!op) return name;
  return inputs.length === 2 ? `${name} = ${inputs[0]} ${op} ${inputs[1]}` : `${name} = ${op}(${inputs[0]})`;
}

// Width of a node's box, so that numbers fit between two columns.
export function boxWidth(nodes, width) {
  const columns = new Set(nodes.map((n) => n[3])).size;
  return Math.max(64, Math.min(104, (width - 20) / columns - 34));
}

// One sentence on what a step did.
export function sentence(nodes, leaves, step) {
  const operations = nodes.filter((n) => n[1]), { values, grads, edges, current } = stateAt(nodes, leaves, step);
  if (step === 0) return "The leaves have their values. Step forward.";
  const node = nodes.find((n) => n[0] === current);
  if (step <= operations.length) return `Forward: ${formula(node)} = ${number(values[current], 4)}.`;
  if (step === operations.length + 1) return `Backward begins: the gradient of ${current} for itself is 1.`;
  const [name, op, inputs] = node;
  const derivatives = localDerivatives(op, inputs.map((i) => values[i]), values[name]);
  const sent = inputs.map((source, place) =>
    `${number(derivatives[place], 4)} × ${number(grads[name] ?? 0, 4)} = ${number(edges[`${source}>${name}>${place}`], 4)} to ${source}, ` +
    `which now has ${number(grads[source], 4)}`);
  return `Backward: ${name} sends ${sent.join("; ")}.`;
}

function render({ model, el }) {
  const get = (name) => model.get(name);
  const save = (name, value) => {
    model.set(name, value);
    model.save_changes();
  };
  const { root, say } = frame(el, "backprop", "Backpropagation through a small graph");
  const last = lastStep(get("nodes"));
  const go = (step) => save("step", Math.min(last, Math.max(0, step)));
  const button = (name, move) => h("button", { type: "button", click: () => go(move(get("step"))) }, name);
  const steps = slider({ label: "Step", min: 0, max: last, value: 0, format: (x) => `${x} of ${last}`, change: go });
  const dials = Object.entries(get("leaves")).map(([name, value]) => {
    const far = Math.max(5, 2 * Math.abs(value));
    return [name, slider({ label: name, min: -far, max: far, step: 0.1, value,
      change: (x) => save("leaves", { ...get("leaves"), [name]: x }) })];
  });
  const chart = s("svg", { height: HEIGHT, role: "img" });
  const news = h("p", { class: "news" });
  root.append(
    h("div", { class: "row" }, button("Restart", () => 0), button("Back", (x) => x - 1),
      button("Step", (x) => x + 1), button("To the end", () => last), steps.root),
    chart, news,
    h("div", { class: "row" }, h("span", { class: "key first" }, "value, computed forward"),
      h("span", { class: "key second" }, "gradient, computed backward")),
    h("div", { class: "row" }, ...dials.map(([, dial]) => dial.root)),
  );
  let width = 680;

  function draw() {
    const nodes = get("nodes"), known = stateAt(nodes, get("leaves"), get("step"));
    const text = sentence(nodes, get("leaves"), get("step"));
    const box = boxWidth(nodes, width), half = box / 2;
    const shown = (x) => (x === undefined ? "" : number(x, box > 100 ? 4 : 3));
    const centre = Object.fromEntries(nodes.map((n) =>
      [n[0], [half + 10 + n[3] * (width - box - 20), 30 + n[4] * (HEIGHT - 60)]]));
    const lines = [], labels = [];
    for (const [name, , inputs] of nodes)
      inputs.forEach((source, place) => {
        const [x0, y0] = centre[source], [x1, y1] = centre[name];
        const bow = inputs.length === 2 && inputs[0] === inputs[1] ? 34 * place : 0;
        const x = (x0 + x1) / 2, y = (y0 + y1) / 2 + bow, sent = known.edges[`${source}>${name}>${place}`];
        lines.push(s("polyline", { points: `${x0},${y0} ${x},${y} ${x1},${y1}`, class: sent === undefined ? "" : "sent" }));
        if (known.values[name] !== undefined)
          labels.push(s("text", { x, y: y - 3, class: "first label" }, shown(known.values[source])));
        if (sent !== undefined) labels.push(s("text", { x, y: y + 12, class: "second label" }, shown(sent)));
      });
    const boxes = nodes.map((n) => {
      const [x, y] = centre[n[0]];
      return s("g", { class: n[0] === known.current ? "current" : "" },
        s("rect", { x: x - half, y: y - BOX_HEIGHT / 2, width: box, height: BOX_HEIGHT, rx: 4 }),
        s("text", { x, y: y - 5, class: "name" }, formula(n)),
        s("text", { x: x - half + 4, y: y + 14, class: "first" }, shown(known.values[n[0]])),
        s("text", { x: x + half - 4, y: y + 14, class: "second end" }, shown(known.grads[n[0]])));
    });
    chart.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    chart.replaceChildren(...lines, ...labels, ...boxes);
    const listed = nodes.map((n) => `${formula(n)}: value ${shown(known.values[n[0]]) || "unknown"}, gradient ` +
      `${shown(known.grads[n[0]]) || "unknown"}`);
    chart.setAttribute("aria-label", listed.join("; "));
    news.textContent = text;
    say(text);
    steps.set(get("step"));
    for (const [name, dial] of dials) dial.set(get("leaves")[name]);
  }

  const stopFitting = fit(chart, (wide) => {
    width = Math.max(wide, 480);  // narrower panels shrink the picture
    draw();
  });
  const stopListening = listen(model, ["step", "leaves", "nodes"], draw);
  return () => (stopFitting(), stopListening());
}

export default { render };
