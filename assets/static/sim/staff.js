// A phone's chats with members of staff: they open over the account's chat, and a bar below its head leads to them.

import { post } from "./api.js";
import { render } from "./bubbles.js";
import { chatTime, face, h, heading, icon, open, toast } from "./dom.js";
import { viewPicture } from "./scan.js";

const PAUSE = 5 * 60 * 1000;

/** The face of a member of staff: blue, as everything of WeCom. */
export const staffFace = (name, size = "") => {
  const made = face(name, { account: true, size });
  made.style.setProperty("--a", "#3f8cf4");
  made.style.setProperty("--b", "#1f5fc4");
  return made;
};

export const memberOf = (corps, chat) => {
  for (const corp of corps) for (const staff of corp.staff) if (`${corp.account}:${staff.userid}` === chat) return { corp, staff };
  return null;
};

export const tagChips = (tags) => tags.map((tag) => h("span.label", { "data-test": "tag" }, tag));

/** The uppermost line of a phone; ``time`` is its clock. */
export const statusLine = (time) => h("div.status", { "aria-hidden": "true" }, time, h("span.island"), h("span.icons", {}, icon("signal", "s"), icon("battery", "s")));

const attempt = async (work) => {
  try { return await work(); } catch (error) { toast(error.message, true); return null; }
};

/** One chat of one phone. ``phone.screen`` holds it while it is open, ``phone.bars`` the bar that opens it. */
export class StaffChat {
  constructor(phone, chat, { corp, staff }) {
    Object.assign(this, { phone, chat, corp, staff, unread: 0, lastAt: 0, contact: null, who: { corp: corp.account, userid: staff.userid } });
    this.build();
  }

  build() {
    const { staff, corp, phone } = this;
    this.preview = h("span.said", {});
    this.badge = h("b.badge", { hidden: true });
    this.bar = h("button.peek", { type: "button", "data-test": "staff-bar", "data-chat": this.chat, onclick: () => this.show() },
      staffFace(staff.name, "small"), h("span.name", {}, staff.name, h("i", {}, ` @${corp.name}`)), this.preview, this.badge, icon("chevron"));
    this.log = h("div.chat", { role: "log", "aria-live": "polite", "aria-label": `${phone.person.name}与${staff.name}的聊天`, "data-test": "staff-chat", tabindex: "0" });
    this.tags = h("div.seen", { "data-test": "staff-tags" });
    this.input = h("input", { type: "text", placeholder: "发消息…", maxlength: "1000", autocomplete: "off", enterkeyhint: "send",
      "aria-label": `以${phone.person.name}的身份发给${staff.name}`, "data-test": "staff-input" });
    this.form = h("form.composer", { onsubmit: (event) => { event.preventDefault(); this.say(); } }, this.input, h("button.send", { type: "submit" }, "发送"));
    this.gone = h("button.go.quiet", { type: "button", hidden: true, "data-test": "staff-again", onclick: () => phone.addStaff(this.who) }, "重新添加");
    this.time = h("span", {}, phone.time.textContent);
    this.view = h("section.staffchat", { hidden: true, "aria-label": `${staff.name}`, "data-test": "staff-view", "data-chat": this.chat },
      h("header.top.plain", {}, statusLine(this.time), h("div.title", {},
        h("button.back", { type: "button", "aria-label": "返回公众号", "data-test": "staff-back", onclick: () => this.hide() }, icon("back")),
        h("span.name", {}, staff.name, h("i", {}, `@${corp.name}`)),
        h("button.more", { type: "button", "aria-label": "联系人资料", "data-test": "staff-more", onclick: () => this.profile() }, icon("more")))),
      this.tags, this.log, h("div.foot", {}, this.form, this.gone, h("span.home", { "aria-hidden": "true" })));
  }

  show() {
    this.view.hidden = false;
    this.unread = 0;
    this.mark();
    this.toEnd();
  }

  hide() { this.view.hidden = true; }

  mark() {
    this.badge.hidden = !this.unread;
    this.badge.textContent = this.unread;
  }

  /** What the member knows of the person, and whether they are still friends. */
  update(contact) {
    const seen = JSON.stringify(contact);
    if (seen === this.seen) return;
    this.seen = seen;
    this.contact = contact;
    this.form.hidden = contact.gone;
    this.gone.hidden = !contact.gone;
    this.tags.hidden = !contact.tags.length;
    this.tags.replaceChildren(h("small", {}, "员工看到的标签"), ...tagChips(contact.tags));
  }

  add(bubble, now, live) {
    const at = Date.parse(bubble.at);
    if (at - this.lastAt > PAUSE) this.log.append(h("time.stamp", { datetime: bubble.at }, chatTime(new Date(at), now)));
    this.lastAt = at;
    this.log.append(render(bubble, { person: this.phone.person, account: this.staff, index: this.phone.index, staff: true }, {
      view: (id) => viewPicture(id, this.phone.world), settle: () => this.toEnd(), choose: () => {}, take: () => {} }));
    this.preview.textContent = bubble.body.content ?? bubble.body.articles?.[0]?.title ?? "[图片]";
    if (live && bubble.side === "staff" && this.view.hidden) this.unread += 1;
    this.mark();
    this.toEnd();
  }

  async say() {
    const text = this.input.value;
    if (!text.trim()) return;
    this.input.value = "";
    await attempt(() => post("/api/wecom/say", { openid: this.phone.openid, text, ...this.who }));
  }

  profile() {
    const close = () => document.getElementById("sheet").close();
    const { contact, staff, corp, phone } = this;
    const remove = async () => { close(); await attempt(() => post("/api/wecom/delete", { openid: phone.openid, ...this.who })); };
    open("sheet", `${staff.name}的资料`, heading(staff.name, `企业微信 · ${corp.name}`, close), h("div.form", {},
      h("p.hint", {}, contact?.tags.length ? `${staff.name}给${phone.person.name}打的标签：` : `${staff.name}还没有给${phone.person.name}打标签。`),
      contact?.tags.length ? h("div.labels", {}, tagChips(contact.tags)) : null,
      h("button.btn.soft", { type: "button", disabled: !contact || contact.gone, "data-test": "staff-delete", onclick: remove }, "删除联系人")));
  }

  toEnd() { requestAnimationFrame(() => { this.log.scrollTop = this.log.scrollHeight; }); }
}

/** Who to add, when there is more than one member of staff. */
export function askStaff(corps, person, choose) {
  const close = () => document.getElementById("sheet").close();
  open("sheet", "添加企业微信", heading("添加企业微信", `用${person.name}的手机`, close), h("div.form", {}, corps.flatMap((corp) => corp.staff.map((staff) =>
    h("button.peek.box", { type: "button", "data-test": "staff-choice", "data-userid": staff.userid,
      onclick: () => { close(); choose({ corp: corp.account, userid: staff.userid }); } },
    staffFace(staff.name, "small"), h("span.name", {}, staff.name, h("i", {}, ` @${corp.name}`)), icon("plus"))))));
}
