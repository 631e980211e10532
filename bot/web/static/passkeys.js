// Forms with data-passkey are sent with what the browser's authenticator answers to the options at data-options:
// "create" makes a passkey, "get" signs with one. Without JavaScript such forms stay hidden or say so.
"use strict";
(() => {
  const bytes = (text) => {
    const padded = text.replace(/-/g, "+").replace(/_/g, "/").padEnd(Math.ceil(text.length / 4) * 4, "=");
    return Uint8Array.from(atob(padded), (letter) => letter.charCodeAt(0));
  };
  const text = (buffer) => {
    const letters = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
    return btoa(letters).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  };
  const listed = (list) => (list || []).map((one) => ({ ...one, id: bytes(one.id) }));

  const readable = (options) => {
    const read = { ...options, challenge: bytes(options.challenge) };
    if (options.user) read.user = { ...options.user, id: bytes(options.user.id) };
    if (options.excludeCredentials) read.excludeCredentials = listed(options.excludeCredentials);
    if (options.allowCredentials) read.allowCredentials = listed(options.allowCredentials);
    return read;
  };
  const written = (credential) => {
    const response = {};
    for (const key of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (credential.response[key]) response[key] = text(credential.response[key]);
    }
    return JSON.stringify({ id: credential.id, rawId: text(credential.rawId), type: credential.type, response });
  };

  const answer = async (form) => {
    const response = await fetch(form.dataset.options, { method: "POST", body: new URLSearchParams(new FormData(form)) });
    const told = await response.json().catch(() => ({ problem: "Your session has changed. Open this page again." }));
    if (told.problem) throw new Error(told.problem);
    const publicKey = readable(told.publicKey);
    const credential = await navigator.credentials[form.dataset.passkey]({ publicKey });
    form.elements.credential.value = written(credential);
  };

  const prepare = (form) => {
    const problem = form.querySelector("[data-problem]");
    const button = form.querySelector("button");
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      problem.textContent = "";
      button.disabled = true;
      try {
        await answer(form);
        form.submit();
      } catch (error) {
        const isCancelled = error.name === "NotAllowedError";
        problem.textContent = isCancelled ? "No passkey was used. Try again." : error.message;
        button.disabled = false;
      }
    });
  };

  if (!window.PublicKeyCredential) return;
  document.querySelectorAll("form[data-passkey]").forEach(prepare);
})();
