import { colour, fit, frame, h, listen, number, s, scale, slider, ticks, toggle } from "./base.js";

const HEIGHT = 250, LEFT = 48, TOP = 12, BOTTOM = 208;

export function duration(seconds) {
  const whole = Math.round(seconds), minutes = Math.floor(whole / 60);
  if (minutes >= 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return minutes ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}

export const bytes = (n) => (n < 1e9 ? `${number(n / 1e6)} MB` : `${number(n / 1e9)} GB`);

// Axis ranges that hold every finite loss and the logarithm of every perplexity.
export function ranges(points, perplexities, lastStep, log) {
  const heights = [...points.flatMap((p) => [p[1], p[2]]), ...perplexities.map((p) => Math.log(p[1]))]
    .filter((y) => y !== null && Number.isFinite(y) && (!log || y > 0));
  const low = heights.length ? Math.min(...heights) : log ? 1 : 0;
  const high = heights.length ? Math.max(...heights) : low + 1;
  const margin = (high - low) * 0.05 || 0.5;
  const y = log ? [low / 1.05, high * 1.05] : [low - margin, high + margin];
  return { x: [0, Math.max(1, lastStep)], y };
}

// Path data of one column of the points; a missing value makes a gap.
export function pathData(points, column, x, y) {
  let pen = "M", out = "";
  for (const point of points) {
    const value = point[column];
    if (value !== null) out += `${pen}${x(point[0]).toFixed(1)},${y(value).toFixed(1)}`;
    pen = value === null ? "M" : "L";
  }
  return out;
}

export function nearest(points, step) {
  let best = 0;
  points.forEach((p, i) => {
    if (Math.abs(p[0] - step) < Math.abs(points[best][0] - step)) best = i;
  });
  return best;
}

function render({ model, el }) {
  const get = (name) => model.get(name);
  const { root, say } = frame(el, "monitor", get("title"));
  const status = h("span", { class: "faint" });
  const progress = h("progress", { max: get("total_steps"), "aria-label": "steps done" });
  const figures = h("dl");
  const log = toggle("Log scale", (on) => {
    model.set("log_scale", on);
    model.save_changes();
  });
  const readout = h("span", { class: "faint" });
  const keys = [["first", "loss, smoothed"], ["pale", "loss of each step"]];
  if (get("with_held_out")) keys.push(["second", "held-out perplexity"]);
  const legend = keys.map(([name, text]) => h("span", { class: "key", style: `--key: ${colour(name)}` }, text));
  const chart = s("svg", {
    height: HEIGHT, tabindex: 0, role: "slider", "aria-valuemin": 0,
    "aria-label": "Loss curve: arrow keys read its points",
  });
  const older = slider({ label: "Sample", min: 0, max: 0, value: 0, format: sampleName, change: (i) => choose(i) });
  const text = h("pre", { tabindex: 0, "aria-label": "sample text" });
  const sample = h("div", { class: "sample" }, older.root, text);
  root.append(
    h("header", {}, h("strong", {}, get("title")), status), progress, figures,
    h("div", { class: "row" }, log.root, ...legend), chart, readout, sample,
  );

  let width = 680, right = 620, cursor = null, x, y, chosen = null, tenth = -1;

  function sampleName(i) {
    const samples = get("samples");
    return samples[i] ? `${i + 1} of ${samples.length}, at step ${number(samples[i][0], 9)}` : "";
  }

  function choose(i) {
    chosen = i === get("samples").length - 1 ? null : i;
    drawSample();
  }

  function drawSample() {
    const samples = get("samples"), last = samples.length - 1;
    sample.hidden = last < 0;
    if (last < 0) return;
    const shown = chosen ?? last;
    older.set(shown, { max: last });
    older.input.disabled = last === 0;
    if (text.textContent !== samples[shown][1]) text.textContent = samples[shown][1];
  }

  function drawFigures() {
    const now = get("now"), points = get("points"), last = points[points.length - 1];
    const perplexity = get("perplexities").at(-1);
    const show = (name, format) => (name in now ? format(now[name]) : null);
    const rows = [
      ["loss", last ? number(now.loss === null ? NaN : last[2]) : null],
      ["tokens/s", show("tokens_per_second", number)],
      ["memory", show("memory_bytes", bytes)],
      ["time left", get("message") ? null : show("seconds_left", duration)],
      ["held-out perplexity", perplexity ? number(perplexity[1]) : null],
    ];
    figures.replaceChildren(
      ...rows.filter((row) => row[1] !== null).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
    );
    const step = now.step ?? 0, total = get("total_steps");
    progress.value = step;
    status.textContent = [`step ${number(step, 9)} of ${number(total, 9)}`, get("message")].filter(Boolean).join(", ");
    const part = get("message") || Math.floor((10 * step) / Math.max(1, total));
    if (part !== tenth) say(`${status.textContent}${last ? `, loss ${rows[0][1]}` : ""}`);
    tenth = part;
  }

  function drawChart() {
    const points = get("points"), perplexities = get("perplexities"), logarithmic = get("log_scale");
    const done = (points.at(-1) ?? [0])[0];
    const range = ranges(points, perplexities, get("message") ? done : Math.max(done, get("total_steps")), logarithmic);
    x = scale(...range.x, LEFT, right);
    y = scale(...range.y, BOTTOM, TOP, logarithmic);
    chart.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    chart.replaceChildren(...axes(range, logarithmic), ...lines(points), ...dots(perplexities), ...pointer(points));
    chart.setAttribute("aria-valuemax", range.x[1]);
    log.press(logarithmic);
  }

  function axes(range, logarithmic) {
    const label = (px, py, value, anchor) => s("text", { x: px, y: py, "text-anchor": anchor }, value);
    const apart = (value, i, all) => i === 0 || y(Math.log(all[i - 1])) - y(Math.log(value)) > 13;
    const out = ticks(...range.y, 5, logarithmic).flatMap((value) => [
      s("line", { x1: LEFT, x2: right, y1: y(value), y2: y(value), stroke: colour("grid") }),
      label(LEFT - 6, y(value) + 4, number(value), "end"),
    ]);
    out.push(...ticks(...range.x, width / 120).map((value) => label(x(value), BOTTOM + 17, number(value, 9), "middle")));
    out.push(label((LEFT + right) / 2, BOTTOM + 36, "step", "middle"), label(4, BOTTOM + 36, "loss", "start"));
    if (!get("with_held_out")) return out;
    out.push(label(width - 2, BOTTOM + 36, "perplexity", "end"));
    return out.concat(ticks(Math.exp(range.y[0]), Math.exp(range.y[1]), 5, true).filter(apart)
      .map((value) => label(right + 6, y(Math.log(value)) + 4, number(value), "start")));
  }

  function lines(points) {
    const line = (column, name, width) =>
      s("path", { d: pathData(points, column, x, y), fill: "none", stroke: colour(name), "stroke-width": width });
    return points.length ? [line(1, "pale", 1), line(2, "first", 2)] : [];
  }

  const dots = (perplexities) => perplexities.filter((p) => p[1] > 0).map((p) =>
    s("circle", { cx: x(p[0]), cy: y(Math.log(p[1])), r: 4, fill: colour("second") }));

  function pointer(points) {
    const point = cursor === null || !points.length ? null : points[nearest(points, cursor)];
    readout.textContent = point
      ? `step ${number(point[0], 9)}: loss ${number(point[1])}, smoothed ${number(point[2])}`
      : "Point at the curve, or use the arrow keys, to read it.";
    chart.setAttribute("aria-valuenow", point ? point[0] : 0);
    chart.setAttribute("aria-valuetext", point ? readout.textContent : "no point chosen");
    if (!point) return [];
    return [s("line", { x1: x(point[0]), x2: x(point[0]), y1: TOP, y2: BOTTOM, stroke: colour("faint") })];
  }

  function move(to) {
    cursor = to;
    drawChart();
  }

  chart.addEventListener("pointermove", (event) => {
    const edge = chart.getBoundingClientRect();
    const px = ((event.clientX - edge.left) / edge.width) * width;
    move(((px - LEFT) / (right - LEFT)) * Number(chart.getAttribute("aria-valuemax")));
  });
  chart.addEventListener("pointerleave", () => move(null));
  chart.addEventListener("keydown", (event) => {
    const points = get("points"), here = cursor === null ? points.length : nearest(points, cursor);
    const moves = { ArrowLeft: here - 1, ArrowDown: here - 1, ArrowRight: here + 1, ArrowUp: here + 1,
      PageDown: here - 10, PageUp: here + 10, Home: 0, End: points.length - 1 };
    if (event.key === "Escape") move(null);
    if (!(event.key in moves) || !points.length) return;
    event.preventDefault();
    move(points[Math.min(points.length - 1, Math.max(0, moves[event.key]))][0]);
  });

  const stopFitting = fit(chart, (wide) => {
    width = wide;
    right = wide - (get("with_held_out") ? 56 : 12);
    drawChart();
  });
  const stopListening = listen(model, ["points", "now", "perplexities", "samples", "message", "log_scale"], () => {
    drawFigures();
    drawChart();
    drawSample();
  });
  return () => (stopFitting(), stopListening());
}

export default { render };
