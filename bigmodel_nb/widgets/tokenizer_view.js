import { frame, h, listen, slider } from "./base.js";

const MOST = 1000, DRAWN = 200;
const VISIBLE = [[33, 126], [161, 172], [174, 255]].flatMap(([a, b]) => Array.from({ length: b - a + 1 }, (_, i) => a + i));
const HIDDEN = Array.from({ length: 256 }, (_, b) => b).filter((b) => !VISIBLE.includes(b));
const LETTERS = new Map([...VISIBLE.map((b) => [b, String.fromCharCode(b)]), ...HIDDEN.map((b, n) => [b, String.fromCharCode(256 + n)])]);
const BYTE_OF = new Map([...LETTERS].map(([b, c]) => [c, b]));
const PATTERN = /'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;
const SAMPLES = { English: "The wolf's grandmother didn't answer.", Chinese: "\u72fc\u4f4f\u5728\u68ee\u6797\u91cc\u3002",
  emoji: "\u{1f43a}\u200d\u{1f332} caf\u00e9", code: "for i in range(10):\n    print(i ** 2)", marks: "<b>one</b><|endoftext|>two" };

const letters = (text) => [...new TextEncoder().encode(text)].map((b) => LETTERS.get(b)).join("");
const bytes = (token) => [...token].map((c) => BYTE_OF.get(c));
const hex = (b) => b.toString(16).toUpperCase().padStart(2, "0");

