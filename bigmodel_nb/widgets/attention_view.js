import { fit, frame, h, listen, toggle } from "./base.js";

const STEP = 5e-4, REACH = 14, ABSENT = 65535;
const PATTERNS = ["previous token", "same token", "first token", "induction", "itself"];
const VIEWS = [["lines", "Lines"], ["matrix", "Matrix"], ["scores", "Scores"]];
const FAINT = 0.004, MOST_LINES = 1500, SHADES = 16, LISTED = 8, FOUND = 5;
const PATIENCE = 5000; // ms

// The distance below its row's highest score that each code stands for; see attention_view.py.
export function distances(divisor) {
  const table = new Float64Array(ABSENT + 1), fine = REACH / STEP, middle = (REACH - REACH / divisor) / STEP;
  for (let code = 0; code < ABSENT; code++) {
    table[code] = code <= fine ? code * STEP
      : code <= fine + middle ? REACH + (code - fine) * divisor * STEP
      : divisor * REACH * Math.exp((code - fine - middle) * STEP);
  }
  table[ABSENT] = Infinity;
  return table;
}

// How far a score of that distance may be from the true one.
export const bound = (x, divisor) =>
  (x <= REACH ? STEP : x <= divisor * REACH ? divisor * STEP : x * STEP) / 2;

// The scores of a half of all (query, key) pairs: writes them into `into`, a row of T a query.
export function unpack(codes, tops, T, future, table, into) {
  for (let i = 0, at = 0; i < T; i++)
    for (let j = future ? i + 1 : 0; j < (future ? T : i + 1); j++) into[i * T + j] = tops[i] - table[codes[at++]];
  return into;
}

// Weights of one row of scores from `from` on: the first `count` share out 1, the others get 0.
export function softmaxRow(scores, from, count, divisor, weights) {
  let top = -Infinity, sum = 0;
  for (let j = from; j < from + count; j++) if (scores[j] > top) top = scores[j];
  for (let j = from; j < from + count; j++) sum += weights[j] = Math.exp((scores[j] - top) / divisor);
  for (let j = from; j < from + count; j++) weights[j] /= sum;
}

// Entropy in nats of T weights from `from` on.
export function entropy(weights, from = 0, T = weights.length) {
  let sum = 0;
  for (let j = from; j < from + T; j++) if (weights[j] > 0) sum -= weights[j] * Math.log(weights[j]);
  return sum;
}

// The (query, key) pairs that a head of a pattern looks at.
export function pairs(tokens, pattern) {
  const out = [];
  for (let i = 1; i < tokens.length; i++) {
    if (pattern === "previous token") out.push([i, i - 1]);
    if (pattern === "first token") out.push([i, 0]);
    if (pattern === "itself") out.push([i, i]);
    for (let j = 0; j < i; j++) {
      if (tokens[i] !== tokens[j]) continue;
      if (pattern === "same token") out.push([i, j]);
      if (pattern === "induction" && j + 1 < i) out.push([i, j + 1]);
    }
  }
  return out;
}

// The weight on such pairs, averaged over their queries; null where there is none.
export function headScore(weights, T, found) {
  let sum = 0;
  for (const [i, j] of found) sum += weights[i * T + j];
  return found.length ? sum / new Set(found.map(([i]) => i)).size : null;
}

export const weightText = (w) => (w === 0 ? "0" : w < 1e-6 ? "<0.000001" : w.toPrecision(3));

// A score with those of its digits that are right: three, or fewer.
export function scoreText(value, error) {
  if (value === -Infinity) return "\u2212\u221e";
  const wanted = 2 - Math.floor(Math.log10(Math.abs(value) || 1)), known = Math.floor(-Math.log10(2 * error));
  return (Number(value.toFixed(Math.max(0, Math.min(wanted, known)))) || 0).toFixed(Math.max(0, Math.min(wanted, known)));
}

export const visible = (token) =>
  token.replaceAll(" ", "\u00b7").replaceAll("\n", "\u23ce").replaceAll("\t", "\u21e5").replaceAll("\r", "\u240d") || "\u2205";

// A copy in memory of its own, since what the kernel sends may begin at any byte.
const bytes = (view) => view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);

