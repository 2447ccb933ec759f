// The poster that a web developer would make: satori lays out a tree of boxes as SVG, resvg draws it, PNG comes out.
// For every line read it makes one and says how many milliseconds it took. Arguments: the font, the backdrop, the
// photo, the face and the ready-made QR (files).
import fs from "node:fs";
import satori from "satori";
import { Resvg } from "@resvg/resvg-js";
const [font, backdrop, photo, face, qr] = process.argv.slice(2, 7).map((p) => fs.readFileSync(p));
const uri = (kind, data) => `data:image/${kind};base64,${data.toString("base64")}`;
const el = (style, children) => ({ type: "div", props: { style: { display: "flex", ...style }, children } });
const at = (left, top, more = {}) => ({ position: "absolute", left, top, ...more });
const img = (src, left, top, width, height, more = {}) => ({ type: "img", props: { src, width, height, style: at(left, top, { width, height, ...more }) } });
const fonts = [{ name: "Serif", data: font, weight: 400, style: "normal" }];
async function draw(n) {
  const tree = el({ width: 1080, height: 1920, fontFamily: "Serif" }, [
    img(uri("jpeg", backdrop), 0, 0, 1080, 1920), img(uri("jpeg", photo), 80, 80, 920, 920),
    el(at(40, 1436, { width: 1000, height: 444, borderRadius: 44, backgroundColor: "#ffffff" }), ""),
    el(at(84, 1032, { fontSize: 60, color: "#222222" }), `有机五常大米 稻花香${n}号 5kg`),
    el(at(84, 1160, { fontSize: 104, color: "#d6331f" }), "¥68.0"),
    el(at(84, 1322, { fontSize: 30 }), "产地直发  现磨现发  48小时内发货"),
    el(at(84, 1640, { fontSize: 42 }), "来自@李姐的推荐"), el(at(84, 1752, { fontSize: 28 }), "有效期至 2026-12-22"),
    el(at(84, 40, { fontSize: 38 }), "李记有机"),
    img(uri("jpeg", face), 84, 1478, 136, 136, { borderRadius: 68 }), img(uri("png", qr), 660, 1468, 336, 336),
  ]);
  const svg = await satori(tree, { width: 1080, height: 1920, fonts });
  return new Resvg(svg, { font: { loadSystemFonts: false } }).render().asPng();
}
console.log("loaded");
let n = 0;
process.stdin.setEncoding("utf8");
for await (const line of process.stdin) {
  for (const _ of line.trim().split("\n")) {
    const begun = performance.now();
    const made = await draw(n++);
    console.log(performance.now() - begun);
    if (!made.length) throw new Error("nothing was drawn");
  }
}