// Pieces of a text by GPT-2's pattern, special tokens apart and the longest first: [text, is special].
export function cut(text, special) {
  const marks = [...special].sort((a, b) => b.length - a.length).map((m) => m.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const parts = marks.length ? text.split(new RegExp(`(${marks.join("|")})`, "u")) : [text];
  return parts.flatMap((part, i) => (i % 2 ? [[part, true]] : (part.match(PATTERN) ?? []).map((piece) => [piece, false])));
}

// Every state of a piece from its letters to its tokens, and the rank of the merge before each.
export function steps(piece, ranks) {
  const states = [[...piece]], merged = [];
  for (;;) {
    const now = states.at(-1);
    let best = Infinity;
    for (let i = 1; i < now.length; i++) best = Math.min(best, ranks.get(`${now[i - 1]} ${now[i]}`) ?? Infinity);
    if (best === Infinity) return { states, merged };
    const out = [];
    let free = false;
    for (const token of now) {
      const hit = free && ranks.get(`${out.at(-1)} ${token}`) === best;
      if (hit) out[out.length - 1] += token;
      else out.push(token);
      free = !hit;
    }
    states.push(out);
    merged.push(best);
  }
}

const tables = new Map();
function ranked(merges) {
  if (!tables.has(merges)) {
    const pairs = merges ? merges.split("\n") : [];
    const first = new Map([...LETTERS.values()].map((letter, i) => [letter, i]));
    pairs.forEach((pair, i) => first.set(pair.replace(" ", ""), 256 + i));
    tables.set(merges, { ranks: new Map(pairs.map((pair, i) => [pair, i])), first });
  }
  return tables.get(merges);
}

// Each piece: its states, the merges between them, its ids, whether it is a special token.
export function tokenize(text, merges, offset, special) {
  const { ranks, first } = ranked(merges);
  return cut(text, Object.keys(special)).map(([part, mark]) => {
    if (mark) return { states: [[letters(part)]], merged: [], ids: [special[part]], special: true };
    const { states, merged } = steps(letters(part), ranks);
    return { states, merged, ids: states.at(-1).map((token) => offset + first.get(token)), special: false };
  });
}

// Whole characters as text, and every byte that belongs to none as a number.
export function spell(data) {
  const parts = [], decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  for (let i = 0; i < data.length; ) {
    let n = 1, part = data[i];
    for (const length of [1, 2, 3, 4]) {
      if (i + length > data.length) break;
      try {
        part = decoder.decode(new Uint8Array(data.slice(i, i + length)));
        n = length;
        break;
      } catch {}
    }
    parts.push(part);
    i += n;
  }
  return parts;
}

const SIGNS = { " ": "\u2423", "\n": "\u21b5", "\t": "\u21e5", "\r": "\u240d" };

// A part of `spell` as it is written.
export function shown(part) {
  if (typeof part === "number") return hex(part);
  if (SIGNS[part]) return SIGNS[part];
  return /[\p{Cc}\p{Cf}\p{White_Space}]/u.test(part) ? `\\x${part.codePointAt(0).toString(16).padStart(2, "0")}` : part;
}

const written = (token) => spell(bytes(token)).map(shown).join("");

function spelled(token) {
  return h("span", { class: "spelled" }, ...spell(bytes(token)).map((part) =>
    h(typeof part === "number" ? "i" : shown(part) === part ? "span" : "b", {}, shown(part))));
}

// The bytes of a token; those of one character stand on one line, torn ones on a dashed line.
function byteRow(token) {
  return h("span", { class: "bytes" }, ...spell(bytes(token)).map((part) => (typeof part === "number"
    ? h("span", { class: "torn" }, hex(part))
    : h("span", {}, [...new TextEncoder().encode(part)].map(hex).join(" ")))));
}

// For each token the characters that its ends cut through.
function cutThrough(tokens) {
  const size = (part) => (typeof part === "number" ? 1 : new TextEncoder().encode(part).length);
  const parts = spell(tokens.flatMap(bytes));
  let start = 0, i = 0, from = 0;
  return tokens.map((token) => {
    const end = start + token.length;
    let found = "";
    while (i < parts.length && from + size(parts[i]) <= start) from += size(parts[i++]);
    for (let j = i, x = from; j < parts.length && x < end; x += size(parts[j++]))
      if ((x < start || x + size(parts[j]) > end) && typeof parts[j] === "string") found += parts[j];
    start = end;
    return found;
  });
}

function render({ model, el }) {
  const get = (name) => model.get(name);
  const { root, say } = frame(el, "tokenizer-view", "Tokens of a text");
  const area = h("textarea", { rows: 2, maxlength: MOST, spellcheck: "false", "data-lm-suppress-shortcuts": "" });
  const figures = h("dl"), list = h("div", { class: "tokens", role: "listbox", "aria-label": "tokens", "aria-orientation": "horizontal" });
  const more = h("p", { class: "faint" }), state = h("div", { class: "state" }), caption = h("p", { class: "faint" });
  let pieces = [], tokens = [], nodes = [], chosen = 0, step = Infinity, last = 0, timer = null, drawnText = null;
  const go = (move) => show(Math.min(step, last) + move);
  const bar = slider({ label: "merges done", min: 0, max: 0, value: 0, format: (x) => `${x} of ${last}`, change: (x) => show(x) });
  const back = h("button", { type: "button", "aria-label": "one merge back", click: () => go(-1) }, "\u2190");
  const on = h("button", { type: "button", "aria-label": "one merge on", click: () => go(1) }, "\u2192");
  const buttons = Object.entries(SAMPLES).map(([name, text]) => h("button", { type: "button", click: () => type(text) }, name));
  root.append(
    h("label", { class: "text" }, "Text: type here", area), h("div", { class: "row" }, "Try", ...buttons), figures, list, more,
    h("div", { class: "steps", role: "group", "aria-label": "merges of the chosen piece" }, h("div", { class: "row" }, bar.root, back, on), state, caption),
  );

  function type(text) {
    const part = text.slice(0, MOST);
    model.set("text", part.toWellFormed?.() ?? part);
    clearTimeout(timer);
    timer = setTimeout(() => model.save_changes(), 200);
  }
  area.addEventListener("input", () => type(area.value));

  // Tokens of the text as it stands; where the kernel tokenises, those of its last answer.
  function current() {
    return get("local") ? tokenize(get("text"), get("merges"), get("offset"), get("special")) : get("result").pieces ?? [];
  }

  function draw() {
    const text = get("text"), waiting = !get("local") && get("result").text !== text;
    if (area.value !== text) area.value = text;
    pieces = current();
    tokens = pieces.flatMap((piece) => piece.ids.map(() => piece));
    chosen = Math.max(0, Math.min(chosen, tokens.length - 1, DRAWN - 1));
    if (drawnText !== text) step = Infinity;
    drawnText = text;
    nodes = [];
    const shownPieces = [];
    for (const piece of pieces) {
      if (nodes.length >= DRAWN) break;
      const room = DRAWN - nodes.length, all = piece.states.at(-1);
      const now = all.slice(0, room), torn = cutThrough(all.slice(0, room + 3));
      shownPieces.push(h("span", { class: "piece", role: "none" }, ...now.map((token, i) => option(token, piece.ids[i], piece.special, torn[i]))));
    }
    list.replaceChildren(...shownPieces);
    const rest = tokens.length - nodes.length;
    more.textContent = waiting ? "waiting for the kernel" : rest > 0 ? `and ${rest} more tokens` : "";
    drawFigures(text);
    choose(chosen, false);
    if (!waiting) say(`${tokens.length} tokens for ${[...text].length} characters`);
  }

  function option(token, id, special, torn) {
    const index = nodes.length, kind = special ? " special" : torn ? " half" : "";
    const note = special ? "special token" : torn ? `part of ${torn}` : "";
    const label = [written(token), `id ${id}`, `bytes ${bytes(token).map(hex).join(" ")}`, note].filter(Boolean).join(", ");
    const node = h("div", { class: `token${kind}`, role: "option", tabindex: -1, title: note || null, "aria-label": label, "aria-selected": "false",
      click: () => choose(index, true) }, spelled(token), h("span", { class: "id" }, String(id)), byteRow(token));
    nodes.push(node);
    return node;
  }

  function drawFigures(text) {
    const characters = [...text].length, size = new TextEncoder().encode(text).length, n = tokens.length;
    const share = (a, b) => (b ? (a / b).toFixed(2) : "\u2013");
    const rows = [["characters", characters], ["bytes", size], ["tokens", n], ["tokens a character", share(n, characters)], ["bytes a token", share(size, n)]];
    figures.replaceChildren(...rows.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, String(value)))));
  }

  function choose(index, byHand) {
    nodes[chosen]?.setAttribute("aria-selected", "false");
    nodes[chosen]?.setAttribute("tabindex", "-1");
    chosen = index;
    const node = nodes[chosen];
    if (byHand) step = Infinity;
    if (node) {
      node.setAttribute("aria-selected", "true");
      node.setAttribute("tabindex", "0");
      if (byHand) node.focus();
    }
    show(step);
  }

  list.addEventListener("keydown", (event) => {
    const moves = { ArrowRight: chosen + 1, ArrowDown: chosen + 1, ArrowLeft: chosen - 1, ArrowUp: chosen - 1, Home: 0, End: nodes.length - 1 };
    if (!(event.key in moves)) return;
    event.preventDefault();
    choose(Math.max(0, Math.min(nodes.length - 1, moves[event.key])), true);
  });

  // The chosen piece after so many merges, the next pair marked.
  function show(to) {
    const piece = tokens[chosen];
    if (!piece) return state.replaceChildren(), (caption.textContent = "no text");
    last = piece.states.length - 1;
    step = to >= last ? Infinity : Math.max(0, to);
    const at = Math.min(step, last), now = piece.states[at], after = piece.states[at + 1] ?? now;
    const marked = nextPlaces(now, after);
    state.replaceChildren(...now.map((token, i) => h("span", { class: `part${marked.has(i) ? " next" : ""}` }, spelled(token), byteRow(token))));
    bar.set(at, { max: last });
    back.disabled = at === 0;
    on.disabled = at === last;
    caption.textContent = words(piece, at, now, after, marked);
  }

  function words(piece, at, now, after, marked) {
    if (piece.special) return "a special token: no merge leads to it";
    if (at === piece.states.length - 1) return `done: ${now.length} ${now.length === 1 ? "token" : "tokens"}, no known pair is left`;
    const [i] = marked, rank = piece.merged[at];
    return rank < 0 ? "the whole piece is an entry" : `next is merge ${rank + 1}: ${written(now[i])} + ${written(now[i + 1])}`;
  }

  const stop = listen(model, ["text", "result", "merges"], draw);
  return () => (clearTimeout(timer), stop());
}

// Places in `now` whose tokens are joined in `after`.
function nextPlaces(now, after) {
  const marked = new Set();
  for (let i = 0, j = 0; i < now.length; j++) {
    const end = after[j].length;
    let n = 0, size = 0;
    while (size < end) size += now[i + n++].length;
    if (n > 1) for (let k = 0; k < n; k++) marked.add(i + k);
    i += n;
  }
  return marked;
}

export default { render };
