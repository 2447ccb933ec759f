// One phone frame: keeps its own chat, composer, menu and panel up to date.

import { post, upload } from "./api.js";
import { markTransfer, render } from "./bubbles.js";
import { chatTime, clockTime, face, h, icon, toast } from "./dom.js";
import { showOrders } from "./orders.js";
import { askScan, viewPicture } from "./scan.js";
import { StaffChat, askStaff, memberOf, statusLine } from "./staff.js";
import { showSubscribe } from "./subscribe.js";
import { askVoice } from "./voice.js";

const PAUSE = 5 * 60 * 1000;
const PATIENCE_MS = 1200;

const attempt = async (work) => {
  try { return await work(); } catch (error) { toast(error.message, true); return null; }
};

export class Phone {
  constructor(person, account, index, world) {
    Object.assign(this, { person, account, index, world, lastAt: 0, menu: null, chats: new Map() });
    this.build();
    this.update(person, world.now());
  }

  get openid() { return this.person.openid; }

  build() {
    const { person, account } = this;
    this.follow = h("span.chip", { "data-test": "following" });
    this.rights = h("span.chip", { "data-test": "rights" });
    this.waiting = h("span.chip.wait", { hidden: true, "data-test": "waiting" }, "等待答复…");
    this.orderCount = h("span", {}, "订单");
    this.time = h("span", {}, "");
    this.name = h("span", {}, account.name);
    this.chat = h("div.chat", { role: "log", "aria-live": "polite", "aria-label": `${person.name}的聊天`, "data-test": "chat", tabindex: "0" });
    this.foot = h("div.foot");
    this.bars = h("div.bars");
    this.screen = h("div.screen", {}, this.header(), this.bars, this.chat, this.foot);
    this.element = h("section.device", { id: `phone-${this.index}`, "aria-label": `${person.name}的手机`, "data-test": "phone",
      "data-name": person.name, "data-openid": person.openid },
    h("div.plate", {}, face(person.name, { size: "small", index: this.index }), h("h2", {}, person.name), this.follow, this.rights, this.waiting,
      h("button.orders", { type: "button", "data-test": "orders", onclick: () => showOrders(this.person) }, icon("bag"), this.orderCount)),
    h("div.frame", {}, this.screen));
    this.fillFoot();
  }

  header() {
    return h("header.top", {},
      statusLine(this.time),
      h("div.title", {}, h("span.back", { "aria-hidden": "true" }, icon("back")),
        h("span.name", {}, this.name, icon("verified")),
        h("button.more", { type: "button", "aria-label": "更多", onclick: () => this.togglePanel() }, icon("more"))));
  }

  /** The part below the chat: composer and menu for a follower, nothing for a stranger. */
  fillFoot() {
    this.input = h("input", { type: "text", placeholder: "发消息…", maxlength: "1000", autocomplete: "off", enterkeyhint: "send",
      "aria-label": `以${this.person.name}的身份发消息`, "data-test": "input", oninput: () => this.toggleSend() });
    this.send = h("button.send", { type: "submit", hidden: true, "data-test": "send" }, "发送");
    this.plus = h("button.round", { type: "button", "aria-label": "更多功能", "aria-expanded": "false", "data-test": "plus",
      onclick: () => this.togglePanel() }, icon("plus"));
    const scan = h("button.round", { type: "button", "aria-label": "扫一扫", "data-test": "scan", onclick: () => this.scan() }, icon("scan"));
    const form = h("form.composer", { onsubmit: (event) => { event.preventDefault(); this.say(); } }, scan, this.input, this.send, this.plus);
    this.panel = h("div.panel", { hidden: true, "data-test": "panel" }, this.tiles());
    this.menubar = h("div.menubar", { hidden: true, "data-test": "menubar" });
    this.composer = form;
    this.foot.replaceChildren(form, this.menubar, this.panel, h("span.home", { "aria-hidden": "true" }));
  }

