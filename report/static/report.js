// What HTML and htmx cannot do by themselves: choose all rows of a table, and show the age of the page.
"use strict";

document.addEventListener("change", (event) => {
  const box = event.target;
  if (box.matches("[data-select-all]")) {
    for (const each of box.closest("form").querySelectorAll("input[type=checkbox][name]")) each.checked = box.checked;
  }
  const form = box.closest("form[data-selects]");
  if (form) {
    const chosen = form.querySelectorAll("input[type=checkbox][name]:checked").length;
    for (const button of form.querySelectorAll("[data-needs-selection]")) button.disabled = chosen === 0;
    for (const count of form.querySelectorAll("[data-selected]")) count.textContent = chosen;
  }
});

setInterval(() => {
  for (const age of document.querySelectorAll("[data-made]")) {
    const seconds = Math.max(0, Math.round((Date.now() - Date.parse(age.dataset.made)) / 1000));
    age.textContent = seconds < 5 ? age.dataset.now : age.dataset.ago.replace("%s", seconds);
    age.classList.toggle("old", seconds > 60);
  }
}, 1000);
