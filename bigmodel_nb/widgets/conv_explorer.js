import { colour, fit, frame, h, listen, number, s, toggle } from "./base.js";

const PRESETS = {
  "vertical edges": [[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]],
  "horizontal edges": [[-1, -1, -1], [0, 0, 0], [1, 1, 1]],
  "mean of nine": [[1, 1, 1], [1, 1, 1], [1, 1, 1]].map((row) => row.map((x) => x / 9)),
  sharpen: [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
  "shift left": [[0, 0, 0], [0, 0, 1], [0, 0, 0]],
};

export function padded(image, rim) {
  const width = image[0].length + 2 * rim, empty = () => Array.from({ length: rim }, () => Array(width).fill(0));
  const side = Array(rim).fill(0);
  return [...empty(), ...image.map((row) => [...side, ...row, ...side]), ...empty()];
}

export const flipped = (kernel) => [...kernel].reverse().map((row) => [...row].reverse());

export const products = (image, kernel, row, col) =>
  kernel.map((line, i) => line.map((w, j) => w * image[row + i][col + j]));

export const total = (grid) => grid.flat().reduce((a, b) => a + b, 0);

// The sum of the products for every place of the window.
export function correlate(image, kernel) {
  const rows = image.length - kernel.length + 1, cols = image[0].length - kernel[0].length + 1;
  return Array.from({ length: rows }, (_, m) =>
    Array.from({ length: cols }, (_, n) => total(products(image, kernel, m, n))));
}

// A number for a small cell.
export function short(x) {
  const rounded = Math.abs(x) < 100 ? Number(x.toPrecision(3)) : Math.round(x);
  return String(rounded + 0);
}

const clamp = (x, most) => Math.min(most, Math.max(0, x));

function render({ model, el }) {
  const get = (name) => model.get(name);
  const { root, say } = frame(el, "conv", "Convolution explorer");
  const save = (changes) => {
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    model.save_changes();
  };
  const now = () => {
    const image = padded(get("image"), get("padding"));
    const kernel = get("flip") ? flipped(get("kernel")) : get("kernel");
    return { image, kernel, out: correlate(image, kernel) };
  };
  const go = (row, col) => {
    const { out } = now();
    save({ row: clamp(row, out.length - 1), col: clamp(col, out[0].length - 1) });
  };
  const along = (move) => {
    const { out } = now(), cols = out[0].length;
    const place = clamp(get("row") * cols + get("col") + move, out.length * cols - 1);
    go(Math.floor(place / cols), place % cols);
  };

  // A grid of cells with a heading; `pick(row, col)` is called where a cell is pressed or dragged to.
  function panel(name, label, pick) {
    const svg = s("svg", { role: "group", "aria-label": label, ...(pick ? { tabindex: 0, class: "pick" } : {}) });
    const size = h("span", { class: "faint" });
    if (pick) {
      const at = (event) => {
        const box = svg.getBoundingClientRect(), [, , w, high] = svg.getAttribute("viewBox").split(" ").map(Number);
        pick(Math.floor(((event.clientY - box.top) / box.height) * high), Math.floor(((event.clientX - box.left) / box.width) * w));
      };
      svg.addEventListener("pointerdown", (event) => {
        svg.setPointerCapture(event.pointerId);
        at(event);
      });
      svg.addEventListener("pointermove", (event) => event.buttons && at(event));
      svg.addEventListener("keydown", (event) => {
        const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [-99, -99], End: [99, 99] };
        if (!(event.key in moves)) return;
        event.preventDefault();
        go(get("row") + moves[event.key][0], get("col") + moves[event.key][1]);
      });
    }
    return { root: h("figure", {}, h("figcaption", {}, `${name} `, size), svg), svg, size };
  }

  const centred = (row, col) => go(row - Math.floor(get("kernel").length / 2), col - Math.floor(get("kernel")[0].length / 2));
  const picture = panel("image", "image: drag the window, or move it with the arrow keys", centred);
  const part = panel("window × kernel", "products");
  const result = panel("output", "output: press a cell, or use the arrow keys", go);
  const sum = h("output", { class: "sum" });
  const fields = get("kernel").map((line, i) => line.map((_, j) => {
    const field = h("input", { type: "number", step: 1, "aria-label": `kernel row ${i}, column ${j}` });
    field.addEventListener("change", () => {
      const value = Number(field.value);
      if (field.value === "" || !Number.isFinite(value)) return draw();
      save({ kernel: get("kernel").map((row, a) => row.map((x, b) => (a === i && b === j ? value : x))) });
    });
    return field;
  }));
  const grid = h("div", { class: "kernel", role: "group", "aria-label": "kernel" }, ...fields.flat());
  grid.style.gridTemplateColumns = `repeat(${fields[0].length}, 1fr)`;
  const usable = get("start").length === 3 && get("start")[0].length === 3;
  const choice = h("select", { "aria-label": "ready-made kernels" }, h("option", { value: "" }, "your kernel"),
    ...Object.keys(PRESETS).map((name) => h("option", {}, name)));
  choice.addEventListener("change", () => choice.value && save({ kernel: PRESETS[choice.value] }));
  const rim = toggle("Rim of zeros", (on) => {
    const step = on ? 1 : -1, { image, kernel } = now();
    const most = [image.length + 2 * step - kernel.length, image[0].length + 2 * step - kernel[0].length];
    save({ padding: on ? 1 : 0, row: clamp(get("row") + step, most[0]), col: clamp(get("col") + step, most[1]) });
  });
  const flip = toggle("Flip the kernel", (on) => save({ flip: on }));
  const button = (label, click) => h("button", { type: "button", click }, label);
  root.append(
    h("div", { class: "panels" }, picture.root,
      h("div", { class: "middle" }, h("figure", {}, h("figcaption", {}, "kernel"), grid), part.root, sum), result.root),
    h("div", { class: "row" }, button("Back", () => along(-1)), button("Next", () => along(1)), rim.root, flip.root,
      ...(usable ? [choice] : []), button("Start again", () => save({ kernel: get("start"), row: 0, col: 0, padding: 0, flip: false }))),
  );

  const text = (x, y, words, strong) =>
    s("text", { x, y, "text-anchor": "middle", "dominant-baseline": "central", class: strong > 0.72 ? "on" : "ink" }, words);

  function cells(at, values, signed, wide, window) {
    const rows = values.length, cols = values[0].length, top = Math.max(...values.flat().map(Math.abs)) || 1;
    const numbers = wide / cols >= 21;
    at.svg.setAttribute("viewBox", `0 0 ${cols} ${rows}`);
    at.svg.style.width = `${wide}px`;
    at.size.textContent = `${rows} × ${cols}`;
    const shades = values.flatMap((line, r) => line.flatMap((x, c) => {
      const strong = Math.abs(x) / top, fill = signed ? colour(x > 0 ? "first" : "second") : colour("ink");
      return [
        s("rect", { x: c, y: r, width: 1, height: 1, fill, "fill-opacity": 0.85 * strong, class: "cell" }),
        ...(numbers ? [text(c + 0.5, r + 0.53, short(x), strong)] : []),
      ];
    }));
    const [r, c, high, long] = window ?? [0, 0, 0, 0];
    at.svg.replaceChildren(...shades, ...(window ? [s("rect", { x: c, y: r, width: long, height: high, class: "window" })] : []));
  }

  let width = 680;
  function draw() {
    const { image, kernel, out } = now();
    const row = clamp(get("row"), out.length - 1), col = clamp(get("col"), out[0].length - 1);
    const narrow = width < 560, wide = narrow ? Math.min(width, 320) : Math.min(240, (width - 190) / 2);
    const share = out[0].length / image[0].length;
    const shown = products(image, kernel, row, col), value = total(shown);
    cells(picture, image, false, wide, [row, col, kernel.length, kernel[0].length]);
    cells(part, shown, true, 34 * kernel[0].length);
    cells(result, out, true, wide * share, [row, col, 1, 1]);
    fields.forEach((line, i) => line.forEach((field, j) => {
      if (field !== document.activeElement || Number(field.value) !== get("kernel")[i][j]) field.value = Number(get("kernel")[i][j].toFixed(3));
    }));
    const preset = Object.keys(PRESETS).find((name) => JSON.stringify(PRESETS[name]) === JSON.stringify(get("kernel")));
    choice.value = preset ?? "";
    sum.textContent = `sum ${number(value)}`;
    sum.className = `sum ${value > 0 ? "plus" : value < 0 ? "minus" : ""}`;
    rim.press(get("padding") > 0);
    flip.press(get("flip"));
    say(`row ${row}, column ${col}: sum ${number(value)}`);
  }

  const stopListening = listen(model, ["row", "col", "kernel", "padding", "flip", "image"], draw);
  const stopFitting = fit(root, (wide) => {
    width = wide - 24;
    draw();
  });
  return () => (stopFitting(), stopListening());
}

export default { render };
