import { colour, frame, h, listen, s } from "./base.js";

const CELLS = 8, BLOCK = 4, BITMAP = CELLS * BLOCK, RIM = 2.2, INKED = 280, PENS = [1.9, 2.8], LEAST = 0.25, WIDEST = 0.72;
const SIDE = 16;  // places of the keyboard's pen in a row

// Strokes moved to the middle of the bitmap and scaled to its height; see draw_digit.py.
export function placed(strokes) {
  const xs = strokes.flat().map((p) => p[0]), ys = strokes.flat().map((p) => p[1]), room = BITMAP - 2 * RIM;
  const low = [Math.min(...xs), Math.min(...ys)], far = [Math.max(...xs), Math.max(...ys)];
  const wide = far[0] - low[0], high = far[1] - low[1];
  const up = room / Math.max(high, wide / 2, LEAST), along = Math.min(up, (WIDEST * room) / Math.max(wide, 1e-9));
  const [left, top] = [(low[0] + far[0]) / 2, (low[1] + far[1]) / 2], half = BITMAP / 2;
  return strokes.map((stroke) => stroke.map(([x, y]) => [half + (x - left) * along, half + (y - top) * up]));
}

// Radius of the pen for strokes on the bitmap.
export function pen(strokes) {
  const length = strokes.flatMap((stroke) => stroke.slice(1).map(([x, y], i) => Math.hypot(x - stroke[i][0], y - stroke[i][1])));
  return Math.min(PENS[1], Math.max(PENS[0], INKED / 2 / Math.max(1, length.reduce((a, b) => a + b, 0))));
}

// The drawing as an image of the data set: 8 x 8 counts from 0 to 16.
export function imageOf(strokes) {
  const image = Array.from({ length: CELLS }, () => Array(CELLS).fill(0));
  if (!strokes.some((stroke) => stroke.length)) return image;
  const on = new Uint8Array(BITMAP * BITMAP), drawing = placed(strokes), radius = pen(drawing);
  for (const stroke of drawing)
    (stroke.length > 1 ? stroke.slice(1) : stroke).forEach(([x1, y1], i) => mark(on, radius, ...stroke[i], x1, y1));
  on.forEach((bit, i) => (image[Math.floor(i / BITMAP / BLOCK)][Math.floor((i % BITMAP) / BLOCK)] += bit));
  return image;
}

// Sets every pixel of the bitmap that is no further than the pen's radius from a segment.
function mark(on, radius, x0, y0, x1, y1) {
  const dx = x1 - x0, dy = y1 - y0, square = dx * dx + dy * dy || 1;
  for (let r = 0; r < BITMAP; r++)
    for (let c = 0; c < BITMAP; c++) {
      const x = c + 0.5, y = r + 0.5;
      const along = Math.min(1, Math.max(0, ((x - x0) * dx + (y - y0) * dy) / square));
      if ((x - x0 - along * dx) ** 2 + (y - y0 - along * dy) ** 2 <= radius * radius) on[r * BITMAP + c] = 1;
    }
}

export function decode(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)), view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

const LAYERS = { Conv2d: conv2d, Linear: linear, ReLU: relu, MaxPool2d: pool, AvgPool2d: pool, Flatten: flatten };

// Logits of a network for a volume { data, shape: [channels, height, width] }.
export function forward(layers, numbers, volume) {
  const part = (about) => about && numbers.subarray(about.at, about.at + about.shape.reduce((a, b) => a * b, 1));
  return layers.reduce((x, layer) => LAYERS[layer.kind](x, layer, part(layer.weight), part(layer.bias)), volume);
}

// Calls `each(output place, channel, top, left)` for every window and gives back the size of the result.
function windows([, height, width], channels, kernel, stride, padding, each) {
  const size = (n) => Math.floor((n + 2 * padding - kernel) / stride) + 1, rows = size(height), cols = size(width);
  for (let o = 0; o < channels; o++)
    for (let m = 0; m < rows; m++)
      for (let n = 0; n < cols; n++) each((o * rows + m) * cols + n, o, m * stride - padding, n * stride - padding);
  return [channels, rows, cols];
}

function conv2d(x, { weight, kernel, stride, padding }, w, b) {
  const [out, channels] = weight.shape, [, height, width] = x.shape, data = [];
  const shape = windows(x.shape, out, kernel, stride, padding, (place, o, top, left) => {
    let sum = b ? b[o] : 0;
    for (let c = 0; c < channels; c++)
      for (let i = Math.max(0, -top); i < Math.min(kernel, height - top); i++)
        for (let j = Math.max(0, -left); j < Math.min(kernel, width - left); j++)
          sum += w[((o * channels + c) * kernel + i) * kernel + j] * x.data[(c * height + top + i) * width + left + j];
    data[place] = sum;
  });
  return { data, shape };
}

