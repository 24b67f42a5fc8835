// The nodes of the demo: which one served this page, and their names. A node is
// identified by the address of its page. The pages of other processes are not
// known here, so their nodes keep the address that messages name.

const meta = (name) => document.querySelector(`meta[name="${name}"]`).content;
const all = meta("tieline-nodes").split(" ").filter(Boolean);

/** The address of the node that served this page. */
export const HERE = meta("tieline-node");

/** The other nodes of the demo. */
export const ELSEWHERE = all.filter((address) => address !== HERE);

export function nodeName(address) {
  const index = all.indexOf(address);
  return index < 0 ? address : `node ${index + 1}`;
}

export function nodeNames(addresses) {
  return addresses.map(nodeName).join(", ");
}

/** The URL of a node's page, with a name for its visitor. */
export function pageOf(address, name) {
  const page = new URL("/", location.href);
  // Keeps the host that the visitor used: a node may listen on all addresses.
  page.port = address.slice(address.lastIndexOf(":") + 1);
  page.searchParams.set("name", name);
  return page.href;
}
