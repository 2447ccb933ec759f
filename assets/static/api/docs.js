// The signature playground and the code tabs. No library, no request but the one the reader sends.
"use strict";

const form = document.getElementById("play");
const field = (name) => form.elements[name];
const utf8 = new TextEncoder();

function decodeSecret(secret) {
  const plain = atob(secret.trim().replace(/^whsec_/, ""));
  return Uint8Array.from(plain, (character) => character.charCodeAt(0));
}

async function sign() {
  const key = await crypto.subtle.importKey(
    "raw", decodeSecret(field("secret").value), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const content = `${field("id").value}.${field("timestamp").value}.${field("body").value}`;
  const mac = new Uint8Array(await crypto.subtle.sign("HMAC", key, utf8.encode(content)));
  return "v1," + btoa(String.fromCharCode(...mac));
}

async function refresh() {
  if (!window.crypto || !crypto.subtle) {
    field("signature").value = "needs https or localhost";
    return;
  }
  try {
    field("signature").value = await sign();
  } catch {
    field("signature").value = "the secret is not whsec_ and base64";
  }
}

const now = () => { field("timestamp").value = String(Math.floor(Date.now() / 1000)); };
const address = () => `${location.origin}/api/v1/events/${encodeURIComponent(field("source").value)}`;
const headers = () => ({
  "Content-Type": "application/json", "webhook-id": field("id").value,
  "webhook-timestamp": field("timestamp").value, "webhook-signature": field("signature").value,
});
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function showExample() {
  field("body").value = document.querySelector(`[data-example="${field("kind").value}"]`).textContent;
}

function curl() {
  const lines = Object.entries(headers()).map(([name, value]) => `  -H ${quoted(`${name}: ${value}`)}`);
  return [`curl ${quoted(address())}`, ...lines, `  --data-raw ${quoted(field("body").value)}`].join(" \\\n");
}

async function send(event) {
  event.preventDefault();
  await refresh();
  try {
    const answer = await fetch(address(), { method: "POST", headers: headers(), body: field("body").value });
    field("said").value = `${answer.status} ${await answer.text()}`;
  } catch (fault) {
    field("said").value = String(fault);
  }
}

function makeTabs(box) {
  const panes = [...box.querySelectorAll("[data-tab]")];
  const list = document.createElement("div");
  list.setAttribute("role", "tablist");
  const buttons = panes.map((pane) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = pane.dataset.tab;
    button.setAttribute("role", "tab");
    button.addEventListener("click", () => show(pane));
    list.append(button);
    return button;
  });
  function show(chosen) {
    panes.forEach((pane, n) => {
      pane.hidden = pane !== chosen;
      buttons[n].setAttribute("aria-selected", String(pane === chosen));
    });
  }
  box.prepend(list);
  show(panes[0]);
}

document.querySelectorAll("[data-tabs]").forEach(makeTabs);
now();
showExample();
refresh();
form.addEventListener("input", (event) => {
  if (event.target === field("kind")) showExample();
  refresh();
});
form.addEventListener("submit", send);
form.querySelector("[data-now]").addEventListener("click", () => { now(); refresh(); });
form.querySelector("[data-copy]").addEventListener("click", async () => {
  await refresh();
  try {
    await navigator.clipboard.writeText(curl());
    field("said").value = "copied";
  } catch {
    field("said").value = curl();
  }
});
