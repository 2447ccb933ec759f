// The drawer of WeCom: what the staff sees. Mass messages wait here for the employee's finger; contacts with their tags.

import { get, post, qrUrl } from "./api.js";
import { face, h, heading, icon, open, toast } from "./dom.js";
import { setFaultCount } from "./faults.js";
import { view } from "./scan.js";
import { staffFace } from "./staff.js";

const EVERY_MS = 900;
const STATES = { waits: "待员工发送", sent: "已发送", cancelled: "已取消" };
const FATES = { 0: "未发送", 1: "已送达", 2: "已不是好友", 3: "本月已达上限" };
const FAULTS = [["*", "60020", "企业可信 IP 不符"], ["*", "48002", "应用没有接口权限"], ["*", "42001", "凭证过期"], ["externalcontact/send_welcome_msg", "41096", "欢迎语：别的应用正在发"],
  ["externalcontact/send_welcome_msg", "41050", "欢迎语：凭证无效"], ["externalcontact/mark_tag", "45033", "打标签：并发超限"],
  ["externalcontact/add_msg_template", "lost", "建群发：办成了，答复丢失"], ["callback", "drop", "回调：丢掉答复，再推一次"]];

export function showWecom(world) {
  const drawer = document.getElementById("drawer");
  const list = h("div.scroll", { "data-test": "wecom" });
  open("drawer", "企业微信", heading("企业微信", "员工的客户、标签与群发", () => drawer.close()), list);
  let shown = "";
  const refresh = async () => {
    try {
      const { corps, faults } = await get("/api/wecom");
      setFaultCount(faults);
      const seen = JSON.stringify([corps, faults]);
      if (seen === shown || list.contains(document.activeElement?.closest("input"))) return;
      shown = seen;
      list.replaceChildren(...corps.flatMap((corp) => corp.staff.flatMap((staff) => member(corp, staff, world, act))), switches(faults, act));
    } catch (error) { toast(error.message, true); }
  };
  const act = async (path, body) => {
    try { await post(path, body); } catch (error) { toast(error.message, true); }
    await refresh();
  };
  const again = async () => {
    if (!drawer.open || !list.isConnected) return;
    await refresh();
    setTimeout(again, EVERY_MS);
  };
  again();
}

const nameOf = (world, openid) => world.people().find((one) => one.openid === openid)?.name ?? "客户";
const indexOf = (world, openid) => Math.max(0, world.people().findIndex((one) => one.openid === openid));

function member(corp, staff, world, act) {
  const who = { corp: corp.account, userid: staff.userid };
  const waiting = staff.tasks.filter((one) => one.state === "waits").length;
  return [
    h("div.member", {}, staffFace(staff.name, "small"), h("h3", {}, staff.name, h("i", {}, ` @${corp.name}`)),
      h("span.chip", {}, `${staff.contacts.filter((one) => !one.removed).length} 位客户`),
      waiting ? h("span.chip.wait", { "data-test": "waiting-tasks" }, `${waiting} 条群发待发送`) : null),
    ...staff.tasks.map((one) => task(one, who, world, act)),
    ...(staff.contacts.length ? staff.contacts.map((one) => contact(one, corp, who, world, act))
      : [h("p.empty", {}, "还没有客户。在手机的「＋」里点「添加企微」，或扫一张企微二维码。")]),
    ...(mine(corp, staff).length ? [h("details.box", { "data-test": "codes" }, h("summary", {}, `「联系我」二维码 ${mine(corp, staff).length}`),
      h("div.codes", {}, mine(corp, staff).map((one) => code(one, world))))] : []),
    ...(staff.notes.length ? [h("details.box", { "data-test": "notes" }, h("summary", {}, `应用消息 ${staff.notes.length}`), staff.notes.map((one) =>
      h("p.memo", {}, one.title ? h("b", {}, one.title) : null, one.content)))] : []),
  ];
}

const mine = (corp, staff) => corp.ways.filter((one) => one.userids.includes(staff.userid));

/** A code as it hangs in the shop: shown large, and scanned with somebody's phone. */
const code = (one, world) => h("button", { type: "button", "data-test": "code", onclick: () => {
  document.getElementById("drawer").close();
  view(qrUrl(one.config_id), { url: one.url }, world);
} }, h("img", { src: qrUrl(one.config_id), alt: "", loading: "lazy" }), h("span", {}, one.remark || "二维码"), h("small", {}, one.state));

