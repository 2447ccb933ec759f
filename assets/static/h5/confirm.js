/* Opens WeChat's own page that confirms a payment. "Success" only means that the page was shown: look again.

   The page is signed for the JS-SDK first (wx.config), which tells whether this WeChat can confirm at all. Where no
   signature is to be had the button still tries: WeChat itself decides. */
"use strict";
(() => {
  const buttons = [...document.querySelectorAll("[data-package]")];
  const note = document.querySelector("[data-note]");
  const CALL = "requestMerchantTransfer";
  const PATIENCE = 3000;
  const say = (kind) => { note.textContent = note.dataset[kind]; note.hidden = false; };

  const signed = async () => {
    const here = new URL(location.href);
    const page = here.pathname.split("/")[2];
    const asked = new URLSearchParams({
      t: here.searchParams.get("t") || "", app: buttons[0].dataset.app, u: location.href.split("#")[0],
    });
    const answer = await fetch(`/me/${page}.sign?${asked}`, { cache: "no-store" });
    return answer.ok ? answer.json() : null;
  };

  /* Resolves to false only when WeChat says that it cannot. */
  const prepared = async () => {
    if (typeof wx === "undefined") { return true; }
    const config = await signed().catch(() => null);
    if (!config) { return true; }
    return new Promise((resolve) => {
      setTimeout(() => resolve(true), PATIENCE);
      wx.error(() => resolve(true));
      wx.ready(() => wx.checkJsApi({
        jsApiList: [CALL],
        success: (found) => resolve(!(found.checkResult && found.checkResult[CALL] === false)),
        fail: () => resolve(true),
      }));
      wx.config({ debug: false, jsApiList: [CALL], ...config });
    });
  };

  const open = (button) => {
    const asked = { mchId: button.dataset.merchant, appId: button.dataset.app, package: button.dataset.package };
    button.disabled = true;
    WeixinJSBridge.invoke(CALL, asked, (answer) => {
      button.disabled = false;
      const how = (answer && answer.err_msg) || "";
      if (how.endsWith(":ok") || how.endsWith(":success")) { say("shown"); setTimeout(() => location.reload(), 4000); }
      else if (how.endsWith(":cancel")) { say("cancelled"); }
      else { say("failed"); }
    });
  };

  const ready = buttons.length ? prepared() : Promise.resolve(true);
  for (const button of buttons) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const able = await ready;
      if (typeof WeixinJSBridge === "undefined") { say("outside"); }
      else if (!able) { say("old"); }
      else { open(button); }
    });
  }
})();
