"""Shopify: customers, orders, checkouts and carts as they change; the topic is in a header."""

from include.connect.signatures import HmacSignature
from include.connect.webhook import Webhook

WEBHOOK = Webhook(
    "shopify_events",
    HmacSignature("x-shopify-hmac-sha256", encoding="base64"),
    event_id=("outside.x-shopify-webhook-id",),
    timestamp="outside.x-shopify-triggered-at",
    headers=("x-shopify-topic", "x-shopify-shop-domain", "x-shopify-webhook-id", "x-shopify-triggered-at"),
    description="Customers, orders, checkouts and carts as they change, with their topic",
)
