import { colour, fit, frame, h, listen, s, scale, toggle } from "./base.js";

const LEAST = 1e-3, LIMIT = 12, SPAN = 6;
const HEIGHT = 236, LEFT = 40, TOP = 20, BOTTOM = 168, SPLIT = 204;

export function softmax(logits) {
  const top = Math.max(...logits), e = logits.map((z) => Math.exp(z - top));
  const sum = e.reduce((a, b) => a + b, 0);
  return e.map((a) => a / sum);
}

export function logSoftmax(logits) {
  const top = Math.max(...logits);
  const logSum = top + Math.log(logits.reduce((sum, z) => sum + Math.exp(z - top), 0));
  return logits.map((z) => z - logSum);
}

// Entropy of p, cross-entropy and KL in nats, and perplexity.
export function measure(p, logits) {
  const logQ = logSoftmax(logits);
  const sum = (term) => p.reduce((total, a, i) => (a > 0 ? total + a * term(a, i) : total), 0);
  const entropy = sum((a) => -Math.log(a)), cross = sum((a, i) => -logQ[i]);
  return { q: softmax(logits), entropy, cross_entropy: cross, kl: Math.max(0, cross - entropy), perplexity: Math.exp(cross) };
}

const clamp = (x, low, high) => Math.min(high, Math.max(low, x));

// Logits whose softmax has `value` at k and keeps the ratios of all others: one logit moves.
export function withProbability(logits, k, value) {
  const v = clamp(value, LEAST, 1 - LEAST), others = logits.filter((_, i) => i !== k);
  const top = Math.max(...others);
  const logOthers = top + Math.log(others.reduce((sum, z) => sum + Math.exp(z - top), 0));
  const moved = clamp(logOthers + Math.log(v / (1 - v)), -LIMIT, LIMIT);
  return logits.map((z, i) => (i === k ? moved : z));
}

// Logits that predict p; an impossible outcome gets the smallest logit.
export function logitsOf(p) {
  const logs = p.map((a) => Math.log(Math.max(a, 1e-9)));
  const middle = logs.reduce((a, b) => a + b, 0) / logs.length;
  return logs.map((a) => clamp(a - middle, -LIMIT, LIMIT));
}

