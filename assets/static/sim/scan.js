// Looking at pictures, and holding one before somebody's camera. The server decodes the code from the pixels.

import { mediaUrl, post, upload } from "./api.js";
import { face, h, heading, icon, open, toast } from "./dom.js";

const DONE = { subscribe: "已识别，正在关注", scan: "已识别" };

function tell(answer, person, world) {
  if (answer.result === "contact") world.openStaff(person.openid, answer.chat);
  if (answer.result in DONE) toast(`${person.name}：${DONE[answer.result]}`);
  else toast(answer.message, !["url", "contact"].includes(answer.result));
}

async function scanAs(person, what, world) {
  try {
    tell(await post("/api/scan", { openid: person.openid, ...what }), person, world);
  } catch (error) { toast(error.message, true); }
}

/** The picture, full screen, with everybody who could scan it. */
export function viewPicture(imageId, world) {
  view(mediaUrl(imageId), { image_id: imageId }, world);
}

/** Any picture; ``what`` is what a scan of it sees. */
export function view(source, what, world) {
  const close = () => document.getElementById("viewer").close();
  const people = world.people().map((person, index) => h("button", { type: "button", "data-test": "scan-as", "data-name": person.name,
    onclick: () => { close(); world.show(person.openid); scanAs(person, what, world); } },
  face(person.name, { size: "small", index }), person.name));
  open("viewer", "查看图片", h("img", { src: source, alt: "图片", "data-test": "viewer-image" }),
    h("div.strip", {}, h("p", {}, icon("scan"), "扫一扫，用谁的手机？"), people,
      h("button.shut", { type: "button", "aria-label": "关闭", "data-test": "close", onclick: close }, icon("close"))));
}

/** Choose what a person's camera sees: a picture from any phone, or a file. ``act`` replaces the plain scan. */
export function askScan(person, world, { title = "扫一扫", act = null } = {}) {
  const close = () => document.getElementById("sheet").close();
  const use = (what) => { close(); if (act) act(what); else scanAs(person, what, world); };
  const file = h("input", { type: "file", accept: "image/jpeg,image/png,image/gif", hidden: true, "data-test": "scan-file",
    onchange: () => { if (file.files[0]) fromFile(person, file.files[0], world); close(); } });
  const pictures = world.pictures().slice(-12).reverse();
  const shown = pictures.length
    ? h("div.thumbs", {}, pictures.map((id) => h("button", { type: "button", "aria-label": "扫这张图片", "data-test": "scan-picture",
      "data-image": id, onclick: () => use({ image_id: id }) }, h("img", { src: mediaUrl(id), alt: "" }))))
    : h("p.empty", {}, "还没有图片。先让李姐发一句“海报”，海报上的二维码就能扫。");
  open("sheet", title, heading(title, `用${person.name}的手机`, close), h("div.form", {}, shown,
    act ? null : h("button.btn", { type: "button", onclick: () => file.click() }, "从电脑里选一张图片"), file));
}

async function fromFile(person, image, world) {
  try { tell(await upload("/api/scan-file", { openid: person.openid, image }), person, world); } catch (error) { toast(error.message, true); }
}
