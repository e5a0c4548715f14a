// What both Node clients share: the calls of suite.py, the answers as lines of JSON.
const readline = require("node:readline");

async function run(send) {
  let command = "";
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [call, method, path, authorised, key, body] = line.split("\t");
    const headers = {};
    if (authorised === "1") headers["Authorization"] = `Bearer ${process.env.INTEROP_KEY}`;
    if (body) headers["Content-Type"] = "application/json";
    if (key) Object.assign(headers, { "Idempotency-Key": key, Prefer: "wait=10" });
    let answer;
    try {
      answer = await send(method, process.env.INTEROP_URL + path.replace("{id}", command), headers, body || undefined);
    } catch (error) {
      answer = { status: 0, body: `${error} ${error.cause ?? ""}`, id: "" };
    }
    if (call === "command") command = answer.id;
    console.log(JSON.stringify({ call, status: answer.status, body: answer.body }));
  }
}

module.exports = { run };