  tiles() {
    const file = h("input", { type: "file", accept: "image/jpeg,image/png,image/gif", hidden: true, "data-test": "image-file",
      onchange: () => { if (file.files[0]) attempt(() => upload("/api/image", { openid: this.openid, image: file.files[0] })); file.value = ""; } });
    const tile = (name, label, test, act) => h("button", { type: "button", "data-test": test,
      onclick: () => { this.togglePanel(false); act(); } }, h("span.tile", {}, icon(name)), label);
    return [tile("scan", "扫一扫", "panel-scan", () => this.scan()), tile("image", "相册", "panel-image", () => file.click()),
      tile("voice", "语音", "panel-voice", () => askVoice(this.person)),
      tile("pin", "位置", "panel-location", () => this.act("/api/location", {})),
      tile("bag", "订单", "panel-orders", () => showOrders(this.person)),
      ...(this.world.corps().length ? [tile("staff", "添加企微", "panel-staff", () => this.askStaff())] : []),
      tile("bell", "订阅", "panel-subscribe", () => showSubscribe(this.person)),
      tile("leave", "取消关注", "panel-unfollow", () => this.act("/api/unfollow", {})), file];
  }

  act(path, body) { return attempt(() => post(path, { openid: this.openid, ...body })); }

  async say() {
    const text = this.input.value;
    if (!text.trim()) return;
    this.input.value = "";
    this.toggleSend();
    if (await this.act("/api/say", { text }) === null && !this.input.value) { this.input.value = text; this.toggleSend(); }
  }

  scan() { askScan(this.person, this.world); }

  toggleSend() {
    const typed = this.input.value.trim() !== "";
    this.send.hidden = !typed;
    this.plus.hidden = typed;
  }

  togglePanel(show = this.panel.hidden) {
    this.panel.hidden = !show || !this.person.following;
    this.plus.setAttribute("aria-expanded", String(!this.panel.hidden));
    this.toEnd();
  }

  /** New facts about the person: following, rights left, typing, orders; and the time. */
  update(person, now) {
    const changed = person.following !== this.person.following || !this.profiled;
    this.person = person;
    this.time.textContent = clockTime(now);
    for (const chat of this.chats.values()) chat.time.textContent = clockTime(now);
    this.name.textContent = person.typing ? "对方正在输入…" : this.account.name;
    this.follow.textContent = person.following ? "已关注" : "未关注";
    this.follow.classList.toggle("on", person.following);
    this.orderCount.textContent = person.orders ? `订单 ${person.orders}` : "订单";
    this.waitingSince = person.in_flight ? this.waitingSince ?? Date.now() : null;
    this.waiting.hidden = !this.waitingSince || Date.now() - this.waitingSince < PATIENCE_MS;
    this.updateRights(person.rights);
    if (changed) this.updateFollowing();
  }

  updateRights({ message, tap }) {
    const open = [message, tap].filter(Boolean);
    const left = open.reduce((sum, window) => sum + window.left, 0);
    this.rights.hidden = !open.length;
    this.rights.classList.toggle("low", left === 0);
    this.rights.textContent = `可发 ${left} 条`;
    this.rights.title = [message && `48 小时窗口：剩 ${message.left} 条，${Math.ceil(message.seconds / 3600)} 小时`,
      tap && `1 分钟窗口：剩 ${tap.left} 条，${tap.seconds} 秒`].filter(Boolean).join("\n");
  }

  updateFollowing() {
    this.profiled = true;
    const { following } = this.person;
    this.foot.hidden = !following;
    if (!following) this.togglePanel(false);
    this.profile?.remove();
    this.profile = null;
    if (following) return this.toEnd();
    this.profile = h("div.profile", { "data-test": "profile" }, face(this.account.name, { account: true }), h("h3", {}, this.account.name),
      h("p", {}, "服务号 · 已认证", h("br"), "扫一张海报上的二维码，或直接关注"),
      h("button.go", { type: "button", "data-test": "follow", onclick: () => this.act("/api/follow", {}) }, "关注公众号"),
      h("button.go.quiet", { type: "button", "data-test": "profile-scan", onclick: () => this.scan() }, "扫一扫"),
      this.world.corps().length ? h("button.go.quiet", { type: "button", "data-test": "profile-staff", onclick: () => this.askStaff() }, "添加企微") : null);
    this.chat.append(this.profile);
    return this.toEnd();
  }

