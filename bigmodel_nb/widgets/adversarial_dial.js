import { colour, fit, frame, h, listen, s, scale, slider, ticks, toggle } from "./base.js";

const POINTS = 51, ATTACKS = ["attack", "random signs"], HEIGHT = 190, LEFT = 40, TOP = 14, BOTTOM = 150;

// The image moved by epsilon along the direction, kept between 0 and 1.
export function changed(image, direction, epsilon) {
  return Array.from(image, (v, i) => Math.min(1, Math.max(0, v + epsilon * direction[i])));
}

export function softmax(logits) {
  const top = Math.max(...logits), e = Array.from(logits, (z) => Math.exp(z - top)), sum = e.reduce((a, b) => a + b, 0);
  return e.map((a) => a / sum);
}

// The label's logit minus the largest other.
export function margin(logits, label) {
  return logits[label] - Math.max(...Array.from(logits).filter((_, c) => c !== label));
}

// The first point whose margin is below 0; -1 where there is none.
export const falls = (margins) => margins.findIndex((m) => m < 0);

const numbers = (view, Kind) => new Kind(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
const percent = (p) => (p > 0.995 ? "> 99 %" : p < 0.005 ? "< 1 %" : `${Math.round(100 * p)} %`);

// What the state holds, as arrays that can be cut by image, network and attack.
export function tables(get) {
  const [N, high, wide, C] = get("shape"), size = high * wide, nets = get("nets").length;
  const pixels = numbers(get("pixels"), Float32Array), signs = numbers(get("directions"), Int8Array), z = numbers(get("logits"), Float32Array);
  return {
    N, high, wide, C,
    image: (n) => pixels.subarray(n * size, (n + 1) * size),
    direction: (a, k, n) => signs.subarray(((a * nets + k) * N + n) * size).subarray(0, size),
    logits: (a, k, n, point) => z.subarray((((a * nets + k) * N + n) * POINTS + point) * C).subarray(0, C),
  };
}

function render({ model, el }) {
  const get = (name) => model.get(name);
  const { root, say } = frame(el, "dial", "Adversarial dial");
  const keep = () => model.save_changes();
  const choose = (name, value) => (model.set(name, value), keep());
  const step = () => get("largest") / (POINTS - 1), pointOf = (epsilon) => Math.round(epsilon / step());
  const held = tables(get);

  const size = slider({ label: "epsilon, the largest change of a pixel", min: 0, max: get("largest"), step: step(), value: get("epsilon"),
    format: (x) => x.toFixed(2), change: (x) => model.set("epsilon", x) });
  size.input.addEventListener("change", keep);
  const attacks = ATTACKS.map((name, k) => toggle(name, () => choose("attack", k)));
  const nets = get("nets").map((name, k) => toggle(name, () => choose("net", k)));
  const pictures = Array.from({ length: held.N }, (_, n) => {
    const button = toggle("", () => choose("image", n));
    button.root.setAttribute("aria-label", `image ${n}, a ${get("labels")[n]}`);
    button.root.classList.add("thumb");
    button.root.append(drawing(held.image(n)));
    return button;
  });

  // Grey squares for ink from 0 to 1; with `signed`, orange and blue for what is taken away and added.
  function drawing(values, signed = false, label = null) {
    const { high, wide } = held;
    return s("svg", { viewBox: `0 0 ${wide} ${high}`, class: "seen", ...(label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" }) },
      s("rect", { width: wide, height: high, fill: "#fff" }),
      ...Array.from(values, (v, i) => s("rect", { x: i % wide, y: Math.floor(i / wide), width: 1, height: 1,
        fill: signed ? (v > 0 ? "#0072b2" : "#d55e00") : "#1f2328", "fill-opacity": signed ? Math.abs(v) * 2 : v })));
  }

  const boxes = ["the image", "the change", "what the network gets"].map((name) => {
    const caption = h("figcaption", {}, name), place = h("div", {});
    return { root: h("figure", {}, caption, place), caption, place };
  });
  const bars = Array.from({ length: held.C }, (_, c) => {
    const fill = h("span", { class: "fill" }), value = h("span", { class: "value" });
    return { root: h("div", { class: "bar", role: "img" }, h("b", {}, String(c)), h("span", { class: "track" }, fill), value), fill, value };
  });
  const verdict = h("p", { class: "verdict" });
  const chart = s("svg", { height: HEIGHT, role: "img", class: "chart" });
  const group = (name, parts) => h("div", { class: "row", role: "group", "aria-label": name }, ...parts.map((part) => part.root));
  root.append(
    group("image", pictures),
    h("div", { class: "row" }, size.root, group("kind of change", attacks)),
    ...(nets.length > 1 ? [group("network", nets)] : []),
    h("div", { class: "panels" }, ...boxes.map((box) => box.root),
      h("figure", { class: "answers" }, h("figcaption", {}, "its probabilities"), ...bars.map((bar) => bar.root))),
    verdict,
    h("p", { class: "caption" }, "margin: the right logit minus the largest other. Drag here, too."),
    chart,
  );

  let width = 680, dragging = false;
  const drag = (event) => {
    const box = chart.getBoundingClientRect(), x = scale(0, box.width, 0, width)(event.clientX - box.left);
    const along = Math.min(1, Math.max(0, (x - LEFT) / (width - LEFT - 12)));
    model.set("epsilon", Math.round(along * (POINTS - 1)) * step());
  };
  chart.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    event.preventDefault();
    chart.setPointerCapture(event.pointerId);
    dragging = true;
    drag(event);
  });
  chart.addEventListener("pointermove", (event) => dragging && drag(event));
  const drop = () => dragging && ((dragging = false), keep(), draw());
  chart.addEventListener("pointerup", drop);
  chart.addEventListener("pointercancel", drop);

  const marginsOf = (attack) => Array.from({ length: POINTS }, (_, p) =>
    margin(held.logits(attack, get("net"), get("image"), p), get("labels")[get("image")]));

  function draw() {
    const [epsilon, n, k, a] = ["epsilon", "image", "net", "attack"].map(get), label = get("labels")[n], point = pointOf(epsilon);
    const before = held.image(n), after = changed(before, held.direction(a, k, n), epsilon);
    const z = held.logits(a, k, n, point), p = softmax(z), best = p.indexOf(Math.max(...p)), m = margin(z, label);
    const moved = after.map((v, i) => v - before[i]);
    size.set(epsilon);
    attacks.forEach((it, i) => it.press(i === a));
    nets.forEach((it, i) => it.press(i === k));
    pictures.forEach((it, i) => it.press(i === n));
    boxes[0].caption.textContent = `the image, a ${label}`;
    boxes[0].place.replaceChildren(drawing(before, false, `the image, a ${label}`));
    boxes[1].place.replaceChildren(drawing(moved, true, "the change: blue adds ink, orange takes it away"));
    boxes[2].place.replaceChildren(drawing(after, false, `what the network gets; it reads ${best}`));
    bars.forEach((bar, c) => {
      bar.fill.style.width = `${100 * p[c]}%`;
      bar.value.textContent = percent(p[c]);
      bar.root.setAttribute("aria-label", `${c}: ${percent(p[c])}`);
      bar.root.classList.toggle("best", c === best);
      bar.root.classList.toggle("right", c === label);
    });
    const words = `It reads ${best} ${best === label ? "" : `and not ${label} `}(${percent(p[best])}); margin ${m.toFixed(1)}.`;
    verdict.textContent = words;
    verdict.classList.toggle("wrong", best !== label);
    if (!dragging) say(`epsilon ${epsilon.toFixed(2)}: ${words}`);
    drawChart(epsilon, a, m);
  }

  function drawChart(epsilon, attack, now) {
    const lines = ATTACKS.map((_, a) => marginsOf(a)), all = lines.flat();
    const low = Math.min(-1, ...all), high = Math.max(1, ...all);
    const x = scale(0, get("largest"), LEFT, width - 12), y = scale(low, high, BOTTOM, TOP);
    const points = (margins) => margins.map((m, i) => `${x(i * step()).toFixed(1)},${y(m).toFixed(1)}`).join(" ");
    const first = falls(lines[attack]);
    chart.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    chart.setAttribute("aria-label", `margin against epsilon: ${ATTACKS[attack]}, ` +
      (first < 0 ? `never below 0 up to ${get("largest")}` : `below 0 from epsilon ${(first * step()).toFixed(2)} on`));
    const text = (tx, ty, words, anchor, fill) => s("text", { x: tx, y: ty, "text-anchor": anchor, ...(fill ? { style: `fill: ${fill}` } : {}) }, words);
    chart.replaceChildren(
      ...ticks(low, high, 4).flatMap((v) => [
        s("line", { x1: LEFT, x2: width - 12, y1: y(v), y2: y(v), stroke: colour(v === 0 ? "ink" : "grid") }), text(LEFT - 6, y(v) + 4, String(v), "end")]),
      ...ticks(0, get("largest")).map((v) => text(x(v), BOTTOM + 17, String(v), "middle")),
      text((LEFT + width) / 2, BOTTOM + 33, "epsilon", "middle"),
      ...lines.map((margins, a) => s("polyline", { points: points(margins), fill: "none", stroke: colour(a === 0 ? "second" : "first"),
        "stroke-width": a === attack ? 2.5 : 1.2, "stroke-dasharray": a === attack ? null : "4 3" })),
      ...ATTACKS.map((name, a) => text(LEFT + 8, BOTTOM - 22 + 16 * a, name, "start", colour(a === 0 ? "second" : "first"))),
      s("line", { x1: x(epsilon), x2: x(epsilon), y1: TOP, y2: BOTTOM, stroke: colour("faint"), "stroke-dasharray": "3 3" }),
      s("circle", { cx: x(epsilon), cy: y(now), r: 6, fill: colour(attack === 0 ? "second" : "first"), stroke: colour("paper"), "stroke-width": 2 }),
    );
  }

  const stopListening = listen(model, ["epsilon", "image", "net", "attack"], draw);
  const stopFitting = fit(chart, (wide) => {
    width = wide;
    draw();
  });
  return () => (stopFitting(), stopListening());
}

export default { render };
