// An order's life by DynamoDB-Toolbox, with the entity's name and the timestamps that it adds by default.

import { setTimeout as pause } from "node:timers/promises";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import {
  DeleteItemCommand,
  Entity,
  PutItemCommand,
  Table,
  UpdateItemCommand,
  item,
  map,
  number,
  string,
} from "dynamodb-toolbox";

const Shop = new Table({
  documentClient: DynamoDBDocumentClient.from(new DynamoDBClient()),
  name: process.env.TABLE,
  partitionKey: { name: "PK", type: "string" },
  sortKey: { name: "SK", type: "string" },
});
const Order = new Entity({
  name: "Order",
  table: Shop,
  schema: item({
    orderId: string().key(),
    customer: string(),
    status: string().enum("placed", "paid", "shipped"),
    total: number(),
    shipTo: map({ street: string(), city: string() }),
  }),
  computeKey: ({ orderId }) => ({ PK: `ORDER#${orderId}`, SK: "ORDER" }),
});
const orderId = "o-1001";

await Order.build(PutItemCommand)
  .item({
    orderId,
    customer: "ada",
    status: "placed",
    total: 49.9,
    shipTo: { street: "Hauptstrasse 1", city: "Bern" },
  })
  .send();
await pause(1100);
await Order.build(UpdateItemCommand).item({ orderId, status: "paid" }).send();
await pause(1100);
await Order.build(UpdateItemCommand).item({ orderId, status: "paid" }).send(); // changes nothing of the order
await pause(1100);
await Order.build(UpdateItemCommand)
  .item({ orderId, shipTo: { city: "Basel" } })
  .send();
await pause(1100);
await Order.build(DeleteItemCommand).key({ orderId }).send();
