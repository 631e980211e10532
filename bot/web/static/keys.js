// Keys on a task's page: j and k go to the next and the previous file, a to Approve, r to Reject, ? lists them.
// No key decides anything by itself: it moves to the form, where Enter sends it.
"use strict";
(() => {
  const files = () => Array.from(document.querySelectorAll("section.file"));
  const go = (step) => {
    const all = files();
    if (!all.length) return;
    const top = (file) => file.getBoundingClientRect().top;
    const next = step > 0 ? all.find((file) => top(file) > 70) : all.filter((file) => top(file) < 40).pop();
    const file = next || (step > 0 ? all[all.length - 1] : all[0]);
    file.scrollIntoView({ block: "start" });
    file.focus({ preventScroll: true });
  };
  const open = (id, target) => {
    const box = document.getElementById(id);
    if (!box) return;
    if (box.tagName === "DETAILS") box.open = true;
    const field = target ? box.querySelector(target) : box;
    (field || box).scrollIntoView({ block: "nearest" });
    (field || box).focus();
  };
  const keys = {
    j: () => go(1),
    k: () => go(-1),
    a: () => open("approve"),
    r: () => open("reject", "textarea"),
    c: () => open("reply", "textarea"),
    "?": () => open("keys"),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
    const action = keys[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
})();
