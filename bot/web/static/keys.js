// Keys on the inbox and on a task's page; `?` shows them, and the page lists them at its end.
// No key decides anything by itself: it moves to a form or a button, where Enter sends it.
"use strict";
(() => {
  const all = (selector) => Array.from(document.querySelectorAll(selector));
  const top = (element) => element.getBoundingClientRect().top;
  const step = (elements, forward) => {
    if (!elements.length) return null;
    const found = forward ? elements.find((each) => top(each) > 70) : elements.filter((each) => top(each) < 40).pop();
    return found || (forward ? elements[elements.length - 1] : elements[0]);
  };
  const goTo = (element, focused, block) => {
    element.scrollIntoView({ block });
    (focused || element).focus({ preventScroll: true });
  };
  const cards = () => all("#items article.card, article.together");
  const byOrder = (forward) => {
    const inbox = cards();
    if (inbox.length) {
      const here = inbox.findIndex((card) => card.contains(document.activeElement));
      const card = inbox[Math.min(inbox.length - 1, Math.max(0, here + (forward ? 1 : -1)))];
      goTo(card, card.querySelector("h2 a"), "nearest");
      return;
    }
    const file = step(all("section.file"), forward);
    if (file) goTo(file, null, "start");
  };
  // The first line of every block of changed lines.
  const changes = () => all(".lines tr.add, .lines tr.del, .lines tr.chg").filter((row) => {
    const before = row.previousElementSibling;
    return !before || !/\b(add|del|chg)\b/.test(before.className);
  });
  const byChange = (forward) => {
    const rows = changes();
    const here = rows.findIndex((row) => row === document.querySelector("tr.here"));
    const row = here < 0 ? step(rows, forward) : rows[here + (forward ? 1 : -1)];
    if (!row) return;
    all("tr.here").forEach((each) => { each.classList.remove("here"); each.removeAttribute("tabindex"); });
    row.classList.add("here");
    row.tabIndex = -1;
    goTo(row, null, "center");
  };
  const open = (id, target) => {
    const box = document.getElementById(id);
    if (!box) return;
    if (box.tagName === "DETAILS") box.open = true;
    const field = target ? box.querySelector(target) : box;
    (field || box).scrollIntoView({ block: "nearest" });
    (field || box).focus();
  };
  // Opens the form for a comment below its line; without scripts the same link opens a page with that form.
  const write = async (link) => {
    const row = link.closest("tr");
    const next = row.nextElementSibling;
    if (next && next.classList.contains("writing")) { next.remove(); return; }
    const answer = await fetch(link.href, { headers: { "hx-request": "true" }, credentials: "same-origin" });
    if (!answer.ok) { window.location.assign(link.href); return; }
    const table = document.createElement("table");
    table.innerHTML = await answer.text();
    const form = table.querySelector("tr");
    row.after(form);
    form.querySelector("textarea").focus();
  };
  const comment = () => {
    const at = document.activeElement.closest("section.file") || document.getElementById("diff");
    const row = document.querySelector("tr.here") || (at && at.querySelector("tr.add, tr.del, tr.chg"));
    const links = row ? row.querySelectorAll(".n a") : [];
    if (links.length) write(links[links.length - 1]);
    else open("reply", "textarea");
  };
  const tick = () => {
    const row = document.querySelector("tr.here");
    let above = row;
    while (above && !above.classList.contains("hunk")) above = above.previousElementSibling;
    const section = document.activeElement.closest("section.file");
    const part = (above || section || document.createElement("i")).querySelector("input[name=part]");
    if (part) {
      part.click();
      return;
    }
    const card = document.activeElement.closest("article.card");
    const box = card && card.querySelector("input[type=checkbox]");
    if (box) box.click();
  };
  const keys = {
    j: () => byOrder(true),
    k: () => byOrder(false),
    n: () => byChange(true),
    p: () => byChange(false),
    a: () => open("approve"),
    r: () => open("reject", "textarea"),
    c: comment,
    x: tick,
    "?": () => open("keys"),
  };
  document.addEventListener("keydown", (event) => {
    const field = event.target.closest("input:not([type=checkbox]), textarea, select");
    if (field) {
      if (event.key === "Escape") field.blur();
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && field.form) {
        event.preventDefault();
        const button = field.form.querySelector("button");
        field.form.requestSubmit(button);
      }
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const action = keys[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest(".lines .n a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    write(link);
  });
  // The checkbox of a file shows what it means for its hunks; without scripts it counts for all of them too.
  document.addEventListener("change", (event) => {
    if (!event.target.matches("section.file > header input[name=part]")) return;
    event.target.closest("section.file").querySelectorAll("tr.hunk input").forEach((box) => {
      box.checked = event.target.checked;
      box.disabled = event.target.checked;
    });
  });
  // The inbox is replaced when something happens; what was ticked stays ticked.
  const ticked = new Set();
  document.addEventListener("change", (event) => {
    if (!event.target.matches("#items input[name=t]")) return;
    if (event.target.checked) ticked.add(event.target.id);
    else ticked.delete(event.target.id);
  });
  new MutationObserver(() => {
    ticked.forEach((id) => {
      const box = document.getElementById(id);
      if (box && !box.checked) box.checked = true;
    });
  }).observe(document.documentElement, { childList: true, subtree: true });
})();
