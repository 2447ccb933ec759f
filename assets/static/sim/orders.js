// The drawer with a person's orders: what the mall can still do with each, and how its events arrived.

import { get, post } from "./api.js";
import { CHANNELS, fen, h, heading, open, toast, yuan } from "./dom.js";

const STATES = { paid: "已付款", shipped: "已发货", received: "已收货", refunded: "已退款" };
const STATE_OF_SEND = { done: "已送达", failed: "未被接受", sending: "发送中" };

export async function showOrders(person) {
  const list = h("div.scroll", { "data-test": "order-list" });
  const drawer = document.getElementById("drawer");
  open("drawer", `${person.name}的订单`, heading(`${person.name}的订单`, null, () => drawer.close()), list);
  const refresh = async () => {
    try {
      const { orders } = await get(`/api/orders?openid=${encodeURIComponent(person.openid)}`);
      list.replaceChildren(...(orders.length ? orders.map((order) => card(order, refresh)) : [h("p.empty", {}, "还没有订单，去货架上买一件吧。")]));
    } catch (error) { toast(error.message, true); }
  };
  await refresh();
}

function card(order, refresh) {
  const left = order.paid_fen - order.refunded_fen;
  const act = async (what, body = {}) => {
    try { await post(`/api/orders/${encodeURIComponent(order.order_id)}/${what}`, body); } catch (error) { toast(error.message, true); }
    await refresh();
    setTimeout(refresh, 700);
  };
  const button = (label, test, allowed, go, kind = "") => h(`button.btn${kind}`, { type: "button", disabled: !allowed, "data-test": test, onclick: go }, label);
  const part = h("input.in", { inputmode: "decimal", value: yuan(Math.max(1, Math.floor(left / 3))), "aria-label": "退款金额（元）", disabled: left <= 0, "data-test": "refund-amount" });
  const refundPart = () => {
    const amount = fen(part.value);
    if (amount === null) toast("退款金额不对", true); else act("refund", { refund_fen: amount });
  };
  return h("article.box.order", { "data-test": "order", "data-order": order.order_id },
    h("header", {}, h("h3", {}, `${order.line.title} × ${order.line.quantity}`), h("span.chip.on", { "data-test": "order-state" }, STATES[order.state])),
    h("div.no", {}, order.order_id),
    h("div.sum", {}, h("span", {}, "实付 ", h("b", {}, `¥${yuan(order.paid_fen)}`)), order.coupon_fen ? h("span", {}, `优惠 ¥${yuan(order.coupon_fen)}`) : null,
      order.refunded_fen ? h("span.bad", {}, `已退 ¥${yuan(order.refunded_fen)}`) : null, h("span", {}, CHANNELS[order.channel] ?? order.channel)),
    h("div.acts", {}, button("发货", "ship", order.state === "paid", () => act("ship")),
      button("确认收货", "receive", ["paid", "shipped"].includes(order.state), () => act("receive"), ".soft"),
      part, button("退这么多", "refund-part", left > 0, refundPart), button("退剩余", "refund-rest", left > 0, () => act("refund")),
      button("重复 ×3", "duplicate", true, () => act("duplicate", { times: 3 })), button("倒序重放", "reverse", true, () => act("reverse"))),
    h("ol", {}, order.events.map((event) => h("li", { title: event.answer || event.note || "" }, h(`span.mark.${event.state}`), h("code", {}, event.label),
      h("span", {}, STATE_OF_SEND[event.state] + (event.tries > 1 ? `（${event.tries} 次）` : "")), event.note ? h("span.bad", {}, event.note) : null))));
}
