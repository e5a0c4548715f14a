// axios, with its usual handling of bodies: an object goes in, the answer's JSON is parsed.
const fs = require("node:fs");
const https = require("node:https");
const axios = require("axios");
const { run } = require("../node/calls.cjs");

const httpsAgent = process.env.INTEROP_CA
  ? new https.Agent({ ca: fs.readFileSync(process.env.INTEROP_CA), keepAlive: true })
  : undefined;

run(async (method, url, headers, body) => {
  const data = body && JSON.parse(body);
  const answer = await axios({ method, url, headers, data, httpsAgent, proxy: false, validateStatus: () => true });
  return { status: answer.status, body: JSON.stringify(answer.data), id: answer.headers["request-id"] };
});
