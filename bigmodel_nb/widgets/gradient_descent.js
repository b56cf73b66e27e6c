import { colour, fit, frame, h, listen, number, s, scale, slider, ticks } from "./base.js";

const HEIGHT = 250, LEFT = 52, TOP = 18, BOTTOM = 208, FAR = 1e6, MOST_STEPS = 100;

const sigmoid = (z) => (z >= 0 ? 1 : Math.exp(-Math.abs(z))) / (1 + Math.exp(-Math.abs(z)));

// A loss is { coefficients, x, y }: a polynomial, or the cross-entropy of a neuron with one weight.
export function lossAt({ coefficients, x, y }, theta) {
  if (coefficients.length) return coefficients.reduce((sum, c, k) => sum + c * theta ** k, 0);
  const cost = (z, label) => Math.max(z, 0) - label * z + Math.log1p(Math.exp(-Math.abs(z)));
  return x.reduce((sum, v, i) => sum + cost(theta * v, y[i]), 0) / x.length;
}

export function slopeAt({ coefficients, x, y }, theta) {
  if (coefficients.length) return coefficients.reduce((sum, c, k) => (k ? sum + k * c * theta ** (k - 1) : 0), 0);
  return x.reduce((sum, v, i) => sum + (sigmoid(theta * v) - y[i]) * v, 0) / x.length;
}

// [theta, loss] before the first step and after each; ends early when theta has left for good.
export function path(loss, start, lr, steps) {
  const points = [[start, lossAt(loss, start)]];
  for (let i = 0; i < steps; i++) {
    const theta = points[i][0] - lr * slopeAt(loss, points[i][0]);
    if (!(Math.abs(theta) <= FAR)) break;
    points.push([theta, lossAt(loss, theta)]);
  }
  return points;
}

export function verdict(points, steps) {
  const last = points[points.length - 1], before = points[points.length - 2];
  if (points.length <= steps || last[1] > points[0][1] + 1e-9) return "diverges";
  if (!before) return "on its way";
  return Math.abs(last[0] - before[0]) <= 1e-3 * Math.max(1, Math.abs(last[0])) ? "at rest" : "on its way";
}

// The slider of the learning rate is logarithmic: 1 for each factor of 10.
export const rate = (position) => Number((10 ** position).toPrecision(3));

