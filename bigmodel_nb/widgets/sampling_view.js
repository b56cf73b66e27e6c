import { frame, h, listen, number, s, slider } from "./base.js";

const STEP = 1e-3, EXACT = 1024, FEW = 12, COLUMN = 118, LINE = 24, PATIENCE = 5000;
const TOP_K = [1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000];
const percent = (x) => `${(100 * x).toFixed(1)} %`;

// Probability of each group at a temperature; at 0 the most probable token has it all.
export function masses(distances, sizes, temperature) {
  if (temperature === 0) return Float64Array.from(distances, (_, i) => (i === 0 ? 1 : 0));
  const weights = Float64Array.from(distances, (d, i) => sizes[i] * Math.exp(-d / temperature));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((w) => w / sum);
}

// How many tokens stay, and their probability before the filter: top-k first, then top-p of what it leaves.
export function cut(mass, sizes, topK = 0, topP = 1) {
  const room = topK || sizes.reduce((a, b) => a + b, 0);
  let left = room, inside = 0, tokens = 0, held = 0;
  for (let i = 0; i < mass.length && left > 0; i++) {
    inside += (mass[i] * Math.min(sizes[i], left)) / sizes[i];
    left -= Math.min(sizes[i], left);
  }
  const goal = inside * topP;
  for (let i = 0; i < mass.length; i++) {
    if (tokens >= room || (topP < 1 && held >= goal)) break;
    let take = Math.min(sizes[i], room - tokens);
    if (topP < 1 && mass[i] > 0) take = Math.min(take, Math.max(1, Math.ceil(((goal - held) * sizes[i]) / mass[i] - 1e-9)));
    tokens += take;
    held += (mass[i] * take) / sizes[i];
  }
  return [tokens, held];
}

// The rank of a token drawn from what the filters leave; u from 0 to 1.
export function drawn(mass, sizes, tokens, held, u) {
  let rest = u * held, rank = 0;
  for (let i = 0; i < mass.length; i++) {
    if (rest < mass[i] && mass[i] > 0) return Math.min(tokens - 1, rank + Math.floor((rest / mass[i]) * sizes[i]));
    rest -= mass[i];
    rank += sizes[i];
  }
  return tokens - 1;
}

// Column and line of each node: a first child stands in its parent's line, another opens a new one.
export function layout(nodes) {
  const children = nodes.map(() => []), places = [];
  nodes.forEach((node, i) => node.parent >= 0 && children[node.parent].push(i));
  let lines = 0;
  const visit = (i, depth, first) => {
    if (!first) lines++;
    places[i] = [depth, lines];
    children[i].sort((a, b) => nodes[a].rank - nodes[b].rank).forEach((child, n) => visit(child, depth + 1, n === 0));
  };
  visit(0, 0, true);
  return { places, children, lines: lines + 1 };
}

const visible = (token) => token.replace(/ /g, "\u00b7").replace(/\n/g, "\u23ce").replace(/\t/g, "\u21e5").replace(/\r/g, "\u240d") || "\u2205";