function task(one, who, world, act) {
  const text = one.body.map((part) => part.body.content ?? part.body.articles?.[0]?.title ?? "[图片]").join("\n");
  return h("article.box.order.mass", { "data-test": "mass", "data-state": one.state },
    h("header", {}, h("h3", {}, "群发给客户"), h(`span.chip${one.state === "waits" ? ".wait" : one.state === "sent" ? ".on" : ""}`, { "data-test": "mass-state" }, STATES[one.state])),
    h("p.words", {}, text),
    h("ul.fates", {}, one.people.map((person) => h("li", { "data-test": "fate", "data-status": person.status }, face(nameOf(world, person.openid), { size: "tiny", index: indexOf(world, person.openid) }),
      nameOf(world, person.openid), one.state === "sent" ? h("small", {}, FATES[person.status]) : null))),
    one.state === "waits" ? h("div.acts", {}, h("button.btn.main", { type: "button", "data-test": "mass-send", onclick: () => act("/api/wecom/send", { msgid: one.msgid, ...who }) },
      `发送给 ${one.people.length} 位客户`), one.reminded ? h("small", {}, `已提醒 ${one.reminded} 次`) : null) : null);
}

function contact(one, corp, who, world, act) {
  const key = { openid: one.openid, ...who };
  const state = one.removed ? "已删除客户" : one.gone ? "客户已删除员工" : "好友";
  const said = h("input.in", { placeholder: "以员工身份回一句…", maxlength: "500", "aria-label": "回复客户", "data-test": "staff-say" });
  const answer = async (event) => { event.preventDefault(); const text = said.value; said.value = ""; said.blur(); if (text.trim()) await act("/api/wecom/answer", { text, ...key }); };
  const turn = (tag) => h(`button.label${one.tags.includes(tag.name) ? ".on" : ""}`, { type: "button", "aria-pressed": String(one.tags.includes(tag.name)),
    onclick: () => act("/api/wecom/tag", { tag_id: tag.id, on: !one.tags.includes(tag.name), ...key }) }, tag.name);
  return h("article.box.order", { "data-test": "contact", "data-openid": one.openid },
    h("header", {}, h("h3.person", {}, face(nameOf(world, one.openid), { size: "small", index: indexOf(world, one.openid) }), nameOf(world, one.openid)),
      h(`span.chip${one.friends ? ".on" : ".low"}`, { "data-test": "contact-state" }, state)),
    h("div.labels", { "data-test": "contact-tags" }, one.tags.length ? one.tags.map((tag) => h("span.label", {}, tag)) : h("small", {}, "还没有标签")),
    h("div.no", {}, `${one.external_userid.slice(0, 14)}…${one.state ? ` · state ${one.state}` : ""}`),
    h("details.hand", {}, h("summary", {}, "聊天、改标签、删除"), h("form.acts", { onsubmit: answer }, said, h("button.btn.soft", { type: "submit", disabled: !one.friends }, "发给客户")),
      corp.tags.length ? h("div.labels", {}, corp.tags.map(turn)) : null,
      h("button.btn", { type: "button", disabled: one.removed, "data-test": "contact-remove", onclick: () => act("/api/wecom/remove", key) }, "删除客户")));
}

function switches(faults, act) {
  const active = faults.filter((fault) => fault.api.startsWith("wecom/"));
  return h("details.box", { "data-test": "wecom-faults" }, h("summary", {}, `让企业微信出错${active.length ? `（${active.length} 个在等）` : ""}`),
    active.map((fault) => h("div.on", {}, h("span", {}, `${fault.api.slice(6)} ${fault.fault} · 还有 ${fault.next ?? "∞"} 次`),
      h("button.btn", { type: "button", onclick: () => act("/api/faults", { off: fault.id }) }, "关闭"))),
    h("div.quick", {}, FAULTS.map(([api, fault, text]) => h("button", { type: "button", "data-test": "wecom-fault", "data-fault": `${api}:${fault}`,
      onclick: () => act("/api/faults", { api: `wecom/${api}`, fault, next: 1 }) }, h("small", {}, text)))),
    h("button.btn", { type: "button", "data-test": "wecom-verify", onclick: verify }, icon("pulse"), "接入验证"));
}

async function verify() {
  try {
    const { ok, message } = await post("/api/wecom/verify", {});
    toast(message, !ok);
  } catch (error) { toast(error.message, true); }
}