function pool(x, { kind, kernel, stride, padding }) {
  const [channels, height, width] = x.shape, data = [], mean = kind === "AvgPool2d";
  const shape = windows(x.shape, channels, kernel, stride, padding, (place, c, top, left) => {
    let best = mean ? 0 : -Infinity;
    for (let i = Math.max(0, -top); i < Math.min(kernel, height - top); i++)
      for (let j = Math.max(0, -left); j < Math.min(kernel, width - left); j++) {
        const value = x.data[(c * height + top + i) * width + left + j];
        best = mean ? best + value / kernel ** 2 : Math.max(best, value);
      }
    data[place] = best;
  });
  return { data, shape };
}

function linear(x, { weight }, w, b) {
  const [out, size] = weight.shape;
  const data = Array.from({ length: out }, (_, o) => {
    let sum = b ? b[o] : 0;
    for (let i = 0; i < size; i++) sum += w[o * size + i] * x.data[i];
    return sum;
  });
  return { data, shape: [out] };
}

function relu(x) {
  return { ...x, data: x.data.map((v) => Math.max(0, v)) };
}

function flatten(x) {
  return { data: x.data, shape: [x.data.length] };
}

export function softmax(logits) {
  const top = Math.max(...logits), e = logits.map((z) => Math.exp(z - top)), sum = e.reduce((a, b) => a + b, 0);
  return e.map((a) => a / sum);
}

// Probabilities for an 8 x 8 image of counts.
export function answer(layers, numbers, image, largest) {
  const data = image.flat().map((value) => (value * largest) / 16);
  return softmax(forward(layers, numbers, { data, shape: [1, CELLS, CELLS] }).data);
}

const clamp = (x) => Math.min(1, Math.max(0, x));
const percent = (p) => (p > 0.995 ? "> 99 %" : p < 0.005 ? "< 1 %" : `${Math.round(100 * p)} %`);

