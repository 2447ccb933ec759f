// Starts the page: loads the state, builds the phones, then asks for news a few times a second.

import { get, post } from "./api.js";
import { face, fullTime, h, heading, open, toast } from "./dom.js";
import { setFaultCount, showFaults } from "./faults.js";
import { showInspector } from "./inspector.js";
import { showPay } from "./pay.js";
import { Phone } from "./phone.js";
import { showShelf } from "./shelf.js";
import { showWecom } from "./wecom.js";

const EVERY_MS = 400;
const HIDDEN_MS = 3000;
const FAILED_MS = 1500;

const phones = new Map();
const pictures = [];
let state = null;
let last = 0;
let current = null;
let now = new Date();
let versions = "";

const world = {
  people: () => [...phones.values()].map((phone) => phone.person),
  pictures: () => pictures, apis: () => state.apis, now: () => now, current: () => current ?? world.people().at(-1)?.openid,
  show: (openid) => select(openid), corps: () => state.corps, openStaff: (openid, chat) => phones.get(openid)?.openStaff(chat),
};

const byId = (id) => document.getElementById(id);

function select(openid) {
  current = openid;
  phones.get(openid)?.element.scrollIntoView({ behavior: "smooth", block: "nearest", inline: "center" });
  for (const tab of byId("tabs").children) {
    tab.setAttribute("aria-pressed", String(tab.dataset.openid === openid));
    if (tab.dataset.openid === openid) tab.querySelector(".dot")?.remove();
  }
}

function addPhone(person) {
  const account = state.accounts.find((one) => one.account === person.account);
  const phone = new Phone(person, account, phones.size, world);
  phones.set(person.openid, phone);
  phone.setMenu(state.menus[person.account]?.menu);
  phone.element.addEventListener("pointerdown", () => { current = person.openid; });
  phone.element.addEventListener("focusin", () => { current = person.openid; });
  byId("phones").append(phone.element);
  byId("tabs").append(h("button", { type: "button", "data-openid": person.openid, "aria-pressed": "false", onclick: () => select(person.openid) },
    face(person.name, { size: "tiny", index: phone.index }), person.name));
}

function markNews(openid) {
  const tab = [...byId("tabs").children].find((one) => one.dataset.openid === openid);
  if (tab && tab.getAttribute("aria-pressed") !== "true" && !tab.querySelector(".dot")) tab.append(h("span.dot", { "aria-label": "有新消息" }));
}

function setNow(iso) {
  now = new Date(iso);
  const clock = byId("clock-now");
  clock.textContent = fullTime(now);
  clock.dateTime = iso;
}

async function refreshMenus() {
  state = await get("/api/state");
  for (const phone of phones.values()) phone.setMenu(state.menus[phone.person.account]?.menu);
}

async function poll() {
  const first = last === 0;
  const news = await get(`/api/feed?after=${last}`);
  setNow(news.now);
  for (const person of news.people) {
    if (!phones.has(person.openid)) addPhone(person);
    phones.get(person.openid).update(person, now);
  }
  for (const bubble of news.bubbles) {
    if (bubble.kind === "image") pictures.push(bubble.body.media_id);
    const phone = phones.get(bubble.openid);
    if (bubble.chat) phone?.addToStaff(bubble, now, !first); else phone?.add(bubble, now);
    if (!first && ["account", "staff"].includes(bubble.side)) markNews(bubble.openid);
  }
  for (const one of news.contacts) phones.get(one.openid)?.setContact(one);
  for (const one of news.transfers) phones.get(one.openid)?.setTransfer(one.out_bill_no, one.state);
  last = news.last;
  const seen = news.menu_versions.join();
  if (versions && seen !== versions) await refreshMenus();
  versions = seen;
}

async function pollForever() {
  let pause = document.hidden ? HIDDEN_MS : EVERY_MS;
  try {
    await poll();
    byId("offline").hidden = true;
  } catch {
    byId("offline").hidden = false;
    pause = FAILED_MS;
  }
  setTimeout(pollForever, pause);
}

function askPerson() {
  const close = () => byId("sheet").close();
  const name = h("input.in", { name: "name", maxlength: "20", required: true, autofocus: true, "data-test": "person-name", autocomplete: "off" });
  const account = h("select.in", { name: "account" }, state.accounts.map((one) => h("option", { value: one.account }, one.name)));
  const form = h("form.form", { onsubmit: async (event) => {
    event.preventDefault();
    try {
      const person = await post("/api/people", { name: name.value, account: account.value });
      close();
      await poll();
      select(person.openid);
    } catch (error) { toast(error.message, true); }
  } }, h("label", {}, "名字", name), state.accounts.length > 1 ? h("label", {}, "公众号", account) : null,
  h("button.btn.main", { type: "submit", "data-test": "person-save" }, "添加"));
  open("sheet", "添手机", heading("添一部手机", null, close), form);
}

async function advance(seconds) {
  try { setNow((await post("/clock", { advance_seconds: seconds })).now); } catch (error) { toast(error.message, true); }
}

async function start() {
  state = await get("/api/state");
  setNow(state.now);
  setFaultCount(state.faults);
  state.people.forEach(addPhone);
  if (state.people.length) byId("tabs").firstElementChild.setAttribute("aria-pressed", "true");
  document.querySelectorAll("[data-advance]").forEach((button) => button.addEventListener("click", () => advance(Number(button.dataset.advance))));
  byId("open-inspector").addEventListener("click", () => showInspector(world));
  byId("open-faults").addEventListener("click", () => showFaults(world));
  byId("open-pay").hidden = !state.merchants.length;
  byId("open-pay").addEventListener("click", () => showPay());
  byId("open-wecom").hidden = !state.corps.length;
  byId("open-wecom").addEventListener("click", () => showWecom(world));
  byId("add-person").addEventListener("click", askPerson);
  await showShelf(world);
  document.body.dataset.ready = "1";
}

start().catch((error) => toast(error.message, true)).finally(pollForever);
