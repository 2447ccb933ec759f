// The drawer that shows what went over the wire, newest first.

import { get, post } from "./api.js";
import { h, heading, open, toast } from "./dom.js";

const KIND = { api: "API", event: "订单", callback: "回调" };
const VERDICT = { silent: "静默", reply: "被动回复", retry: "未答", broken: "答复无效" };
const TIME = new Intl.DateTimeFormat("zh-CN", { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });

export function showInspector(world) {
  const list = h("div.scroll", { "data-test": "entries" });
  const drawer = document.getElementById("drawer");
  const person = h("select.in", { "aria-label": "只看谁", "data-test": "inspector-person", onchange: () => refresh() }, h("option", { value: "" }, "所有人"),
    world.people().map((one) => h("option", { value: one.openid }, one.name)));
  const refresh = async (before = "") => {
    try {
      const { entries } = await get(`/api/inspector?openid=${encodeURIComponent(person.value)}&before=${encodeURIComponent(before)}`);
      const more = entries.length === 60 ? h("button.btn", { type: "button", onclick: (event) => { event.target.remove(); refresh(entries.at(-1).started_at); } }, "更早的") : null;
      const nodes = entries.map((entry) => card(entry, world));
      if (!before) list.replaceChildren(); else if (!nodes.length) return;
      list.append(...(nodes.length ? nodes : [h("p.empty", {}, "还没有请求。发一句话试试。")]), ...(more ? [more] : []));
    } catch (error) { toast(error.message, true); }
  };
  open("drawer", "检查器", heading("检查器", "回调、订单事件与 API 调用，密钥已遮盖", () => drawer.close()),
    h("div.filters", {}, person, h("button.btn", { type: "button", onclick: () => refresh(), "data-test": "refresh" }, "刷新"),
      h("button.btn", { type: "button", onclick: verify, "data-test": "verify" }, "接入验证")), list);
  refresh();
}

async function verify() {
  try {
    const { ok, message } = await post("/api/verify", {});
    toast(message, !ok);
  } catch (error) { toast(error.message, true); }
}

function pretty(value) {
  if (value && typeof value === "object") return JSON.stringify(value, null, 2);
  const text = String(value ?? "");
  if (/^[[{]/.test(text)) { try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; } }
  return text.replace(/(<\/\w+>)(?=<)/g, "$1\n").replace(/^<xml>/, "<xml>\n");
}

const part = (title, value) => value === "" || value === null || value === undefined ? [] : [h("h4", {}, title), h("pre", {}, pretty(value))];

function tries(entry) {
  return entry.attempts.flatMap((one) => [
    h("h4", {}, `第 ${one.number} 次 · ${VERDICT[one.verdict]} · HTTP ${one.status || "—"} · ${one.millis} 毫秒${one.note ? ` · ${one.note}` : ""}`),
    ...part("地址", one.url), ...part("签名", one.signed), ...(one.outer === entry.inner ? [] : part("发出的密文", one.outer)),
    ...part("收到的答复", one.answer), ...(one.plain && one.plain !== one.answer ? part("解密后的答复", one.plain) : [])]);
}

function card(entry, world) {
  const who = world.people().find((person) => person.openid === entry.openid)?.name;
  const isApi = entry.source === "api";
  const bad = isApi ? entry.errcode !== 0 || entry.status !== 200 : entry.state === "failed";
  const result = isApi ? (entry.errcode || (entry.status === 200 ? "ok" : entry.status))
    : `${entry.state === "sending" ? "发送中" : VERDICT[entry.attempts.at(-1)?.verdict] ?? ""}${entry.tries > 1 ? ` ×${entry.tries}` : ""}`;
  const inside = isApi ? [...part("请求", `${entry.detail.method} ${entry.detail.url}`), ...part("内容", entry.detail.request), ...part("答复", entry.detail.response)]
    : [...part("明文", entry.inner), ...tries(entry)];
  return h("details.box.entry", { "data-test": "entry", "data-source": entry.source, "data-label": entry.label },
    h("summary", {}, h(`span.tag.${entry.source}`, {}, KIND[entry.source]), h("span.what", {}, `${entry.label}${who ? ` · ${who}` : ""}`),
      h(`span.meta${bad ? ".bad" : ""}`, {}, `${result} · ${entry.millis}ms · ${TIME.format(new Date(entry.started_at))}`)), h("div.in", {}, inside));
}
