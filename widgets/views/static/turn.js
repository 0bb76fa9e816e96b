// Paints a turn that grows. The kernel sends each block as HTML under a key of its own (b0, b1, …)
// and only when it changed. The page is changed in place, so that a reader's folds, selection and
// scroll position stay. Clocks and countdowns run here, since the kernel may be computing.

function text(seconds) {
  if (seconds < 10) return seconds.toFixed(1) + " s";
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  return (minutes ? minutes + " min " : "") + (whole % 60) + " s";
}

// Makes the page's node `old` equal to `next`. `chosen`: nodes that a reader folded or unfolded.
function become(old, next, chosen) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== next.data) old.data = next.data;
    return;
  }
  const kept = (name) => name === "open" && chosen.has(old);
  for (const { name } of [...old.attributes])
    if (!next.hasAttribute(name) && !kept(name)) old.removeAttribute(name);
  for (const { name, value } of next.attributes)
    if (old.getAttribute(name) !== value && !kept(name)) old.setAttribute(name, value);
  if (!("since" in next.dataset || "until" in next.dataset)) children(old, next, chosen);
}

function children(old, next, chosen) {
  const wanted = [...next.childNodes];
  wanted.forEach((node, at) => {
    const present = old.childNodes[at];
    if (!present) old.append(node);
    else if (present.nodeName === node.nodeName) become(present, node, chosen);
    else present.replaceWith(node);
  });
  while (old.childNodes.length > wanted.length) old.lastChild.remove();
}

function render({ model, el }) {
  const root = document.createElement("div");
  root.className = "inkernel-turn jp-RenderedHTMLCommon";
  const [header, blocks, footer] = [0, 1, 2].map(() => document.createElement("div"));
  root.append(header, blocks, footer);
  el.replaceChildren(root);
  const painted = new Map();
  const chosen = new WeakSet();
  let ahead = Infinity;
  let revealed = null;

  const place = (key, box) => {
    const html = model.get(key) ?? "";
    if (painted.get(key) === html) return;
    painted.set(key, html);
    const growing = () => [...box.querySelectorAll("[data-stick]")];
    const left = growing().filter(
      (each) => each.scrollHeight - each.scrollTop - each.clientHeight > 8,
    );
    const next = document.createElement("template");
    next.innerHTML = html;
    children(box, next.content, chosen);
    for (const each of growing()) if (!left.includes(each)) each.scrollTop = each.scrollHeight;
  };

  const paint = () => {
    ahead = Math.min(ahead, Date.now() - model.get("now"));
    const count = model.get("count");
    while (blocks.childElementCount < count) blocks.append(document.createElement("div"));
    while (blocks.childElementCount > count) {
      blocks.lastElementChild.remove();
      painted.delete("b" + blocks.childElementCount);
    }
    place("header", header);
    [...blocks.children].forEach((box, at) => place("b" + at, box));
    place("footer", footer);
    tick();
  };

  // The page does not scroll to a question by itself, and code above it may be long.
  const reveal = () => {
    const box = root.closest(".jp-Cell")?.querySelector(".jp-Stdin-input");
    if (box && box !== revealed) box.scrollIntoView({ block: "nearest" });
    revealed = box;
  };

  const tick = () => {
    reveal();
    const now = Date.now() - ahead;
    for (const each of root.querySelectorAll("[data-since]"))
      each.textContent = text(Math.max(0, now - each.dataset.since) / 1000);
    for (const each of root.querySelectorAll("[data-until]")) {
      const left = (each.dataset.until - now) / 1000;
      each.textContent = left > 0 ? "in " + text(left) : "now";
    }
  };

  const choose = (event) => {
    const summary = event.target.closest?.("summary");
    if (summary) chosen.add(summary.parentElement);
  };

  const timer = setInterval(tick, 200);
  const stop = () => clearInterval(timer);
  root.addEventListener("click", choose);
  model.on("change", paint);
  model.on("comm_live_update", stop);
  // The end of a turn replaces the output by its final form, and then closes the widget. A page that
  // was loaded in between does not learn of the replacement, so the last state stays there.
  model.on("destroy", () => el.after(root));
  paint();
  return stop;
}

export default { render };
