// Shared by all widgets; base.py puts it in front of each widget's own module.

// An element. Children that are strings become text nodes, so markup in them is shown, never run.
export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

// The same for SVG.
export function s(tag, props = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);
}

// The attribute keeps JupyterLab's shortcuts from taking the keys that a control uses.
function fill(node, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  if (node.matches("input, select, [tabindex]")) node.setAttribute("data-lm-suppress-shortcuts", "");
  node.append(...children);
  return node;
}

// 1234.5 -> "1,235", 0.012345 -> "0.0123"
export function number(x, digits = 3) {
  if (x === null || x === undefined || !Number.isFinite(x)) return "\u2013";
  if (x !== 0 && Math.abs(x) < 1e-4) return x.toExponential(digits - 1);
  const places = Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(x) || 1)));
  return x.toLocaleString("en", { maximumFractionDigits: places });
}

// Round values between low and high for an axis; powers and their 2 and 5 on a logarithmic one.
export function ticks(low, high, count = 5, log = false) {
  const out = [];
  if (log && high / low > 10) {
    for (let power = 10 ** Math.floor(Math.log10(low)); power <= high; power *= 10)
      for (const m of high / low > 1000 ? [1] : [1, 2, 5])
        if (m * power >= low && m * power <= high) out.push(m * power);
    return out;
  }
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((m) => m * power >= rough * 0.75) * power;
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++)
    out.push(Number((i * step).toPrecision(12)));
  return out;
}

// A function from values in [low, high] to pixels in [from, to].
export function scale(low, high, from, to, log = false) {
  const f = log ? Math.log : (x) => x;
  return (x) => from + ((f(x) - f(low)) / (f(high) - f(low) || 1)) * (to - from);
}

// A labelled slider that shows its value in words; keyboard steps are the browser's own.
export function slider({ label, min, max, step = 1, value, format = number, change }) {
  const output = h("output");
  const input = h("input", { type: "range", min, max, step, "aria-label": label });
  const show = () => {
    output.textContent = format(Number(input.value));
    input.setAttribute("aria-valuetext", output.textContent);
  };
  const set = (x, bounds = {}) => {
    Object.assign(input, bounds);
    input.value = x;
    show();
  };
  input.addEventListener("input", () => {
    show();
    change(Number(input.value));
  });
  set(value);
  return { root: h("label", { class: "bn-slider" }, h("span", {}, label), input, output), input, set };
}

// A button that stays down; `press(true)` sets it from outside.
export function toggle(label, change) {
  const button = h("button", { type: "button", click: () => change(!down()) }, label);
  const down = () => button.getAttribute("aria-pressed") === "true";
  const press = (on) => button.setAttribute("aria-pressed", String(Boolean(on)));
  press(false);
  return { root: button, press };
}

// Calls `draw` once after each batch of changes; gives back the clean-up.
export function listen(model, names, draw) {
  let waiting = false;
  const changed = () => {
    if (waiting) return;
    waiting = true;
    queueMicrotask(() => ((waiting = false), draw()));
  };
  for (const name of names) model.on(`change:${name}`, changed);
  draw();
  return () => names.forEach((name) => model.off(`change:${name}`, changed));
}

// Calls `draw(width)` with the width in pixels now and whenever it changes; gives back the clean-up.
export function fit(node, draw, usual = 680) {
  const observer = new ResizeObserver(() => draw(Math.max(280, node.clientWidth || usual)));
  observer.observe(node);
  draw(usual);
  return () => observer.disconnect();
}

// The frame of a widget with class "bn-KIND" for its own style: a named region with a line that screen readers speak when it changes.
export function frame(el, kind, name) {
  const live = h("p", { class: "bn-spoken", "aria-live": "polite" });
  const root = h("section", { class: `bn bn-${kind}`, "aria-label": name }, live);
  el.append(root);
  return { root, say: (text) => text !== live.textContent && (live.textContent = text) };
}

export const colour = (name) => `var(--bn-${name})`;

export const reducedMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
