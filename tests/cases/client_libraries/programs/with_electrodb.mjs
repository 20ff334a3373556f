// An order's life by ElectroDB: its timestamps by `watch: "*"`, its index keys as it makes them.

import { setTimeout as pause } from "node:timers/promises";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { Entity } from "electrodb";

const Order = new Entity(
  {
    model: { service: "shop", entity: "order", version: "1" },
    attributes: {
      orderId: { type: "string", required: true },
      customer: { type: "string", required: true },
      status: { type: ["placed", "paid", "shipped"], required: true },
      total: { type: "number", required: true },
      shipTo: { type: "map", properties: { street: { type: "string" }, city: { type: "string" } } },
      createdAt: { type: "number", readOnly: true, default: () => Date.now(), set: () => Date.now() },
      updatedAt: { type: "number", watch: "*", default: () => Date.now(), set: () => Date.now() },
    },
    indexes: {
      order: { pk: { field: "pk", composite: ["orderId"] }, sk: { field: "sk", composite: [] } },
      ordersOfCustomer: {
        index: "gsi1",
        pk: { field: "gsi1pk", composite: ["customer"] },
        sk: { field: "gsi1sk", composite: ["status", "orderId"] },
      },
    },
  },
  { client: new DynamoDBClient(), table: process.env.TABLE },
);
const orderId = "o-1001";

await Order.create({
  orderId,
  customer: "ada",
  status: "placed",
  total: 49.9,
  shipTo: { street: "Hauptstrasse 1", city: "Bern" },
}).go();
await pause(1100);
await Order.patch({ orderId }).set({ status: "paid" }).go();
await pause(1100);
await Order.patch({ orderId }).set({ status: "paid" }).go(); // changes nothing of the order
await pause(1100);
await Order.patch({ orderId })
  .data(({ shipTo }, { set }) => set(shipTo.city, "Basel"))
  .go();
await pause(1100);
await Order.delete({ orderId }).go();