function render({ model, el }) {
  const get = (name) => model.get(name);
  const { root, say } = frame(el, "descent", "Gradient descent");
  const [low, high] = get("between");
  const put = (name, value) => {
    model.set(name, value);
    model.save_changes();
  };
  const lr = slider({
    label: "Learning rate", min: -3, max: 2, step: 0.02, value: Math.log10(get("lr")),
    format: (v) => number(Math.abs(v - Math.log10(get("lr"))) < 0.0105 ? get("lr") : rate(v)), change: (v) => put("lr", rate(v)),
  });
  const start = slider({
    label: `Start ${get("name")}`, min: low, max: high, step: (high - low) / 200, value: get("start"),
    change: (v) => put("start", v),
  });
  const steps = slider({
    label: "Steps", min: 0, max: MOST_STEPS, value: get("steps"), change: (v) => put("steps", v),
  });
  const button = (text, change) =>
    h("button", { type: "button", click: () => put("steps", Math.min(MOST_STEPS, change(get("steps")))) }, text);
  const readout = h("p", { class: "readout" });
  const chart = s("svg", { height: HEIGHT, role: "img" });
  root.append(
    h("header", {}, lr.root, start.root, steps.root,
      h("span", { class: "row" }, button("One step", (n) => n + 1), button("Back to the start", () => 0))),
    chart, readout,
  );

  let width = 680, x;

  function draw() {
    const loss = { coefficients: get("coefficients"), x: get("x"), y: get("y") };
    const points = path(loss, get("start"), get("lr"), get("steps"));
    const right = Math.round(width * 0.62), second = right + 62;
    chart.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    chart.replaceChildren(...valley(loss, points, right), ...history(points, second, width - 10));
    if (Math.abs(rate(Number(lr.input.value)) - get("lr")) > 1e-9) lr.set(Math.log10(get("lr")));
    start.set(get("start"));
    steps.set(get("steps"));
    tell(loss, points);
  }

  function tell(loss, points) {
    const [theta, value] = points[points.length - 1], state = verdict(points, get("steps"));
    const outside = state !== "diverges" && (theta < low || theta > high) ? ", outside the picture" : "";
    readout.textContent =
      `After ${points.length - 1} of ${get("steps")} steps: ${get("name")} ${number(theta)}, loss ${number(value)}, ` +
      `slope ${number(slopeAt(loss, theta))}: ${state}${outside}.`;
    readout.classList.toggle("bad", state === "diverges");
    chart.setAttribute("aria-label", readout.textContent);
    say(`${state}, loss ${number(value)}`);
  }

  function axes(xs, ys, px, py, left, right, name) {
    const label = (at, down, text, anchor) => s("text", { x: at, y: down, "text-anchor": anchor }, text);
    return [
      ...ys.flatMap((v) => [
        s("line", { x1: left, x2: right, y1: py(v), y2: py(v), stroke: colour("grid") }),
        label(left - 6, py(v) + 4, number(v), "end"),
      ]),
      ...xs.map((v) => label(px(v), BOTTOM + 17, number(v), "middle")),
      label((left + right) / 2, BOTTOM + 36, name, "middle"),
      label(left, TOP - 4, "loss", "start"),
    ];
  }

  const line = (points, name, extra = {}) =>
    s("polyline", {
      points: points.map((p) => p.map((v) => Math.max(-1e4, Math.min(1e4, v)).toFixed(1)).join()).join(" "),
      fill: "none", stroke: colour(name), "stroke-width": 1.5, ...extra,
    });

  function valley(loss, points, right) {
    const curve = Array.from({ length: 121 }, (_, i) => low + ((high - low) * i) / 120).map((v) => [v, lossAt(loss, v)]);
    const losses = curve.map((p) => p[1]);
    const margin = (Math.max(...losses) - Math.min(...losses)) * 0.06 || 0.5;
    const range = [Math.min(...losses) - margin, Math.max(...losses) + margin];
    x = scale(low, high, LEFT, right);
    const y = scale(...range, BOTTOM, TOP);
    const seen = points.filter((p) => p[0] >= low && p[0] <= high);
    return [
      ...axes(ticks(low, high, 6), ticks(...range), x, y, LEFT, right, get("name")),
      line(curve.map((p) => [x(p[0]), y(p[1])]), "faint"),
      line(seen.map((p) => [x(p[0]), y(p[1])]), "first", { class: "path" }),
      ...seen.map((p, i) => s("circle", { cx: x(p[0]), cy: y(p[1]), r: i ? 3.5 : 6, fill: colour(i ? "first" : "second") })),
    ];
  }

  function history(points, left, right) {
    const losses = points.map((p) => p[1]);
    const floor = Math.min(...losses), top = Math.max(...losses);
    const log = floor > 0 && top / floor > 30;
    const range = log ? [Math.max(floor, top * 1e-8), top * 1.2] : [floor - (top - floor) * 0.05, top + ((top - floor) * 0.05 || 0.5)];
    const px = scale(0, Math.max(1, get("steps")), left, right), py = scale(...range, BOTTOM, TOP, log);
    const marks = ticks(...range, 4, log).filter((v, i, all) => all.length < 9 || i % Math.ceil(all.length / 6) === 0);
    return [
      ...axes(ticks(0, Math.max(1, get("steps")), 3), marks, px, py, left, right, log ? "step (loss on a log scale)" : "step"),
      line(losses.map((v, i) => [px(i), py(Math.max(v, range[0]))]), "first", { class: "history" }),
    ];
  }

  let held = false;
  const drag = (event) => {
    const edge = chart.getBoundingClientRect(), right = Math.round(width * 0.62);
    const at = ((event.clientX - edge.left) / edge.width) * width;
    const value = low + ((at - LEFT) / (right - LEFT)) * (high - low);
    if (!held && (at < LEFT || at > right)) return;
    held = true;
    put("start", Number(Math.max(low, Math.min(high, value)).toPrecision(4)));
  };
  chart.addEventListener("pointerdown", (event) => {
    drag(event);
    if (held) chart.setPointerCapture?.(event.pointerId);
  });
  chart.addEventListener("pointermove", (event) => held && drag(event));
  for (const end of ["pointerup", "pointercancel"]) chart.addEventListener(end, () => (held = false));

  const stopFitting = fit(chart, (wide) => {
    width = wide;
    draw();
  });
  const stopListening = listen(model, ["start", "lr", "steps", "coefficients", "x", "y"], draw);
  return () => (stopFitting(), stopListening());
}

export default { render };
