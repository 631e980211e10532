// Keys on the queue: j and k go from job to job; with Shift they move the job, by its own buttons.
"use strict";
(() => {
  const jobs = () => Array.from(document.querySelectorAll(".line a[id]"));
  const go = (step) => {
    const all = jobs();
    if (!all.length) return;
    const at = all.indexOf(document.activeElement);
    const next = at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + step));
    all[next].focus();
  };
  const move = (to) => {
    const row = document.activeElement.closest(".line li");
    const button = row && row.querySelector(`button[value="${to}"]`);
    if (button) button.click();
  };
  const keys = { j: () => go(1), k: () => go(-1), J: () => move("down"), K: () => move("up") };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
    const action = keys[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  const moved = location.hash && document.getElementById(location.hash.slice(1));
  if (moved) moved.focus();
})();
