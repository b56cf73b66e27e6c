import { frame, h, listen } from "./base.js";

const NAMES = ["query", "article", "verdict", "lesson", "how"];

// Whether a claim passes the filters; null lets everything through.
export function lets(row, { query, article, verdict, lesson, how }) {
  const text = [row.id, row.claim, row.correction, row.reference].join(" ").toLowerCase();
  return (
    (query ?? "").toLowerCase().split(/\s+/).filter(Boolean).every((word) => text.includes(word)) &&
    (article == null || article in row.places) &&
    (verdict == null || verdict === row.verdict || verdict === row.also) &&
    (lesson == null || lesson === row.lesson) &&
    (how == null || how === row.how)
  );
}

// "49 wrong, 2 right", largest first; only first verdicts count.
export function told(rows) {
  const counts = {};
  for (const { verdict } of rows) counts[verdict] = (counts[verdict] ?? 0) + 1;
  return Object.entries(counts).sort((a, b) => b[1] - a[1]).map(([verdict, n]) => `${n} ${verdict}`).join(", ");
}

function render({ model, el }) {
  const rows = model.get("rows"), verdicts = model.get("verdicts");
  const { root, say } = frame(el, "claims-board", "Claims of the articles");
  const set = (name, value) => (model.set(name, value), model.save_changes());
  const search = h("input", {
    type: "search", placeholder: "words", "aria-label": "search the claims", maxlength: 200, input: () => set("query", search.value),
  });

  function choice(name, label, values, format = String) {
    const read = () => (select.value === "" ? null : name === "lesson" ? Number(select.value) : select.value);
    const options = values.map((value) => h("option", { value }, format(value)));
    const select = h("select", { "aria-label": label, change: () => set(name, read()) }, h("option", { value: "" }, "all"), ...options);
    return { name, select, root: h("label", {}, h("span", {}, label), select) };
  }

  const unique = (values) => [...new Set(values)].sort();
  const lessons = [...new Set(rows.map((row) => row.lesson).filter((n) => n !== null))].sort((a, b) => a - b);
  const choices = [
    choice("article", "article", unique(rows.flatMap((row) => Object.keys(row.places)))),
    choice("verdict", "verdict", verdicts),
    choice("lesson", "lesson", lessons, (n) => String(n).padStart(2, "0")),
    choice("how", "how checked", model.get("kinds")),
  ];
  const all = h("button", { type: "button", click: clear }, "Show all");
  const count = h("p", { class: "count" });
  const list = h("div", { class: "list", role: "list", "aria-label": "claims", tabindex: 0 });
  root.append(h("div", { class: "controls", role: "group", "aria-label": "filters" }, h("label", {}, h("span", {}, "search"), search), ...choices.map((c) => c.root), all), count, list);

  function clear() {
    for (const name of NAMES) model.set(name, name === "query" ? "" : null);
    model.save_changes();
    search.focus();
  }

  function card(row) {
    const mark = (verdict) => h("b", { class: `mark v${verdicts.indexOf(verdict)}` }, verdict);
    const also = row.also ? [" or ", mark(row.also)] : [];
    const places = Object.entries(row.places).map(([article, lines]) => `${article}, line${/[,-]/.test(lines) ? "s" : ""} ${lines}`).join("; ");
    return h("article", { role: "listitem" },
      h("p", { class: "head" }, h("strong", {}, row.id), " ", mark(row.verdict), ...also, h("span", { class: "faint" }, `article ${places}`)),
      h("p", {}, row.claim),
      h("p", { class: "correction" }, row.correction),
      h("p", { class: "faint" }, [row.how, row.reference].filter(Boolean).join(": ")));
  }

  // Cards are made once; a filter only hides them.
  const cards = rows.map((row) => ({ row, node: card(row) }));
  const none = h("p", { class: "faint", hidden: true }, "No claim passes all filters. Take one away.");
  list.append(none, ...cards.map((c) => c.node));

  function draw() {
    const filter = Object.fromEntries(NAMES.map((name) => [name, model.get(name)]));
    const found = [];
    for (const { row, node } of cards) {
      node.hidden = !lets(row, filter);
      if (!node.hidden) found.push(row);
    }
    if (search.value !== filter.query) search.value = filter.query;
    for (const { name, select } of choices) select.value = filter[name] === null ? "" : String(filter[name]);
    none.hidden = found.length > 0;
    count.textContent = `${found.length} of ${rows.length} claims${found.length ? `: ${told(found)}` : ""}`;
    list.scrollTop = 0;
    say(count.textContent);
  }

  return listen(model, NAMES, draw);
}

export default { render };
