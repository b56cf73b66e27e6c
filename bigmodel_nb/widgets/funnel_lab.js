import { colour, fit, frame, h, listen, number, s, scale, slider } from "./base.js";

const STEPS = ["leads of visitors", "trials of leads", "paid of trials"], Z = 1.96, AXIS = [0.1, 100];
const VISITORS = [50, 100, 200, 400, 700, 1000, 2000, 4000, 7000, 10000, 20000, 40000, 70000, 100000, 200000];
const STATE = ["visitors", "rates", "cost", "price", "margin", "churn", "discount"], EDGE = 10, ROW = 46;

// The same formulas as in funnel_lab.py; an interval is [low, value, high].
export function wilson(k, n) {
  if (n === 0) return [0, 0, 1];
  const centre = k + (Z * Z) / 2, half = Z * Math.sqrt((k * (n - k)) / n + (Z * Z) / 4);
  return [Math.max(0, (centre - half) / (n + Z * Z)), k / n, Math.min(1, (centre + half) / (n + Z * Z))];
}

export function funnel(visitors, rates) {
  const counts = [visitors];
  for (const rate of rates) counts.push(Math.floor(counts.at(-1) * rate + 0.5));
  return counts;
}

export function economics(visitors, rates, cost, price, margin, churn, discount) {
  const counts = funnel(visitors, rates), overall = wilson(counts.at(-1), visitors);
  const clv = (margin * price * (1 + discount)) / (churn + discount);
  return {
    counts, overall, clv,
    steps: rates.map((_, i) => wilson(counts[i + 1], counts[i])),
    cac: [...overall].reverse().map((rate) => (rate > 0 ? cost / rate : Infinity)),
    ratio: overall.map((rate) => (clv * rate) / cost),
  };
}

export const percent = (rate) => (rate < 0.9995 ? `${(100 * rate).toFixed(1)} %` : "100 %");

export function verdict(ratio) {
  if (ratio[0] > 1) return "A customer is worth more than it costs.";
  if (ratio[2] < 1) return "A customer costs more than it is worth.";
  return "Not known yet whether a customer is worth what it costs.";
}

const whole = (x) => (Number.isFinite(x) ? Math.round(x).toLocaleString("en") : "\u221e");