function render({ model, el }) {
  const get = (name) => model.get(name);
  const { root, say } = frame(el, "draw", "Draw a digit");
  let packed = "", numbers, pointer = null, down = false, cursor = [7, 4];
  const arrays = () => {
    if (packed !== get("weights")) numbers = decode((packed = get("weights")));
    return numbers;
  };
  const keep = () => model.save_changes();
  const set = (strokes) => model.set("strokes", strokes);
  const begin = (point) => set([...get("strokes"), [point]]);
  const extend = (point) => {
    const strokes = get("strokes"), last = strokes[strokes.length - 1], end = last[last.length - 1];
    if (Math.hypot(point[0] - end[0], point[1] - end[1]) > 0.008) set([...strokes.slice(0, -1), [...last, point]]);
  };

  const ink = s("g"), nib = s("rect", { class: "pen", width: 1 / SIDE, height: 1 / SIDE });
  const lines = Array.from({ length: SIDE - 1 }, (_, i) => (i + 1) / SIDE).flatMap((v) => [
    s("line", { x1: v, x2: v, y1: 0, y2: 1 }), s("line", { y1: v, y2: v, x1: 0, x2: 1 }),
  ]);
  const pad = s("svg", { viewBox: "0 0 1 1", class: "pad", tabindex: 0, role: "application",
    "aria-label": "drawing pad: arrow keys move, Space puts the pen down or lifts it, Backspace takes the last stroke back, Delete clears" },
    s("g", { class: "lines" }, ...lines), ink, nib);
  const at = (event) => {
    const box = pad.getBoundingClientRect();
    return [clamp((event.clientX - box.left) / box.width), clamp((event.clientY - box.top) / box.height)];
  };
  pad.addEventListener("pointerdown", (event) => {
    if (pointer !== null || event.button > 0) return;
    event.preventDefault();
    pad.focus();
    pad.setPointerCapture(event.pointerId);
    pointer = event.pointerId;
    down = false;
    begin(at(event));
  });
  pad.addEventListener("pointermove", (event) => {
    if (event.pointerId === pointer) (event.getCoalescedEvents?.() || [event]).forEach((it) => extend(at(it)));
  });
  const lift = (event) => {
    if (event.pointerId !== pointer) return;
    pointer = null;
    keep();
  };
  pad.addEventListener("pointerup", lift);
  pad.addEventListener("pointercancel", lift);

  const place = () => cursor.map((v) => (v + 0.5) / SIDE);
  const penUp = () => {
    down = false;
    pad.classList.remove("down");
  };
  const undo = () => (penUp(), set(get("strokes").slice(0, -1)), keep());
  const clear = () => (penUp(), set([]), keep());
  const keys = {
    ArrowLeft: () => move(-1, 0), ArrowRight: () => move(1, 0), ArrowUp: () => move(0, -1), ArrowDown: () => move(0, 1),
    " ": () => {
      if (down) penUp();
      else {
        down = true;
        pad.classList.add("down");
        begin(place());
        keep();
      }
      say(`pen ${down ? "down" : "up"} at column ${cursor[0] + 1}, row ${cursor[1] + 1}. ${words()}`);
    },
    Backspace: undo, Delete: clear,
  };
  keys.Enter = keys[" "];
  function move(dx, dy) {
    cursor = [cursor[0] + dx, cursor[1] + dy].map((v) => Math.min(SIDE - 1, Math.max(0, v)));
    if (down) {
      extend(place());
      keep();
    }
    drawPen();
    say(`column ${cursor[0] + 1}, row ${cursor[1] + 1}${down ? `. ${words()}` : ""}`);
  }
  pad.addEventListener("keydown", (event) => {
    if (!(event.key in keys) || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    keys[event.key]();
  });

  const seen = s("svg", { viewBox: "0 0 8 8", class: "seen", role: "img", "aria-label": "the drawing as 8 by 8 numbers" });
  const bars = Array.from({ length: 10 }, (_, digit) => {
    const fill = h("span", { class: "fill" }), value = h("span", { class: "value" });
    return { root: h("div", { class: "bar", role: "img" }, h("b", {}, String(digit)), h("span", { class: "track" }, fill), value), fill, value };
  });
  const verdict = h("p", { class: "verdict" });
  root.append(
    h("div", { class: "panels" },
      h("figure", {}, h("figcaption", {}, "draw one digit here"), pad),
      h("figure", {}, h("figcaption", {}, "what the network sees"), seen),
      h("figure", { class: "answers" }, h("figcaption", {}, "its probabilities"), ...bars.map((bar) => bar.root))),
    verdict,
    h("div", { class: "row" },
      h("button", { type: "button", click: clear }, "Clear"), h("button", { type: "button", click: undo }, "Undo"),
      h("span", { class: "faint" }, "Mouse or finger; or Tab to the pad, arrows, Space for the pen, Backspace, Delete.")),
  );

  let probabilities = null;
  const words = () => {
    if (!probabilities) return "The pad is empty.";
    const best = probabilities.indexOf(Math.max(...probabilities));
    return `It reads ${best}, with ${percent(probabilities[best]).replace(">", "over")}.`;
  };
  function drawPen() {
    nib.setAttribute("x", cursor[0] / SIDE);
    nib.setAttribute("y", cursor[1] / SIDE);
  }
  function draw() {
    const strokes = get("strokes"), image = imageOf(strokes);
    probabilities = strokes.length ? answer(get("layers"), arrays(), image, get("largest")) : null;
    ink.replaceChildren(...strokes.map((stroke) =>
      s("polyline", { points: (stroke.length > 1 ? stroke : [stroke[0], stroke[0]]).map((p) => p.join(",")).join(" ") })));
    seen.replaceChildren(...image.flatMap((row, r) => row.flatMap((value, c) => [
      s("rect", { x: c, y: r, width: 1, height: 1, fill: colour("ink"), "fill-opacity": value / 16 }),
      s("text", { x: c + 0.5, y: r + 0.5, class: value > 9 ? "on" : value ? "ink" : "" }, String(value)),
    ])));
    const best = probabilities ? Math.max(...probabilities) : 0;
    bars.forEach((bar, digit) => {
      const p = probabilities ? probabilities[digit] : 0;
      bar.fill.style.width = `${100 * p}%`;
      bar.value.textContent = probabilities ? percent(p) : "";
      bar.root.classList.toggle("best", p > 0 && p === best);
      bar.root.setAttribute("aria-label", `${digit}: ${probabilities ? percent(p) : "no answer"}`);
    });
    verdict.textContent = words();
    if (pointer === null && !down) say(words());
    drawPen();
  }
  return listen(model, ["strokes", "layers", "weights", "largest"], draw);
}

export default { render };
