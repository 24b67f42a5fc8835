// What the page runs: the client of the package, and nothing of ours.

export { WebPubSubClient } from "@azure/web-pubsub-client";
