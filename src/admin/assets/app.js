// Keeps the page live: fetches what changed, replaces the sections that differ, and says when the
// sidecar is gone. Without this script the page reloads itself.
"use strict";
(() => {
  const INTERVAL_MS = 2000;
  const TIMEOUT_MS = 5000;
  const main = document.querySelector("main");
  const live = document.getElementById("live");
  const liveText = document.getElementById("live-text");
  const tip = document.getElementById("tip");
  let lastSeen = Date.now();
  let pointer = null;

  // <title> in SVG shows late and vanishes when a section is replaced; the same text is shown at once.
  function adoptTitles(root) {
    for (const title of root.querySelectorAll("svg title")) {
      title.parentNode.setAttribute("data-tip", title.textContent);
      title.remove();
    }
  }

  function showTip() {
    const target = pointer && document.elementFromPoint(pointer.x, pointer.y);
    const marked = target && target.closest("[data-tip]");
    tip.hidden = !marked;
    if (!marked) return;
    tip.textContent = marked.getAttribute("data-tip");
    const box = tip.getBoundingClientRect();
    const left = Math.min(pointer.x + 14, innerWidth - box.width - 8);
    const top = pointer.y + 18 + box.height > innerHeight ? pointer.y - box.height - 12 : pointer.y + 18;
    tip.style.left = Math.max(8, left) + "px";
    tip.style.top = Math.max(8, top) + "px";
  }

  function openDetails(root) {
    return new Set([...root.querySelectorAll("details[id][open]")].map((details) => details.id));
  }

  function replace(html) {
    const next = new DOMParser().parseFromString("<main>" + html + "</main>", "text/html");
    adoptTitles(next);
    const sections = [...next.querySelector("main").children];
    const open = openDetails(main);
    const shown = new Set([...main.querySelectorAll("details[id]")].map((details) => details.id));
    for (const details of next.querySelectorAll("details[id]")) {
      if (shown.has(details.id)) details.open = open.has(details.id);
    }
    const focused = document.activeElement && document.activeElement.id;
    const scrolls = [...main.querySelectorAll(".scroll[id]")].map((box) => [box.id, box.scrollLeft]);
    const current = new Map([...main.children].map((section) => [section.id, section]));
    const result = sections.map((section) => {
      const old = current.get(section.id);
      return old && old.isEqualNode(section) ? old : document.adoptNode(section);
    });
    result.forEach((section, index) => {
      const standing = main.children[index];
      if (standing === section) return;
      if (standing && standing.id === section.id) standing.replaceWith(section);
      else main.insertBefore(section, standing || null);
    });
    while (main.children.length > result.length) main.lastElementChild.remove();
    for (const [id, left] of scrolls) {
      const box = document.getElementById(id);
      if (box) box.scrollLeft = left;
    }
    if (focused) {
      const element = document.getElementById(focused);
      if (element && element !== document.activeElement) element.focus({ preventScroll: true });
    }
    showTip();
  }

  function say(state, text) {
    live.dataset.state = state;
    if (liveText.textContent !== text) liveText.textContent = text;
    document.body.classList.toggle("lost", state === "lost");
  }

  async function refresh() {
    try {
      const response = await fetch("fragment", { signal: AbortSignal.timeout(TIMEOUT_MS), cache: "no-store" });
      if (!response.ok) throw new Error("status " + response.status);
      replace(await response.text());
      lastSeen = Date.now();
      say("live", "Live");
    } catch {
      const seconds = Math.round((Date.now() - lastSeen) / 1000);
      say("lost", "Connection lost: figures are " + seconds + " s old");
    }
  }

  async function loop() {
    if (!document.hidden) await refresh();
    setTimeout(loop, INTERVAL_MS);
  }

  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  document.addEventListener("pointermove", (event) => {
    pointer = { x: event.clientX, y: event.clientY };
    showTip();
  });
  document.addEventListener("pointerleave", () => { pointer = null; tip.hidden = true; });
  adoptTitles(main);
  say("live", "Live");
  setTimeout(loop, INTERVAL_MS);
})();
