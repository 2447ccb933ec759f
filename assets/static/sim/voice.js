// The sheet on which a person speaks: what is typed here is what WeChat recognises in the voice message.

import { post } from "./api.js";
import { h, heading, open, toast } from "./dom.js";

export function askVoice(person) {
  const close = () => document.getElementById("sheet").close();
  const heard = h("input.in", { maxlength: "1000", autofocus: true, autocomplete: "off", "aria-label": "微信识别出的文字", "data-test": "voice-heard" });
  const form = h("form.form", { onsubmit: async (event) => {
    event.preventDefault();
    try { await post("/api/voice", { openid: person.openid, heard: heard.value }); close(); } catch (error) { toast(error.message, true); }
  } }, h("label", {}, "微信识别出的文字（留空：公众号没有开通语音识别）", heard), h("button.btn.main", { type: "submit", "data-test": "voice-send" }, "发送语音"));
  open("sheet", "发语音", heading("发语音", `用${person.name}的手机`, close), form);
}
