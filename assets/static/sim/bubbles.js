// Turns one line of the feed into what the phone shows. Text is never HTML: only links are recognised.

import { mediaUrl } from "./api.js";
import { face, h, icon, yuan } from "./dom.js";

const LINK = /<a\s[^>]*?href="([^"]{1,1024})"[^>]*>([^<]{0,200})<\/a>|(https?:\/\/[^\s<>"，。；、）】]{4,500})/g;

/** Text with links: web pages open in a new tab, weixin://bizmsgmenu links answer for the person. */
export function richText(text, onMenu, openid = "") {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(LINK)) {
    const made = link(match[1] ?? match[3], match[2] ?? match[3], onMenu, openid);
    if (!made) continue;
    parts.push(text.slice(end, match.index), made);
    end = match.index + match[0].length;
  }
  return [...parts, text.slice(end)].filter((part) => part !== "");
}

/** The mall knows who opens its pages inside WeChat: here the phone says so. */
function opened(address, openid) {
  const url = URL.canParse(address) ? new URL(address) : null;
  if (!openid || !url?.pathname.startsWith(`${document.body.dataset.root.replace(/\/$/, "")}/goods/`)) return address;
  url.searchParams.set("as", openid);
  return url.href;
}

function link(href, label, onMenu, openid) {
  const address = href.replaceAll("&amp;", "&");
  if (/^https?:\/\//.test(address)) return h("a", { href: opened(address, openid), target: "_blank", rel: "noopener noreferrer" }, label);
  if (!address.startsWith("weixin://bizmsgmenu?")) return null;
  const id = new URLSearchParams(address.split("?")[1]).get("msgmenuid");
  return h("a", { href: "#", onclick: (event) => { event.preventDefault(); onMenu(id); } }, label);
}

function picture(bubble, on) {
  const source = mediaUrl(bubble.body.media_id);
  return h("button.picture", { type: "button", "aria-label": "查看图片", "data-test": "picture", "data-image": bubble.body.media_id,
    onclick: () => on.view(bubble.body.media_id) }, h("img", { src: source, alt: "图片消息", onload: on.settle }));
}

function menu(bubble, on) {
  const { head_content: top, list, tail_content: tail } = bubble.body;
  return h("div.bubble.menu", {}, top ? h("p", {}, top) : null,
    list.map((entry) => h("button", { type: "button", "data-test": "choice", "data-id": entry.id,
      onclick: () => on.choose(bubble.id, entry.id) }, entry.content, icon("chevron"))),
    tail ? h("p", {}, tail) : null);
}

function article(bubble) {
  const one = bubble.body.articles[0];
  const inside = [one.picurl ? h("img.cover", { src: one.picurl, alt: "" }) : null, h("h3", {}, one.title), h("p", {}, one.description)];
  return /^https?:\/\//.test(one.url) ? h("a.card", { href: one.url, target: "_blank", rel: "noopener noreferrer" }, inside)
    : h("div.card", {}, inside);
}

function notice(bubble) {
  const { title, fields, url, via } = bubble.body;
  const rows = fields.flatMap(([label, value]) => [h("dt", {}, label), h("dd", {}, value)]);
  const inside = [h("small", {}, via === "subscription" ? "订阅通知" : "服务通知"), h("h3", {}, title), h("dl", {}, rows),
    url ? h("p.more", {}, "查看详情", icon("chevron")) : null];
  return url ? h("a.card.notice", { href: url, target: "_blank", rel: "noopener noreferrer" }, inside) : h("div.card.notice", {}, inside);
}

function place(bubble) {
  return h("div.card", {}, h("h3", {}, bubble.body.label || "位置"),
    h("p", {}, `${bubble.body.latitude}, ${bubble.body.longitude}`), h("div.map", {}, icon("pin")));
}

const TRANSFER = { WAIT_USER_CONFIRM: "待你确认收款", SUCCESS: "已收款，存入零钱", FAIL: "未收款，已退回商家", CANCELING: "商家正在撤销", CANCELLED: "商家已撤销" };

/** The card of a merchant transfer. Its state changes in place: see markTransfer. */
function transfer(bubble, on) {
  const { out_bill_no: number, amount_fen: amount, remark, state } = bubble.body;
  const answer = (take) => on.take(number, take);
  const card = h("div.money", { "data-test": "transfer", "data-bill": number },
    h("div.amount", {}, h("b", {}, `¥${yuan(amount)}`), h("span", { "data-test": "transfer-state" })),
    h("p", {}, remark), h("div.asks", {}, h("button", { type: "button", "data-test": "take", onclick: () => answer(true) }, "确认收款"),
      h("button.leave", { type: "button", "data-test": "leave", onclick: () => answer(false) }, "不要")), h("small", {}, "微信支付 · 商家转账"));
  markTransfer(card, state);
  return card;
}

/** Show where a transfer stands; the buttons are there only while it waits. */
export function markTransfer(card, state) {
  card.dataset.state = state;
  card.querySelector("[data-test=transfer-state]").textContent = TRANSFER[state] ?? state;
  card.querySelector(".asks").hidden = state !== "WAIT_USER_CONFIRM";
}

const CONTENT = {
  text: (bubble, on) => h("div.bubble", {}, richText(bubble.body.content, (id) => on.choose(bubble.id, id), on.openid)),
  voice: (bubble) => h("div.bubble", {}, icon("voice"), bubble.body.heard ? ` ${bubble.body.heard}` : " （没有转成文字）"),
  image: picture, msgmenu: menu, news: article, template: notice, location: place,
};

/** The element of a bubble. ``on``: view(imageId), choose(bubbleId, itemId), take(billNumber, yes), settle(). */
export function render(bubble, { person, account, index, staff = false }, on) {
  const marks = { "data-bubble": bubble.id, "data-side": bubble.side, "data-kind": bubble.kind };
  if (bubble.kind === "transfer") return h("div.row.middle", { ...marks, "data-test": "bubble" }, transfer(bubble, on));
  if (bubble.side === "system") {
    return h(`p.${bubble.kind === "failure" ? "failure" : "note"}`, { ...marks, "data-test": bubble.kind }, bubble.body.content);
  }
  const mine = bubble.side === "person";
  const who = mine ? face(person.name, { index }) : face(account.name, { account: true });
  if (staff && !mine) { who.style.setProperty("--a", "#3f8cf4"); who.style.setProperty("--b", "#1f5fc4"); }
  const title = mine ? null : { passive: "被动回复（不占条数）", custom: "客服消息（占 1 条）", template: "模板消息（关注即可）", subscription: "订阅通知（用掉 1 次允许）",
    welcome: "企业微信欢迎语（加好友 20 秒内，仅 1 次）", mass: "企业群发（员工点了发送）" }[bubble.body.via];
  return h(`div.row${mine ? ".me" : ""}`, { ...marks, title, "data-test": "bubble" }, who,
    (CONTENT[bubble.kind] ?? (() => h("div.bubble", {}, "[不支持的消息]")))(bubble, { ...on, openid: person.openid }));
}
