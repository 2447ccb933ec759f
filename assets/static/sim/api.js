// The page's only way to the server: JSON in, JSON out, errors as the server's own Chinese message.

const ROOT = document.body.dataset.root.replace(/\/$/, "");

async function answerOf(response) {
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(body.message || `HTTP ${response.status}`);
  return body;
}

export const get = async (path) => answerOf(await fetch(ROOT + path, { headers: { Accept: "application/json" } }));

export const post = async (path, body) => answerOf(await fetch(ROOT + path, {
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
}));

export async function upload(path, fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  return answerOf(await fetch(ROOT + path, { method: "POST", body: form }));
}

export const qrUrl = (id) => `${ROOT}/wecom/qr/${encodeURIComponent(id)}.jpg`;

export const mediaUrl = (id) => `${ROOT}/api/media/${encodeURIComponent(id)}.jpg`;
