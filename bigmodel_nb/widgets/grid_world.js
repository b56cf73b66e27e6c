import { colour, fit, frame, h, listen, s, slider, toggle } from "./base.js";

const MOVES = [[-1, 0], [0, 1], [1, 0], [0, -1]], NAMES = ["up", "right", "down", "left"];
const KINDS = { ".": "free", S: "start", "#": "wall", G: "goal", X: "pit" };
const MOST = { "value iteration": 60, "Q-learning": 3000 }, LIMIT = 100, SAME = 1e-9;

// Numbers between 0 and 1, the same as in Python (mulberry32).
export function draws(seed) {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

// The table after so many sweeps of value iteration from zeros; a world is [next_state, reward, done].
export function sweeps([next, reward, done], gamma, count) {
  let Q = reward.map((row) => row.map(() => 0));
  for (let n = 0; n < count; n++) {
    const best = Q.map((row) => Math.max(...row));
    Q = reward.map((row, i) => row.map((r, a) => r + gamma * (done[i][a] ? 0 : best[next[i][a]])));
  }
  return Q;
}

function choose(values, epsilon, draw) {
  const top = Math.max(...values), all = values.map((_, a) => a);
  const among = draw() < epsilon ? all : all.filter((a) => values[a] > top - SAME);
  return among[Math.floor(draw() * among.length)];
}

// So many steps of Q-learning from zeros; with `finish`, on to the end of an episode.
export function qLearning([next, reward, done], start, gamma, alpha, epsilon, seed, count, finish = false) {
  const draw = draws(seed), Q = reward.map((row) => row.map(() => 0));
  let at = start, path = [start], episode = 1, paid = 0, last = null, n = 0;
  const ended = () => last && (last.done || path.length > LIMIT);
  for (; n < count || (finish && n < MOST["Q-learning"] && (n === count || !ended())); n++) {
    if (ended()) [at, path, episode] = [start, [start], episode + 1];
    const a = choose(Q[at], epsilon, draw);
    const r = reward[at][a], after = next[at][a], end = done[at][a], old = Q[at][a];
    const best = end ? 0 : Math.max(...Q[after]);
    Q[at][a] = old + alpha * (r + gamma * best - old);
    last = { s: at, a, r, old, best, new: Q[at][a], done: end };
    if (end && r > 0) paid++;
    at = after;
    path.push(at);
  }
  return { Q, s: at, path, episode, paid, last, steps: n };
}

export function bestActions(q) {
  const top = Math.max(...q), best = q.map((_, a) => a).filter((a) => q[a] > top - SAME);
  return best.length < q.length ? best : [];
}

const two = (x) => (Math.abs(x) < 0.005 ? 0 : x).toFixed(2);

function render({ model, el }) {
  const get = (name) => model.get(name);
  const { root, say } = frame(el, "grid-world", "Gridworld");
  const rows = get("layout_rows"), R = rows.length, C = rows[0].length, signs = rows.join("");
  const world = () => [get("next_state"), get("reward"), get("done")];
  const sweeping = () => get("method") === "value iteration";
  const learn = (count, finish) =>
    qLearning(world(), signs.indexOf("S"), get("gamma"), get("alpha"), get("epsilon"), get("seed"), count, finish);
  const put = (values) => {
    for (const [name, value] of Object.entries(values)) model.set(name, value);
    model.save_changes();
  };

  let timer = null;
  const stop = () => {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  };
  const move = (step) => put({ step: Math.max(0, Math.min(MOST[get("method")], step)) });
  const start = () => {
    if (timer) return stop();
    if (get("step") >= MOST[get("method")]) move(0);
    play.textContent = "Stop";
    timer = setInterval(() => {
      move(get("step") + 1);
      if (get("step") >= (sweeping() ? 30 : MOST["Q-learning"])) stop();
    }, sweeping() ? 500 : 120);
  };
  const button = (text, click) => h("button", { type: "button", click }, text);
  const choice = (name) => toggle(name, () => (stop(), put({ method: name, step: 0 })));
  const methods = Object.keys(MOST).map((name) => [name, choice(name)]);
  const play = button("Play", start);
  const by = (n) => () => (stop(), move(get("step") + n));
  const one = button("", by(1)), episode = button("To the end of the episode", () => (stop(), move(learn(get("step"), true).steps)));
  const steps = slider({ label: "Step", min: 0, max: 60, value: 0, change: (v) => (stop(), move(v)) });
  const rate = (name, label) => slider({
    label, min: 0, max: 1, step: 0.01, value: get(name), format: (v) => v.toFixed(2), change: (v) => put({ [name]: v }),
  });
  const rates = { gamma: rate("gamma", "Discount"), alpha: rate("alpha", "Learning rate"), epsilon: rate("epsilon", "Epsilon") };
  const chart = s("svg", { tabindex: 0, role: "application", "aria-label": "Grid: arrow keys or a click choose a cell" });
  const told = h("p", { class: "told" }), figures = h("p", { class: "figures" });
  root.append(
    h("header", {}, h("span", { class: "row" }, ...methods.map(([, it]) => it.root)), ...Object.values(rates).map((it) => it.root), steps.root,
      h("span", { class: "row" }, button("Back", by(-1)), one, episode, play, button("Start again", () => (stop(), move(0))))),
    chart, told, figures,
  );

  let side = 64;

  function arrow(x, y, a) {
    const [dy, dx] = MOVES[a], u = side / 64;
    const at = (along, across) => `${(x + u * (along * dx - across * dy)).toFixed(1)},${(y + u * (along * dy + across * dx)).toFixed(1)}`;
    return s("path", { class: "arrow", d: `M${at(3, -1)}L${at(9, -1)}L${at(9, -4)}L${at(15, 0)}L${at(9, 4)}L${at(9, 1)}L${at(3, 1)}Z`, fill: colour("first") });
  }

  function cellAt(i, q, largest) {
    const x = (i % C) * side, y = Math.floor(i / C) * side, kind = signs[i], top = Math.max(...q);
    const ground = kind === "#" ? colour("faint") : kind === "G" ? colour("v") : kind === "X" ? colour("k") : colour(top > 0 ? "v" : "k");
    const weight = kind === "#" ? 0.6 : "GX".includes(kind) ? 0.15 : 0.45 * Math.min(1, Math.abs(top) / largest);
    const text = (dx, dy, words, extra) => s("text", { x: x + dx, y: y + dy, "text-anchor": "middle", ...extra }, words);
    const parts = [s("rect", { x, y, width: side, height: side, fill: ground, "fill-opacity": weight, stroke: colour("grid") })];
    if ("GX".includes(kind)) parts.push(text(side / 2, side / 2 + 5, KINDS[kind], { class: "strong" }));
    else if (kind !== "#") {
      parts.push(text(side / 2, side - 7, two(top), { class: "strong value" }));
      parts.push(...bestActions(q).map((a) => arrow(x + side / 2, y + side / 2 - side / 11, a)));
      if (kind === "S") parts.push(s("text", { x: x + 4, y: y + 13, class: "small" }, "start"));
    }
    return s("g", {}, ...parts);
  }

  function way(path) {
    const middle = (i) => [(i % C) * side + side / 2, Math.floor(i / C) * side + side / 2 - side / 11];
    const points = path.map((i) => middle(i).map((v) => v.toFixed(1)).join()).join(" ");
    const [cx, cy] = middle(path[path.length - 1]);
    return [
      s("polyline", { class: "way", points, fill: "none", stroke: colour("second"), "stroke-width": 2, "stroke-opacity": 0.7 }),
      s("circle", { class: "agent", cx, cy, r: side / 9, fill: colour("second"), stroke: colour("paper"), "stroke-width": 2 }),
    ];
  }

  function draw() {
    const run = sweeping() ? null : learn(get("step"));
    const Q = run ? run.Q : sweeps(world(), get("gamma"), get("step"));
    const largest = Math.max(1e-9, ...Q.map((row) => Math.max(...row.map(Math.abs)))), cell = get("cell");
    chart.setAttribute("viewBox", `-2 -2 ${C * side + 4} ${R * side + 4}`);
    chart.style.maxWidth = `${C * side + 4}px`;
    chart.replaceChildren(
      ...Q.map((q, i) => cellAt(i, q, largest)),
      s("rect", { class: "chosen", x: (cell % C) * side + 2, y: Math.floor(cell / C) * side + 2, width: side - 4, height: side - 4, fill: "none" }),
      ...(run ? way(run.path) : []),
    );
    controls();
    told.textContent = run ? story(run) : swept(Q);
    figures.textContent = row(cell, Q[cell]);
    if (!timer) say(`${told.textContent} ${figures.textContent}`);
  }

  function controls() {
    for (const [name, it] of methods) it.press(name === get("method"));
    one.textContent = sweeping() ? "One sweep" : "One step";
    for (const node of [episode, rates.alpha.root, rates.epsilon.root]) node.hidden = sweeping();
    for (const [name, it] of Object.entries(rates)) if (Math.abs(Number(it.input.value) - get(name)) > 1e-9) it.set(get(name));
    steps.set(get("step"), { max: MOST[get("method")] });
    steps.input.setAttribute("aria-label", sweeping() ? "Sweeps" : "Steps of the agent");
    steps.root.firstChild.textContent = sweeping() ? "Sweeps" : "Steps";
  }

  function swept(Q) {
    const n = get("step");
    if (!n) return "Before the first sweep all values are 0.";
    const before = sweeps(world(), get("gamma"), n - 1);
    const change = Math.max(...Q.flatMap((q, i) => q.map((value, a) => Math.abs(value - before[i][a]))));
    return `Sweep ${n}: the largest change of a value was ${two(change)}.`;
  }

  function story({ last, episode: number, path, paid }) {
    if (!last) return "Episode 1 begins: the table is 0 everywhere.";
    const end = last.done ? " The episode ends." : "";
    return `Episode ${number}, step ${path.length - 1}, went ${NAMES[last.a]}: ${two(last.old)} + ${two(get("alpha"))} \u00d7 (${two(last.r)} + ${two(get("gamma"))} \u00d7 ${two(last.best)} \u2212 ${two(last.old)}) = ${two(last.new)}.${end} Goals so far: ${paid}.`;
  }

  function row(i, q) {
    const kind = KINDS[signs[i]], place = `Row ${Math.floor(i / C)}, column ${i % C}, ${kind}`;
    return "#GX".includes(signs[i]) ? `${place}.` : `${place}: ${NAMES.map((name, a) => `${name} ${two(q[a])}`).join(", ")}.`;
  }

  const pick = (y, x) => put({ cell: Math.max(0, Math.min(R - 1, y)) * C + Math.max(0, Math.min(C - 1, x)) });
  chart.addEventListener("pointerdown", (event) => {
    const edge = chart.getBoundingClientRect(), unit = edge.width / (C + 4 / side);
    pick(Math.floor((event.clientY - edge.top) / unit), Math.floor((event.clientX - edge.left) / unit));
  });
  chart.addEventListener("keydown", (event) => {
    const a = ["ArrowUp", "ArrowRight", "ArrowDown", "ArrowLeft"].indexOf(event.key);
    if (a < 0) return;
    event.preventDefault();
    pick(Math.floor(get("cell") / C) + MOVES[a][0], (get("cell") % C) + MOVES[a][1]);
  });

  const stopFitting = fit(root, (wide) => {
    side = Math.max(36, Math.min(72, Math.floor((wide - 30) / C)));
    draw();
  });
  const stopListening = listen(model, ["gamma", "alpha", "epsilon", "seed", "method", "step", "cell"], draw);
  return () => (stop(), stopFitting(), stopListening());
}

export default { render };
