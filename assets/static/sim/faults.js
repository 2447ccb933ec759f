// The drawer of fault switches: what goes wrong, where, and how often.

import { get, post } from "./api.js";
import { h, heading, open, toast } from "./dom.js";

const FAULTS = [["slow", "慢 6 秒"], ["http_500", "HTTP 500"], ["html", "返回网页"], ["lost", "执行了，答复丢失"], ["40001", "凭证无效"], ["42001", "凭证过期"],
  ["40164", "IP 不在白名单"], ["45009", "日额度用完"], ["45011", "分钟额度用完"], ["45015", "窗口已关"], ["45047", "条数用完"], ["43004", "需要关注"],
  ["48001", "接口未授权"], ["-1", "系统繁忙"]];
const LABELS = { ...Object.fromEntries(FAULTS), drop: "丢弃服务的答复", http_502: "HTTP 502", http_503: "HTTP 503" };

export function setFaultCount(faults) {
  const badge = document.getElementById("fault-count");
  badge.hidden = !faults.length;
  badge.textContent = faults.length;
}

export function showFaults(world) {
  const drawer = document.getElementById("drawer");
  const active = h("div", { "data-test": "active-faults" });
  const api = h("select.in", { "aria-label": "哪个接口", "data-test": "fault-api" }, h("option", { value: "*" }, "所有接口"),
    world.apis().map((name) => h("option", { value: name }, name)));
  const times = h("select.in", { "aria-label": "几次", "data-test": "fault-next" }, [["1", "下 1 次"], ["3", "下 3 次"], ["10", "下 10 次"], ["", "直到关闭"]]
    .map(([value, label]) => h("option", { value }, label)));
  const show = (faults) => {
    setFaultCount(faults);
    active.replaceChildren(...faults.map((fault) => h("div.box.on", { "data-test": "active-fault" },
      h("span", {}, h("b", {}, LABELS[fault.fault] ?? fault.fault), ` · ${fault.api === "*" ? "所有接口" : fault.api === "callback" ? "我们的回调" : fault.api} · ${fault.next ? `还有 ${fault.next} 次` : "直到关闭"}`),
      h("button.btn", { type: "button", onclick: () => send({ off: fault.id }) }, "关闭"))));
    active.style.cssText = "display:grid;gap:8px";
  };
  const send = async (body) => { try { show((await post("/api/faults", body)).faults); } catch (error) { toast(error.message, true); } };
  const next = () => (times.value ? Number(times.value) : null);
  const quick = ([fault, label]) => h("button", { type: "button", "data-test": "fault", "data-fault": fault,
    onclick: () => send({ api: api.value, fault, seconds: fault === "slow" ? 6 : 0, next: next() }) }, h("b", {}, fault), h("small", {}, label));
  open("drawer", "故障开关", heading("故障开关", "让微信这一边出错", () => drawer.close()), h("div.scroll", {}, active,
    h("div.two", {}, api, times), h("div.quick", {}, FAULTS.map(quick),
      h("button", { type: "button", "data-test": "fault", "data-fault": "drop", onclick: () => send({ api: "callback", fault: "drop", next: next() }) },
        h("b", {}, "drop"), h("small", {}, "丢弃服务的答复，逼出重试"))),
    h("button.btn", { type: "button", "data-test": "faults-off", onclick: () => send({ off: "all" }) }, "全部关闭")));
  get("/api/faults").then(({ faults }) => show(faults), (error) => toast(error.message, true));
}
