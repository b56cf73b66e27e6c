import { colour, fit, frame, h, listen, number, s, scale, slider, ticks, toggle } from "./base.js";

const FULL = 4, WIDTHS = { float32: 4, bfloat16: 2, float16: 2 }, STATES = { adamw: 2, sgd: 0, none: 0 };
const BATCHES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512], BLOCKS = [16, 32, 64, 128, 256, 512, 1024];
const RANKS = [0, 1, 2, 4, 8, 16, 32, 64], NEW = [0, 25, 50, 100, 200, 500, 1000], MACHINES = [2, 3, 4, 6, 8, 12, 16, 24, 32, 40, 48, 64, 80];

// The same formulas as in memory/planning.py, in the same order; a tensor is [how many, bytes of each].
const total = (tensors) => tensors.reduce((sum, [count, bytes]) => sum + count * bytes, 0);

function numbers({ L, C, inner, V, context }) {
  return [[1, V * C], [1, context * C], [L, 3 * C * C], [L, C * C], [L, C * inner], [L, inner * C],
    [L, 5 * C + inner], [2 * L + 1, 2 * C]];
}

const matrices = (run) => numbers(run).slice(2, 6);

function adapters({ L, C, inner, rank }) {
  return rank ? [4 * C, 3 * C + inner, C + inner].map((sides) => [L, rank * sides]) : [];
}

const trained = (run) => (run.rank ? adapters(run) : numbers(run));

function attention({ N, C, T, w, heads, rank, gpu, dropout }) {
  if (dropout.attention > 0 && !gpu) return [[3, N * C * FULL], [3, N * heads * T * FULL], [1, N * C * w]];
  return [[1, N * 3 * C * w], [1, N * heads * FULL], [1, N * C * w], [rank ? 0 : 1, N * T * w]];
}

function block(run) {
  const { N, C, inner, w, rank, gpu, dropout } = run;
  const short = w < FULL ? [...matrices(run), ...adapters(run)].map(([, n]) => [1, n * w]) : [];
  return [[2, N * C * FULL], [4, N * FULL], [1, N * C * w], [1, N * C * w], [1, N * inner * w], [1, N * inner * w],
    [rank ? 3 : 0, N * inner * w], ...attention(run), [dropout.residual > 0 ? 2 : 0, N * C * (gpu ? 1 : w)],
    [rank ? 4 : 0, N * rank * w], ...short];
}

function ends({ N, C, V, w, rank, gpu, dropout }) {
  const full = rank ? 0 : 1;
  return [[full && dropout.embedding > 0 ? 1 : 0, N * C * (gpu ? 1 : FULL)], [full, N * C * FULL], [2 * full, N * FULL],
    [full, N * C * w], [w < FULL ? 1 : 0, V * C * w], [full ? 3 : 1, N * 8]];
}

const inputs = ({ L, N, C }) => [[L, N * C * FULL]];

const kept = (run) => [...(run.checkpointing ? inputs(run) : block(run).map(([n, bytes]) => [n * run.L, bytes])), ...ends(run)];

function parts(run, P, { G = 0, O = 0, A = 0, cache = 0, left = [], more = 0 } = {}) {
  const { constants: c } = run;
  const heap = total(left.filter(([, bytes]) => bytes <= c.heap));
  const framework = run.gpu ? c.context + c.workspace : (run.training ? c.training : c.inference) + heap;
  return { parameters: P, gradients: G, "optimiser state": O, activations: A, "KV cache": cache, "framework overhead": framework + more };
}

function training(run) {
  const { N, C, V, w, inner, rank, batch, B } = run;
  const P = FULL * total([...numbers(run), ...adapters(run)]), G = FULL * total(trained(run)), O = run.states * G;
  const held = B < batch ? G : 0, A = total(kept(run)), logits = N * V * FULL;
  const head = rank ? 0 : FULL * V * C, short = w < FULL && !rank ? V * C * w : 0;
  const before = held ? [] : trained(run).map(([n, size]) => [n, FULL * size]);
  const moments = {
    "model built": parts(run, P, { more: V * C * FULL }),
    "gradient of the loss": parts(run, P, { G: held, O, A: A + 3 * logits, left: before }),
    "gradient of the head": parts(run, P, { G: held + head + short, O, A: A + N * V * w + N * C * w, left: before }),
  };
  if (run.checkpointing) {
    const again = total([...inputs(run), ...block(run)]) + N * C * FULL + N * inner * w * (rank ? 2 : 1);
    moments["block computed again"] = parts(run, P, { G: held + head, O, A: again, left: before });
  }
  moments["gradient of the embedding"] = parts(run, P, { G: G + (held ? 3 : 2) * head, O, left: kept(run) });
  moments["optimiser step"] = parts(run, P, { G, O, left: kept(run) });
  return moments;
}

