// Comfort on top of pages that work without it. No page needs this file.
(() => {
  "use strict";
  document.documentElement.classList.add("scripted"); // what works with the script alone shows
  const $ = (s, r = document) => r.querySelector(s);
  const all = (s, r = document) => [...r.querySelectorAll(s)];
  const said = $("#said");
  const say = (words) => {
    if (!said) return;
    said.textContent = "";
    setTimeout(() => { said.textContent = words; }, 60);
  };

  // Passwords can be looked at; they go back to dots before they are sent, so
  // that no browser keeps them among ordinary text.
  const reveal = (button, on) => {
    const input = document.getElementById(button.getAttribute("aria-controls"));
    if (!input) return;
    input.type = on ? "text" : "password";
    button.textContent = on ? "Hide" : "Show";
  };
  const secrets = () => all("[data-show]").forEach((b) => { b.hidden = false; });

  // A form is sent once; coming back with the back button makes it new again.
  document.addEventListener("submit", (e) => {
    const form = e.target;
    all("[data-show]", form).forEach((b) => reveal(b, false));
    if (!form.matches("[data-once]")) return;
    if (form.dataset.sent) { e.preventDefault(); return; }
    form.dataset.sent = "1";
    const button = e.submitter;
    if (button) button.setAttribute("aria-disabled", "true");
    setTimeout(() => renew(form), 8000);
  });
  const renew = (form) => {
    delete form.dataset.sent;
    all("[aria-disabled]", form).forEach((b) => b.removeAttribute("aria-disabled"));
  };
  window.addEventListener("pageshow", (e) => { if (e.persisted) all("[data-sent]").forEach(renew); });

  // Copying: the words on the button change, and are said aloud.
  const copy = async (button) => {
    const from = document.getElementById(button.dataset.copy);
    if (!from) return;
    let done = false;
    try { await navigator.clipboard.writeText(from.value); done = true; } catch { /* plain http, or refused */ }
    if (!done) {
      from.focus(); from.select();
      try { done = document.execCommand("copy"); } catch { done = false; }
      button.focus();
    }
    const words = button.dataset.words || (button.dataset.words = button.textContent);
    button.textContent = done ? "Copied" : "Selected: copy it now";
    if (!done) { from.focus(); from.select(); }
    say(done ? "Copied" : "The text is selected. Copy it with the keyboard.");
    setTimeout(() => { button.textContent = words; }, 2500);
  };

  document.addEventListener("click", (e) => {
    const button = e.target.closest("[data-show], [data-copy]");
    if (button && "show" in button.dataset) {
      const input = document.getElementById(button.getAttribute("aria-controls"));
      reveal(button, input.type === "password");
      input.focus();
    } else if (button) { copy(button); }
    const carry = e.target.closest("[data-carry]");
    const typed = carry && document.getElementById(carry.dataset.carry);
    if (typed && typed.value) {
      // The address typed so far comes along, but not in the address bar.
      try { sessionStorage.setItem("typed", typed.value); } catch { /* private window */ }
    }
  });
  document.addEventListener("focusin", (e) => { if (e.target.matches("input[readonly], textarea[readonly]")) e.target.select(); });
  const carried = () => {
    const input = $("#email");
    if (!input) return;
    try {
      const typed = sessionStorage.getItem("typed");
      sessionStorage.removeItem("typed");
      if (typed && !input.value) input.value = typed;
    } catch { /* private window */ }
  };

  // The answer to a form is reloaded, and come back to, as a page of its own:
  // nothing is sent twice. The address typed into the form comes along.
  const again = () => {
    const { again: to } = document.documentElement.dataset;
    if (!to) return;
    history.replaceState(null, "", to);
    const typed = $("input[type=hidden][name=email]");
    try { if (typed) sessionStorage.setItem("typed", typed.value); } catch { /* private window */ }
  };

  // Seconds that run down.
  const countdowns = () => all("[data-countdown]").forEach((el) => {
    const end = Date.now() + 1000 * Number(el.dataset.countdown);
    const tick = () => {
      const left = Math.ceil((end - Date.now()) / 1000);
      if (left > 0) { el.textContent = left + " s"; setTimeout(tick, 250); return; }
      el.textContent = "0 s: you can go on now";
      say("You can go on now.");
    };
    tick();
  });
  const waits = () => all("button[data-wait]").forEach((b) => {
    const words = b.textContent, end = Date.now() + 1000 * Number(b.dataset.wait);
    b.disabled = true;
    const tick = () => {
      const left = Math.ceil((end - Date.now()) / 1000);
      if (left <= 0) { b.disabled = false; b.textContent = words; return; }
      b.textContent = words + " (" + left + " s)";
      setTimeout(tick, 500);
    };
    tick();
  });

  // How good a new password is, in words. The server decides; this only helps
  // while one types. Nothing leaves the page.
  const common = /^(.)\1*$|^(?:password|passwort|letmein|welcome|qwert[yz]|abc123|iloveyou|admin|summer|winter|spring|autumn)[\W\d]*$/i;
  const dull = (s) => {
    let steps = 0;
    for (let i = 1; i < s.length; i++) if (Math.abs(s.codePointAt(i) - s.codePointAt(i - 1)) <= 1) steps++;
    return s.length > 3 && (steps / (s.length - 1) > .7 || /^(.{1,4})\1+$/.test(s));
  };
  const judge = (s, least) => {
    const n = [...s.normalize("NFC")].length, kinds = new Set(s.toLowerCase()).size;
    if (!n) return [0, "Nothing typed yet"];
    if (n < least) return [1, least - n === 1 ? "1 more character" : (least - n) + " more characters"];
    if (common.test(s) || dull(s) || kinds < 5) return [1, "Long enough, but easy to guess"];
    if (n >= least + 9 && kinds > 9) return [4, "Very strong"];
    if (n >= least + 3 && kinds > 7) return [3, "Strong"];
    return [kinds > 7 ? 3 : 2, kinds > 7 ? "Good" : "Long enough; another word makes it better"];
  };
  const strength = () => all("input[data-words]").forEach((input) => {
    const out = $(`[data-words-for="${input.id}"]`);
    if (!out) return;
    const bar = document.createElement("span");
    bar.className = "words-bar"; bar.setAttribute("aria-hidden", "true");
    for (let i = 0; i < 4; i++) bar.append(document.createElement("i"));
    const text = document.createElement("span");
    text.setAttribute("role", "status");
    let later;
    const show = (wait) => {
      const [level, words] = judge(input.value, Number(input.dataset.words));
      out.dataset.level = level;
      clearTimeout(later);
      if (wait) later = setTimeout(() => { text.textContent = words; }, 180);
      else text.textContent = words;
    };
    show(false);
    out.append(bar, text);
    input.addEventListener("input", () => show(true));
  });

  // Times: in the reader's own zone, and growing older while one looks.
  const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
  const weekday = new Intl.DateTimeFormat("en-GB", { weekday: "long" });
  const dayOfYear = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long" });
  const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric" });
  const exact = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "long" });
  const midnight = (t) => new Date(t.getFullYear(), t.getMonth(), t.getDate(), 12).getTime();
  // The reader's clock may be wrong: now is the server's, and how long the page has been open.
  const opened = performance.now();
  const moment = (t, how, made) => {
    const now = new Date((Date.parse(made) || Date.now()) + performance.now() - opened);
    const n = Math.round((midnight(now) - midnight(t)) / 864e5), at = " at " + clock.format(t);
    if (how === "at") return clock.format(t) + (n ? " on " + dayOfYear.format(t) : "");
    if (n === 0) return "today" + at;
    if (n === 1) return "yesterday" + at;
    if (n === -1) return "tomorrow" + at;
    return (how ? "" : "on ") + (Math.abs(n) < 7 ? weekday : date).format(t) + at;
  };
  const times = (root) => all("time[datetime]", root).forEach((el) => {
    const t = new Date(el.dateTime);
    if (isNaN(t)) return;
    el.title = exact.format(t);
    if ("moment" in el.dataset) el.textContent = moment(t, el.dataset.moment, el.dataset.now);
    if ("clock" in el.dataset) el.textContent = clock.format(t);
  });
  const older = () => all("time[data-ago]").forEach((el) => {
    const found = /^(?:just now|(\d+) min ago)$/.exec(el.dataset.first || (el.dataset.first = el.textContent));
    if (!found) return;
    const n = Number(found[1] || 0) + Math.floor((performance.now() - Number(el.dataset.since || opened)) / 6e4);
    if (n > 0 && n < 60) el.textContent = n + " min ago";
  });
  setInterval(older, 2e4);

  // Searching while one types. The form works without it.
  const live = () => {
    const form = $("form[data-live]"), results = form && document.getElementById(form.dataset.live);
    if (!results || !window.fetch) return;
    let last = new URLSearchParams(new FormData(form)).toString(), wait, running;
    const run = async () => {
      const query = new URLSearchParams(new FormData(form));
      for (const [k, v] of [...query]) if (!v) query.delete(k);
      const now = query.toString();
      if (now === last) return;
      last = now;
      if (running) running.abort();
      const mine = running = new AbortController();
      const slow = setTimeout(() => results.setAttribute("aria-busy", "true"), 250);
      const url = form.action.split("?")[0] + (now ? "?" + now : "");
      try {
        const answer = await fetch(url, { headers: { "X-Fragment": "results" }, signal: mine.signal, credentials: "same-origin" });
        if (answer.redirected || answer.status === 401 || answer.status === 403) { location.assign(url); return; }
        if (!answer.ok) throw new Error(String(answer.status));
        const html = await answer.text();
        if (mine.signal.aborted) return;
        results.innerHTML = html;
        const since = String(performance.now());
        all("time[data-ago]", results).forEach((el) => { el.dataset.since = since; });
        times(results);
        history.replaceState(null, "", url);
        const tally = $("[data-tally]", results);
        if (tally) say(tally.dataset.tally);
      } catch (problem) {
        if (problem.name === "AbortError") return;
        last = "";
        const note = $("[data-offline]");
        if (note) note.hidden = false;
        say("The search did not get through. Press Search to try again.");
      } finally {
        clearTimeout(slow);
        if (running === mine) results.removeAttribute("aria-busy");
      }
    };
    form.addEventListener("input", () => { clearTimeout(wait); wait = setTimeout(run, 140); });
    form.addEventListener("change", run);
    form.addEventListener("submit", () => { clearTimeout(wait); if (running) running.abort(); });
  };

  // A page that is watched is fetched again when the server says that something
  // happened. What is open stays open; nothing moves under a hand at work.
  const watch = () => {
    const body = $("[data-watch]");
    if (!body || !window.EventSource) return;
    let due = false, running = false;
    const busy = () => body.contains(document.activeElement) && document.activeElement.matches("select, input, textarea");
    const open = () => all("details", body).map((d) => d.open);
    const run = async () => {
      if (!due || running || busy()) return;
      due = false; running = true;
      try {
        const answer = await fetch(location.href, { headers: { "X-Fragment": "user" }, credentials: "same-origin" });
        if (answer.ok && !answer.redirected) {
          const was = open(), html = await answer.text(), focus = document.activeElement && document.activeElement.id;
          if (busy()) { due = true; return; }
          body.innerHTML = html;
          const now = all("details", body), shift = now.length - was.length;
          // New entries come first, so what was open counts from the end.
          now.forEach((d, i) => { d.open = Boolean(was[i - shift]); });
          const since = String(performance.now());
          all("time[data-ago]", body).forEach((el) => { el.dataset.since = since; });
          times(body);
          if (focus && document.getElementById(focus)) document.getElementById(focus).focus({ preventScroll: true });
          say("Something new happened; the page is up to date.");
        }
      } catch (problem) { due = true; } finally { running = false; }
    };
    const line = new EventSource(body.dataset.watch);
    line.addEventListener("changed", () => { due = true; run(); });
    body.addEventListener("focusout", () => setTimeout(run, 50));
    addEventListener("pagehide", () => line.close());
  };

  // A field that is refused takes the focus when its line in the summary is chosen;
  // the summary itself has it when the page opens, also in older browsers.
  const summary = $("#summary");
  if (summary) setTimeout(() => { if (document.activeElement === document.body) summary.focus(); }, 200);

  // On a phone the bar of links scrolls; the page one is on should be in sight.
  const here = $(".bar-nav [aria-current]");
  if (here) here.parentElement.scrollLeft = here.offsetLeft - 40;

  secrets(); carried(); again(); countdowns(); waits(); strength(); times(document); live(); watch();
})();
