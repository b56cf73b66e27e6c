import { colour, fit, frame, h, listen, number, s, scale, ticks } from "./base.js";

const HEIGHT = 190, LEFT = 46, TOP = 10, BOTTOM = 150;
const LINES = [["CPU", "first", false], ["memory", "second", false], ["GPU", "third", true], ["GPU memory", "fourth", true]];

export const gigabytes = (bytes) => `${(bytes / 1e9).toFixed(2)} GB`;

// CPU, memory, GPU and GPU memory of a point, in percent of what there is; null where unknown.
export function shares(point, limits) {
  const part = (bytes, limit) => (bytes === null || bytes === undefined || !limit ? null : (100 * bytes) / limit);
  return [point[1], part(point[2], limits.memory), point[3] ?? null, part(point[4], limits.gpu_memory)];
}

// What a point says, line by line: [label, value in words].
export function words(point, limits) {
  const out = [["CPU", `${number(point[1])} % of ${limits.cores} ${limits.cores === 1 ? "core" : "cores"}`],
    ["memory", `${gigabytes(point[2])} of ${gigabytes(limits.memory)}`]];
  if (point[3] !== null && point[3] !== undefined)
    out.push(["GPU", `${number(point[3])} %`], ["GPU memory", `${gigabytes(point[4])} of ${gigabytes(limits.gpu_memory)}`]);
  return out;
}

export function pathData(points, values, x, y) {
  let pen = "M", out = "";
  points.forEach((point, i) => {
    if (values[i] !== null) out += `${pen}${x(point[0]).toFixed(1)},${y(Math.min(100, values[i])).toFixed(1)}`;
    pen = values[i] === null ? "M" : "L";
  });
  return out;
}

function render({ model, el }) {
  const get = (name) => model.get(name);
  const { root, say } = frame(el, "machine", "Machine monitor");
  const title = h("strong", {}, "This machine"), status = h("span", { class: "faint" });
  const stop = h("button", { type: "button", click: () => (model.set("running", false), model.save_changes()) }, "Stop");
  const figures = h("dl"), readout = h("p", { class: "faint" });
  const chart = s("svg", { height: HEIGHT, tabindex: 0, role: "slider", "aria-valuemin": 0, "aria-label": "Load and memory: arrow keys read the samples" });
  root.append(h("header", {}, title, status, stop), figures, chart, readout);
  let width = 680, cursor = null, x = (v) => v;

  const pairs = (rows) => rows.map(([label, value]) => `${label} ${value}`).join(", ");

  function draw() {
    const points = get("points"), limits = get("limits"), running = get("running"), last = points.at(-1);
    const name = get("gpu_name");
    title.textContent = name ? `This machine, with ${name}` : "This machine";
    status.textContent = running ? "running" : points.length ? `stopped after ${number(last[0])} s` : "not started";
    stop.disabled = !running;
    const highest = get("highest").length ? words(get("highest"), limits) : [];
    figures.replaceChildren(...(last ? words(last, limits) : []).map(([label, value], k) =>
      h("div", {}, h("dt", { style: `--key: ${colour(LINES[k][1])}`, class: LINES[k][2] ? "dashed" : null }, label), h("dd", {}, value),
        h("dd", { class: "faint" }, `highest ${highest[k][1].split(" of ")[0]}`))));
    drawChart(points, limits);
    say(`Machine monitor ${status.textContent}${!running && last ? `; highest: ${pairs(highest)}` : ""}`);
  }

  function drawChart(points, limits) {
    const end = Math.max(5, points.at(-1)?.[0] ?? 0), rows = points.map((point) => shares(point, limits));
    const y = scale(0, 100, BOTTOM, TOP);
    x = scale(0, end, LEFT, width - 12);
    chart.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    const text = (px, py, value, anchor) => s("text", { x: px, y: py, "text-anchor": anchor }, value);
    const grid = [0, 25, 50, 75, 100].flatMap((v) => [
      s("line", { x1: LEFT, x2: width - 12, y1: y(v), y2: y(v), stroke: colour("grid") }), text(LEFT - 6, y(v) + 4, `${v} %`, "end")]);
    const times = ticks(0, end, width / 110).map((v) => text(x(v), BOTTOM + 17, `${number(v)} s`, "middle"));
    const lines = LINES.map(([, name, dashed], k) =>
      s("path", { d: pathData(points, rows.map((row) => row[k]), x, y), fill: "none", stroke: colour(name), "stroke-width": 2, "stroke-dasharray": dashed ? "5 3" : null }));
    const point = cursor === null || !points.length ? null : points[nearest(points, cursor)];
    const hand = point ? [s("line", { x1: x(point[0]), x2: x(point[0]), y1: TOP, y2: BOTTOM, stroke: colour("faint") })] : [];
    chart.replaceChildren(...grid, ...times, ...lines, ...hand, text(LEFT, BOTTOM + 36, "in % of what there is", "start"));
    readout.textContent = point ? `${number(point[0])} s: ${pairs(words(point, limits))}` : "Point at the curves, or use the arrow keys, to read them.";
    chart.setAttribute("aria-valuemax", points.length ? points.length - 1 : 0);
    chart.setAttribute("aria-valuenow", point ? points.indexOf(point) : 0);
    chart.setAttribute("aria-valuetext", point ? readout.textContent : "no sample chosen");
  }

  const nearest = (points, seconds) => points.reduce((best, p, i) => (Math.abs(p[0] - seconds) < Math.abs(points[best][0] - seconds) ? i : best), 0);

  function read(seconds) {
    cursor = seconds;
    drawChart(get("points"), get("limits"));
  }

  chart.addEventListener("pointermove", (event) => {
    const edge = chart.getBoundingClientRect(), points = get("points");
    const end = Math.max(5, points.at(-1)?.[0] ?? 0);
    read(((((event.clientX - edge.left) / edge.width) * width - LEFT) / (width - 12 - LEFT)) * end);
  });
  chart.addEventListener("pointerleave", () => read(null));
  chart.addEventListener("keydown", (event) => {
    const points = get("points"), here = cursor === null ? points.length : nearest(points, cursor);
    const places = { ArrowLeft: here - 1, ArrowDown: here - 1, ArrowRight: here + 1, ArrowUp: here + 1, PageDown: here - 10, PageUp: here + 10, Home: 0, End: points.length - 1 };
    if (event.key === "Escape") read(null);
    if (!(event.key in places) || !points.length) return;
    event.preventDefault();
    read(points[Math.min(points.length - 1, Math.max(0, places[event.key]))][0]);
  });

  const stopListening = listen(model, ["points", "highest", "limits", "gpu_name", "running"], draw);
  const stopFitting = fit(chart, (wide) => {
    width = wide;
    drawChart(get("points"), get("limits"));
  });
  return () => (stopFitting(), stopListening());
}

export default { render };
