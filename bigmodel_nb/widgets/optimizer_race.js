import { colour, fit, frame, h, listen, number, s, scale, slider, ticks, toggle, reducedMotion } from "./base.js";

const BETA = 0.9, BETA2 = 0.999, ALPHA = 0.99, EPS = 1e-8, FAR = 1e6, STEEP = 25, BEND = 10, HALF = Math.sqrt(0.5);
const HEIGHT = 330, LEFT = 40, TOP = 10, BOTTOM = 296, MOST = 200;
const LABELS = {
  sgd: "SGD", momentum: "momentum", rmsprop: "RMSProp", adam: "Adam", adam_uncorrected: "Adam, not corrected",
};
const DASHED = ["rmsprop", "adam_uncorrected"];

function ravine(x, y) {
  return [0.5 * (x * x + STEEP * y * y), x, STEEP * y];
}

function tilted(x, y) {
  const [loss, along, across] = ravine(HALF * (x + y), HALF * (y - x));
  return [loss, HALF * (along - across), HALF * (along + across)];
}

function valley(x, y) {
  const off = y - x * x;
  return [(1 - x) ** 2 + BEND * off * off, 2 * (x - 1) - 4 * BEND * x * off, 2 * BEND * off];
}

const ravineLevel = (level, a) => [Math.sqrt(2 * level) * Math.cos(a), Math.sqrt((2 * level) / STEEP) * Math.sin(a)];

function tiltedLevel(level, a) {
  const [along, across] = ravineLevel(level, a);
  return [HALF * (along - across), HALF * (along + across)];
}

function valleyLevel(level, a) {
  const x = 1 - Math.sqrt(level) * Math.cos(a);
  return [x, x * x + Math.sqrt(level / BEND) * Math.sin(a)];
}

const LOW = [0.1, 0.5, 2, 5, 10, 18];
const SURFACES = {
  ravine: { label: "ravine", slope: ravine, level: ravineLevel, levels: LOW, x: [-6, 3], y: [-1.8, 1.8], start: [-5, 1], lowest: [0, 0] },
  tilted: { label: "tilted ravine", slope: tilted, level: tiltedLevel, levels: LOW, x: [-6, 3], y: [-4.5, 2.5], start: [-4, -2.5], lowest: [0, 0] },
  valley: { label: "curved valley", slope: valley, level: valleyLevel, levels: [0.1, 0.5, 2, 5, 12, 25], x: [-2.2, 2.2], y: [-1.2, 3.6], start: [-1.6, 1.8], lowest: [1, 1] },
};

export const slope = (surface, x, y) => SURFACES[surface].slope(x, y);

export const level = (surface, loss, angle) => SURFACES[surface].level(loss, angle);

// [direction, m, v] of one coordinate.
function move(rule, g, m, v, t) {
  if (rule === "sgd") return [g, m, v];
  if (rule === "momentum") {
    m = BETA * m + g;
    return [m, m, v];
  }
  if (rule === "rmsprop") {
    v = ALPHA * v + (1 - ALPHA) * g * g;
    return [g / (Math.sqrt(v) + EPS), m, v];
  }
  m = BETA * m + (1 - BETA) * g;
  v = BETA2 * v + (1 - BETA2) * g * g;
  if (rule === "adam_uncorrected") return [m / (Math.sqrt(v) + EPS), m, v];
  return [m / (1 - BETA ** t) / (Math.sqrt(v / (1 - BETA2 ** t)) + EPS), m, v];
}

export function path(surface, rule, start, lr, steps) {
  let [x, y] = start, mx = 0, vx = 0, my = 0, vy = 0, dx, dy;
  const points = [[x, y]];
  for (let step = 1; step <= steps; step++) {
    const [, gx, gy] = slope(surface, x, y);
    [dx, mx, vx] = move(rule, gx, mx, vx, step);
    [dy, my, vy] = move(rule, gy, my, vy, step);
    points.push([(x -= lr * dx), (y -= lr * dy)]);
    if (Math.max(Math.abs(x), Math.abs(y)) > FAR) break;
  }
  return points;
}

// The loss at the end of a path, null where it diverged.
export function outcome(surface, points) {
  const [x, y] = points[points.length - 1];
  return Math.max(Math.abs(x), Math.abs(y)) > FAR ? null : slope(surface, x, y)[0];
}

