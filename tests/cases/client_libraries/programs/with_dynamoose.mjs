// An order's life by Dynamoose, with its setting `timestamps: true`.

import { setTimeout as pause } from "node:timers/promises";
import dynamoose from "dynamoose";

const schema = new dynamoose.Schema(
  {
    id: { type: String, hashKey: true },
    customer: String,
    status: { type: String, enum: ["placed", "paid", "shipped"] },
    total: Number,
    shipTo: { type: Object, schema: { street: String, city: String } },
  },
  { timestamps: true },
);
const Order = dynamoose.model(process.env.TABLE, schema, { create: false, waitForActive: false });

await Order.create({
  id: "o-1001",
  customer: "ada",
  status: "placed",
  total: 49.9,
  shipTo: { street: "Hauptstrasse 1", city: "Bern" },
});
await pause(1100);
await Order.update({ id: "o-1001" }, { status: "paid" });
await pause(1100);
const order = await Order.get("o-1001");
await order.save(); // changes nothing of the order
await pause(1100);
order.shipTo.city = "Basel";
await order.save();
await pause(1100);
await order.delete();
