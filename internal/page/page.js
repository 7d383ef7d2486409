"use strict";

// Brings what is open on the page up to date. A task that has ended is never touched, so a clip that plays goes on playing.
(() => {
  const often = 5_000, seldom = 30_000, slowest = 120_000; // ms
  const list = document.getElementById("list");
  const said = document.getElementById("said");
  const newer = document.getElementById("newer");
  const first = list.dataset.first === "true";
  let waits = often, timer;

  // say tells it once: a screen reader reads out what changes.
  const say = (text) => { if (said.textContent !== text) said.textContent = text; };

  // local writes times as the reader's own clock tells them.
  const local = (root) => {
    for (const time of root.querySelectorAll("time")) {
      const at = new Date(time.dateTime);
      if (!Number.isNaN(at.valueOf())) time.textContent = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
    }
    return root;
  };

  const open = () => list.querySelectorAll(".task[data-live], .task[data-retried]");
  const soon = () => list.querySelector(".task[data-live]");
  const newest = (root) => root.querySelector(".task")?.id;

  const replace = (old, now) => {
    if (!now || old.isEqualNode(now)) return;
    if (old.dataset.status !== now.dataset.status) say(`${now.dataset.status}: ${now.querySelector("h3").textContent}`);
    old.replaceWith(document.adoptNode(now));
  };

  const refresh = async () => {
    const answer = await fetch(location.href, { credentials: "same-origin", cache: "no-store", redirect: "error", signal: AbortSignal.timeout(20_000) });
    if (!answer.ok && answer.status !== 401) throw new Error(`HTTP ${answer.status}`);
    const page = local(new DOMParser().parseFromString(await answer.text(), "text/html"));
    const fresh = page.getElementById("list");
    if (!fresh) {
      say("You are signed out. Load the page again to sign in.");
      return false;
    }
    if (newest(fresh) && newest(fresh) !== newest(list)) newer.hidden = false;
    for (const old of open()) replace(old, page.getElementById(old.id));
    replaceDay(page.getElementById("day"));
    return true;
  };

  const replaceDay = (now) => {
    const old = document.getElementById("day");
    if (!old.isEqualNode(now)) old.replaceWith(document.adoptNode(now));
  };

  const next = () => {
    clearTimeout(timer);
    if (open().length || first) timer = setTimeout(turn, Math.max(waits, soon() ? often : seldom));
  };

  const turn = async () => {
    clearTimeout(timer);
    if (document.hidden) return; // it goes on when somebody looks
    try {
      if (!await refresh()) return;
      if (waits > often) say("");
      waits = often;
    } catch {
      waits = Math.min(waits * 2, slowest);
      say("The server does not answer now. This page tries again by itself.");
    }
    next();
  };

  // gone says that a clip which does not play is not there any more.
  const gone = async (player) => {
    const answer = await fetch(player.src, { method: "HEAD", credentials: "same-origin", cache: "no-store" }).catch(() => null);
    if (answer?.status !== 410 || !player.isConnected) return;
    player.parentElement.querySelector("[data-gone]").hidden = false;
    player.remove();
  };

  list.addEventListener("error", (event) => { if (event.target.matches("video")) gone(event.target); }, true);
  for (const player of list.querySelectorAll("video")) if (player.error) gone(player);

  document.addEventListener("visibilitychange", () => { if (!document.hidden) turn(); });
  local(document);
  next();
})();