function render({ model, el }) {
  const get = (name) => model.get(name);
  const { root, say } = frame(el, "sampling-view", "Next token of a model");
  const save = (changes) => {
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    model.save_changes();
  };
  const decoded = new Map();
  let requests = 0, typing = null, patience = null, notice = "", more = false, tree = null, drawnNodes = null, shownAt = 0;

  function distances(node) {
    if (!decoded.has(node.codes)) {
      const bytes = Uint8Array.from(atob(node.codes), (c) => c.charCodeAt(0)), view = new DataView(bytes.buffer);
      decoded.set(node.codes, Float64Array.from({ length: bytes.length / 2 }, (_, i) => view.getUint16(2 * i, true) * STEP));
    }
    return decoded.get(node.codes);
  }
  const sizes = () => [...Array(Math.min(EXACT, get("vocab_size"))).fill(1), ...get("sizes")];
  const node = (i = get("current")) => get("nodes")[i];

  // The model's own probabilities at a place, those at the temperature, and what the filters leave of these.
  function measured(i) {
    const d = distances(node(i)), all = sizes(), temperature = get("temperature");
    const own = masses(d, all, 1), mass = masses(d, all, temperature);
    const [tokens, held] = temperature === 0 ? [1, 1] : cut(mass, all, get("top_k"), get("top_p"));
    return { own, mass, tokens, held, all, after: (rank) => (rank < tokens && rank < EXACT ? mass[rank] / held : 0) };
  }

  const area = h("textarea", { rows: 2, maxlength: 2000, spellcheck: "false", "data-lm-suppress-shortcuts": "" });
  area.addEventListener("input", () => {
    const text = area.value.toWellFormed?.() ?? area.value;
    clearTimeout(typing);
    typing = setTimeout(() => {
      if (text === get("prompt")) return;
      ask("reading the prompt");
      save({ prompt: text });
    }, 400);
  });
  const options = [...TOP_K.filter((k) => k < get("vocab_size")), 0]; // 0: all
  const placeOf = (k) => {
    if (!options.includes(k)) options.splice(options.findIndex((it) => it === 0 || it > k), 0, k);
    return options.indexOf(k);
  };
  const temperature = slider({ label: "temperature", min: 0, max: 2, step: 0.05, value: get("temperature"),
    format: (x) => (x === 0 ? "0: greedy" : x.toFixed(2)), change: (x) => save({ temperature: x }) });
  const topK = slider({ label: "top-k", min: 0, max: options.length, value: placeOf(get("top_k")),
    format: (i) => (options[i] ? String(options[i]) : "all"), change: (i) => save({ top_k: options[i] }) });
  const topP = slider({ label: "top-p", min: 0.05, max: 1, step: 0.01, value: get("top_p"),
    format: (x) => (x >= 1 ? "all" : x.toFixed(2)), change: (x) => save({ top_p: x }) });

  const written = h("p", { class: "written", role: "group", "aria-label": "text so far" });
  const share = h("div", { class: "share", role: "img" }, h("span")), summary = h("p", { class: "faint" }), note = h("p", { class: "note", role: "status" });
  const rows = Array.from({ length: node().names.length }, (_, rank) => makeRow(rank));
  const list = h("div", { class: "tokens", role: "listbox", "aria-label": "next tokens, the most probable first" }, ...rows.map((row) => row.root));
  const button = (label, click) => h("button", { type: "button", click }, label);
  const expand = button("More tokens", () => {
    more = !more;
    draw();
  });
  const back = button("Back", () => go(Math.max(0, node().parent)));
  const svg = s("svg", { role: "tree", "aria-label": "choices", "aria-orientation": "horizontal" });
  root.append(
    h("label", { class: "prompt" }, "Prompt: type here", area), written,
    h("div", { class: "sliders" }, temperature.root, topK.root, topP.root), share, summary,
    h("div", { class: "heads", "aria-hidden": "true" }, h("span", {}, "next token"), h("span", { class: "own" }, "model"), h("span", { class: "now" }, "to draw")),
    list,
    h("div", { class: "row" }, button("Draw a token", () => drawOne(Math.random())), button("Most probable", () => choose(0)), back, expand), note,
    h("div", { class: "tree" }, svg),
  );

  function makeRow(rank) {
    const parts = { name: h("span", { class: "name" }), own: h("i", { class: "own" }), now: h("i", { class: "now" }), before: h("span", { class: "value" }), after: h("span", { class: "value" }) };
    const row = h("div", { class: "token", role: "option", tabindex: rank ? -1 : 0, click: () => choose(rank) },
      parts.name, h("span", { class: "bars" }, parts.own, parts.now), parts.before, parts.after);
    return { root: row, ...parts };
  }

  const shownRows = () => (more ? rows.length : Math.min(FEW, rows.length));
  list.addEventListener("keydown", (event) => {
    const at = rows.findIndex((row) => row.root === document.activeElement || row.root === el.getRootNode().activeElement);
    const moves = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: shownRows() - 1 };
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      if (at >= 0) choose(at);
    } else if (event.key in moves) {
      event.preventDefault();
      focusRow(Math.max(0, Math.min(shownRows() - 1, moves[event.key])));
    }
  });
  function focusRow(rank) {
    rows.forEach((row, i) => (row.root.tabIndex = i === rank ? 0 : -1));
    rows[rank].root.focus();
  }

  // Choices

  const go = (i) => {
    settle();
    save({ current: i });
  };

  function choose(rank) {
    const at = get("current"), child = get("nodes").findIndex((it) => it.parent === at && it.rank === rank);
    if (child >= 0) return go(child);
    ask(`computing what follows ${visible(node().names[rank] ?? "a rare token")}`);
    save({ wanted: [at, rank, ++requests] });
  }

  function drawOne(u) {
    const { mass, all, tokens, held } = measured(get("current"));
    choose(drawn(mass, all, tokens, held, u));
  }

  // The kernel is asked; without one there is no answer.
  function ask(what) {
    clearTimeout(patience);
    notice = `${what} \u2026`;
    note.textContent = notice;
    patience = setTimeout(() => {
      notice = "No answer from the kernel: it is busy, or there is none. Tokens with a mark lead on without it; for the others, and for a prompt of your own, run this cell.";
      note.textContent = notice;
    }, PATIENCE);
  }
  function settle() {
    clearTimeout(patience);
    notice = "";
  }

  // The tree

  function makeTree() {
    const nodes = get("nodes"), { places, children, lines } = layout(nodes);
    const x = (i) => 8 + COLUMN * places[i][0], y = (i) => 16 + LINE * places[i][1];
    const wide = (i) => (i ? Math.min(COLUMN - 19, 7 * Math.min(9, visible(nodes[i].text).length) + 46) : 58); // of a label
    const items = nodes.map((it, i) => {
      const label = s("text", { x: x(i), y: y(i) + 4 }), line = s("path", { fill: "none" });
      const box = s("rect", { x: x(i) - 5, y: y(i) - 10, width: wide(i) + 2, height: LINE - 4, rx: 3 });
      if (it.parent >= 0) line.setAttribute("d", `M${x(it.parent) + wide(it.parent)} ${y(it.parent)} L${x(i) - 12} ${y(i)} L${x(i) - 5} ${y(i)}`);
      const item = s("g", { class: "item", role: "treeitem", tabindex: -1, "aria-level": places[i][0] + 1, click: () => go(i) }, box, label);
      return { item, label, line };
    });
    svg.replaceChildren(...items.map((it) => it.line), ...items.map((it) => it.item));
    const width = 16 + COLUMN * (1 + Math.max(...places.map((place) => place[0])));
    svg.setAttribute("viewBox", `0 0 ${width} ${LINE * lines + 10}`);
    svg.style.width = `${width}px`;
    svg.style.height = `${LINE * lines + 10}px`;
    return { items, places, children };
  }

  svg.addEventListener("keydown", (event) => {
    const now = get("current"), { places, children } = tree;
    const order = places.map((_, i) => i).sort((a, b) => places[a][1] - places[b][1] || places[a][0] - places[b][0]);
    const same = order.filter((i) => places[i][0] === places[now][0]), at = same.indexOf(now);
    const moves = { ArrowLeft: node().parent, ArrowRight: children[now][0], ArrowUp: same[at - 1], ArrowDown: same[at + 1], Home: 0 };
    if (!(event.key in moves)) return;
    event.preventDefault();
    const to = moves[event.key];
    if (to === undefined || to < 0) return;
    go(to);
    tree.items[to].item.focus();
  });

  // The place and what may follow it, where the tree is larger than its window.
  function reveal([depth, line]) {
    const box = svg.parentNode, left = COLUMN * depth, top = LINE * line;
    box.scrollLeft = Math.max(Math.min(box.scrollLeft, left), left + 2 * COLUMN - box.clientWidth);
    box.scrollTop = Math.max(Math.min(box.scrollTop, top), top + 4 * LINE - box.clientHeight);
  }

  function drawTree(path) {
    const nodes = get("nodes"), known = new Map();
    if (drawnNodes !== nodes) {
      const focused = svg.contains(document.activeElement);
      tree = makeTree();
      drawnNodes = nodes;
      if (focused) tree.items[get("current")].item.focus();
    }
    nodes.forEach((it, i) => {
      if (it.parent >= 0 && !known.has(it.parent)) known.set(it.parent, measured(it.parent));
      const chance = it.parent < 0 ? 1 : known.get(it.parent).after(it.rank), own = it.parent < 0 ? 1 : known.get(it.parent).own[Math.min(it.rank, EXACT - 1)];
      const { item, label, line } = tree.items[i], on = path.includes(i), text = it.parent < 0 ? "prompt" : visible(it.text);
      label.textContent = `${text.length > 9 ? `${text.slice(0, 8)}\u2026` : text}${it.parent < 0 ? "" : ` ${chance.toFixed(2)}`}`;
      item.setAttribute("aria-label", it.parent < 0 ? "prompt" : `${text}, ${chance ? `probability ${number(chance)}` : "filtered"}, the model's ${number(own)}`);
      item.setAttribute("aria-selected", String(i === get("current")));
      item.setAttribute("tabindex", i === get("current") ? 0 : -1);
      item.classList.toggle("on", on);
      item.classList.toggle("off", chance === 0);
      line.setAttribute("class", `${on ? "on" : ""} ${chance === 0 ? "off" : ""}`);
      line.style.strokeWidth = 1 + 4 * chance;
    });
    if (shownAt !== get("current")) reveal(tree.places[get("current")]);
    shownAt = get("current");
  }

  function drawRows(now) {
    const { own, after, held } = now, here = get("current"), nodes = get("nodes"), names = node().names;
    const known = new Set(nodes.filter((it) => it.parent === here).map((it) => it.rank));
    const unit = 100 / Math.max(own[0], after(0));
    rows.forEach((row, rank) => {
      const name = names[rank];
      row.root.hidden = rank >= shownRows() || name === undefined;
      if (row.root.hidden) return;
      const chance = after(rank), text = visible(name);
      row.name.textContent = text;
      row.own.style.width = `${own[rank] * unit}%`;
      row.now.style.width = `${chance * unit}%`;
      row.before.textContent = own[rank].toFixed(3);
      row.after.textContent = chance ? chance.toFixed(3) : "filtered";
      row.root.classList.toggle("off", chance === 0);
      row.root.classList.toggle("known", known.has(rank));
      row.root.setAttribute("aria-selected", "false");
      row.root.setAttribute("aria-label", `${text}, the model's ${number(own[rank])}, ${chance ? `to draw ${number(chance)}` : "filtered"}${known.has(rank) ? ", in the tree" : ""}`);
    });
    return held;
  }

  function draw() {
    const path = [get("current")];
    while (node(path[0])?.parent >= 0) path.unshift(node(path[0]).parent);
    if (document.activeElement !== area && area.value !== get("prompt")) area.value = get("prompt");
    temperature.set(get("temperature"));
    topK.set(placeOf(get("top_k")), { max: options.length - 1 });
    topP.set(get("top_p"));
    const now = measured(get("current")), { tokens, held } = now, total = get("vocab_size");
    written.replaceChildren(h("span", { class: "faint" }, get("answered")), ...path.slice(1).map((i) =>
      h("button", { type: "button", class: "chip", "aria-label": `go back to ${visible(node(i).text)}`, click: () => go(i) }, visible(node(i).text))));
    share.firstChild.style.width = `${100 * held}%`;
    share.setAttribute("aria-label", `${percent(held)} of the probability kept`);
    summary.textContent = `${tokens.toLocaleString("en")} of ${total.toLocaleString("en")} tokens kept with ${percent(held)} of the probability, ${percent(Math.max(0, 1 - held))} filtered`;
    drawRows(now);
    drawTree(path);
    back.disabled = path.length === 1;
    expand.textContent = more ? "Fewer tokens" : "More tokens";
    expand.hidden = rows.length <= FEW;
    note.textContent = get("trouble") || notice;
    say(`${path.length - 1} tokens chosen. ${summary.textContent}`);
  }

  const stop = listen(model, ["prompt", "answered", "temperature", "top_k", "top_p", "nodes", "current", "trouble"], draw);
  const answered = () => {
    settle();
    note.textContent = get("trouble");
  };
  model.on("change:nodes", answered);
  model.on("change:trouble", answered);
  return () => {
    clearTimeout(typing);
    clearTimeout(patience);
    model.off("change:nodes", answered);
    model.off("change:trouble", answered);
    stop();
  };
}

export default { render };
