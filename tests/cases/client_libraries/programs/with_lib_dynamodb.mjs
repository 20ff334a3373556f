// An order's life by the AWS SDK for JavaScript v3: the order is read, changed and put whole, if its version is still
// the one that was read; `updatedAt` and the expiry `ttl` are set with each write.

import { setTimeout as pause } from "node:timers/promises";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DeleteCommand, DynamoDBDocumentClient, GetCommand, PutCommand } from "@aws-sdk/lib-dynamodb";

const client = DynamoDBDocumentClient.from(new DynamoDBClient());
const TableName = process.env.TABLE;
const Key = { id: "o-1001" };
const NINETY_DAYS = 90 * 24 * 60 * 60;

async function save(order, expected = {}) {
  const now = new Date();
  await client.send(
    new PutCommand({
      TableName,
      Item: {
        ...order,
        version: (order.version ?? 0) + 1,
        updatedAt: now.toISOString(),
        ttl: Math.floor(now / 1000) + NINETY_DAYS,
      },
      ...expected,
    }),
  );
}

async function change(apply) {
  const { Item: order } = await client.send(new GetCommand({ TableName, Key, ConsistentRead: true }));
  const read = order.version;
  apply(order);
  await save(order, { ConditionExpression: "version = :read", ExpressionAttributeValues: { ":read": read } });
}

await save({
  ...Key,
  customer: "ada",
  status: "placed",
  total: 49.9,
  shipTo: { street: "Hauptstrasse 1", city: "Bern" },
});
await pause(1100);
await change((order) => (order.status = "paid"));
await pause(1100);
await change((order) => (order.status = "paid")); // changes nothing of the order
await pause(1100);
await change((order) => (order.shipTo.city = "Basel"));
await pause(1100);
await client.send(new DeleteCommand({ TableName, Key }));