// The pieces of a line inside a box, cut off at its border.
export function inside(points, [left, right], [bottom, top]) {
  const pieces = [];
  let joined = false;
  for (let i = 1; i < points.length; i++) {
    const [[x0, y0], [x1, y1]] = [points[i - 1], points[i]], dx = x1 - x0, dy = y1 - y0;
    let low = 0, high = 1;
    for (const [change, room] of [[-dx, x0 - left], [dx, right - x0], [-dy, y0 - bottom], [dy, top - y0]]) {
      if (change < 0) low = Math.max(low, room / change);
      else if (change > 0) high = Math.min(high, room / change);
      else if (room < 0) high = -1;
    }
    if (low > high) {
      joined = false;
      continue;
    }
    if (low > 0 || !joined) pieces.push([[x0 + low * dx, y0 + low * dy]]);
    pieces[pieces.length - 1].push(high === 1 ? [x1, y1] : [x0 + high * dx, y0 + high * dy]);
    joined = high === 1;
  }
  return pieces;
}

export const words = (loss) => (loss === null ? "diverged" : loss < 1e-4 ? "below 0.0001" : number(loss, 2));

function render({ model, el }) {
  const get = (name) => model.get(name);
  const put = (changes) => {
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    model.save_changes();
  };
  const { root, say } = frame(el, "race", "Race of optimisers");
  const choice = h("select", { "aria-label": "Surface", change: () => {
    put({ surface: choice.value, start: [...SURFACES[choice.value].start] });
  } }, ...Object.entries(SURFACES).map(([name, it]) => h("option", { value: name }, it.label)));
  const buttons = Object.entries(LABELS).map(([name, label]) => [name, toggle(label, (on) => {
    put({ rules: Object.keys(LABELS).filter((it) => (it === name ? on : get("rules").includes(it))) });
  })]);
  // The steps of the slider are coarser than the numbers that the kernel may send.
  const near = (v) => Math.abs(10 ** v / get("lr") - 1) < 0.06;
  const rate = slider({ label: "Learning rate", min: -3, max: 0, step: 0.05, value: Math.log10(get("lr")),
    format: (v) => number(near(v) ? get("lr") : 10 ** v), change: (v) => put({ lr: Number((10 ** v).toPrecision(3)) }) });
  const steps = slider({ label: "Steps", min: 0, max: MOST, value: get("steps"), change: (v) => (stop(), put({ steps: v })) });
  const play = h("button", { type: "button", click: () => (timer ? stop() : run()) }, "Play");
  const chart = s("svg", { class: "plot", height: HEIGHT, role: "group", "aria-label": "Surface with the paths" });
  const handle = s("circle", { class: "start", r: 7, tabindex: 0, role: "slider", "aria-label": "Start: arrow keys move it" });
  const results = h("tbody");
  const caption = h("caption");
  root.append(
    h("header", {}, h("strong", {}, "Race of optimisers"), h("label", {}, "Surface ", choice)),
    h("div", { class: "row", role: "group", "aria-label": "Rules" }, ...buttons.map(([, it]) => it.root)),
    rate.root, h("div", { class: "row" }, steps.root, play), chart,
    h("table", {}, caption, h("thead", {}, h("tr", {}, ...["rule", "loss", "x", "y"].map((it) => h("th", { scope: "col" }, it)))), results),
  );

  let width = 680, x, y, back, timer = null, dragging = false;

  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  }

  function run() {
    const goal = get("steps") || 60;
    if (reducedMotion()) return put({ steps: goal });
    put({ steps: 0 });
    play.textContent = "Stop";
    timer = setInterval(() => {
      put({ steps: Math.min(goal, get("steps") + 1) });
      if (get("steps") >= goal) stop();
    }, 60);
  }

  function draw() {
    const name = get("surface"), ground = SURFACES[name], [sx, sy] = get("start");
    x = scale(...ground.x, LEFT, width - 10);
    y = scale(...ground.y, BOTTOM, TOP);
    const runs = get("rules").map((rule) => [rule, path(name, rule, get("start"), get("lr"), get("steps"))]);
    chart.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    const focused = document.activeElement === handle || handle.getRootNode().activeElement === handle;
    chart.replaceChildren(...axes(ground), ...rings(ground), ...runs.flatMap((it) => line(ground, ...it)), dot(ground.lowest, 3, "ink"), handle);
    if (focused) handle.focus();
    handle.setAttribute("cx", x(Math.min(ground.x[1], Math.max(ground.x[0], sx))));
    handle.setAttribute("cy", y(Math.min(ground.y[1], Math.max(ground.y[0], sy))));
    handle.setAttribute("aria-valuemin", ground.x[0]);
    handle.setAttribute("aria-valuemax", ground.x[1]);
    handle.setAttribute("aria-valuenow", sx);
    handle.setAttribute("aria-valuetext", `x ${number(sx)}, y ${number(sy)}`);
    choice.value = name;
    for (const [rule, button] of buttons) button.press(get("rules").includes(rule));
    if (!near(Number(rate.input.value))) rate.set(Math.log10(get("lr")));
    steps.set(get("steps"));
    table(name, runs);
  }

  function axes(ground) {
    const out = ticks(...ground.y).flatMap((v) => [
      s("line", { x1: LEFT, x2: width - 10, y1: y(v), y2: y(v), stroke: colour("grid"), "stroke-width": 0.5 }),
      s("text", { x: LEFT - 6, y: y(v) + 4, "text-anchor": "end" }, number(v)),
    ]);
    out.push(...ticks(...ground.x, width / 90).map((v) => s("text", { x: x(v), y: BOTTOM + 16, "text-anchor": "middle" }, number(v))));
    out.push(s("text", { x: width - 10, y: BOTTOM + 31, "text-anchor": "end" }, "x"), s("text", { x: 4, y: TOP + 4 }, "y"));
    return out;
  }

  const data = (ground, points) => inside(points, ground.x, ground.y)
    .map((piece) => "M" + piece.map(([px, py]) => `${x(px).toFixed(1)},${y(py).toFixed(1)}`).join("L")).join("");

  const rings = (ground) => ground.levels.map((loss) => s("path", { class: "level", fill: "none", stroke: colour("level"),
    d: data(ground, Array.from({ length: 97 }, (_, i) => ground.level(loss, (2 * Math.PI * i) / 96))) }));

  const dot = ([px, py], r, name) => s("circle", { cx: x(px), cy: y(py), r, fill: colour(name) });

  function line(ground, rule, points) {
    const end = points[points.length - 1];
    const within = inside([end, end], ground.x, ground.y).length;
    return [s("path", { class: "run", d: data(ground, points), fill: "none", stroke: colour(rule), "stroke-width": 2,
      "stroke-dasharray": DASHED.includes(rule) ? "5 3" : null }), ...(within ? [dot(end, 4.5, rule)] : [])];
  }

  function table(name, runs) {
    const rows = runs.map(([rule, points]) => [rule, words(outcome(name, points)), ...points[points.length - 1]]);
    results.replaceChildren(...rows.map(([rule, loss, px, py]) => h("tr", {},
      h("th", { scope: "row" }, h("span", { class: DASHED.includes(rule) ? "key dashed" : "key", style: `--key: ${colour(rule)}` }), LABELS[rule]),
      h("td", {}, loss), ...[px, py].map((v) => h("td", {}, loss === "diverged" ? "\u2013" : v.toFixed(3))))));
    caption.textContent = `After ${get("steps")} steps with learning rate ${number(get("lr"))}`;
    if (!timer) say(`${caption.textContent}: ${rows.map(([rule, loss]) => `${LABELS[rule]} ${loss}`).join(", ")}`);
  }

  function toStart(px, py) {
    const ground = SURFACES[get("surface")];
    const hold = (v, [low, high]) => Number(Math.min(high, Math.max(low, v)).toFixed(2));
    put({ start: [hold(px, ground.x), hold(py, ground.y)] });
  }

  function drag(event) {
    const edge = chart.getBoundingClientRect(), ground = SURFACES[get("surface")];
    const px = ((event.clientX - edge.left) / edge.width) * width, py = ((event.clientY - edge.top) / edge.height) * HEIGHT;
    const from = (v, low, high, [a, b]) => a + ((v - low) / (high - low)) * (b - a);
    toStart(from(px, LEFT, width - 10, ground.x), from(py, BOTTOM, TOP, ground.y));
  }

  chart.addEventListener("pointerdown", (event) => {
    dragging = true;
    event.preventDefault();
    chart.setPointerCapture(event.pointerId);
    drag(event);
    handle.focus();
  });
  chart.addEventListener("pointermove", (event) => dragging && drag(event));
  for (const name of ["pointerup", "pointercancel"]) chart.addEventListener(name, () => (dragging = false));
  handle.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const ground = SURFACES[get("surface")], [sx, sy] = get("start");
    if (event.key === "Home") toStart(...ground.start);
    else if (event.key in moves) {
      const size = event.shiftKey ? 0.1 : 0.02, [mx, my] = moves[event.key];
      toStart(sx + mx * size * (ground.x[1] - ground.x[0]), sy + my * size * (ground.y[1] - ground.y[0]));
    } else return;
    event.preventDefault();
  });

  const stopFitting = fit(chart, (wide) => {
    width = wide;
    draw();
  });
  const stopListening = listen(model, ["surface", "rules", "lr", "steps", "start"], draw);
  return () => (stop(), stopFitting(), stopListening());
}

export default { render };
