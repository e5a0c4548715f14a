// openapi-fetch, with the types that openapi-typescript makes of /openapi.json: a call of ours that does not fit them does
// not compile. What the query's answer is printed from was read through them, member by member.
import { readFileSync } from "node:fs";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Schemas = components["schemas"];

const key = process.env["INTEROP_KEY"] ?? "";
const client = createClient<paths>({ baseUrl: process.env["INTEROP_URL"] ?? "" });
const withKey = { Authorization: `Bearer ${key}` };

interface Answer {
  status: number;
  body: Schemas["Problem"] | object | undefined;
  id: string;
}

async function bills(body: Schemas["BillQuery"], headers: Record<string, string>): Promise<Answer> {
  const { data, error, response } = await client.POST("/v1/bill-query", { body, headers });
  return { status: response.status, body: data === undefined ? problem(error) : outcome(data), id: idOf(response) };
}

function outcome(data: Schemas["BillQuerySucceeded"] | Schemas["Refused"]): object {
  switch (data.status) {
    case "succeeded": {
      const read = data.result.bills.map((bill) => ({ month: bill.month, kwh: bill.kwh, amount: bill.amount }));
      return { request_id: data.request_id, status: data.status, result: { account: data.result.account, bills: read } };
    }
    case "refused": {
      const { code, message } = data.refusal;
      return { request_id: data.request_id, status: data.status, refusal: { code, message } };
    }
  }
}

function problem(error: Schemas["Problem"]): object {
  const errors = (error.errors ?? []).map(({ field, message }) => ({ field, message }));
  return { status: error.status, code: error.code, request_id: error.request_id, errors };
}

async function order(body: Schemas["WorkOrder"], idempotencyKey: string): Promise<Answer> {
  const header = { "Idempotency-Key": idempotencyKey, Prefer: "wait=10" };
  const { data, error, response } = await client.POST("/v1/work-order", { body, params: { header }, headers: withKey });
  return { status: response.status, body: data ?? problem(error), id: idOf(response) };
}

async function statusOf(id: string): Promise<Answer> {
  const { data, error, response } = await client.GET("/v1/requests/{id}", { params: { path: { id } }, headers: withKey });
  return { status: response.status, body: data ?? problem(error), id: idOf(response) };
}

function idOf(response: Response): string {
  return response.headers.get("Request-Id") ?? "";
}

/** Never called: what the compiler must refuse, so that the types above are known to be there. */
export async function doesNotCompile(): Promise<void> {
  // @ts-expect-error: there is no such path
  await client.POST("/v1/bill-querry", {});
  // @ts-expect-error: a command needs its Idempotency-Key
  await client.POST("/v1/work-order", { body: {} as Schemas["WorkOrder"] });
  // @ts-expect-error: an account is text
  await client.POST("/v1/bill-query", { body: { account: 1, first_month: "2026-04", last_month: "2026-06" } });
  const { data } = await client.POST("/v1/bill-query", { body: {} as Schemas["BillQuery"] });
  // @ts-expect-error: it may have been refused
  data?.result.bills;
  // account and capacity_kw may be left out
  const least = { contact_name: "张伟", contact_phone: "13800000001", address: "人民路1号", content: "咨询" };
  const _: Schemas["WorkOrder"] = { ...least, type: "inquiry" };
  // @ts-expect-error: there is no such type of work order
  const __: Schemas["WorkOrder"] = { ...least, type: "party" };
}

async function made(call: string, idempotencyKey: string, body: string, command: string): Promise<Answer> {
  switch (call) {
    case "command":
    case "again":
      return order(JSON.parse(body) as Schemas["WorkOrder"], idempotencyKey);
    case "status":
      return statusOf(command);
    case "unauthenticated":
      return bills(JSON.parse(body) as Schemas["BillQuery"], {});
    default:
      return bills(JSON.parse(body) as Schemas["BillQuery"], withKey);
  }
}

let command = "";
for (const line of readFileSync(0, "utf8").split("\n")) {
  const [call = "", , , , idempotencyKey = "", body = ""] = line.split("\t");
  if (!call) continue;
  let answer: Answer;
  try {
    answer = await made(call, idempotencyKey, body, command);
  } catch (error) {
    answer = { status: 0, body: { error: String(error) }, id: "" };
  }
  if (call === "command") command = answer.id;
  console.log(JSON.stringify({ call, status: answer.status, body: JSON.stringify(answer.body) }));
}