  /** Add a member of staff: at once when there is only one, otherwise by choice. */
  askStaff() {
    const all = this.world.corps().flatMap((corp) => corp.staff.map((staff) => ({ corp: corp.account, userid: staff.userid })));
    if (all.length === 1) this.addStaff(all[0]); else askStaff(this.world.corps(), this.person, (who) => this.addStaff(who));
  }

  async addStaff(who) {
    const chat = this.chats.get(`${who.corp}:${who.userid}`);
    if (chat?.contact?.friends) return chat.show();
    const done = await this.act("/api/wecom/add", who);
    if (done) this.openStaff(done.chat);
    return null;
  }

  openStaff(chat) { this.staffChat(chat)?.show(); }

  staffChat(chat) {
    const known = memberOf(this.world.corps(), chat);
    if (!this.chats.has(chat) && known) {
      const made = new StaffChat(this, chat, known);
      this.chats.set(chat, made);
      this.bars.append(made.bar);
      this.screen.append(made.view);
    }
    return this.chats.get(chat);
  }

  /** A line of a chat with a member of staff. */
  addToStaff(bubble, now, live) { this.staffChat(bubble.chat)?.add(bubble, now, live); }

  setContact(contact) { this.staffChat(contact.chat)?.update(contact); }

  add(bubble, now) {
    const at = Date.parse(bubble.at);
    const nodes = at - this.lastAt > PAUSE ? [h("time.stamp", { datetime: bubble.at }, chatTime(new Date(at), now))] : [];
    this.lastAt = at;
    const parts = { person: this.person, account: this.account, index: this.index };
    const line = render(bubble, parts, { view: (id) => viewPicture(id, this.world), settle: () => this.toEnd(),
      choose: (bubbleId, itemId) => this.act("/api/reply-menu", { bubble_id: bubbleId, item_id: itemId }),
      take: (number, take) => this.takeMoney(number, take) });
    if (this.profile) this.profile.before(...nodes, line); else this.chat.append(...nodes, line);
    this.toEnd();
  }

  /** The person's answer to a transfer. Leaving it changes nothing: after a day the money goes back by itself. */
  async takeMoney(number, take) {
    await attempt(async () => {
      const { state } = await post("/api/pay/confirm", { openid: this.openid, out_bill_no: number, take });
      this.setTransfer(number, state);
      if (!take) toast("先不收款：24 小时内都可以确认，过后自动退回商家");
    });
  }

  setTransfer(number, state) {
    const card = this.chat.querySelector(`[data-bill="${CSS.escape(number)}"]`);
    if (card && card.dataset.state !== state) markTransfer(card, state);
  }

  toEnd() { requestAnimationFrame(() => { this.chat.scrollTop = this.chat.scrollHeight; }); }

  setMenu(menu) {
    this.menu = menu;
    this.menubar.hidden = !menu;
    this.menubar.replaceChildren(...(menu ?? []).map((button, top) => this.menuButton(button, top)));
  }

  menuButton(button, top) {
    const subs = button.sub_button;
    const box = h("div", {});
    const tap = (entry, index) => h("button", { type: "button", role: subs ? "menuitem" : null, "data-test": "menu-entry",
      "data-key": entry.key ?? entry.url, onclick: () => { box.querySelector(".popup")?.remove(); this.tapMenu(entry, index); } }, entry.name);
    if (!subs) { box.append(tap(button, [top])); return box; }
    box.append(h("button", { type: "button", "aria-haspopup": "true", "data-test": "menu-top", onclick: (event) => {
      event.stopPropagation();
      const shown = box.querySelector(".popup");
      document.querySelectorAll(".popup").forEach((popup) => popup.remove());
      if (!shown) box.append(h("div.popup", { role: "menu" }, subs.map((entry, sub) => tap(entry, [top, sub]))));
    } }, icon("menu"), button.name));
    return box;
  }

  tapMenu(entry, index) {
    if (entry.type.startsWith("scancode") || entry.type.startsWith("pic_")) {
      return askScan(this.person, this.world, { title: entry.name, act: (what) => this.act("/api/menu-tap", { index, ...what }) });
    }
    if (entry.url) window.open(entry.url, "_blank", "noopener");
    return this.act("/api/menu-tap", { index });
  }
}

document.addEventListener("click", () => document.querySelectorAll(".popup").forEach((popup) => popup.remove()));
