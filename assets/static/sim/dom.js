// Makes elements, and the texts that several parts share.

const SVG = "http://www.w3.org/2000/svg";

/** An element: h("button.main", {onclick, "data-test": "x"}, child, "text"). Null children are left out. */
export function h(what, props = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const element = document.createElement(tag || "div");
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && !name.includes("-") && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function icon(name, kind = "i") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", kind);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** Where an order can come from: the mall's own word for it, and what people call it. */
export const CHANNELS = { mall: "自有商城", miniprogram: "小程序", douyin: "抖音小店", taobao: "淘宝" };

const PALETTE = [["#d99a45", "#b06f1e"], ["#4a90c2", "#2f6694"], ["#58a86b", "#34784a"], ["#9b7bc8", "#6d4f9c"],
  ["#e8785a", "#c94a3a"], ["#4fa8a3", "#2c7773"], ["#cf6a95", "#9d4169"], ["#7687a8", "#4d5d7d"]];

/** A square avatar: the account's in brand red with its first character, a person's coloured with the last. */
export function face(name, { account = false, size = "", index = null } = {}) {
  const hash = index ?? [...name].reduce((sum, letter) => sum * 31 + letter.codePointAt(0), 7) >>> 0;
  const [from, to] = account ? ["#d4483a", "#9d231a"] : PALETTE[hash % PALETTE.length];
  const letters = [...name];
  const element = h(`span.face${size ? `.${size}` : ""}`, { "aria-hidden": "true" }, account ? letters[0] : letters.at(-1));
  element.style.setProperty("--a", from);
  element.style.setProperty("--b", to);
  return element;
}

const GOODS = [["礼盒", "🎁"], ["牛奶", "🥛"], ["酸奶", "🥛"], ["鸡蛋", "🥚"], ["蛋", "🥚"], ["蜂蜜", "🍯"], ["蜜", "🍯"], ["橄榄油", "🫒"], ["菜籽油", "🌼"],
  ["花生", "🥜"], ["油", "🛢️"], ["茶", "🍵"], ["龙井", "🍵"], ["普洱", "🍵"], ["咖啡", "☕"], ["面条", "🍜"], ["挂面", "🍜"], ["面粉", "🌾"], ["小米", "🌾"],
  ["燕麦", "🌾"], ["米", "🍚"], ["苹果", "🍎"], ["橙", "🍊"], ["柑", "🍊"], ["桃", "🍑"], ["葡萄", "🍇"], ["草莓", "🍓"], ["枣", "🌰"], ["核桃", "🌰"], ["坚果", "🌰"],
  ["菌", "🍄"], ["菇", "🍄"], ["木耳", "🍄"], ["番茄", "🍅"], ["玉米", "🌽"], ["红薯", "🍠"], ["土豆", "🥔"], ["蔬菜", "🥬"], ["牛肉", "🥩"], ["猪", "🥓"],
  ["鸡", "🍗"], ["鱼", "🐟"], ["虾", "🦐"], ["酒", "🍶"], ["醋", "🫙"], ["酱", "🫙"], ["纸", "🧻"], ["皂", "🧼"], ["洗", "🧴"], ["霜", "🧴"], ["面膜", "🧖"], ["杯", "🥤"],
  ["秤", "⚖️"], ["耳机", "🎧"], ["手表", "⌚"], ["手环", "⌚"], ["电饭", "🍚"], ["灯", "💡"], ["音箱", "🔊"], ["充电", "🔌"]];

/** The product's own picture, or a coloured tile with what its title names. */
export function productPicture(product) {
  if (product.image_url) return h("img.pic", { src: product.image_url, alt: "", loading: "lazy" });
  const emoji = GOODS.find(([word]) => product.title.includes(word))?.[1];
  const picture = h(`span.pic${emoji ? ".emoji" : ""}`, { "aria-hidden": "true" }, emoji ?? [...product.title][0]);
  const [from, to] = PALETTE[[...product.sku].reduce((sum, letter) => sum + letter.codePointAt(0), 0) % PALETTE.length];
  picture.style.background = emoji ? `linear-gradient(145deg, color-mix(in srgb, ${from} 18%, #fff), color-mix(in srgb, ${from} 42%, #fff))`
    : `linear-gradient(145deg, ${from}, ${to})`;
  return picture;
}

/** Fen as yuan with two decimals, without a float on the way: 9900 → "99.00". */
export function yuan(fen) {
  const digits = String(Math.abs(fen)).padStart(3, "0");
  return `${fen < 0 ? "-" : ""}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

/** Yuan as typed to whole fen, or null: "5" → 500, "1.5" → 150. */
export function fen(typed) {
  const match = /^\s*(\d{1,7})(?:\.(\d{1,2}))?\s*$/.exec(typed);
  return match ? Number(match[1]) * 100 + Number((match[2] ?? "").padEnd(2, "0")) : null;
}

const CLOCK = new Intl.DateTimeFormat("zh-CN", { timeZone: "Asia/Shanghai", hour: "2-digit", minute: "2-digit", hour12: false });
const DAY = new Intl.DateTimeFormat("zh-CN", { timeZone: "Asia/Shanghai", month: "long", day: "numeric" });
const FULL = new Intl.DateTimeFormat("zh-CN", { timeZone: "Asia/Shanghai", year: "numeric", month: "long", day: "numeric" });

export const clockTime = (date) => CLOCK.format(date);

/** As chats do: only the time today, 昨天 for yesterday, the date before that. */
export function chatTime(date, now) {
  if (DAY.format(date) === DAY.format(now)) return CLOCK.format(date);
  if (DAY.format(date) === DAY.format(new Date(now - 86_400_000))) return `昨天 ${CLOCK.format(date)}`;
  return `${DAY.format(date)} ${CLOCK.format(date)}`;
}

export const fullTime = (date) => `${FULL.format(date)} ${CLOCK.format(date)}`;

/** Toasts belong above everything, also above a dialog that opened after them. */
function raiseToasts() {
  const host = document.getElementById("toasts");
  if (host.matches(":popover-open")) host.hidePopover();
  if (host.childElementCount) host.showPopover();
}

/** Show a line at the foot of the page, above everything. */
export function toast(message, bad = false) {
  const host = document.getElementById("toasts");
  const line = h(`p.toast${bad ? ".bad" : ""}`, {}, message);
  line.style.margin = "0";
  host.append(line);
  raiseToasts();
  setTimeout(() => {
    line.remove();
    if (!host.childElementCount && host.matches(":popover-open")) host.hidePopover();
  }, bad ? 5200 : 3200);
}

/** Fill and open one of the page's dialogs. Returns a function that closes it. */
export function open(id, label, ...children) {
  const dialog = document.getElementById(id);
  dialog.setAttribute("aria-label", label);
  dialog.replaceChildren(...children);
  const close = () => dialog.close();
  dialog.onclick = (event) => { if (event.target === dialog) close(); };
  if (!dialog.open) dialog.showModal();
  raiseToasts();
  return close;
}

export function heading(title, sub, close) {
  return h("div.head", {}, h("h2", {}, title), sub ? h("span.sub", {}, sub) : null,
    h("button.shut", { type: "button", "aria-label": "关闭", "data-test": "close", onclick: close }, icon("close")));
}
