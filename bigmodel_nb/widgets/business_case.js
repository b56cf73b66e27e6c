import { colour, fit, frame, h, listen, number, s, scale, slider, ticks } from "./base.js";

const MONTHS = 36, STATE = ["price", "subscribers", "new", "churn", "requests", "thousand", "fixed", "cash", "cac"];
const LEFT = 52, RIGHT = 12, TOP = 12, BOTTOM = 232;

// The same formulas as in business_case.py.
export function balance(price, subscribers, fresh, churn, requests, thousand, fixed, cash, cac) {
  const margin = price - (requests / 1000) * thousand, winning = cac * fresh, customers = [], profit = [], held = [];
  let left = subscribers;
  for (let month = 0; month < MONTHS; month++) {
    if (month > 0) left = left * (1 - churn) + fresh;
    const gain = left * margin - fixed - winning;
    cash += gain;
    customers.push(left);
    profit.push(gain);
    held.push(cash);
  }
  return { customers, winning: Array(MONTHS).fill(winning), profit, cash: held };
}

export function forecast(sample, price, subscribers, fresh, churn, requests, thousand, fixed, cash, cac) {
  const made = balance(price, subscribers, fresh, churn, requests, thousand, fixed, cash, cac);
  const bad = made.profit.findLastIndex((x) => x < 0), gone = made.cash.findIndex((x) => x < 0);
  const ends = sample.map(([a, b, c]) => balance(price, subscribers, fresh * a, Math.min(1, churn * b), requests, thousand * c, fixed, cash, cac).cash);
  const loss = ends.filter((end) => end[MONTHS - 1] < cash).length / ends.length, tenth = Math.floor(ends.length / 10);
  const band = made.cash.map((_, month) => {
    const values = Float64Array.from(ends, (end) => end[month]).sort();
    return [values[tenth], values[values.length - 1 - tenth]];
  });
  return {
    ...made, band, loss, total: made.cash[MONTHS - 1] - cash,
    even: bad < MONTHS - 1 ? bad + 2 : null,
    out: gone < 0 ? null : gone + 1,
    error: Math.sqrt((loss * (1 - loss)) / ends.length),
  };
}

export function whole(x) {
  const size = Math.floor(Math.abs(x) + 0.5);
  return (x < 0 && size ? "-" : "") + size.toLocaleString("en");
}

export function verdict(made) {
  const even = made.even ? `No monthly loss from month ${made.even} on.` : "Month 36 still makes a loss.";
  const money = made.out ? `The money is gone in month ${made.out}.` : "The money lasts.";
  return `${even} ${money}`;
}

export function chance(made) {
  const [loss, error] = [made.loss, made.error].map((x) => (Math.floor(1000 * x + 0.5) / 10).toFixed(1));
  return `Profit of three years: ${whole(made.total)}. Probability of a loss: ${loss} %, standard error ${error}`;
}

function render({ model, el }) {
  const get = (name) => model.get(name);
  const { root, say } = frame(el, "business", "Business case: cash over three years");
  const percent = (x) => `${(100 * x).toFixed(1)} %`;
  const control = (name, label, max, step, format = number, min = 0) =>
    slider({ label, min, max: Math.max(max, get(name)), step, value: get(name), format, change: (x) => (model.set(name, x), model.save_changes()) });
  const controls = {
    price: control("price", "price a month", 60, 0.5, (x) => x.toFixed(2)),
    churn: control("churn", "churn a month", 0.4, 0.005, percent),
    new: control("new", "new ones a month", 200, 1, whole),
    cac: control("cac", "CAC per new one", 500, 1, whole),
    requests: control("requests", "requests a month", 5000, 50, whole),
    thousand: control("thousand", "cost per thousand", 20, 0.05, (x) => x.toFixed(2)),
    subscribers: control("subscribers", "first subscribers", 1000, 5, whole),
    cash: control("cash", "cash at the start", 500000, 1000, whole),
    fixed: control("fixed", "fixed cost a month", 30000, 100, whole),
  };
  const chart = s("svg", { role: "img" }), heading = h("p", { class: "verdict" }), odds = h("p", { class: "odds" });
  root.append(heading, odds, chart, h("div", { class: "grid" }, ...Object.values(controls).map((it) => it.root)));

  let width = 680;
  function draw() {
    const made = forecast(get("sample"), ...STATE.map(get));
    for (const name of STATE) controls[name].set(get(name));
    heading.textContent = verdict(made);
    odds.textContent = chance(made);
    picture(made);
    say(`${heading.textContent} ${odds.textContent}`);
  }

  function picture(made) {
    const all = [0, ...made.cash, ...made.band.flat()], low = Math.min(...all), high = Math.max(...all), room = (high - low || 1) * 0.05;
    const x = scale(1, MONTHS, LEFT, width - RIGHT), y = scale(low - room, high + room, BOTTOM, TOP);
    const line = (x1, y1, x2, y2, props) => s("line", { x1, y1, x2, y2, ...props });
    const text = (px, py, words, anchor) => s("text", { x: px, y: py, "text-anchor": anchor }, words);
    const points = (values) => values.map((value, i) => `${x(i + 1).toFixed(1)},${y(value).toFixed(1)}`);
    const marks = ticks(low - room, high + room).flatMap((v) => [
      line(LEFT, y(v), width - RIGHT, y(v), { stroke: colour("grid") }),
      text(LEFT - 6, y(v) + 4, Math.abs(v) >= 1e6 ? `${number(v / 1e6)}M` : v ? `${number(v / 1e3)}k` : "0", "end"),
    ]);
    const months = [1, 6, 12, 18, 24, 30, 36].map((m) => text(x(m), BOTTOM + 18, String(m), "middle"));
    const band = [...points(made.band.map((b) => b[1])), ...points(made.band.map((b) => b[0])).reverse()];
    const even = made.even ? [line(x(made.even), TOP, x(made.even), BOTTOM, { stroke: colour("second"), "stroke-width": 1.5, "stroke-dasharray": "4 3" })] : [];
    chart.setAttribute("viewBox", `0 0 ${width} ${BOTTOM + 40}`);
    chart.setAttribute("height", BOTTOM + 40);
    chart.setAttribute("aria-label", `Cash at the end of months 1, 12, 24 and 36: ${[0, 11, 23, 35].map((i) => whole(made.cash[i])).join(", ")}; eight of ten outcomes end between ${whole(made.band[35][0])} and ${whole(made.band[35][1])}`);
    chart.replaceChildren(
      s("polygon", { points: band.join(" "), fill: colour("first"), opacity: 0.22 }), ...marks, ...months,
      line(LEFT, y(0), width - RIGHT, y(0), { stroke: colour("ink") }), ...even,
      s("polyline", { points: points(made.cash).join(" "), fill: "none", stroke: colour("first"), "stroke-width": 2.5, class: "cash" }),
      text((LEFT + width) / 2, BOTTOM + 35, width > 420 ? "cash by month; the band holds 8 of 10 outcomes" : "cash; band: 8 of 10 outcomes", "middle"),
    );
  }

  const stopListening = listen(model, STATE, draw);
  const stopFitting = fit(chart, (wide) => {
    width = wide;
    draw();
  });
  return () => (stopFitting(), stopListening());
}

export default { render };
