/* Opens WeChat's own page that confirms a payment. "Success" only means that the page was shown: look again. */
"use strict";
(() => {
  const note = document.querySelector("[data-note]");
  const say = (kind) => { note.textContent = note.dataset[kind]; note.hidden = false; };
  const open = (button) => {
    if (typeof WeixinJSBridge === "undefined") { say("outside"); return; }
    const asked = { mchId: button.dataset.merchant, appId: button.dataset.app, package: button.dataset.package };
    button.disabled = true;
    WeixinJSBridge.invoke("requestMerchantTransfer", asked, (answer) => {
      button.disabled = false;
      const how = (answer && answer.err_msg) || "";
      if (how.endsWith(":ok") || how.endsWith(":success")) { say("shown"); setTimeout(() => location.reload(), 4000); }
      else if (how.endsWith(":cancel")) { say("cancelled"); }
      else { say("failed"); }
    });
  };
  for (const button of document.querySelectorAll("[data-package]")) {
    button.hidden = false;
    button.addEventListener("click", () => open(button));
  }
})();
