// The shelf of the mall, and paying for something on it.

import { get, post } from "./api.js";
import { CHANNELS, face, fen, h, heading, open, productPicture, toast, yuan } from "./dom.js";

export async function showShelf(world) {
  const { products } = await get("/api/products");
  document.getElementById("shelf").replaceChildren(...products.map((product) => h("li", {},
    h("button.goods", { type: "button", "data-test": "product", "data-sku": product.sku, onclick: () => askToBuy(product, world) },
      productPicture(product), h("span.name", {}, product.title),
      h("span.till", {}, h("span.price", {}, yuan(product.price_fen).replace(/\.00$/, "")), h("span.buy", {}, "购买"))))));
}

function whoPays(world) {
  const chosen = world.current();
  return h("fieldset", {}, h("legend", {}, "用谁的手机付款"), h("div.who", {}, world.people().map((person, index) =>
    h("label", {}, h("input", { type: "radio", name: "openid", value: person.openid, checked: person.openid === chosen, "data-test": "buyer",
      "data-name": person.name }), face(person.name, { size: "tiny", index }), person.name))));
}

function stepper() {
  const input = h("input", { type: "number", name: "quantity", value: "1", min: "1", max: "99", "aria-label": "数量", "data-test": "quantity" });
  const step = (by) => () => { input.value = String(Math.min(99, Math.max(1, Number(input.value) + by))); input.dispatchEvent(new Event("input", { bubbles: true })); };
  return h("div.stepper", {}, h("button", { type: "button", "aria-label": "少一件", onclick: step(-1) }, "−"), input,
    h("button", { type: "button", "aria-label": "多一件", onclick: step(1) }, "+"));
}

function askToBuy(product, world) {
  const close = () => document.getElementById("sheet").close();
  const coupon = h("input.in", { name: "coupon", inputmode: "decimal", placeholder: "0.00", "data-test": "coupon" });
  const total = h("button.btn.main", { type: "submit", "data-test": "pay" });
  const channel = h("select.in", { name: "channel", "data-test": "channel" }, Object.entries(CHANNELS).map(([value, label]) => h("option", { value }, label)));
  const form = h("form.form", { novalidate: true }, whoPays(world),
    h("div.two", {}, h("label", {}, "数量", stepper()), h("label", {}, "优惠券抵扣（元）", coupon)),
    h("label", {}, "渠道", channel),
    h("label.check", {}, h("input", { type: "checkbox", name: "refund_first", "data-test": "refund-first" }), "乱序：先报退款三分之一，再报付款"), total);
  const read = () => {
    const data = new FormData(form);
    const off = coupon.value.trim() ? fen(coupon.value) : 0;
    return { openid: data.get("openid"), sku: product.sku, quantity: Number(data.get("quantity")), coupon_fen: off,
      channel: data.get("channel"), refund_first: data.has("refund_first") };
  };
  let asked = 0;
  const refresh = async () => {
    const wanted = read(), turn = ++asked, off = wanted.coupon_fen;
    total.disabled = off === null;
    total.textContent = off === null ? "优惠金额不对" : `付款 ¥${yuan(Math.max(0, product.price_fen * wanted.quantity - off))}`;
    if (off === null) return;
    const { listed_fen: listed, paid_fen: paid } = await post("/api/price", wanted).catch(() => ({}));
    if (turn === asked && paid !== undefined) total.textContent = `付款 ¥${yuan(paid)}${paid + off < listed ? "（会员价）" : ""}`;
  };
  form.oninput = refresh;
  form.onsubmit = async (event) => {
    event.preventDefault();
    try {
      const order = await post("/api/buy", read());
      close();
      toast(`已付款 ¥${yuan(order.paid_fen)}，订单 ${order.order_id}`);
    } catch (error) { toast(error.message, true); }
  };
  refresh();
  open("sheet", "购买", heading("购买", null, close), h("div.item", {}, productPicture(product),
    h("div", {}, h("h3", {}, product.title), h("span.price", {}, yuan(product.price_fen)))), form);
}
