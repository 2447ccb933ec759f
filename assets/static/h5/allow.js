/* Shows WeChat's own "allow" buttons once the page is signed, and says what became of a tap. What was allowed is told to
   the shop by WeChat itself, never by this page. */
"use strict";
(() => {
  const tags = [...document.querySelectorAll("wx-open-subscribe")];
  const note = document.querySelector("[data-note]");
  const say = (kind) => { note.textContent = note.dataset[kind]; note.hidden = false; };

  const signed = async () => {
    const here = new URL(location.href);
    const asked = new URLSearchParams({
      t: here.searchParams.get("t") || "", app: tags[0].dataset.app, u: location.href.split("#")[0],
    });
    const answer = await fetch(`/me/reminders.sign?${asked}`, { cache: "no-store" });
    return answer.ok ? answer.json() : null;
  };

  /* WeChat's answer: for each template a text with a status, accept or not. */
  const allowed = (event) => JSON.stringify((event.detail && event.detail.subscribeDetails) || "").includes("accept");

  const start = async () => {
    if (typeof wx === "undefined") { say("outside"); return; }
    const config = await signed().catch(() => null);
    if (!config) { say("failed"); return; }
    document.addEventListener("WeixinOpenTagsError", () => say("old"));
    wx.error(() => say("failed"));
    wx.ready(() => tags.forEach((tag) => { tag.hidden = false; }));
    for (const tag of tags) {
      tag.addEventListener("success", (event) => {
        const yes = allowed(event);
        say(yes ? "allowed" : "refused");
        if (yes) { setTimeout(() => location.reload(), 2500); }
      });
      tag.addEventListener("error", () => say("failed"));
    }
    wx.config({ debug: false, jsApiList: [], openTagList: ["wx-open-subscribe"], ...config });
  };
  if (tags.length) { start(); }
})();