// All scores as they travelled: a T x T array a head, minus infinity where nothing is known.
// `add(codes, tops, future)` writes in one half of them.
function readScores(get) {
  const T = get("tokens").length, L = get("layers").length, H = get("heads"), n = L * H, tables = new Map();
  const tableOf = (divisor) => tables.get(divisor) ?? tables.set(divisor, distances(divisor)).get(divisor);
  const scores = Array.from({ length: n }, () => new Float64Array(T * T).fill(-Infinity)), tops = new Float32Array(2 * n * T);
  const add = (codes, highest, future) => {
    const all = new Uint16Array(codes), count = all.length / n, own = tops.subarray(future ? n * T : 0);
    own.set(highest);
    scores.forEach((into, k) => unpack(all.subarray(k * count, (k + 1) * count), own.subarray(k * T), T, future,
      tableOf(get("divisors")[Math.floor(k / H)] ?? 1), into));
  };
  const highest = new Float32Array(bytes(get("tops"))), known = get("future").byteLength > 0 || T === 1;
  add(bytes(get("past")), highest.subarray(0, n * T), false);
  if (known) add(bytes(get("future")), highest.subarray(n * T), true);
  return { T, L, H, scores, tops, known, add };
}

function render({ model, el }) {
  const get = (name) => model.get(name);
  const put = (changes) => {
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    model.save_changes();
  };
  const { root, say } = frame(el, "attention", "Attention heads");
  root.style.setProperty("--heads", get("heads"));
  const tokens = get("tokens"), layers = get("layers"), shown = tokens.map(visible);
  const { T, L, H, scores, tops, known, add } = readScores(get);
  const raw = get("divisors").length === 0;
  const divisorOf = (k) => (raw ? 1 : get("divisors")[Math.floor(k / H)]);
  const current = () => layers.indexOf(get("layer")) * H + get("head");
  const name = (k) => `layer ${layers[Math.floor(k / H)]}, head ${k % H}`;
  const targets = Object.fromEntries(PATTERNS.map((pattern) => [pattern, pairs(tokens, pattern)]));

  // Weights of a head under the switches as they stand, computed when first asked for.
  let weights = [], setting = "", here = known, patience = null;
  const masked = () => get("mask") || !here;
  const count = (i) => (masked() ? i + 1 : T);
  function weightsOf(k) {
    const now = `${masked()} ${get("scale")}`;
    if (now !== setting) [weights, setting] = [[], now];
    if (weights[k]) return weights[k];
    const into = new Float64Array(T * T), divisor = get("scale") ? divisorOf(k) : 1;
    if (raw && masked() === get("causal")) scores[k].forEach((s, at) => (into[at] = Math.exp(s)));
    else for (let i = 0; i < T; i++) softmaxRow(scores[k], i * T, count(i), divisor, into);
    return (weights[k] = into);
  }
  const scoreOf = (k, i, j) => {
    const s = scores[k][i * T + j], top = tops[j <= i ? k * T + i : (L * H + k) * T + i];
    return { s, error: bound(top - s, divisorOf(k)) };
  };

  // The controls
  const views = VIEWS.filter(([id]) => !(raw && id === "scores")).map(([id, label]) => [id, toggle(label, () => put({ view: id }))]);
  const mask = toggle("Causal mask", (on) => put({ mask: on }));
  const scale = toggle("Scale 1/\u221ad_k", (on) => put({ scale: on }));
  mask.root.disabled = raw && !known;
  scale.root.disabled = raw;
  if (!raw) for (const it of [mask, scale]) it.root.title = "Takes it out of the attention, in all heads";
  const fixed = [
    raw && !known ? "These weights are zero after the query, so the mask is in them." : "",
    raw ? "Weights without q\u00b7k have no scale to take out." : "",
  ].filter(Boolean).join(" ");
  const why = h("p", { class: "why", hidden: !fixed }, fixed);
  const explain = (text) => {
    why.textContent = text;
    why.hidden = !text;
    say(text);
  };
  const choice = h("select", { "aria-label": "Search for heads", change: () => put({ pattern: choice.value }) },
    h("option", { value: "" }, "search for heads\u2026"), ...PATTERNS.map((it) => h("option", { value: it }, it)));
  const results = h("div", { class: "results", role: "group", "aria-label": "Heads found" });

  // The scores of later tokens, where they were left out to keep the display small: asked for once.
  function fetchFuture() {
    if (here || raw || patience) return;
    explain("The mask goes as soon as the kernel has sent the scores of later tokens.");
    patience = setTimeout(() => explain("The mask stays: the kernel has not sent the scores of later tokens. Is it running?"), PATIENCE);
    model.send({ kind: "future" });
  }

  function receive(message, buffers) {
    if (message.kind !== "future" || here) return;
    clearTimeout(patience);
    add(bytes(buffers[0]), new Float32Array(bytes(buffers[1])), true);
    here = true;
    explain("");
    draw();
  }

  // The overview: one canvas below a grid of buttons
  const overview = h("canvas", { "aria-hidden": "true" });
  const cells = scores.map((_, k) => h("div", { role: "gridcell", tabindex: -1, class: "cell", click: () => choose(k, true), keydown: (event) => moveHead(event, k) }));
  const grid = h("div", { class: "grid", role: "grid", "aria-label": "All heads, layers down, heads across; the arrow keys choose", },
    ...layers.map((_, i) => h("div", { role: "row" }, ...cells.slice(i * H, (i + 1) * H))));
  const axis = (side, labels) => h("div", { class: side, "aria-hidden": "true" }, ...labels.map((n) => h("span", {}, n)));
  const across = axis("across", Array.from({ length: H }, (_, n) => n)), down = axis("down", layers);
  const summary = h("p", { class: "summary" });
  const steps = h("table", { class: "steps" });

  // The detail: queries, what lies between, keys
  const canvas = h("canvas", { "aria-hidden": "true" });
  const column = (side) => shown.map((token, i) => h("li", { role: "option", tabindex: -1, "aria-label": `${side} ${i}: ${token}`,
    pointerenter: () => point(side, i), focus: () => pick(side, i), click: (event) => event.currentTarget.focus(), keydown: (event) => moveToken(event, side, i) },
    h("span", { class: "token", title: token }, token), h("span", { class: "value" })));
  const items = { query: column("query"), key: column("key") };
  const list = (side) => h("ul", { class: `tokens ${side}`, role: "listbox", "aria-label": `${side === "query" ? "Queries" : "Keys"}: the arrow keys move` }, ...items[side]);
  const lines = h("div", { class: "lines", pointerleave: () => point(null) }, list("query"), canvas, list("key"));
  const plane = h("canvas", { class: "plane", tabindex: 0, role: "application", "aria-roledescription": "matrix",
    pointermove: (event) => pointCell(event), pointerleave: () => point(null), click: (event) => pointCell(event, true), keydown: (event) => moveCell(event) });
  const readout = h("p", { class: "readout" });
  const title = h("strong");
  const probe = h("i", { hidden: true });
  root.append(
    h("header", {}, title,
      h("span", { class: "row", role: "group", "aria-label": "View" }, ...views.map(([, it]) => it.root)),
      h("span", { class: "row", role: "group", "aria-label": "Before the softmax" }, mask.root, scale.root)),
    why,
    h("div", { class: "body" },
      h("div", { class: "all" }, h("div", { class: "map" }, across, down, h("div", { class: "over" }, overview, grid)),
        h("div", { class: "row" }, choice), results, summary),
      h("div", { class: "one" }, h("div", { class: "scroll" }, lines, plane), readout),
      h("div", { class: "numbers" }, steps)),
    probe,
  );

  let wide = 0, over = 0, hovered = null, key = -1, drawn = "", sorted = "";

  const ink = (colour) => {
    probe.style.color = `var(--${colour})`;
    return getComputedStyle(probe).color;
  };
  // The token whose weights are shown: the one pointed at, else the query that was chosen.
  const active = () => hovered ?? (get("query") >= 0 && get("query") < T ? { side: "query", index: get("query") } : null);

  function choose(k, focus) {
    put({ layer: layers[Math.floor(k / H)], head: k % H });
    if (focus) cells[k].focus();
  }

  function moveHead(event, k) {
    const to = { ArrowLeft: k % H ? k - 1 : k, ArrowRight: k % H < H - 1 ? k + 1 : k, ArrowUp: k - H, ArrowDown: k + H,
      Home: k - (k % H), End: k - (k % H) + H - 1, PageUp: k % H, PageDown: (L - 1) * H + (k % H) }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    if (cells[to]) choose(to, true);
  }

  function point(side, index) {
    if (hovered?.side === side && hovered?.index === index) return;
    hovered = side ? { side, index } : null;
    if (!side) key = -1;
    drawDetail();
  }

  function pick(side, index) {
    hovered = null;
    key = -1;
    if (side === "query") return get("query") === index ? drawDetail(true) : put({ query: index });
    hovered = { side, index };
    drawDetail(true);
  }

  function moveToken(event, side, i) {
    const to = { ArrowUp: i - 1, ArrowDown: i + 1, Home: 0, End: T - 1 }[event.key];
    if (event.key === "Escape") {
      hovered = null;
      put({ query: -1 });
    } else if (event.key === "ArrowRight" || event.key === "ArrowLeft") items[event.key === "ArrowRight" ? "key" : "query"][i].focus();
    else if (to === undefined) return;
    else items[side][to]?.focus();
    event.preventDefault();
  }

  function pointCell(event, chosen = false) {
    const edge = plane.getBoundingClientRect(), { left, top, cell } = plane.place;
    const j = Math.floor((event.clientX - edge.left - left) / cell), i = Math.floor((event.clientY - edge.top - top) / cell);
    if (i < 0 || j < 0 || i >= T || j >= T) return point(null);
    if (chosen) {
      key = j;
      return put({ query: i });
    }
    if (hovered?.index === i && key === j) return;
    hovered = { side: "query", index: i };
    key = j;
    drawDetail();
  }

  function moveCell(event) {
    const [di, dj] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] ?? [];
    const clamp = (x) => Math.min(T - 1, Math.max(0, x)), i = Math.max(0, get("query"));
    if (event.key === "Escape") {
      key = -1;
      put({ query: -1 });
    } else if (event.key === "Home" || event.key === "End") key = event.key === "Home" ? 0 : T - 1;
    else if (di === undefined) return;
    else if (get("query") < 0) key = 0;
    else key = clamp(key + dj);
    event.preventDefault();
    hovered = null;
    if (event.key === "Escape") return;
    const next = get("query") < 0 ? T - 1 : clamp(i + (di ?? 0));
    if (next === get("query")) drawDetail(true);
    else put({ query: next });
  }

  // One head as a small picture in `pixels`, whose rows are `stride` long.
  function thumbnail(w, pixels, stride, at, size, [r, g, b]) {
    for (let u = 0; u < size; u++) {
      const i0 = Math.floor((u * T) / size), i1 = Math.max(i0 + 1, Math.floor(((u + 1) * T) / size));
      for (let v = 0; v < size; v++) {
        const j0 = Math.floor((v * T) / size), j1 = Math.max(j0 + 1, Math.floor(((v + 1) * T) / size));
        let most = 0;
        for (let i = i0; i < i1; i++) for (let j = j0; j < j1; j++) if (w[i * T + j] > most) most = w[i * T + j];
        pixels.set([r, g, b, 255 * Math.sqrt(most)], 4 * (at + u * stride + v));
      }
    }
  }

  function drawOverview() {
    const now = [over, masked(), get("scale"), ink("bn-first"), devicePixelRatio].join();
    if (now === drawn || !over) return;
    drawn = now;
    const dots = devicePixelRatio || 1, step = Math.floor((over * dots) / H), gap = Math.min(2, step - 1), size = Math.max(1, step - gap);
    const box = { width: step * H, height: step * L }, context = overview.getContext("2d");
    Object.assign(overview, box);
    overview.style.width = grid.style.width = `${box.width / dots}px`;
    root.style.setProperty("--cell", `${step / dots}px`);
    for (const [labels, room] of [[across, 20], [down, 13]])
      [...labels.children].forEach((it, n) => (it.hidden = n % Math.ceil((room * dots) / step) > 0));
    const image = context.createImageData(box.width, box.height), rgb = ink("bn-first").match(/\d+/g).map(Number);
    for (let k = 0; k < L * H; k++)
      thumbnail(weightsOf(k), image.data, box.width, Math.floor(k / H) * step * box.width + (k % H) * step, size, rgb);
    context.putImageData(image, 0, 0);
  }

  function search() {
    const pattern = get("pattern"), now = [pattern, masked(), get("scale")].join();
    if (now === sorted) return;
    sorted = now;
    choice.value = pattern;
    const found = pattern ? targets[pattern] : [];
    const values = scores.map((_, k) => (found.length ? headScore(weightsOf(k), T, found) : null));
    cells.forEach((cell, k) => {
      cell.style.setProperty("--score", values[k] ?? 0);
      cell.setAttribute("aria-label", values[k] === null ? name(k) : `${name(k)}: ${pattern} ${weightText(values[k])}`);
    });
    const best = values.map((value, k) => [value, k]).sort((a, b) => b[0] - a[0]).slice(0, FOUND);
    results.replaceChildren(...(!pattern ? [] : !found.length ? [`This text has no pair for \u201c${pattern}\u201d.`]
      : best.map(([value, k]) => h("button", { type: "button", "aria-label": `${name(k)}: ${weightText(value)}`, click: () => choose(k) },
        `L${layers[Math.floor(k / H)]} H${k % H} `, h("b", {}, weightText(value))))));
    if (pattern) say(found.length ? `${pattern}: ${best.map(([value, k]) => `${name(k)} ${weightText(value)}`).join("; ")}` : results.textContent);
  }

  function size(canvas, width, height) {
    const dots = devicePixelRatio || 1, context = canvas.getContext("2d");
    Object.assign(canvas, { width: Math.round(width * dots), height: Math.round(height * dots) });
    Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    context.scale(dots, dots);
    return context;
  }

  function drawLines(w, now) {
    const row = Math.min(22, Math.max(12, Math.floor(560 / T))), side = Math.min(170, Math.floor(wide * 0.34)), width = Math.max(40, wide - 2 * side);
    lines.style.setProperty("--row", `${row}px`);
    lines.style.setProperty("--side", `${side}px`);
    const context = size(canvas, width, row * T);
    context.strokeStyle = ink("bn-first");
    const queries = now?.side === "query" ? [now.index] : tokens.keys(), keys = now?.side === "key" ? [now.index] : null;
    const strong = now ? [] : w.filter((weight) => weight >= FAINT).sort();
    const least = strong.length > MOST_LINES ? strong[strong.length - MOST_LINES] : FAINT;
    const paths = Array.from({ length: SHADES }, () => new Path2D());
    let room = 2 * MOST_LINES; // many may be equal
    for (const i of queries)
      for (let j = keys ? keys[0] : 0, end = keys ? keys[0] + 1 : T; j < end; j++) {
        const weight = w[i * T + j];
        if (weight < least || room-- <= 0) continue;
        const path = paths[Math.min(SHADES - 1, Math.floor(weight * SHADES))], from = (i + 0.5) * row, to = (j + 0.5) * row;
        path.moveTo(0, from);
        path.bezierCurveTo(width / 3, from, (2 * width) / 3, to, width, to);
      }
    paths.forEach((path, n) => {
      context.globalAlpha = ((n + 0.5) / SHADES) ** 0.8;
      context.lineWidth = n < 3 ? 1 : 1 + (2 * n) / SHADES;
      context.stroke(path);
    });
    const stop = { query: Math.max(0, get("query")), key: now?.side === "key" ? now.index : 0 };
    for (const side of ["query", "key"])
      items[side].forEach((item, n) => {
        const other = now && now.side !== side, weight = other ? w[side === "key" ? now.index * T + n : n * T + now.index] : null;
        const own = now?.side === side && now.index === n;
        const blocked = Boolean(other) && masked() && (side === "key" ? n > now.index : n < now.index);
        item.style.setProperty("--w", weight ?? (own ? 1 : 0));
        item.classList.toggle("own", own);
        item.lastChild.textContent = weight === null || blocked ? "" : weightText(weight);
        item.classList.toggle("masked", blocked);
        item.tabIndex = n === stop[side] ? 0 : -1;
        item.setAttribute("aria-selected", String(own));
      });
  }

  // Cells as they are filled: weights, or scores with their sign.
  function fillOf(k, w) {
    if (get("view") === "matrix") return { value: (at) => w[at], most: 1, lift: Math.sqrt };
    let most = 0;
    for (let i = 0; i < T; i++) for (let j = 0; j < count(i); j++) if (Number.isFinite(scores[k][i * T + j])) most = Math.max(most, Math.abs(scores[k][i * T + j]));
    return { value: (at) => scores[k][at], most: most || 1, lift: (x) => x };
  }

  function drawMatrix(k, w, now) {
    const longest = Math.min(14, Math.max(...shown.map((it) => it.length))), labels = (wide - 14 - 7 * longest) / T >= 9.5;
    const left = labels ? 10 + 7 * longest : 4, cell = Math.min(26, (wide - left - 4) / T), side = cell * T, top = left;
    const context = size(plane, left + side + 2, top + side + 2);
    plane.place = { left, top, cell };
    context.fillStyle = ink("bn-panel");
    context.fillRect(left, top, side, side);
    const fill = fillOf(k, w), colours = [ink("bn-first"), ink("bn-second")];
    for (let i = 0; i < T; i++)
      for (let j = 0; j < count(i); j++) {
        const value = fill.value(i * T + j);
        if (!value || !Number.isFinite(value)) continue;
        context.globalAlpha = fill.lift(Math.min(1, Math.abs(value) / fill.most));
        context.fillStyle = colours[value < 0 ? 1 : 0];
        context.fillRect(left + j * cell, top + i * cell, cell - (cell > 6 ? 1 : 0), cell - (cell > 6 ? 1 : 0));
      }
    context.globalAlpha = 1;
    context.strokeStyle = ink("k");
    if (cell > 4) for (const [i, j] of targets[get("pattern")] ?? []) context.strokeRect(left + j * cell, top + i * cell, cell - 1, cell - 1);
    context.font = `${cell < 12 ? 9 : 11}px DejaVu Sans, Verdana, sans-serif`;
    const word = (n) => (shown[n].length > 14 ? `${shown[n].slice(0, 13)}\u2026` : shown[n]);
    for (let n = 0; labels && n < T; n++) {
      context.fillStyle = ink(now?.index === n ? "q" : "bn-ink");
      context.textAlign = "right";
      context.fillText(word(n), left - 5, top + (n + 0.5) * cell + 4);
      context.save();
      context.translate(left + (n + 0.5) * cell + 4, top - 5);
      context.rotate(-Math.PI / 2);
      context.textAlign = "left";
      context.fillStyle = ink(key === n ? "k" : "bn-ink");
      context.fillText(word(n), 0, 0);
      context.restore();
    }
    if (!now) return;
    context.lineWidth = 2;
    context.strokeStyle = ink("q");
    context.strokeRect(left, top + now.index * cell, side, cell);
    context.strokeStyle = ink("k");
    if (key >= 0) context.strokeRect(left + key * cell, top, cell, side);
  }

  // The numbers of one pair in words.
  function pairText(k, i, j) {
    const weight = weightText(weightsOf(k)[i * T + j]), who = `query ${i} ${shown[i]}, key ${j} ${shown[j]}`;
    if (raw) return `${who}: weight ${weight}`;
    const { s, error } = scoreOf(k, i, j), divisor = divisorOf(k), blocked = masked() && j > i;
    if (s === -Infinity) return `${who}: masked, weight 0`;
    const scaled = get("scale") ? `, divided by ${Number(divisor.toFixed(2))}: ${scoreText(s / divisor, error / divisor)}` : "";
    return `${who}: q\u00b7k ${scoreText(s, error)}${scaled}${blocked ? ", masked" : ""}, weight ${weight}`;
  }

  function table(k, w, now) {
    if (!now) return steps.replaceChildren();
    const divisor = divisorOf(k), others = Array.from({ length: T }, (_, n) => n), query = now.side === "query";
    const at = (n) => (query ? [now.index, n] : [n, now.index]);
    const seen = others.filter((n) => at(n)[1] < count(at(n)[0]));
    const order = seen.sort((a, b) => w[at(b)[0] * T + at(b)[1]] - w[at(a)[0] * T + at(a)[1]]);
    const listed = order.slice(0, LISTED), rest = order.slice(LISTED).reduce((sum, n) => sum + w[at(n)[0] * T + at(n)[1]], 0);
    const scaled = get("scale") && !raw;
    const row = (n) => {
      const [i, j] = at(n), { s, error } = scoreOf(k, i, j), weight = w[i * T + j];
      return h("tr", {}, h("th", { scope: "row" }, h("span", { class: `token ${query ? "k" : "q"}` }, shown[n]), ` ${n}`),
        ...(raw ? [] : [h("td", {}, scoreText(s, error))]), ...(scaled ? [h("td", {}, scoreText(s / divisor, error / divisor))] : []),
        h("td", { class: "bar", style: `--w: ${weight}` }, weightText(weight)));
    };
    const width = 2 + (raw ? 0 : 1) + (scaled ? 1 : 0), h0 = entropy(w, now.index * T, T);
    const heads = [query ? "key" : "query", ...(raw ? [] : ["q\u00b7k"]), ...(scaled ? [`\u00f7 \u221ad_k = ${Number(divisor.toFixed(2))}`] : []), raw ? "weight" : "softmax"];
    steps.replaceChildren(
      h("caption", {}, query ? "Query " : "Key ", h("span", { class: `token ${query ? "q" : "k"}` }, shown[now.index]), ` ${now.index} `,
        query ? `looks at ${order.length} keys: entropy ${h0.toFixed(2)} of at most ${Math.log(order.length).toFixed(2)} nats` : `is seen by ${order.length} queries`),
      h("thead", {}, h("tr", {}, ...heads.map((it) => h("th", { scope: "col" }, it)))),
      h("tbody", {}, ...listed.map(row),
        ...(order.length > LISTED ? [h("tr", {}, h("th", { scope: "row", colspan: width - 1 }, `${order.length - LISTED} more`), h("td", {}, weightText(rest)))] : [])));
  }

  function drawDetail(spoken = false) {
    if (!wide) return;
    const k = current(), w = weightsOf(k), view = get("view"), now = active();
    lines.hidden = view !== "lines";
    plane.hidden = view === "lines";
    if (view === "lines") drawLines(w, now);
    else drawMatrix(k, w, now?.side === "query" ? now : null);
    plane.setAttribute("aria-label", `${view === "scores" ? "Scores" : "Weights"} of ${name(k)}: the arrow keys move over queries and keys`);
    const pair = view !== "lines" && now?.side === "query" && key >= 0;
    readout.textContent = pair ? pairText(k, now.index, key) : view === "lines" ? "Point at a token, or move to one with the arrow keys: its weights, in numbers."
      : `Rows are queries, columns keys. Point at a cell, or move with the arrow keys.${view === "scores" ? " Blue is above 0, orange below." : ""}`
        + (targets[get("pattern")]?.length ? ` Framed: where \u201c${get("pattern")}\u201d looks.` : "");
    table(k, w, now);
    if (spoken || !hovered) speak(k, w, now, pair);
  }

  function speak(k, w, now, pair) {
    if (pair) return say(readout.textContent);
    if (!now) return say(`${name(k)}. ${summary.textContent}`);
    const at = (n) => (now.side === "query" ? w[now.index * T + n] : w[n * T + now.index]);
    const best = Array.from({ length: T }, (_, n) => n).sort((a, b) => at(b) - at(a)).slice(0, 3).filter((n) => at(n) > 0);
    say(`${name(k)}, ${now.side} ${now.index} ${shown[now.index]}: ${best.map((n) => `${shown[n]} ${weightText(at(n))}`).join(", ")}`);
  }

  // JupyterLab puts the widget into the page after it is made; until then nothing has a colour.
  function draw() {
    if (!root.isConnected) return;
    if (!get("mask")) fetchFuture();
    const k = current(), w = weightsOf(k);
    title.textContent = `Layer ${get("layer")}, head ${get("head")}`;
    for (const [id, it] of views) it.press(get("view") === id);
    mask.press(get("mask"));
    scale.press(get("scale"));
    cells.forEach((cell, n) => {
      if (cell.tabIndex !== (n === k ? 0 : -1)) {
        cell.tabIndex = n === k ? 0 : -1;
        cell.setAttribute("aria-selected", String(n === k));
      }
    });
    let mean = 0;
    for (let i = 0; i < T; i++) mean += entropy(w, i * T, T) / T;
    const parts = PATTERNS.filter((it) => targets[it].length).map((it) => `${it} ${headScore(w, T, targets[it]).toFixed(2)}`);
    summary.textContent = `This head: ${[...parts, `mean entropy ${mean.toFixed(2)} nats`].join(", ")}`;
    drawOverview();
    search();
    drawDetail();
  }

  const stops = [
    fit(lines.parentNode, (width) => {
      wide = width;
      draw();
    }),
    fit(grid.parentNode, () => {
      over = grid.parentNode.clientWidth || 320;
      draw();
    }),
    listen(model, ["layer", "head", "view", "mask", "scale", "pattern", "query"], draw),
  ];
  // The canvases hold colours of the theme, so they are drawn again when it changes.
  const themes = new MutationObserver(draw), dark = matchMedia("(prefers-color-scheme: dark)");
  themes.observe(document.body, { attributeFilter: ["data-jp-theme-light", "class"] });
  dark.addEventListener("change", draw);
  model.on("msg:custom", receive);
  return () => {
    clearTimeout(patience);
    model.off("msg:custom", receive);
    themes.disconnect();
    dark.removeEventListener("change", draw);
    stops.forEach((stop) => stop());
  };
}

export default { render };