function render({ model, el }) {
  const get = (name) => model.get(name);
  const { root, say } = frame(el, "cross-entropy", "Cross-entropy of a prediction");
  const key = (name, text) => h("span", { class: "key", style: `--key: ${colour(name)}` }, text);
  const save = (name, value) => {
    model.set(name, value);
    model.save_changes();
  };
  const asLogits = toggle("Show logits", (on) => save("show_logits", on));
  const inBits = toggle("In bits", (on) => save("bits", on));
  const button = (label, next) => h("button", { type: "button", click: () => save("logits", next()) }, label);
  const chart = s("svg", { height: HEIGHT, role: "group", "aria-label": "true and predicted distribution" });
  const figures = h("dl");
  root.append(
    h("div", { class: "row" }, key("first", "true p"), key("second", "predicted q: drag a bar, or use the arrow keys")),
    chart, figures,
    h("div", { class: "row" }, asLogits.root, inBits.root,
      button("Set q to p", () => logitsOf(get("p"))),
      button("Set q uniform", () => get("p").map(() => 0)),
      button("Add 1 to every logit", () => (Math.max(...get("logits")) > LIMIT - 1 ? get("logits") : get("logits").map((z) => z + 1))),
      button("Start again", () => get("start"))),
  );

  let width = 680, y, dragged = null;
  const bars = get("labels").map((label, k) => makeBar(label, k));
  const still = s("g"), split = s("g");
  chart.append(still, ...bars.map((bar) => bar.root), split);

  function makeBar(label, k) {
    const fillRect = s("rect", { fill: colour("second") });
    const handle = s("rect", { class: "handle", height: 6, rx: 3, fill: colour("second"), stroke: colour("paper") });
    const zone = s("rect", { fill: "transparent" });
    const value = s("text", { class: "strong", "text-anchor": "middle" });
    const bar = s("g", { class: "bar", tabindex: 0, role: "slider", "aria-orientation": "vertical", "aria-label": `predicted ${label}` },
      zone, fillRect, handle, value);
    bar.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      bar.focus();
      bar.setPointerCapture(event.pointerId);
      dragged = k;
      drag(event);
    });
    bar.addEventListener("pointermove", drag);
    const drop = () => {
      if (dragged === null) return;
      dragged = null;
      model.save_changes();
    };
    bar.addEventListener("pointerup", drop);
    bar.addEventListener("pointercancel", drop);
    bar.addEventListener("keydown", (event) => {
      const logits = get("show_logits"), now = logits ? get("logits")[k] : softmax(get("logits"))[k];
      const step = logits ? 0.1 : 0.01;
      const moves = { ArrowUp: now + step, ArrowRight: now + step, ArrowDown: now - step, ArrowLeft: now - step,
        PageUp: now + 10 * step, PageDown: now - 10 * step, Home: logits ? -SPAN : LEAST, End: logits ? SPAN : 1 - LEAST };
      if (!(event.key in moves)) return;
      event.preventDefault();
      put(k, moves[event.key]);
      model.save_changes();
    });
    return { root: bar, fillRect, handle, zone, value };
  }

  function drag(event) {
    if (dragged === null) return;
    const edge = chart.getBoundingClientRect();
    const py = ((event.clientY - edge.top) / edge.height) * HEIGHT;
    put(dragged, y.invert(py));
  }

  // One outcome's probability or logit, as the bars show it now.
  function put(k, value) {
    const logits = get("logits");
    const moved = get("show_logits")
      ? logits.map((z, i) => (i === k ? clamp(value, -SPAN, SPAN) : z))
      : withProbability(logits, k, value);
    model.set("logits", moved);
  }

  function axis(logits) {
    const [low, high] = logits ? [-SPAN, SPAN] : [0, 1];
    const place = scale(low, high, BOTTOM, TOP);
    const inside = (value) => place(clamp(value, low, high));
    inside.invert = (py) => low + ((BOTTOM - py) / (BOTTOM - TOP)) * (high - low);
    inside.marks = logits ? [-6, -3, 0, 3, 6] : [0, 0.5, 1];
    return inside;
  }

  function draw() {
    const p = get("p"), logits = get("logits"), raw = get("show_logits"), labels = get("labels");
    const m = measure(p, logits), slot = (width - LEFT - 8) / p.length, wide = Math.min(34, slot * 0.38);
    y = axis(raw);
    chart.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    const text = (x, py, words, anchor = "middle") => s("text", { x, y: py, "text-anchor": anchor }, words);
    const middle = (k) => LEFT + (k + 0.5) * slot;
    const cut = (label) => (label.length <= slot / 8 ? label : `${label.slice(0, Math.max(1, Math.floor(slot / 8) - 1))}\u2026`);
    still.replaceChildren(
      ...y.marks.flatMap((v) => [
        s("line", { x1: LEFT, x2: width - 8, y1: y(v), y2: y(v), stroke: colour("grid") }),
        text(LEFT - 6, y(v) + 4, String(v), "end"),
      ]),
      ...labels.flatMap((label, k) => [
        ...(raw ? [] : [
          s("rect", { x: middle(k) - wide - 1, y: y(p[k]), width: wide, height: y(0) - y(p[k]), fill: colour("first") }),
          text(middle(k) - wide / 2 - 1, y(p[k]) - 5, p[k].toFixed(2)),
        ]),
        s("text", { x: middle(k), y: BOTTOM + 17, "text-anchor": "middle", class: "strong" }, s("title", {}, label), cut(label)),
      ]),
    );
    bars.forEach((bar, k) => drawBar(bar, k, raw ? logits[k] : m.q[k], middle(k) + (raw ? -wide / 2 : 1), wide, raw));
    drawSplit(m, text);
    asLogits.press(raw);
    inBits.press(get("bits"));
  }

  function drawBar(bar, k, value, x, wide, raw) {
    const set = (node, attributes) => Object.entries(attributes).forEach(([n, v]) => node.setAttribute(n, v));
    const head = y(value), ground = y(0), shown = value.toFixed(2);
    set(bar.fillRect, { x, width: wide, y: Math.min(head, ground), height: Math.abs(ground - head) });
    set(bar.zone, { x: x - 3, width: wide + 6, y: TOP - 10, height: BOTTOM - TOP + 14 });
    set(bar.handle, { x: x - 3, width: wide + 6, y: head - 3 });
    set(bar.value, { x: x + wide / 2, y: raw && value < 0 ? head + 17 : head - 7 });
    bar.value.textContent = shown;
    set(bar.root, {
      "aria-valuemin": raw ? -SPAN : 0, "aria-valuemax": raw ? SPAN : 1, "aria-valuenow": shown,
      "aria-valuetext": raw ? `logit ${shown}` : `probability ${shown}, true ${get("p")[k].toFixed(2)}`,
    });
  }

  function drawSplit(m, text) {
    const unit = get("bits") ? Math.LN2 : 1, name = get("bits") ? "bits" : "nats";
    const pixels = (width - LEFT - 8) / Math.max(2 * m.entropy, m.cross_entropy, 0.1);
    const edge = LEFT + m.entropy * pixels, show = (x) => (x / unit).toFixed(3);
    split.replaceChildren(
      s("rect", { x: LEFT, y: SPLIT, width: m.entropy * pixels, height: 16, fill: colour("first") }),
      s("rect", { x: edge, y: SPLIT, width: m.kl * pixels, height: 16, fill: colour("second") }),
      text(LEFT, SPLIT + 30, "entropy, the floor", "start"),
      ...(edge + m.kl * pixels > LEFT + 250 && m.kl * pixels > 20 ? [text(edge + m.kl * pixels, SPLIT + 30, "KL, what the prediction costs", "end")] : []),
    );
    const rows = [["entropy of p", show(m.entropy)], ["+ KL(p || q)", show(m.kl)],
      ["= cross-entropy", `${show(m.cross_entropy)} ${name}`], ["perplexity", m.perplexity.toFixed(2)]];
    figures.replaceChildren(...rows.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))));
    if (dragged === null) say(`cross-entropy ${show(m.cross_entropy)} ${name}, KL ${show(m.kl)}`);
  }

  const stopListening = listen(model, ["logits", "show_logits", "bits", "p"], draw);
  const stopFitting = fit(chart, (wide) => {
    width = wide;
    draw();
  });
  return () => (stopFitting(), stopListening());
}

export default { render };
