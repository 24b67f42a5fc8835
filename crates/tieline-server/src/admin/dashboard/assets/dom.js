// Creates and updates elements. Everything that is shown comes from clients in part, and becomes text or a property:
// nothing on this page parses a string as markup.

export const byId = (id) => document.getElementById(id);

/** element("p", { className: "x" }, "text", child) */
export function element(tag, properties = {}, ...children) {
  const created = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || ["role", "scope", "datetime"].includes(name)) created.setAttribute(name, value);
    else created[name] = value;
  }
  created.append(...children);
  return created;
}

/** Sets the text of an element, unless it has it: what is selected or being read aloud stays. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** The child with this class, which is made if it is missing. */
export function child(parent, tag, className) {
  const present = [...parent.children].find((node) => node.classList.contains(className));
  if (present) return present;
  const made = element(tag, { className });
  parent.append(made);
  return made;
}

/** Makes the children of `parent` match `keys`, in order. What stays keeps its element, and so its focus. */
export function reconcile(parent, keys, make, update) {
  const present = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  const wanted = new Set(keys);
  for (const [key, node] of present) if (!wanted.has(key)) node.remove();
  [...wanted].forEach((key, position) => {
    const node = present.get(key) ?? make(key);
    node.dataset.key = key;
    if (parent.children[position] !== node) parent.insertBefore(node, parent.children[position] ?? null);
    update(node, key);
  });
}
