// The sheet on which a person allows subscription notices: one tap is one message of that kind.

import { get, post } from "./api.js";
import { h, heading, open, toast } from "./dom.js";

export async function showSubscribe(person) {
  const list = h("div.scroll", { "data-test": "permissions" });
  const drawer = document.getElementById("drawer");
  open("drawer", `${person.name}的订阅`, heading("订阅通知", `${person.name} · 点一次允许，可收一条`, () => drawer.close()), list);
  const refresh = async () => {
    const { templates } = await get(`/api/subscribe?openid=${encodeURIComponent(person.openid)}`);
    list.replaceChildren(...(templates.length ? templates.map((one) => entry(person, one, act)) : [h("p.empty", {}, "这个公众号没有可订阅的通知。")]));
  };
  const act = async (path, body) => {
    try { await post(path, { openid: person.openid, ...body }); await refresh(); } catch (error) { toast(error.message, true); }
  };
  try { await refresh(); } catch (error) { toast(error.message, true); }
}

function entry(person, one, act) {
  const button = (label, kind, test, go) => h(`button.btn${kind}`, { type: "button", "data-test": test, onclick: go }, label);
  return h("article.box.order", { "data-test": "permission", "data-template": one.id },
    h("header", {}, h("h3", {}, one.title), h("span.chip", { class: one.left ? "chip on" : "chip", "data-test": "permission-left" }, `可收 ${one.left} 条`)),
    h("div.sum", {}, h("span", {}, one.fields.join(" · "))),
    h("div.acts", {}, button("允许一次", ".main", "allow", () => act("/api/subscribe", { accept: [one.id] })),
      button("取消", "", "refuse", () => act("/api/subscribe", { reject: [one.id] })),
      button("在设置里拒收", "", "switch-off", () => act("/api/unsubscribe", { template_id: one.id }))));
}