function inference(run) {
  const { L, N, C, V, B, T, w, inner, context, newTokens } = run;
  const P = w * total([...numbers(run), ...adapters(run)]), widest = N * (6 * C + 2 * inner) * w;
  const cache = newTokens ? 2 * L * B * Math.min(context, T + newTokens) * C * w : 0;
  const logits = (newTokens ? B * 3 : N * 2) * V * FULL;
  const moments = { "model built": parts(run, P, { more: V * C * w }) };
  if (!newTokens) return { ...moments, "one pass": parts(run, P, { A: Math.max(widest, logits) }) };
  return { ...moments, "prompt read": parts(run, P, { A: widest, cache }), "token drawn": parts(run, P, { A: logits, cache }) };
}

// Bytes of each part at each moment. shape has GPT2Config's names, given those of the widget's state.
export function plan(shape, given, constants) {
  const C = shape.n_embd, T = Math.min(given.block, shape.n_positions), B = Math.min(given.micro || given.batch, given.batch);
  const run = {
    L: shape.n_layer, C, heads: shape.n_head, inner: shape.n_inner || 4 * C, V: shape.vocab_size, context: shape.n_positions,
    dropout: { residual: shape.resid_pdrop, embedding: shape.embd_pdrop, attention: shape.attn_pdrop },
    batch: given.batch, B, T, N: B * T, training: given.training, w: WIDTHS[given.precision], states: STATES[given.optimizer],
    rank: given.rank, checkpointing: given.checkpointing, newTokens: given.new_tokens, gpu: given.device !== "cpu", constants,
  };
  return run.training ? training(run) : inference(run);
}

export const sum = (moment) => Object.values(moment).reduce((a, b) => a + b, 0);

export function highest(moments) {
  return Object.keys(moments).reduce((best, name) => (sum(moments[name]) > sum(moments[best]) ? name : best));
}

// The most rows at once that a machine holds, of a list in ascending order; 0 if not even the first fits.
export function most(shape, given, constants, bytes) {
  const needs = (rows) => {
    const moments = plan(shape, { ...given, ...(given.training ? { micro: rows } : { batch: rows }) }, constants);
    return sum(moments[highest(moments)]);
  };
  const choices = BATCHES.filter((rows) => !given.training || rows <= given.batch);
  return choices.reduce((best, rows) => (needs(rows) <= bytes ? rows : best), 0);
}

export const amount = (bytes) => (bytes < 1e9 ? `${number(bytes / 1e6)} MB` : `${number(bytes / 1e9)} GB`);

const STATE = ["model", "training", "batch", "micro", "block", "new_tokens", "precision", "optimizer", "rank", "checkpointing", "device"];
const LEFT = 6, TOP = 22, BAR = 15, STEP = 37;

