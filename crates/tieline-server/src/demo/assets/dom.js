// Creates elements from plain values. Data only becomes text or a property:
// nothing on this page parses a string as markup.

export const byId = (id) => document.getElementById(id);

/** element("p", {className: "x", dataset: {state: "y"}}, "text", child) */
export function element(tag, properties = {}, ...children) {
  const { dataset = {}, ...rest } = properties;
  const created = document.createElement(tag);
  for (const [name, value] of Object.entries(rest)) {
    if (name.includes("-") || name === "role") created.setAttribute(name, value);
    else created[name] = value;
  }
  Object.assign(created.dataset, dataset);
  created.append(...children.filter((child) => child !== null));
  return created;
}

/** A colored disc with initials. Hidden from screen readers, as the name is next to it. */
export function avatar(name) {
  const disc = element("span", { className: "avatar", "aria-hidden": "true" }, initials(name));
  disc.style.setProperty("--hue", hue(name));
  return disc;
}

/** A disc with a glyph, which is a template in index.html. */
export function glyph(id) {
  const disc = element("span", { className: "avatar glyph", "aria-hidden": "true" });
  disc.append(byId(id).content.cloneNode(true));
  return disc;
}

/**
 * Makes the items of `list` match `keys`, in order. An item that stays keeps its
 * element, so that focus and scroll position survive.
 */
export function reconcile(list, keys, make, update) {
  const present = new Map([...list.children].map((item) => [item.dataset.key, item]));
  const wanted = new Set(keys);
  for (const [key, item] of present) if (!wanted.has(key)) item.remove();
  keys.forEach((key, position) => {
    const item = present.get(key) ?? make(key);
    item.dataset.key = key;
    if (list.children[position] !== item) list.insertBefore(item, list.children[position] ?? null);
    update(item, key);
  });
}

function initials(name) {
  const words = name.split(/[\s._@-]+/u).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words[1]].map((word) => [...word][0]) : [...name].slice(0, 2);
  return letters.join("").toLocaleUpperCase();
}

/** FNV-1a, which spreads similar names ("user1", "user2") over the color circle. */
function hue(name) {
  let hash = 0x811c9dc5;
  for (const unit of new TextEncoder().encode(name)) hash = Math.imul(hash ^ unit, 0x01000193);
  return (hash >>> 0) % 360;
}
