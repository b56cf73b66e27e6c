import { frame, h, listen, slider } from "./base.js";

const MEASURES = ["parameters", "flops", "bytes"];
const TITLES = { parameters: "Parameters", flops: "Operations", bytes: "Outputs" };
const UNITS = [[1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];

export const at = ([a, b, c], B, T) => a * B * T + b * B * T * T + c * T;

// 12345 -> "12.3 k"
export function short(n) {
  n = Number(n.toPrecision(3));
  for (const [power, unit] of UNITS) {
    const value = n / power;
    if (n >= power) return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${unit}`;
  }
  return String(n);
}

export const parent = (path) => path.slice(0, Math.max(0, path.lastIndexOf("/")));
export const depth = (path) => path.split("/").length;

// Numbers of one row; see ModelAnatomy.part in model_anatomy.py.
export function known([, , , shape, , parameters, flops, numbers], B, T) {
  return { shape: shape.map((n) => ({ B, T })[n] ?? n), parameters, flops: at(flops, B, T), bytes: 4 * at(numbers, B, T) };
}

// The rows on view: those whose every ancestor is unfolded.
export function visible(rows, unfolded) {
  const open = (path) => path === "" || (unfolded.includes(path) && open(parent(path)));
  return rows.slice(1).filter(([path]) => open(parent(path)));
}

// Where the focus goes, and what is unfolded then, after a key on the row `path`.
export function after(key, rows, unfolded, path) {
  const seen = visible(rows, unfolded).map((row) => row[0]), place = seen.indexOf(path);
  const group = rows.some((row) => row[0].startsWith(`${path}/`)), open = unfolded.includes(path);
  const fold = (on) => (on ? [...unfolded, path] : unfolded.filter((other) => other !== path));
  const to = (i) => ({ path: seen[Math.max(0, Math.min(seen.length - 1, i))], unfolded });
  if (key === "ArrowDown") return to(place + 1);
  if (key === "ArrowUp") return to(place - 1);
  if (key === "Home") return to(0);
  if (key === "End") return to(seen.length - 1);
  if (key === "ArrowRight" && group) return open ? to(place + 1) : { path, unfolded: fold(true) };
  if (key === "ArrowLeft" && open) return { path, unfolded: fold(false) };
  if (key === "ArrowLeft" && parent(path)) return { path: parent(path), unfolded };
  if ((key === "Enter" || key === " ") && group) return { path, unfolded: fold(!open) };
  return null;
}

// The letters q, k and v in their colours.
const coloured = (name) => name.split(/\b([qkv])\b/).map((part) => (/^[qkv]$/.test(part) ? h("b", { class: part }, part) : part));

function render({ model, el }) {
  const get = (name) => model.get(name);
  const save = (name, value) => {
    model.set(name, value);
    model.save_changes();
  };
  const { root, say } = frame(el, "anatomy", "Parts of a GPT-2");
  const rows = get("rows"), groups = rows.map((row) => row[0]).filter((path) => path && rows.some((r) => r[0].startsWith(`${path}/`)));
  const texts = slider({ label: "B, texts", min: 1, max: Math.max(64, get("B")), value: get("B"), change: (x) => save("B", x) });
  const tokens = slider({ label: "T, tokens", min: 1, max: get("n_positions"), value: get("T"), change: (x) => save("T", x) });
  const all = h("button", { type: "button", click: () => save("unfolded", groups) }, "Unfold all");
  const none = h("button", { type: "button", click: () => save("unfolded", []) }, "Fold all");
  const table = h("div", { class: "table", role: "treegrid", "aria-label": "Parts of the model" });
  const news = h("p", { class: "news" });
  const note = h("p", { class: "note" }, "Rows inside the blocks: numbers of one block, bars of all blocks together. Operations: matrix products, forward. Outputs: bytes in float32.");
  root.append(h("div", { class: "row" }, texts.root, tokens.root, all, none), table, news, note);
  let focused = visible(rows, get("unfolded"))[0][0];
  // "6 equal blocks": the factor between one block and all of them.
  const inner = rows.find((row) => row[0] === "blocks"), lone = rows.filter((row) => parent(row[0]) === "blocks");
  const blocks = inner[5] / lone.reduce((sum, row) => sum + row[5], 0);

  const cell = (name, text, share) => {
    const props = { class: `cell ${name}`, role: "gridcell" };
    if (share) props.style = `--share:${(100 * share).toFixed(2)}%`;
    return h("span", props, h("span", {}, text));
  };

  function line(row, whole, B, T) {
    const [path, name] = row, it = known(row, B, T), open = get("unfolded").includes(path), group = groups.includes(path);
    const times = path.startsWith("blocks/") ? blocks : 1, shape = `(${it.shape.join(", ")})`;
    const node = h("div", {
      class: "line", role: "row", tabindex: path === focused ? 0 : -1, "aria-level": depth(path), "data-path": path,
      "aria-expanded": group ? String(open) : null, style: `--depth:${depth(path) - 1}`,
      click: () => (focus(path), group && save("unfolded", after("Enter", rows, get("unfolded"), path).unfolded)),
      focus: () => path !== focused && focus(path),
    },
      h("span", { class: "cell name", role: "rowheader" }, h("span", { class: "sign", "aria-hidden": "true" }, group ? (open ? "\u25be" : "\u25b8") : ""), ...coloured(name)),
      cell("shape", shape),
      ...MEASURES.map((measure) => cell(measure, it[measure] ? short(it[measure]) + (measure === "bytes" ? "B" : "") : "\u2013", (times * it[measure]) / whole[measure])));
    return node;
  }

  function focus(path) {
    focused = path;
    for (const node of table.querySelectorAll(".line")) node.tabIndex = node.dataset.path === path ? 0 : -1;
    tell();
  }

  function tell() {
    const row = rows.find((r) => r[0] === focused), it = known(row, get("B"), get("T"));
    const sums = MEASURES.map((m) => `${short(it[m])}${m === "bytes" ? "B" : ""} ${m === "bytes" ? "of outputs" : TITLES[m].toLowerCase()}`);
    news.replaceChildren(h("strong", {}, row[1]), `: ${row[2]}. `, ...(row[4] ? [h("code", {}, row[4])] : []));
    say(`${row[1]}: shape ${it.shape.join(" by ")}, ${sums.join(", ")}`);
  }

  table.addEventListener("keydown", (event) => {
    const next = after(event.key, rows, get("unfolded"), focused);
    if (!next) return;
    event.preventDefault();
    const changed = next.unfolded !== get("unfolded");
    focus(next.path);
    if (changed) save("unfolded", next.unfolded);
    table.querySelector(`[data-path="${next.path}"]`).focus();
  });

  function draw() {
    const B = get("B"), T = get("T"), whole = known(rows[0], B, T), seen = visible(rows, get("unfolded"));
    const had = table.contains(document.activeElement) || table.getRootNode().activeElement?.closest?.(".line");
    while (!seen.some((row) => row[0] === focused)) focused = parent(focused);
    const head = h("div", { class: "line head", role: "row" },
      h("span", { class: "cell name", role: "columnheader" }, "Part"), h("span", { class: "cell shape", role: "columnheader" }, "Output"),
      ...MEASURES.map((m) => h("span", { class: `cell ${m}`, role: "columnheader" }, `${TITLES[m]} `, h("b", {}, short(whole[m]) + (m === "bytes" ? "B" : "")))));
    table.replaceChildren(head, ...seen.map((row) => line(row, whole, B, T)));
    if (had) table.querySelector(`[data-path="${focused}"]`).focus();
    texts.set(B);
    tokens.set(T);
    tell();
  }

  return listen(model, ["B", "T", "unfolded", "rows"], draw);
}

export default { render };
