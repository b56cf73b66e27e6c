import { frame, h, listen } from "./base.js";

const MOST = 1000;

// Whether the newest message still waits for its answer.
export function waiting(asked, answered) {
  return (asked.number ?? 0) > answered;
}

function render({ model, el }) {
  const get = (name) => model.get(name);
  const { root, say } = frame(el, "chat-view", "Chat with the assistant");
  const [you, other] = get("names");
  const log = h("div", { class: "log", role: "log", "aria-label": "messages", "aria-live": "polite", tabindex: 0 });
  const empty = h("p", { class: "faint" }, get("live") ? "No messages yet. Type one below." : "No messages.");
  const draft = h("div", { class: "message assistant", hidden: true, "aria-hidden": "true" }, h("b", {}, other), h("p", {}));
  const area = h("textarea", { rows: 2, maxlength: MOST, "aria-label": "your message", placeholder: "Type a message", "data-lm-suppress-shortcuts": "" });
  const send = h("button", { type: "button", click: submit }, "Send");
  const again = h("button", { type: "button", click: clear }, "New conversation");
  const state = h("span", { class: "faint" });
  const help = h("span", { class: "faint keys" }, "Enter sends, Shift+Enter starts a new line");
  const form = h("div", { class: "form", role: "group", "aria-label": "write to the assistant" }, area, h("div", { class: "row" }, send, again, state, help));
  log.append(empty, draft);
  root.append(log, form);
  form.hidden = !get("live");
  let drawn = [], timer = null;

  function submit() {
    const text = area.value.trim();
    if (!text || waiting(get("asked"), get("answered"))) return area.focus();
    area.value = "";
    area.focus();
    model.set("asked", { number: Math.max(get("asked").number ?? 0, get("answered")) + 1, text: text.toWellFormed?.() ?? text });
    model.save_changes();
    draw();
  }

  function clear() {
    if (waiting(get("asked"), get("answered"))) return;
    model.set("cleared", get("cleared") + 1);
    model.set("messages", []);
    model.save_changes();
    say("new conversation");
    area.focus();
  }

  area.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    submit();
  });

  function bubble({ role, content, note, failed }) {
    const parts = [h("b", {}, role === "user" ? you : other), h("p", {}, content)];
    if (note) parts.push(h("small", {}, note));
    return h("div", { class: `message ${role}${failed ? " failed" : ""}` }, ...parts);
  }

  const same = (a, b) => a.role === b.role && a.content === b.content && a.note === b.note;

  // New messages are added below the old ones, so that a screen reader speaks only the new.
  function draw() {
    const asked = get("asked"), open = waiting(asked, get("answered"));
    const messages = [...get("messages")];
    const last = messages.at(-1);
    if (open && !(last?.role === "user" && last.content === asked.text)) messages.push({ role: "user", content: asked.text, note: "" });
    if (!drawn.every((entry, i) => messages[i] && same(entry.message, messages[i]))) {
      drawn.forEach((entry) => entry.node.remove());
      drawn = [];
    }
    for (const message of messages.slice(drawn.length)) {
      const node = bubble(message);
      log.insertBefore(node, draft);
      drawn.push({ message, node });
    }
    empty.hidden = drawn.length > 0;
    draft.hidden = !(open && get("writing"));
    draft.lastChild.textContent = get("writing");
    send.disabled = again.disabled = open;
    state.textContent = open ? (get("writing") ? `${other} is writing` : "waiting for the kernel") : "";
    clearTimeout(timer);
    timer = setTimeout(() => (log.scrollTop = log.scrollHeight), 0);
  }

  const stop = listen(model, ["messages", "asked", "answered", "writing"], draw);
  return () => (clearTimeout(timer), stop());
}

export default { render };
