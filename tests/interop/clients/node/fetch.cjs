// Node's own fetch (undici). Its authority is NODE_EXTRA_CA_CERTS.
const { run } = require("./calls.cjs");

run(async (method, url, headers, body) => {
  const answer = await fetch(url, { method, headers, body });
  return { status: answer.status, body: await answer.text(), id: answer.headers.get("Request-Id") };
});