function render({ model, el }) {
  const get = (name) => model.get(name), keep = () => model.save_changes();
  const { root, say } = frame(el, "funnel", "Funnel lab: from visit to paid");
  const choices = [...new Set([...VISITORS, get("visitors")])].sort((a, b) => a - b);
  const put = (name, value) => (model.set(name, value), keep());
  const rated = (i, value) => model.set("rates", get("rates").map((rate, k) => (k === i ? value : rate)));
  const control = (label, name, max, step, format = number, min = step) =>
    slider({ label, min, max: Math.max(max, get(name)), step, value: get(name), format, change: (x) => put(name, x) });
  const near = (value) => Math.max(0, choices.findLastIndex((x) => x <= value));
  const controls = {
    visitors: slider({ label: "Visitors", min: 0, max: choices.length - 1, value: near(get("visitors")), format: (i) => choices[i].toLocaleString("en"),
      change: (i) => put("visitors", choices[i]) }),
    ...Object.fromEntries(STEPS.map((label, i) => [i, slider({ label, min: 0, max: 1, step: 0.005, value: get("rates")[i], format: percent,
      change: (x) => (rated(i, x), keep()) })])),
    cost: control("cost a visitor", "cost", 20, 0.1),
    price: control("price a month", "price", 200, 1),
    margin: control("margin", "margin", 1, 0.01, percent),
    churn: control("churn a month", "churn", 0.5, 0.005, percent),
    discount: control("interest a month", "discount", 0.05, 0.001, percent, 0),
  };
  const chart = s("svg", { role: "img" }), heading = h("p", { class: "verdict" }), money = h("p", { class: "faint" });
  root.append(heading, money, chart, h("div", { class: "grid" }, ...["visitors", 0, 1, 2, "cost", "price", "margin", "churn", "discount"].map((name) => controls[name].root)));

  let width = 680, held = null;
  const end = () => width - EDGE;
  // While a dot is held, the pointer's place on the track is the rate.
  const pull = (event) => {
    const box = chart.getBoundingClientRect();
    const x = ((event.clientX - box.left) * width) / box.width;
    const rate = Math.min(1, Math.max(0, (x - EDGE) / (end() - EDGE)));
    rated(held, Math.round(rate * 200) / 200);
  };
  chart.addEventListener("pointerdown", (event) => {
    const row = event.target.dataset?.row;
    if (row === undefined) return;
    held = Number(row);
    chart.setPointerCapture(event.pointerId);
    event.preventDefault();
    pull(event);
  });
  chart.addEventListener("pointermove", (event) => held !== null && pull(event));
  for (const name of ["pointerup", "pointercancel"])
    chart.addEventListener(name, () => held !== null && ((held = null), keep()));

  function track(y, text, interval, shade, row = null) {
    const [low, value, high] = interval.map(scale(0, 1, EDGE, end()));
    const line = (from, to, stroke) => s("line", { x1: from, x2: to, y1: y + 27, y2: y + 27, stroke, "stroke-width": 4 });
    const grip = row === null ? [] : [s("rect", { x: 0, y: y + 14, width, height: 26, fill: "transparent", "data-row": row, class: "grip" })];
    return [s("text", { x: EDGE, y: y + 12, class: "ink" }, text), line(EDGE, end(), colour("grid")), line(low, high, shade),
      s("circle", { cx: value, cy: y + 27, r: 7, fill: shade }), ...grip];
  }

  function draw() {
    const made = economics(...STATE.map(get)), { counts, ratio } = made;
    controls.visitors.set(near(get("visitors")));
    STEPS.forEach((_, i) => controls[i].set(get("rates")[i]));
    for (const name of STATE.slice(2)) controls[name].set(get(name));
    heading.textContent = verdict(ratio);
    money.textContent = `A customer costs ${whole(made.cac[1])} (${whole(made.cac[0])} to ${whole(made.cac[2])}) and is worth ${whole(made.clv)}.`;
    const rows = [...STEPS.map((name, i) => [name, counts[i + 1], counts[i], made.steps[i]]), ["paid of visitors", counts[3], counts[0], made.overall]];
    const bare = (rate) => percent(rate).slice(0, -2);
    const line = ([name, k, n, [low, value, high]], wide = true) =>
      `${name}: ${k.toLocaleString("en")}${wide ? ` of ${n.toLocaleString("en")}` : ""}, ${percent(value)} (${bare(low)} to ${bare(high)})`;
    const lines = rows.map((row) => line(row)), texts = rows.map((row) => line(row, width > 420));
    const last = `worth / cost: ${ratio[1].toFixed(2)} (${ratio[0].toFixed(2)} to ${ratio[2].toFixed(2)})`;
    const place = (x) => scale(...AXIS, 0, 1, true)(Math.min(AXIS[1], Math.max(AXIS[0], x))), bottom = ROW * rows.length;
    const marks = [0.1, 1, 3, 10, 100].flatMap((mark) => {
      const x = EDGE + place(mark) * (end() - EDGE), anchor = { 0.1: "start", 100: "end" }[mark] ?? "middle";
      const edge = [1, 3].includes(mark) ? [s("line", { x1: x, x2: x, y1: bottom + 16, y2: bottom + 38, stroke: colour("ink"), "stroke-dasharray": "4 3" })] : [];
      return [...edge, s("text", { x, y: bottom + 52, "text-anchor": anchor }, String(mark))];
    });
    chart.setAttribute("viewBox", `0 0 ${width} ${bottom + 60}`);
    chart.setAttribute("height", bottom + 60);
    chart.setAttribute("aria-label", [...lines, last].join("; "));
    chart.replaceChildren(...rows.flatMap((row, i) => track(ROW * i, texts[i], row[3], i < 3 ? colour("first") : colour("faint"), i < 3 ? i : null)),
      ...track(bottom, last, ratio.map(place), colour("second")), ...marks);
    say(`${heading.textContent} ${last}`);
  }

  const stopListening = listen(model, STATE, draw);
  const stopFitting = fit(chart, (wide) => {
    width = wide;
    draw();
  });
  return () => (stopFitting(), stopListening());
}

export default { render };
