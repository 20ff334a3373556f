"""An order's life by PynamoDB, with its VersionAttribute for optimistic locking, and a TTLAttribute."""

import os
import time
from datetime import timedelta

from pynamodb.attributes import MapAttribute, NumberAttribute, TTLAttribute, UnicodeAttribute, VersionAttribute
from pynamodb.models import Model


class Address(MapAttribute):
    street = UnicodeAttribute()
    city = UnicodeAttribute()


class Order(Model):
    class Meta:
        table_name = os.environ["TABLE"]
        host = os.environ["AWS_ENDPOINT_URL"]
        region = os.environ["AWS_REGION"]

    id = UnicodeAttribute(hash_key=True)
    customer = UnicodeAttribute()
    status = UnicodeAttribute()
    total = NumberAttribute()
    ship_to = Address()
    expires = TTLAttribute(default_for_new=timedelta(days=90))
    version = VersionAttribute()


order = Order(
    "o-1001",
    customer="ada",
    status="placed",
    total=49.9,
    ship_to=Address(street="Hauptstrasse 1", city="Bern"),
)
order.save()
time.sleep(1.1)
order.update(actions=[Order.status.set("paid")])
time.sleep(1.1)
order.save()  # changes nothing of the order
time.sleep(1.1)
order.update(actions=[Order.ship_to.city.set("Basel")])
time.sleep(1.1)
order.delete()