function render({ model, el }) {
  const get = (name) => model.get(name);
  const put = (name, value) => (model.set(name, value), model.save_changes());
  const { root, say } = frame(el, "planner", "Memory planner: will it fit?");
  const select = (label, name, options, format = (x) => x) => {
    const node = h("select", { "aria-label": label, change: () => put(name, options[node.selectedIndex]) },
      ...options.map((value) => h("option", {}, format(value))));
    return { root: h("label", {}, h("span", {}, label), node), show: (value) => (node.selectedIndex = options.indexOf(value)), node };
  };
  // A slider over a list of values, the one that was given among them.
  const steps = (label, name, values, format = String) => {
    const list = [...new Set([...values, get(name)])].sort((a, b) => a - b);
    const control = slider({ label, min: 0, max: list.length - 1, value: 0, format: (i) => format(list[i]), change: (i) => put(name, list[i]) });
    const place = (value) => Math.max(0, list.findLastIndex((x) => x <= value));
    return { ...control, show: (value, limit = Infinity) => control.set(place(Math.min(value, limit)), { max: place(limit) }) };
  };
  const sure = (on) => on.toLocaleString("en");
  const controls = {
    model: select("Model", "model", Object.keys(get("shapes"))),
    training: select("Use", "training", [true, false], (x) => (x ? "training" : "inference")),
    device: select("Device", "device", ["cpu", "cuda"], (x) => (x === "cpu" ? "CPU" : "GPU")),
    precision: select("Precision", "precision", Object.keys(WIDTHS)),
    optimizer: select("Optimiser", "optimizer", Object.keys(STATES)),
    batch: steps("Rows a step", "batch", BATCHES, sure),
    micro: steps("Rows at once", "micro", BATCHES, sure),
    block: steps("Tokens a row", "block", BLOCKS, sure),
    new_tokens: steps("New tokens", "new_tokens", NEW, sure),
    rank: steps("LoRA rank", "rank", RANKS, (r) => (r ? String(r) : "off")),
    machine: steps("Machine", "machine_gb", MACHINES, (gb) => `${number(gb)} GB`),
  };
  const checkpointing = toggle("Activation checkpointing", (on) => put("checkpointing", on));
  const verdict = h("p", { class: "verdict" }), figures = h("dl"), advice = h("p", { class: "faint" });
  const chart = s("svg", { role: "img" });
  const row = (...names) => h("div", { class: "row" }, ...names.map((name) => controls[name].root));
  root.append(row("model", "training", "device", "precision", "optimizer"),
    h("div", { class: "grid" }, ...["batch", "micro", "block", "new_tokens", "rank", "machine"].map((name) => controls[name].root)),
    h("div", { class: "row" }, checkpointing.root), verdict, chart, figures, advice);

  let width = 680;
  function draw() {
    const given = Object.fromEntries(STATE.map((name) => [name, get(name)]));
    const shape = get("shapes")[given.model], machine = get("machine_gb") * 1e9;
    const moments = plan(shape, given, get("constants")), top = highest(moments), need = sum(moments[top]);
    for (const name of ["model", "training", "device", "precision", "optimizer", "batch", "new_tokens", "rank"]) controls[name].show(given[name]);
    controls.micro.show(Math.min(given.micro || given.batch, given.batch), given.batch);
    controls.block.show(given.block, shape.n_positions);
    controls.machine.show(get("machine_gb"));
    checkpointing.press(given.checkpointing);
    for (const node of [controls.micro.input, controls.optimizer.node, checkpointing.root]) node.disabled = !given.training;
    controls.new_tokens.input.disabled = given.training;
    const spare = Math.abs(machine - need), fits = need <= machine;
    verdict.textContent = fits ? `It fits: ${amount(need)} of ${amount(machine)}.` : `It does not fit: ${amount(need)} of ${amount(machine)}, ${amount(spare)} too much.`;
    verdict.dataset.fits = fits;
    figures.replaceChildren(...Object.entries(moments[top]).map(([name, bytes], k) =>
      h("div", {}, h("dt", { style: `--key: ${colour(`part${k}`)}` }, name), h("dd", {}, amount(bytes)))));
    const rows = most(shape, given, get("constants"), machine);
    advice.textContent = `Shown: the highest moment, ${top}. ` + (rows ? `Most rows at once that fit: ${sure(rows)}.` : "Not even one row at once fits.");
    bars(moments, top, machine);
    say(verdict.textContent);
  }

  function bars(moments, top, machine) {
    const names = Object.keys(moments), end = Math.max(machine, sum(moments[top])) * 1.03, bottom = TOP + names.length * STEP;
    const x = scale(0, end, LEFT, width - 10), text = (px, py, words, anchor, kind) => s("text", { x: px, y: py, "text-anchor": anchor, class: kind }, words);
    chart.setAttribute("viewBox", `0 0 ${width} ${bottom + 22}`);
    chart.setAttribute("height", bottom + 22);
    chart.setAttribute("aria-label", names.map((name) => `${name}: ${amount(sum(moments[name]))}`).join("; "));
    const marks = ticks(0, end / 1e9, width / 110).flatMap((gb) => [
      s("line", { x1: x(gb * 1e9), x2: x(gb * 1e9), y1: TOP, y2: bottom, stroke: colour("grid") }),
      text(x(gb * 1e9), bottom + 15, gb ? `${number(gb)} GB` : "0", gb ? "middle" : "start"),
    ]);
    const drawn = names.flatMap((name, i) => {
      const y = TOP + i * STEP + 16;
      let from = 0;
      return [text(LEFT, y - 4, `${name}: ${amount(sum(moments[name]))}`, "start", name === top ? "strong" : null),
        ...Object.values(moments[name]).map((bytes, k) => {
          const node = s("rect", { x: x(from), y, width: Math.max(0, x(from + bytes) - x(from)), height: BAR, fill: colour(`part${k}`), opacity: name === top ? 1 : 0.55 });
          from += bytes;
          return node;
        })];
    });
    const edge = x(machine), left = edge > width / 2;
    chart.replaceChildren(...marks, ...drawn,
      s("line", { x1: edge, x2: edge, y1: 4, y2: bottom, stroke: colour("ink"), "stroke-width": 2, "stroke-dasharray": "5 3" }),
      text(edge + (left ? -6 : 6), 13, `machine: ${amount(machine)}`, left ? "end" : "start", "strong"));
  }

  const stopListening = listen(model, [...STATE, "machine_gb"], draw);
  const stopFitting = fit(chart, (wide) => {
    width = wide;
    draw();
  });
  return () => (stopFitting(), stopListening());
}

export default { render };
