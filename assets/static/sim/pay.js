// The drawer of WeChat Pay: the merchant's money, the bills with their notifications, and what may go wrong.

import { get, post } from "./api.js";
import { fen, h, heading, open, toast, yuan } from "./dom.js";
import { setFaultCount } from "./faults.js";

const STATES = { ACCEPTED: "已受理", PROCESSING: "待商户充值", WAIT_USER_CONFIRM: "待用户确认", TRANSFERING: "转账中", SUCCESS: "已到账", FAIL: "已失败",
  CANCELING: "撤销中", CANCELLED: "已撤销" };
const SENT = { done: "已送达", sending: "待送达", gone: "放弃" };
const FAULTS = [["transfer", "lost", "发起转账：办成了，答复丢失"], ["transfer", "500_after", "发起转账：办成了，却答 500"], ["transfer", "slow", "发起转账：慢 6 秒"],
  ["transfer", "429", "发起转账：频率超限"], ["transfer", "unsigned", "发起转账：答复没有签名"], ["query", "500", "查询：系统错误"],
  ["notify", "never", "通知：永远不来"], ["notify", "late", "通知：迟 5 分钟"], ["notify", "five", "通知：一次来 5 遍"], ["notify", "wrong_amount", "通知：金额多 1 分"],
  ["notify", "probe", "通知：先来一次验签探测"]];

export function showPay() {
  const drawer = document.getElementById("drawer");
  const list = h("div.scroll", { "data-test": "pay" });
  open("drawer", "微信支付", heading("微信支付", "商户平台与转账单", () => drawer.close()), list);
  const refresh = async () => {
    try {
      const { merchants, faults } = await get("/api/pay");
      setFaultCount(faults);
      list.replaceChildren(...merchants.flatMap((merchant) => [account(merchant, act), switches(faults, act),
        ...(merchant.bills.length ? merchant.bills.map((bill) => card(merchant, bill, act)) : [h("p.empty", {}, "还没有转账单。在聊天里发「提现」试试。")])]));
    } catch (error) { toast(error.message, true); }
  };
  const act = async (path, body) => {
    try { await post(path, body); } catch (error) { toast(error.message, true); }
    await refresh();
    setTimeout(refresh, 700);
  };
  refresh();
}

function account(merchant, act) {
  const amount = h("input.in", { inputmode: "decimal", value: "1000.00", "aria-label": "充值金额（元）", "data-test": "top-up-amount" });
  const topUp = () => {
    const typed = fen(amount.value);
    if (typed === null) toast("充值金额不对", true); else act("/api/pay/top-up", { mch_id: merchant.mch_id, fen: typed });
  };
  return h("article.box.order", {}, h("header", {}, h("h3", {}, `商户号 ${merchant.mch_id}`), h("span.chip", { "data-test": "balance" }, `运营账户 ¥${yuan(merchant.balance_fen)}`)),
    h("div.acts", {}, amount, h("button.btn.soft", { type: "button", "data-test": "top-up", onclick: topUp }, "充值"),
      h("button.btn", { type: "button", "data-test": "empty", onclick: () => act("/api/pay/empty", { mch_id: merchant.mch_id }) }, "清空余额")));
}

function switches(faults, act) {
  const active = faults.filter((fault) => fault.api.startsWith("pay/"));
  return h("details.box", { "data-test": "pay-faults" }, h("summary", {}, `让微信支付出错${active.length ? `（${active.length} 个在等）` : ""}`),
    active.map((fault) => h("div.on", {}, h("span", {}, `${label(fault)} · 还有 ${fault.next ?? "∞"} 次`),
      h("button.btn", { type: "button", onclick: () => act("/api/faults", { off: fault.id }) }, "关闭"))),
    h("div.quick", {}, FAULTS.map(([api, fault, text]) => h("button", { type: "button", "data-test": "pay-fault", "data-fault": `${api}:${fault}`,
      onclick: () => act("/api/faults", { api: `pay/${api}`, fault, seconds: fault === "slow" ? 6 : 0, next: 1 }) }, h("small", {}, text)))));
}

const label = (fault) => FAULTS.find(([api, kind]) => `pay/${api}` === fault.api && kind === fault.fault)?.[2] ?? `${fault.api} ${fault.fault}`;

function card(merchant, bill, act) {
  const key = { mch_id: merchant.mch_id, out_bill_no: bill.out_bill_no };
  const ended = ["SUCCESS", "FAIL", "CANCELLED"].includes(bill.state);
  return h("article.box.order", { "data-test": "pay-bill", "data-bill": bill.out_bill_no },
    h("header", {}, h("h3", {}, `${bill.name} · ¥${yuan(bill.amount_fen)}`), h(`span.chip${ended ? "" : ".on"}`, { "data-test": "bill-state" }, STATES[bill.state] ?? bill.state)),
    h("div.no", {}, bill.out_bill_no), h("div.sum", {}, h("span", {}, bill.remark), bill.fail_reason ? h("span.bad", {}, bill.fail_reason) : null),
    h("div.acts", {}, h("button.btn", { type: "button", disabled: !ended, "data-test": "notify-again", onclick: () => act("/api/pay/notify", key) }, "再通知一次"),
      h("button.btn", { type: "button", disabled: bill.state !== "WAIT_USER_CONFIRM", "data-test": "bill-fail", onclick: () => act("/api/pay/fail", key) }, "判为失败")),
    bill.notices.length ? h("ol", {}, bill.notices.map((one) => h("li", {}, h(`span.mark.${one.state === "gone" ? "failed" : one.state}`),
      h("code", {}, `通知 ${one.told}`), h("span", {}, `${SENT[one.state]}${one.tries > 1 ? `（${one.tries} 次）` : ""}${one.status ? ` · HTTP ${one.status}` : ""}`)))) : null);
}
