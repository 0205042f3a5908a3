// Keeps a page live: fetches what changed, replaces the sections that differ, and says when it is paused
// or the sidecar is gone. Shows the values of marks to a pointer and to the arrow keys. Without this
// script the page is whole: it reloads itself, and marks carry their values as titles.
"use strict";
(() => {
  const INTERVAL_MS = 2000;
  const TIMEOUT_MS = 5000;
  const main = document.querySelector("main");
  const live = document.getElementById("live");
  const liveText = document.getElementById("live-text");
  const pause = document.getElementById("pause");
  const tip = document.getElementById("tip");
  const spoken = document.getElementById("spoken");
  const isLivePage = document.body.hasAttribute("data-live");
  let lastSeen = Date.now();
  let pointer = null;
  let marked = null;
  let isPaused = false;
  let isFetching = false;

  // <title> in SVG shows late and vanishes when a section is replaced; the same text is shown at once.
  function adoptTitles(root) {
    for (const title of root.querySelectorAll("svg title")) {
      title.parentNode.setAttribute("data-tip", title.textContent);
      title.remove();
    }
    for (const chart of root.querySelectorAll("svg[role=img]")) {
      if (!chart.querySelector("[data-tip]")) continue;
      chart.setAttribute("tabindex", "0");
      chart.setAttribute("aria-describedby", "keys");
    }
  }

  function place(text, x, y) {
    tip.textContent = text;
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const left = Math.min(x + 14, innerWidth - box.width - 8);
    const top = y + 18 + box.height > innerHeight ? y - box.height - 12 : y + 18;
    tip.style.left = Math.max(8, left) + "px";
    tip.style.top = Math.max(8, top) + "px";
  }

  function hideTip() {
    tip.hidden = true;
    if (marked) marked.classList.remove("at");
    marked = null;
  }

  function showPointed() {
    const target = pointer && document.elementFromPoint(pointer.x, pointer.y);
    const mark = target && target.closest("[data-tip]");
    if (mark) place(mark.getAttribute("data-tip"), pointer.x, pointer.y);
    else if (!marked) tip.hidden = true;
  }

  // Marks as places on the screen: the arrow keys go to the nearest one that way.
  function step(chart, key) {
    const marks = [...chart.querySelectorAll("[data-tip]")].map((mark) => {
      const box = mark.getBoundingClientRect();
      return { mark, x: box.left + box.width / 2, y: box.top + box.height / 2 };
    });
    if (key === "Home") return marks[0];
    if (key === "End" || !marked || !chart.contains(marked)) return marks[marks.length - 1];
    const here = marks.find((one) => one.mark === marked);
    const sideways = key === "ArrowLeft" || key === "ArrowRight";
    const sign = key === "ArrowLeft" || key === "ArrowUp" ? -1 : 1;
    const ahead = (one) => sign * (sideways ? one.x - here.x : one.y - here.y);
    const aside = (one) => Math.abs(sideways ? one.y - here.y : one.x - here.x);
    const candidates = marks.filter((one) => ahead(one) > 0.5 && (sideways || aside(one) < 1));
    candidates.sort((a, b) => ahead(a) - ahead(b) || aside(a) - aside(b));
    return candidates[0] || here;
  }

  function onKey(event) {
    const chart = event.target.closest && event.target.closest("svg[tabindex]");
    if (event.key === "Escape") return hideTip();
    if (!chart || !/^(Arrow(Left|Right|Up|Down)|Home|End)$/.test(event.key)) return;
    event.preventDefault();
    const found = step(chart, event.key);
    if (!found) return;
    hideTip();
    marked = found.mark;
    marked.classList.add("at");
    place(marked.getAttribute("data-tip"), found.x, found.y);
    spoken.textContent = marked.getAttribute("data-tip").replaceAll("\n", ", ");
  }

  function openDetails(root) {
    return new Set([...root.querySelectorAll("details[id][open]")].map((details) => details.id));
  }

  // Somebody marks text, types, or goes through a chart there: that section waits.
  function isInUse(section) {
    const selection = getSelection();
    const selects = selection && !selection.isCollapsed && selection.rangeCount > 0
      && selection.getRangeAt(0).intersectsNode(section);
    const active = document.activeElement;
    const types = active && section.contains(active) && active.matches("input, select, textarea");
    return selects || types || (marked && section.contains(marked));
  }

  function focusPath() {
    const active = document.activeElement;
    if (!active || !main.contains(active)) return null;
    if (active.id) return () => document.getElementById(active.id);
    const section = active.closest("main > [id]");
    if (!section) return null;
    const all = [...section.querySelectorAll("a, summary, button, [tabindex]")];
    const [id, index] = [section.id, all.indexOf(active)];
    return () => {
      const now = document.getElementById(id);
      return now && [...now.querySelectorAll("a, summary, button, [tabindex]")][index];
    };
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
    const focused = focusPath();
    const scrolls = [...main.querySelectorAll(".scroll[id]")].map((box) => [box.id, box.scrollLeft]);
    const current = new Map([...main.children].map((section) => [section.id, section]));
    const result = sections.map((section) => {
      const old = current.get(section.id);
      return old && (isInUse(old) || old.isEqualNode(section)) ? old : document.adoptNode(section);
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
    const element = focused && focused();
    if (element && element !== document.activeElement) element.focus({ preventScroll: true });
    showPointed();
  }

  function say(state, text) {
    live.dataset.state = state;
    if (liveText.textContent !== text) liveText.textContent = text;
    document.body.classList.toggle("lost", state === "lost");
  }

  async function refresh() {
    if (isFetching) return;
    isFetching = true;
    try {
      const response = await fetch(location.href, {
        headers: { "x-taffrail-fragment": "1" },
        signal: AbortSignal.timeout(TIMEOUT_MS),
        cache: "no-store",
      });
      if (!response.ok) throw new Error("status " + response.status);
      const text = await response.text();
      lastSeen = Date.now();
      if (isPaused) return;
      replace(text);
      say("live", "Live");
    } catch {
      const seconds = Math.round((Date.now() - lastSeen) / 1000);
      if (!isPaused) say("lost", "Not reachable: figures are " + seconds + " s old");
    } finally {
      isFetching = false;
    }
  }

  async function loop() {
    const started = performance.now();
    if (!document.hidden && !isPaused) await refresh();
    // A page that takes long is asked for less often: never more than a fifth of the time.
    setTimeout(loop, Math.max(INTERVAL_MS, 4 * (performance.now() - started)));
  }

  document.addEventListener("pointermove", (event) => {
    pointer = { x: event.clientX, y: event.clientY };
    if (marked) hideTip();
    showPointed();
  });
  document.addEventListener("pointerleave", () => { pointer = null; hideTip(); });
  document.addEventListener("keydown", onKey);
  document.addEventListener("focusout", hideTip);
  const keys = document.createElement("div");
  keys.id = "keys";
  keys.hidden = true;
  keys.textContent = "Arrow keys read the values.";
  document.body.append(keys);
  adoptTitles(main);
  if (!isLivePage) return;
  document.addEventListener("visibilitychange", () => { if (!document.hidden && !isPaused) refresh(); });
  pause.hidden = false;
  pause.addEventListener("click", () => {
    isPaused = !isPaused;
    pause.textContent = isPaused ? "Go on" : "Pause";
    if (isPaused) say("paused", "Paused");
    else refresh();
  });
  say("live", "Live");
  setTimeout(loop, INTERVAL_MS);
})();
