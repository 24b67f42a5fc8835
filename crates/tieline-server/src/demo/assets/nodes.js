// Where this page stands: which node sent it, and what the nodes are called. A
// node goes by the address of its page; those of other processes are not known
// here, and keep whatever address they come with.

const meta = (name) => document.querySelector(`meta[name="${name}"]`).content;
const all = meta("tieline-nodes").split(" ").filter(Boolean);

/** The address of the node that this page is from. */
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

/** The page of a node, for somebody of that name. */
export function pageOf(address, name) {
  const page = new URL("/", location.href);
  // The host is the visitor's own word for it: a node may listen on all addresses.
  page.port = address.slice(address.lastIndexOf(":") + 1);
  page.searchParams.set("name", name);
  return page.href;
}
