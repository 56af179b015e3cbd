// Light or dark as Airflow itself is set (it keeps the choice under "theme"), else as the system is. Runs before the page is drawn.
(() => {
  let choice = null;
  try { choice = localStorage.getItem("theme"); } catch { /* storage is off: the system decides */ }
  if (choice === "light" || choice === "dark") document.documentElement.dataset.theme = choice;
  addEventListener("storage", (event) => {
    if (event.key !== "theme") return;
    if (event.newValue === "light" || event.newValue === "dark") document.documentElement.dataset.theme = event.newValue;
    else delete document.documentElement.dataset.theme;
  });
  document.documentElement.classList.add("js");
})();
