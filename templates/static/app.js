// Conveniences. Every page works without them.

const lang = document.documentElement.lang;

// Whoever cannot see the page hears first what was wrong.
document.getElementById("summary")?.focus();

// Show and hide passwords. A form is always sent with them hidden, so that no
// browser keeps one among its ordinary fields.
const hiders = [];
for (const button of document.querySelectorAll(".reveal")) {
  const field = document.getElementById(button.getAttribute("aria-controls"));
  const words = [[button.textContent, button.getAttribute("aria-label")],
    [button.dataset.hide, button.dataset.hideLabel]];
  const show = (shown) => {
    field.type = shown ? "text" : "password";
    button.textContent = words[+shown][0];
    button.setAttribute("aria-label", words[+shown][1]);
  };
  button.addEventListener("click", () => show(field.type === "password"));
  button.hidden = false;
  hiders.push(() => show(false));
}

// A form is sent once, however often it is asked to. After Back it may be sent
// again, and after the ten seconds in which the server answers or gives up.
const sent = new Set();
const release = () => {
  sent.clear();
  for (const b of document.querySelectorAll("[aria-disabled]")) b.removeAttribute("aria-disabled");
};
for (const form of document.querySelectorAll("form:not(.languages)")) {
  form.addEventListener("submit", (event) => {
    if (sent.has(form)) {
      event.preventDefault();
      return;
    }
    sent.add(form);
    for (const hide of hiders) hide();
    for (const b of form.querySelectorAll("[type=submit]")) b.setAttribute("aria-disabled", "true");
    setTimeout(release, 10_000);
  });
  if ("now" in form.dataset) form.requestSubmit();
}
addEventListener("pageshow", (event) => {
  if (event.persisted) release();
});

// Backup codes and keys: copied without the blanks between their groups, and
// printed. What says how to do without is not needed then.
for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break; // as over plain HTTP
  const from = document.getElementById(button.dataset.copy);
  const said = button.nextElementSibling;
  const parts = from.querySelectorAll("code");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(
      [...(parts.length ? parts : [from])].map((e) => e.textContent.replace(/\s/g, "")).join("\n"));
    said.textContent = "";
    setTimeout(() => said.textContent = said.dataset.said, 100); // said again, too
  });
  button.hidden = false;
}
for (const button of document.querySelectorAll("[data-print]")) {
  button.addEventListener("click", () => print());
  button.hidden = false;
  for (const p of document.querySelectorAll("[data-plain]")) p.hidden = true;
}

// Times, by the person's own clock.
for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  const today = at.toDateString() === new Date().toDateString();
  time.textContent = new Intl.DateTimeFormat(lang, {timeStyle: "short", ...(today ? {} : {dateStyle: "long"})}).format(at);
}

// How many minutes, in words.
const minutesLong = new Intl.NumberFormat(lang, {style: "unit", unit: "minute", unitDisplay: "long"});

// How long a lock lasts, said again every 30 seconds. The server said first
// how long is left, so a clock that is wrong here does no harm.
const timer = document.querySelector("[data-until]");
if (timer) {
  const left = parseInt(timer.textContent.replace(/\D+/g, ""), 10) * 60_000;
  const clock = new Date(timer.dataset.until) - Date.now();
  const end = performance.now() + (Math.abs(clock - left) < 90_000 ? clock : left);
  const tick = () => {
    const minutes = Math.ceil((end - performance.now()) / 60_000);
    const text = minutes > 0 ? minutesLong.format(minutes) : timer.dataset.over;
    if (timer.textContent !== text) timer.textContent = text;
    if (minutes <= 0) clearInterval(beat);
  };
  const beat = setInterval(tick, 30_000);
}

// A page that ends says so three minutes before, and every minute from then on.
// The server said how long is left, so a clock that is wrong here does no harm.
const ending = document.querySelector("[data-left]");
if (ending) {
  const end = Date.now() + ending.dataset.left * 1000;
  const said = ending.querySelector("[role=status]");
  const form = ending.querySelector("form");
  const button = form.querySelector("button");
  const tell = () => {
    const minutes = Math.ceil((end - Date.now()) / 60_000);
    if (minutes > 3) return;
    form.hidden = false;
    const over = minutes <= 0;
    const text = over ? ending.dataset.over : ending.dataset.words.replace("%s", minutesLong.format(minutes));
    if (said.textContent !== text) said.textContent = text;
    if (!over) return;
    button.textContent = button.dataset.over;
    clearInterval(beat);
  };
  const beat = setInterval(tell, 5_000);
  setTimeout(tell, 1_000); // a status that is there from the start is not heard
}

// Passkeys. Where the browser has none the page says what else works. On a page
// that asks for a name as well, the browser offers them beside it.
for (const form of document.querySelectorAll("[data-passkey]")) {
  const make = form.dataset.passkey === "create";
  const parse = make ? "parseCreationOptionsFromJSON" : "parseRequestOptionsFromJSON";
  if (!window.PublicKeyCredential?.[parse]) continue;
  const said = form.querySelector("[data-said]");
  const publicKey = () => PublicKeyCredential[parse](JSON.parse(form.dataset.options));
  let before;
  const ask = async (mediation) => {
    before?.abort();
    before = new AbortController();
    const began = performance.now();
    const options = {publicKey: publicKey(), signal: before.signal, ...(mediation && {mediation})};
    said.textContent = "";
    try {
      const got = await navigator.credentials[make ? "create" : "get"](options);
      form.elements.passkey.value = JSON.stringify(got);
      form.requestSubmit();
    } catch (e) {
      if (mediation || e.name === "AbortError") return;
      const late = performance.now() - began >= options.publicKey.timeout;
      const words = {NotAllowedError: late ? "late" : "cancelled", InvalidStateError: "known"};
      said.textContent = form.dataset[words[e.name] ?? "failed"];
    }
  };
  form.querySelector("button").addEventListener("click", () => ask());
  form.hidden = false;
  for (const p of document.querySelectorAll("[data-without]")) p.hidden = true;
  if ("beside" in form.dataset) {
    PublicKeyCredential.isConditionalMediationAvailable?.().then((can) => can && ask("conditional"));
  }
}
