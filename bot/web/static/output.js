// Live output: its end stays in view while the reader is there, and only the newest pieces stay in the page.
"use strict";

const MOST_PIECES = 300;

for (const log of document.querySelectorAll("[data-live]")) {
  let isAtEnd = true;
  log.scrollTop = log.scrollHeight;
  log.addEventListener("scroll", () => {
    isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  });
  new MutationObserver(() => {
    while (log.children.length > MOST_PIECES) log.firstElementChild.remove();
    if (isAtEnd) log.scrollTop = log.scrollHeight;
  }).observe(log, { childList: true });
}
