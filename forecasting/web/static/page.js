// What the pages do beyond links and forms. Every text comes from the server, in the reader's language.
(() => {
  "use strict";
  const base = document.body.dataset.base;
  const said = document.getElementById("said");

  function tell(text, bad) {
    said.textContent = text;
    said.classList.toggle("bad", Boolean(bad));
    said.hidden = false;
    clearTimeout(tell.timer);
    tell.timer = setTimeout(() => { said.hidden = true; }, bad ? 12000 : 5000);
  }

  async function send(address, content) {
    const answer = await fetch(address, {
      method: "POST", credentials: "same-origin", body: JSON.stringify(content),
      headers: { "Content-Type": "application/json", Accept: "application/json" },
    });
    const body = await answer.json().catch(() => ({}));
    if (!answer.ok) {
      const detail = Array.isArray(body.detail) ? body.detail.map((one) => one.msg).join("; ") : body.detail;
      throw new Error(detail || `HTTP ${answer.status}`);
    }
    return body;
  }

  // Airflow shows this page in a frame that may not steer the window; a link in Airflow's own document may.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-airflow]");
    if (!link || window.parent === window || event.ctrlKey || event.metaKey) return;
    try {
      const outside = window.parent.document.createElement("a");
      outside.href = link.href;
      window.parent.document.body.append(outside);
      event.preventDefault();
      outside.click();
      outside.remove();
    } catch { /* another origin: the link opens in the frame */ }
  });

  document.querySelectorAll("[data-submit]").forEach((field) => {
    field.addEventListener("change", () => field.form.requestSubmit());
  });
  document.querySelectorAll("form[method=get]").forEach((form) => {
    form.addEventListener("submit", () => {
      form.querySelectorAll("input, select").forEach((field) => { if (!field.value) field.disabled = true; });
    });
  });

  document.querySelectorAll("[data-mark]").forEach((button) => {
    button.addEventListener("click", async () => {
      const row = button.closest("[data-series]");
      button.disabled = true;
      try {
        await send(`${base}/api/exceptions`, { unique_id: row.dataset.series, state: button.dataset.mark });
        sessionStorage.setItem("focus", row.dataset.series);
        location.reload();
      } catch (error) {
        button.disabled = false;
        tell(error.message, true);
      }
    });
  });
  const back = sessionStorage.getItem("focus");
  if (back) {
    sessionStorage.removeItem("focus");
    document.querySelector(`[data-series="${CSS.escape(back)}"] a`)?.focus();
  }

  // Starts a DAG through Airflow's own API, with the rights of whoever is logged in.
  document.querySelectorAll("form[data-trigger]").forEach((form) => {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const button = form.querySelector("button");
      button.disabled = true;
      try {
        await send(form.dataset.trigger, { logical_date: null, conf: Object.fromEntries(new FormData(form)) });
        tell(form.dataset.done);
        form.reset();
      } catch (error) {
        tell(error.message, true);
      }
      button.disabled = false;
    });
  });

  // Changes of plans: JSON to our own API, then the page again.
  function content_of(form) {
    const content = {};
    for (const [name, value] of new FormData(form)) {
      if (value !== "") content[name] = form.elements[name].type === "number" ? Number(value) : value;
    }
    return content;
  }
  document.querySelectorAll("form[data-send]").forEach((form) => {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const button = form.querySelector("button");
      const content = content_of(form);
      button.disabled = true;
      try {
        await send(form.dataset.send, content);
        sessionStorage.setItem("told", form.dataset.done || "");
        location.assign(form.dataset.then || location.href);
      } catch (error) {
        button.disabled = false;
        tell(error.message, true);
      }
    });
  });
  const number = new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 1 });
  document.querySelectorAll("[data-look]").forEach((button) => {
    button.addEventListener("click", async () => {
      const form = button.form;
      if (!form.reportValidity()) return;
      button.disabled = true;
      try {
        const found = await send(form.dataset.preview, content_of(form));
        document.getElementById("preview").textContent = form.dataset.told.replace(/\{(\w+)\}/g, (_all, name) => number.format(found[name]));
      } catch (error) {
        tell(error.message, true);
      }
      button.disabled = false;
    });
  });
  // The total has one name only.
  const level = document.querySelector("#override [name=level]");
  level?.addEventListener("change", () => { if (level.value === "total") level.form.elements.name.value = "all"; });
  const told = sessionStorage.getItem("told");
  if (told) {
    sessionStorage.removeItem("told");
    tell(told);
  }
})();
